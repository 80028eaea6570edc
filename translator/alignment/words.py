"""Split sentences into words, and find the tokens of each word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError
from translator.text.model_text import Located, ModelText
from translator.text.normalization import normalize
from translator.text.rewriting import Span

Floats = npt.NDArray[np.float64]

# A word, which may contain punctuation (don't, 5.50, well-known), or a run of one other character.
_WORD = re.compile(r"\w+(?:[.,:/’'-]\w+)*|([^\w\s])\1*")
# The weights of a pair take memory for each source token times each target token. A longer side is
# no sentence; pictures of so many words are 150 inches wide.
_MAX_WORDS, _MAX_CHARS = 400, 4000
# Punctuation written without a space before the next word, or after the previous word.
_OPENING, _CLOSING = frozenset("¿¡([{«“‘"), frozenset(".,;:!?…)]}»”’%")


@dataclass(frozen=True)
class Words:
    """A sentence and its words.

    Attributes:
        text: the sentence, as a model reads it
        words: its W words
        spans: the span of each word in `text`
    """

    text: str
    words: list[str]
    spans: list[Span]


@dataclass(frozen=True)
class Tokens:
    """The tokens of a sentence.

    Attributes:
        ids: N ids
        spans: the span of each token in `Words.text`
    """

    ids: list[int]
    spans: list[Span]


# Source and target.
Pair = tuple[Words, Words]


def split_words(text: str) -> Words:
    """Split a sentence into words; punctuation marks are words of their own."""
    text = normalize(text)
    found = list(_WORD.finditer(text))
    return Words(text, [word[0] for word in found], [word.span() for word in found])


def split_pretokenized(line: str) -> Words:
    """Split a line into words at white space, the input format of other aligners.

    In `text`, separate punctuation ("Yes , of course .") is attached to its word, since a model
    reads text as people write it.
    """
    words = line.split()
    text = ""
    spans: list[Span] = []
    attach_next = True
    quoted = False
    for word in words:
        written = normalize(word)
        closing = bool(written) and _CLOSING.issuperset(written)
        if written == '"':
            closing, quoted = quoted, not quoted
        text += "" if attach_next or closing else " "
        spans.append((len(text), len(text) + len(written)))
        text += written
        attach_next = _OPENING.issuperset(written) or (written == '"' and quoted)
    return Words(text, words, spans)


def require_sentences(pair: Pair, place: str) -> None:
    """Check that both sides of a pair are short enough to be aligned.

    Args:
        pair: source and target
        place: where they are from, for the error message

    Raises:
        TranslatorError: a side is longer than any sentence.
    """
    if any(len(side.words) > _MAX_WORDS or len(side.text) > _MAX_CHARS for side in pair):
        raise TranslatorError(
            f"{place}: too long to align; split it into sentences (at most {_MAX_WORDS} words and "
            f"{_MAX_CHARS} characters on each side)"
        )


def encode_pairs(
    pairs: Sequence[Pair], model_text: ModelText, tokenizer: Tokenizer
) -> list[tuple[Tokens, Tokens]]:
    """Encode pairs as in training, and find the span of each token.

    A token for a capital or for a protected span has the span of what it stands for.

    Returns:
        For each pair, the tokens of the source and those of the target.
    """
    located = [model_text.locate(src.text, tgt.text) for src, tgt in pairs]
    src, tgt = (_encode([pair[side] for pair in located], tokenizer) for side in (0, 1))
    return list(zip(src, tgt, strict=True))


def _encode(texts: Sequence[Located], tokenizer: Tokenizer) -> list[Tokens]:
    # All at once, since a call of SentencePiece takes longer than a sentence.
    encoded = tokenizer.encode_with_spans([text.text for text in texts])
    return [
        Tokens(ids, [text.span_before(*span) if span[0] < span[1] else (0, 0) for span in spans])
        for text, (ids, spans) in zip(texts, encoded, strict=True)
    ]


def character_overlap(words: Sequence[Span], tokens: Sequence[Span]) -> Floats:
    """The words that each token of a sentence belongs to.

    Args:
        words: the spans of W words
        tokens: the spans of N tokens

    Returns:
        (N, W): of the characters of each token that belong to any word, the share in each word. The
        row of a token outside of all words is zero.
    """
    word_begin, word_end = (np.array(words, dtype=np.float64).reshape(-1, 2).T)[:, None, :]
    begin, end = (np.array(tokens, dtype=np.float64).reshape(-1, 2).T)[:, :, None]
    common = np.clip(np.minimum(word_end, end) - np.maximum(word_begin, begin), 0, None)  # (N, W)
    shared: Floats = common / np.maximum(common.sum(axis=1, keepdims=True), 1)
    return shared
