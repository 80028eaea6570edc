"""Throw made-up input at what reads files, settings and text: it may refuse it, and nothing else.

    pip install -e '.[fuzz]'
    python scripts/fuzz.py --target lines --inputs 100000

Targets: `lines` (plain, gzip and xz files as test sets, corpora and gold), `config` (YAML files and
options), `run` (a run folder one of whose files was changed) and `text` (text to be translated).
Inputs are changed where that reaches lines of our code not reached before (atheris, libFuzzer).
Whatever ends otherwise than in a result or a TranslatorError is a finding: its input is kept, the
command that repeats it is printed, and the exit code is 1.
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

from fuzzing.targets import SEEDS, TARGETS, Target, small_run

from translator.errors import TranslatorError, exit_on_user_error

# What is imported in a target is instrumented, so that new lines count.
_INSTRUMENTED = ["translator", "yaml"]
# In bytes, of an input: with more, most of it changes nothing.
_LONGEST = 300
# In seconds and MiB, for one input: beyond, it is a finding too.
_SLOW, _LARGE = 20, 4000


def fuzz(arguments: argparse.Namespace, place: Path, kept: Path, count: Any) -> None:
    """Try inputs; the process ends with the last of them, or with the first finding."""
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

    limits = [f"-max_len={_LONGEST}", f"-timeout={_SLOW}", f"-rss_limit_mb={_LARGE}"]
    limits += ["-len_control=0"]  # all are short
    limits += [f"-runs={arguments.inputs}", f"-seed={arguments.seed}"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={kept}/finding-", str(corpus)], counted)
    atheris.Fuzz()


def repeat(target: Target, path: Path) -> None:
    """Try one input again; what it raises, if that is a finding, is shown."""
    try:
        target(path.read_bytes())
        print("a result")
    except TranslatorError as error:
        print(f"refused: {error}")


def in_a_process(function: Callable[..., object], *arguments: object) -> int:
    """Its exit code: the fuzzer ends the process that it is in, and wants to import all itself."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode or 0


def main() -> None:
    """Try inputs, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many to try")
    parser.add_argument("--seed", type=int, default=1, help="of the changes")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/fuzz"), help="for findings, and for what led far"
    )
    parser.add_argument("--repeat", type=Path, help="try this one input: a finding")
    arguments = parser.parse_args()
    if arguments.inputs < 1:
        raise TranslatorError("--inputs must be greater than zero")
    if arguments.repeat and not arguments.repeat.is_file():
        raise TranslatorError(f"{arguments.repeat}: no such file")
    if not arguments.repeat and importlib.util.find_spec("atheris") is None:
        raise TranslatorError("atheris is not installed; install it with: pip install -e '.[fuzz]'")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are too small to be shared out
    # In memory, where there is such a folder: each input is a file.
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
        sys.exit(f"fuzz: a finding; repeat it with: {again}")


if __name__ == "__main__":
    with exit_on_user_error("fuzz"):
        main()
