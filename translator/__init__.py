"""A small English–Spanish translator to read, train and trust.

from translator import load
load("runs/quickstart").translate(["Good morning."])[0].text
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from translator.inference.translator import Translator


def load(run_dir: str | Path, device: str = "auto", engine: str = "pytorch") -> "Translator":
    """Load a trained run.

    Args:
        run_dir: the run folder
        device: auto, cpu, cuda or mps
        engine: pytorch; pytorch-int8, on a processor that has instructions for it; or
            ctranslate2 or ctranslate2-int8, for a run that was exported

    Raises:
        TranslatorError: the run is missing, damaged or of another format, or the engine or the
            device is not available.
    """
    # Imported here so that `import translator` is fast and a command imports only what it needs.
    from translator.errors import TranslatorError
    from translator.inference.translator import load_translator
    from translator.runs.run import Run

    try:
        run = Run(Path(run_dir))
    except TypeError as error:
        raise TranslatorError(f"run_dir must be a path, not {run_dir!r}") from error
    return load_translator(run, device, engine)
