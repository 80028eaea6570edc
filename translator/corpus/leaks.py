"""Check a split: how many held-out sentences also occur in training."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from datasets import Dataset, Features, Value

from translator.corpus.held_out import Example
from translator.corpus.parallel_map import BATCH, map_batches
from translator.text.normalization import fold


@dataclass(frozen=True)
class LeakReport:
    """How many sentences of a held-out part also occur in training.

    Attributes:
        sentences: number of held-out source sentences
        src_seen: how many of them occur in training, with case and punctuation folded
        tgt_seen: how many of them have a reference that occurs in training, folded likewise
        near: how many of them differ by one word (replaced, added or deleted) from a training
            source
    """

    sentences: int
    src_seen: int
    tgt_seen: int
    near: int


def check_leaks(
    train: Dataset, parts: Sequence[list[Example]]
) -> list[tuple[LeakReport, list[Example]]]:
    """Compare held-out sentences with the training pairs, by text rather than by group.

    Only the held-out sentences are kept in memory; the training pairs are read once.

    Returns:
        For each held-out part, the report and the examples with `near` set.
    """
    examples = [example for part in parts for example in part]
    wanted = {
        "src": {fold(example.src) for example in examples},
        "tgt": {fold(text) for example in examples for text in example.references},
        "near": {key for example in examples for key in _near_keys(fold(example.src))},
    }

    def find(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        src, tgt = ([fold(text) for text in batch[side]] for side in ("src", "tgt"))
        near = (key for text in src for key in _near_keys(text))
        texts: dict[str, Iterable[str]] = {"src": src, "tgt": tgt, "near": near}
        found = [
            (kind, key) for kind, keys in texts.items() for key in wanted[kind].intersection(keys)
        ]
        return {"kind": [kind for kind, _ in found], "key": [key for _, key in found]}

    columns = Features({"kind": Value("string"), "key": Value("string")})
    texts = train.select_columns(["src", "tgt"])
    found = map_batches(
        texts, find, "look for leaks", remove_columns=texts.column_names, features=columns
    )
    seen: dict[str, set[str]] = {kind: set() for kind in wanted}
    for batch in found.iter(BATCH):
        for kind, key in zip(batch["kind"], batch["key"], strict=True):
            seen[kind].add(key)
    return [_report(part, seen) for part in parts]


def _report(examples: list[Example], seen: dict[str, set[str]]) -> tuple[LeakReport, list[Example]]:
    """Return the result of `check_leaks` for one part, given the keys that occur in training."""
    sources = [fold(example.src) for example in examples]
    checked = [
        replace(example, near=not seen["near"].isdisjoint(_near_keys(text)))
        for example, text in zip(examples, sources, strict=True)
    ]
    report = LeakReport(
        sentences=len(examples),
        src_seen=sum(text in seen["src"] for text in sources),
        tgt_seen=sum(
            any(fold(text) in seen["tgt"] for text in example.references) for example in examples
        ),
        near=sum(example.near is True for example in checked),
    )
    return report, checked


def _near_keys(text: str) -> Iterator[str]:
    """Yield keys of a sentence; two sentences share one if and only if at most one word differs.

    With word i replaced by a placeholder, two sentences that differ only in word i become equal.
    With a placeholder inserted before word i, a sentence equals one with an additional word there.
    """
    words = text.split()
    for i in range(len(words)):
        yield " ".join([*words[:i], "\0", *words[i + 1 :]])
    for i in range(len(words) + 1):
        yield " ".join([*words[:i], "\0", *words[i:]])
