"""What several commands share: how their options are read, and which run they mean."""

from collections.abc import Callable
from pathlib import Path

from jsonargparse import Namespace

from translator.config import settings_for_budget
from translator.config.parsing import Parser, has_settings, refuse_null
from translator.errors import TranslatorError
from translator.inference.engine import ENGINES
from translator.runs.run import Run, latest_run
from translator.system.files import is_utf8

Command = Callable[[list[str]], None]


def command_parser(command: Command, example: str) -> Parser:
    """A parser for a command's options; its help shows a use of some of them."""
    name = f"translator {command.__name__.removesuffix('_command')}"
    return Parser(prog=name, description=f"{command.__doc__} Example: {name} {example}")


def parse(parser: Parser, argv: list[str]) -> Namespace:
    """The options of a command line; of a training's, what is not said goes by its time budget.

    Raises:
        TranslatorError: an option or a file doesn't fit.
    """
    for argument in argv:
        if not is_utf8(argument):
            written = argument.encode(errors="backslashreplace").decode()
            raise TranslatorError(f"an argument that is not UTF-8: {written}")
    arguments = _config_first(argv)
    # --print_config prints, and ends the program, as soon as it is parsed.
    quiet = [argument for argument in arguments if not argument.startswith("--print_config")]
    options: Namespace = parser.parse_args(quiet)
    if "training" in options:
        refuse_null(options)
        # What neither an option nor a file says is for the time budget to decide.
        parser.set_defaults(settings_for_budget(options.training.max_minutes))
        options = parser.parse_args(arguments)
    return options


def _config_first(argv: list[str]) -> list[str]:
    """Move --config to the front, so that options win over files wherever they stand.

    Raises:
        TranslatorError: a file doesn't fit; it is named, which a parser of options wouldn't do.
    """
    paths: list[Path] = []
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            name = next(arguments, None)
            if name is None:
                raise TranslatorError("--config needs the name of a YAML file after it")
            paths.append(Path(name))
        elif argument.startswith("--config="):
            paths.append(Path(argument.removeprefix("--config=")))
        else:
            rest.append(argument)
    return [f"--config={path}" for path in paths if has_settings(path)] + rest


def add_run_options(parser: Parser) -> None:
    """Which run, and where it computes."""
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where to compute"
    )


def add_model_options(parser: Parser) -> None:
    """Which run translates, and how."""
    add_run_options(parser)
    parser.add_argument("--beam-size", type=int, default=5, help="1 is greedy search")
    parser.add_argument("--length-penalty", type=float, default=1.0, help="more: longer output")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="what computes; ctranslate2 needs `translator export` first",
    )


def selected_run(options: Namespace) -> Run:
    """The run that is named, or the one trained last."""
    return Run(Path(options.run_dir)) if options.run_dir else latest_run()
