"""Group pairs of ids into batches of about equal size with little padding."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translator.data.arrays import Ints, Ragged
from translator.data.tokenizer import PAD_ID, Tokenizer
from translator.text.model_text import ModelText

# A link between two tokens is stored as one number: target position · LINK_BASE + source position.
LINK_BASE = 1 << 15


@dataclass(frozen=True)
class PairIds:
    """The ids of sentence pairs.

    Attributes:
        src: ids of each source, without eos
        tgt: ids of each target, without bos and eos
        links: aligned tokens of each pair (see `LINK_BASE`); None if unknown
    """

    src: Ragged
    tgt: Ragged
    links: Ragged | None = None

    def take(self, rows: Ints) -> "PairIds":
        """Return some pairs, in this order and as often as named; the ids are not copied."""
        links = None if self.links is None else self.links.take(rows)
        return PairIds(self.src.take(rows), self.tgt.take(rows), links)


@dataclass(frozen=True)
class Batch:
    """Pairs to train on.

    Attributes:
        src: ids (B, S): the source, eos, then padding
        tgt: ids (B, T + 1): bos, the target, eos, then padding
        tgt_tokens: number of predicted tokens, including eos but not padding
        links: bool (B, T, S), True where the token read at target position t is aligned with
            source token s; None if unknown
    """

    src: Tensor
    tgt: Tensor
    tgt_tokens: int
    links: Tensor | None = None

    @property
    def src_padding_mask(self) -> Tensor:
        """(B, S), True at padding."""
        return self.src == PAD_ID

    def shard(self, rank: int, size: int) -> "Batch":
        """Return the part of this batch for one of `size` processes: pairs rank, rank + size, …

        Neighbouring pairs have similar lengths, so the shards do too. A shard of a small batch may
        be empty.
        """
        if size == 1:
            return self
        mine = slice(rank, None, size)
        links = None if self.links is None else self.links[mine]
        tokens = int((self.tgt[mine, 1:] != PAD_ID).sum())
        return Batch(self.src[mine], self.tgt[mine], tokens, links)

    def split(self, count: int) -> list["Batch"]:
        """Split into at most `count` parts of about equal size; an empty batch has no parts."""
        if not len(self.src):
            return []
        src, tgt = self.src.chunk(count), self.tgt.chunk(count)
        links = [None] * len(src) if self.links is None else self.links.chunk(count)
        tokens = [int((part[:, 1:] != PAD_ID).sum()) for part in tgt]
        return list(map(Batch, src, tgt, tokens, links))

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device."""
        src, tgt = (ids.to(device, non_blocking=True) for ids in (self.src, self.tgt))
        links = None if self.links is None else self.links.to(device, non_blocking=True)
        return Batch(src, tgt, self.tgt_tokens, links)


def make_batch(pairs: PairIds, rows: Ints) -> Batch:
    """Make a batch of the pairs with these indices."""
    src = torch.from_numpy(pairs.src.padded(rows, bos=False))
    tgt = torch.from_numpy(pairs.tgt.padded(rows, bos=True))
    tgt_tokens = int(pairs.tgt.lengths[rows].sum()) + len(rows)
    links = _link_matrix(pairs, rows, tgt.size(1) - 1, src.size(1))
    return Batch(src, tgt, tgt_tokens, links)


def _link_matrix(pairs: PairIds, rows: Ints, tgt_width: int, src_width: int) -> Tensor | None:
    """Return the links of these pairs as a matrix, (B, T, S); see `Batch`."""
    if pairs.links is None:
        return None
    matrix = torch.zeros(len(rows), tgt_width, src_width, dtype=torch.bool)
    tgt, src = np.divmod(pairs.links.joined(rows).astype(np.int64), LINK_BASE)
    row = np.repeat(np.arange(len(rows)), pairs.links.lengths[rows])
    # Target positions are one higher here, since the decoder reads bos before the first token.
    matrix[torch.from_numpy(row), tgt + 1, src] = True
    return matrix


def group_by_length(
    pairs: PairIds, batch_tokens: int, generator: np.random.Generator
) -> list[Ints]:
    """Divide pairs into batches of similar length, in random order.

    In each batch, the number of rows times the length of the longest side, including eos, is at
    most `batch_tokens`; a longer pair is a batch of its own. Every pair is in exactly one batch.

    Args:
        pairs: at least one
        batch_tokens: the limit, in tokens with padding
        generator: shuffles pairs of equal length, and the batches

    Returns:
        The indices of the pairs of each batch.
    """
    src, tgt = pairs.src.lengths + 1, pairs.tgt.lengths + 1
    # Sort by target length, then by source length, ascending and descending in turn, so that the
    # source length doesn't jump where the target length changes.
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
    """Compute the fraction of all positions, source and target together, that are padding."""
    used = filled = 0
    for side in (pairs.src, pairs.tgt):
        lengths = side.lengths + 1
        for rows in batches:
            filled += int(lengths[rows].sum())
            used += int(lengths[rows].max()) * len(rows)
    return 1 - filled / used


class BatchStream:
    """An endless stream of batches, epoch after epoch; its position can be saved and restored.

    The order of an epoch depends only on the seed and the number of the epoch.
    """

    def __init__(
        self, pairs_of_epoch: Callable[[int], PairIds], batch_tokens: int, seed: int
    ) -> None:
        """Start at the first batch of epoch 0.

        Args:
            pairs_of_epoch: returns the ids of an epoch; with BPE-dropout they differ in each epoch
            batch_tokens: see `group_by_length`
            seed: seed of the shuffling
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
        """Return the next batch."""
        if self.index == len(self.batches):
            self._open(self.epoch + 1, 0)
        rows = self.batches[self.index]
        self.index += 1
        return make_batch(self.pairs, rows)

    def state(self) -> dict[str, int]:
        """Return the position, for `restore`."""
        return {"epoch": self.epoch, "index": self.index}

    def restore(self, state: dict[str, int]) -> None:
        """Continue from a saved position."""
        self._open(state["epoch"], state["index"])


def encoded_pairs(tokenizer_dir: Path) -> Callable[[int], PairIds]:
    """Return a function that gives every epoch the ids written by `prepare`, memory-mapped."""
    pairs = PairIds(Ragged.open(tokenizer_dir / "src"), Ragged.open(tokenizer_dir / "tgt"))
    return lambda epoch: pairs


def bpe_dropout_pairs(
    corpus_dir: Path, model_text: ModelText, tokenizer: Tokenizer, dropout: float, seed: int
) -> Callable[[int], PairIds]:
    """Return a function that gives each epoch new ids, by BPE-dropout (Provilkov et al. 2020)."""
    from translator.data.prepare import load_pairs

    train = load_pairs(corpus_dir / "train")
    texts = list(map(model_text.pair, train["src"], train["tgt"]))
    src, tgt = [src for src, _ in texts], [tgt for _, tgt in texts]

    def pairs_of_epoch(epoch: int) -> PairIds:
        src_seed, tgt_seed = np.random.SeedSequence([seed, epoch]).generate_state(2).tolist()
        return PairIds(
            Ragged.from_lists(tokenizer.sample(src, dropout, src_seed)),
            Ragged.from_lists(tokenizer.sample(tgt, dropout, tgt_seed)),
        )

    return pairs_of_epoch
