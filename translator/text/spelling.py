"""Replace misspelled words with known ones, since a model can only guess at words it never saw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from translator.text.casing import is_capitalized
from translator.text.lexicon import WORD, Lexicon
from translator.text.pipeline import Applied
from translator.text.rewriting import Edit, rewrite

# A shorter word is near to many others. Swapped letters are the surest sign of a typing error.
_MIN_LETTERS, _MIN_LETTERS_SWAPPED = 5, 3
# A rarer word is no safe guess.
_MIN_COUNT = 5


@dataclass(frozen=True)
class Spelling:
    """Replace unknown words in lowercase by known words at a distance of one typing error.

    The errors are two swapped letters, and one letter too many, too few or exchanged (Damerau
    1964). This covers most British spellings where the training text has American ones. Of several
    known words, the most frequent one is taken, as in Norvig 2007, "How to write a spelling
    corrector". `restore` changes nothing; `apply` warns of each replacement.

    Attributes:
        lexicon: the known words
    """

    lexicon: Lexicon

    def apply(self, text: str) -> Applied[None]:
        """Replace misspelled words."""
        edits = []
        for word in WORD.finditer(text):
            unknown = word[0].partition("'")[0]
            correct = self._correct(unknown)
            if correct:
                edits.append(Edit(word.start(), word.start() + len(unknown), correct))
        warnings = [f'"{text[begin:end]}" is read as "{new}"' for begin, end, new in edits]
        return Applied([rewrite(text, edits)[0]], None, tuple(warnings))

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Return the text as it is."""
        [text] = parts
        return text

    def _correct(self, word: str) -> str | None:
        """Return the known word for a misspelled one; None if it is known, or nothing is near."""
        lower = word.lower()
        if lower in self.lexicon.counts:
            return None
        if word == lower:
            return swap_letters(word, self.lexicon) or self._nearest(word)
        swapped = swap_letters(lower, self.lexicon)
        return swapped.capitalize() if swapped and is_capitalized(word) else None

    def _nearest(self, word: str) -> str | None:
        """Return the most frequent known word with one letter more, less or exchanged."""
        if len(word) < _MIN_LETTERS:
            return None
        near = [
            *self._near.get(word, []),
            *_deletions(word),
            *(other for gap in _gaps(word) for other in self._near.get(gap, [])),
        ]
        return most_frequent(near, self.lexicon)

    @cached_property
    def _near(self) -> dict[str, list[str]]:
        """The frequent words by their forms without a letter, and by those with a gap instead."""
        near: dict[str, list[str]] = {}
        for word, count in self.lexicon.counts.items():
            if count >= _MIN_COUNT:
                for form in {*_deletions(word), *_gaps(word)}:
                    near.setdefault(form, []).append(word)
        return near


def _deletions(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _gaps(word: str) -> list[str]:
    return [f"{word[:i]}_{word[i + 1 :]}" for i in range(len(word))]


def swap_letters(word: str, lexicon: Lexicon) -> str | None:
    """Return the most frequent known word that is this one with two neighboring letters swapped."""
    if len(word) < _MIN_LETTERS_SWAPPED:
        return None
    swapped = (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1))
    return most_frequent(swapped, lexicon)


def most_frequent(words: Iterable[str], lexicon: Lexicon) -> str | None:
    """Return the most frequent of some words; None if all are rarer than `_MIN_COUNT`."""
    counts = lexicon.counts
    frequent = [word for word in words if counts.get(word, 0) >= _MIN_COUNT]
    return max(frequent, key=lambda word: (counts[word], word)) if frequent else None
