"""Search for inputs that crash the code which reads files, settings and text.

    pip install -e '.[fuzz]'
    python scripts/fuzz.py --target lines --inputs 100000

The targets are `lines` (plain, gzip and xz files as test sets, corpora and gold alignments),
`config` (YAML files and options), `run` (a run folder with one changed file) and `text` (text to
translate). The fuzzer (atheris with libFuzzer) mutates inputs and keeps those that reach new lines
of our code. An input must give a result or a TranslatorError. Any other input is a finding: it is
saved, the command that repeats it is printed, and the exit code is 1.
"""

import argparse
import hashlib
import importlib.util
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarking.options import ScriptParser, require_file, require_positive
from fuzzing.targets import SEEDS, TARGETS, Target, small_run

from translator.errors import TranslatorError, exit_on_user_error

# Packages whose lines count as reached. The targets import them, so that atheris can instrument
# them.
_INSTRUMENTED = ["translator", "yaml"]
# Bytes of an input. Most bytes of a longer one would have no effect.
_MAX_INPUT = 300
# An input that takes more time or memory than this is a finding too.
_MAX_SECONDS, _MAX_MEBIBYTES = 20, 4000


def fuzz(arguments: argparse.Namespace, place: Path, kept: Path, count: Any) -> None:
    """Try inputs; ends the process after the last input or the first finding.

    Args:
        arguments: `target`, `inputs` and `seed`
        place: the folder that the target works in
        kept: the folder for findings and for inputs that reached new lines
        count: a shared integer that counts the inputs
    """
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = TARGETS[arguments.target](place)
    corpus = kept / arguments.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[arguments.target]):
        (corpus / f"seed-{number}").write_bytes(seed)

    def counted(data: bytes) -> None:
        count.value += 1
        try:
            target(data)
        except TranslatorError:
            return
        except (Exception, SystemExit):
            (kept / f"finding-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            raise

    limits = [
        f"-max_len={_MAX_INPUT}",
        f"-timeout={_MAX_SECONDS}",
        f"-rss_limit_mb={_MAX_MEBIBYTES}",
    ]
    limits += ["-len_control=0"]  # no need to start with shorter inputs
    limits += [f"-runs={arguments.inputs}", f"-seed={arguments.seed}"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={kept}/finding-", str(corpus)], counted)
    atheris.Fuzz()


def repeat(target: Target, path: Path) -> None:
    """Try one input again; the traceback of a finding is shown."""
    try:
        target(path.read_bytes())
        print("a result")
    except TranslatorError as error:
        print(f"refused: {error}")


def in_a_process(function: Callable[..., object], *arguments: object) -> int:
    """Run a function in a child process, and return the exit code.

    The fuzzer ends its process, and it must be the first to import what it instruments.
    """
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode or 0


def main() -> None:
    """Try inputs; exit with code 1 if there is a finding."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many inputs to try")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/fuzz"), help="for findings and useful inputs"
    )
    parser.add_argument("--repeat", type=Path, help="try only this file, a finding")
    arguments = parser.parse_args()
    require_positive("--inputs", arguments.inputs)
    if arguments.repeat:
        require_file(arguments.repeat)
    elif importlib.util.find_spec("atheris") is None:
        raise TranslatorError("atheris is not installed; install it with: pip install -e '.[fuzz]'")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are too small for more
    # Each input is written to a file, so use a folder in memory if there is one.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        place = Path(temporary)
        if arguments.target in ("run", "text"):
            if in_a_process(small_run, place):
                sys.exit(1)
            place = place / "runs" / "small"
        if arguments.repeat:
            repeat(TARGETS[arguments.target](place), arguments.repeat)
            return
        count = multiprocessing.get_context("fork").Value("Q", 0)
        code = in_a_process(fuzz, arguments, place, arguments.folder, count)
    print(f"{arguments.target}: {count.value:,} inputs tried with --seed {arguments.seed}")
    if code:
        finding = max(arguments.folder.glob("finding-*"), key=lambda path: path.stat().st_mtime)
        again = f"python scripts/fuzz.py --target {arguments.target} --repeat {finding}"
        sys.exit(f"fuzz: found a crash; repeat it with: {again}")


if __name__ == "__main__":
    with exit_on_user_error("fuzz"):
        main()
