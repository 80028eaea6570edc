"""Pairs as a model reads them, and where each of their characters comes from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.errors import TranslatorError
from translator.system.records import write_record
from translator.text.lexicon import LEXICON_FILE, WORD, Lexicon, Lexicons
from translator.text.model_text import Located, ModelText
from translator.text.protection import placeholders
from translator.text.symbols import PLACEHOLDERS, SYMBOLS

EN = WORD.findall("the dog is here see we oslo i it costs and at a old nasa in of")
ES = WORD.findall("el perro está aquí vemos a oslo yo cuesta y las un viejo la nasa de dólares")
LEXICONS = Lexicons(
    Lexicon(dict.fromkeys(EN, 50), {"i": "I", "oslo": "Oslo", "nasa": "NASA"}),
    Lexicon(dict.fromkeys(ES, 50), {"oslo": "Oslo", "nasa": "NASA", "zora": "Zora"}),
)
MODEL_TEXT = ModelText("en", "es", LEXICONS)


@pytest.mark.parametrize(
    ("src", "tgt", "pair"),
    [
        (
            "The dog is here.",
            "El perro está aquí.",
            ("the dog is here.", "el perro está aquí."),
        ),
        (
            "We see Oslo and Zora at 5:30.",
            "A las 5:30 vemos Oslo y a Zora.",
            ("we see ⇧ oslo and ♔ at ☰.", "a las ☰ vemos ⇧ oslo y a ♔."),
        ),
        # On one side only: it is written letter by letter.
        ("We see Zora.", "Vemos a Sora.", ("we see ⇧ zora.", "vemos a ⇧ sora.")),
        # Capitals of the source say nothing; those of the target are to be written.
        ("THE DOG IS IN OSLO", "EL PERRO", ("the dog is in ⇧ oslo", "⇪ el ⇪ perro")),
        ("the dog is in oslo", "El perro", ("the dog is in ⇧ oslo", "el perro")),
        ("The dog and I", "El perro y YO", ("the dog and i", "el perro y ⇪ yo")),
        ("It costs $5.", "Cuesta 5 dólares.", ("it costs $☰.", "cuesta ☰ dólares.")),
    ],
)
def test_pairs_by_hand(src: str, tgt: str, pair: tuple[str, str]) -> None:
    assert MODEL_TEXT.pair(src, tgt) == pair


PIECES = [
    *["The", "dog", "DOG", "Oslo", "oslo", "NASA", "Zora", "Zora's", "I", "perro", "Él", "é", "5"],
    *["$5", "21st", "{0}", "<b>", "</b>", "B2B", "HEllo", "McX", "😀", " ", " ", ". ", "¿", "'"],
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join) | st.text(
    "aBÉñ '.5I", max_size=15
)


def assert_points_to_its_letters(located: Located, text: str) -> None:
    """Check that each letter stands for the same letter, and each placeholder for a span."""
    assert len(located.origin) == len(located.text)
    assert located.origin == sorted(located.origin)
    for character, (begin, end) in zip(located.text, located.origin, strict=True):
        assert 0 <= begin < end <= len(text)
        if character not in SYMBOLS + " ":
            assert text[begin:end].lower() == character.lower()


@given(TEXTS, TEXTS)
def test_each_letter_points_to_itself(src: str, tgt: str) -> None:
    for one, other in ((src, tgt), (src, f"{src} {tgt}")):
        located_src, located_tgt = MODEL_TEXT.locate(one, other)
        assert_points_to_its_letters(located_src, one)
        assert_points_to_its_letters(located_tgt, other)
        assert (located_src.text, located_tgt.text) == MODEL_TEXT.pair(one, other)


@given(TEXTS, TEXTS)
def test_placeholders_are_on_both_sides_and_stand_for_the_same(src: str, tgt: str) -> None:
    for one, other in ((src, tgt), (src, f"{src} {tgt}"), (f"{tgt}, {src}", src)):
        located = MODEL_TEXT.locate(one, other)
        assert placeholders(located[0].text) == placeholders(located[1].text)
        spans = []
        for side, text in zip(located, (one, other), strict=True):
            at = {c: i for i, c in enumerate(side.text) if c in PLACEHOLDERS}
            spans.append({c: text[slice(*side.span_before(i, i + 1))] for c, i in at.items()})
        assert spans[0] == spans[1]


def test_letters_that_no_edit_joins_point_to_one_character() -> None:
    src, tgt = "We see Oslo, Zora and 5.", "5: vemos Oslo y Zora"
    for located, text in zip(MODEL_TEXT.locate(src, tgt), (src, tgt), strict=True):
        for character, (begin, end) in zip(located.text, located.origin, strict=True):
            if character.isalpha():
                assert text[begin:end].lower() == character


def test_a_span_of_the_model_text_covers_the_original_words() -> None:
    src = "We see Oslo, Zora Quill and 5:30."
    located, _ = MODEL_TEXT.locate(src, "5:30 Zora Quill Oslo")
    for word, original in (
        ("⇧ oslo", "Oslo"),
        ("⇧", "O"),
        ("oslo, ♔", "Oslo, Zora Quill"),
        ("♔", "Zora Quill"),
        ("and ☰.", "and 5:30."),
    ):
        begin = located.text.index(word)
        assert src[slice(*located.span_before(begin, begin + len(word)))] == original


def test_words_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / LEXICON_FILE
    write_record(path, LEXICONS)
    alphabet = frozenset("abc ")
    loaded = ModelText.load(path, "en", "es", alphabet)
    assert loaded == ModelText("en", "es", LEXICONS, alphabet)
    assert loaded.protection.alphabet == alphabet
    path.write_text('{"src": 5}')
    with pytest.raises(TranslatorError):
        ModelText.load(path, "en", "es")
    with pytest.raises(TranslatorError):
        ModelText.load(tmp_path / "none.json", "en", "es")
