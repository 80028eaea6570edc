"""Write capitals as marker tokens, so that "The", "the" and "THE" are one word to the model.

This is inline casing (Bérard et al. 2019, WMT robustness task; Etchegoyhen & Gete 2020). Words are
in lowercase, and a marker stands before a word that is capitalized inside a sentence ("⇧ tom") or
that is all in capitals ("⇪ usa"). The first word of a sentence has its usual case instead: its
capital says nothing about the word, and is put back afterwards.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from translator.text.lexicon import WORD, Lexicon, stem
from translator.text.pipeline import Applied
from translator.text.rewriting import Edit, replace_spans
from translator.text.symbols import CAPITALIZED, PLACEHOLDERS, UPPERCASE

_MARKED = re.compile(f"([{CAPITALIZED}{UPPERCASE}]) ?({WORD.pattern})")
# A marker that a model wrote before something else, with one of the spaces around it.
_STRAY = re.compile(f"^(?:[{CAPITALIZED}{UPPERCASE}] ?)+| ?[{CAPITALIZED}{UPPERCASE}]")
# The first sign of a text that may have a case: not a letter if the text begins with a number or a
# placeholder.
_FIRST = re.compile(rf"[^\W_]|[{PLACEHOLDERS}]")
# A shorter text in capitals is more likely an abbreviation, unless its word is known.
_MIN_UPPERCASE_LETTERS = 4
# Share of the words beyond the first, among those usually in lowercase, that a title capitalizes.
# Titles have small words in lowercase ("of", "the").
_TITLE_SHARE = 0.6
# English words that are always written with a capital. They need no marker.
_ALWAYS_CAPITALIZED = {"en": "i"}


@dataclass(frozen=True)
class CaseState:
    """How a text was written.

    Attributes:
        uppercase: all its letters were capitals
        capitalized: its first letter was a capital
    """

    uppercase: bool
    capitalized: bool


@dataclass(frozen=True)
class Casing:
    """Convert capitals to markers, and the markers of the translation to capitals.

    `restore` undoes `apply` on ordinary sentences: not if all is in capitals or in lowercase, nor
    in a Title. A word with two capitals (HEllo), an English "i", and a first word that usually has
    another case come back in their usual form.

    Attributes:
        lexicon: the usual case of the words, in the language of the text
        language: the language of the text
        tgt_language: the language of the translation
    """

    lexicon: Lexicon
    language: str
    tgt_language: str

    def apply(self, text: str) -> Applied[CaseState]:
        """Convert capitals to markers."""
        informative = not says_nothing(text, self.lexicon)
        marked = replace_spans(text, self.edits(text, informative=informative))
        first = _FIRST.search(text)
        capitalized = first is None or not first[0].islower()
        uppercase = _is_uppercase(text, self.lexicon)
        return Applied([marked], CaseState(uppercase, capitalized))

    def edits(self, text: str, *, informative: bool) -> list[Edit]:
        """Return the changes that `apply` makes to a text.

        Args:
            text: a sentence
            informative: whether the case of its words can be trusted; see `says_nothing`
        """
        first = _FIRST.search(text)
        begin = first.start() if first else 0
        edits = []
        for word in WORD.finditer(text):
            form = word[0].capitalize() if is_shifted(word[0]) else word[0]
            if not informative or (word.start() == begin and is_capitalized(form)):
                form = self.lexicon.true_form(form)
            marked = self._mark(form)
            if marked != word[0]:
                edits.append(Edit(*word.span(), marked))
        return edits

    def _mark(self, form: str) -> str:
        lower = form.lower()
        if form == lower or len(lower) != len(form):
            return form
        if stem(lower) == _ALWAYS_CAPITALIZED.get(self.language) and form[1:] == lower[1:]:
            return lower
        if form[1:] == lower[1:]:
            return f"{CAPITALIZED} {lower}"
        return f"{UPPERCASE} {lower}" if form.isupper() else form

    def restore(self, parts: Sequence[str], state: CaseState) -> str:
        """Convert markers to capitals, and give the text the case of its source."""
        [text] = parts
        text = _STRAY.sub("", _MARKED.sub(_raise, text))
        if always := _ALWAYS_CAPITALIZED.get(self.tgt_language):
            text = WORD.sub(lambda w: _raise_first(w[0]) if stem(w[0]) == always else w[0], text)
        if state.uppercase:
            return text.upper()
        return capitalize_first(text) if state.capitalized else text


def _raise(marked: re.Match[str]) -> str:
    marker, word = marked[1], marked[2]
    return word.upper() if marker == UPPERCASE else _raise_first(word)


def _raise_first(word: str) -> str:
    return word[:1].upper() + word[1:]


def capitalize_first(text: str) -> str:
    """Capitalize the first letter of a text, which may follow signs such as ¿."""
    first = _FIRST.search(text)
    if first is None:
        return text
    return text[: first.start()] + first[0].upper() + text[first.end() :]


def says_nothing(text: str, lexicon: Lexicon) -> bool:
    """Whether the case of a text says nothing about its words.

    This is so if all is in lowercase or in capitals, and in a Title Like This.
    """
    if text == text.lower() or _is_uppercase(text, lexicon):
        return True
    words = WORD.findall(text)
    # Words that are capitalized everywhere, such as names, don't tell a title from a sentence.
    # Neither do unknown ones, since most of them are names.
    usually_lower = [
        word
        for word in words[1:]
        if stem(word) in lexicon.counts and lexicon.true_form(word).islower()
    ]
    raised = sum(word[0].isupper() for word in usually_lower)
    return raised > 1 and bool(raised >= _TITLE_SHARE * len(usually_lower))


def _is_uppercase(text: str, lexicon: Lexicon) -> bool:
    """Whether a text is in capitals that its words don't usually have."""
    if not text.isupper():
        return False
    words = [word for word in WORD.findall(text) if len(word) > 1]
    shouted = any(stem(w) in lexicon.counts and lexicon.true_form(w) != w for w in words)
    return shouted or sum(map(len, words)) >= _MIN_UPPERCASE_LETTERS


def is_capitalized(form: str) -> bool:
    """Whether the first letter of a word is a capital, and no other one."""
    return form[0].isupper() and form[1:] == form[1:].lower()


def is_shifted(form: str) -> bool:
    """Whether two capitals begin a word, as if the shift key was held too long; not "TVs"."""
    return len(form) > 3 and form[:2].isupper() and form[2:].islower()


def is_mixed(form: str) -> bool:
    """Whether a word has a capital after a lowercase letter, as in McDonald."""
    return form != form.lower() and not form.isupper() and form[1:] != form[1:].lower()
