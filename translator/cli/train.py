"""The command that trains a translator."""

import sys
from pathlib import Path

from translator.cli.options import command_parser, parse
from translator.config.parsing import add_config_options, make_config
from translator.errors import print_note
from translator.runs.run import Run


def train_command(argv: list[str]) -> None:
    """Train a translator (by default that of the quickstart), or resume a stopped training."""
    parser = command_parser(train_command, "--config laptop-1h --run-dir runs/1h")
    parser.add_argument("--run-dir", type=str, default="runs/quickstart", help="folder of the run")
    add_config_options(parser)
    options = parse(parser, argv)
    config = make_config(parser, options)
    from translator.pipeline import train
    from translator.training.trainer import TrainingStoppedError

    try:
        train(config, Run(Path(options.run_dir)))
    except TrainingStoppedError as stopped:
        print_note(f"{stopped}; the same command resumes it")
        sys.exit(130)  # the shell's exit code for a program ended by Ctrl-C
