"""The command line of a script: help from its docstring, and mistakes as one line."""

import argparse
from pathlib import Path
from typing import NoReturn

from translator.errors import TranslatorError


class ScriptParser(argparse.ArgumentParser):
    """A parser that prints the script's docstring as help and reports a mistake in one line."""

    def __init__(self, docstring: str | None) -> None:
        """Create a parser without options.

        Args:
            docstring: of the script; its first line says what the script does
        """
        super().__init__(
            description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def add_json_option(self) -> None:
        """Add the option that all benchmarks have."""
        self.add_argument("--json", type=Path, help="write the measures to this file")

    def error(self, message: str) -> NoReturn:
        """Report a mistake on the command line.

        Raises:
            TranslatorError: always.
        """
        raise TranslatorError(f"{message} (--help lists the options)")


def require_positive(option: str, value: int) -> None:
    """Refuse a number below 1.

    Raises:
        TranslatorError: the value of this option is less than 1.
    """
    if value < 1:
        raise TranslatorError(f"{option} must be greater than zero")


def require_new(folder: Path) -> None:
    """Refuse a folder that a script would write over.

    Raises:
        TranslatorError: the folder exists.
    """
    if folder.exists():
        raise TranslatorError(f"{folder} already exists; choose another --folder")


def require_file(path: Path) -> None:
    """Refuse a path without a file.

    Raises:
        TranslatorError: there is no such file.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such file")
