"""`Translator.translate` handles any text."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from translator import load
from translator.data.tokenizer import UNK_ID
from translator.errors import TranslatorError
from translator.inference.engine import Hypothesis
from translator.inference.pytorch import PyTorchEngine
from translator.inference.translator import Translator, load_translator
from translator.runs.run import Run
from translator.text.protection import Found, Protection
from translator.text.symbols import NAMES


@pytest.fixture(scope="module")
def translator(trained_run: Path) -> Translator:
    return load(trained_run)


def test_a_translator_has_the_languages_of_its_run(
    translator: Translator, reverse_run: Path
) -> None:
    assert (translator.src_lang, translator.tgt_lang) == ("en", "es")
    backward = load(reverse_run)
    assert (backward.src_lang, backward.tgt_lang) == ("es", "en")


SENTENCES = [
    "The boat leaves at noon.",
    "Why?",
    "My neighbour paints small pictures of the harbour when the weather is good.",
    "She sings.",
    "We have no milk, no bread and no time.",
    "Does your uncle still live in that old house near the river?",
    "Good.",
    "He opened the window because the room was too hot for all of us.",
    "It works.",
    "The two girls found a shiny coin under the bridge yesterday.",
]


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(), max_size=60))  # surrogates and controls included
@example("a\nb\r\nc\x85d\u2028e")
@example("\ud800 half a pair \udfff")
@example("👩\u200d👩\u200d👧 🇪🇸")
@example("\x00\x1b[31m\x7f")
@example("Ελληνικά, 日本語, العربية, हिन्दी")
@example("ﬁ Å Å e\u0301")
@example("İSTANBUL ŞİİR")
@example("STRASSE ß ŉ")
@example(" \r\n - One.\n\n\tTwo. \n")
def test_a_translation_has_the_lines_and_the_margins_of_its_text(
    translator: Translator, text: str
) -> None:
    [translation] = translator.translate([text], beam_size=2)
    # The letter is there because a last line that is empty doesn't count.
    assert len(f"{translation.text}a".splitlines()) == len(f"{text}a".splitlines())
    assert translation.text.startswith(text[: len(text) - len(text.lstrip())])
    assert translation.text.endswith(text[len(text.rstrip()) :])
    translation.text.encode("utf-8")
    assert all("\n" not in warning for warning in translation.warnings)


@pytest.mark.parametrize(
    "text",
    [("the boat leaves at noon, " * 500)[:10_000], "a" * 10_000],
    ids=["clauses", "one word"],
)
def test_a_very_long_sentence_is_translated_in_parts(translator: Translator, text: str) -> None:
    [translation] = translator.translate([text], beam_size=1)
    assert any("parts" in warning for warning in translation.warnings)
    assert translation.text
    assert "\n" not in translation.text


@pytest.mark.parametrize("letters", ["ab", "a.", "A1", "12", "漢", "a\u0301\u0323", "`", "<a"])
def test_a_text_without_a_space_is_only_looked_at_in_short_parts(
    translator: Translator, letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at all of a million letters takes a second; they were looked at many times."""
    looked_at: list[str] = []
    real = Protection.find

    def find(self: Protection, text: str) -> list[Found]:
        looked_at.append(text)
        return real(self, text)

    monkeypatch.setattr(Protection, "find", find)
    translator.pipeline.apply(letters * 20_000)
    assert max(map(len, looked_at), default=0) <= 2000
    # Twice the text for each of the few levels of halves, from 2,000 characters to a part.
    assert sum(map(len, looked_at)) <= 20 * len(letters) * 20_000


def test_a_long_address_is_one_part(translator: Translator) -> None:
    address = f"https://example.org/{'a' * 1900}"
    [part] = translator.pipeline.apply(f"See {address} now.").parts
    assert len(part) < 40


def test_a_short_text_gives_no_warning_about_parts(translator: Translator) -> None:
    [translation] = translator.translate(SENTENCES[:1], beam_size=1)
    assert not any("parts" in warning for warning in translation.warnings)


def test_sentences_of_a_text_are_translated_as_if_alone(translator: Translator) -> None:
    alone = [translation.text for translation in translator.translate(SENTENCES)]
    for space in (" ", "  ", "\n", "\r\n\r\n\t"):
        [together] = translator.translate([space.join(SENTENCES)])
        assert together.text == space.join(alone)
        assert not any("parts" in warning for warning in together.warnings)


