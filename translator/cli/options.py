"""Options that several commands share, how they are parsed, and how a run is selected."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from translator.config import NO_VARIATION, Config, default_settings, flatten, shape_keys, to_yaml
from translator.config.checks import require_not_empty
from translator.config.parsing import Parser, has_settings, make_config, refuse_null
from translator.config.presets import presets
from translator.errors import TranslatorError
from translator.inference.engine import ENGINES
from translator.runs.run import Run, latest_run
from translator.system.files import is_utf8

Command = Callable[[list[str]], None]


def command_parser(command: Command, example: str) -> Parser:
    """Return a parser for the options of a command; its help ends with an example."""
    name = f"translator {command.__name__.removesuffix('_command')}"
    about = command.__doc__ or ""  # with PYTHONOPTIMIZE=2, Python drops the docstrings
    return Parser(prog=name, description=f"{about} Example: {name} {example}".strip())


def parse(parser: Parser, argv: list[str]) -> Namespace:
    """Parse the options of a command.

    For a command with settings, those that are left out get their defaults, which may depend on
    other settings: see `default_settings`. With --print-config, the settings are printed and the
    program ends.

    Raises:
        TranslatorError: an option or a file has a mistake.
    """
    for argument in argv:
        if not is_utf8(argument):
            written = argument.encode(errors="backslashreplace").decode()
            raise TranslatorError(f"an argument that is not UTF-8: {written}")
    arguments = _config_first(_write_out_off(argv))
    options: Namespace = parser.parse_args(arguments)
    for key, value in options.items():
        if key != "texts":  # these may be empty
            name = key if "." in key else key.replace("_", "-")
            require_not_empty(f"--{name}", value)
    if "training" not in options:
        return options
    refuse_null(options)
    chosen = dict(parser.parse_args(arguments, defaults=False).items())
    for key, value in _defaults(chosen).items():
        if key not in chosen:
            options[key] = value
    if options.print_config:
        print(to_yaml(make_config(parser, options)), end="")
        sys.exit(0)
    return options


def _defaults(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that depend on the settings that the user has chosen."""
    init_from = chosen.get("training.init_from")
    if init_from is None:
        return default_settings(chosen)
    inherited = [*shape_keys(Config()), "model.top_k"]
    if chosen.keys() >= set(inherited):
        return {}  # a resumed run has a copy of them, and no longer needs the other run
    run = Run(Path(init_from))
    run.read_manifest()  # raises a helpful error if there is no run
    of_run = flatten(run.load_config())
    return {key: of_run[key] for key in inherited}


def _write_out_off(argv: list[str]) -> list[str]:
    """Replace `--variation off` by the settings that it stands for."""
    off = [f"--variation.{key}={value}" for key, value in asdict(NO_VARIATION).items()]
    arguments: list[str] = []
    for argument in argv:
        if arguments[-1:] == ["--variation"] and argument == "off":
            arguments[-1:] = off
        elif argument == "--variation=off":
            arguments += off
        else:
            arguments.append(argument)
    return arguments


def _config_first(argv: list[str]) -> list[str]:
    """Move --config to the front, so that options override files, wherever --config stands.

    Raises:
        TranslatorError: a file has a mistake. The message names the file, which the message of
            the option parser would not.
    """
    paths: list[Path] = []
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            name = next(arguments, None)
            if name is None:
                raise TranslatorError("--config must be followed by the name of a YAML file")
            paths.append(_config_path(name))
        elif argument.startswith("--config="):
            paths.append(_config_path(argument.removeprefix("--config=")))
        else:
            rest.append(argument)
    return [f"--config={path}" for path in paths if has_settings(path)] + rest


def _config_path(name: str) -> Path:
    """Return the file that --config names: a path, or the name of a preset."""
    path = Path(name)
    if path.exists() or path.suffix or path != Path(path.name):
        return path
    if name not in presets():
        raise TranslatorError(
            f"--config {name}: no such file, and no such preset; the presets are: "
            + ", ".join(presets())
        )
    return presets()[name]


def add_run_options(parser: Parser) -> None:
    """Add the options that select a run and a device."""
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where to compute"
    )


def add_model_options(parser: Parser) -> None:
    """Add the options that select a run, and how it translates."""
    add_run_options(parser)
    parser.add_argument("--beam-size", type=int, default=5, help="beam size; 1 is greedy search")
    parser.add_argument(
        "--length-penalty", type=float, default=1.0, help="a higher value gives longer output"
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="the program that computes; for ctranslate2, run `translator export` first",
    )
    parser.add_argument(
        "--no-loop-guard",
        dest="loop_guard",
        action="store_false",
        help="keep looping translations as the search found them",
    )


def selected_run(options: Namespace) -> Run:
    """Return the run of --run-dir, or the run that was trained last."""
    return Run(Path(options.run_dir)) if options.run_dir else latest_run()
