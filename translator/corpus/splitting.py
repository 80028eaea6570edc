"""Split pairs so that no sentence of dev or test occurs in training.

A corpus such as Tatoeba is many-to-many: one English sentence has several translations, and each
of those may translate other English sentences. A split by line would put some of these pairs into
training and others into test. Here all pairs that are linked by equal sentences (with case and
punctuation folded) form a group, and a group is never divided. The pairs of all sources are grouped
together, so that no sentence of one is held out and occurs in the training pairs of another.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from translator.config import CorpusConfig
from translator.corpus.held_out import Example
from translator.corpus.parallel_map import column_array, filter_rows, map_batches
from translator.text.normalization import fold, text_key

Ints = npt.NDArray[np.int64]

# Dev and test get at most a tenth of the sentences of a source each, so that most of a small source
# remains for training. Groups are held out whole, so training may lose a few more pairs.
MAX_HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """The three parts of a corpus.

    Attributes:
        train: pairs with the columns src, tgt, source and origin
        dev: held-out sentences for choosing the best weights
        test: held-out sentences for the final scores
        unused_pairs: number of pairs held out with their group but needed in neither part
    """

    train: Dataset
    dev: list[Example]
    test: list[Example]
    unused_pairs: int


def add_groups(pairs: Dataset, config: CorpusConfig) -> Dataset:
    """Add the column `group`: equal for pairs linked by a chain of equal sentences.

    The value is a hash of the group's sentences. It depends neither on the order of the pairs nor
    on the direction of translation.
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
    tgt_node += len(src_keys)  # equal texts in the two languages are different nodes
    nodes = len(src_keys) + len(tgt_keys)
    links = coo_array((np.ones(len(pairs), dtype=np.int8), (src_node, tgt_node)), (nodes, nodes))
    _, component = connected_components(links, directed=False)
    smallest = np.full(component.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, np.concatenate([src_keys, tgt_keys]))
    # The smallest of many hashes tends to be small, which would sort large groups first. Hashing it
    # again gives every group the same chance.
    group_of_component = _splitmix64(smallest.astype(np.uint64)).astype(np.int64)
    return pairs.add_column("group", group_of_component[component[src_node]])


class _Part:
    """Held-out groups, until there are enough distinct sentences of each source."""

    def __init__(self, wanted: list[int]) -> None:
        """Start without groups; `wanted` is the number of sentences of each source."""
        self._wanted = wanted
        self._sentences: list[tuple[set[str], set[str]]] = [(set(), set()) for _ in wanted]
        self._rows: list[dict[str, Any]] = []

    @property
    def lacking(self) -> set[int]:
        """The sources of which a language has too few sentences."""
        counts = [min(len(src), len(tgt)) for src, tgt in self._sentences]
        return {i for i, wanted in enumerate(self._wanted) if counts[i] < wanted}

    def add(self, group: list[dict[str, Any]]) -> None:
        """Add the rows of a group."""
        self._rows += sorted(group, key=lambda row: (row["src"], row["tgt"]))
        for row in group:
            src, tgt = self._sentences[row["origin"]]
            src.add(row["src"])
            tgt.add(row["tgt"])

    def examples(self, names: list[str]) -> tuple[list[Example], int]:
        """Return as many source sentences of each source as wanted, with all their translations.

        Args:
            names: the names of the sources

        Returns:
            The sentences, and the number of pairs that are not needed.
        """
        by_src: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows:
            by_src.setdefault(row["src"], []).append(row)
        examples, missing = [], list(self._wanted)
        for src, rows in by_src.items():
            origins = {row["origin"] for row in rows}
            if all(missing[origin] <= 0 for origin in origins):
                continue
            for origin in origins:
                missing[origin] -= 1
            columns = zip(*((r["tgt"], r["source"], names[r["origin"]]) for r in rows), strict=True)
            references, sources, of_sources = map(list, columns)
            examples.append(Example(src, references, sources, origins=of_sources))
        return examples, len(self._rows) - sum(len(example.references) for example in examples)


