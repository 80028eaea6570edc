"""Split pairs so that nothing of dev or test has been seen in training, and check it.

A corpus such as Tatoeba is many-to-many: one English sentence has several translations, and each
of those may belong to other English sentences. A split by line puts one half of such a group into
training and the other into test. Here sentences that share a side (case and punctuation folded)
form a group, and a group falls on one side as a whole.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from translator.config import CorpusConfig
from translator.corpus.held_out import Example
from translator.corpus.parallel_map import keep, map_batches
from translator.text.normalization import fold, text_key

Ints = npt.NDArray[np.int64]

# Dev and test have at most a tenth of a small corpus's sentences each: it is there to learn from.
# As groups are held out whole, a few more pairs may be kept from training.
MAX_HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """The three parts, and how many held-out pairs were left over."""

    train: Dataset
    dev: list[Example]
    test: list[Example]
    unused_pairs: int


def add_groups(pairs: Dataset, config: CorpusConfig) -> Dataset:
    """Add the column `group`: equal for sentences linked by a chain of shared sides.

    The value is a hash of the group's content, independent of the order of the pairs and of the
    direction of translation.
    """

    def hash_sides(batch: dict[str, list[str]]) -> dict[str, Ints]:
        return {
            f"{side}_key": np.array([text_key(f"{lang}\t{fold(t)}") for t in batch[side]], np.int64)
            for side, lang in (("src", config.src_lang), ("tgt", config.tgt_lang))
        }

    keys = map_batches(pairs, hash_sides, "group", remove_columns=pairs.column_names)
    columns = keys.with_format("numpy")
    src_keys, src_node = np.unique(np.asarray(columns["src_key"][:]), return_inverse=True)
    tgt_keys, tgt_node = np.unique(np.asarray(columns["tgt_key"][:]), return_inverse=True)
    tgt_node += len(src_keys)  # the sides share no sentence, even where they look alike
    nodes = len(src_keys) + len(tgt_keys)
    links = coo_array((np.ones(len(pairs), dtype=np.int8), (src_node, tgt_node)), (nodes, nodes))
    _, component = connected_components(links, directed=False)
    smallest = np.full(component.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, np.concatenate([src_keys, tgt_keys]))
    # The smallest of many hashes tends to be small, which would sort large groups first: hash it
    # once more, so that every group has the same chance.
    group_of_component = _mix(smallest.astype(np.uint64)).astype(np.int64)
    return pairs.add_column("group", group_of_component[component[src_node]])


def split(pairs: Dataset, config: CorpusConfig) -> Split:
    """Hold out whole groups for test and dev, in the order of their hashes.

    Groups are taken until both languages have enough distinct sentences, so that a model of the
    opposite direction, trained on the same corpus, has the same training side. A group with more
    sentences than may be held out stays in training, or most of it would be lost.

    Args:
        pairs: columns src, tgt, source and group
        config: how many source sentences test and dev shall have

    Returns:
        Exactly as many test and dev sources as asked, or a tenth of the corpus each where that
        is less; fewer if the groups that may be held out have no more.
    """
    group_of_pair = np.asarray(pairs.with_format("numpy")["group"][:])
    # To hold out a group of ten times as many sentences as are wanted would be a waste, however
    # large the corpus is; so nobody need count further.
    largest = 10 * max(config.test_sentences, config.dev_sentences)
    enough = math.ceil(largest / MAX_HELD_OUT_SHARE)
    sentences = min(_distinct(pairs, side, enough) for side in ("src", "tgt"))
    limit = int(sentences * MAX_HELD_OUT_SHARE)
    groups = _groups(pairs, group_of_pair, largest=limit)
    trained = np.ones(len(pairs), dtype=np.bool_)
    parts, unused = [], 0
    for wanted in (config.test_sentences, config.dev_sentences):
        taken: list[dict[str, Any]] = []
        src_sentences: set[str] = set()
        tgt_sentences: set[str] = set()
        while min(len(src_sentences), len(tgt_sentences)) < min(wanted, limit):
            found = next(groups, None)
            if found is None:
                break
            indices, group = found
            trained[indices] = False
            taken.extend(group)
            src_sentences.update(row["src"] for row in group)
            tgt_sentences.update(row["tgt"] for row in group)
        examples = _examples(taken)[: min(wanted, limit)]
        parts.append(examples)
        unused += len(taken) - sum(len(example.references) for example in examples)
    test, dev = parts
    groups.close()  # it holds a list of all rows
    # Without the groups: nothing reads them after the split, and this column is in memory, so it
    # would be sent to every process.
    train = keep(pairs.remove_columns("group"), trained, "hold out dev and test")
    return Split(train=train, dev=dev, test=test, unused_pairs=unused)


def _distinct(pairs: Dataset, side: str, enough: int) -> int:
    """How many different sentences a side has; counted no further than `enough`."""
    seen: set[str] = set()
    for batch in pairs.select_columns([side]).iter(batch_size=1000):
        seen.update(batch[side])
        if len(seen) >= enough:
            break
    return min(len(seen), enough)


def _groups(
    pairs: Dataset, group_of_pair: Ints, largest: int
) -> Generator[tuple[Ints, list[dict[str, Any]]]]:
    """Indices and rows of each group with at most `largest` sentences in either language."""
    order = np.argsort(group_of_pair, kind="stable")
    starts = np.flatnonzero(np.diff(group_of_pair[order])) + 1
    for start, end in zip(np.append(0, starts), np.append(starts, len(order)), strict=True):
        rows = _rows(pairs, order[start:end], largest)
        if rows is not None:
            yield order[start:end], sorted(rows, key=lambda row: (row["src"], row["tgt"]))


def _rows(pairs: Dataset, indices: Ints, largest: int) -> list[dict[str, Any]] | None:
    """These rows; None as soon as they have more than `largest` sentences in a language."""
    rows, src, tgt = [], set(), set()
    for index in indices.tolist():
        row = pairs[index]
        rows.append(row)
        src.add(row["src"])
        tgt.add(row["tgt"])
        if max(len(src), len(tgt)) > largest:
            return None
    return rows


def _examples(rows: list[dict[str, Any]]) -> list[Example]:
    by_src: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_src.setdefault(row["src"], []).append(row)
    return [
        Example(src, [row["tgt"] for row in rows], [row["source"] for row in rows])
        for src, rows in by_src.items()
    ]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): spreads every bit over all bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
