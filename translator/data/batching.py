"""Sentence pairs as ids, in batches of about equal size with little padding."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translator.data.arrays import Ints, Ragged
from translator.data.tokenizer import PAD_ID, Tokenizer

# A link between pieces as one number: the target piece's place times this, plus the source piece's.
LINK_BASE = 1 << 15


@dataclass(frozen=True)
class PairIds:
    """The ids of sentence pairs.

    Attributes:
        src: ids of each source, without eos
        tgt: ids of each target, without bos and eos
        links: which target piece belongs to which source piece (see `LINK_BASE`); None if unknown
    """

    src: Ragged
    tgt: Ragged
    links: Ragged | None = None


@dataclass(frozen=True)
class Batch:
    """Pairs to train on.

    Attributes:
        src: ids (B, S), each row ending with eos, then padding
        tgt: ids (B, T + 1): bos, the target, eos, then padding
        tgt_tokens: predicted pieces, eos counted, padding not
        links: bool (B, T, S): the piece read at target position t belongs to source piece s; None
            if that is not known
    """

    src: Tensor
    tgt: Tensor
    tgt_tokens: int
    links: Tensor | None = None

    @property
    def src_padding_mask(self) -> Tensor:
        """(B, S), True at padding."""
        return self.src == PAD_ID

    def share(self, number: int, count: int) -> "Batch":
        """Every `count`-th of its pairs, from pair `number` on; none where there are not so many.

        Neighbours are of like length, and so are the shares.
        """
        if count == 1:
            return self
        mine = slice(number, None, count)
        links = None if self.links is None else self.links[mine]
        tokens = int((self.tgt[mine, 1:] != PAD_ID).sum())
        return Batch(self.src[mine], self.tgt[mine], tokens, links)

    def split(self, count: int) -> list["Batch"]:
        """Its pairs in at most `count` parts of about equal size; no parts if it has none."""
        if not len(self.src):
            return []
        src, tgt = self.src.chunk(count), self.tgt.chunk(count)
        links = [None] * len(src) if self.links is None else self.links.chunk(count)
        tokens = [int((part[:, 1:] != PAD_ID).sum()) for part in tgt]
        return list(map(Batch, src, tgt, tokens, links))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        src, tgt = (ids.to(device, non_blocking=True) for ids in (self.src, self.tgt))
        links = None if self.links is None else self.links.to(device, non_blocking=True)
        return Batch(src, tgt, self.tgt_tokens, links)


def make_batch(pairs: PairIds, rows: Ints) -> Batch:
    """The pairs of these rows as a batch."""
    src = torch.from_numpy(pairs.src.padded(rows, bos=False))
    tgt = torch.from_numpy(pairs.tgt.padded(rows, bos=True))
    tgt_tokens = int(pairs.tgt.lengths[rows].sum()) + len(rows)
    return Batch(src, tgt, tgt_tokens, _linked(pairs, rows, tgt.size(1) - 1, src.size(1)))


def _linked(pairs: PairIds, rows: Ints, tgt_width: int, src_width: int) -> Tensor | None:
    """The links of some pairs as `Batch` has them."""
    if pairs.links is None:
        return None
    matrix = torch.zeros(len(rows), tgt_width, src_width, dtype=torch.bool)
    counts = pairs.links.lengths[rows]
    first = np.repeat(pairs.links.offsets[rows] - np.cumsum(counts) + counts, counts)
    links = pairs.links.values[first + np.arange(counts.sum())]
    tgt, src = np.divmod(links.astype(np.int64), LINK_BASE)
    # One on, since a decoder reads bos before the first piece.
    matrix[torch.from_numpy(np.repeat(np.arange(len(rows)), counts)), tgt + 1, src] = True
    return matrix


def group_by_length(
    pairs: PairIds, batch_tokens: int, generator: np.random.Generator
) -> list[Ints]:
    """Put pairs of like length together, in random order.

    Each batch is as large as it may be: its rows times its longest side, eos counted, is at most
    `batch_tokens` (a single pair may be longer). Every pair is in exactly one batch.
    """
    src, tgt = pairs.src.lengths + 1, pairs.tgt.lengths + 1
    # By target length, and within it by source length, up and down in turn, so that where the
    # target length changes the source length doesn't jump.
    zigzag = np.where(tgt % 2 == 0, src, -src)
    order = np.lexsort((generator.random(len(src)), zigzag, tgt))
    longest_side = np.maximum(src, tgt)[order]
    batches: list[Ints] = []
    first = longest = 0
    for i, length in enumerate(longest_side.tolist()):
        longest = max(longest, length)
        if (i - first + 1) * longest > batch_tokens and i > first:
            batches.append(order[first:i])
            first, longest = i, length
    if first < len(order):
        batches.append(order[first:])
    generator.shuffle(batches)
    return batches


def padding_share(pairs: PairIds, batches: list[Ints]) -> float:
    """Share of the positions, source and target together, that hold padding."""
    used = filled = 0
    for side in (pairs.src, pairs.tgt):
        lengths = side.lengths + 1
        for rows in batches:
            filled += int(lengths[rows].sum())
            used += int(lengths[rows].max()) * len(rows)
    return 1 - filled / used


class BatchStream:
    """Batches without end, epoch after epoch; its position can be saved and restored.

    The order of an epoch depends on the seed and the epoch's number alone.
    """

    def __init__(
        self, pairs_of_epoch: Callable[[int], PairIds], batch_tokens: int, seed: int
    ) -> None:
        """Start at the first batch of epoch 0.

        Args:
            pairs_of_epoch: the ids of an epoch; they change where sampling is on
            batch_tokens: see `group_by_length`
            seed: start of the shuffling
        """
        self._pairs_of_epoch = pairs_of_epoch
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._open(epoch=0, index=0)

    def _open(self, epoch: int, index: int) -> None:
        self.epoch, self.index = epoch, index
        self.pairs = self._pairs_of_epoch(epoch)
        generator = np.random.default_rng([self._seed, epoch])
        self.batches = group_by_length(self.pairs, self._batch_tokens, generator)

    def next(self) -> Batch:
        """The next batch."""
        if self.index == len(self.batches):
            self._open(self.epoch + 1, 0)
        rows = self.batches[self.index]
        self.index += 1
        return make_batch(self.pairs, rows)

    def state(self) -> dict[str, int]:
        """The position, for `restore`."""
        return {"epoch": self.epoch, "index": self.index}

    def restore(self, state: dict[str, int]) -> None:
        """Go on from a position: the next batch is the one that would have come."""
        self._open(state["epoch"], state["index"])


def encoded_pairs(tokenizer_dir: Path) -> Callable[[int], PairIds]:
    """Epochs that are all the same: ids as `prepare` has written them, memory-mapped."""
    pairs = PairIds(Ragged.open(tokenizer_dir / "src"), Ragged.open(tokenizer_dir / "tgt"))
    return lambda epoch: pairs


def bpe_dropout_pairs(
    corpus_dir: Path, tokenizer: Tokenizer, dropout: float, seed: int
) -> Callable[[int], PairIds]:
    """Epochs in which each sentence is cut into pieces anew, by BPE-dropout."""
    from translator.data.prepare import load_pairs

    train = load_pairs(corpus_dir / "train")
    src, tgt = list(train["src"]), list(train["tgt"])

    def pairs_of_epoch(epoch: int) -> PairIds:
        src_seed, tgt_seed = np.random.SeedSequence([seed, epoch]).generate_state(2).tolist()
        return PairIds(
            Ragged.from_lists(tokenizer.sample(src, dropout, src_seed)),
            Ragged.from_lists(tokenizer.sample(tgt, dropout, tgt_seed)),
        )

    return pairs_of_epoch
