"""Each step changes what it should, and an epoch depends on the seed and its number only."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from translator.config import NO_VARIATION, VariationConfig
from translator.data import variation as variation_module
from translator.data.arrays import Ragged
from translator.data.batching import LINK_BASE, BatchStream, PairIds
from translator.data.phrases import PhraseTable
from translator.data.tokenizer import UNK_ID, Tokenizer, train_tokenizer
from translator.data.variation import (
    Pair,
    Signs,
    Variation,
    drop_final_mark,
    hide_name,
    number_as_thing,
    renumber,
)
from translator.text.protection import placeholders
from translator.text.symbols import NAMES, NUMBERS, THINGS

TEMPLATES = [
    ("⇧ {} sees the old boat.", "⇧ {} ve el barco viejo."),
    ("where is ⇧ {}'s red hat?", "¿dónde está el sombrero rojo de ⇧ {}?"),
    ('"it rains," says ⇧ {}, "in ⇧ oslo!"', "«llueve en ⇧ oslo», dice ⇧ {}."),
    ("♔ and ⇧ {} have ☰ hens.", "♔ y ⇧ {} tienen ☰ gallinas."),
    ("the train (♔) leaves at ☰.", "el tren (♔) sale a las ☰."),
    ("a small bird sings", "un pájaro pequeño canta"),
    ("no!", "¡no!"),
]
TEXTS = [
    (src.format(name), tgt.format(name))
    for name in ("tom", "zora", "quillon", "ann", "bartholomew")
    for src, tgt in TEMPLATES
]
WORDS = [("boat", "barco"), ("hat", "sombrero"), ("bird", "pájaro"), ("train", "tren")]
PHRASES = [("old boat", "barco viejo"), ("red hat", "sombrero rojo"), ("a bird", "un pájaro")]
COUNT = 2000


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer([text for pair in TEXTS for text in pair], 180, path)
    return Tokenizer(path)


@pytest.fixture(scope="module")
def signs(tokenizer: Tokenizer) -> Signs:
    return Signs(tokenizer)


@pytest.fixture(scope="module")
def table(tokenizer: Tokenizer) -> PhraseTable:
    sides = zip(*WORDS, *PHRASES, strict=True)
    return PhraseTable(len(WORDS), *(encoded(tokenizer, side) for side in sides))


@pytest.fixture(scope="module")
def pairs(tokenizer: Tokenizer) -> PairIds:
    texts = [TEXTS[i % len(TEXTS)] for i in range(COUNT)]
    src, tgt = (encoded(tokenizer, side) for side in zip(*texts, strict=True))
    return PairIds(src, tgt)


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Ragged:
    ids = tokenizer.encode(list(texts))
    assert not any(UNK_ID in row for row in ids)
    return Ragged.from_lists(ids)


def lists(rows: Ragged) -> list[list[int]]:
    return [rows.row(i) for i in range(len(rows.lengths))]


def pair_of(tokenizer: Tokenizer, src: str, tgt: str, links: Sequence[int] = ()) -> Pair:
    one, other = tokenizer.encode([src, tgt])
    return Pair(one, other, list(links))


def texts_of(tokenizer: Tokenizer, pair: Pair) -> tuple[str, str]:
    src, tgt = tokenizer.decode([pair.src, pair.tgt])
    return src, tgt


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the final mark -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "tgt", "varied"),
    [
        ("a boat.", "un barco.", "a boat"),
        ("where is ann?", "¿dónde está ann?", "where is ann"),
        ("no!", "¡no!", "no"),
        ("a boat", "un barco.", "a boat"),
        ('"a boat."', "«un barco.»", '"a boat."'),
        ("♔.", "♔.", "♔"),
    ],
)
def test_the_source_loses_its_final_mark(
    tokenizer: Tokenizer, signs: Signs, src: str, tgt: str, varied: str
) -> None:
    pair = drop_final_mark(pair_of(tokenizer, src, tgt), signs)
    assert texts_of(tokenizer, pair) == (varied, tgt)


def test_a_source_of_one_mark_stays(signs: Signs) -> None:
    for src in (signs.period, []):
        assert drop_final_mark(Pair(src, signs.period), signs).src == src


def test_links_of_the_final_mark_are_dropped(signs: Signs) -> None:
    links = [0, 1 * LINK_BASE + 2, 5 * LINK_BASE + 1, 2 * LINK_BASE + 2]
    pair = Pair([50, 51, *signs.period], [60] * 6, links)
    assert drop_final_mark(pair, signs).links == [0, 5 * LINK_BASE + 1]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "tgt", "expected"),
    [
        # X stands for the placeholder.
        ("⇧ tom sees a boat", "⇧ tom ve un barco", ["X sees a boat|X ve un barco"]),
        (
            "⇧ bartholomew and ⇧ zora sing",
            "⇧ zora y ⇧ bartholomew cantan",
            [
                "X and ⇧ zora sing|⇧ zora y X cantan",
                "⇧ bartholomew and X sing|X y ⇧ bartholomew cantan",
            ],
        ),
        ("⇧ tom's hat", "el sombrero de ⇧ tom", ["X's hat|el sombrero de X"]),
        ("a hat (⇧ ann)", "¿⇧ ann?", ["a hat (X)|¿X?"]),
        # On one side only, or twice.
        ("⇧ tom sees", "⇧ ann ve", ["⇧ tom sees|⇧ ann ve"]),
        ("⇧ tom sees ⇧ tom", "⇧ tom ve", ["⇧ tom sees ⇧ tom|⇧ tom ve"]),
        ("⇧ tom sees", "⇧ tom ve a ⇧ tom", ["⇧ tom sees|⇧ tom ve a ⇧ tom"]),
        ("⇧ tom", "⇧ tomás", ["⇧ tom|⇧ tomás"]),
        ("a boat", "un barco", ["a boat|un barco"]),
        ("tom sees", "tom ve", ["tom sees|tom ve"]),
    ],
)
def test_a_name_of_both_sides_becomes_a_placeholder(
    tokenizer: Tokenizer, signs: Signs, src: str, tgt: str, expected: list[str]
) -> None:
    found = set()
    used = set()
    pair = pair_of(tokenizer, src, tgt)
    for seed in range(400):
        one, other = texts_of(tokenizer, hide_name(pair, signs, generator(seed)))
        assert placeholders(one) == placeholders(other)
        for sign in placeholders(one):
            used.add(sign)
            one, other = one.replace(sign, "X"), other.replace(sign, "X")
        found.add(f"{one}|{other}")
    assert found == set(expected)
    assert used == ({*NAMES, *THINGS} if "X" in expected[0] else set())


def test_a_new_placeholder_is_another_one_than_those_of_the_pair(
    tokenizer: Tokenizer, signs: Signs
) -> None:
    pair = pair_of(tokenizer, "(♔) ⇧ tom sees ♛ ☰", "(♔) ⇧ tom ve ♛ ☰")
    seen = set()
    for seed in range(400):
        src, _ = texts_of(tokenizer, hide_name(pair, signs, generator(seed)))
        assert len(set(placeholders(src))) == 4
        seen |= set(placeholders(src))
    assert seen == {*NAMES, *THINGS, "☰"}
    full = " ".join(NAMES)
    pair = pair_of(tokenizer, f"{full} ⇧ tom", f"{full} ⇧ tom")
    src, tgt = texts_of(tokenizer, hide_name(pair, signs, generator()))
    assert src == tgt
    assert src.removeprefix(f"{full} ") in {*THINGS}
    full = " ".join(NAMES + THINGS)
    pair = pair_of(tokenizer, f"{full} ⇧ tom", f"{full} ⇧ tom")
    assert hide_name(pair, signs, generator()) == pair


def test_three_names_in_four_become_names(tokenizer: Tokenizer, signs: Signs) -> None:
    pair = pair_of(tokenizer, "⇧ tom sings", "⇧ tom canta")
    hidden = [texts_of(tokenizer, hide_name(pair, signs, generator(n)))[0] for n in range(2000)]
    names = sum(src[0] in NAMES for src in hidden)
    assert names + sum(src[0] in THINGS for src in hidden) == 2000
    assert_share(names, 2000, 3 / 4)


def test_links_are_dropped_with_a_name(tokenizer: Tokenizer, signs: Signs) -> None:
    pair = pair_of(tokenizer, "⇧ tom sings", "⇧ tom canta", [0])
    assert hide_name(pair, signs, generator()).links == []
    pair = pair_of(tokenizer, "tom sings", "tom canta", [0])
    assert hide_name(pair, signs, generator()).links == [0]


@given(
    st.lists(st.sampled_from([*"♔♕♛☰☷䷀䷇", "a", "(♔", "(☰", "(䷀"]), max_size=8),
    st.integers(0, 7),
)
def test_placeholders_are_renumbered_within_their_kind(
    tokenizer: Tokenizer, signs: Signs, words: list[str], shift: int
) -> None:
    text = " ".join(words)
    pair = pair_of(tokenizer, text, " ".join(reversed(words)), [7])
    varied = renumber(pair, signs, shift)
    moved = str.maketrans(
        {kind[i]: kind[(i + shift) % 8] for kind in (NAMES, NUMBERS, THINGS) for i in range(8)}
    )
    expected = text.translate(moved), " ".join(reversed(words)).translate(moved)
    assert texts_of(tokenizer, varied) == expected
    assert varied.links == [7]
    assert tokenizer.encode(list(expected)) == [varied.src, varied.tgt]


# --- longer pairs ---------------------------------------------------------------------------------


# --- epochs ---------------------------------------------------------------------------------------


def test_a_number_can_be_a_thing(tokenizer: Tokenizer, signs: Signs) -> None:
    number, thing = NUMBERS[2], THINGS[2]
    pair = pair_of(tokenizer, f"see {number}, {NAMES[1]}.", f"ve {NAMES[1]} ({number}).", [7])
    changed = number_as_thing(pair, signs)
    assert texts_of(tokenizer, changed) == (
        f"see {thing}, {NAMES[1]}.",
        f"ve {NAMES[1]} ({thing}).",
    )
    assert changed.links == [7]


def test_a_pair_with_things_keeps_its_numbers(tokenizer: Tokenizer, signs: Signs) -> None:
    pair = pair_of(tokenizer, f"see {NUMBERS[0]} {THINGS[0]}.", f"ve {NUMBERS[0]} {THINGS[0]}.")
    assert number_as_thing(pair, signs) == pair


def variation(
    pairs: PairIds,
    table: PhraseTable,
    tokenizer: Tokenizer,
    shares: dict[str, float],
    seed: int = 1,
) -> Variation:
    config = replace(NO_VARIATION, **shares)
    count = len(pairs.src.lengths)
    return Variation(config, lambda epoch: pairs, count, table, tokenizer, seed)


ALL_STEPS = {"marks": 0.2, "names": 0.5, "phrases": 0.003}


def rows(pairs: PairIds) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    sides = zip(lists(pairs.src), lists(pairs.tgt), strict=True)
    return [(tuple(src), tuple(tgt)) for src, tgt in sides]


def assert_share(count: int, of: int, share: float) -> None:
    """Check that a count is within five standard deviations of its binomial distribution."""
    assert abs(count - of * share) < 5 * math.sqrt(of * share * (1 - share))


def test_without_shares_the_pairs_are_those_of_the_corpus(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    assert rows(variation(pairs, table, tokenizer, {})(3)) == rows(pairs)
    assert VariationConfig(marks=0, names=0, phrases=0) == NO_VARIATION


def test_an_epoch_depends_on_its_number_and_the_seed_only(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    varied = variation(pairs, table, tokenizer, ALL_STEPS)
    epochs = [rows(varied(epoch)) for epoch in (0, 1, 2)]
    assert rows(varied(1)) == epochs[1]  # again, after another one
    assert rows(variation(pairs, table, tokenizer, ALL_STEPS)(2)) == epochs[2]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert rows(variation(pairs, table, tokenizer, ALL_STEPS, seed=2)(0)) != epochs[0]


@pytest.mark.parametrize("step", ["marks", "names", "phrases"])
def test_each_step_differs_between_epochs(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer, step: str
) -> None:
    varied = variation(pairs, table, tokenizer, {step: ALL_STEPS[step]})
    assert rows(varied(0)) != rows(varied(1))


def test_the_pairs_of_each_epoch_are_varied(table: PhraseTable, tokenizer: Tokenizer) -> None:
    epochs = [encoded(tokenizer, ["a boat"]), encoded(tokenizer, ["a hat"])]
    varied = Variation(
        NO_VARIATION, lambda n: PairIds(epochs[n], epochs[n]), 1, table, tokenizer, 1
    )
    assert tokenizer.decode(lists(varied(1).src)) == ["a hat"]


@pytest.mark.parametrize(("count", "parts"), [(30, 1), (31, 2), (89, 3), (120, 4)])
def test_the_parts_of_a_pass_have_each_pair_once(
    monkeypatch: pytest.MonkeyPatch,
    table: PhraseTable,
    tokenizer: Tokenizer,
    count: int,
    parts: int,
) -> None:
    monkeypatch.setattr(variation_module, "_MAX_PAIRS", 30)
    src, tgt, links = (
        Ragged.from_lists([[first + n] for n in range(count)]) for first in (1000, 2000, 3000)
    )
    asked = []

    def pairs_of_pass(number: int) -> PairIds:
        asked.append(number)
        return PairIds(src, tgt, links)

    varied = Variation(NO_VARIATION, pairs_of_pass, count, table, tokenizer, 1)
    orders = []
    for number in range(3):
        order = []
        for part in range(parts):
            pairs = varied(number * parts + part)
            sides = [lists(side) for side in (pairs.src, pairs.tgt, pairs.links) if side]
            rows = [
                (s - 1000, t - 2000, link - 3000) for [s], [t], [link] in zip(*sides, strict=True)
            ]
            assert all(len(set(row)) == 1 for row in rows)  # sides and links belong together
            assert count // parts <= len(rows) <= 30
            order += [row[0] for row in rows]
        assert sorted(order) == list(range(count))
        orders.append(order)
    assert asked == [number for number in range(3) for _ in range(parts)]
    if parts == 1:
        assert orders[0] == sorted(orders[0])  # batches are shuffled later
    else:
        assert all(order != sorted(order) for order in orders)
        assert orders[0] != orders[1] != orders[2] != orders[0]


def test_a_part_depends_on_its_number_and_the_seed_only(
    monkeypatch: pytest.MonkeyPatch, pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    monkeypatch.setattr(variation_module, "_MAX_PAIRS", COUNT // 4)
    varied = variation(pairs, table, tokenizer, ALL_STEPS)
    parts = [rows(varied(epoch)) for epoch in range(5)]
    assert len({str(part) for part in parts}) == 5
    assert rows(variation(pairs, table, tokenizer, ALL_STEPS)(4)) == parts[4]
    assert rows(varied(1)) == parts[1]
    assert rows(variation(pairs, table, tokenizer, ALL_STEPS, seed=2)(1)) != parts[1]


def test_the_share_of_marks_is_kept(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    varied = rows(variation(pairs, table, tokenizer, {"marks": 0.3})(0))
    changed = with_mark = 0
    for (src, tgt), (old_src, old_tgt) in zip(varied, rows(pairs), strict=True):
        assert tgt == old_tgt
        assert src in (old_src, old_src[:-1])
        with_mark += tokenizer.decode([list(old_src)])[0].endswith((".", "?", "!"))
        changed += src != old_src
    assert_share(changed, with_mark, 0.3)


def test_the_share_of_names_is_kept(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    varied = rows(variation(pairs, table, tokenizer, {"names": 0.4})(0))
    hidden = with_name = 0
    used: Counter[str] = Counter()
    for new, old in zip(varied, rows(pairs), strict=True):
        before, after = (tokenizer.decode([list(pair[0])])[0] for pair in (old, new))
        with_name += "⇧" in before
        hidden += before.count("⇧") - after.count("⇧")
        used.update(placeholders(after))
    assert_share(hidden, with_name, 0.4)
    # All placeholders are trained, not only the first ones.
    for kind in (NAMES, NUMBERS, THINGS):
        total = sum(used[sign] for sign in kind)
        assert total > 100
        for sign in kind:
            assert_share(used[sign], total, 1 / 8)


def test_words_and_phrases_are_added(table: PhraseTable, tokenizer: Tokenizer) -> None:
    src, tgt = (encoded(tokenizer, side) for side in zip(*TEXTS[:20], strict=True))
    pairs = PairIds(src, tgt)
    known = {*WORDS, *PHRASES}
    marks = drawn = 0
    varied = variation(pairs, table, tokenizer, {"phrases": 0.2})
    for epoch in range(100):
        ids = rows(varied(epoch))
        assert ids[:20] == rows(pairs)
        added = [tuple(tokenizer.decode([[*src], [*tgt]])) for src, tgt in ids[20:]]
        assert len(added) == 4
        plain = [tuple(text.removesuffix(".") for text in pair) for pair in added]
        assert len(set(plain) & set(WORDS)) == 2
        assert len(set(plain) & set(PHRASES)) == 2
        assert known.issuperset(plain)
        assert all(src.endswith(".") == tgt.endswith(".") for src, tgt in added)
        marks += sum(src.endswith(".") for src, _ in added)
        drawn += len(added)
    assert_share(marks, drawn, 1 / 3)


def test_there_are_no_more_phrases_than_the_table_has(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    varied = rows(variation(pairs, table, tokenizer, {"phrases": 0.9})(0))
    assert len(varied) == COUNT + len(WORDS) + len(PHRASES)


@pytest.mark.parametrize("epoch", range(3))
def test_any_varied_pair_is_one_to_learn_from(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer, signs: Signs, epoch: int
) -> None:
    shares = {"marks": 0.5, "names": 0.9, "phrases": 0.003}
    varied = variation(pairs, table, tokenizer, shares)
    for src, tgt in rows(varied(epoch)):
        assert src
        assert tgt
        texts = tokenizer.decode([[*src], [*tgt]])
        assert placeholders(texts[0]) == placeholders(texts[1])
        assert len(set(placeholders(texts[0]))) == len(placeholders(texts[0]))


# --- links ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linked_pairs(tokenizer: Tokenizer) -> PairIds:
    """Pairs whose target has the words of the source in another order; equal tokens are linked."""
    names = ("tom", "zora", "quillon", "bartholomew")
    src = [[*tokenizer.encode([f"⇧ {name} sings", " a boat."])] for name in names]
    sources = [one + other for one, other in src] * 100
    targets = [other + one for one, other in src] * 100
    links = []
    for one, other in src:
        a, b = len(one), len(other)
        links.append([(b + i) * LINK_BASE + i for i in range(a)])
        links[-1] += [j * LINK_BASE + a + j for j in range(b)]
    return PairIds(*map(Ragged.from_lists, (sources, targets, links * 100)))


@pytest.mark.parametrize("shares", [{"marks": 0.5}, {"names": 0.5}, ALL_STEPS, {}])
def test_links_point_to_the_same_words_as_before(
    linked_pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer, shares: dict[str, float]
) -> None:
    varied = variation(linked_pairs, table, tokenizer, shares)(0)
    assert varied.links is not None
    sides = [lists(side) for side in (varied.src, varied.tgt, varied.links)]
    originals = set(rows(linked_pairs))
    kept = 0
    for src, tgt, links in zip(*sides, strict=True):
        for target, source in (divmod(link, LINK_BASE) for link in links):
            assert src[source] == tgt[target]
        if (tuple(src), tuple(tgt)) in originals:
            assert len(links) == len(src)
            kept += 1
        elif links:  # only its mark was dropped, and all other links stay
            assert len(links) == len(src) == len(tgt) - 1
    assert kept > 50


def test_pairs_without_links_get_none(
    pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer
) -> None:
    assert variation(pairs, table, tokenizer, ALL_STEPS)(0).links is None


# --- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [0, 5, 70])
def test_a_resumed_stream_continues_with_the_same_batches(
    linked_pairs: PairIds, table: PhraseTable, tokenizer: Tokenizer, done: int
) -> None:
    def stream() -> BatchStream:
        return BatchStream(variation(linked_pairs, table, tokenizer, ALL_STEPS), 200, seed=4)

    whole = stream()
    for _ in range(done):
        whole.next()
    state = whole.state()
    resumed = stream()
    resumed.restore(state)
    for _ in range(60):  # into the next epoch
        expected, batch = whole.next(), resumed.next()
        assert torch.equal(batch.src, expected.src)
        assert torch.equal(batch.tgt, expected.tgt)
        assert batch.links is not None
        assert expected.links is not None
        assert torch.equal(batch.links, expected.links)
    assert whole.epoch > state["epoch"]
