"""Robustness is measured with translators whose scores are known: perfect, copying, looping."""

import random
from dataclasses import replace

import pytest

from translator.corpus.held_out import Example
from translator.errors import TranslatorError
from translator.evaluation.probes import Probe, english_spanish_probes, read_words
from translator.evaluation.robustness import (
    Translate,
    evenly_spread,
    is_early_stop,
    is_loop,
    measure_robustness,
    variants,
    with_other_names,
    with_typo,
    without_final_mark,
)
from translator.runs.manifest import RobustnessRow
from translator.runs.report import _robustness_table
from translator.text.normalization import fold

PAIRS = {
    "Don't open the old window, Maria!": "¡No abras la ventana vieja, María!",
    "My neighbour paints boats.": "Mi vecino pinta barcos.",
    "Is it far?": "¿Está lejos?",
}
EXAMPLES = [Example(src, [reference], []) for src, reference in PAIRS.items()]


def measure(
    translate: Translate, examples: list[Example] = EXAMPLES, tgt_lang: str = "es", **options: int
) -> dict[str, RobustnessRow]:
    rows = measure_robustness(translate, examples, src_lang="en", tgt_lang=tgt_lang, **options)
    assert len({row.measure for row in rows}) == len(rows)
    return {row.measure: row for row in rows}


def copy(texts: list[str]) -> list[str]:
    return texts


def perfect(texts: list[str]) -> list[str]:
    """Look up sentences without regard to case and marks, and words; copy all other texts.

    A question has no word that must be kept, so it gets its marks.
    """
    known = {fold(src): reference for src, reference in PAIRS.items()}
    known |= {word: f"El {accepted[0]}." for word, _, accepted in read_words()}
    found = []
    for text in texts:
        key = fold(text).removeprefix("the ")
        if key in known:
            found.append(known[key])
        elif text.startswith(("Wh", "How", "Do ", "Can ")) and '"' not in text:
            found.append(f"¿{text.rstrip('?')}?")
        else:
            found.append(text)
    return found


def without_typo(translate: Translate) -> Translate:
    typed = dict(zip(variants(list(PAIRS))["one typo"], PAIRS, strict=True))
    return lambda texts: translate([typed.get(text, text) for text in texts])


def test_variants_of_a_sentence() -> None:
    made = variants(["Don't open the old window, Maria!", "¿Qué es?"])
    typos = made.pop("one typo")
    assert made == {
        "clean": ["Don't open the old window, Maria!", "¿Qué es?"],
        "lower case": ["don't open the old window, maria", "qué es"],
        "first letter lower": ["don't open the old window, Maria!", "¿Qué es?"],
        "no final mark": ["Don't open the old window, Maria", "Qué es"],
        "ALL CAPS": ["DON'T OPEN THE OLD WINDOW, MARIA!", "¿QUÉ ES?"],
        "Title Case": ["Don't Open The Old Window, Maria!", "¿Qué Es?"],
    }
    assert typos[1] == "¿Qué es?"  # no word of four letters
    assert typos == variants(["Don't open the old window, Maria!", "¿Qué es?"])["one typo"]


def test_a_text_of_marks_alone_is_kept() -> None:
    assert [without_final_mark(text) for text in ("…", "¿?", "Hm…", "")] == ["…", "¿?", "Hm", ""]


def test_a_typo_swaps_two_different_letters_inside_a_word() -> None:
    text = "He sees an attic2 in Lima."
    made = {with_typo(text, random.Random(seed)) for seed in range(200)}
    assert made == {
        "He sees an attic2 in Lmia.",
        "He sees an attic2 in Liam.",
        "He sees an attci2 in Lima.",
        "He sees an atitc2 in Lima.",
        "He sese an attic2 in Lima.",
    }


def test_a_perfect_translator_has_full_marks() -> None:
    rows = measure(without_typo(perfect))
    bad = {name for name, row in rows.items() if row.value < 99.999}
    assert bad == {"loops", "early stops"}
    assert (rows["loops"].value, rows["early stops"].value) == (0, 0)
    counts = {name: row.count for name, row in rows.items()}
    assert counts["clean, folded BLEU"] == 3
    assert counts["word: cat"] == counts["word: CAT"] == len(read_words()) > 100
    nouns = [word for word, kind, _ in read_words() if kind == "noun"]
    assert counts["word: the cat"] == len(nouns) > 50
    assert counts["numbers kept"] == 60
    assert counts["unusual names kept"] == 40
    assert counts["common names kept"] == 30


def test_a_translator_that_copies_keeps_everything_and_translates_nothing() -> None:
    rows = measure(copy)
    for name, row in rows.items():
        if name.endswith(" kept"):
            assert row.value == 100, name
        elif name.startswith("word: "):
            same = 0 if name == "word: the cat" else 2  # doctor, hospital
            assert row.value == pytest.approx(100 * same / row.count)
        elif name.startswith("question"):
            assert row.value == 0, name
    assert rows["clean, folded BLEU"].value < 10


