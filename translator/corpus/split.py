"""Split pairs so that nothing of dev or test has been seen in training, and check it.

A corpus such as Tatoeba is many-to-many: one English sentence has several translations, and each
of those may belong to other English sentences. A split by line puts one half of such a group into
training and the other into test. Here sentences that share a side (case and punctuation folded)
form a group, and a group falls on one side as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from translator.config import CorpusConfig
from translator.corpus.held_out import Example
from translator.corpus.text import fold, text_key

# Dev and test have at most a tenth of a small corpus's sentences each: it is there to learn from.
# As groups are held out whole, a few more pairs may be kept from training.
LARGEST_HELD_OUT_SHARE = 0.1


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

    def hash_sides(batch: dict[str, list[str]]) -> dict[str, list[int]]:
        return {
            "src_key": [text_key(f"{config.src_lang}\t{fold(text)}") for text in batch["src"]],
            "tgt_key": [text_key(f"{config.tgt_lang}\t{fold(text)}") for text in batch["tgt"]],
        }

    keyed = pairs.map(hash_sides, batched=True, desc="group").with_format("numpy")
    src_keys, tgt_keys = np.asarray(keyed["src_key"][:]), np.asarray(keyed["tgt_key"][:])
    keys, node = np.unique(np.concatenate([src_keys, tgt_keys]), return_inverse=True)
    src_node, tgt_node = node[: len(pairs)], node[len(pairs) :]
    links = coo_array(
        (np.ones(len(pairs), dtype=np.int8), (src_node, tgt_node)), shape=(len(keys), len(keys))
    )
    _, component = connected_components(links, directed=False)
    smallest = np.full(component.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, keys)
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
    sentences = min(len(pairs.unique("src")), len(pairs.unique("tgt")))
    limit = int(sentences * LARGEST_HELD_OUT_SHARE)
    groups = _groups(pairs, group_of_pair, largest=limit)
    held_out: list[int] = []
    parts, unused = [], 0
    for wanted in (config.test_sentences, config.dev_sentences):
        taken: list[dict[str, Any]] = []
        src_sentences: set[str] = set()
        tgt_sentences: set[str] = set()
        while min(len(src_sentences), len(tgt_sentences)) < min(wanted, limit):
            indices, group = next(groups, ([], []))
            if not group:
                break
            held_out.extend(indices)
            taken.extend(group)
            src_sentences.update(row["src"] for row in group)
            tgt_sentences.update(row["tgt"] for row in group)
        examples = _examples(taken)[: min(wanted, limit)]
        parts.append(examples)
        unused += len(taken) - sum(len(example.references) for example in examples)
    test, dev = parts
    # In the corpus's own order again, so that the training side reads like the corpus.
    train = pairs.select(np.delete(np.arange(len(pairs)), held_out))
    return Split(train=train, dev=dev, test=test, unused_pairs=unused)


def _groups(
    pairs: Dataset, group_of_pair: npt.NDArray[np.int64], largest: int
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Indices and rows of each group with at most `largest` sentences in either language."""
    order = np.argsort(group_of_pair, kind="stable").tolist()
    for _, members in groupby(order, key=group_of_pair.__getitem__):
        indices = list(members)
        rows = [pairs[index] for index in indices]
        if max(len({row[side] for row in rows}) for side in ("src", "tgt")) <= largest:
            yield indices, sorted(rows, key=lambda row: (row["src"], row["tgt"]))


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


# --- the check ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeakReport:
    """How much of a held-out part training has seen.

    Attributes:
        sentences: held-out source sentences
        src_seen: of them, sources that occur in training, case and punctuation folded
        tgt_seen: of them, those with a reference that occurs in training, folded likewise
        near: sources of which a training source differs by one word (replaced, added or left out)
    """

    sentences: int
    src_seen: int
    tgt_seen: int
    near: int


def check_leaks(train: Dataset, examples: list[Example]) -> tuple[LeakReport, list[Example]]:
    """Compare held-out sentences with the training side, by their text and not by their group.

    Only the held-out side is kept in memory; training is read through once.

    Returns:
        The report, and the examples with `near` set.
    """
    folded_src = [fold(example.src) for example in examples]
    wanted_src = set(folded_src)
    wanted_tgt = {fold(reference) for example in examples for reference in example.references}
    wanted_near = {key for text in folded_src for key in _near_keys(text)}
    seen_src: set[str] = set()
    seen_tgt: set[str] = set()
    seen_near: set[tuple[str, ...]] = set()
    for batch in train.select_columns(["src", "tgt"]).iter(batch_size=1000):
        for src, tgt in zip(map(fold, batch["src"]), map(fold, batch["tgt"]), strict=True):
            if src in wanted_src:
                seen_src.add(src)
            if tgt in wanted_tgt:
                seen_tgt.add(tgt)
            seen_near.update(key for key in _near_keys(src) if key in wanted_near)
    checked = [
        Example(example.src, example.references, example.sources, near)
        for example, text in zip(examples, folded_src, strict=True)
        for near in [any(key in seen_near for key in _near_keys(text))]
    ]
    report = LeakReport(
        sentences=len(examples),
        src_seen=sum(text in seen_src for text in folded_src),
        tgt_seen=sum(
            any(fold(reference) in seen_tgt for reference in example.references)
            for example in examples
        ),
        near=sum(example.near is True for example in checked),
    )
    return report, checked


def _near_keys(text: str) -> Iterator[tuple[str, ...]]:
    """Keys of which two sentences share one exactly if at most one word separates them.

    With a hole in place of word i, two sentences that differ in word i alone are equal; with a
    hole before word i, a sentence is equal to the one that has a word more there.
    """
    words = tuple(text.split())
    for i in range(len(words)):
        yield (*words[:i], "\0", *words[i + 1 :])
    for i in range(len(words) + 1):
        yield (*words[:i], "\0", *words[i:])