def test_the_score_of_a_text_is_the_sum_over_its_sentences(translator: Translator) -> None:
    first, second, together = translator.translate(
        [SENTENCES[0], SENTENCES[2], f"{SENTENCES[0]} {SENTENCES[2]}"], length_penalty=0
    )
    assert together.score == pytest.approx(first.score + second.score, abs=1e-4)


def test_texts_are_the_same_without_scores(translator: Translator) -> None:
    with_scores = translator.translate(SENTENCES, beam_size=1)
    unscored = translator.translate(SENTENCES, beam_size=1, with_scores=False)
    assert [t.text for t in unscored] == [t.text for t in with_scores]
    assert all(math.isnan(t.score) for t in unscored)


def test_only_the_sentence_in_uppercase_is_translated_to_uppercase(translator: Translator) -> None:
    usual, uppercase = SENTENCES[0], SENTENCES[3].upper()
    first, second, both = translator.translate([usual, uppercase, f"{usual} {uppercase}"])
    assert both.text == f"{first.text} {second.text}"
    assert not first.text.isupper()


def test_uppercase_gives_the_same_translation_in_uppercase(translator: Translator) -> None:
    sentences = [sentence for sentence in SENTENCES if " " in sentence]  # not "YES."
    usual = [translation.text for translation in translator.translate(sentences)]
    uppercase = translator.translate([sentence.upper() for sentence in sentences])
    assert [translation.text for translation in uppercase] == [text.upper() for text in usual]
    assert any(text != text.upper() for text in usual)


def test_a_short_abbreviation_does_not_count_as_uppercase(translator: Translator) -> None:
    applied = translator.pipeline.apply("TV")
    assert applied.parts == [NAMES[0]]  # too rare to be learned
    assert translator.pipeline.restore([f"la {NAMES[0]}"], applied.state) == "La TV"


def test_words_with_unknown_characters_are_copied(translator: Translator) -> None:
    [translation] = translator.translate(["The cat and the 猫 and the жук."], beam_size=1)
    assert translation.text.count("猫") == translation.text.count("жук") == 1
    assert not any("never seen" in warning for warning in translation.warnings)


def test_a_text_of_unknown_characters_only_is_copied(translator: Translator) -> None:
    [translation] = translator.translate(["猫 ж"], beam_size=2)
    assert (translation.text, translation.score, translation.warnings) == ("猫 ж", 0.0, [])


@pytest.mark.parametrize("text", ["1984", "3.50 + 4 = 7.50", "?!", "…", " −5 \n\t½ "])
def test_a_text_without_letters_is_copied(translator: Translator, text: str) -> None:
    assert translator.translate([text])[0].text == text


