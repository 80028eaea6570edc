"""Nothing of dev or test occurs in training, according to a check independent of the split."""

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest
from datasets import Dataset
from helpers import everyday_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.config import Config, CorpusConfig, SourceConfig
from translator.corpus.held_out import Example
from translator.corpus.leaks import LeakReport, check_leaks
from translator.corpus.splitting import Split, add_groups, split
from translator.data.prepare import prepare
from translator.errors import TranslatorError

Pair = tuple[str, str]  # English, Spanish

EN_ES = CorpusConfig(test_sentences=2, dev_sentences=3)
ES_EN = CorpusConfig(test_sentences=2, dev_sentences=3, direction="es-en")
FORMS = ("{}", "{}.", "¡{}!")


@st.composite
def corpora(draw: st.DrawFn) -> list[Pair]:
    """Pairs with unique sentences, and chains of pairs that share sentences."""
    size = draw(st.integers(30, 40))
    own = [(n, 0, n, 0) for n in range(size)]
    number, form = st.integers(0, size - 1), st.integers(0, len(FORMS) - 1)
    links = draw(st.lists(st.tuples(number, form, number, form), max_size=10))
    pairs = [
        (FORMS[f].format(f"Boat {e} sails"), FORMS[g].format(f"ZARPA el barco {s}"))
        for e, f, s, g in own + links
    ]
    return draw(st.permutations(list(dict.fromkeys(pairs))))


def dataset(pairs: list[Pair], config: CorpusConfig = EN_ES) -> Dataset:
    rows = []
    for english, spanish in pairs:
        src, tgt = (english, spanish) if config.direction == "en-es" else (spanish, english)
        attribution = f"by {english} / {spanish}"
        rows.append({"src": src, "tgt": tgt, "source": attribution, "origin": 0})
    return Dataset.from_list(rows)


def parts_of(pairs: list[Pair], config: CorpusConfig = EN_ES) -> Split:
    return split(add_groups(dataset(pairs, config), config), config)


def train_pairs(parts: Split) -> list[Pair]:
    return list(zip(parts.train["src"], parts.train["tgt"], strict=True))


def held_out_pairs(parts: Split) -> list[Pair]:
    return [(e.src, reference) for e in parts.dev + parts.test for reference in e.references]


def words(text: str) -> tuple[str, ...]:
    """The lowercased words: if two sentences have the same, a reader would call them equal."""
    return tuple("".join(c.lower() if c.isalnum() else " " for c in text).split())


few_corpora = settings(max_examples=20, deadline=None)


@few_corpora
@given(corpora())
def test_no_held_out_sentence_occurs_in_training(pairs: list[Pair]) -> None:
    parts = parts_of(pairs)
    for side in (0, 1):
        trained = {words(pair[side]) for pair in train_pairs(parts)}
        assert trained.isdisjoint(words(pair[side]) for pair in held_out_pairs(parts))


