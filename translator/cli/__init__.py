"""How is the translator used from a terminal? A command for each step of the pipeline.

Results go to standard output; progress, notes and errors go to standard error. A mistake of the
user gives one line that says how to fix it, and exit code 2.
"""

import difflib
import sys
from importlib.metadata import version

from translator.cli.align import align_command
from translator.cli.evaluate import evaluate_command
from translator.cli.export import export_command
from translator.cli.options import Command
from translator.cli.prepare import prepare_command
from translator.cli.runs import runs_command
from translator.cli.streams import safe_streams
from translator.cli.tokenizer import tokenizer_command
from translator.cli.train import train_command
from translator.cli.translate import translate_command
from translator.errors import TranslatorError, exit_on_user_error

COMMANDS: dict[str, Command] = {
    "prepare": prepare_command,
    "tokenizer": tokenizer_command,
    "train": train_command,
    "evaluate": evaluate_command,
    "translate": translate_command,
    "align": align_command,
    "export": export_command,
    "runs": runs_command,
}


def main(argv: list[str] | None = None) -> None:
    """Run a command; a mistake of the user ends the program with one line and exit code 2."""
    arguments = sys.argv[1:] if argv is None else argv
    with safe_streams():
        try:
            with exit_on_user_error("translator"):
                try:
                    _run(arguments)
                finally:
                    sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(130)
        except BrokenPipeError:  # the reader of the output has closed the pipe (`| head`)
            sys.exit(141)  # the shell's exit code for a program ended by a closed pipe


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return
    if arguments[0] == "--version":
        print(f"translator {version('translator')}")
        return
    verb, *rest = arguments
    if verb not in COMMANDS:
        nearest = difflib.get_close_matches(verb, COMMANDS, n=1)
        hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
        commands = ", ".join(COMMANDS)
        raise TranslatorError(f'unknown command "{verb}"{hint} (commands: {commands})')
    COMMANDS[verb](rest)


def run_command(verb: str) -> None:
    """Run one command with the arguments of this process, as the scripts do."""
    main([verb, *sys.argv[1:]])


def _overview() -> str:
    # With PYTHONOPTIMIZE=2, Python drops the docstrings.
    first_lines = {verb: (c.__doc__ or "").partition("\n")[0] for verb, c in COMMANDS.items()}
    lines = [f"  {verb:<10} {first_line}".rstrip() for verb, first_line in first_lines.items()]
    usage = "usage: translator COMMAND [options]"
    more = ["translator COMMAND --help explains a command; translator --version prints the version"]
    return "\n".join([usage, "", *lines, "", *more])
