"""Translate the parts of texts, as a rule sentences: encode, search, check, and decode."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, islice

from translator.data.tokenizer import UNK_ID, Tokenizer
from translator.inference.engine import Engine, Hypothesis, joined
from translator.inference.loop_guard import cut_loops, is_degenerate
from translator.text.protection import placeholders, split_at_placeholders, without_placeholders
from translator.text.segmentation import split_in_halves
from translator.text.structure import FinalMark


@dataclass(frozen=True)
class SearchOptions:
    """How to search; see `Translator.translate`."""

    beam_size: int
    length_penalty: float
    n_best: int
    with_scores: bool
    loop_guard: bool


@dataclass(frozen=True)
class TranslatedPart:
    """A part of a text and its translations.

    Attributes:
        hypotheses: the best first; one, joined, if the part was translated in pieces; none if it is
            copied
        texts: the hypotheses as text; the part itself if it is copied
        warnings: what the reader should know
    """

    hypotheses: list[Hypothesis]
    texts: list[str]
    warnings: list[str]


def translate_parts(
    engine: Engine, tokenizer: Tokenizer, parts: Sequence[str], options: SearchOptions
) -> list[TranslatedPart]:
    """Translate texts that have the form of the model; see `ModelText`.

    A part without a letter that the model knows is copied. A hypothesis that lacks a placeholder of
    the part, or has one too many, is dropped. If that leaves none, the texts between the
    placeholders are translated one by one. If the part has no placeholder, those of a hypothesis
    are removed. With the loop guard, a part whose best hypothesis is degenerate (see
    `is_degenerate`) is translated in two halves; in a single word, loops are cut.

    Args:
        engine: searches
        tokenizer: encodes and decodes
        parts: any number; the engine makes batches of similar length
        options: how to search
    """
    ids = tokenizer.encode(list(parts))
    # No training sentence had an unknown token: a model can't know what to do with one.
    known = [[i for i in row if i != UNK_ID] for row in ids]
    readable = [_is_readable(tokenizer, *texts) for texts in zip(parts, ids, known, strict=True)]
    sources = list(compress(known, readable))
    found = engine.search(
        sources,
        options.beam_size,
        options.length_penalty,
        options.n_best,
        with_scores=options.with_scores,
    )
    # All at once, as with the ids above: a call of SentencePiece costs more than a sentence.
    decoded = iter(tokenizer.decode([h.ids for hypotheses in found for h in hypotheses]))
    left = iter(found)
    translated: list[TranslatedPart | None] = []
    in_pieces: list[list[str]] = []  # of the parts that are None for now
    for part, row, src, is_read in zip(parts, ids, known, readable, strict=True):
        if not is_read:
            translated.append(TranslatedPart([], [part], _unknown(tokenizer, part, row, "copied")))
            continue
        hypotheses = next(left)
        texts = _without_invented(part, list(islice(decoded, len(hypotheses))))
        whole = [placeholders(text) == placeholders(part) for text in texts]
        if not any(whole):
            in_pieces.append(split_at_placeholders(part))
            translated.append(None)
            continue
        hypotheses, texts = list(compress(hypotheses, whole)), list(compress(texts, whole))
        if options.loop_guard and is_degenerate(hypotheses[0].ids, src):
            halves = split_in_halves(part)
            if len(halves) > 1:
                in_pieces.append(halves)
                translated.append(None)
                continue
            cut = [cut_loops(h.ids, src) for h in hypotheses]
            texts = _without_invented(part, tokenizer.decode(cut))
        warnings = _unknown(tokenizer, part, row, "ignored") + _warnings(part, hypotheses[0])
        translated.append(TranslatedPart(hypotheses, texts, warnings))
    rest = iter(_translate_in_pieces(engine, tokenizer, in_pieces, options) if in_pieces else [])
    return [next(rest) if part is None else part for part in translated]


def _translate_in_pieces(
    engine: Engine, tokenizer: Tokenizer, parts: Sequence[list[str]], options: SearchOptions
) -> list[TranslatedPart]:
    """Translate parts, given as pieces, piece by piece; all of them together, for larger batches.

    White space at the ends of a piece stays where it is.
    """
    cores = [text.strip() or text for pieces in parts for text in pieces]
    translated = translate_parts(engine, tokenizer, cores, replace(options, n_best=1))
    left = iter(zip(cores, translated, strict=True))
    return [_join(pieces, list(islice(left, len(pieces)))) for pieces in parts]


def _join(pieces: list[str], translated: list[tuple[str, TranslatedPart]]) -> TranslatedPart:
    """Join the translations of the pieces of a part, each given with the text it is of."""
    mark = FinalMark()
    texts = [
        piece.replace(core, mark.restore(found.texts[:1], mark.apply(core).state))
        for piece, (core, found) in zip(pieces, translated, strict=True)
    ]
    hypotheses = [found.hypotheses[0] for _, found in translated if found.hypotheses]
    warnings = [warning for _, found in translated for warning in found.warnings]
    return TranslatedPart([joined(hypotheses)], ["".join(texts)], warnings)


def _without_invented(part: str, texts: list[str]) -> list[str]:
    """Remove the placeholders of translations whose part has none."""
    return texts if placeholders(part) else list(map(without_placeholders, texts))


def _is_readable(tokenizer: Tokenizer, text: str, ids: list[int], known: list[int]) -> bool:
    """Whether the model knows a letter of the text.

    Numbers, signs and scripts that it can't read are the same in both languages.
    """
    read = text if len(known) == len(ids) else tokenizer.decode([known])[0]
    return any(map(str.isalpha, read))


def _unknown(tokenizer: Tokenizer, text: str, ids: list[int], done: str) -> list[str]:
    """Return a list with a warning about unknown characters; an empty one if there are none."""
    if UNK_ID not in ids:
        return []
    unknown = [c for c in dict.fromkeys(text) if UNK_ID in tokenizer.encode([c])[0]]
    return [f"characters that the model has never seen are {done}: {' '.join(unknown)}"]


def _warnings(text: str, best: Hypothesis) -> list[str]:
    warnings = []
    if not best.ids:
        warnings.append(f'the model has nothing to say to "{text}"')
    if not best.complete:
        warnings.append("the model found no end; its translation is stopped")
    return warnings
