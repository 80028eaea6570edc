"""Which words a language's training text has, and which of them it writes with capitals."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from translator.text.segmentation import split_sentences

# The name of the file with the words of both languages; it belongs to a tokenizer.
LEXICON_FILE = "lexicon.json"
# A word may contain apostrophes (don't, O'Brien), but no digits.
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# A corpus of any size has few words that matter beyond these. They take about 3 MB as JSON.
_MAX_WORDS = 100_000
# A capitalized word that occurs at least so often is learned like any other word. Rarer names are
# better copied than translated.
_MIN_NAME_COUNT = 30
# A name that occurs less often can't be learned at all, even if the training text translates it.
_MIN_LEARNED_COUNT = 3
# Share of the sentences with a name whose translation has it too, from which on it is copied.
_MIN_COPIED = 0.5


@dataclass(frozen=True)
class Lexicon:
    """The words of one language.

    Attributes:
        counts: the words that the model learns to translate, in lowercase and without what follows
            an apostrophe, and how often they occur; names that it only has to copy are left out
        forms: the usual form inside a sentence of words that are usually not in lowercase, such as
            {"london": "London", "usa": "USA"}
    """

    counts: dict[str, int] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)

    def merged_with(self, other: "Lexicon") -> "Lexicon":
        """Return the words of both, with the larger count and the form that `other` has.

        To merge the result with `other` again changes nothing, so that a resumed training gets the
        words that it was started with.
        """
        counts = dict(Counter(self.counts) | Counter(other.counts))
        return Lexicon(counts, {**self.forms, **other.forms})

    def true_form(self, word: str) -> str:
        """Return the form that a word usually has inside a sentence; unknown words in lowercase."""
        first = stem(word)  # of Tom's or I'm
        return self.forms.get(first, first) + word[len(first) :].lower()


@dataclass(frozen=True)
class Lexicons:
    """The words of the source and of the target language."""

    src: Lexicon = field(default_factory=Lexicon)
    tgt: Lexicon = field(default_factory=Lexicon)

    def merged_with(self, other: "Lexicons") -> "Lexicons":
        """Return the words of both."""
        return Lexicons(self.src.merged_with(other.src), self.tgt.merged_with(other.tgt))


def stem(word: str) -> str:
    """Return the part of a word before its first apostrophe, in lowercase."""
    return word.partition("'")[0].lower()


class _Forms:
    """Counts how the words of a language are written."""

    def __init__(self) -> None:
        self.inside: dict[str, Counter[str]] = {}
        self.total: Counter[str] = Counter()
        self.lower: Counter[str] = Counter()

    def add(self, text: str) -> None:
        for sentence, _ in split_sentences(text):
            for position, word in enumerate(WORD.findall(sentence)):
                first = word.partition("'")[0]
                key = first.lower()
                self.total[key] += 1
                self.lower[key] += first == key
                if position:
                    self.inside.setdefault(key, Counter())[first] += 1

    def true_forms(self) -> dict[str, str]:
        """Return the most frequent form inside a sentence, where that isn't lowercase."""
        usual = {key: forms.most_common(1)[0][0] for key, forms in self.inside.items()}
        return {key: form for key, form in usual.items() if form != key}


def count_words(pairs: Iterable[tuple[str, str]]) -> Lexicons:
    """Count the words of normalized sentence pairs.

    A rare name that most translations leave as it is, and a very rare one, don't count as words of
    the source language: they are spans to copy, like the names that no training sentence has.
    """
    src, tgt = _Forms(), _Forms()
    with_name: Counter[str] = Counter()
    copied: Counter[str] = Counter()
    for src_text, tgt_text in pairs:
        src.add(src_text)
        tgt.add(tgt_text)
        names = {stem(w): w.partition("'")[0] for w in WORD.findall(src_text) if w[0].isupper()}
        tgt_words = {w.partition("'")[0] for w in WORD.findall(tgt_text)} if names else set()
        for key, name in names.items():
            with_name[key] += 1
            copied[key] += name in tgt_words
    names_to_copy = {
        key
        for key, count in with_name.items()
        if not src.lower[key]
        and count < _MIN_NAME_COUNT
        and (
            copied[key] >= _MIN_COPIED * count
            # A word that only begins sentences need not be a name.
            or (count < _MIN_LEARNED_COUNT and key in src.inside)
        )
    }
    counts = {k: n for k, n in src.total.most_common(_MAX_WORDS) if k not in names_to_copy}
    return Lexicons(
        Lexicon(counts, src.true_forms()),
        Lexicon(dict(tgt.total.most_common(_MAX_WORDS)), tgt.true_forms()),
    )
