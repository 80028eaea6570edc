"""Protect what nobody translates: names, numbers, addresses, placeholders, tags, code, emoji.

Each protected span is one token to the model, which only has to place it. Unseen names and numbers
are hard to copy letter by letter, and easy to copy as a whole (Luong et al. 2015, arXiv 1410.8206).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from translator.text.casing import is_mixed, is_shifted, says_nothing
from translator.text.lexicon import WORD, Lexicon, stem
from translator.text.pipeline import Applied
from translator.text.rewriting import Edit, Span, replace_spans
from translator.text.spelling import correct_spelling
from translator.text.symbols import NAMES, NUMBERS, PLACEHOLDERS, SYMBOLS, THINGS

# With more spans of one kind, a text has to be translated in parts.
MAX_SPANS = len(NAMES)
_PLACEHOLDER = re.compile(f"[{PLACEHOLDERS}]")

# A number, with separators between its digits: 1,234.50, 5:30, 12/05/2023, 555-1234.
_NUMBER = r"\d+(?:[.,:/'-]\d+)*"
# A pattern that begins with a repetition starts only where that has its first character, so that a
# long text takes linear time.
_SPANS = re.compile(
    "|".join(
        [
            r"`[^`]+`",  # code
            r"</?[a-zA-Z][^<>]*>|&#?\w+;",  # HTML and XML
            r"(?:https?|ftp|file)://[^\s<>\"]*[^\s<>\".,;:!?)\]']",
            r"www\.[^\s<>\"]*[^\s<>\".,;:!?)\]']",
            r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail addresses
            r"(?<!\w)[@#]\w+",  # handles and tags
            r"\{\{[^{}]*\}\}|\$?\{[^{}\s]*\}",  # {{name}}, {0}, ${name}
            # %s, %1$s, %(name)s
            r"%(?:\d{1,2}\$|\(\w+\))?[-+#0]{0,5}\d{0,3}(?:\.\d{1,3})?[sdfgxc@]\b",
            r"(?<![\w/.])(?:~|\.{1,2})?/(?:[\w.+~-]+/)*[\w.+~-]*[\w/]",  # paths
            r"\b[A-Za-z]:\\[^\s\"<>|]*[\w\\]",
            r"(?<![\w-])(?<!\w\.)[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|io)\b(?:/[\w./~-]*\w)?",
            r"(?<![\w-])[\w-]+\.(?:pdf|txt|md|csv|docx?|xlsx?|pptx?|jpe?g|png|gif|zip|py|html?|json)\b",
            r"\+\d[\d ().-]{6,}\d|\(\d{3}\) ?\d{3}[ -]?\d{4}",  # telephone numbers
            rf"(?:(?<![\w)])[-+])?(?:[$€£¥] ?)?(?<!\w){_NUMBER}\w*(?:%| ?[€£¥°]\w*)?",
            r"(?<![^\W\d_])[^\W\d_]+\d\w*(?:[.-]\d\w*)*",  # B2B, mp3, v2.3.1
            f"[{SYMBOLS}]+",  # the signs that this package uses
        ]
    )
)
# Signs that may stand before the first word of a sentence.
_OPENING = "\"'([«¿¡ "
# Numbers with English endings (21st, 1990s), which other languages don't have.
_ORDINAL = re.compile(rf"([-+$€£¥ ]*{_NUMBER})(?:st|nd|rd|th|s)")
# A quick test before the search for spans: most texts have none of these signs.
_SUSPICIOUS = re.compile(r"\d|[^\w\s,.?!'\"¿¡;:-]|\w\.\w")


class Literal(NamedTuple):
    """What a placeholder stands for.

    Attributes:
        text: what to write in the translation
        glued_before: whether the letter before it, in the source, touches it
        glued_after: whether the letter after it does
    """

    text: str
    glued_before: bool
    glued_after: bool


class Found(NamedTuple):
    """A span to protect, and the placeholders for its kind: names, numbers or things."""

    begin: int
    end: int
    kind: str


@dataclass(frozen=True)
class Protection:
    """Replace spans that nobody translates with placeholder tokens.

    `restore` undoes `apply`, except that a number loses its English ending (21st, 1990s). The span
    of a missing placeholder is appended, and a surplus placeholder is removed.

    Attributes:
        lexicon: the words that the model can translate; other capitalized words are names
        alphabet: the characters that the model knows; if empty, it knows all
    """

    lexicon: Lexicon
    alphabet: frozenset[str] = frozenset()

    def apply(self, text: str) -> Applied[dict[str, Literal]]:
        """Replace the spans; the state is what each placeholder stands for."""
        edits = []
        literals = {}
        for span, placeholder in self._number(self.find(text)):
            edit = _edit(text, span[:2], placeholder)
            edits.append(edit)
            ordinal = _ORDINAL.fullmatch(text, span.begin, span.end)
            literals[placeholder] = Literal(
                ordinal[1] if ordinal else text[span.begin : span.end],
                glued_before=edit.new.startswith(" "),
                glued_after=edit.new.endswith(" "),
            )
        return Applied([replace_spans(text, edits)], literals)

    def pair_edits(self, src: str, tgt: str) -> tuple[list[Edit], list[Edit]]:
        """Return the changes to a pair, where a span is protected if both sides have it."""
        kept: dict[Found, Span] = {}
        counts: Counter[str] = Counter()
        for span in self.find(src):
            for inner, literal in _readings(src, span):
                if counts[inner.kind] == MAX_SPANS:
                    continue  # it would get no placeholder; to find it takes long in a long text
                there = _find_literal(tgt, literal, kept.values())
                if there is not None:
                    kept[inner] = there
                    counts[inner.kind] += 1
                    break
        numbered = self._number(list(kept))
        src_edits = [_edit(src, span[:2], placeholder) for span, placeholder in numbered]
        tgt_edits = [_edit(tgt, kept[span], placeholder) for span, placeholder in numbered]
        return src_edits, sorted(tgt_edits)

    def find(self, text: str) -> list[Found]:
        """Return the spans of a text that nobody translates, in order and not overlapping."""
        found: list[Found] = []
        if _SUSPICIOUS.search(text):
            found += [Found(*match.span(), _kind(match[0])) for match in _SPANS.finditer(text)]
        if self.alphabet and not self.alphabet.issuperset(text.lower()):
            unknown = self._unknown(_fill(text, found, " "))
            found += [Found(begin, end, THINGS) for begin, end in unknown]
        if not says_nothing(text, self.lexicon):
            # The letters of a span such as B2B are not words.
            found += self._names(_fill(text, found, "0"))
        return sorted(found)

    def fits(self, text: str) -> bool:
        """Whether there are placeholders enough for all spans of a text."""
        counts = Counter(span.kind for span in self.find(text))
        return max(counts.values(), default=0) <= MAX_SPANS

    def _unknown(self, text: str) -> Iterable[tuple[int, int]]:
        """Find words with an unknown letter, and runs of unknown signs."""
        unknown = {c for c in text if not self.alphabet.issuperset(c.lower())} - {" "}
        if not unknown:
            return
        # Some scripts write vowels as marks, which are no letters to a pattern.
        marks = "".join(c for c in unknown if unicodedata.category(c)[0] == "M")
        in_word = rf"[\w{re.escape(marks)}]"
        any_unknown = f"[{re.escape(''.join(unknown))}]"
        word = rf"(?<!\w)\w*(?=\w){any_unknown}{in_word}*"
        for match in re.finditer(rf"{word}|(?:(?!\w){any_unknown})+", text):
            yield match.span()

    def _names(self, text: str) -> Iterable[Found]:
        """Find capitalized words that the model doesn't know; neighbors are one name."""
        begin = end = -1
        first = len(text) - len(text.lstrip(_OPENING))
        for word in WORD.finditer(text):
            name = word[0].removesuffix("'s").removesuffix("'S")
            known = stem(name) in self.lexicon.counts
            if is_mixed(name):
                usual = self.lexicon.forms.get(stem(name)) == name
                known = usual or (known and is_shifted(name))
            if known or name == name.lower():
                continue
            # At the beginning of a sentence, a misspelled word is capitalized as well.
            if word.start() == first and correct_spelling(name.partition("'")[0], self.lexicon):
                continue
            if begin >= 0 and text[end : word.start()] == " ":
                end = word.start() + len(name)
                continue
            if begin >= 0:
                yield Found(begin, end, NAMES)
            begin, end = word.start(), word.start() + len(name)
        if begin >= 0:
            yield Found(begin, end, NAMES)

    def _number(self, spans: Sequence[Found]) -> list[tuple[Found, str]]:
        """Give each span a placeholder, as long as there are any."""
        left = {kind: iter(kind) for kind in (NAMES, NUMBERS, THINGS)}
        numbered = ((span, next(left[span.kind], "")) for span in spans)
        return [(span, placeholder) for span, placeholder in numbered if placeholder]

    def restore(self, parts: Sequence[str], state: dict[str, Literal]) -> str:
        """Put the spans back."""
        [text] = parts
        left = dict(state)
        pieces = split_at_placeholders(text)  # a placeholder is at each odd index
        for i in range(1, len(pieces), 2):
            # A surplus placeholder takes one of the spaces around it along.
            is_first = not any(pieces[:i])
            found = left.pop(pieces[i], Literal("", not is_first, is_first))
            pieces[i] = found.text
            if found.glued_before:
                pieces[i - 1] = pieces[i - 1].removesuffix(" ")
            if found.glued_after:
                pieces[i + 1] = pieces[i + 1].removeprefix(" ")
        return " ".join(["".join(pieces), *(found.text for found in left.values())])