def test_what_a_translator_makes_of_a_variant_counts_for_this_variant() -> None:
    def no_typos(texts: list[str]) -> list[str]:
        known = {fold(src): reference for src, reference in PAIRS.items()}
        return [known.get(fold(text), "") for text in texts]

    rows = measure(no_typos)
    assert rows["ALL CAPS, folded chrF"].value == pytest.approx(100)
    assert rows["one typo, folded chrF"].value < 50
    assert rows["early stops"] == RobustnessRow("early stops", 100 * 2 / 20, "%", 20)


def test_all_references_count_and_accents_matter() -> None:
    several = [replace(EXAMPLES[0], references=["Nada.", "No abras la ventana vieja, María"])]
    assert measure(perfect, several)["clean, folded BLEU"].value == pytest.approx(100)
    plain = [replace(EXAMPLES[0], references=["No abras la ventana vieja, Maria"])]
    assert measure(perfect, plain)["clean, folded BLEU"].value < 100


def test_each_text_is_translated_once() -> None:
    seen: list[str] = []

    def record(texts: list[str]) -> list[str]:
        seen.extend(texts)
        return texts

    measure(record)
    assert len(seen) == len(set(seen))


def test_other_languages_have_no_probes() -> None:
    names = set(measure(copy, tgt_lang="fr"))
    assert {name.rpartition(",")[0] for name in names} == {*variants([]), ""}
    assert {name for name in names if "," not in name} == {"loops", "early stops"}


def test_the_short_form_is_a_part_of_the_whole() -> None:
    short, whole = measure(copy, short=True), measure(copy)
    assert 8 <= len([row for row in short.values() if row.unit != "chrF"]) <= 10
    # The short form translates fewer variants, so loops and early stops have another basis.
    for name in ("loops", "early stops"):
        assert short.pop(name).count < whole[name].count
    assert short.items() <= whole.items()


def test_long_sentences_are_measured_if_there_are_enough() -> None:
    numbers = ["one", "two", "three", "four", "five"]
    rng = random.Random(5)
    examples = [
        Example(text, [text], [])
        for words, count in ((16, 12), (25, 8), (26, 19), (15, 30))
        for text in (" ".join(rng.choices(numbers, k=words)) for _ in range(count))
    ]
    rows = measure(copy, examples, max_examples=15)
    assert rows["sentences of 16 to 25 words"].value == pytest.approx(100)
    assert rows["sentences of 16 to 25 words"].count == 15
    assert "sentences of over 25 words" not in rows
    assert rows["clean, folded BLEU"].count == 15


def test_names_of_both_sides_are_replaced_by_the_same_made_up_name() -> None:
    example = Example(
        "Ann says Ann knows Rome.", ["Ann dice que Ann conoce Roma.", "Ann, Roma."], []
    )
    changed = with_other_names(example, random.Random(1))
    assert changed is not None
    name = changed.src.split()[0]
    assert name not in ("Ann", "Rome")
    assert changed.src == f"{name} says {name} knows Rome."
    assert changed.references == [f"{name} dice que {name} conoce Roma.", f"{name}, Roma."]
    assert with_other_names(Example("I see Rome.", ["Veo Roma."], []), random.Random(1)) is None


def test_sentences_with_names_are_measured_with_both_names() -> None:
    examples = [
        Example(f"Ann sees {i} red boats", [f"Ann sees {i} red boats"], []) for i in range(20)
    ]
    rows = measure(copy, examples)
    for name in ("sentences with names", "the same with made-up names"):
        assert rows[name].value == pytest.approx(100)
        assert rows[name].count == 20
    known = measure(
        lambda texts: [text if text.startswith("Ann") else "x" for text in texts], examples
    )
    assert known["sentences with names"].value == pytest.approx(100)
    assert known["the same with made-up names"].value < 1
    assert "sentences with names" not in measure(copy, examples, short=True)


def test_no_examples_are_refused() -> None:
    with pytest.raises(TranslatorError, match="0 translations"):
        measure(copy, [])


def test_examples_are_evenly_spread() -> None:
    many = [Example(str(i), [""], []) for i in range(10)]
    assert [example.src for example in evenly_spread(many, 4)] == ["0", "2", "5", "7"]
    assert evenly_spread(many, 20) == many


@pytest.mark.parametrize(
    ("src", "translation", "loop"),
    [
        ("He goes.", "Va va va.", True),
        ("He goes.", "Él va, va.", False),
        ("He goes.", "va a ir, va a ir, va a ir", True),
        ("He goes.", "a la casa de, a la casa de, a la casa de", True),
        ("He goes.", "uno dos tres ya cinco, uno dos tres ya cinco, uno dos tres ya cinco", True),
        ("He goes.", "uno dos tres ya cinco, uno dos tres ya cinco, uno dos tres no", False),
        ("He goes.", "y va o va o fue y va", False),
        ("No, no, no!", "¡No, no, no!", False),
        ("He goes.", "", False),
    ],
)
def test_loops(src: str, translation: str, loop: bool) -> None:
    assert is_loop(src, translation) is loop


