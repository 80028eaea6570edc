"""What a person types keeps its lines, its frame and its end."""

import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.text.normalization import Normalization, normalize
from translator.text.pipeline import Pipeline, Step
from translator.text.segmentation import Sentences
from translator.text.structure import FinalMark, Frame, Lines, Tags

BREAKS = ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]
EMOJI = [
    "😀", "→", "👩🏽\u200d🚀", "👨\u200d👩\u200d👧", "🇪🇸", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3",
    "©\ufe0f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]  # fmt: skip
PIECES = [
    *BREAKS, *EMOJI, *"-*•–—·+#>[](){}\"'“”‘’«»_.!?…:;¿¡ \t\u200b\u200d\ufe0fabIV12é", "1. ", "2) ",
    "(a) ", "iv. ", "[x] ", "## ", "**", "Hello.", "p.m. ", " I ", "the cat",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(st.characters())
STEPS: list[Step[Any]] = [Lines(), Frame(), Sentences(), Frame(), Normalization(), FinalMark()]


def round_trip(step: Step[Any], text: str) -> str:
    applied = step.apply(text)
    return step.restore(applied.parts, applied.state)


def translate(text: str, translation: Callable[[str], str], steps: list[Step[Any]]) -> str:
    """Apply the steps, change each part, and restore the text."""
    pipeline = Pipeline(steps)
    applied = pipeline.apply(text)
    return pipeline.restore(list(map(translation, applied.parts)), applied.state)


@pytest.mark.parametrize("step", [Lines(), Frame(), FinalMark()], ids=lambda s: type(s).__name__)
@given(text=TEXTS)
def test_each_step_is_restored_exactly(step: Step[Any], text: str) -> None:
    assert round_trip(step, text) == text


@pytest.mark.parametrize("text", ['- "Hi."\n\n1. *So*! 😀', "", "😀", "\n"])
def test_a_state_can_be_stored(text: str) -> None:
    applied = Pipeline(STEPS).apply(text)
    assert pickle.loads(pickle.dumps(applied)) == applied


# --- lines ----------------------------------------------------------------------------------------


@given(text=TEXTS)
def test_parts_are_the_lines_with_something_to_see(text: str) -> None:
    parts = Lines().apply(text).parts
    left = iter(text.splitlines())
    assert all(part in left for part in parts)  # in order
    seen = [line for line in text.splitlines() if normalize(line.replace("\u200d", ""))]
    assert len(parts) <= len(seen)
    if text.isprintable() or text.isascii():
        assert parts == seen


def test_blank_lines_stay_where_they_are() -> None:
    text = "\n \u200b\nOne\r\n\r\n\u2060\nTwo\x85"
    applied = Lines().apply(text)
    assert applied.parts == ["One", "Two"]
    assert Lines().restore(["Uno", "Dos"], applied.state) == "\n \u200b\nUno\r\n\r\n\u2060\nDos\x85"
    # An empty translation leaves a blank line.
    assert Lines().restore(["", "Dos"], applied.state) == "\n \u200b\n\r\n\r\n\u2060\nDos\x85"


@given(text=TEXTS)
@example("\n\nOne.\n\u200b\n\n")
def test_as_many_lines_come_out(text: str) -> None:
    lines = text.splitlines()
    assert len(translate(text, lambda part: part, STEPS).splitlines()) == len(lines)
    # Even if the model has nothing to say. (With a \r, a blank line and a \n, they would be one.)
    text = "".join(f"{line}\n" for line in lines)
    assert len(translate(text, lambda _: "", STEPS).splitlines()) == len(lines)


@given(text=TEXTS)
def test_all_steps_restore_the_text_up_to_normal_form(text: str) -> None:
    restored = translate(text, lambda part: part, STEPS)
    assert [normalize(line) for line in restored.splitlines()] == [
        normalize(line) for line in text.splitlines()
    ]


@given(text=TEXTS)
def test_parts_are_not_empty(text: str) -> None:
    assert all(normalize(part) == part != "" for part in Pipeline(STEPS).apply(text).parts)


def test_a_letter_keeps_its_structure() -> None:
    text = "# *Shopping list*\n\n- bread 🍞\n- “Good” milk.\n\n1. Pay. Go home!\n\n— Bye ❤\ufe0f\n"
    spanish = {
        "Shopping list": "Lista de compras.",
        "bread": "Pan.",
        '"Good" milk.': "Leche «buena».",
        "Pay.": "Paga.",
        "Go home!": "¡Vete a casa!",
        "Bye": "¡Adiós!",
    }
    expected = (
        "# *Lista de compras*\n\n- Pan 🍞\n- Leche «buena».\n\n1. Paga. ¡Vete a casa!\n\n"
        "— Adiós ❤\ufe0f\n"
    )
    assert translate(text, spanish.__getitem__, STEPS) == expected


# --- frame ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "core", "after"),
    [
        ("  \u200b", "The rain stopped.", "\ufeff \t"),
        ("- ", "bread", ""),
        ("• ", "bread", ""),
        ("· ", "bread", ""),
        ("- - ", "bread", ""),
        ("", "-5 degrees", ""),
        ("", "-ing is an ending", ""),
        ("", "+34 600 is a number", ""),
        ("- [ ] ", "bread", ""),
        ("[x] ", "bread", ""),
        ("", "[a] bread", ""),
        ("## ", "Bread", ""),
        ("", "#bread", ""),
        ("> > ", "Bread", ""),
        ("", ">5 loaves", ""),
        ("1. ", "Peel them.", ""),
        ("12) ", "Peel them.", ""),
        ("(3) ", "Peel them.", ""),
        ("2.1. ", "Peel them.", ""),
        ("4.- ", "Pelarlas.", ""),
        ("", "2.5 litres", ""),
        ("", "(1984) A novel", ""),
        ("a) ", "peel them", ""),
        ("(a) ", "peel them", ""),
        ("", "(a) or (b)", ""),
        ("", "a) or b)", ""),
        ("iv. ", "Peel them.", ""),
        ("XII. ", "Peel them.", ""),
        ("(ii) ", "peel them", ""),
        ("", "A. Smith is here.", ""),
        ("", "a. C. means before Christ", ""),
        ("", "I.", ""),
        ("", "I am.", ""),
        ("", "mix. It", ""),
        ("— ", "Hello", ""),
        ("—", "Hola —dijo.", ""),
        ("-", "¡Hola!", ""),
        ("–", "Hola.", ""),
        ("😀 ", "Good morning!", " 👩🏽\u200d🚀🇪🇸"),
        ("1\ufe0f\u20e3 ", "Peel them", " 2\ufe0f\u20e3"),
        ("→ ", "Press 1", " ©\ufe0f"),
        ("", "I ❤\ufe0f Madrid", ""),
        ('"', "Good morning.", '"'),
        ("“", "It’s ‘late’.", "”"),
        ("‘", "It’s late.", "’"),
        ("'", "It's late.", "'"),
        ("«", "¿Qué?", "»"),
        ("„", "Hallo", "“"),
        ("(", "see (a) and (b)", ")"),
        ("[", "Music", "]"),
        ("***", "now", "***"),
        ("_", "now", "_"),
        ('- ("**', "Hello.", '**") 😀'),
        ("“1. ", "Hello.", " ”"),
        ("", '"Yes," he said, "I know."', ""),
        ("", "“Yes,” he said, “I know.”", ""),
        ("", "**One** and **two**", ""),
        ("", "*One* and *two*", ""),
        ("", "'One' and 'two'", ""),
        ("", "(One) (two)", ""),
        ("", '"Hello".', ""),
        ("", '(Hello"', ""),
        ("", "((Hello)", ""),
    ],
)
def test_frames_by_hand(before: str, core: str, after: str) -> None:
    applied = Frame().apply(before + core + after)
    assert applied.parts == [core]
    assert applied.state == (before, after)
    assert Frame().restore(["x"], applied.state) == before + "x" + after


@pytest.mark.parametrize(
    "text",
    [
        *["", " \u200b", "- ", "1. ", "(a)", "😀 👍", '""', "- [ ] **😀**", "> > >", "[]", "— —"],
        *["────", "…", "- 5", "− 3.50 €", "“?!”", "***"],
    ],
)
def test_a_text_without_a_letter_has_no_part(text: str) -> None:
    applied = Frame().apply(text)
    assert applied.parts == []
    assert Frame().restore([], applied.state) == text


@given(
    before=st.lists(st.sampled_from(EMOJI)),
    after=st.lists(st.sampled_from(EMOJI)),
    core=st.sampled_from(["Hello", "Why? 😀 No.", "5 p", "é", "猫™"]),
)
def test_emoji_are_taken_off_whole(before: list[str], after: list[str], core: str) -> None:
    applied = Frame().apply("".join(before) + core + "".join(after))
    assert applied.parts == [core]
    assert applied.state == ("".join(before), "".join(after))


def test_all_that_normalization_removes_is_taken_off() -> None:
    removed = [c for c in map(chr, range(sys.maxunicode + 1)) if not normalize(c)]
    assert len(removed) > 80
    assert [c for c in removed if Frame().apply(f"{c}a{c}").parts != ["a"]] == []


def test_only_so_many_pairs_are_taken_off() -> None:
    assert Frame().apply("(" * 10 + "a" + ")" * 10).parts == ["((a))"]


@pytest.mark.parametrize(
    "text",
    ["(", "(a) ", "- ", "1.", "😀a", "\u200d", "*", '"', ".)", "p. ", "a", "Mr. ", "<!--", "<a"],
)
def test_long_texts_take_no_quadratic_time(text: str) -> None:
    """With quadratic time, each of these would take minutes."""
    long = text * 100_000
    steps = [Lines(), Tags(), Frame(), Sentences(), FinalMark()]
    assert all(round_trip(step, long) == long for step in steps)
    for end in (".", ").", "!"):
        assert long[:-2] in FinalMark().restore([long + end], state=False)


# --- final mark -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["a.", "a!", "a?", "a…", "a...", "a:", "a;", 'a."', "a?)", "a.”»", "What?!", "NO!!!", "a. "],
)
def test_a_text_with_a_final_mark_changes_nothing(text: str) -> None:
    applied = FinalMark().apply(text)
    assert applied.parts == [text]
    assert FinalMark().restore(["¡Hola!"], applied.state) == "¡Hola!"
    assert FinalMark().restore(["Hola."], applied.state) == "Hola."