def test_the_model_never_reads_an_unknown_token(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    search = PyTorchEngine.search

    def note(
        self: PyTorchEngine, ids: list[list[int]], *options: float, **with_scores: bool
    ) -> object:
        read.extend(ids)
        return search(self, ids, *options, **with_scores)  # type: ignore[arg-type]

    monkeypatch.setattr(PyTorchEngine, "search", note)
    translator.translate(["The 猫 sleeps."])
    assert UNK_ID in translator.tokenizer.encode(["The 猫 sleeps."])[0]
    assert read
    assert not any(UNK_ID in ids for ids in read)


def test_a_translation_found_twice_is_listed_once_with_its_better_score(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hypotheses can split the same text into different tokens."""
    whole, other = translator.tokenizer.encode(["sí.", "¿"])
    found = [
        Hypothesis(whole, -1.0, 1, True),
        Hypothesis(other, -2.0, 1, True),
        Hypothesis(whole[:], -3.0, 1, True),
    ]
    monkeypatch.setattr(PyTorchEngine, "search", lambda *arguments, **with_scores: [found])
    [translation] = translator.translate(["Good."], n_best=3)
    assert translation.alternatives == [("Sí.", -1.0), ("¿", -2.0)]


def test_sentences_without_errors_give_no_warning(translator: Translator) -> None:
    translations = translator.translate(SENTENCES, beam_size=1)
    said = ("never seen", "is read as")
    assert not any(part in w for t in translations for w in t.warnings for part in said)


def test_warnings_belong_to_their_text(translator: Translator) -> None:
    first, second, third = translator.translate(["Why?", "The huose.", "Good."], beam_size=1)
    assert '"huose" is read as "house"' in second.warnings
    assert not any("huose" in warning for warning in first.warnings + third.warnings)


def test_order_and_other_texts_do_not_change_the_result(translator: Translator) -> None:
    alone = {text: translator.translate([text], beam_size=1)[0].text for text in SENTENCES}
    assert len(set(alone.values())) > 3
    shuffled = random.Random(5).sample(SENTENCES * 3, k=3 * len(SENTENCES))
    together = translator.translate(shuffled, beam_size=1)
    assert [t.text for t in together] == [alone[text] for text in shuffled]


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u200b\ufeff", "\x00"])
def test_a_blank_text_is_copied(translator: Translator, text: str) -> None:
    blank, full = translator.translate([text, "Good."])
    assert (blank.text, blank.alternatives, blank.warnings) == (text, [(text, 0.0)], [])
    assert full.text


def test_an_empty_list_gives_an_empty_list(translator: Translator) -> None:
    assert translator.translate([]) == []


def test_a_text_instead_of_a_list_is_refused(translator: Translator) -> None:
    with pytest.raises(TranslatorError, match="list"):
        translator.translate("Where is the cat?")


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (None, {}, "texts must be a list of texts, not None"),
        ([None], {}, r"texts\[0\] must be a text, not None"),
        (["Good.", b"Good."], {}, r"texts\[1\] must be a text, not b'Good.'"),
        (["Good."], {"beam_size": "5"}, "beam_size must be a whole number, not '5'"),
        (["Good."], {"beam_size": 2.0}, r"beam_size must be a whole number, not 2\.0"),
        (["Good."], {"n_best": None}, "n_best must be a whole number, not None"),
        (["Good."], {"length_penalty": "1"}, "length_penalty must be a number, not '1'"),
    ],
)
def test_an_argument_of_another_type_is_named(
    translator: Translator, texts: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TranslatorError, match=said):
        translator.translate(texts, **options)


def test_numbers_of_numpy_and_texts_one_by_one_are_accepted(translator: Translator) -> None:
    given: Any = (text for text in ["Good."])
    [found] = translator.translate(given, beam_size=np.int64(1), length_penalty=np.float32(1))
    [expected] = translator.translate(["Good."], beam_size=1)
    assert (found.text, found.score) == (expected.text, pytest.approx(expected.score))


def test_a_sentence_that_is_no_text_has_no_attention(translator: Translator) -> None:
    nothing: Any = None
    with pytest.raises(TranslatorError, match="tgt must be a text, not None"):
        translator.cross_attention("Good.", nothing)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((None,), "run_dir must be a path, not None"), (("run", "gpu"), "no device gpu")],
)
def test_a_run_is_loaded_from_a_path_on_a_device(
    trained_run: Path, arguments: tuple[Any, ...], said: str
) -> None:
    path, *others = arguments
    with pytest.raises(TranslatorError, match=said):
        load(path and trained_run, *others)


@pytest.mark.parametrize(
    "options",
    [{"beam_size": 0}, {"n_best": 0}, {"n_best": 3, "beam_size": 2}, {"length_penalty": -0.5}],
    ids=str,
)
def test_invalid_search_options_are_refused(
    translator: Translator, options: dict[str, float]
) -> None:
    with pytest.raises(TranslatorError, match="beam_size"):
        translator.translate(["Good."], **options)  # type: ignore[arg-type]


def test_alternatives_are_distinct_and_the_best_comes_first(trained_run: Path) -> None:
    # A weak model's hypotheses are loops, and their replacement has no alternatives.
    translator = load_translator(Run(trained_run), loop_guard=False)
    counts = []
    for translation in translator.translate(SENTENCES, beam_size=4, n_best=4):
        scores = [score for _, score in translation.alternatives]
        assert translation.alternatives[0] == (translation.text, translation.score)
        assert scores == sorted(scores, reverse=True)
        assert len({text for text, _ in translation.alternatives}) == len(scores)
        counts.append(len(scores))
    assert 2 <= max(counts) <= 4  # hypotheses of different tokens can be the same text


def test_cross_attention_is_a_distribution_for_each_target_token(translator: Translator) -> None:
    src, tgt, layers = translator.cross_attention("The boat leaves at noon.", "El barco sale.")
    assert src[-1] == tgt[-1] == "</s>"
    assert "".join(src[:-1]).replace("▁", " ").strip() == "the boat leaves at noon."
    assert "".join(tgt[:-1]).replace("▁", " ").strip() == "el barco sale."
    assert [layer.shape for layer in layers] == [(2, len(tgt), len(src))] * 2  # layers of 2 heads
    for layer in layers:
        assert (layer >= 0).all()
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(2, len(tgt)))