@pytest.mark.parametrize(
    ("src", "translation", "early"),
    [
        ("We eat bread now.", "Comemos pan.", False),
        ("We eat bread now.", "Comemos.", True),
        ("Go.", "", True),
        ("Go.", "Ve.", False),
        ("Did you swim?", "¿Nadaste?", True),  # a false alarm, as in 1 % of the references
    ],
)
def test_early_stops(src: str, translation: str, early: bool) -> None:
    assert is_early_stop(src, translation) is early


def probe(start: str) -> Probe:
    """The first probe whose text starts like this."""
    return next(probe for probe in english_spanish_probes() if probe.src.startswith(start))


@pytest.mark.parametrize(
    ("start", "good", "bad"),
    [
        ("the cat", ["el gato", "¡Una gata!", "GATO"], ["los gatos", "gato gato", "el", ""]),
        ("hot", ["Caliente.", "calor"], ["perro caliente"]),
        ("often", ["a menudo", "Con frecuencia."], ["menudo"]),
        ("sleep", ["dormir", "Duermo.", "¡Duerme!"], ["el perro duerme"]),
        ("I gave the keys to Mary", ["Di las llaves a María.", "A Mary."], ["A Marya.", "a Maria"]),
        ("I gave the keys to Kw", ["Kwabena"], ["kwabena", "Kwaben", "Kwabenas"]),
        ("The file %s", ["El %s no se abre."], ["El% s no", "%s %s", "el archivo"]),
        ("%1$s", ["%1$s te mandó %2$d fotos"], ["%1$s te mandó fotos", "%2$d"]),
        ("See you tonight", ["🎉🎉 ¡Hasta luego!"], ["🎉", "🎉🎉🎉", ""]),
        ("- milk", ["- leche\n- pan\n- dos"], ["leche\npan\ndos", "- leche\n- pan", "- l\n\n- p"]),
        ("Dear friend,\n", ["Amigo:\n\nOí.\n\nVa."], ["Amigo:\nOí.\n\n\nVa."]),
        ("1. Open", ["1. Abre\n2. Lee\n3. Di"], ["1. Abre\n3. Lee\n2. Di", "1 Abre\n2. L\n3. D"]),
        ('She said "good', ["Dijo «hola»", 'Dijo "hola"'], ["Dijo hola", 'Dijo "hola']),
        ("Where is the", ["¿Dónde está?"], ["Dónde está?", "¿Dónde está", "Dónde está"]),
    ],
)
def test_probes(start: str, good: list[str], bad: list[str]) -> None:
    passes = probe(start).passes
    assert [text for text in good if not passes(text)] == []
    assert [text for text in bad if passes(text)] == []


def test_a_number_may_have_its_spanish_form_but_no_other() -> None:
    price = probe("The ticket costs $").src.split("$")[1].split()[0]
    passes = probe("The ticket costs $").passes
    assert passes(f"Cuesta {price} dólares.")
    assert passes(f"Cuesta {price.replace('.', ',')}.")
    for other in (f"1{price}", f"{price}0", f"{price}.1", f"1.{price}", price[:-1], ""):
        assert not passes(f"Cuesta {other} dólares.")
    share = probe("About").src.split()[1].rstrip("%")
    assert all(map(probe("About").passes, (f"El {share}\u00a0%", f"El {share} por ciento")))
    assert not probe("About").passes(f"El {share}")


def test_probes_are_the_same_in_every_call() -> None:
    texts = [probe.src for probe in english_spanish_probes()]
    assert texts == [probe.src for probe in english_spanish_probes()]
    assert len(texts) == len(set(texts))


def test_every_accepted_word_is_written_as_it_is_compared() -> None:
    words = read_words()
    assert len({word for word, _, _ in words}) == len(words)
    assert {kind for _, kind, _ in words} == {"noun", "verb", "adjective", "adverb"}
    for word, _, accepted in words:
        assert [fold(text) for text in [word, *accepted]] == [word, *accepted]
        assert len(set(accepted)) == len(accepted)


def test_the_table_of_the_report_leaves_out_chrf() -> None:
    rows = [
        RobustnessRow("clean, folded BLEU", 31.25, "BLEU", 300),
        RobustnessRow("clean, folded chrF", 50.0, "chrF", 300),
        RobustnessRow("numbers kept", 95.0, "%", 60),
    ]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in _robustness_table(rows).splitlines()
    ]
    del cells[1]  # the line below the headers
    assert cells == [
        ["measure", "value", "unit", "texts"],
        ["clean, folded BLEU", "31.2", "BLEU", "300"],
        ["numbers kept", "95.0", "%", "60"],
    ]