@few_corpora
@given(corpora(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs: list[Pair], random: object) -> None:
    shuffled = pairs.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = parts_of(pairs), parts_of(shuffled)
    assert (one.dev, one.test, one.unused_pairs) == (other.dev, other.test, other.unused_pairs)
    assert set(train_pairs(one)) == set(train_pairs(other))


@few_corpora
@given(corpora())
def test_both_directions_have_the_same_training_side(pairs: list[Pair]) -> None:
    there, back = parts_of(pairs, EN_ES), parts_of(pairs, ES_EN)
    assert train_pairs(there) == [(english, spanish) for spanish, english in train_pairs(back)]


@few_corpora
@given(corpora())
def test_training_keeps_the_order_of_the_corpus(pairs: list[Pair]) -> None:
    trained = train_pairs(parts_of(pairs))
    assert trained == [pair for pair in pairs if pair in set(trained)]


@few_corpora
@given(corpora())
def test_every_pair_is_in_one_part_or_counted_as_unused(pairs: list[Pair]) -> None:
    parts = parts_of(pairs)
    placed = Counter(train_pairs(parts) + held_out_pairs(parts))
    assert set(placed.values()) == {1}
    assert set(placed) <= set(pairs)
    assert len(pairs) - len(placed) == parts.unused_pairs


@few_corpora
@given(corpora(), st.integers(1, 6), st.integers(1, 6))
def test_as_many_sources_as_requested_or_a_tenth(pairs: list[Pair], test: int, dev: int) -> None:
    parts = parts_of(pairs, CorpusConfig(test_sentences=test, dev_sentences=dev))
    tenth = (
        min(len({english for english, _ in pairs}), len({spanish for _, spanish in pairs})) // 10
    )
    for examples, asked in ((parts.test, test), (parts.dev, dev)):
        assert len({example.src for example in examples}) == len(examples) == min(asked, tenth)


@few_corpora
@given(corpora())
def test_a_source_keeps_all_references_and_attributions(pairs: list[Pair]) -> None:
    translations = defaultdict(set)
    for english, spanish in pairs:
        translations[english].add(spanish)
    parts = parts_of(pairs)
    for example in parts.dev + parts.test:
        assert Counter(example.references) == Counter(translations[example.src])
        assert example.sources == [f"by {example.src} / {r}" for r in example.references]


@few_corpora
@given(corpora())
def test_groups_are_those_of_union_find(pairs: list[Pair]) -> None:
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        parent.setdefault(node, node)
        while parent[node] != node:
            node = parent[node]
        return node

    for english, spanish in pairs:
        parent[root(("en", words(english)))] = root(("es", words(spanish)))
    expected = [root(("en", words(english))) for english, _ in pairs]
    found = add_groups(dataset(pairs), EN_ES)["group"][:]
    assert len(set(zip(expected, found, strict=True))) == len(set(expected)) == len(set(found))


# --- several sources ------------------------------------------------------------------------------


def sources_config(count: int, test: int = 2, dev: int = 3) -> CorpusConfig:
    sources = [SourceConfig(name=f"s{i}", files="unused") for i in range(count)]
    return CorpusConfig(sources=sources, test_sentences=test, dev_sentences=dev)


def split_sources(*sources: list[Pair], test: int = 2, dev: int = 3) -> Split:
    """Split several corpora together; a pair that an earlier one has is left out of a later one."""
    config = sources_config(len(sources), test, dev)
    seen: set[Pair] = set()
    rows = []
    for origin, pairs in enumerate(sources):
        new = [pair for pair in pairs if pair not in seen]
        seen.update(new)
        rows += [{"src": e, "tgt": s, "source": "", "origin": origin} for e, s in new]
    return split(add_groups(Dataset.from_list(rows), config), config)


@settings(max_examples=10, deadline=None)
@given(corpora(), corpora(), st.integers(1, 3))
def test_no_held_out_sentence_of_a_source_occurs_in_training_of_another(
    one: list[Pair], other: list[Pair], shift: int
) -> None:
    """Both draw from the same sentences, so they are linked in many ways."""
    renamed = [(e.replace("Boat ", "Boat " + "1" * shift), s) for e, s in other]
    last = [*other, ("One raft", "Una balsa")]  # perhaps the only pair that is new
    parts = split_sources(one, [*renamed, ("A raft", "Una balsa")], last)
    for side in (0, 1):
        trained = {words(pair[side]) for pair in train_pairs(parts)}
        assert trained.isdisjoint(words(pair[side]) for pair in held_out_pairs(parts))
    every = {*one, *renamed, *last, ("A raft", "Una balsa")}
    placed = Counter(train_pairs(parts) + held_out_pairs(parts))
    assert set(placed.values()) == {1}
    assert set(placed) <= every
    assert len(every) - len(placed) == parts.unused_pairs


def unlinked(name: str, count: int) -> list[Pair]:
    return [(f"{name} {n} sails", f"Zarpa {name} {n}") for n in range(count)]


def test_each_source_has_its_own_test_sentences_the_same_as_alone() -> None:
    """However different their sizes are, and up to a tenth of each."""
    boats, ships, tiny = unlinked("Boat", 400), unlinked("Ship", 60), unlinked("Raft", 9)
    parts = split_sources(ships, boats, tiny, test=8, dev=20)
    for examples, wanted in ((parts.test, [6, 8, 0]), (parts.dev, [6, 20, 0])):
        counts = Counter(name for example in examples for name in example.origins)
        assert [counts[f"s{i}"] for i in range(3)] == wanted
        for example in examples:
            name = {"Boat": "s1", "Ship": "s0"}[example.src.split()[0]]
            assert example.origins == [name]
    alone = split_sources(boats, test=8, dev=20)
    for together, single in ((parts.test, alone.test), (parts.dev, alone.dev)):
        sentences = [example.src for example in together if example.origins == ["s1"]]
        assert sentences == [example.src for example in single]
    assert Counter(parts.train["origin"][:]) == {0: 60 - 12, 1: 400 - 28, 2: 9}


def test_a_sentence_of_two_sources_is_from_both() -> None:
    first = [(english, spanish + " ya") for english, spanish in unlinked("Boat", 100)]
    parts = split_sources(first, unlinked("Boat", 100), test=5, dev=5)
    for example in parts.test + parts.dev:
        assert sorted(zip(example.origins, example.references, strict=True)) == sorted(
            (f"s{0 if reference.endswith(' ya') else 1}", reference)
            for reference in example.references
        )
        assert len(example.origins) == 2
    assert (len(parts.test), len(parts.dev)) == (5, 5)


def test_a_large_group_of_a_large_source_is_not_held_out_for_a_small_one() -> None:
    """The forty pairs of the chain would leave training for one sentence of the small source."""
    linked = [*chain("Boat"), *unlinked("Ship", 400)]
    small = [("Boat 3", "El barco tres"), *unlinked("Raft", 30)]
    parts = split_sources(linked, small, test=1, dev=1)
    assert set(chain("Boat")) <= set(train_pairs(parts))


def test_the_same_text_on_both_sides_links_nothing() -> None:
    """ "Once" means eleven in Spanish; that it looks like an English word links nothing."""
    groups = add_groups(dataset([("Once", "Una vez"), ("Eleven", "Once")]), EN_ES)["group"]
    assert groups[0] != groups[1]


def chain(name: str) -> list[Pair]:
    """Forty pairs, each of which shares a sentence with the next."""
    links = [(n, m) for n in range(20) for m in (n, (n + 1) % 20)]
    return [(f"{name} {n}", f"{name} número {m}") for n, m in links]


@pytest.mark.parametrize("config", [EN_ES, ES_EN])
@pytest.mark.parametrize("salt", range(5))
def test_a_group_too_large_to_hold_out_stays_in_training(config: CorpusConfig, salt: int) -> None:
    """For any hash: most of it would be used neither for training nor for evaluation."""
    large = [(f"Ship {salt} {n // 2}", f"Nave {salt} {(n + 1) // 2}") for n in range(100)]
    own = [(f"Lone boat {salt} {n}", f"Barco solo {salt} {n}") for n in range(100)]
    parts = parts_of(large + own, config)
    flip = slice(None) if config is EN_ES else slice(None, None, -1)
    assert {pair[flip] for pair in large} <= set(train_pairs(parts))
    assert (len(parts.test), len(parts.dev), parts.unused_pairs) == (2, 3, 0)


@pytest.mark.parametrize(("size", "held_out"), [(10, True), (11, False)])
def test_a_group_of_ten_times_the_held_out_size_is_too_large(size: int, held_out: bool) -> None:
    """Regardless of the size of the corpus."""
    linked = [(f"Ship {n}", f"Nave {m}") for n in range(size) for m in (n, (n + 1) % size)]
    chains = [[(f"{i} {e}", f"{i} {s}") for e, s in linked] for i in range(40)]
    config = CorpusConfig(test_sentences=1, dev_sentences=1)
    parts = parts_of([pair for chain in chains for pair in chain], config)
    assert bool(parts.test) == held_out


def test_group_larger_than_needed_is_held_out_whole() -> None:
    chains = [chain(f"Boat {n}") for n in range(22)]
    parts = parts_of([pair for pairs in chains for pair in pairs])
    assert [len(parts.train), len(parts.test), len(parts.dev)] == [20 * len(chains[0]), 2, 3]
    assert parts.unused_pairs == 2 * len(chains[0]) - len(held_out_pairs(parts))


@pytest.mark.parametrize("names", [["Boat"], ["Boat", "Train"]])
def test_too_few_groups_to_hold_any_out(tmp_path: Path, names: list[str]) -> None:
    pairs = [pair for name in names for pair in chain(name)]
    path = tmp_path / "linked.tsv"
    path.write_text("".join(f"{e}\t{s}\n" for e, s in pairs), encoding="utf-8")
    config = Config(corpus=CorpusConfig(files=str(path)), data_dir=str(tmp_path / "data"))
    with pytest.raises(TranslatorError, match=r"linked\.tsv: \d+ pairs are too few, or share"):
        prepare(config)


# --- the check ------------------------------------------------------------------------------------

HELD_OUT = [
    Example("Where did the cat go?", ["¿Adónde fue el gato?", "¿Adónde se fue el gato?"], ["", ""]),
    Example("My uncle sells lamps.", ["Mi tío vende lámparas."], [""]),
]


def leaks_in(train: Dataset, examples: list[Example]) -> tuple[LeakReport, list[Example]]:
    [found] = check_leaks(train, [examples])
    return found


def train_of(*pairs: Pair) -> Dataset:
    return dataset([*pairs, ("Snow fell all night long.", "Nevó durante toda la noche.")])


def test_no_leak() -> None:
    report, _ = leaks_in(train_of(("The cat went home.", "El gato se fue a casa.")), HELD_OUT)
    assert (report.sentences, report.src_seen, report.tgt_seen, report.near) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    "copy", ["Where did the cat go?", "where did the CAT go", "WHERE did, the cat — go!"]
)
def test_copied_source_is_caught(copy: str) -> None:
    report, _ = leaks_in(train_of((copy, "Otra cosa.")), HELD_OUT)
    assert (report.src_seen, report.tgt_seen) == (1, 0)


