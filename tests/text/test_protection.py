"""What nobody translates becomes a placeholder, and comes back as it was."""

import re
import time
from collections.abc import Collection

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from translator.text.lexicon import WORD, Lexicon, Lexicons
from translator.text.model_text import ModelText
from translator.text.pipeline import Pipeline
from translator.text.protection import (
    MAX_SPANS,
    Protection,
    _find_literal,
    placeholders,
    split_at_placeholders,
    without_placeholders,
)
from translator.text.rewriting import Span, rewrite
from translator.text.spelling import Spelling
from translator.text.symbols import NAMES, NUMBERS, SYMBOLS, THINGS

KNOWN = WORD.findall(
    "a the dog cat is here we see oslo i it costs hello stop and at old in on of by ask send call "
    "my mcdonald nasa house red run now we don read page"
)
LEXICON = Lexicon(
    dict.fromkeys(KNOWN, 50),
    {"i": "I", "oslo": "Oslo", "mcdonald": "McDonald", "nasa": "NASA"},
)
ANY = Protection(LEXICON)
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzñé0123456789 .,:;?!'\"()/-")
LIMITED = Protection(LEXICON, LETTERS)


def apply(text: str, protection: Protection = ANY) -> str:
    [replaced] = protection.apply(text).parts
    return replaced


def found(text: str, protection: Protection = ANY) -> list[str]:
    return [text[begin:end] for begin, end, _ in protection.find(text)]


def round_trip(text: str, protection: Protection = ANY) -> str:
    applied = protection.apply(text)
    return protection.restore(applied.parts, applied.state)


# --- which spans ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        # Addresses, without the mark that ends a sentence.
        ("see https://a.example/b?c=1&d=2#e.", ["https://a.example/b?c=1&d=2#e"]),
        ("see (http://a.example/b), now", ["http://a.example/b"]),
        ("see www.a.example!", ["www.a.example"]),
        ("see 'https://a.example/1990s'", ["https://a.example/1990s"]),
        ("ask ann.lee+x@mail.example.org.", ["ann.lee+x@mail.example.org"]),
        ("see shop.com/a-b, or read.me", ["shop.com/a-b"]),
        ("see /home/ann/a.txt, ~/b and ./c/d.", ["/home/ann/a.txt", "~/b", "./c/d"]),
        (r"see C:\ann\a.txt.", [r"C:\ann\a.txt"]),
        ("read page.html and old-cat.pdf.", ["page.html", "old-cat.pdf"]),
        ("the cat and/or the dog", []),
        # Templates and code.
        ("hello {0}, {} and {name}", ["{0}", "{}", "{name}"]),
        ("hello {{ my name }} and ${name}", ["{{ my name }}", "${name}"]),
        ("hello %1$s, %s, %(x)s, %d and %.2f", ["%1$s", "%s", "%(x)s", "%d", "%.2f"]),
        ("run `the dog` now", ["`the dog`"]),
        ('<a href="x y">the dog</a> <br/>', ['<a href="x y">', "</a>", "<br/>"]),
        ("a &amp; b &#39; c &lt;", ["&amp;", "&#39;", "&lt;"]),
        ("a < b and 5 > 4", ["5", "4"]),
        # Handles.
        ("ask @ann_lee and see #red.", ["@ann_lee", "#red"]),
        # Numbers.
        ("it costs $5, 7.50 €, £1,200.50 and 5€", ["$5", "7.50 €", "£1,200.50", "5€"]),
        ("at 5:30 on 12/05/2023", ["5:30", "12/05/2023"]),
        ("at 17:05:10 on 2023-05-12.", ["17:05:10", "2023-05-12"]),
        ("100% and 2.5% of 3", ["100%", "2.5%", "3"]),
        ("run 2.3.1 and v2.3.1-5", ["2.3.1", "v2.3.1-5"]),
        ("call +34 600 123 456.", ["+34 600 123 456"]),
        ("call (555) 123-4567 and 555-1234", ["(555) 123-4567", "555-1234"]),
        ("-5 °C here, +3 and 5-3", ["-5 °C", "+3", "5-3"]),
        ("on the 21st of the 1990s", ["21st", "1990s"]),
        ("5kg, 10 km", ["5kg", "10"]),
        ("B2B and mp3 here", ["B2B", "mp3"]),
        ("the dog-5 and (5)", ["5", "5"]),
        ("here: 5.", ["5"]),
        # The signs of this package.
        ("the ⇧ dog ♔☰ is ⇪", ["⇧", "♔☰", "⇪"]),
        ("The dog is here, isn't it? Stop: 'hello!'", []),
    ],
)
def test_each_kind_of_span_is_found(text: str, spans: list[str]) -> None:
    assert found(text) == spans
    assert not any(span.kind == NAMES for span in ANY.find(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("We see Quillon here", ["Quillon"]),
        ("Quillon is here", ["Quillon"]),  # the first word too
        ("We see Zora Quillon, Zora and Quillon", ["Zora Quillon", "Zora", "Quillon"]),
        ("Stop! Zora's cat and the dog of O'Zora", ["Zora", "O'Zora"]),
        ("We see Oslo and NASA and McDonald", []),
        ("We see HEllo and OSlo", []),  # known, with shift held too long
        ("We see DOg and MacZora and the iDog", ["DOg", "MacZora", "iDog"]),
        ("We see the UFO here", ["UFO"]),
        ("¿Zora? «Zora» (Zora)", ["Zora", "Zora", "Zora"]),
        ("We see Zora Oslo Zora", ["Zora", "Zora"]),
        ("the zora", []),
        ("THE DOG OF ZORA", []),  # all in capitals
        ("The Dog Is Here and Zora", []),  # a title
        ("I see Zora Quillon", ["Zora Quillon"]),  # not a title, although most words are raised
        ("Hello, Zora Quillon", ["Zora Quillon"]),
    ],
)
def test_unknown_names_are_found(text: str, names: list[str]) -> None:
    assert found(text) == names
    assert all(span.kind == NAMES for span in ANY.find(text))


