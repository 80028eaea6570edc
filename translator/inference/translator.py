"""Text in, text out: prepare the texts, encode, search, decode, and restore their form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from translator.data.tokenizer import EOS_ID, Tokenizer
from translator.errors import TranslatorError
from translator.inference.arguments import check_search_options, check_texts, require_text
from translator.inference.engine import ENGINES, Engine, Hypothesis, joined
from translator.inference.parts import SearchOptions, TranslatedPart, translate_parts
from translator.runs.run import Run
from translator.text.model_text import ModelText
from translator.text.normalization import SURROGATES, Normalization, normalize
from translator.text.pipeline import Applied, Pipeline, PipelineState
from translator.text.segmentation import Length, Sentences
from translator.text.structure import FinalMark, Frame, Lines, Tags

if TYPE_CHECKING:
    from torch import Tensor

# Longer sentences are split, since 99 % of those of the default corpus have at most 14 words, and a
# model stops early on longer ones. A quickstart's BLEU (chrF) on parliament sentences of 26 to 60
# words was 12.5 (42.4) with this limit, 11.6 (40.6) with 20 words, and 8.7 (34.1) with 40.
_MAX_PART_WORDS = 15
# Words of many tokens make a sentence long, too. Hardly any training sentence has so many tokens.
_MAX_PART_TOKENS = 80
# No part is longer than this; the longest addresses (URLs) that browsers take hardly reach it. A
# text without a space is halved until its parts fit, and each look at all of it would cost much.
_MAX_PART_CHARS = 2000

T = TypeVar("T")


@dataclass(frozen=True)
class Translation:
    """The translation of a text.

    Attributes:
        text: as many lines as the text had, with the white space around them; a line is blank if
            the model found nothing to say
        score: log-probability divided by length ** length_penalty (see `Hypothesis.score`), not
            counting copied parts; 0 if nothing was translated; NaN after a greedy search without
            scores
        alternatives: up to n, the best first, as (text, score)
        warnings: what the reader should know: split sentences, unknown characters, a stopped search
    """

    text: str
    score: float
    alternatives: list[tuple[str, float]]
    warnings: list[str] = field(default_factory=list)


class Translator:
    """Translates texts with an engine that searches and the tokenizer of its model.

    Attributes:
        engine: the model, ready to search
        tokenizer: the tokenizer that the model was trained with
        model_text: gives texts the form that the model reads
        loop_guard: whether degenerate translations are replaced; see `translate_parts`
        src_lang: language of the texts
        tgt_lang: language of their translations
        pipeline: the steps that prepare a text, and that are undone on its translation
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        model_text: ModelText,
        *,
        loop_guard: bool = True,
    ) -> None:
        """Join an engine, a tokenizer, and the words that they were trained with."""
        self.engine = engine
        self.tokenizer = tokenizer
        self.model_text = model_text
        self.loop_guard = loop_guard
        self.src_lang, self.tgt_lang = model_text.src_lang, model_text.tgt_lang
        self.pipeline = Pipeline(
            [
                Lines(),
                Tags(),
                Frame(),  # of a line: bullets, quotation marks around it
                Sentences(),
                Frame(),  # of a sentence
                Normalization(),
                Length(self._fits),
                FinalMark(),
                model_text.steps,
            ]
        )

    def translate(
        self,
        texts: Sequence[str],
        *,
        beam_size: int = 5,
        length_penalty: float = 1.0,
        n_best: int = 1,
        with_scores: bool = True,
    ) -> list[Translation]:
        """Translate texts, each by itself; the result has their order.

        The sentences of a text are translated one by one. Lines, white space, bullets and enclosing
        quotation marks stay as they are. Names that the model doesn't know, numbers, addresses,
        tags and unknown characters are copied. A misspelled word is read as a known one, with a
        warning. A text in capitals is translated as ordinary text, and its translation put into
        capitals. A sentence that is too long is split at clauses or words, with a warning.

        Args:
            texts: any number, of any length
            beam_size: hypotheses kept by the search; 1 is greedy search
            length_penalty: exponent of the length in the score; more favors long translations
            n_best: alternatives to return, at most beam_size
            with_scores: False makes greedy search a little faster, and its scores NaN

        Raises:
            TranslatorError: an argument makes no sense.
        """
        texts = check_texts(texts)
        check_search_options(beam_size, length_penalty, n_best)

        options = SearchOptions(beam_size, length_penalty, n_best, with_scores, self.loop_guard)
        applied = [self.pipeline.apply(text.translate(SURROGATES)) for text in texts]
        # The parts of all texts together, so that the engine can make batches of similar length.
        parts = [part for result in applied for part in result.parts]
        left = iter(translate_parts(self.engine, self.tokenizer, parts, options))
        return [
            self._translation(result, list(islice(left, len(result.parts))), length_penalty, n_best)
            for result in applied
        ]

    def _fits(self, text: str) -> bool:
        if len(text) > _MAX_PART_CHARS or len(text.split()) > _MAX_PART_WORDS:
            return False
        if not self.model_text.protection.fits(text):
            return False
        # A text has at most one token for each character and one for the space before it, and at
        # most twice as many characters for the model: most texts need not be converted to know.
        if len(text) < _MAX_PART_TOKENS // 2:
            return True
        [converted] = self.model_text.steps.apply(text).parts
        if len(converted) < _MAX_PART_TOKENS:
            return True
        return len(self.tokenizer.encode([converted])[0]) <= _MAX_PART_TOKENS

    def _translation(
        self,
        applied: Applied[PipelineState],
        parts: list[TranslatedPart],
        length_penalty: float,
        n_best: int,
    ) -> Translation:
        """Restore a text from its parts: its k-th best has the k-th best of each part."""
        # Different tokens can spell the same text, and raising its letters can make texts equal.
        best: dict[str, float] = {}
        for k in range(n_best if parts else 1):
            texts = [_kth_or_last(part.texts, k) for part in parts]
            text = self.pipeline.restore(texts, applied.state)
            chosen = [_kth_or_last(part.hypotheses, k) for part in parts if part.hypotheses]
            best[text] = max(_joint_score(chosen, length_penalty), best.get(text, -math.inf))
        alternatives = sorted(best.items(), key=lambda alternative: -alternative[1])
        text, score = alternatives[0]
        warnings = [*applied.warnings, *(warning for part in parts for warning in part.warnings)]
        return Translation(text, score, alternatives, list(dict.fromkeys(warnings)))

    def cross_attention(self, src: str, tgt: str) -> "tuple[list[str], list[str], Tensor]":
        """Return the cross-attention of each target token while it was predicted.

        Args:
            src: a source sentence
            tgt: its translation

        Returns:
            The source tokens (S, eos last), the target tokens (T, eos last), and the
            cross-attention weights (layers, H, T, S).

        Raises:
            TranslatorError: the engine doesn't return its attention, or a sentence is no text.
        """
        require_text("src", src)
        require_text("tgt", tgt)
        pair = self.model_text.pair(normalize(src), normalize(tgt))
        src_ids, tgt_ids = self.tokenizer.encode(list(pair))
        [weights] = self.engine.cross_attention([src_ids], [tgt_ids], layers=None)
        src_tokens = self.tokenizer.pieces([*src_ids, EOS_ID])
        return src_tokens, self.tokenizer.pieces([*tgt_ids, EOS_ID]), weights


