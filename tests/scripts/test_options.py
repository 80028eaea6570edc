"""A mistake on the command line of a script is reported in one line."""

import runpy
from pathlib import Path

import pytest

from translator.errors import exit_on_user_error

SCRIPTS = Path(__file__).parents[2] / "scripts"


def stderr_of(
    script: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> str:
    """What a script prints to standard error; it must exit with code 2."""
    monkeypatch.setattr("sys.argv", [script, *options])
    main = runpy.run_path(str(SCRIPTS / f"{script}.py"))["main"]
    with pytest.raises(SystemExit) as ended, exit_on_user_error(script):
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("bench_alignment", [], "the following arguments are required: --run-dir"),
        ("bench_corpus", ["--sizes", "many"], "argument --sizes: invalid int value: 'many'"),
        ("bench_corpus", ["--sizes", "100", "0"], "--sizes must be greater than zero"),
        ("bench_robustness", ["--beam-size", "0"], "--beam-size must be greater than zero"),
        ("bench_robustness", ["--split", "train"], "argument --split: invalid choice: 'train'"),
        ("bench_training", ["--joeynmt-steps", "0"], "--joeynmt-steps must be greater than zero"),
        ("bench_translate", ["--runs", "x"], "unrecognized arguments: --runs x"),
        ("compare_attention", ["--json"], "argument --json: expected one argument"),
        ("crash_test", ["--kills", "0"], "--kills must be greater than zero"),
        ("crash_test", ["--pairs", "none.tsv"], "none.tsv: no such file"),
        ("fuzz", ["--target", "model"], "argument --target: invalid choice: 'model'"),
        ("fuzz", ["--target", "run", "--inputs", "0"], "--inputs must be greater than zero"),
    ],
)
def test_a_mistake_is_one_line(
    script: str,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    lines = stderr_of(script, options, monkeypatch, capsys).splitlines()
    assert lines[-1].startswith(f"{script}: {message}")
    assert not [line for line in lines if line.startswith("usage")]