def test_letters_of_another_span_are_no_name() -> None:
    assert found("The B2B Zora is here") == ["B2B", "Zora"]
    assert found("The Zora B2B is here") == ["Zora", "B2B"]
    assert found("We see https://A.Example Zora here") == ["https://A.Example", "Zora"]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("the 日本 dog", ["日本"]),
        ("the ab日本cd dog", ["ab日本cd"]),  # a word with an unknown letter as a whole
        ("the हिन्दी dog", ["हिन्दी"]),
        ("the dog😀 is👩\u200d🚀here", ["😀", "👩\u200d🚀"]),  # known words beside signs stay
        ("dog→cat ∞ ∞", ["→", "∞", "∞"]),
        ("ask ann@a.example😀", ["ann@a.example", "😀"]),
        ("<b>dog</b>", ["<b>", "</b>"]),
        ("We see Zora Ångström", ["Zora", "Ångström"]),  # of two kinds
        ("DOG AND NIÑÉ", []),  # capitals of known letters
        ("the dog", []),
    ],
)
def test_unknown_letters_and_signs_are_found(text: str, spans: list[str]) -> None:
    assert found(text, LIMITED) == spans
    assert round_trip(text, LIMITED) == text


@pytest.mark.parametrize(
    ("kind", "spans"),
    [
        (NAMES, ["Zora", "Zora Quillon", "McZora", "UFO"]),
        (
            NUMBERS,
            [
                *["5", "5:30", "$5", "7.50 €", "-5 °C", "21st", "1990s", "5kg", "2.3.1", "100%"],
                *["+34 600 123 456", "(555) 123-4567", "12/05/2023"],
            ],
        ),
        (
            THINGS,
            [
                *["https://a.example/5", "www.a.example", "ann@mail.example", "@ann", "#5a", "{0}"],
                *["{{ x }}", "%s", "`5 x`", "<b>", "&amp;", "/home/5", "a.pdf", "shop.com", "B2B"],
                *["v2.3", "♔", "☰", "䷀", "⇧", "日本", "a日", "😀", "∞"],
            ],
        ),
    ],
    ids=["names", "numbers", "things"],
)
def test_a_span_has_the_placeholder_of_its_kind(kind: str, spans: list[str]) -> None:
    for span in spans:
        text = f"we see {span} here"
        assert found(text, LIMITED) == [span]
        assert LIMITED.find(text)[0].kind == kind
        assert apply(text, LIMITED) == f"we see {kind[0]} here"


