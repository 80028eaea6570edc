"""Parts of texts are translated with each placeholder exactly once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from helpers import everyday_lines, everyday_model_text
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from translator.data.tokenizer import UNK_ID, Tokenizer, train_tokenizer
from translator.inference.engine import Hypothesis
from translator.inference.parts import SearchOptions, TranslatedPart, translate_parts
from translator.inference.translator import Translation, Translator
from translator.text.protection import placeholders

OPTIONS = SearchOptions(
    beam_size=4, length_penalty=1.0, n_best=2, with_scores=True, loop_guard=True
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = [
        "we see the old boat at noon, don't we?",
        "vemos el barco viejo, ¡no! ¿no? a 5. bcdfghijk",
    ]
    train_tokenizer(texts, 90, path)
    return Tokenizer(path)


class Dictionary:
    """An engine that looks translations up; texts that it doesn't know become "barco".

    Attributes:
        searches: the texts of each search
    """

    def __init__(self, tokenizer: Tokenizer, known: Mapping[str, Sequence[str]]) -> None:
        self.tokenizer = tokenizer
        self.known = known
        self.searches: list[list[str]] = []
        self.n_best: list[int] = []

    def search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        *,
        with_scores: bool = True,
    ) -> list[list[Hypothesis]]:
        assert not any(UNK_ID in ids for ids in src)
        texts = self.tokenizer.decode(list(src)) if src else []
        self.searches.append(texts)
        self.n_best.append(n_best)
        return [
            [
                Hypothesis(ids, log_prob=-1.0 - k, length=len(ids) + 1, complete="bcd" not in text)
                for k, ids in enumerate(self.tokenizer.encode(list(self.look_up(text))))
            ][:n_best]
            for text in texts
        ]

    def look_up(self, text: str) -> Sequence[str]:
        """Return the translations of a text, the best first."""
        return self.known.get(text, ["barco"])

    def cross_attention(
        self, src: Sequence[list[int]], tgt: Sequence[list[int]], layers: Sequence[int] | None
    ) -> list[Tensor]:
        raise NotImplementedError


def translate(
    tokenizer: Tokenizer,
    known: Mapping[str, Sequence[str]],
    *parts: str,
    options: SearchOptions = OPTIONS,
) -> tuple[list[TranslatedPart], Dictionary]:
    engine = Dictionary(tokenizer, known)
    return translate_parts(engine, tokenizer, parts, options), engine


# --- placeholders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "vemos el barco a ☰",
        "vemos ♔",
        "vemos ♔ a ☰ ☰",
        "vemos ♔ ♕ a ☰",
        "vemos ♕ a ☰",
        "vemos ♔ a ䷀",
        "",
        "☰ ♔ ☱",
    ],
    ids=[
        "lost",
        "other lost",
        "doubled",
        "invented",
        "exchanged",
        "of another kind",
        "nothing",
        "one too many",
    ],
)
def test_with_a_wrong_placeholder_the_texts_between_are_translated(
    tokenizer: Tokenizer, wrong: str
) -> None:
    known = {"we see ♔ at ☰, don't we?": [wrong], "we see": ["vemos"], "at": ["a"]}
    known[", don't we?"] = [", ¿no?"]
    [part], engine = translate(tokenizer, known, "we see ♔ at ☰, don't we?")
    assert part.texts == ["vemos ♔ a ☰, ¿no?"]
    assert engine.searches == [["we see ♔ at ☰, don't we?"], ["we see", "at", ", don't we?"]]
    # The hypothesis is that of the texts, one after the other.
    [hypothesis] = part.hypotheses
    assert tokenizer.decode([hypothesis.ids]) == ["vemos a , ¿no?"]
    assert hypothesis.log_prob == -3
    assert hypothesis.length == len(hypothesis.ids) + 3
    assert hypothesis.complete
    assert engine.n_best == [2, 1]


def test_a_later_hypothesis_with_all_placeholders_is_preferred(tokenizer: Tokenizer) -> None:
    [part], engine = translate(tokenizer, {"we see ♔": ["vemos", "el ♔"]}, "we see ♔")
    assert part.texts == ["el ♔"]
    assert [h.log_prob for h in part.hypotheses] == [-2]
    assert len(engine.searches) == 1
    three = replace(OPTIONS, n_best=3)
    known = {"we see ♔": ["vemos ♔", "vemos", "♔ vemos"]}
    [part], _ = translate(tokenizer, known, "we see ♔", options=three)
    assert part.texts == ["vemos ♔", "♔ vemos"]
    assert [h.log_prob for h in part.hypotheses] == [-1, -3]


def test_placeholders_may_change_their_order(tokenizer: Tokenizer) -> None:
    known = {"♔ see ☰ at ♕": ["a ♕ vemos ☰ ♔"]}
    [part], engine = translate(tokenizer, known, "♔ see ☰ at ♕")
    assert part.texts == ["a ♕ vemos ☰ ♔"]
    assert len(engine.searches) == 1


def test_white_space_between_placeholders_stays(tokenizer: Tokenizer) -> None:
    known = {"♔ ☰ we,♕see  ☱": ["vemos"], "we,": ["vemos,"], "see": ["el"]}
    [part], _ = translate(tokenizer, known, "♔ ☰ we,♕see  ☱")
    assert part.texts == ["♔ ☰ vemos,♕el  ☱"]
    [part], _ = translate(tokenizer, {"we ♔": ["we"]}, "we ♔")
    assert part.texts == ["barco ♔"]


def test_invented_placeholders_are_removed(tokenizer: Tokenizer) -> None:
    [part], engine = translate(tokenizer, {"we see": ["vemos ♔ el ☰"]}, "we see")
    assert part.texts == ["vemos el"]
    assert len(part.hypotheses) == 1
    assert len(engine.searches) == 1
    [part], _ = translate(tokenizer, {"we see": ["vemos ♔", "䷀ el"]}, "we see")
    assert part.texts == ["vemos", "el"]
    assert [h.log_prob for h in part.hypotheses] == [-1, -2]
    # Between placeholders too.
    [part], engine = translate(tokenizer, {"we see ♔": ["el"], "we see": ["♔ vemos"]}, "we see ♔")
    assert part.texts == ["vemos ♔"]
    assert len(engine.searches) == 2


WORDS = st.lists(
    st.sampled_from(["we", "♔", "♕", "☰", "(☱)", "䷀", "boat,", "5"]), min_size=1, max_size=6
)


@settings(max_examples=50)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_each_placeholder_is_there_as_often_as_in_the_part(
    tokenizer: Tokenizer, words: list[str], answers: list[list[str]]
) -> None:
    part = " ".join(words)
    # The engine gives the same answers to the whole and to the texts between.
    known = {text: [*map(" ".join, answers)] for text in (part, "we", "boat,", "we boat,", "we we")}
    [translated], _ = translate(tokenizer, known, part)
    assert translated.texts
    for text in translated.texts:
        assert placeholders(text) == placeholders(part)


# --- parts that are copied ------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["♔", "䷀", "☰ 5!", "5, 5", "", "?!", "♔ ♕", "⇧"])
def test_a_part_without_letters_is_copied(tokenizer: Tokenizer, part: str) -> None:
    [translated], engine = translate(tokenizer, {}, part)
    assert translated == TranslatedPart([], [part], [])
    assert engine.searches == [[]]


def test_a_part_without_known_letters_is_copied_with_a_warning(tokenizer: Tokenizer) -> None:
    [translated], _ = translate(tokenizer, {}, "日本 5 日")
    assert translated.texts == ["日本 5 日"]
    assert translated.hypotheses == []
    assert translated.warnings == ["characters that the model has never seen are copied: 日 本"]


def test_unknown_characters_are_not_searched(tokenizer: Tokenizer) -> None:
    [translated], engine = translate(tokenizer, {}, "the日 boat")
    assert engine.searches == [["the boat"]]
    assert translated.warnings == ["characters that the model has never seen are ignored: 日"]


# --- several parts, loops and warnings ------------------------------------------------------------


def test_parts_are_searched_together_and_keep_their_order(tokenizer: Tokenizer) -> None:
    known = {"we": ["vemos"], "see": ["el", "viejo"], "♔ boat": ["viejo"], "boat": ["barco"]}
    parts, engine = translate(tokenizer, known, "5", "we", "♔ boat", "?", "see")
    assert [part.texts for part in parts] == [["5"], ["vemos"], ["♔ barco"], ["?"], ["el", "viejo"]]
    assert engine.searches == [["we", "♔ boat", "see"], ["boat"]]


def test_no_parts_give_nothing(tokenizer: Tokenizer) -> None:
    assert translate(tokenizer, {})[0] == []


NO_GUARD = replace(OPTIONS, loop_guard=False)
LOOP = "el barco barco barco barco viejo"


def test_a_part_with_a_loop_is_translated_in_halves(tokenizer: Tokenizer) -> None:
    known = {"we see": [LOOP, "no"], "we": ["vemos", "el"], "see": ["viejo"]}
    [part], engine = translate(tokenizer, known, "we see")
    assert part.texts == ["vemos viejo"]
    assert engine.searches == [["we see"], ["we", "see"]]
    assert engine.n_best == [2, 1]
    # The hypothesis is that of the halves, one after the other.
    [hypothesis] = part.hypotheses
    assert tokenizer.decode([hypothesis.ids]) == part.texts
    assert hypothesis.log_prob == -2
    [part], engine = translate(tokenizer, known, "we see", options=NO_GUARD)
    assert part.texts == [LOOP, "no"]
    assert engine.searches == [["we see"]]


def test_the_loops_of_a_single_word_are_cut(tokenizer: Tokenizer) -> None:
    known = {"we": [LOOP, "el el el"]}
    [part], engine = translate(tokenizer, known, "we")
    assert part.texts == ["el barco viejo", "el"]
    assert engine.searches == [["we"]]
    assert tokenizer.decode([part.hypotheses[0].ids]) == [LOOP]
    [part], _ = translate(tokenizer, known, "we", options=NO_GUARD)
    assert part.texts == known["we"]
    # A placeholder that it invents is removed all the same.
    assert translate(tokenizer, {"we": ["el el el ♔"]}, "we")[0][0].texts == ["el"]
    # The loops of a half are cut too.
    known = {"we see": [LOOP], "we": [LOOP], "see": ["no"]}
    assert translate(tokenizer, known, "we see")[0][0].texts == ["el barco viejo no"]


def test_a_loop_of_the_source_is_translated(tokenizer: Tokenizer) -> None:
    known = {"no no no": ["el el el"]}
    [part], engine = translate(tokenizer, known, "no no no")
    assert part.texts == ["el el el"]
    assert len(engine.searches) == 1


def test_a_stump_of_a_long_part_is_replaced(tokenizer: Tokenizer) -> None:
    text = "we see the boat at noon, don't we see it"
    half = "vemos el barco a no, no"
    known = {text: ["no"], "we see the boat at noon,": [half], "don't we see it": ["no, no vemos"]}
    [part], engine = translate(tokenizer, known, text)
    assert part.texts == [f"{half} no, no vemos"]
    assert len(engine.searches) == 2
    assert translate(tokenizer, known, text, options=NO_GUARD)[0][0].texts == ["no"]


def test_only_the_best_hypothesis_decides(tokenizer: Tokenizer) -> None:
    [part], engine = translate(tokenizer, {"we see": ["el", LOOP]}, "we see")
    assert part.texts == ["el", LOOP]
    assert len(engine.searches) == 1


def test_a_half_has_a_final_mark_if_its_source_has_one(tokenizer: Tokenizer) -> None:
    known = {"we see": ["vemos."], "the boat": ["¡el barco!"], "the boat!": ["¡el barco!"]}
    for whole, expected in (
        ("we see the boat", "vemos el barco"),
        ("we see the boat!", "vemos ¡el barco!"),
    ):
        [part], _ = translate(tokenizer, {**known, whole: [LOOP]}, whole)
        assert part.texts == [expected]


def test_halves_with_placeholders_keep_them(tokenizer: Tokenizer) -> None:
    known = {
        "we see ♔ at ☰": ["♔ ☰ el el el el"],
        "we see": ["vemos"],
        "♔ at ☰": ["♔ el el el ☰"],
        "at ☰": ["☰ a ☰"],  # one too many
        "at": ["a"],
    }
    [part], _ = translate(tokenizer, known, "we see ♔ at ☰")
    assert part.texts == ["vemos ♔ a ☰"]


def test_warnings_of_halves_are_kept(tokenizer: Tokenizer) -> None:
    [part], _ = translate(tokenizer, {"we bcd": [LOOP], "we": [""]}, "we bcd")
    assert part.warnings == [
        'the model has nothing to say to "we"',
        "the model found no end; its translation is stopped",
    ]


class Echo(Dictionary):
    """An engine that returns its source if that has few words, and else loops."""

    def __init__(self, tokenizer: Tokenizer, max_words: int) -> None:
        super().__init__(tokenizer, {})
        self.max_words = max_words

    def look_up(self, text: str) -> Sequence[str]:
        return [LOOP] if len(text.split()) > self.max_words else [text, "el"]


UNIQUE = st.lists(
    st.sampled_from(
        [
            *["we", "see.", "the", "old", "boat", "at", "noon,", "don't", "it", "no!", "bcd"],
            *["♔", "☰.", "䷀,"],
        ]
    ),
    min_size=1,
    unique=True,
).map(" ".join)


@settings(max_examples=50)
@given(text=UNIQUE, max_words=st.integers(1, 4))
def test_any_text_is_halved_until_nothing_loops(
    tokenizer: Tokenizer, text: str, max_words: int
) -> None:
    [part] = translate_parts(Echo(tokenizer, max_words), tokenizer, [text], OPTIONS)
    assert part.texts[0] == text


@settings(max_examples=50)
@given(texts=st.lists(UNIQUE, max_size=5))
def test_without_loops_the_guard_changes_nothing(tokenizer: Tokenizer, texts: list[str]) -> None:
    guarded, free = Echo(tokenizer, 100), Echo(tokenizer, 100)
    expected = translate_parts(free, tokenizer, texts, NO_GUARD)
    assert translate_parts(guarded, tokenizer, texts, OPTIONS) == expected
    assert guarded.searches == free.searches
    assert len(guarded.searches) == 1


def test_without_loops_a_translator_gives_the_same_texts(tokenizer: Tokenizer) -> None:
    model_text = everyday_model_text()
    clean = [english for english, _, _ in everyday_lines()]

    def translations(texts: list[str], max_words: int, *, loop_guard: bool) -> list[Translation]:
        engine = Echo(tokenizer, max_words)
        return Translator(engine, tokenizer, model_text, loop_guard=loop_guard).translate(texts)

    guarded = translations(clean, 100, loop_guard=True)
    assert guarded == translations(clean, 100, loop_guard=False)
    assert len({translation.text for translation in guarded}) > 100
    # It does with loops.
    looping = translations(clean[:20], 3, loop_guard=True)
    assert [t.text for t in looping] == [t.text for t in guarded[:20]]
    assert looping != translations(clean[:20], 3, loop_guard=False)


def test_warnings_are_those_of_the_best_hypothesis(tokenizer: Tokenizer) -> None:
    [empty], _ = translate(tokenizer, {"we": [""]}, "we")
    assert empty.texts == [""]
    assert empty.warnings == ['the model has nothing to say to "we"']
    [stopped], _ = translate(tokenizer, {}, "bcd")
    assert stopped.warnings == ["the model found no end; its translation is stopped"]
    [second], _ = translate(tokenizer, {"we": ["vemos", ""]}, "we")
    assert second.warnings == []
    [between], _ = translate(tokenizer, {"we ♔": ["el"], "we": [""]}, "we ♔")
    assert between.warnings == empty.warnings
