"""Hash files, and detect damaged ones by a list of checksums."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from translator.system.files import os_errors_for, write_text

# The checksums of the files in a folder, in the format of `sha256sum --check`.
CHECKSUMS = "SHA256SUMS"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with os_errors_for(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path, others: Mapping[str, str] | None = None) -> None:
    """Write `CHECKSUMS`, with the SHA-256 of all files in a folder and of some others.

    Args:
        folder: a folder that is complete otherwise
        others: SHA-256 of further files, by their path relative to the folder
    """
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    sums = {**(others or {}), **{name: sha256_of(folder / name) for name in sorted(names)}}
    write_text(folder / CHECKSUMS, "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()))


def find_damaged_file(folder: Path, *beginnings: str) -> Path | None:
    """Find a file that has changed since `write_checksums`, or that has no checksum.

    Hidden files, and folders inside that were added later, are not looked at.

    Args:
        folder: the folder of `CHECKSUMS`
        beginnings: check only names that start with one of these; default: all names

    Returns:
        The first such file, or None. It is `CHECKSUMS` itself if that is missing, or lists no name
        with one of the beginnings.

    Raises:
        TranslatorError: a file can't be read.
    """
    if not (folder / CHECKSUMS).is_file():
        return folder / CHECKSUMS
    with os_errors_for(folder / CHECKSUMS):
        lines = (folder / CHECKSUMS).read_bytes().decode(errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = _names(folder, {name.partition("/")[0] for name in sums})
    for beginning in beginnings or [""]:
        names = [name for name in sums if name.startswith(beginning)]
        for name in names:
            path = folder / name
            if not path.is_file() or sha256_of(path) != sums[name]:
                return path
        if not names:
            return folder / CHECKSUMS
        for name in there:
            if name.startswith(beginning) and name not in sums:
                return folder / name
    return None


def _names(folder: Path, listed: set[str]) -> list[str]:
    """The paths of the files that `CHECKSUMS` must list, relative to the folder.

    Args:
        folder: the folder of `CHECKSUMS`
        listed: the names of files and folders in it that are listed
    """
    paths: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            paths += sorted(path.rglob("*")) if path.name in listed else []
        elif not path.name.startswith(".") and path.name != CHECKSUMS:
            paths.append(path)
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def fingerprint(*parts: object) -> str:
    """A short hash (16 hexadecimal digits) of plain values, for the names of cached folders."""
    encoded = json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(encoded).hexdigest()[:16]
