"""Replace misspelled words with known ones, since a model can only guess at words it never saw."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from translator.text.lexicon import WORD, Lexicon, stem
from translator.text.pipeline import Applied
from translator.text.rewriting import Edit, rewrite

# A shorter word is near to many others. Swapped letters are the surest sign of a typing error.
_MIN_LETTERS, _MIN_LETTERS_SWAPPED = 5, 3
# A longer one is not a word, and the search takes time and memory in the square of its length.
_MAX_LETTERS = 30
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
            unknown = stem(word[0])
            if unknown in self.lexicon.counts or not word[0].startswith(unknown):
                continue
            correct = self._nearest(unknown)
            if correct:
                edits.append(Edit(word.start(), word.start() + len(unknown), correct))
        warnings = [f'"{text[begin:end]}" is read as "{new}"' for begin, end, new in edits]
        return Applied([rewrite(text, edits)[0]], None, tuple(warnings))

    def restore(self, parts: Sequence[str], state: None) -> str:
        """Return the text as it is."""
        [text] = parts
        return text

    def _nearest(self, word: str) -> str | None:
        """Return the most frequent known word at a distance of one error, swapped letters first."""
        if len(word) > _MAX_LETTERS:
            return None
        counts = self.lexicon.counts
        for least, candidates in (
            (_MIN_LETTERS_SWAPPED, _swapped(word)),
            (_MIN_LETTERS, self._changed(word)),
        ):
            known = [w for w in candidates if counts.get(w, 0) >= _MIN_COUNT]
            if known and len(word) >= least:
                return max(known, key=lambda candidate: (counts[candidate], candidate))
        return None

    def _changed(self, word: str) -> Iterator[str]:
        """Yield the known words with one letter more, less or exchanged."""
        # A pattern for each place is faster than all letters at each place.
        any_letter = "|".join(
            f"{re.escape(word[:i])}.?{re.escape(word[i + skipped :])}"
            for i in range(len(word) + 1)
            for skipped in (0, 1)
        )
        pattern = re.compile(any_letter)
        for known in self.lexicon.counts:
            if abs(len(known) - len(word)) <= 1 and pattern.fullmatch(known):
                yield known


def _swapped(word: str) -> Iterator[str]:
    """Yield the word with two neighboring letters swapped, at each place."""
    for i in range(len(word) - 1):
        yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]
