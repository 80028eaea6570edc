"""Options and configuration files, parsed by jsonargparse, with errors that fit on a line."""

import difflib
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace

from translator.config import Config, flatten
from translator.errors import TranslatorError

# In characters. A message quotes the file, and a value in it can be as long as the file.
_MAX_MESSAGE_CHARS = 300


class Parser(ArgumentParser):
    """A parser whose errors are a `TranslatorError` of one line, with the nearest name."""

    def __init__(self, **settings: Any) -> None:
        """Options must be written out: an abbreviation may mean another key tomorrow."""
        super().__init__(exit_on_error=False, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Called by jsonargparse for everything that doesn't fit."""
        raise TranslatorError(self._explain(" ".join(message.split()))) from ex

    def _explain(self, message: str) -> str:
        unknown = re.search(
            r"(?:Group '([\w.]+)' does not accept )?[Oo]ption '([\w.]+)'|arguments: --([\w.-]+)",
            message,
        )
        if unknown:
            name = ".".join(filter(None, unknown.groups()))
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
    parser = _file_parser()
    with _errors_naming(path):
        settings = _parse_file(parser, path)
        return Config() if settings is None else make_config(parser, settings)


def has_settings(path: Path) -> bool:
    """Whether a configuration file names any setting; jsonargparse takes no empty one.

    Raises:
        TranslatorError: it is missing, is not YAML, or has a key or type that doesn't fit. Values
            that contradict each other are left to `make_config`, since options may mend them.
    """
    with _errors_naming(path):
        return _parse_file(_file_parser(), path) is not None


class _Loader(yaml.SafeLoader):
    """Plain values, and no aliases: ten lines of them can stand for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Called for each value."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read: write it out")
        return super().compose_node(parent, index)


@functools.cache  # to make one takes as long as to read a file with it
def _file_parser() -> Parser:
    parser = Parser()
    parser.add_class_arguments(Config)
    return parser


@contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
    try:
        yield
    except TranslatorError as error:
        raise TranslatorError(f"{path}: {shorten(str(error), _MAX_MESSAGE_CHARS)}") from error


def _parse_file(parser: Parser, path: Path) -> Namespace | None:
    """The settings of a file, or None if there are none."""
    if not path.is_file():
        raise TranslatorError("no such configuration file")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    # A ValueError is a date that there isn't, a number of thousands of digits, or no UTF-8.
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise TranslatorError(f"not readable YAML: {' '.join(str(error).split())}") from error
    if not content:
        return None
    if not isinstance(content, dict):
        raise TranslatorError("no settings; write them as in configs/quickstart.yaml")
    for name, section in content.items():
        if is_dataclass(Config.__annotations__.get(name)) and not isinstance(section, dict):
            raise TranslatorError(f'"{name}" must hold settings, not "{section}"')
    settings: Namespace = parser.parse_path(str(path))
    refuse_null(settings)
    return settings


def refuse_null(settings: Namespace) -> None:
    """See that only settings without a default are without a value; jsonargparse takes all so.

    Raises:
        TranslatorError: another one is null.
    """
    for key, default in flatten(Config()).items():
        if default is not None and settings.get(key, default) is None:
            raise TranslatorError(
                f'"{key}" must not be null; without the key, it has its default ({default})'
            )


def make_config(parser: ArgumentParser, parsed: object) -> Config:
    """The settings among parsed options."""
    values = parser.instantiate(parsed)
    return Config(**{name: getattr(values, name) for name in Config.__dataclass_fields__})
