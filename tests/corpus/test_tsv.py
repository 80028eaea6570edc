"""Columns of a TSV file that are not what one thinks, and what is said about them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import everyday_lines

from translator.config import CorpusConfig
from translator.corpus.inspection import refuse_mostly_dropped
from translator.corpus.sources import find_source
from translator.corpus.text_files import Row
from translator.corpus.tsv import read_tsv
from translator.errors import TranslatorError

LINES = everyday_lines()
PAIRS = [(english, spanish) for english, spanish, _ in LINES]
GERMAN = "Ich weiß nicht, wo die Kinder sind, und das ist auch nicht so wichtig für mich."

Layout = Callable[[int, str, str], list[str]]


def tatoeba(i: int, english: str, spanish: str) -> list[str]:
    return [str(1000 + i), english, str(9000 + i), spanish]


def with_id(i: int, english: str, spanish: str) -> list[str]:
    return [f"s{i}", english, spanish]


def write(path: Path, layout: Layout, lines: int = 400, header: str = "") -> Path:
    rows = [layout(i, *pair) for i, pair in enumerate(PAIRS[:lines])]
    text = "".join("\t".join(cells) + "\n" for cells in rows)
    path.write_text(f"{header}\n{text}" if header else text, encoding="utf-8")
    return path


def read(path: Path, **settings: Any) -> list[Row]:
    config = CorpusConfig(files=str(path), **settings)
    return list(find_source(config, Path("unused")).rows())


def pairs_of(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["src"], row["tgt"]) for row in rows]


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(TranslatorError) as caught:
        read(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 350
    return message


# --- refused, with the columns that work ----------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "columns", "found"),
    [
        (tatoeba, [2, 4], "column 1 holds numbers and should be en"),
        (with_id, [2, 3], "column 1 holds numbers and should be en"),
        (lambda i, e, s: [e, f"{i}", s], [1, 3], "column 2 holds numbers and should be es"),
        (lambda i, e, s: [s, e], [2, 1], "column 1 looks like Spanish and should be en, column 2"),
        (lambda i, e, s: [e, GERMAN, s], [1, 3], "column 2 looks like German and should be es"),
        (lambda i, e, s: [e, e.upper(), s], [1, 3], "column 2 looks like English and should be es"),
        (lambda i, e, s: ["own, CC0", "2", e, s], [3, 4], "column 2 holds numbers"),
    ],
)
@pytest.mark.parametrize("direction", ["en-es", "es-en"])
def test_the_error_names_the_columns_that_work(
    tmp_path: Path, layout: Layout, columns: list[int], found: str, direction: str
) -> None:
    path = write(tmp_path / "pairs.tsv", layout)
    message = refusal(path, direction=direction)
    assert f"pairs.tsv: {found}" in message
    assert f"set --corpus.columns [{columns[0]},{columns[1]}]" in message
    rows = read(path, direction=direction, columns=columns)
    assert pairs_of(rows) == (PAIRS if direction == "en-es" else [pair[::-1] for pair in PAIRS])


def test_without_better_columns_the_error_names_what_to_change(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: [e, e.lower()])
    assert refusal(path).endswith(
        "should be es: set corpus.columns to the columns of both languages, or corpus.languages"
    )


def test_a_third_language_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be called so on purpose."""
    assert len(read(write(tmp_path / "pairs.tsv", lambda i, e, s: [e, GERMAN]))) == 400
    assert "column 2 is es (looks like German)" in capsys.readouterr().err


def test_numbers_are_read_if_that_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: [f"{i}", s])
    assert "(--corpus.columns [1,2] accepts numbers)" in refusal(path)
    assert pairs_of(read(path, columns=[1, 2]))[7] == ("7", PAIRS[7][1])


def test_an_unknown_language_in_the_place_of_a_known_one(tmp_path: Path) -> None:
    """Nothing is known about Esperanto, except that it is not the English column."""
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: ["Kie estas mia nova libro?", e])
    settings = {"languages": ["en", "eo"], "direction": "en-eo"}
    assert "column 2 looks like English and should be eo" in refusal(path, **settings)
    assert "set --corpus.columns [2,1]" in refusal(path, **settings)
    assert len(read(path, columns=[2, 1], **settings)) == 400


@pytest.mark.parametrize(
    ("languages", "layout"),
    [
        (["xx", "yy"], lambda i, e, s: [s, e]),
        (["sco", "en"], lambda i, e, s: [e, e.lower()]),  # a language that looks like English
        (["en-GB", "en-US"], lambda i, e, s: [e, e.lower()]),
    ],
)
def test_nothing_is_judged_without_knowledge(
    tmp_path: Path, languages: list[str], layout: Layout
) -> None:
    path = write(tmp_path / "pairs.tsv", layout)
    direction = "-".join(languages)
    assert len(read(path, languages=languages, direction=direction)) == 400


@pytest.mark.parametrize("layout", [tatoeba, with_id, lambda i, e, s: [s, e]])
def test_nothing_is_judged_without_evidence(tmp_path: Path, layout: Layout) -> None:
    assert len(read(write(tmp_path / "pairs.tsv", layout, lines=15))) == 15


