"""Parse options and configuration files with jsonargparse, and report errors in one line."""

import difflib
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace, set_loader
from jsonargparse.typing import register_type

from translator.config import NO_VARIATION, Config, SourceConfig, flatten
from translator.config.corpus_settings import DEFAULT_CORPUS
from translator.config.yaml_loader import MAX_CHARS, load_yaml
from translator.errors import TranslatorError

# Keys that have been renamed, so that the error for the old key names the new one.
_RENAMED = {
    "tokenizer.sampling": "tokenizer.bpe_dropout",
    "training.learning_rate": "training.lr",
    "training.muon_learning_rate": "training.muon_lr",
    "training.accumulation": "training.gradient_accumulation",
    "training.guidance": "training.guided_alignment",
    "training.guidance_weight": "training.guided_alignment_weight",
    "training.warm_start": "training.embedding_init",
}


def _load_yaml(text: str) -> Any:
    """Load YAML, and write out `variation: off`, where YAML's "off" is false."""
    content = load_yaml(text)
    if isinstance(content, dict) and content.get("variation") is False:
        content["variation"] = asdict(NO_VARIATION)
    return content


# How jsonargparse reads files and values.
_MODE = "settings"
set_loader(_MODE, _load_yaml, exceptions=(yaml.YAMLError,))


class Parser(ArgumentParser):
    """A parser that raises a `TranslatorError` of one line, which suggests the nearest name."""

    def __init__(self, **settings: Any) -> None:
        """Refuse abbreviations: an option added later may start with the same letters."""
        super().__init__(
            exit_on_error=False,
            allow_abbrev=False,
            print_config=None,
            parser_mode=_MODE,
            **settings,
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a `TranslatorError` for an error that jsonargparse has found."""
        raise TranslatorError(self._explain(" ".join(message.split()))) from ex

    def _explain(self, message: str) -> str:
        unknown = re.search(
            r"(?:Group '([\w.]+)' does not accept )?[Oo]ption '([\w.-]+)'|arguments: --([\w.-]+)",
            message,
        )
        if unknown:
            return self._explain_unknown(".".join(filter(None, unknown.groups())))
        # For a union, the message continues with a reason for each type ("Does not validate …").
        wrong = re.search(
            r'key "([\w.]+)": (?:Does not validate.*)?Expected an? (.+?)'
            r"(?:\. Got value| - .*Given value): (.*)",
            message,
        )
        if wrong:
            key, expected, given = wrong.groups()
            choices = re.fullmatch(r"typing\.Literal\[(.*)\]", expected)
            if choices:
                expected = "one of " + choices[1].replace("'", "")
            else:
                expected = "of type " + re.sub(r"<class '(\w+)'>", r"\1", expected)
            return f'"{key}" must be {expected}, not "{given}"'
        return message

    def _explain_unknown(self, name: str) -> str:
        if name in _RENAMED:
            return f'unknown key "{name}": it is called "{_RENAMED[name]}" now'
        known = [o.removeprefix("--") for o in self._option_string_actions if o[:2] == "--"]
        hyphenated = name.replace("_", "-")
        if hyphenated in known:
            return f'unknown option "--{name}": write "--{hyphenated}"'
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
        return f'unknown key "{name}"; the nearest is "{nearest}"'


def add_config_options(parser: ArgumentParser) -> None:
    """Add an option for every setting, and --config and --print-config for all of them."""
    parser.add_argument(
        "--config", action="config", help="a YAML file with settings, or the name of a preset"
    )
    parser.add_argument(
        "--print-config",
        "--print_config",  # the name that jsonargparse gives it
        action="store_true",
        help="print the settings as they would be used, as YAML, and exit",
    )
    # Options have hyphens, and keys have underscores.
    parser.add_class_arguments(Config, skip={"data_dir"})
    parser.add_argument(
        "--data-dir",
        type=str,
        default=Config.data_dir,
        help="folder for downloads and prepared corpora",
    )


@functools.cache
def _source_parser() -> Parser:
    parser = Parser()
    parser.add_class_arguments(SourceConfig)
    return parser


def _read_source(item: object) -> SourceConfig:
    """Make a source from an item of `corpus.sources`.

    jsonargparse would do this too, but its messages would be about classes and their paths.

    Raises:
        TranslatorError: the item has an unknown key or a bad value, or is no mapping.
    """
    if isinstance(item, SourceConfig):
        return item
    if not isinstance(item, dict):
        raise TranslatorError(
            "corpus.sources is a list of sources, each written as {name: …, files: …}"
        )
    parser = _source_parser()
    try:
        settings = parser.parse_object({str(key): value for key, value in item.items()})
        settings.name = settings.name or ""  # null is no name either
        _refuse_null(settings, asdict(SourceConfig(name=DEFAULT_CORPUS)))
    except TranslatorError as error:
        raise TranslatorError(f"corpus.sources: {error}") from error
    return SourceConfig(**vars(parser.instantiate(settings)))


register_type(SourceConfig, serializer=asdict, deserializer=_read_source)


def load_config(path: Path) -> Config:
    """Read a YAML file; settings that it leaves out have the defaults of `Config`.

    Raises:
        TranslatorError: the file is missing or not YAML, or has an unknown key or a bad value.
    """
    parser = _file_parser()
    with _errors_naming(path):
        settings = _parse_file(parser, path)
        return Config() if settings is None else make_config(parser, settings)


def has_settings(path: Path) -> bool:
    """Whether a configuration file has any settings; jsonargparse refuses an empty file.

    Raises:
        TranslatorError: the file is missing or not YAML, or has an unknown key or a value of a
            wrong type. `make_config` checks whether the values fit together, because options may
            still change them.
    """
    with _errors_naming(path):
        return _parse_file(_file_parser(), path) is not None


@functools.cache  # making the parser takes as long as reading a file with it
def _file_parser() -> Parser:
    parser = Parser()
    parser.add_class_arguments(Config)
    return parser


@contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
    try:
        yield
    except TranslatorError as error:
        raise TranslatorError(f"{path}: {error}") from error


def _parse_file(parser: Parser, path: Path) -> Namespace | None:
    """Return the settings of a file, or None if it has none."""
    if not path.is_file():
        raise TranslatorError("no such configuration file")
    try:
        with path.open(encoding="utf-8") as file:
            content = _load_yaml(file.read(MAX_CHARS + 1))
    # A ValueError comes from an impossible date, a number with thousands of digits, or a file that
    # is not UTF-8.
    except (OSError, ValueError, yaml.YAMLError) as error:
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
    """Refuse null for settings with another default, since jsonargparse accepts it for all.

    Raises:
        TranslatorError: such a setting is null.
    """
    _refuse_null(settings, flatten(Config()))


def _refuse_null(settings: Namespace, defaults: dict[str, Any]) -> None:
    for key, default in defaults.items():
        if default is not None and settings.get(key, default) is None:
            raise TranslatorError(
                f'"{key}" must not be null; leave it out to get the default ({default})'
            )


def make_config(parser: ArgumentParser, parsed: object) -> Config:
    """Make the configuration from parsed options or a parsed file.

    Raises:
        TranslatorError: a value is out of range, or values don't fit together.
    """
    values = parser.instantiate(parsed)
    return Config(**{name: getattr(values, name) for name in Config.__dataclass_fields__})
