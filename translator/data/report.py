"""What a preparation did: where the pairs came from, how many were kept, and their hashes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from translator.errors import TranslatorError
from translator.system.files import prepared_data_error
from translator.system.records import read_record, write_record


@dataclass(frozen=True)
class HeldOutCounts:
    """Counts of the sentences of dev or test, and of those that also occur in training.

    Attributes:
        sentences: number of source sentences
        src_seen: number of sources that occur in training
        tgt_seen: number of sources with a reference that occurs in training
        near: number of sources that differ by one word from a training source
        references: number of references of all sources together
        sha256: hash of the sentences, see `content_hash`
    """

    sentences: int
    src_seen: int
    tgt_seen: int
    near: int
    references: int
    sha256: str


@dataclass(frozen=True)
class CorpusReport:
    """How the pairs were cleaned and split.

    Attributes:
        source: name of the corpus
        licence: its licence and attribution
        direction: such as "en-es"
        pairs_read: number of pairs before cleaning
        dropped: number of pairs dropped by cleaning, by reason
        pairs_kept: number of pairs after cleaning
        train_pairs: number of pairs to train on
        train_sha256: SHA-256 of these pairs, written as a TSV file of two columns
        unused_pairs: number of held-out pairs that are in neither dev nor test
        dev: held out to choose the best weights
        test: held out for the final scores
        seconds: the time it took
    """

    source: str
    licence: str
    direction: str
    pairs_read: int
    dropped: dict[str, int]
    pairs_kept: int
    train_pairs: int
    train_sha256: str
    unused_pairs: int
    dev: HeldOutCounts
    test: HeldOutCounts
    seconds: float


@dataclass(frozen=True)
class TokenizerReport:
    """How the tokenizer was trained and the pairs encoded.

    Attributes:
        vocab_size: number of tokens
        tokenizer_sha256: SHA-256 of tokenizer.model
        lexicon_sha256: SHA-256 of lexicon.json
        words: number of words with a translation, see `extract_phrases`
        phrases: number of phrases with a translation
        tokenizer_seconds: the time it took
    """

    vocab_size: int
    tokenizer_sha256: str
    lexicon_sha256: str
    words: int
    phrases: int
    tokenizer_seconds: float


@dataclass(frozen=True)
class PreparationReport(TokenizerReport, CorpusReport):
    """A whole preparation: the fields of both parts."""

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 by name; equal for two preparations if and only if their training data are."""
        return {
            "train": self.train_sha256,
            "dev": self.dev.sha256,
            "test": self.test.sha256,
            "tokenizer": self.tokenizer_sha256,
            "lexicon": self.lexicon_sha256,
        }

    def table(self) -> str:
        """Return the report as a table for people."""
        from tabulate import tabulate  # slow to import, and most commands print no report

        rows: list[tuple[str, object]] = [
            ("corpus", self.source),
            ("direction", self.direction),
            ("pairs read", self.pairs_read),
            *((f"  dropped: {reason}", -count) for reason, count in self.dropped.items()),
            ("pairs kept", self.pairs_kept),
            ("  for training", self.train_pairs),
            ("    training: SHA-256", self.train_sha256[:16]),
            *_held_out_rows("dev", self.dev),
            *_held_out_rows("test", self.test),
            ("  held out, not needed", self.unused_pairs),
            ("vocabulary", self.vocab_size),
            ("words with a translation", self.words),
            ("phrases with a translation", self.phrases),
            ("seconds", round(self.seconds + self.tokenizer_seconds, 1)),
            ("licence", self.licence),
        ]
        return str(
            tabulate(rows, tablefmt="plain", colalign=("left", "left"), preserve_whitespace=True)
        )


def _held_out_rows(name: str, counts: HeldOutCounts) -> list[tuple[str, object]]:
    return [
        (f"  for {name}", counts.references),
        (f"    {name}: source sentences", counts.sentences),
        (f"    {name}: sources seen in training", counts.src_seen),
        (f"    {name}: references seen in training", counts.tgt_seen),
        (f"    {name}: one word from a training source", counts.near),
        (f"    {name}: SHA-256", counts.sha256[:16]),
    ]


Part = TypeVar("Part", CorpusReport, TokenizerReport)


def read_report(folder: Path, part: type[Part]) -> Part:
    """Read the report of a prepared corpus or of a tokenizer.

    Args:
        folder: where the corpus or the tokenizer is
        part: the class of the report

    Raises:
        TranslatorError: the report is missing or damaged.
    """
    path = _path(folder)
    try:
        return read_record(path, part)
    except TranslatorError as error:
        raise prepared_data_error(path, folder) from error


def write_report(folder: Path, report: CorpusReport | TokenizerReport) -> None:
    """Write the report of a corpus or of a tokenizer into its folder."""
    write_record(_path(folder), report)


def join_reports(corpus: CorpusReport, tokenizer: TokenizerReport) -> PreparationReport:
    """Join the reports of the two parts into that of the whole preparation."""
    return PreparationReport(**vars(corpus), **vars(tokenizer))


def _path(folder: Path) -> Path:
    return folder / "report.json"
