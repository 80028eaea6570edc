"""What a preparation did: where the pairs came from, how many were kept, and their hashes."""

from collections import Counter
from dataclasses import dataclass, field
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
class SourceReport:
    """How the pairs of one source were cleaned and split.

    Attributes:
        name: its name in `corpus.sources`, or that of the short form
        source: what it is, such as the names of its files
        licence: its licence and attribution
        pairs_read: number of pairs before cleaning
        dropped: number of pairs dropped by cleaning, by reason
        pairs_kept: number of pairs after cleaning
        train_pairs: number of pairs to train on
        dev_sentences: number of source sentences of dev that are from it
        test_sentences: number of source sentences of test that are from it
    """

    name: str
    source: str
    licence: str
    pairs_read: int
    dropped: dict[str, int]
    pairs_kept: int
    train_pairs: int
    dev_sentences: int
    test_sentences: int


@dataclass(frozen=True)
class CorpusReport:
    """How the pairs were cleaned and split.

    Attributes:
        source: name of the corpus; with several sources, all of them
        licence: its licence and attribution; with several sources, those of each
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
        sources: the same by source, in the order of the training pairs; empty in a run of a
            version that had only one source
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
    sources: list[SourceReport] = field(default_factory=list, kw_only=True)

    @staticmethod
    def of_sources(
        sources: list[SourceReport],
        *,
        direction: str,
        train_sha256: str,
        unused_pairs: int,
        dev: HeldOutCounts,
        test: HeldOutCounts,
        seconds: float,
    ) -> "CorpusReport":
        """Return a report whose other counts are the sums over the sources."""
        dropped: Counter[str] = Counter()
        for source in sources:
            dropped.update(source.dropped)
        return CorpusReport(
            source=_join({source.name: source.source for source in sources}),
            licence=_join({source.name: source.licence for source in sources}),
            direction=direction,
            pairs_read=sum(source.pairs_read for source in sources),
            dropped=dict(sorted(dropped.items())),
            pairs_kept=sum(source.pairs_kept for source in sources),
            train_pairs=sum(source.train_pairs for source in sources),
            train_sha256=train_sha256,
            unused_pairs=unused_pairs,
            dev=dev,
            test=test,
            seconds=seconds,
            sources=sources,
        )


def _join(texts: dict[str, str]) -> str:
    """Join texts about the sources; a single one needs no name."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


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
            *self._rows_by_source(),
            ("vocabulary", self.vocab_size),
            ("words with a translation", self.words),
            ("phrases with a translation", self.phrases),
            ("seconds", round(self.seconds + self.tokenizer_seconds, 1)),
            ("licence", self.licence),
        ]
        return str(
            tabulate(rows, tablefmt="plain", colalign=("left", "left"), preserve_whitespace=True)
        )

    def _rows_by_source(self) -> list[tuple[str, object]]:
        """Counts of each source; of a single one they are those of the corpus, and left out."""
        if len(self.sources) == 1:
            return []
        return [row for source in self.sources for row in _source_rows(source)]


def _source_rows(source: SourceReport) -> list[tuple[str, object]]:
    return [
        (f"{source.name}: pairs read", source.pairs_read),
        *((f"  dropped: {reason}", -count) for reason, count in source.dropped.items()),
        (f"{source.name}: pairs kept", source.pairs_kept),
        ("  for training", source.train_pairs),
        ("  dev: source sentences", source.dev_sentences),
        ("  test: source sentences", source.test_sentences),
    ]


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
