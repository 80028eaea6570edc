"""Look at a corpus while it is read, and refuse what can't be pairs of the two languages.

Nothing is judged without evidence: a corpus of a few lines, or in languages that `guess_language`
doesn't know, is taken as it is.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from translator.config import CorpusConfig
from translator.corpus.text_files import Row
from translator.errors import TranslatorError, printable
from translator.text.languages import guess_language, language_code, language_name

# With fewer lines, nothing is judged.
MIN_LINES = 20
# Between this number of lines and twice as many are looked at, spread evenly over the corpus.
_SAMPLE = 1000
# Limits on what is kept of each of them; the columns of the two languages are always kept.
_MAX_CHARS, _MAX_COLUMNS = 500, 10

_NUMBERS = "numbers"
# Share of the cells from which on a column holds numbers: some sentences are numbers, too.
_MIN_NUMBERS = 0.9
# What tokenizers such as those of Moses and of the Penn Treebank leave: escaped signs, endings of
# their own, marked hyphens, a space before a comma or a period (but not before "...").
_TOKENIZED = re.compile(
    r"&(?:apos|quot|amp|lt|gt|#\d+);| n't\b| '(?:s|m|re|ve|ll|d)\b|@-@| [,.](?=\s|$)"
)
# Ordinary text has such a sign in one of a hundred lines at most.
_MIN_TOKENIZED = 0.2
# Even of noisy corpora, cleaning drops less than half.
_MAX_DROPPED = 0.5


class Sample:
    """Some lines of a corpus, spread evenly over it; how many it has need not be known.

    Attributes:
        lines: the cells of each, shortened
    """

    def __init__(self) -> None:
        """Begin with no lines."""
        self.lines: list[list[str]] = []
        self._number = 0
        self._step = 1

    def add(self, cells: Sequence[str], columns: int) -> None:
        """Take the next line of the corpus, or skip it; keep this many columns at least."""
        if self._number % self._step == 0:
            kept = cells[: max(columns, _MAX_COLUMNS)]
            self.lines.append([cell[:_MAX_CHARS] for cell in kept])
            if len(self.lines) == 2 * _SAMPLE:
                del self.lines[1::2]
                self._step *= 2
        self._number += 1

    def columns(self) -> list[list[str]]:
        """Return the cells of each column that are not blank."""
        width = max(map(len, self.lines), default=0)
        return [
            [line[i] for line in self.lines if i < len(line) and line[i].strip()]
            for i in range(width)
        ]


@dataclass(frozen=True)
class Inspection:
    """Looks at the lines of a corpus, and tells what was taken for what.

    Attributes:
        name: the corpus
        languages: the two languages
        columns: the index of the column of each, among the cells of a line
        label: names a column
        fix: what to change if the columns hold something else, given better columns if there are,
            and whether one of the columns holds numbers
        numbers_are_chosen: whether the user has asked for these columns even if they hold numbers
    """

    name: str
    languages: Sequence[str]
    columns: tuple[int, int]
    label: Callable[[int], str]
    fix: Callable[[tuple[int, int] | None, bool], str]
    numbers_are_chosen: bool = False
    sample: Sample = field(default_factory=Sample)

    def add(self, cells: Sequence[str]) -> None:
        """Look at the next line."""
        self.sample.add(cells, max(self.columns) + 1)

    def finish(self, notes: Sequence[str] = ()) -> None:
        """Print what was taken for what, and whether the text is tokenized.

        Args:
            notes: what else is known about the file

        Raises:
            TranslatorError: a column holds numbers, or clearly another language.
        """
        if not self.sample.lines:
            return
        columns = self.sample.columns()
        kinds = [_kind(cells) for cells in columns]
        better = self._better_columns(kinds)
        taken = []
        wrong = []
        for language, column in zip(self.languages, self.columns, strict=True):
            kind = kinds[column]
            seen = _describe(kind)
            if self._is_wrong(language, kind, kinds, better):
                wrong.append(f"{self.label(column)} {seen} and should be {language}")
            taken.append(f"{self.label(column)} is {language}" + f" ({seen})" * bool(seen))
        if wrong:
            fix = self.fix(better, _NUMBERS in [kinds[column] for column in self.columns])
            raise TranslatorError(f"{self.name}: {', '.join(wrong)}: {fix}")
        _print(f"{self.name}: {', '.join([*taken, *notes])}")
        for column in self.columns:
            self._warn_if_tokenized(column, columns[column])

    def _is_wrong(
        self,
        language: str,
        kind: str | None,
        kinds: Sequence[str | None],
        better: tuple[int, int] | None,
    ) -> bool:
        """Whether a column that should have a language clearly has something else."""
        if kind is None:
            return False
        if kind == _NUMBERS:
            return not self.numbers_are_chosen
        code = language_code(language)
        codes = [language_code(other) for other in self.languages]
        if code is not None:
            # The other language is a mistake. A third one may be called so on purpose, as long as
            # no other column has the right one.
            return kind != code and (kind in codes or better is not None)
        # Of an unknown language, only this is known: it is not in both columns.
        return kind in codes and [kinds[i] for i in self.columns].count(kind) == 1

    def _better_columns(self, kinds: Sequence[str | None]) -> tuple[int, int] | None:
        """Return the columns that have the two languages, if they can be told."""
        better: list[int] = []
        for language in self.languages:
            code = language_code(language)
            # A column of an unknown language is one that nothing is known about.
            found = [i for i, kind in enumerate(kinds) if kind == code and i not in better]
            better += found[:1]
        return (better[0], better[1]) if len(better) == 2 else None

    def _warn_if_tokenized(self, column: int, cells: Sequence[str]) -> None:
        found = [match[0].strip() for match in map(_TOKENIZED.search, cells) if match]
        if len(cells) < MIN_LINES or len(found) < _MIN_TOKENIZED * len(cells):
            return
        examples = ", ".join(f'"{sign}"' for sign in sorted(set(found))[:3])
        _print(
            f"note: {self.name}: {len(found) / len(cells):.0%} of the lines of "
            f"{self.label(column)} are tokenized or escaped ({examples}), which people don't type "
            "and the model would write; detokenize them first, for example with sacremoses"
        )


def inspected(rows: Iterator[Row], inspection: Inspection) -> Iterator[Row]:
    """Yield the rows of a corpus, and look at them; the columns are those of src and tgt."""
    for row in rows:
        inspection.add((row["src"], row["tgt"]))
        yield row
    inspection.finish()


def _kind(cells: Sequence[str]) -> str | None:
    """Return what a column holds: the code of a language, or numbers; None if that is unclear."""
    if len(cells) < MIN_LINES:
        return None
    if sum(map(_is_number, cells)) >= _MIN_NUMBERS * len(cells):
        return _NUMBERS
    return guess_language(cells)


def _is_number(cell: str) -> bool:
    """Whether a cell is a number or an identifier: it has digits, and no letters or no space."""
    if not any(map(str.isdigit, cell)):
        return False
    return not any(map(str.isalpha, cell)) or (cell.isascii() and len(cell.split()) == 1)


def _describe(kind: str | None) -> str:
    if kind is None:
        return ""
    return "holds numbers" if kind == _NUMBERS else f"looks like {language_name(kind)}"


def _print(message: str) -> None:
    tqdm.write(printable(message), file=sys.stderr)  # above the progress bar, if there is one


def refuse_mostly_dropped(
    name: str, read: int, dropped: Mapping[str, int], config: CorpusConfig
) -> None:
    """Refuse a corpus if cleaning drops most of its pairs.

    Duplicates don't count. Neither do limits that are stricter than the defaults: somebody chose
    them to get a part of the corpus.

    Args:
        name: the corpus
        read: number of pairs before cleaning
        dropped: number of dropped pairs by reason
        config: the limits of cleaning

    Raises:
        TranslatorError: most pairs were dropped.
    """
    columns = "see whether the two columns are right (corpus.columns, corpus.hub_columns)"
    fixes = {"empty side": columns, "copied side": columns}
    if config.max_chars >= CorpusConfig.max_chars:
        fixes["too long"] = "set corpus.max_chars if that is right"
    if config.max_length_ratio >= CorpusConfig.max_length_ratio:
        fixes["length ratio"] = f"{columns}, or set corpus.max_length_ratio"
    counts = {reason: dropped[reason] for reason in fixes if reason in dropped}
    unique = read - dropped.get("exact duplicate", 0)
    if unique < MIN_LINES or sum(counts.values()) <= _MAX_DROPPED * unique:
        return
    reason = max(counts, key=lambda reason: counts[reason])
    raise TranslatorError(
        f"{name}: {sum(counts.values())} of {unique} pairs would be dropped, most of them for "
        f'"{reason}": {fixes[reason]}'
    )