@pytest.mark.parametrize(
    ("text", "names", "corrected"),
    [
        ("Teh dog is here", [], "The dog is here"),
        ("Hlelo, dog", [], "Hello, dog"),
        ("¿«Teh dog» is here?", [], "¿«The dog» is here?"),
        ("Teh Zora is here", ["Zora"], "The ♔ is here"),
        ("Dno't stop", [], "Don't stop"),
        # A name may look like a typo; at the beginning, a typo is likelier.
        ("we see Teh dog", ["Teh"], "we see ♔ dog"),
        ("Stop! Hlelo, dog", ["Hlelo"], "Stop! ♔, dog"),
        # Other errors are likelier names.
        ("Thhe dog is here", ["Thhe"], "♔ dog is here"),
        ("Tha dog is here", ["Tha"], "♔ dog is here"),
        ("TEh dog is here", ["TEh"], "♔ dog is here"),
    ],
)
def test_a_first_word_with_swapped_letters_is_a_typo(
    text: str, names: list[str], corrected: str
) -> None:
    assert found(text) == names
    assert Pipeline([ANY, Spelling(LEXICON)]).apply(text).parts == [corrected]


@given(st.text("ab 日é'😀→×ñ5@.<>ZY\u0301", max_size=20))
def test_each_unknown_character_is_in_a_span(text: str) -> None:
    covered = {i for begin, end, _ in LIMITED.find(text) for i in range(begin, end)}
    for i, character in enumerate(text):
        if not LETTERS.issuperset(character.lower()):
            assert i in covered


PIECES = [
    *["Zora", "dog", "The", "Oslo", "<b>", "</b>", "5", "12:30", "2.5", "€", "$", "%", "@ann"],
    *["#red", "`x y`", "{0}", "{{", "%s", "&amp;", "https://a.example/b", "a@b.example", "B2B"],
    *["♔", "☰", "䷀", "⇧", "😀", "日", "ñ", "'s", "/", "\\", "~", "-", "_", "+34 600 123", "I"],
    *["x.pdf", " ", " ", " ", ".", ",", "(", ")"],
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(st.characters())


@given(TEXTS, st.sampled_from([ANY, LIMITED]))
def test_spans_are_in_order_and_do_not_overlap(text: str, protection: Protection) -> None:
    spans = protection.find(text)
    done = 0
    for begin, end, _ in spans:
        assert done <= begin < end <= len(text)
        done = end


def test_finding_spans_takes_linear_time() -> None:
    def seconds(text: str) -> float:
        started = time.process_time()
        LIMITED.find(text)
        return time.process_time() - started

    # With a quadratic pattern, each of them takes minutes.
    for repeated in (
        *[
            "a",
            "日",
            "a5",
            "a-",
            "a.",
            "a@",
            "/a",
            "-",
            "--a",
            "&a",
            "<a",
            "{",
            "`",
            "%0",
            "0",
            "+1 ",
        ],
        *[
            "Zora 5 ",
            "Zora ",
            "www.",
            "http://",
            "~/",
            "C:\\",
            "#",
            "(555) ",
            "♔",
            "a😀",
            "हि",
            "'a",
        ],
    ):
        for text in ("😀" + repeated * 5_000 + "!", f"%{repeated * 5_000}😀"):
            assert seconds(text) < 1, repeated


# --- apply and restore ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("We see Zora at 5:30.", "We see ♔ at ☰."),
        ("Zora and Quillon see 5 and 6", "♔ and ♕ see ☰ and ☱"),
        ("Zora's cat", "♔'s cat"),
        ("<b>dog</b>", "䷀ dog ䷁"),  # with a space, dog has the token that it usually has
        ("dog{0}cat {0}", "dog ䷀ cat ䷁"),
        ("Zora, ask @ann at 5", "♔, ask ䷀ at ☰"),  # each kind from its first
        ("(5)", "(☰)"),
    ],
)
def test_spans_become_placeholders(text: str, replaced: str) -> None:
    assert apply(text) == replaced


@given(TEXTS, st.sampled_from([ANY, LIMITED]))
@example("<b>5</b>", ANY)
@example("a@b.co`x`", ANY)
@example("5</b>☰", ANY)
@example("@ann-5%♔", LIMITED)
def test_restore_is_the_inverse_of_apply(text: str, protection: Protection) -> None:
    assume(protection.fits(text))
    # The endings of English ordinals are lost on purpose.
    assume(not re.search(r"\d(?:st|nd|rd|th|s)(?!\w)", text))
    assert round_trip(text, protection) == text


