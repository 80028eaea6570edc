"""Parts of texts are translated with each placeholder exactly once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from translator.data.tokenizer import UNK_ID, Tokenizer, train_tokenizer
from translator.inference.engine import Hypothesis
from translator.inference.parts import SearchOptions, TranslatedPart, translate_parts
from translator.text.protection import placeholders

OPTIONS = SearchOptions(
    beam_size=4, length_penalty=1.0, n_best=2, with_scores=True, loop_guard=True
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    texts = ["we see the old boat at noon, don't we?", "vemos el barco viejo, ¿no? a 5! bcdfghijk"]
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
                for k, ids in enumerate(
                    self.tokenizer.encode(list(self.known.get(text, ["barco"])))
                )
            ][:n_best]
            for text in texts
        ]

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
        "",
        "☰ ♔ ☱",
    ],
    ids=["lost", "other lost", "doubled", "invented", "exchanged", "nothing", "one too many"],
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
    # A hypothesis without one is better.
    [part], _ = translate(tokenizer, {"we see": ["vemos ♔", "el"]}, "we see")
    assert part.texts == ["el"]
    # Between placeholders too.
    [part], engine = translate(tokenizer, {"we see ♔": ["el"], "we see": ["♔ vemos"]}, "we see ♔")
    assert part.texts == ["vemos ♔"]
    assert len(engine.searches) == 2


WORDS = st.lists(
    st.sampled_from(["we", "♔", "♕", "☰", "(☱)", "boat,", "5"]), min_size=1, max_size=6
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


@pytest.mark.parametrize("part", ["♔", "☰ 5!", "5, 5", "", "?!", "♔ ♕", "⇧"])
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


def test_loops_are_cut_unless_it_is_switched_off(tokenizer: Tokenizer) -> None:
    known = {"we see": ["el barco barco barco barco viejo"]}
    [part], _ = translate(tokenizer, known, "we see")
    assert part.texts == ["el barco viejo"]
    assert tokenizer.decode([part.hypotheses[0].ids]) == part.texts
    [part], _ = translate(tokenizer, known, "we see", options=replace(OPTIONS, loop_guard=False))
    assert part.texts == known["we see"]
    known = {"no no no": ["el el el"]}
    assert translate(tokenizer, known, "no no no")[0][0].texts == ["el el el"]


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
