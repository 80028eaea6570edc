"""Read sentence pairs from a TSV file: find the columns that hold the two languages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from translator.corpus.inspection import MIN_LINES, Inspection
from translator.corpus.text_files import Row, read_columns
from translator.errors import TranslatorError
from translator.text.languages import language_code

# Headers that tell the first of the corpus.languages from the second without their names.
_FIRST = frozenset({"source", "src", "sentence", "text", "original"})
_SECOND = frozenset({"target", "tgt", "trg", "translation"})
# Share of the lines up to which those with more columns than most have a tab inside a sentence.
# Otherwise some lines have a column, such as the attribution, that others lack.
_MAX_WIDER = 0.1


@dataclass(frozen=True)
class Columns:
    """Which columns of a TSV file hold what.

    Attributes:
        texts: the index (from 0) of the column of each language, in the order of corpus.languages
        has_header: whether the first line is a header
        chosen: whether the user has chosen the columns
    """

    texts: tuple[int, int]
    has_header: bool
    chosen: bool

    @property
    def attribution(self) -> int:
        """The index of the attribution: the first column that has neither language."""
        return min({0, 1, 2} - {*self.texts})


def find_columns(
    path: Path, first: Sequence[str], languages: Sequence[str], chosen: Sequence[int | str] | None
) -> Columns:
    """Find the columns of the two languages.

    Without a choice, they are those that the header names, or the first two.

    Args:
        path: the file, for error messages
        first: the cells of its first line
        languages: the two languages
        chosen: the numbers (from 1) or header names of their columns, if the user chose them

    Raises:
        TranslatorError: the first line doesn't have a chosen column.
    """
    named = _named_columns(first, languages)
    if chosen is None:
        return Columns(named or (0, 1), named is not None, False)
    names = _folded(first)
    texts = []
    for column in chosen:
        if isinstance(column, int) and column <= len(first):
            texts.append(column - 1)
        elif isinstance(column, str) and names.count(column.strip().casefold()) == 1:
            texts.append(names.index(column.strip().casefold()))
        else:
            raise TranslatorError(
                f"{path}, line 1: no column {column}, which corpus.columns names; the columns are "
                + ", ".join(f"{i} ({cell[:20]})" for i, cell in enumerate(first[:6], start=1))
            )
    has_header = named is not None or any(isinstance(column, str) for column in chosen)
    return Columns((texts[0], texts[1]), has_header, True)


def _folded(cells: Sequence[str]) -> list[str]:
    return [cell.strip().casefold() for cell in cells]


def _named_columns(first: Sequence[str], languages: Sequence[str]) -> tuple[int, int] | None:
    """Return the columns that a header names; None if the line is no header."""
    names = _folded(first)
    for wanted in (
        [{language.casefold(), language_code(language)} - {None} for language in languages],
        [_FIRST, _SECOND],
    ):
        found = [
            [i for i, name in enumerate(names) if not {name, language_code(name)}.isdisjoint(those)]
            for those in wanted
        ]
        if all(len(places) == 1 for places in found) and found[0] != found[1]:
            return found[0][0], found[1][0]
    return None


def read_tsv(
    path: Path,
    languages: Sequence[str],
    src_lang: str,
    chosen: Sequence[int | str] | None = None,
) -> Iterator[Row]:
    """Read the rows of a TSV file.

    At the end, what was taken for what is printed.

    Args:
        path: the file
        languages: the two languages
        src_lang: the one to translate from
        chosen: the numbers (from 1) or header names of their columns; None finds them

    Raises:
        TranslatorError: a line can't be read or has too few columns; or the file clearly doesn't
            have the two languages in these columns, or has tabs inside sentences.
    """
    lines = read_columns(path)
    first = next(lines, None)
    if first is None:
        return
    columns = find_columns(path, first[1], languages, chosen)
    if not columns.has_header:
        lines = chain([first], lines)
    src, tgt = columns.texts if languages[0] == src_lang else columns.texts[::-1]
    inspection = _inspection(path, languages, columns)
    widths = _Widths()
    for number, cells in lines:
        if len(cells) <= max(src, tgt):
            raise TranslatorError(
                f"{path}, line {number}: it has {len(cells)} columns, and none with the number "
                f"{max(src, tgt) + 1}; each line needs both sentences"
            )
        widths.add(number, cells)
        inspection.add(cells)
        attribution = cells[columns.attribution] if columns.attribution < len(cells) else path.name
        yield {"src": cells[src], "tgt": cells[tgt], "source": attribution}
    if not columns.chosen:
        widths.refuse_tabs(path, columns)
    notes = ["line 1 is a header"] if columns.has_header else []
    if widths.usual > columns.attribution:
        notes.append(f"column {columns.attribution + 1} is the attribution")
    inspection.finish(notes)


def _inspection(path: Path, languages: Sequence[str], columns: Columns) -> Inspection:
    def fix(better: tuple[int, int] | None, numbers: bool) -> str:
        if better:
            return f"set --corpus.columns {_numbers(better)}"
        as_it_is = f" (--corpus.columns {_numbers(columns.texts)} accepts numbers)" * numbers
        return f"set corpus.columns to the columns of both languages{as_it_is}, or corpus.languages"

    return Inspection(
        path.name,
        languages,
        columns.texts,
        label=lambda column: f"column {column + 1}",
        fix=fix,
        numbers_are_chosen=columns.chosen,
    )


def _numbers(columns: tuple[int, int]) -> str:
    return f"[{columns[0] + 1},{columns[1] + 1}]"


class _Widths:
    """Counts the lines of a file by their number of columns, without blank ones at the end."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.first: dict[int, int] = {}

    def add(self, number: int, cells: Sequence[str]) -> None:
        width = len(cells)
        while width and not cells[width - 1].strip():
            width -= 1
        self.counts[width] += 1
        self.first.setdefault(width, number)

    @property
    def usual(self) -> int:
        """The number of columns that most lines have."""
        return max(self.counts, key=lambda width: self.counts[width], default=0)

    def refuse_tabs(self, path: Path, columns: Columns) -> None:
        """Raise an error if a few lines have more columns than the others."""
        wider = [width for width in self.counts if width > self.usual]
        lines = sum(self.counts[width] for width in wider)
        if not wider or lines > _MAX_WIDER * self.counts.total() or self.counts.total() < MIN_LINES:
            return
        width = min(wider, key=lambda width: self.first[width])
        raise TranslatorError(
            f"{path}, line {self.first[width]}: {width} columns, but most lines have "
            f"{self.usual}; is there a tab inside a sentence? Remove it; or set --corpus.columns "
            f"{_numbers(columns.texts)} if the other columns of such lines may be ignored"
        )
