"""Fixtures shared by many tests: a small corpus, a small configuration, a small trained run."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from translator.config import Config, CorpusConfig, ModelConfig, TokenizerConfig, TrainingConfig

# A deadline would measure how busy the machine is.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

PAIRS = Path(__file__).parent / "everyday.tsv"

# Options with which the quickstart configuration trains in seconds on the test corpus.
TINY_OPTIONS = [
    f"--corpus.files={PAIRS}",
    "--tokenizer.vocab_size=300",
    "--model.d_model=32",
    "--model.n_heads=2",
    "--model.encoder_layers=1",
    "--model.decoder_layers=2",
    "--model.d_ff=64",
    "--training.max_steps=60",
    "--training.batch_tokens=512",
    "--training.evaluations=2",
    "--training.threads=1",
    "--training.device=cpu",
]


def tiny_config(data_dir: Path, **training: object) -> Config:
    """Return the configuration of `TINY_OPTIONS`; `training` overrides settings of its section."""
    settings: dict[str, object] = {
        "max_steps": 60,
        "batch_tokens": 512,
        "evaluations": 2,
        "threads": 1,
        "device": "cpu",
    }
    return Config(
        corpus=CorpusConfig(files=str(PAIRS)),
        tokenizer=TokenizerConfig(vocab_size=300),
        model=ModelConfig(d_model=32, n_heads=2, encoder_layers=1, decoder_layers=2, d_ff=64),
        training=TrainingConfig(**(settings | training)),  # type: ignore[arg-type]
        data_dir=str(data_dir),
    )


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A function that runs `translator …` in its own process, with `tmp_path` as working folder.

    The environment keeps pip off the network, so that no test can download anything.
    """

    def run(
        *arguments: str,
        stdin: str | bytes = "",
        program: Sequence[str] = ("-m", "translator"),
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, *program, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", **(env or {})},
            timeout=300,
            check=False,
        )
        return subprocess.CompletedProcess(
            result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
        )

    return run


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the path and the content of every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_clear_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Check that a user's mistake ended with exit code 2 and one line that contains `parts`."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("translator: ")
    for part in parts:
        assert part in last
    assert result.stdout == ""


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small, weak model. Tests must not change it."""
    from translator.pipeline import train
    from translator.runs.run import Run

    folder = tmp_path_factory.mktemp("trained")
    run = folder / "runs" / "tiny"
    train(tiny_config(folder / "data"), Run(run))
    return run


@pytest.fixture(scope="session")
def reverse_run(trained_run: Path) -> Path:
    """A finished run of the opposite direction, on the same corpus."""
    from translator.pipeline import train
    from translator.runs.run import Run

    config = tiny_config(trained_run.parents[1] / "data")
    run = trained_run.with_name("reverse")
    train(replace(config, corpus=replace(config.corpus, direction="es-en")), Run(run))
    return run


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """Seed PyTorch, so that a test draws the same numbers no matter which tests ran before it."""
    torch.manual_seed(0)
