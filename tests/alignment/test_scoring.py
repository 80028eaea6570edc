"""Scores of alignments against gold links."""

from pathlib import Path

import pytest

from translator.alignment.scoring import GoldPair, read_gold, score_links
from translator.alignment.words import split_pretokenized
from translator.errors import TranslatorError


def test_scores_equal_those_computed_by_hand() -> None:
    sure, possible = {(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 1)}
    gold = GoldPair(split_pretokenized("a b c"), split_pretokenized("x y"), sure, possible)
    score = score_links([{(0, 0), (2, 1), (2, 0)}], [gold])
    # 3 links, of which 2 are possible and 1 is sure; there are 2 sure gold links.
    assert score.precision == pytest.approx(2 / 3)
    assert score.recall == pytest.approx(1 / 2)
    assert score.f1 == pytest.approx(4 / 7)
    assert score.aer == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_perfect_and_empty_alignments_get_the_extreme_scores() -> None:
    links = {(0, 0)}
    gold = [GoldPair(split_pretokenized("a"), split_pretokenized("x"), links, links)]
    assert score_links([links], gold).aer == 0
    assert score_links([set()], gold).aer == 1
    assert score_links([{(0, 1)}], gold).f1 == 0


@pytest.mark.parametrize(("base", "links"), [(0, "0-0 2p1 2?0"), (1, "1-1 3p2 3?1")])
def test_gold_is_read_from_either_base(tmp_path: Path, base: int, links: str) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text(f"a b c\tx y\t{links}\n\t\t\n", encoding="utf-8")
    first, empty = read_gold(path, base)
    assert first.src.words == ["a", "b", "c"]
    assert first.sure == {(0, 0)}
    assert first.possible == {(0, 0), (2, 1), (2, 0)}
    assert empty.sure == empty.possible == set()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a b\n", "line 1: one column"),
        ("a\tx\n", "line 1: no links"),
        ("a\tx\t0-0\na\tx\t0:0\n", 'line 2: "0:0" is not a link'),
        ("a b\tx\t2-0\n", "line 1: the link 2-0 is out of range .*--gold-base 1"),
        (f"a\tx\t{'9' * 5000}-0\n", 'line 1: "9.*-0" is not a link'),
        (f"a\tx\t\n{'a ' * 401}\tx\t\n", "line 2: too long to align; split it .*400 words"),
        (f"a\tx\t\na\t{'x' * 4001}\t\n", "line 2: too long to align; split it .*4000 char"),
        ("", "empty"),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TranslatorError, match=said):
        read_gold(path)


def test_the_longest_pair_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text(f"{'a ' * 400}\t{'x' * 4000}\t0-0\n", encoding="utf-8")
    [gold] = read_gold(path)
    assert (len(gold.src.words), len(gold.tgt.text)) == (400, 4000)
