"""Replace misspelled words with known ones, since a model can only guess at words it never saw."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from translator.text.casing import is_capitalized
from translator.text.lexicon import WORD, Lexicon
from translator.text.pipeline import Applied
from translator.text.rewriting import Edit, replace_spans

# A shorter word is near to many others, and a longer one is no word.
_MIN_LETTERS, _MAX_LETTERS = 3, 30
# A rarer word is no safe guess.
_MIN_COUNT = 5
# British spellings, and the American ones of the default corpus. ("theatre" swaps two letters, and
# "travelled" doubles one.)
_BRITISH = [
    ("our", "or"), ("is", "iz"), ("ys", "yz"), ("ogue", "og"), ("ence", "ense"), ("ae", "e"),
    ("oe", "e"), ("mme", "m"), ("grey", "gray"),
]  # fmt: skip


@dataclass(frozen=True)
class Spelling:
    """Replace unknown words by known ones that are spelled almost the same.

    Only differences that rarely turn one word into another are corrected: two neighboring letters
    swapped, a letter doubled or a double letter written once, and British for American spelling.
    (When any letter could differ, "resolution" became "revolution".) In a capitalized word, which
    may be a name, only swapped letters are corrected. Of several known words, the most frequent one
    is taken. `restore` changes nothing; `apply` warns of each replacement.

    Attributes:
        lexicon: the known words
    """

    lexicon: Lexicon

    def apply(self, text: str) -> Applied[None]:
        """Replace misspelled words."""
        edits = []
        for word in WORD.finditer(text):
            unknown = word[0].partition("'")[0]
            correct = correct_spelling(unknown, self.lexicon)
            if correct:
                edits.append(Edit(word.start(), word.start() + len(unknown), correct))
        warnings = [f'"{text[begin:end]}" is read as "{new}"' for begin, end, new in edits]
        return Applied([replace_spans(text, edits)], None, tuple(warnings))

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Return the text as it is."""
        [text] = parts
        return text


def correct_spelling(word: str, lexicon: Lexicon) -> str | None:
    """Return the known word for a misspelled one; None if it is known, or nothing is near.

    Args:
        word: in lowercase or capitalized; for other forms, nothing is returned
        lexicon: the known words
    """
    lower = word.lower()
    if lower in lexicon.counts or not _MIN_LETTERS <= len(word) <= _MAX_LETTERS:
        return None
    if word == lower:
        near = [*_swapped(word), *_doubled(word), *_american(word)]
        return _most_frequent(near, lexicon)
    if not is_capitalized(word):
        return None
    correct = _most_frequent(_swapped(lower), lexicon)
    return correct and correct.capitalize()


def _swapped(word: str) -> Iterator[str]:
    for i in range(len(word) - 1):
        yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _doubled(word: str) -> Iterator[str]:
    for i, letter in enumerate(word):
        yield word[:i] + letter + word[i:]
        if word[i + 1 : i + 2] == letter:
            yield word[:i] + word[i + 1 :]


def _american(word: str) -> Iterator[str]:
    for british, american in _BRITISH:
        if british in word:
            yield word.replace(british, american)


def _most_frequent(words: Iterable[str], lexicon: Lexicon) -> str | None:
    counts = lexicon.counts
    frequent = [word for word in words if counts.get(word, 0) >= _MIN_COUNT]
    return max(frequent, key=lambda word: (counts[word], word)) if frequent else None
