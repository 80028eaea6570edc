"""Split pairs so that no sentence of dev or test occurs in training.

A corpus such as Tatoeba is many-to-many: one English sentence has several translations, and each
of those may translate other English sentences. A split by line would put some of these pairs into
training and others into test. Here all pairs that are linked by equal sentences (with case and
punctuation folded) form a group, and a group is never divided.
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
from translator.corpus.parallel_map import filter_rows, map_batches
from translator.text.normalization import fold, text_key

Ints = npt.NDArray[np.int64]

# Dev and test get at most a tenth of the sentences each, so that most of a small corpus remains for
# training. Groups are held out whole, so training may lose a few more pairs.
MAX_HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """The three parts of a corpus.

    Attributes:
        train: pairs with the columns src, tgt and source
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


def split(pairs: Dataset, config: CorpusConfig) -> Split:
    """Hold out whole groups for test and dev, in the order of their hashes.

    Groups are taken until both languages have enough distinct sentences. This way, a model of the
    opposite direction gets the same training pairs. A group with more sentences than may be held
    out stays in training, since most of its sentences would be held out but not used.

    Args:
        pairs: columns src, tgt, source and group
        config: how many source sentences test and dev should have

    Returns:
        The parts. Test and dev have the number of source sentences in `config`, or a tenth of the
        corpus if that is less. They have fewer if the groups that may be held out have fewer.
    """
    group_of_pair = np.asarray(pairs.with_format("numpy")["group"][:])
    # A group with more than ten times the wanted sentences is never held out, however large the
    # corpus is, so counting can stop as soon as the limit is that high.
    largest = 10 * max(config.test_sentences, config.dev_sentences)
    enough = math.ceil(largest / MAX_HELD_OUT_SHARE)
    sentences = min(_count_distinct(pairs, side, enough) for side in ("src", "tgt"))
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
    groups.close()  # frees its list of all rows
    # Remove the groups: nothing reads them after the split, and since this column is in memory, it
    # would be sent to every process.
    train = filter_rows(pairs.remove_columns("group"), trained, "hold out dev and test")
    return Split(train=train, dev=dev, test=test, unused_pairs=unused)


def _count_distinct(pairs: Dataset, side: str, enough: int) -> int:
    """Count the different sentences of a side, up to `enough`."""
    seen: set[str] = set()
    for batch in pairs.select_columns([side]).iter(batch_size=1000):
        seen.update(batch[side])
        if len(seen) >= enough:
            break
    return min(len(seen), enough)


def _groups(
    pairs: Dataset, group_of_pair: Ints, largest: int
) -> Generator[tuple[Ints, list[dict[str, Any]]]]:
    """Yield row indices and rows of each group with at most `largest` sentences per language."""
    order = np.argsort(group_of_pair, kind="stable")
    starts = np.flatnonzero(np.diff(group_of_pair[order])) + 1
    for start, end in zip(np.append(0, starts), np.append(starts, len(order)), strict=True):
        rows = _rows(pairs, order[start:end], largest)
        if rows is not None:
            yield order[start:end], sorted(rows, key=lambda row: (row["src"], row["tgt"]))


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


def _examples(rows: list[dict[str, Any]]) -> list[Example]:
    """Return one example for each source sentence, with all its translations."""
    by_src: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_src.setdefault(row["src"], []).append(row)
    return [
        Example(src, [row["tgt"] for row in rows], [row["source"] for row in rows])
        for src, rows in by_src.items()
    ]


def _splitmix64(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Apply the last step of SplitMix64 (Steele, Lea & Flood 2014): every bit affects all bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
