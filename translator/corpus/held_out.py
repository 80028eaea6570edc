"""Sentences to evaluate on: those held out by the split, or a user's own files."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from translator.corpus.text_files import read_lines
from translator.errors import TranslatorError
from translator.system.files import json_line
from translator.system.records import read_records, write_records


@dataclass(frozen=True)
class Example:
    """A held-out source sentence.

    Attributes:
        src: the sentence to translate
        references: all its translations in the corpus
        sources: the attribution of each of these pairs
        near: whether a training source differs from it by one word only; None if unknown
        origins: the name of the source in `corpus.sources` that each of these pairs is from; empty
            if unknown
    """

    src: str
    references: list[str]
    sources: list[str]
    near: bool | None = None
    origins: list[str] = field(default_factory=list)


def content_hash(examples: list[Example]) -> str:
    """Compute the SHA-256 of the sources and references; equal hashes mean equal sentences."""
    return hashlib.sha256(
        "".join(json_line([example.src, *example.references]) for example in examples).encode()
    ).hexdigest()


def write_examples(path: Path, examples: list[Example]) -> None:
    """Write the sentences of dev or test."""
    write_records(path, examples)


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote.

    Raises:
        TranslatorError: the file is missing or damaged.
    """
    examples = read_records(path, Example)
    for number, example in enumerate(examples, start=1):
        if not example.references:
            raise TranslatorError(f"{path}, line {number}: damaged (no references)")
    if not examples:
        raise TranslatorError(f"{path}: damaged (the file is empty)")
    return examples


def read_test_files(src: Path, references: list[Path]) -> list[Example]:
    """Read sentences to evaluate on from line-aligned files.

    Blank lines at the end of a file are ignored.

    Raises:
        TranslatorError: a file is missing, empty or unreadable, the line counts differ, or a line
            is blank.
    """
    paths = [src, *references]
    columns = []
    for path in paths:
        lines = [line for _, line in read_lines(path)]
        while lines and not lines[-1].strip():
            lines.pop()
        columns.append(lines)
    if not columns[0]:
        raise TranslatorError(f"{src}: the file is empty")
    for path, lines in zip(paths, columns, strict=True):
        if len(lines) != len(columns[0]):
            raise TranslatorError(
                f"{path} has {len(lines)} lines, but {src} has {len(columns[0])}: each sentence "
                "needs its reference on the same line"
            )
        # A blank reference has a score too, which says nothing about the translation.
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                raise TranslatorError(
                    f"{path}, line {number}: a blank line can't be scored; remove this line from "
                    "the sentences and from all references"
                )
    sources = [path.name for path in references]
    return [Example(line, list(refs), sources) for line, *refs in zip(*columns, strict=True)]