@given(TEXTS)
def test_only_placeholders_are_added(text: str) -> None:
    applied = ANY.apply(text)
    if ANY.fits(text):
        assert placeholders(applied.parts[0]) == sorted(applied.state)
        rest = "".join(split_at_placeholders(applied.parts[0])[::2])
        spans = "".join(found(text))
        assert sorted((rest + spans).replace(" ", "")) == sorted(text.replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "restored"),
    [
        ("the 21st dog", "the 21 dog"),
        ("the 2nd, 3rd and 4th", "the 2, 3 and 4"),
        ("the 1990s", "the 1990"),
        ("see https://a.example/90s", "see https://a.example/90s"),
        ("see /home/1st", "see /home/1st"),
        ("see #90s and @ann1st", "see #90s and @ann1st"),
        ("B2s and 5thx", "B2s and 5thx"),
    ],
)
def test_english_endings_of_numbers_are_left_out(text: str, restored: str) -> None:
    assert round_trip(text) == restored


@pytest.mark.parametrize(
    ("source", "translation", "restored"),
    [
        ("We see Zora at 5:30.", "A las ☰ vemos a ♔.", "A las 5:30 vemos a Zora."),  # swapped
        ("We see Zora at 5:30.", "Vemos a ♔.", "Vemos a Zora. 5:30"),  # lost: appended
        ("We see Zora at 5.", "Vemos", "Vemos Zora 5"),
        ("We see Zora.", "♔ ve a ♔.", "Zora ve a."),  # doubled: once
        ("We see Zora.", "vemos a ♔ ♔ ya", "vemos a Zora ya"),
        ("We see Zora.", "vemos a ♔ y ☰ ♕ ䷀", "vemos a Zora y"),  # invented: removed
        ("the dog", "♔ el perro", "el perro"),
        ("the dog", "el ☰ perro", "el perro"),
        ("the dog", "el perro ☰", "el perro"),
        ("the dog", "☰ ♔ el", "el"),
        ("<b>dog</b> cat", "gato ䷀ perro ䷁", "gato <b>perro</b>"),
        ("<b>dog</b> cat", "䷀ perro ䷁ gato", "<b>perro</b> gato"),
        ("<b>5</b> cats", "䷀ ☰ ䷁ gatos", "<b>5</b> gatos"),
        ("<b>5</b> cats", "䷀☰䷁ gatos", "<b>5</b> gatos"),
        ("the {0} dog", "el perro ䷀", "el perro {0}"),
        ("the {0} dog", "el perro ☰", "el perro {0}"),  # of another kind: removed, and appended
        ("see 5", "ve \\1 ☰ \\g<0>", "ve \\1 5 \\g<0>"),  # not a pattern of `re`
    ],
)
def test_restore_by_hand(source: str, translation: str, restored: str) -> None:
    assert ANY.restore([translation], ANY.apply(source).state) == restored


@given(TEXTS, st.text("ab ♔♕☰☱䷀䷁.", max_size=15))
def test_any_translation_has_each_span_once(source: str, translation: str) -> None:
    state = ANY.apply(source).state
    restored = ANY.restore([translation], state)
    letters = without_placeholders(translation) + "".join(found.text for found in state.values())
    assert sorted(restored.replace(" ", "")) == sorted(letters.replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("5, " * MAX_SPANS, True),
        ("5, " * (MAX_SPANS + 1), False),
        ("the Zora, " * MAX_SPANS + "5, " * MAX_SPANS + "{0}, " * MAX_SPANS, True),
        ("the Zora, " * (MAX_SPANS + 1), False),
        ("{0}, " * (MAX_SPANS + 1), False),
    ],
)
def test_a_text_with_too_many_spans_does_not_fit(text: str, fits: bool) -> None:
    assert ANY.fits(text) == fits
    # The spans beyond them stay as they are.
    assert round_trip(text) == text
    assert len(placeholders(apply(text))) <= 3 * MAX_SPANS


def test_placeholders_of_a_text() -> None:
    assert placeholders("a ☰ b ♔ c ☰ ⇧") == ["☰", "☰", "♔"]
    assert split_at_placeholders("a ☰b♔") == ["a ", "☰", "b", "♔", ""]
    assert without_placeholders("♔ a ☰ b ♔.") == "a b."
    assert MAX_SPANS == len(NAMES) == len(NUMBERS) == len(THINGS)