# --- a tab inside a sentence ----------------------------------------------------------------------


def test_a_tab_inside_a_sentence(tmp_path: Path) -> None:
    def layout(i: int, english: str, spanish: str) -> list[str]:
        return [english.replace(" ", "\t", i in (60, 80)), spanish]

    path = write(tmp_path / "pairs.tsv", layout)
    message = refusal(path)
    assert "pairs.tsv, line 61: 3 columns, but most lines have 2" in message
    assert "set --corpus.columns [1,2]" in message
    assert len(read(path, columns=[1, 2])) == 400


@pytest.mark.parametrize(
    "layout",
    [
        lambda i, e, s: [e, s, "by Ana"][: 2 + i % 2],  # half of the lines have an attribution
        lambda i, e, s: [e, s, "by Ana"][: 3 - (i == 50)],  # one line has none
        lambda i, e, s: [e, s] + [""] * (i == 50),  # a tab at the end of a line
        lambda i, e, s: [e, s, "by Ana"] + [" "] * (i == 50),
    ],
)
def test_lines_may_lack_an_attribution(tmp_path: Path, layout: Layout) -> None:
    assert pairs_of(read(write(tmp_path / "pairs.tsv", layout))) == PAIRS


def test_a_line_without_a_chosen_column(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: [e, "x", s][: 3 - (i == 50)])
    assert "line 51: it has 2 columns, and none with the number 3" in refusal(path, columns=[1, 3])


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["english\tspanish", "English\tEspañol", "eng\tspa", "source\ttarget", "src\ttgt"]
)
def test_a_header_is_no_pair(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: [e, s], header=header)
    assert pairs_of(read(path)) == PAIRS


@pytest.mark.parametrize("header", ["spanish\tenglish", "target\tsource", "spa\teng\tsource"])
def test_a_header_in_the_other_order(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "pairs.tsv", lambda i, e, s: [s, e], header=header)
    assert pairs_of(read(path)) == PAIRS


@pytest.mark.parametrize(
    ("layout", "header", "attribution"),
    [
        (with_id, "id\ten\tes", "s3"),
        (with_id, "id\tsrc\ttgt", "s3"),
        (lambda i, e, s: [e, s, f"s{i}"], "en\tes\tid", "s3"),
        (lambda i, e, s: [s, f"s{i}", e], "Spanish\tid\tEnglish", "s3"),
        (tatoeba, "id\tenglish\tid\tspanish", "1003"),
    ],
)
def test_a_header_names_the_columns(
    tmp_path: Path, layout: Layout, header: str, attribution: str
) -> None:
    rows = read(write(tmp_path / "pairs.tsv", layout, header=header))
    assert pairs_of(rows) == PAIRS
    assert rows[3]["source"] == attribution


def test_columns_by_the_names_of_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", tatoeba, header="number\tSentence A\tother\tsentence b")
    assert pairs_of(read(path, columns=["sentence a", "Sentence B"])) == PAIRS
    message = refusal(path, columns=["sentence a", "es"])
    assert "line 1: no column es, which corpus.columns names; the columns are 1 (number)" in message


def test_a_number_beyond_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", tatoeba)
    assert "line 1: no column 5, which corpus.columns names" in refusal(path, columns=[2, 5])


def test_a_header_after_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", with_id, header="\ufeffid\ten\tes")
    assert pairs_of(read(path)) == PAIRS


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "header", "settings", "said"),
    [
        (
            lambda i, e, s: [e, s, "by Ana"],
            "",
            {},
            "pairs.tsv: column 1 is en (looks like English), column 2 is es (looks like Spanish), "
            "column 3 is the attribution",
        ),
        (
            lambda i, e, s: [e, s],
            "en\tes",
            {"direction": "es-en"},
            "pairs.tsv: column 1 is en (looks like English), column 2 is es (looks like Spanish), "
            "line 1 is a header",
        ),
        (
            tatoeba,
            "",
            {"columns": [4, 2], "languages": ["xx", "en"], "direction": "en-xx"},
            "pairs.tsv: column 4 is xx (looks like Spanish), column 2 is en (looks like English), "
            "column 1 is the attribution",
        ),
    ],
)
def test_one_line_says_what_was_taken_for_what(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    layout: Layout,
    header: str,
    settings: dict[str, Any],
    said: str,
) -> None:
    read(write(tmp_path / "pairs.tsv", layout, header=header), **settings)
    assert capsys.readouterr().err == f"{said}\n"


