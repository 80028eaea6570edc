"""Text in, text out: what a trained run is for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from translator.data.tokenizer import EOS_ID, UNK_ID, Tokenizer
from translator.errors import TranslatorError
from translator.inference.engine import ENGINES, Engine, Hypothesis
from translator.runs.run import Run
from translator.text.normalization import normalize
from translator.text.segmentation import cut, sentences

if TYPE_CHECKING:
    from torch import Tensor

# The default corpus has next to no longer sentence, so a model has not learnt to go further.
_MAX_PART_TOKENS = 80
# With more, a search takes minutes and memory, and finds nothing better.
_MAX_BEAM_SIZE = 1000
# Beyond, only length would count.
_MAX_LENGTH_PENALTY = 10
# A text of so many letters, all capital, is taken for shouting rather than for an abbreviation.
_MIN_UPPERCASE_LETTERS = 4


@dataclass(frozen=True)
class Translation:
    """The translation of a text.

    Attributes:
        text: as many lines as the text had; empty for an empty one, or where the model has nothing
            to say
        score: log-probability divided by length ** length_penalty (see `Hypothesis.score`),
            copied parts not counted; 0 if nothing was translated; not a number if a greedy
            search wasn't asked for it
        alternatives: up to n, the best first, as (text, score)
        warnings: what the reader should know: cut parts, unknown characters, a stopped search
    """

    text: str
    score: float
    alternatives: list[tuple[str, float]]
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Part:
    """What is translated in one go, a sentence as a rule.

    Attributes:
        text: normalised, not in capitals
        shouted: it was
        space: white space that follows
        found: its translations, the best first; none if it is copied
        texts: those of `found`
    """

    text: str
    shouted: bool
    space: str
    found: list[Hypothesis] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass
class _Job:
    """A text on its way."""

    parts: list[_Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Translator:
    """An engine that searches, and the tokenizer of its model."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer) -> None:
        """Join the two."""
        self.engine = engine
        self.tokenizer = tokenizer

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

        Its sentences are translated one by one, and joined with the white space that stood between
        them; one that is too long is cut at clauses or words. Sentences in capitals are translated
        in lower case and raised again, since models hardly ever see capitals. Characters that the
        model has never seen are left out, unless a part has no letter that it knows: such a part
        is copied.

        Args:
            texts: any number, of any length
            beam_size: beginnings kept by the search; 1 is greedy search
            length_penalty: exponent of the length in the score; more favours long translations
            n_best: alternatives to return, at most beam_size
            scored: False makes greedy search a little faster, and its scores not a number

        Raises:
            TranslatorError: an argument makes no sense.
        """
        if isinstance(texts, str):
            raise TranslatorError("translate() takes a list of texts: put the text into [ ]")
        possible = 0 <= length_penalty <= _MAX_LENGTH_PENALTY and 1 <= n_best <= beam_size
        if not possible or beam_size > _MAX_BEAM_SIZE:
            raise TranslatorError(
                f"beam_size must be between 1 and {_MAX_BEAM_SIZE}, length_penalty between 0 and "
                f"{_MAX_LENGTH_PENALTY}, and n_best between 1 and beam_size (they are {beam_size}, "
                f"{length_penalty}, {n_best})"
            )
        jobs = [self._job(text) for text in texts]
        parts = [(job, part) for job in jobs for part in job.parts]
        ids = self.tokenizer.encode([part.text for _, part in parts])
        # No training sentence had an unknown piece: a model can't know what to do with one.
        known = [[i for i in row if i != UNK_ID] for row in ids]
        # Numbers, signs and scripts it can't read are the same in both languages.
        readable = [
            i
            for i, (_, part) in enumerate(parts)
            if any(map(str.isalpha, self._read(part.text, ids[i], known[i])))
        ]
        searched = self.engine.search(
            [known[i] for i in readable], beam_size, length_penalty, n_best, with_scores=with_scores
        )
        # All at once, as with the ids above: a call of SentencePiece costs more than a sentence.
        texts_found = iter(self.tokenizer.decode([h.ids for found in searched for h in found]))
        for i, found in zip(readable, searched, strict=True):
            _, part = parts[i]
            part.found, part.texts = found, list(islice(texts_found, len(found)))
        for (job, part), of_part in zip(parts, ids, strict=True):
            job.warnings += self._warnings(part, of_part)
        return [self._translation(job, length_penalty, n_best) for job in jobs]

    def _job(self, text: str) -> _Job:
        job = _Job()
        for written, space in sentences(text):
            sentence = normalize(written)
            if not sentence:
                continue
            shouted = (
                sentence.isupper() and sum(map(str.isalpha, sentence)) >= _MIN_UPPERCASE_LETTERS
            )
            pieces = cut(sentence.capitalize() if shouted else sentence, self._fits)
            if len(pieces) > 1:
                job.warnings.append(f"a long sentence, translated in {len(pieces)} parts")
            job.parts += [_Part(piece, shouted, " ") for piece in pieces]
            job.parts[-1].space = space
        return job

    def _read(self, text: str, ids: list[int], known: list[int]) -> str:
        """What is left of a text without its unknown pieces."""
        return text if len(known) == len(ids) else self.tokenizer.decode([known])[0]

    def _fits(self, text: str) -> bool:
        # No piece is longer than the text: most texts need not be encoded to know.
        return (
            len(text) < _MAX_PART_TOKENS
            or len(self.tokenizer.encode([text])[0]) <= _MAX_PART_TOKENS
        )

    def _warnings(self, part: _Part, ids: list[int]) -> list[str]:
        warnings = []
        found = part.found
        if UNK_ID in ids:
            unknown = [
                c for c in dict.fromkeys(part.text) if UNK_ID in self.tokenizer.encode([c])[0]
            ]
            done = "ignored" if found else "copied"
            warnings.append(
                f"characters that the model has never seen are {done}: {' '.join(unknown)}"
            )
        if found and not found[0].ids:
            warnings.append(f'the model has nothing to say to "{part.text}"')
        if found and not found[0].complete:
            warnings.append("the model found no end; its translation is stopped")
        return warnings

    def _translation(self, job: _Job, length_penalty: float, n_best: int) -> Translation:
        """Join the parts: the k-th best of a text has the k-th best of each part."""
        # Several ways to cut one text into pieces, or to raise its letters, give it twice.
        best: dict[str, float] = {}
        for k in range(n_best if job.parts else 0):
            chosen: list[Hypothesis] = []
            joined = ""
            for part in job.parts:
                text = part.text
                if part.found:
                    own = min(k, len(part.found) - 1)
                    chosen.append(part.found[own])
                    text = part.texts[own]
                if text:
                    joined += (text.upper() if part.shouted else text) + part.space
            whole = Hypothesis(
                ids=[i for h in chosen for i in h.ids],
                log_prob=sum(h.log_prob for h in chosen),
                length=sum(h.length for h in chosen),
                complete=all(h.complete for h in chosen),
            )
            score = whole.score(length_penalty) if chosen else 0.0
            text = joined.strip()
            best[text] = max(score, best.get(text, -math.inf))
        alternatives = sorted(best.items(), key=lambda alternative: -alternative[1])
        text, score = alternatives[0] if alternatives else ("", 0.0)
        return Translation(text, score, alternatives, list(dict.fromkeys(job.warnings)))

    def cross_attention(self, src: str, tgt: str) -> "tuple[list[str], list[str], Tensor]":
        """What each target piece looked at while it was predicted.

        Args:
            src: a source sentence
            tgt: its translation

        Returns:
            The source pieces (S, eos last), the target pieces (T, eos last), and the
            cross-attention weights (layers, H, T, S).

        Raises:
            TranslatorError: the engine doesn't show them.
        """
        src_ids, tgt_ids = self.tokenizer.encode([normalize(src), normalize(tgt)])
        [weights] = self.engine.cross_attention([src_ids], [tgt_ids], layers=None)
        src_pieces = self.tokenizer.pieces([*src_ids, EOS_ID])
        return src_pieces, self.tokenizer.pieces([*tgt_ids, EOS_ID]), weights


def load_translator(run: Run, device: str = "auto", engine: str = "pytorch") -> Translator:
    """Load the translator of a run.

    Args:
        run: a trained run; for ctranslate2 an exported one
        device: auto, cpu, cuda or mps
        engine: one of `ENGINES`

    Raises:
        TranslatorError: the run is missing, damaged or of another format, or the engine or the
            device is not there.
    """
    if engine not in ENGINES:
        raise TranslatorError(f'unknown engine "{engine}"; there are: {", ".join(ENGINES)}')
    run.require_own_tokenizer()
    tokenizer = Tokenizer(run.tokenizer)
    return Translator(_load_engine(run, tokenizer, device, engine), tokenizer)


def _load_engine(run: Run, tokenizer: Tokenizer, device: str, engine: str) -> Engine:
    library, _, compute_type = engine.partition("-")
    # Each imports what the other can do without: PyTorch alone takes seconds.
    if library == "pytorch":
        from translator.inference.pytorch import load_pytorch_engine

        return load_pytorch_engine(run, device, compute_type or "float32")
    from translator.inference.ctranslate2 import load_ctranslate2_engine

    return load_ctranslate2_engine(run, tokenizer, compute_type or "float32", device)
