"""Any file, setting or text gives a result or an error that the user can fix.

`scripts/fuzz.py` tries the same with a hundred thousand inputs. These tests try a few of each kind.
"""

import gzip
import lzma
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import targets
from fuzzing.targets import Target
from hypothesis import example, given, settings
from hypothesis import strategies as st

from translator.cli.options import command_parser, parse
from translator.cli.prepare import prepare_command
from translator.config import Config, flatten, save_config
from translator.config.parsing import add_config_options, load_config, make_config
from translator.corpus.text_files import read_aligned, read_columns, read_lines
from translator.corpus.tsv import read_tsv
from translator.errors import TranslatorError

SOME = settings(max_examples=60, deadline=None)
FEW = settings(max_examples=25, deadline=None)

# --- files of sentences ---------------------------------------------------------------------------

PACKINGS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    lambda data: lzma.compress(data, preset=0),
]
READERS: list[Callable[[Path], Iterable[Any]]] = [
    read_lines,
    read_columns,
    lambda path: read_tsv(path, ["en", "es"], "es"),
    lambda path: read_aligned([path, path], ["en", "es"], "es"),
]
# Characters of a sentence. A carriage return at its end would be read as part of the line end, and
# many zero bytes as UTF-16.
SENTENCE = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r\t\ufeff"), max_size=20)


def write(path: Path, lines: Iterable[str], pack: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(pack("".join(f"{line}\n" for line in lines).encode()))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@pytest.mark.parametrize("pack", PACKINGS, ids=["plain", "gzip", "xz"])
@SOME
@given(pairs=st.lists(st.tuples(SENTENCE, SENTENCE)))
def test_written_sentences_are_read_unchanged(
    folder: Path, pack: Callable[[bytes], bytes], pairs: list[tuple[str, str]]
) -> None:
    src = write(folder / "a.en", [src for src, _ in pairs], pack)
    tgt = write(folder / "a.es", [tgt for _, tgt in pairs], pack)
    assert [line for _, line in read_lines(src)] == [src for src, _ in pairs]
    rows = list(read_aligned([src, tgt], ["en", "es"], "en"))
    assert [(row["src"], row["tgt"]) for row in rows] == pairs
    # After a header, so that the first pair is not read as one.
    tsv = write(folder / "a.tsv", ["en\tes", *map("\t".join, pairs)], pack)
    rows = list(read_tsv(tsv, ["en", "es"], "en"))
    assert [(row["src"], row["tgt"]) for row in rows] == pairs


@SOME
@given(
    data=st.binary(max_size=200),
    pack=st.sampled_from(PACKINGS),
    cut=st.integers(0, 300),
    flipped=st.integers(0, 3000),
)
@example(data=b"\x80\n", pack=gzip.compress, cut=22, flipped=144)
def test_any_bytes_are_rows_or_an_error(
    folder: Path, data: bytes, pack: Callable[[bytes], bytes], cut: int, flipped: int
) -> None:
    """Including archives that were truncated or have one flipped bit."""
    packed = bytearray(pack(data)[:cut])
    if flipped // 8 < len(packed):
        packed[flipped // 8] ^= 1 << flipped % 8
    path = folder / "any"
    path.write_bytes(packed)
    for read in READERS:
        with suppress(TranslatorError):
            list(read(path))


# --- settings -------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
KEYS = st.sampled_from([*flatten(Config()), "corpus", "training", "nothing", "model.nothing"])


def assert_read_again(folder: Path, config: Config) -> None:
    save_config(config, folder / "written.yaml")
    assert load_config(folder / "written.yaml") == config


@SOME
@given(chosen=st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
def test_any_values_in_a_file_are_a_configuration_or_an_error(
    folder: Path, chosen: dict[str, Any]
) -> None:
    content: dict[str, Any] = {}
    for key, value in chosen.items():
        section, _, name = key.rpartition(".")
        if section and isinstance(content.setdefault(section, {}), dict):
            content[section][name] = value
        else:
            content[key] = value
    (folder / "c.yaml").write_text(yaml.dump(content, allow_unicode=True), "utf-8", "replace")
    with suppress(TranslatorError):
        assert_read_again(folder, load_config(folder / "c.yaml"))


@SOME
@given(chosen=st.dictionaries(KEYS, st.text(st.characters(exclude_characters="\0")), max_size=3))
def test_any_options_are_a_configuration_or_an_error(folder: Path, chosen: dict[str, str]) -> None:
    parser = command_parser(prepare_command, "")
    add_config_options(parser)
    with suppress(TranslatorError):
        parsed = parse(parser, [f"--{key}={value}" for key, value in chosen.items()])
        assert_read_again(folder, make_config(parser, parsed))


# --- a run that was changed, and texts to be translated -------------------------------------------


@pytest.fixture(scope="module")
def changed_run(trained_run: Path, folder: Path) -> Target:
    return targets.run(Path(shutil.copytree(trained_run, folder / "runs" / "changed")))


@pytest.fixture(scope="module")
def translated(trained_run: Path) -> Target:
    return targets.text(trained_run)


CHANGE = st.tuples(st.sampled_from(range(5)), st.integers(0, 2**24 - 1), st.binary(max_size=6))


@pytest.mark.parametrize("file", range(9))
@FEW
@given(changes=st.lists(CHANGE, min_size=1, max_size=3))
def test_a_changed_run_is_refused_or_gives_the_same(
    changed_run: Target, file: int, changes: list[tuple[int, int, bytes]]
) -> None:
    how = b"\xff".join(
        bytes([operation]) + place.to_bytes(3) + new for operation, place, new in changes
    )
    with suppress(TranslatorError):
        changed_run(bytes([file]) + how)


@SOME
@given(how=st.integers(0, 23), texts=st.lists(st.text(max_size=40), max_size=4))
def test_any_texts_are_translated(translated: Target, how: int, texts: list[str]) -> None:
    translated(bytes([how]) + "\0".join(texts).encode(errors="replace"))
