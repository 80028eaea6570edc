"""Options and configuration files, parsed by jsonargparse, with errors that fit on a line."""

import difflib
import re
from pathlib import Path
from typing import NoReturn

from jsonargparse import ArgumentError, ArgumentParser

from translator.config import Config, flatten
from translator.errors import TranslatorError


class Parser(ArgumentParser):
    """A parser that raises `TranslatorError` with one line, the nearest name included."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Called by jsonargparse for everything that doesn't fit."""
        raise TranslatorError(one_line(message)) from ex


def one_line(message: str) -> str:
    """A jsonargparse message on one line; an unknown name gets the nearest known one."""
    known = ["config", "run_dir", *flatten(Config())]
    text = " ".join(message.split())
    unknown = re.search(r"option '([\w.]+)'|[Kk]ey '([\w.]+)' is not|arguments: --([\w.-]+)", text)
    if unknown:
        name = next(filter(None, unknown.groups())).replace("-", "_")
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
        return f'unknown key "{name}"; the nearest is "{nearest}"'
    # Of a union's reasons ("Does not validate against …") the expected types say enough.
    value = re.search(
        r'key "([\w.]+)": Does not validate.*Expected a (.+?) - .*Given value: (.*)', text
    )
    if value:
        expected = re.sub(r"<class '(\w+)'>", r"\1", value[2])
        return f'"{value[1]}" must be of type {expected}, not "{value[3]}"'
    return text


def add_config_options(parser: ArgumentParser) -> None:
    """Add --config and an option for every setting."""
    parser.add_argument("--config", action="config", help="a YAML file with settings")
    parser.add_class_arguments(Config)


def load_config(path: Path) -> Config:
    """Read a YAML file; settings it doesn't name have their defaults.

    Raises:
        TranslatorError: it is missing, is not YAML, or has a key or value that doesn't fit.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such configuration file")
    parser = Parser(exit_on_error=False)
    parser.add_class_arguments(Config)
    try:
        parsed = parser.parse_path(str(path))
        return make_config(parser, parsed)
    except (TranslatorError, ArgumentError, TypeError, ValueError) as error:
        raise TranslatorError(f"{path}: {one_line(str(error))}") from error


def make_config(parser: ArgumentParser, parsed: object) -> Config:
    """The settings among parsed options."""
    values = parser.instantiate_classes(parsed)
    return Config(**{name: getattr(values, name) for name in Config.__dataclass_fields__})
