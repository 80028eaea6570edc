"""The settings of `corpus`: which sentence pairs are read, and which of them are kept."""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from translator.config.checks import require_at_most, require_positive
from translator.errors import TranslatorError

# The name of the default corpus as a source.
DEFAULT_CORPUS = "tatoeba"
# An epoch of a thousand times a source is long enough for any use, and a typing mistake should not
# fill the memory: an epoch takes about 50 bytes a pair.
_MAX_WEIGHT = 1000.0


@dataclass(frozen=True)
class OriginConfig:
    """Where the pairs of one source come from; without `files` and `hub_name`, nowhere yet.

    Args:
        files: one TSV file, or two line-aligned text files; plain, gzip or xz
        columns: the columns of the two `languages` in a TSV file: numbers from 1, or names of its
            header. null takes those that a header names, or the first two
        hub_name: a data set on the Hugging Face hub, or the path of a local copy
        hub_config: the configuration of the data set, such as "en-es"
        hub_split: the part of the data set to take pairs from
        hub_columns: the columns of the two `languages`; a dot selects a nested column
        hub_rows: stream the data set and take only this many rows, without filling the hub's
            cache; null downloads the whole part
        hub_licence: licence and attribution of the data set, for the report
    """

    files: str | list[str] = field(default_factory=list)
    columns: list[int | str] | None = None
    hub_name: str | None = None
    hub_config: str | None = None
    hub_split: str = "train"
    hub_columns: list[str] = field(default_factory=lambda: ["translation.en", "translation.es"])
    hub_rows: int | None = None
    hub_licence: str = "see the data set's page on the hub"

    def origin(self) -> dict[str, Any]:
        """Return the settings of this class alone, without those of its subclasses."""
        return {setting.name: getattr(self, setting.name) for setting in fields(OriginConfig)}

    def _check_origin(self, section: str) -> None:
        if self.hub_name and self.files:
            raise TranslatorError(
                f"{section}.files and {section}.hub_name are both set: keep one of them"
            )
        if self.columns is not None:
            if not self.files:
                raise TranslatorError(f"{section}.columns needs {section}.files: a TSV file")
            possible = all(isinstance(column, str) or column > 0 for column in self.columns)
            if not possible or len(self.columns) != 2 or len({*self.columns}) != 2:
                raise TranslatorError(
                    f"{section}.columns must name two different columns, such as [2,4] or [en,es]"
                )
        if len(self.hub_columns) != 2:
            raise TranslatorError(f"{section}.hub_columns must name exactly two, such as [en, es]")
        if self.hub_rows is not None:
            require_positive(section, self, "hub_rows")


@dataclass(frozen=True)
class SourceConfig(OriginConfig):
    """One of several sources that are trained on together.

    With neither `files` nor `hub_name`, it is the default corpus, and must be named after it.

    Args:
        name: how reports call it
        weight: how often each of its pairs occurs in an epoch: 0.5 takes half of the pairs in each
            epoch, and 5 takes every pair five times
    """

    name: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise TranslatorError(
                "corpus.sources: each source needs a name of letters, digits, full stops, hyphens "
                f'and underscores, not "{self.name}"'
            )
        section = f"corpus.sources[{self.name}]"
        self._check_origin(section)
        require_positive(section, self, "weight")
        require_at_most(section, self, _MAX_WEIGHT, "weight")
        if not (self.files or self.hub_name or self.name == DEFAULT_CORPUS):
            raise TranslatorError(
                f"{section} has neither files nor hub_name: set one of them. The only corpus that "
                f"needs neither is {DEFAULT_CORPUS}"
            )


@dataclass(frozen=True)
class CorpusConfig(OriginConfig):
    """Where the sentence pairs come from, and which of them are kept.

    `files` and `hub_name` are the short forms for a single source. Without them and without
    `sources`, the default corpus is used.

    Args:
        sources: several sources, each with a name and its own files, or hub_name with the other
            settings of the hub, and a weight
        direction: source and target language: "en-es" or "es-en"
        languages: the languages of the two columns (or files), in their order
        max_chars: drop pairs with a side of more than this many characters; the longest sentence
            of the default corpus has 332
        max_length_ratio: drop pairs whose word counts differ by more than this factor
        dev_sentences: number of source sentences for choosing the best weights, from each source;
            at most a tenth of a source is used
        test_sentences: number of source sentences for the final score, from each source; at most a
            tenth of a source is used
    """

    sources: list[SourceConfig] = field(default_factory=list)
    direction: str = "en-es"
    languages: list[str] = field(default_factory=lambda: ["en", "es"])
    max_chars: int = 500
    max_length_ratio: float = 3.0
    dev_sentences: int = 2000
    test_sentences: int = 2000

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        self._check_origin("corpus")
        self._check_sources()
        if len(self.languages) != 2:
            raise TranslatorError("corpus.languages must name exactly two, such as [en, es]")
        first, second = self.languages
        if first.casefold() == second.casefold():
            raise TranslatorError(f"corpus.languages must differ, but both are {first}")
        if self.direction not in (f"{first}-{second}", f"{second}-{first}"):
            raise TranslatorError(
                f'corpus.direction is "{self.direction}", but corpus.languages are {first} and '
                f'{second}: write "{first}-{second}" or "{second}-{first}"'
            )
        names = ("max_chars", "max_length_ratio", "dev_sentences", "test_sentences")
        require_positive("corpus", self, *names)

    def _check_sources(self) -> None:
        short = "files" if self.files else "hub_name" if self.hub_name else None
        if self.sources and short:
            raise TranslatorError(
                f"corpus.sources and corpus.{short} are both set: {short} is the short form for a "
                "single source, so make it one of the sources"
            )
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise TranslatorError(
                    f'corpus.sources: two sources are called "{name}": give each a name of its own'
                )

    def each_source(self) -> list[SourceConfig]:
        """Return the sources; the short forms and the default corpus are a single one."""
        if self.sources:
            return self.sources
        name = "files" if self.files else "hub" if self.hub_name else DEFAULT_CORPUS
        return [SourceConfig(name=name, **self.origin())]

    def with_only(self, source: SourceConfig) -> "CorpusConfig":
        """Return the same settings in the short form for one of the sources."""
        return replace(self, sources=[], **source.origin())

    @property
    def src_lang(self) -> str:
        """The source language."""
        first, second = self.languages
        return first if self.direction == f"{first}-{second}" else second

    @property
    def tgt_lang(self) -> str:
        """The target language."""
        first, second = self.languages
        return second if self.src_lang == first else first