# --- pairs ----------------------------------------------------------------------------------------


def pair(src: str, tgt: str, protection: Protection = ANY) -> tuple[str, str]:
    src_edits, tgt_edits = protection.pair_edits(src, tgt)
    return rewrite(src, src_edits)[0], rewrite(tgt, tgt_edits)[0]


@pytest.mark.parametrize(
    ("src", "tgt", "expected"),
    [
        ("We see Zora.", "Vemos a Zora.", ("We see ♔.", "Vemos a ♔.")),
        # In another order.
        ("Zora is here at 5:30", "A las 5:30 está Zora", ("♔ is here at ☰", "A las ☰ está ♔")),
        ("See 15 and 5", "Vi 5 y 15", ("See ☰ and ☱", "Vi ☱ y ☰")),
        # On one side only.
        ("We see Zora at 5", "Vemos a Zoraida a las cinco", None),
        ("We see a dog", "Vemos 5 perros de Zora", None),
        ("See 5 and 5", "Vi 5", ("See ☰ and 5", "Vi ☰")),
        ("See 5", "Vi 5 y 5", ("See ☰", "Vi ☰ y 5")),
        # The number of a price.
        ("It costs $5", "Cuesta 5 dólares", ("It costs $☰", "Cuesta ☰ dólares")),
        ("It costs $5", "Cuesta $5", ("It costs ☰", "Cuesta ☰")),
        ("It costs $5.50", "Cuesta 5,50", None),
        ("5% here", "El 5 por ciento", ("☰% here", "El ☰ por ciento")),
        # Not a part of another span.
        ("Zora Quillon is Zora", "Zora Quillon es Zora", ("♔ is ♕", "♔ es ♕")),
        ("Zora's dog", "El perro de Zora", ("♔'s dog", "El perro de ♔")),
        ("see {0} now", "ve {0} ya", ("see ䷀ now", "ve ䷀ ya")),
        ("see dog{0} now", "ve {0} ya", ("see dog ䷀ now", "ve ䷀ ya")),  # one space
    ],
)
def test_pairs_by_hand(src: str, tgt: str, expected: tuple[str, str] | None) -> None:
    assert pair(src, tgt) == (expected or (src, tgt))


@pytest.mark.parametrize("span", ["1", "#a", "a@a.a", "%d"])
def test_no_more_spans_of_a_pair_are_looked_for_than_have_placeholders(
    span: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was compared with all before it, for each place in the target: cubic time."""
    compared = []

    def spy(text: str, literal: str, used: Collection[Span]) -> Span | None:
        compared.append(len(used))
        return _find_literal(text, literal, used)

    monkeypatch.setattr("translator.text.protection._find_literal", spy)
    src, tgt = ModelText("en", "es", Lexicons()).pair(f"{span} " * 200, f"x {span} " * 200)
    assert sorted(set(compared)) == list(range(8))
    assert placeholders(src) == placeholders(tgt)
    assert len(placeholders(src)) == 8


def test_a_pair_with_more_spans_than_placeholders_keeps_the_rest() -> None:
    src = "the Zora, " + "".join(f"{n}, " for n in range(1, 12))
    replaced, tgt = pair(src, src)
    assert placeholders(replaced) == placeholders(tgt) == sorted("♔" + NUMBERS)
    assert replaced == tgt
    assert replaced.endswith(f"{NUMBERS[-1]}, 9, 10, 11, ")


@given(TEXTS, TEXTS)
@example("", "♕")
def test_both_sides_have_the_same_placeholders(src: str, tgt: str) -> None:
    # Signs of this package that only one side has stay where they are.
    src, tgt = (re.sub(f"[{SYMBOLS}]", "", text) for text in (src, tgt))
    for one, other in ((src, tgt), (src, src), (src, f"{tgt} {src}")):
        replaced = pair(one, other)
        assert placeholders(replaced[0]) == placeholders(replaced[1])
        src_edits, tgt_edits = ANY.pair_edits(one, other)
        spans = {edit.new.strip(): one[edit.begin : edit.end] for edit in src_edits}
        assert spans == {edit.new.strip(): other[edit.begin : edit.end] for edit in tgt_edits}
        assert len(spans) == len(src_edits) == len(tgt_edits)
