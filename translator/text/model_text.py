"""The text of the model: capitals are markers, and protected spans are placeholders."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from translator.system.records import read_record
from translator.text.casing import Casing, says_nothing
from translator.text.lexicon import Lexicons
from translator.text.pipeline import Pipeline
from translator.text.protection import Protection
from translator.text.rewriting import Edit, Span, replace_spans, rewrite
from translator.text.spelling import Spelling


@dataclass(frozen=True)
class Located:
    """A text for the model, and what it was made from.

    Attributes:
        text: the text for the model
        changes: the original text and the one with protected spans, each with the edits that led
            to the next text
    """

    text: str
    changes: Sequence[tuple[str, Sequence[Edit]]]

    @cached_property
    def origin(self) -> list[Span]:
        """The span of the original text behind each character."""
        before, after = (rewrite(text, edits)[1] for text, edits in self.changes)
        return [(before[begin][0], before[end - 1][1]) for begin, end in after]

    def span_before(self, begin: int, end: int) -> Span:
        """Return the span of the original text for a span of this one, which isn't empty."""
        return self.origin[begin][0], self.origin[end - 1][1]


@dataclass(frozen=True)
class ModelText:
    """Converts texts for a model.

    Attributes:
        src_lang: the source language
        tgt_lang: the target language
        lexicons: their words
        alphabet: the characters that the model knows; if empty, it knows all
    """

    src_lang: str
    tgt_lang: str
    lexicons: Lexicons
    alphabet: frozenset[str] = frozenset()

    @staticmethod
    def load(
        lexicon: Path, src_lang: str, tgt_lang: str, alphabet: frozenset[str] = frozenset()
    ) -> "ModelText":
        """Read the words that `prepare` counted.

        Raises:
            TranslatorError: the file is missing or damaged.
        """
        return ModelText(src_lang, tgt_lang, read_record(lexicon, Lexicons), alphabet)

    @cached_property
    def protection(self) -> Protection:
        """The step that protects spans."""
        return Protection(self.lexicons.src, self.alphabet)

    @cached_property
    def casing(self) -> Casing:
        """The step that writes capitals as markers, in the source language."""
        return Casing(self.lexicons.src, self.src_lang, self.tgt_lang)

    @cached_property
    def steps(self) -> Pipeline:
        """The steps that convert a sentence to translate, and its translation back."""
        return Pipeline([self.protection, Spelling(self.lexicons.src), self.casing])

    @cached_property
    def _tgt_casing(self) -> Casing:
        return Casing(self.lexicons.tgt, self.tgt_lang, self.tgt_lang)

    def pair(self, src: str, tgt: str) -> tuple[str, str]:
        """Convert a pair for training."""
        located_src, located_tgt = self.locate(src, tgt)
        return located_src.text, located_tgt.text

    def locate(self, src: str, tgt: str) -> tuple[Located, Located]:
        """Convert a pair, and record where each character comes from."""
        src_edits, tgt_edits = self.protection.pair_edits(src, tgt)
        informative = not says_nothing(src, self.lexicons.src)
        return (
            _locate(src, src_edits, self.casing, informative),
            _locate(tgt, tgt_edits, self._tgt_casing, True),  # what the model shall write
        )


def _locate(text: str, edits: Sequence[Edit], casing: Casing, informative: bool) -> Located:
    """Protect spans, and convert capitals."""
    protected = replace_spans(text, edits)
    capitals = casing.edits(protected, informative=informative)
    return Located(replace_spans(protected, capitals), [(text, edits), (protected, capitals)])
