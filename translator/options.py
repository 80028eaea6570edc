"""Options and configuration files, parsed by jsonargparse, with errors that fit on a line."""

import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from translator.config import Config
from translator.errors import TranslatorError


class Parser(ArgumentParser):
    """A parser whose errors are a `TranslatorError` of one line, with the nearest name."""

    def __init__(self, **settings: Any) -> None:
        """Options must be written out: an abbreviation may mean another key tomorrow."""
        super().__init__(exit_on_error=False, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Called by jsonargparse for everything that doesn't fit."""
        raise TranslatorError(self._explain(" ".join(message.split()))) from ex

    def _explain(self, message: str) -> str:
        unknown = re.search(r"option '([\w.]+)'|[Kk]ey '([\w.]+)'|arguments: --([\w.-]+)", message)
        if unknown:
            name = next(filter(None, unknown.groups()))
            known = [o.removeprefix("--") for o in self._option_string_actions if o[:2] == "--"]
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            return f'unknown key "{name}"; the nearest is "{nearest}"'
        # Of a union's reasons ("Does not validate against …") the expected types say enough.
        value = re.search(
            r'key "([\w.]+)": Does not validate.*Expected a (.+?) - .*Given value: (.*)', message
        )
        if value:
            expected = re.sub(r"<class '(\w+)'>", r"\1", value[2])
            return f'"{value[1]}" must be of type {expected}, not "{value[3]}"'
        return message


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
    parser = Parser()
    parser.add_class_arguments(Config)
    try:
        return make_config(parser, parser.parse_path(str(path)))
    except TranslatorError as error:
        raise TranslatorError(f"{path}: {error}") from error


def make_config(parser: ArgumentParser, parsed: object) -> Config:
    """The settings among parsed options."""
    values = parser.instantiate_classes(parsed)
    return Config(**{name: getattr(values, name) for name in Config.__dataclass_fields__})
