"""Short English texts with a property that their Spanish translation must have.

The words, with accepted translations, are in words.tsv. Sentences with numbers and names are made
by rule from templates, with a fixed seed.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources

from translator.evaluation.probe_texts import (
    COMMON_NAMES,
    LINES,
    NAME_TEMPLATES,
    NUMBER_TEMPLATES,
    QUESTIONS,
    QUOTES,
    RARE_NAMES,
    SPANS,
)
from translator.text.normalization import fold

_SEED = 2
_NUMBER_SENTENCES = 60
_ARTICLES = {"el", "la", "los", "las", "lo", "un", "una", "unos", "unas"}
# How people type a word; nouns also with an article.
_WORD_FORMS: dict[str, Callable[[str], str]] = {
    "cat": str,
    "Cat": str.capitalize,
    "Cat.": lambda word: f"{word.capitalize()}.",
    "CAT": str.upper,
}
# What starts a list item.
_BULLET = re.compile(r"^(?:[-*•]|\d+\.)(?= )")
_QUOTE_MARKS = "\"“”«»'‘’"


@dataclass(frozen=True)
class Probe:
    """A text to translate, and the property that its translation must have.

    Attributes:
        measure: name of the measure that it counts for
        src: the text
        passes: whether a translation has the property
    """

    measure: str
    src: str
    passes: Callable[[str], bool]


def english_spanish_probes() -> list[Probe]:
    """Return all probes, the same in every call."""
    rng = random.Random(_SEED)
    return [
        *_word_probes(),
        *_number_probes(rng),
        *_name_probes(rng),
        *(Probe("spans kept", src, _keeps_spans(src, spans)) for src, spans in SPANS),
        *(Probe("lines and bullets kept", src, _keeps_lines(src)) for src in LINES),
        *(Probe("quotes kept", src, _has_two_quote_marks) for src in QUOTES),
        *(Probe("question with ¿ ?", f"{src}?", _is_question) for src in QUESTIONS),
        *(Probe("question without a mark, with ¿ ?", src, _is_question) for src in QUESTIONS),
    ]


def read_words() -> list[tuple[str, str, list[str]]]:
    """Read words.tsv: English words, their part of speech, and accepted Spanish translations.

    Of a verb these are the infinitive and usual forms of the present, of an adjective all forms.
    """
    text = (resources.files(__package__) / "words.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return [(word, kind, accepted.split(", ")) for word, kind, accepted in rows]


def _word_probes() -> Iterator[Probe]:
    for word, kind, accepted in read_words():
        passes = _is_word(accepted)
        for form, typed in _WORD_FORMS.items():
            yield Probe(f"word: {form}", typed(word), passes)
        if kind == "noun":
            yield Probe("word: the cat", f"the {word}", passes)


def _is_word(accepted: list[str]) -> Callable[[str], bool]:
    """Compare without case, punctuation and a leading article."""

    def passes(translation: str) -> bool:
        words = fold(translation).split()
        if words and words[0] in _ARTICLES:
            words = words[1:]
        return " ".join(words) in accepted

    return passes


def _number_probes(rng: random.Random) -> Iterator[Probe]:
    for k in range(_NUMBER_SENTENCES):
        template, kind = NUMBER_TEMPLATES[k % len(NUMBER_TEMPLATES)]
        number, *other_forms = _MAKERS[kind](rng)
        yield Probe("numbers kept", template.format(number), _contains([number, *other_forms]))


def _integer(rng: random.Random) -> list[str]:
    return [str(rng.randint(13, 989))]


def _thousands(rng: random.Random) -> list[str]:
    number = f"{rng.randint(10_000, 999_999):,}"
    return [number, number.replace(",", "."), number.replace(",", " ")]


def _decimal(rng: random.Random) -> list[str]:
    number = f"{rng.randint(2, 99)}.{rng.randint(1, 99):02}"
    return [number, number.replace(".", ",")]


def _time(rng: random.Random) -> list[str]:
    return [f"{rng.randint(1, 12)}:{rng.randint(0, 59):02}"]


def _percentage(rng: random.Random) -> list[str]:
    number = rng.randint(2, 98)
    return [f"{number}%", f"{number} %", f"{number} por ciento"]


def _year(rng: random.Random) -> list[str]:
    return [str(rng.randint(1802, 2049))]


def _date(rng: random.Random) -> list[str]:
    return [f"{rng.randint(2000, 2039)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"]


def _version(rng: random.Random) -> list[str]:
    return [f"{rng.randint(1, 19)}.{rng.randint(0, 19)}.{rng.randint(0, 19)}"]


def _phone(rng: random.Random) -> list[str]:
    return [f"{rng.randint(200, 989)}-{rng.randint(200, 989)}-{rng.randint(1000, 9999)}"]


# Each returns a number as it is typed, and how else a Spanish text may write it.
_MAKERS: dict[str, Callable[[random.Random], list[str]]] = {
    "integer": _integer,
    "thousands": _thousands,
    "decimal": _decimal,
    "time": _time,
    "percentage": _percentage,
    "year": _year,
    "date": _date,
    "version": _version,
    "phone": _phone,
}


def _name_probes(rng: random.Random) -> Iterator[Probe]:
    people = [template for template, kind in NAME_TEMPLATES if kind == "person"]
    unusual = [*RARE_NAMES, *(invented_name(rng) for _ in RARE_NAMES)]
    for k, name in enumerate(unusual):
        yield Probe("unusual names kept", people[k % len(people)].format(name), _contains([name]))
    for k, (name, kind, *other_forms) in enumerate(COMMON_NAMES):
        templates = [template for template, suits in NAME_TEMPLATES if suits == kind]
        src = templates[k % len(templates)].format(name)
        yield Probe("common names kept", src, _contains([name, *other_forms]))


def invented_name(rng: random.Random) -> str:
    """Join two or three syllables of a consonant and a vowel, and a last consonant."""
    syllables = [
        rng.choice("bdfgklmnrstvz") + rng.choice("aeiou") for _ in range(rng.choice([2, 3]))
    ]
    return ("".join(syllables) + rng.choice("nrlx")).capitalize()


def _contains(accepted: list[str]) -> Callable[[str], bool]:
    """Look for one of the strings; not for a part of a longer word or number."""
    forms = "|".join(map(re.escape, accepted))
    pattern = re.compile(rf"(?<!\w)(?<!\d[.,:-])(?:{forms})(?!\w|[.,:-]\d)")

    def passes(translation: str) -> bool:
        return pattern.search(" ".join(translation.split())) is not None

    return passes


def _keeps_spans(src: str, spans: list[str]) -> Callable[[str], bool]:
    """Each span must be there unchanged, exactly as often as in the source."""
    return lambda translation: all(translation.count(span) == src.count(span) for span in spans)


def _keeps_lines(src: str) -> Callable[[str], bool]:
    """Each line must start with the same bullet or number, and blank lines must stay blank."""
    return lambda translation: _line_starts(translation) == _line_starts(src)


def _line_starts(text: str) -> list[tuple[bool, str]]:
    found = []
    for line in text.split("\n"):
        bullet = _BULLET.match(line)
        found.append((bool(line.strip()), bullet[0] if bullet else ""))
    return found


def _has_two_quote_marks(translation: str) -> bool:
    return sum(map(translation.count, _QUOTE_MARKS)) == 2


def _is_question(translation: str) -> bool:
    return "¿" in translation and "?" in translation