def placeholders(text: str) -> list[str]:
    """Return the placeholders in a text, sorted."""
    return sorted(_PLACEHOLDER.findall(text))


def split_at_placeholders(text: str) -> list[str]:
    """Split a text into its placeholders and the texts between them."""
    return re.split(f"([{PLACEHOLDERS}])", text)


def without_placeholders(text: str) -> str:
    """Remove the placeholders from a text."""
    return Protection(Lexicon()).restore([text], {})


def _edit(text: str, span: Span, placeholder: str) -> Edit:
    """Return the change of a span to its placeholder.

    With a space between them, the letters beside it keep the tokens that they usually have.
    """
    begin, end = span
    before, after = text[:begin][-1:].isalnum(), text[end:][:1].isalnum()
    return Edit(begin, end, " " * before + placeholder + " " * after)


def _readings(text: str, span: Found) -> Iterator[tuple[Found, str]]:
    """Yield what to protect in a source for a span, and what the target must have for it.

    A target may have only the number of $5 (5 dólares) and of 21st (21).
    """
    literal = text[span.begin : span.end]
    yield span, literal
    if ordinal := _ORDINAL.fullmatch(literal):
        yield span, ordinal[1]
    elif number := re.fullmatch(rf"\W*({_NUMBER})\W*", literal):
        begin, end = number.span(1)
        yield Found(span.begin + begin, span.begin + end, NUMBERS), number[1]


def _find_literal(text: str, literal: str, used: Collection[Span]) -> Span | None:
    """Find a literal, not inside a word, where no other one was found."""
    before = r"(?<!\w)" if literal[0].isalnum() else ""
    after = r"(?!\w)" if literal[-1].isalnum() else ""
    for match in re.finditer(before + re.escape(literal) + after, text):
        if all(match.end() <= begin or match.start() >= end for begin, end in used):
            return match.span()
    return None


def _kind(literal: str) -> str:
    """Return the kind of a span that isn't a name; %d stands for a number."""
    return NUMBERS if re.match(r"[-+$€£¥( ]*\d|%.*[dfg]$", literal) else THINGS


def _fill(text: str, spans: Sequence[Found], sign: str) -> str:
    """Return a text of the same length with a sign at each place in these spans."""
    if not spans:
        return text
    characters = list(text)
    for begin, end, _ in spans:
        characters[begin:end] = sign * (end - begin)
    return "".join(characters)