def split(pairs: Dataset, config: CorpusConfig) -> Split:
    """Hold out whole groups for test and dev, in the order of their hashes.

    Groups are taken until both languages have enough distinct sentences of each source. This way, a
    model of the opposite direction gets the same training pairs, and a source has nearly the same
    test sentences with other sources as alone. A group with more sentences than may be held out
    stays in training, since most of its sentences would be held out but not used.

    Args:
        pairs: columns src, tgt, source, origin and group, in the order of `origin`
        config: the sources, and how many source sentences of each test and dev should have

    Returns:
        The parts. Test and dev have the number of source sentences in `config` from each source, or
        a tenth of the source if that is less. They have fewer if the groups that may be held out
        have fewer.
    """
    names = [source.name for source in config.each_source()]
    origin_of_pair = column_array(pairs, "origin")
    limits = _limits(pairs, origin_of_pair, config)
    test, dev = (
        _Part([min(wanted, limit) for limit in limits])
        for wanted in (config.test_sentences, config.dev_sentences)
    )
    trained = np.ones(len(pairs), dtype=np.bool_)
    for indices in _groups(column_array(pairs, "group")):
        if not (test.lacking or dev.lacking):
            break
        origins = set(origin_of_pair[indices].tolist())
        part = test if test.lacking & origins else dev
        largest = max((limits[i] for i in part.lacking & origins), default=0)
        rows = _rows(pairs, indices, largest) if largest else None
        if rows is not None:
            trained[indices] = False
            part.add(rows)
    (test_examples, test_rest), (dev_examples, dev_rest) = test.examples(names), dev.examples(names)
    # Remove the groups: nothing reads them after the split, and since this column is in memory, it
    # would be sent to every process.
    train = filter_rows(pairs.remove_columns("group"), trained, "hold out dev and test")
    return Split(train, dev_examples, test_examples, unused_pairs=test_rest + dev_rest)


def _limits(pairs: Dataset, origin_of_pair: Ints, config: CorpusConfig) -> list[int]:
    """Return how many sentences of each source may be held out for test, and again for dev."""
    # A group with more than ten times the wanted sentences is never held out, however large the
    # corpus is, so counting can stop as soon as the limit is that high.
    largest = 10 * max(config.test_sentences, config.dev_sentences)
    enough = math.ceil(largest / MAX_HELD_OUT_SHARE)
    starts = np.searchsorted(origin_of_pair, range(len(config.each_source()) + 1))
    limits = []
    for start, end in pairwise(starts.tolist()):
        of_source = pairs.select(range(start, end))
        sentences = min(_count_distinct(of_source, side, enough) for side in ("src", "tgt"))
        limits.append(int(sentences * MAX_HELD_OUT_SHARE))
    return limits


def _count_distinct(pairs: Dataset, side: str, enough: int) -> int:
    """Count the different sentences of a side, up to `enough`."""
    seen: set[str] = set()
    for batch in pairs.select_columns([side]).iter(batch_size=1000):
        seen.update(batch[side])
        if len(seen) >= enough:
            break
    return min(len(seen), enough)


def _groups(group_of_pair: Ints) -> Iterator[Ints]:
    """Yield the row indices of each group, in the order of the groups' hashes."""
    order = np.argsort(group_of_pair, kind="stable")
    starts = np.flatnonzero(np.diff(group_of_pair[order])) + 1
    for start, end in zip(np.append(0, starts), np.append(starts, len(order)), strict=True):
        yield order[start:end]


def _rows(pairs: Dataset, indices: Ints, largest: int) -> list[dict[str, Any]] | None:
    """Return the rows at these indices, or None if a language has more than `largest` sentences."""
    rows, src, tgt = [], set(), set()
    for index in indices.tolist():
        row = pairs[index]
        rows.append(row)
        src.add(row["src"])
        tgt.add(row["tgt"])
        if max(len(src), len(tgt)) > largest:
            return None
    return rows


def _splitmix64(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Apply the last step of SplitMix64 (Steele, Lea & Flood 2014): every bit affects all bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
