"""The command line.

Results go to standard output; progress, notes and errors to standard error. An error that the
user can mend is one line, and the exit code 2.
"""

import io
import os
import sys

from translator.cli.align import align_command
from translator.cli.evaluate import evaluate_command
from translator.cli.export import export_command
from translator.cli.options import Command
from translator.cli.prepare import prepare_command
from translator.cli.runs import runs_command
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
    """Run a command; exit with code 2 after a line that says what the user can mend."""
    arguments = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # as the input, whatever the locale says
    try:
        with exit_on_user_error("translator"):
            _run(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # the shell's code for a program ended by a closed pipe


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return
    verb, *rest = arguments
    if verb not in COMMANDS:
        raise TranslatorError(f'unknown command "{verb}"; there are: {", ".join(COMMANDS)}')
    COMMANDS[verb](rest)


def run_command(verb: str) -> None:
    """Run one command with this process's arguments, as the scripts do."""
    main([verb, *sys.argv[1:]])


def _overview() -> str:
    lines = [
        f"  {verb:<10} {(command.__doc__ or '').splitlines()[0]}"
        for verb, command in COMMANDS.items()
    ]
    usage = "usage: translator COMMAND [options]; translator COMMAND --help says more"
    return "\n".join([usage, "", *lines])
