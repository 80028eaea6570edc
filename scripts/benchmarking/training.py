"""Our own training, started the way a user starts it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from translator.errors import TranslatorError
from translator.runs.run import Run


def train_as_user(folder: Path, options: Sequence[str]) -> Run:
    """Run `translator train` in its own process; its output goes to standard error.

    Raises:
        TranslatorError: the training failed or was stopped.
    """
    command = [sys.executable, "-m", "translator", "train", "--run-dir", str(folder), *options]
    if subprocess.run(command, stdout=sys.stderr).returncode:
        raise TranslatorError(f"the training of {folder} failed or was stopped; see its output")
    return Run(folder)