def test_a_small_corpus_is_described_without_a_guess(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(write(tmp_path / "pairs.tsv", lambda i, e, s: [e, s], lines=5))
    assert capsys.readouterr().err == "pairs.tsv: column 1 is en, column 2 is es\n"


def test_the_lines_looked_at_are_spread_over_the_file(tmp_path: Path) -> None:
    """The beginning is not typical: it may have the shortest sentences, or another source."""
    path = tmp_path / "pairs.tsv"
    start = "".join(f"{i}\t{i + 1}\n" for i in range(2000))
    rest = "".join(f"{e}\t{s}\n" for e, s in PAIRS) * 5
    path.write_text(start + rest, encoding="utf-8")
    assert len(read(path)) == 4000
    path.write_text(rest + start * 10, encoding="utf-8")
    assert "holds numbers" in refusal(path)


# --- two files, and data sets of the hub ----------------------------------------------------------


def aligned(folder: Path, first: list[str], second: list[str]) -> list[str]:
    for name, lines in (("a.en", first), ("a.es", second)):
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return [str(folder / "a.en"), str(folder / "a.es")]


@pytest.mark.parametrize("direction", ["en-es", "es-en"])
def test_two_files_in_the_wrong_order(tmp_path: Path, direction: str) -> None:
    english, spanish = map(list, zip(*PAIRS, strict=True))
    config = CorpusConfig(files=aligned(tmp_path, spanish, english), direction=direction)
    with pytest.raises(TranslatorError) as caught:
        list(find_source(config, tmp_path).rows())
    for part in (
        "a.en looks like Spanish and should be en",
        "a.es looks like English and should be es",
        "in the order of corpus.languages",
    ):
        assert part in str(caught.value)


def test_two_files_of_one_language(tmp_path: Path) -> None:
    english = [english for english, _ in PAIRS]
    config = CorpusConfig(files=aligned(tmp_path, english, english))
    with pytest.raises(TranslatorError, match=r"a\.es looks like English and should be es"):
        list(find_source(config, tmp_path).rows())


def test_two_files_are_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    english, spanish = map(list, zip(*PAIRS, strict=True))
    config = CorpusConfig(files=aligned(tmp_path, english, spanish))
    assert len(list(find_source(config, tmp_path).rows())) == 400
    assert capsys.readouterr().err == (
        "a.en and a.es: a.en is en (looks like English), a.es is es (looks like Spanish)\n"
    )


def test_a_data_set_with_swapped_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"left": spanish, "right": english} for english, spanish in PAIRS]
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: rows)
    config = CorpusConfig(hub_name="pairs", hub_columns=["left", "right"], direction="es-en")
    with pytest.raises(TranslatorError) as caught:
        list(find_source(config, tmp_path).rows())
    assert 'column "left" looks like Spanish and should be en' in str(caught.value)
    assert "set corpus.hub_columns" in str(caught.value)


# --- text that was tokenized or escaped -----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (lambda text: text.replace(".", " ."), '"."'),
        (lambda text: text + " It &apos;s", '"&apos;"'),
        (lambda text: text + " a &quot; b", '"&quot;"'),
        (lambda text: text + " they do n't", '"n\'t"'),
        (lambda text: text + " a well @-@ known b", '"@-@"'),
        (lambda text: text + " , and", '","'),
    ],
)
def test_tokenized_text_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], sign: str
) -> None:
    read(write(tmp_path / "pairs.tsv", lambda i, e, s: [change(e) if i % 2 else e, s]))
    _, note = capsys.readouterr().err.splitlines()
    for part in ("note: pairs.tsv: ", "% of the lines of column 1", sign, "detokenize"):
        assert part in note


def test_a_few_such_lines_are_ordinary_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def layout(i: int, english: str, spanish: str) -> list[str]:
        return [f"{english} ... , ¿ ?", spanish + " ... ! ?"] if i % 10 == 0 else [english, spanish]

    read(write(tmp_path / "pairs.tsv", layout))
    assert len(capsys.readouterr().err.splitlines()) == 1


# --- most pairs dropped ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "option"),
    [
        ("empty side", "corpus.columns"),
        ("copied side", "corpus.columns"),
        ("too long", "corpus.max_chars"),
        ("length ratio", "corpus.max_length_ratio"),
    ],
)
def test_a_corpus_of_which_most_is_dropped(reason: str, option: str) -> None:
    config = CorpusConfig()
    with pytest.raises(TranslatorError, match=f'p: 60 of 100 .* for "{reason}": .*{option}'):
        refuse_mostly_dropped("p", 150, {reason: 60, "exact duplicate": 50}, config)
    refuse_mostly_dropped("p", 150, {reason: 50, "exact duplicate": 50}, config)
    refuse_mostly_dropped("p", 19, {reason: 19}, config)


def test_duplicates_and_limits_that_were_chosen_are_no_mistake() -> None:
    refuse_mostly_dropped("p", 100, {"exact duplicate": 90}, CorpusConfig())
    refuse_mostly_dropped("p", 100, {"too long": 90}, CorpusConfig(max_chars=50))
    refuse_mostly_dropped("p", 100, {"length ratio": 90}, CorpusConfig(max_length_ratio=1.2))


# --- any file -------------------------------------------------------------------------------------


def test_an_empty_file_has_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pairs.tsv").touch()
    assert list(read_tsv(tmp_path / "pairs.tsv", ["en", "es"], "en")) == []
    assert capsys.readouterr().err == ""
