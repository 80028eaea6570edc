"""Alignments and phrases equal those of textbook implementations."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.data import phrases
from translator.data.arrays import write_ragged
from translator.data.phrases import extract_phrases, open_phrases
from translator.errors import TranslatorError

Pairs = list[tuple[str, str]]

PAIRS: Pairs = [
    ("the red house", "la casa roja"),
    ("the house .", "la casa ."),
    ("a red book", "un libro rojo"),
    ("the book", "el libro"),
    ("a house , a red book !", "¡ una casa , un libro rojo !"),
    ("book", "libro"),
    ("the the house", "la casa"),
]


def sides(pairs: Pairs) -> tuple[phrases._Side, phrases._Side]:
    return phrases._Side.read([src for src, _ in pairs]), phrases._Side.read([t for _, t in pairs])


# --- alignment ------------------------------------------------------------------------------------

Cells = dict[tuple[int, int, int], float]


def model_1(pairs: Pairs) -> Cells:
    """IBM model 1 with a diagonal prior and without an empty word (Brown et al. 1993, section 4.1).

    Returns the probability that source word i explains target word j, for each (pair, i, j).
    """
    rows = [(src.split(), tgt.split()) for src, tgt in pairs]
    translation: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    posterior: Cells = {}
    for _ in range(5):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        for n, (src, tgt) in enumerate(rows):
            for j, word in enumerate(tgt):
                weights = [
                    translation[s, word] * math.exp(-4 * abs(i / len(src) - j / len(tgt)))
                    for i, s in enumerate(src)
                ]
                for i, s in enumerate(src):
                    posterior[n, i, j] = weights[i] / sum(weights)
                    counts[s, word] += posterior[n, i, j]
        totals: dict[str, float] = defaultdict(float)
        for (s, _), count in counts.items():
            totals[s] += count
        translation = defaultdict(float, {key: n / totals[key[0]] for key, n in counts.items()})
    return posterior


def both_directions(pairs: Pairs) -> Cells:
    forward = model_1(pairs)
    backward = model_1([(tgt, src) for src, tgt in pairs])
    return {(n, i, j): p * backward[n, j, i] for (n, i, j), p in forward.items()}


def test_probabilities_equal_those_of_the_textbook(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def recorded(*arguments: object) -> phrases.Floats:
        found.append(posterior(*arguments))  # type: ignore[arg-type]
        return found[-1]

    posterior = phrases._posterior
    monkeypatch.setattr(phrases, "_posterior", recorded)
    phrases._links(*sides(PAIRS))
    forward, backward = found
    # Its combinations are in the order of the pairs, then of the target words.
    expected = model_1(PAIRS)
    order = sorted(expected, key=lambda cell: (cell[0], cell[2], cell[1]))
    np.testing.assert_allclose(forward, [expected[cell] for cell in order], rtol=1e-9)
    expected = model_1([(tgt, src) for src, tgt in PAIRS])
    np.testing.assert_allclose(backward, [expected[n, j, i] for n, i, j in order], rtol=1e-9)


def links_by_definition(pairs: Pairs) -> set[tuple[int, int, int]]:
    """Link each word to the most probable one of the other side; see `_links`."""
    both = both_directions(pairs)
    best_src: dict[tuple[int, int], float] = defaultdict(float)
    best_tgt: dict[tuple[int, int], float] = defaultdict(float)
    for (n, i, j), p in both.items():
        best_src[n, i] = max(best_src[n, i], p)
        best_tgt[n, j] = max(best_tgt[n, j], p)

    def is_best(n: int, i: int, j: int) -> bool:
        p = both[n, i, j]
        return any(math.isclose(p, best) for best in (best_src[n, i], best_tgt[n, j]))

    return {cell for cell, p in both.items() if p > 0.01 and is_best(*cell)}


def links_found(pairs: Pairs) -> set[tuple[int, int, int]]:
    src, tgt = sides(pairs)
    found = set()
    for i, j in zip(*phrases._links(src, tgt), strict=True):
        n = int(np.searchsorted(src.first, i, side="right")) - 1
        assert tgt.first[n] <= j < tgt.first[n] + tgt.lengths[n]  # in the same pair
        found.add((n, int(i - src.first[n]), int(j - tgt.first[n])))
    return found


def test_links_equal_those_of_the_textbook() -> None:
    assert links_found(PAIRS) == links_by_definition(PAIRS)


# --- phrases --------------------------------------------------------------------------------------


def consistent_phrases(pairs: Pairs, links: set[tuple[int, int, int]]) -> Counter[tuple[str, str]]:
    """All phrase pairs that agree with the links (Koehn et al. 2003), by trying all.

    Neither side has punctuation, and no word at the edges of the translation is without a link.
    """
    found: Counter[tuple[str, str]] = Counter()
    for n, (src_text, tgt_text) in enumerate(pairs):
        src, tgt = src_text.split(), tgt_text.split()
        here = {(i, j) for m, i, j in links if m == n}
        linked_tgt = {j for _, j in here}
        for b in range(len(src)):
            for e in range(b + 1, min(b + 3, len(src)) + 1):
                for low in range(len(tgt)):
                    for high in range(low, min(low + 4, len(tgt))):
                        one, other = range(b, e), range(low, high + 1)
                        inside = [(i, j) for i, j in here if i in one and j in other]
                        crossing = [(i, j) for i, j in here if (i in one) != (j in other)]
                        words = src[b:e] + tgt[low : high + 1]
                        if (
                            inside
                            and not crossing
                            and {low, high} <= linked_tgt
                            and all(word.isalpha() for word in words)
                        ):
                            found[" ".join(src[b:e]), " ".join(tgt[low : high + 1])] += 1
    return found


def phrases_found(pairs: Pairs, links: set[tuple[int, int, int]]) -> Counter[tuple[str, str]]:
    src, tgt = sides(pairs)
    cells = sorted(links)
    i = np.array([src.first[n] + i for n, i, _ in cells], dtype=np.int64)
    j = np.array([tgt.first[n] + j for n, _, j in cells], dtype=np.int64)
    found: Counter[tuple[str, str]] = Counter()
    for key in np.concatenate(phrases._phrase_keys(src, tgt, i, j)).tolist():
        found[phrases._text(key[:3], src.vocabulary), phrases._text(key[3:], tgt.vocabulary)] += 1
    return found


WORDS = st.lists(st.sampled_from(["a", "b", "c", "."]), min_size=1, max_size=6).map(" ".join)


@st.composite
def linked_pairs(draw: st.DrawFn) -> tuple[Pairs, set[tuple[int, int, int]]]:
    pairs = draw(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
    cells = [
        (n, i, j)
        for n, (src, tgt) in enumerate(pairs)
        for i in range(len(src.split()))
        for j in range(len(tgt.split()))
    ]
    # Mostly few links, so that phrases can be longer than a word.
    return pairs, draw(st.sets(st.sampled_from(cells), max_size=8))


@given(linked_pairs())
def test_phrases_equal_those_found_by_trying_all(
    example: tuple[Pairs, set[tuple[int, int, int]]],
) -> None:
    assert phrases_found(*example) == consistent_phrases(*example)


def test_phrases_by_hand() -> None:
    pairs = [("a red house", "una casa roja")]
    assert phrases_found(pairs, {(0, 0, 0), (0, 1, 2), (0, 2, 1)}) == {
        ("a", "una"): 1,
        ("red", "roja"): 1,
        ("house", "casa"): 1,
        ("red house", "casa roja"): 1,
        ("a red house", "una casa roja"): 1,
    }


def test_markers_belong_to_their_word() -> None:
    side = phrases._Side.read(["⇧ tom's ⇪ nasa , ♔ don't 5"])
    assert side.vocabulary == ["⇧ tom's", "⇪ nasa", ",", "♔", "don't", "5"]
    assert side.are_words().tolist() == [True, True, False, False, True, False]


# --- the best translations ------------------------------------------------------------------------


def extracted(pairs: Pairs, tgt_lang: str = "es") -> tuple[dict[str, str], dict[str, str]]:
    words, found = extract_phrases(pairs, tgt_lang)
    assert len(dict(words)) == len(words)
    assert len(dict(found)) == len(found)
    assert all(1 < len(src.split()) <= 3 for src, _ in found)
    return dict(words), dict(found)


def test_the_best_translation_of_a_small_language_is_found() -> None:
    # Adjectives come after their noun in the made-up target language.
    nouns = {"cat": "tac", "dog": "god", "hen": "neh", "cow": "woc"}
    adjectives = {"red": "der", "big": "gib", "old": "dlo"}
    verbs = {"sees": "seeso", "hears": "raeho", "likes": "ekilo"}
    pairs = [
        (
            f"the {a} {n} {v} the {m} .",
            f"eht {nouns[n]} {adjectives[a]} {verbs[v]} eht {nouns[m]} .",
        )
        for a in adjectives
        for n in nouns
        for v in verbs
        for m in nouns
    ]
    words, found = extracted(pairs)
    assert words == {"the": "eht", **nouns, **adjectives, **verbs}
    for adjective in adjectives:
        for noun in nouns:
            expected = f"{nouns[noun]} {adjectives[adjective]}"
            assert found[f"{adjective} {noun}"] == expected
            assert found[f"the {adjective} {noun}"] == f"eht {expected}"
    assert not any("." in text for phrase in found.items() for text in phrase)


def test_a_word_that_occurs_once_has_no_translation() -> None:
    pairs = [("big dog", "gib god")] * 3 + [("dog", "god")] * 3 + [("rare", "erar")]
    words, found = extracted(pairs)
    assert words == {"dog": "god", "big": "gib"}
    assert found == {"big dog": "gib god"}
    words, _ = extracted([*pairs, ("rare", "erar")])
    assert words["rare"] == "erar"


@pytest.mark.parametrize(
    ("same", "others", "is_kept"),
    [(2, 0, False), (3, 0, True), (3, 7, True), (3, 8, False)],
)
def test_phrases_need_a_count_and_a_share(
    monkeypatch: pytest.MonkeyPatch, same: int, others: int, is_kept: bool
) -> None:
    pairs = [("a b", "x y")] * same + [("a b", f"x z{chr(97 + n)}") for n in range(others)]
    links = {(n, k, k) for n in range(len(pairs)) for k in (0, 1)}
    src, tgt = sides(pairs)
    i = np.array(sorted(src.first[n] + k for n, k, _ in links))
    j = np.array(sorted(tgt.first[n] + k for n, _, k in links))
    monkeypatch.setattr(phrases, "_links", lambda *_: (i, j))
    assert extracted(pairs)[1] == ({"a b": "x y"} if is_kept else {})


@pytest.mark.parametrize(
    ("counts", "tgt_lang", "best"),
    [
        ({"come": 10, "comer": 2}, "es", "comer"),  # a fifth of the most frequent form
        ({"come": 11, "comer": 2}, "es", "come"),
        ({"come": 10, "comer": 2}, "en", "come"),
        ({"va": 5, "ir": 2, "ido": 4}, "es", "ir"),
        ({"ríe": 5, "reír": 2}, "es", "reír"),
        ({"lava": 5, "lavarse": 2}, "es", "lavarse"),
        ({"vive": 5, "vivir": 3, "morar": 4}, "es", "morar"),  # the most frequent infinitive
        ({"casa": 5, "a comer": 4}, "es", "casa"),  # of two words
        ({"mar": 5}, "es", "mar"),
    ],
)
def test_verbs_are_given_in_the_infinitive(
    counts: dict[str, int], tgt_lang: str, best: str
) -> None:
    choices = sorted(((n, text) for text, n in counts.items()), key=lambda choice: -choice[0])
    assert phrases._dictionary_form(choices, tgt_lang) == best


def test_a_verb_of_a_corpus_is_given_in_the_infinitive() -> None:
    pairs = [("eat", "come")] * 5 + [("eat", "comer")] * 2 + [("dog", "perro")] * 3
    assert extracted(pairs)[0] == {"eat": "comer", "dog": "perro"}
    assert extracted(pairs, "pt")[0] == {"eat": "come", "dog": "perro"}


# --- files ----------------------------------------------------------------------------------------


def test_written_phrases_are_opened(tmp_path: Path) -> None:
    rows = {"phrases-src": [[5], [6, 7], [8, 9]], "phrases-tgt": [[10, 11], [12], [13]]}
    for name, ids in rows.items():
        write_ragged(tmp_path / name, [pa.array(ids, pa.list_(pa.int32()))])
    table = open_phrases(tmp_path, words=1)
    assert table.words == 1
    for side, name in ((table.src, "phrases-src"), (table.tgt, "phrases-tgt")):
        assert [side.row(i) for i in range(len(side.lengths))] == rows[name]
    (tmp_path / "phrases-tgt-ids.npy").unlink()
    with pytest.raises(TranslatorError):
        open_phrases(tmp_path, words=1)