@pytest.mark.parametrize("text", ["Shopping list", "Dear Ana,", 'the "end"', "3.5", "A. Smith"])
@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("Lista.", "Lista"),
        ("Lista", "Lista"),
        ("Lista...", "Lista..."),
        ("Uno. Dos.", "Uno. Dos"),
        ("Dijo «no».", "Dijo «no»"),
        ('Dijo "no."', 'Dijo "no"'),
        ("los EE. UU.", "los EE. UU."),
        ("los JJ. OO.", "los JJ. OO."),
        ("las 5 p. m.", "las 5 p. m."),
        ("the U.S.", "the U.S."),
        ("el Sr.", "el Sr."),
        ("etc.", "etc."),
        ("plan B.", "plan B"),
        ("¡Buenos días!", "Buenos días"),
        ("Ana, ¡ven!", "Ana, ven"),
        ("Good morning!", "Good morning"),
        ("¡No! ¡Sí!", "¡No! ¡Sí!"),
        ("¡No!!", "¡No!!"),
        ("¿Cómo estás?", "¿Cómo estás?"),
        (".", "."),
        ("", ""),
    ],
)
def test_a_text_without_a_final_mark_gets_none(text: str, translation: str, expected: str) -> None:
    applied = FinalMark().apply(text)
    assert applied.parts == [text]
    assert FinalMark().restore([translation], applied.state) == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Click <b>here</b> to go.", ["Click ", "here", " to go."]),
        ("<p>One. Two.</p>", ["One. Two."]),
        ("<br/>", []),
        ("a < b and c > d", ["a < b and c > d"]),
        ("x <!-- <b>no</b> --> y", ["x ", " y"]),
        ("x <!-- <!-- no --> y", ["x <!-- ", " y"]),
        (" <i> </i> ", []),
    ],
)
def test_a_text_is_split_at_its_tags(text: str, parts: list[str]) -> None:
    assert Tags().apply(text).parts == parts


@given(
    st.lists(st.sampled_from(["<b>", "</b>", "<a href='x'>", "word", " ", "<", ">", "!--", "\n"]))
)
def test_tags_are_restored(pieces: list[str]) -> None:
    text = "".join(pieces)
    applied = Tags().apply(text)
    assert Tags().restore(applied.parts, applied.state) == text
    assert not any(part.isspace() or not part for part in applied.parts)


def test_a_tag_stays_between_the_translations_of_its_neighbors() -> None:
    applied = Tags().apply("See <b>the dog</b>.")
    assert Tags().restore(["Ve ", "al perro", "."], applied.state) == "Ve <b>al perro</b>."
