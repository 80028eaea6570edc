"""Capitals become markers, and markers become capitals again."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from translator.text.casing import (
    CaseState,
    Casing,
    capitalize_first,
    is_mixed,
    is_shifted,
    says_nothing,
)
from translator.text.lexicon import WORD, Lexicon
from translator.text.symbols import CAPITALIZED, UPPERCASE

KNOWN = WORD.findall("a the dog hen sees is old of in and hello i don here oslo nasa mcdonald café")
LEXICON = Lexicon(
    dict.fromkeys(KNOWN, 50),
    {"i": "I", "oslo": "Oslo", "nasa": "NASA", "mcdonald": "McDonald"},
)
ENGLISH = Casing(LEXICON, "en", "es")
TO_ENGLISH = Casing(LEXICON, "es", "en")
# In both of its languages, "i" is a word like any other.
SPANISH = Casing(LEXICON, "es", "es")


def apply(text: str, casing: Casing = ENGLISH) -> str:
    [marked] = casing.apply(text).parts
    return marked


def restore(marked: str, source: str = "a dog", casing: Casing = SPANISH) -> str:
    """Give a translation the case of a source."""
    return casing.restore([marked], casing.apply(source).state)


# --- apply ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("The dog sees Oslo.", "the dog sees ⇧ oslo."),
        ("Oslo is old.", "⇧ oslo is old."),  # the first word has its usual case
        ("¿Oslo? The dog.", "¿⇧ oslo? ⇧ the dog."),
        ("The dog of Quillon", "the dog of ⇧ quillon"),
        ("Quillon is here", "quillon is here"),  # an unknown word may be no name
        ("the Dog is old", "the ⇧ dog is old"),
        ('"The dog" is old', '"the dog" is old'),
        ("5 Dogs in Oslo", "5 ⇧ dogs in ⇧ oslo"),  # a number is the first word
        ("♔ The dog", "♔ ⇧ the dog"),
        ("Oslo's dog", "⇧ oslo's dog"),
        ("Don't see the DOG", "don't see the ⇪ dog"),
        ("The NASA is old", "the ⇪ nasa is old"),
        ("NASA is old", "⇪ nasa is old"),
        ("USA", "⇪ usa"),  # too short to be a text in capitals
        ("The DOG is old", "the ⇪ dog is old"),
        ("The hen of McDonald", "the hen of McDonald"),
        ("McDonald is old", "McDonald is old"),
        ("The iPhone", "the iPhone"),
        ("I see TVs", "i see TVs"),
        ("The dog and I", "the dog and i"),
        ("The dog and I'm old", "the dog and i'm old"),
        ("HEllo, dog", "hello, dog"),  # shift held too long
        ("The dog sees OSlo", "the dog sees ⇧ oslo"),
        ("A dog and A hen", "a dog and ⇧ a hen"),
        ("Café of É and a Ñandú", "café of ⇧ é and a ⇧ ñandú"),
        ("The İ of a hen", "the İ of a hen"),  # lowercase has another length
        ("", ""),
        ("5, 6!", "5, 6!"),
    ],
)
def test_apply_by_hand(text: str, marked: str) -> None:
    assert apply(text) == marked


def test_i_is_a_pronoun_in_english_only() -> None:
    assert apply("The dog and I", SPANISH) == "the dog and ⇧ i"


SENTENCES = [
    "The old dog sees Oslo.",
    "The hen and I see the NASA!",
    "¿A dog in Oslo?",
    '"Hello, old dog", I don\'t see.',
    "I'm old and here.",
    "Oslo's hen is old in Oslo.",
    "Hello.",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_capitals_lowercase_and_titles_mean_the_same(text: str) -> None:
    normal = apply(text)
    title = WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text)
    assert apply(text.lower()) == normal
    assert apply(text.upper()) == normal
    if len(WORD.findall(text)) > 3:
        assert apply(title) == normal


def test_small_words_of_a_title_may_be_in_lowercase() -> None:
    assert apply("The Old Dog Sees a Hen in Oslo") == "the old dog sees a hen in ⇧ oslo"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the dog", True),
        ("", True),
        ("5", True),
        ("THE DOG", True),
        ("DOG", True),  # a known word that has no capitals
        ("UFO", False),  # more likely an abbreviation
        ("NASA", True),
        ("UFOS", True),
        ("The Old Dog", True),
        ("The Dog", False),  # one capital is no title
        ("The Old Dog is here and old and here", False),
        ("The dog of Oslo and McDonald", False),  # names are always capitalized
        ("Hello I Oslo I Oslo", False),
        ("Hello Zora Quillon", False),  # unknown words are mostly names
        ("The dog", False),
    ],
)
def test_which_texts_say_nothing(text: str, expected: bool) -> None:
    assert says_nothing(text, LEXICON) == expected


@given(st.text("abÉñIŞ'. -5♔"))
def test_a_marked_text_differs_in_markers_and_case_only(text: str) -> None:
    marked = apply(text)
    for marker in CAPITALIZED + UPPERCASE:
        marked = marked.replace(f"{marker} ", "")
    assert marked.lower() == text.lower()


# --- restore --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "restored"),
    [
        ("el ⇧ oslo viejo", "el Oslo viejo"),
        ("la ⇪ nasa de ⇧ ana", "la NASA de Ana"),
        ("¿⇧ oslo?", "¿Oslo?"),
        ("⇧oslo", "Oslo"),  # without the space
        ("⇧ d'artagnan", "D'artagnan"),
        ("⇪ i'm", "I'M"),
        ("el McDonald", "el McDonald"),
        ("⇧ éxito", "Éxito"),
    ],
)
def test_markers_become_capitals(marked: str, restored: str) -> None:
    assert restore(marked) == restored


@pytest.mark.parametrize(
    ("marked", "restored"),
    [
        ("un ⇧ 5", "un 5"),
        ("un perro ⇧", "un perro"),
        ("un perro ⇪.", "un perro."),
        ("⇧ ♔ vive", "♔ vive"),
        ("⇧ ⇪ 5 perros", "5 perros"),
        ("⇧ ⇧ oslo", "Oslo"),
        ("un ⇪ ⇧ oslo", "un Oslo"),
        ("⇧", ""),
        ("un⇧. dos", "un. dos"),
    ],
)
def test_a_stray_marker_disappears(marked: str, restored: str) -> None:
    assert restore(marked) == restored


@given(st.text("ab É⇧⇪.'♔5"), st.sampled_from(["a dog", "A dog", "A DOG HERE"]))
def test_no_marker_is_left(marked: str, source: str) -> None:
    restored = restore(marked, source)
    assert not set(restored) & {*CAPITALIZED, *UPPERCASE}
    letters = [c for c in marked.lower() if not c.isspace() and c not in CAPITALIZED + UPPERCASE]
    assert [c for c in restored.lower() if not c.isspace()] == letters


@pytest.mark.parametrize(
    ("source", "restored"),
    [
        ("a dog", "el perro de Oslo"),
        ("A dog", "El perro de Oslo"),
        ("A Dog Sees Oslo", "El perro de Oslo"),
        ("A DOG HERE", "EL PERRO DE OSLO"),
        ("A DOG'S HEN", "EL PERRO DE OSLO"),
        ("¿A dog?", "El perro de Oslo"),
        ("¿a dog?", "el perro de Oslo"),
        ("5 dogs", "El perro de Oslo"),  # the translation begins with a word
        ("♔ sees", "El perro de Oslo"),
        ("...", "El perro de Oslo"),
        ("USA", "El perro de Oslo"),
    ],
)
def test_the_case_of_the_source_is_restored(source: str, restored: str) -> None:
    assert restore("el perro de ⇧ oslo", source) == restored


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("¿dónde?", "¿Dónde?"),
        ('"«hola»"', '"«Hola»"'),
        ("- él", "- Él"),
        ("_el", "_El"),
        ("5 perros", "5 perros"),
        ("♔ vive", "♔ vive"),
        ("McDonald", "McDonald"),
        ("¡!", "¡!"),
        ("", ""),
    ],
)
def test_the_first_letter_is_raised(text: str, raised: str) -> None:
    assert capitalize_first(text) == raised
    assert restore(text, "A dog") == raised


@pytest.mark.parametrize(
    ("marked", "restored"),
    [
        ("the dog and i", "the dog and I"),
        ("i'm old and i'll see", "I'm old and I'll see"),
        ("in ⇪ i'm", "in I'M"),
        ("hi, ⇧ i", "hi, I"),
    ],
)
def test_i_is_raised_in_english(marked: str, restored: str) -> None:
    assert restore(marked, casing=TO_ENGLISH) == restored


WORDS = st.sampled_from(["the", "dog", "sees", "a", "of", "oslo", "quill", "is", "i", "o'brien"])
FORMS = st.sampled_from([str.lower, str.lower, str.capitalize, str.upper, str.swapcase])
SPACED = st.sampled_from([" ", " ", " ", ", ", " (", "-", "/", ". ", " ¿", "_", " 5 "])


@st.composite
def sentences(draw: st.DrawFn) -> str:
    """Known and unknown words with random capitals, after signs that may come first."""
    words = draw(st.lists(st.tuples(WORDS, FORMS, SPACED), min_size=1, max_size=8))
    start = draw(st.sampled_from(["", "", "¿", '"', "5 ", "♔ ", "- "]))
    return start + "".join(form(word) + space for word, form, space in words)


@given(text=sentences())
@example(text="Oslo sees the dog")
@example(text="sees Oslo the DOG")
@example(text="USA")
@example(text="A.")
def test_restore_is_the_inverse_of_apply_for_informative_texts(text: str) -> None:
    assume(not says_nothing(text, LEXICON))
    assume(not any(is_shifted(word) for word in WORD.findall(text)))
    assert restore(apply(text, SPANISH), text) == text


@given(text=sentences())
def test_restored_texts_in_capitals_or_lowercase_have_the_letters_of_the_source(text: str) -> None:
    for source in (text.lower(), text.upper()):
        restored = restore(apply(source, SPANISH), source)
        assert restored.lower() == text.lower()
        if SPANISH.apply(source).state.uppercase:
            assert restored == source


def test_state_says_how_the_source_was_written() -> None:
    assert ENGLISH.apply("the dog").state == CaseState(uppercase=False, capitalized=False)
    assert ENGLISH.apply("The dog").state == CaseState(uppercase=False, capitalized=True)
    assert ENGLISH.apply("THE DOG").state == CaseState(uppercase=True, capitalized=True)


@pytest.mark.parametrize(
    ("form", "shifted", "mixed"),
    [
        ("HEllo", True, True),
        ("TVs", False, True),
        ("McDonald", False, True),
        ("iPhone", False, True),
        ("Hello", False, False),
        ("HELLO", False, False),
        ("hello", False, False),
        ("O'Brien", False, True),
    ],
)
def test_forms_of_words(form: str, shifted: bool, mixed: bool) -> None:
    assert (is_shifted(form), is_mixed(form)) == (shifted, mixed)