def _kth_or_last(items: list[T], k: int) -> T:
    return items[min(k, len(items) - 1)]


def _joint_score(hypotheses: list[Hypothesis], length_penalty: float) -> float:
    """The score of hypotheses one after the other; 0 if there are none."""
    return joined(hypotheses).score(length_penalty) if hypotheses else 0.0


def load_translator(
    run: Run, device: str = "auto", engine: str = "pytorch", *, loop_guard: bool = True
) -> Translator:
    """Load the translator of a run.

    Args:
        run: a trained run; for ctranslate2 an exported one
        device: auto, cpu, cuda or mps
        engine: one of `ENGINES`
        loop_guard: replace degenerate translations (see `translate_parts`); False returns what the
            search found

    Raises:
        TranslatorError: the run is missing, damaged or of another format, or the engine or the
            device is not available.
    """
    if engine not in ENGINES:
        raise TranslatorError(f'unknown engine "{engine}"; there are: {", ".join(ENGINES)}')
    run.require_own_tokenizer()
    tokenizer = Tokenizer(run.tokenizer)
    loaded = _load_engine(run, tokenizer, device, engine)
    # Not from the configuration: reading that takes longer than loading a CTranslate2 model.
    manifest = run.read_manifest()
    model_text = ModelText.load(
        run.lexicon, manifest.src_lang, manifest.tgt_lang, tokenizer.alphabet
    )
    return Translator(loaded, tokenizer, model_text, loop_guard=loop_guard)


def _load_engine(run: Run, tokenizer: Tokenizer, device: str, engine: str) -> Engine:
    library, _, compute_type = engine.partition("-")
    # Each engine imports only what it needs: PyTorch alone takes seconds to import.
    if library == "pytorch":
        from translator.inference.pytorch import load_pytorch_engine

        return load_pytorch_engine(run, device, compute_type or "float32")
    from translator.inference.ctranslate2 import load_ctranslate2_engine

    return load_ctranslate2_engine(run, tokenizer, compute_type or "float32", device)