@pytest.mark.parametrize(
    "copy", ["¿Adónde se fue el gato?", "adónde se fue el GATO", "¡ADÓNDE fue el gato!"]
)
def test_copied_reference_is_caught(copy: str) -> None:
    report, _ = leaks_in(train_of(("Something else.", copy)), HELD_OUT)
    assert (report.src_seen, report.tgt_seen) == (0, 1)


def test_leak_far_into_a_long_training_side_is_caught() -> None:
    many = [(f"Lamp {n} is on.", f"La lámpara {n} está encendida.") for n in range(2500)]
    leak = ("my uncle sells lamps", "Otra cosa.")
    report, _ = leaks_in(train_of(*many, leak), HELD_OUT)
    assert report.src_seen == 1


def test_split_by_line_would_leak() -> None:
    """The corpus is many-to-many, so a split by line has leaks for the check to find."""
    pairs = [(english, spanish) for english, spanish, *_ in everyday_lines()]
    held_out = [Example(english, [spanish], [""]) for english, spanish in pairs[::2]]
    report, _ = leaks_in(dataset(pairs[1::2]), held_out)
    trained = [{words(pair[side]) for pair in pairs[1::2]} for side in (0, 1)]
    assert report.src_seen == sum(words(pair[0]) in trained[0] for pair in pairs[::2]) > 0
    assert report.tgt_seen == sum(words(pair[1]) in trained[1] for pair in pairs[::2]) > 0


def word_edits(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    @cache
    def edits(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        replace = edits(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(replace, edits(i - 1, j) + 1, edits(i, j - 1) + 1)

    return edits(len(one), len(other))


sentences = st.lists(st.sampled_from(["Red", "red", "blue,", "green"]), min_size=1, max_size=5)
texts = st.lists(sentences.map(" ".join), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(texts, texts)
def test_near_means_a_word_edit_distance_of_at_most_one(
    trained: list[str], held_out: list[str]
) -> None:
    train = dataset([(text, "x") for text in trained])
    report, checked = leaks_in(train, [Example(text, ["y"], [""]) for text in held_out])
    expected = [
        min(word_edits(words(text), words(other)) for other in trained) <= 1 for text in held_out
    ]
    assert [example.near for example in checked] == expected
    assert report.near == sum(expected)
    assert [example.src for example in checked] == held_out


def test_each_part_is_checked_separately() -> None:
    train = train_of(("Where did the cat go?", "Otra cosa."))
    reports = [report for report, _ in check_leaks(train, [HELD_OUT[:1], [], HELD_OUT[1:]])]
    assert [(report.sentences, report.src_seen) for report in reports] == [(1, 1), (0, 0), (1, 0)]
