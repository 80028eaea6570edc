"""Every script runs and does what it promises."""

import importlib.util
import json
import os
import re
import shutil
import tomllib
from contextlib import suppress
from pathlib import Path

import sentencepiece
from conftest import PAIRS, TINY_OPTIONS, Cli
from fuzzing import targets

from translator.errors import TranslatorError

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_every_script_has_a_test_here() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in SCRIPTS.glob("*.py")} <= tested


def test_prepare_data(cli: Cli) -> None:
    result = cli(*TINY_OPTIONS, program=[str(SCRIPTS / "prepare_data.py")])
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == ["corpus", PAIRS.name]


def test_lowest_versions(cli: Cli) -> None:
    """Everything with a lower bound, except PyTorch; extras and upper bounds are left out."""
    result = cli(program=[str(SCRIPTS / "lowest_versions.py")])
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in lines)
    names = [line.partition("==")[0] for line in lines]
    assert {"numpy", "sentencepiece", "jsonargparse", "ctranslate2", "pytest"} <= set(names)
    assert "torch" not in names
    project = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    bounded = [line for line in str(project["project"]).split("'") if ">=" in line]
    assert len(lines) == len([line for line in bounded if line[0].isalpha()]) - 1


def test_train_tokenizer(cli: Cli, tmp_path: Path) -> None:
    """The output is only the path of a model with the requested size."""
    result = cli(*TINY_OPTIONS, program=[str(SCRIPTS / "train_tokenizer.py")])
    assert result.returncode == 0, result.stderr
    path = tmp_path / result.stdout.strip()
    assert path.name == "tokenizer.model"
    assert sentencepiece.SentencePieceProcessor(model_file=str(path)).vocab_size() == 300


def test_train(cli: Cli, trained_run: Path) -> None:
    """With a finished run, since training itself is tested elsewhere."""
    options = [*TINY_OPTIONS, "--run-dir", str(trained_run)]
    result = cli(*options, program=[str(SCRIPTS / "train.py")])
    assert result.returncode == 0, result.stderr
    assert f"{trained_run} is finished" in result.stderr


def test_evaluate(cli: Cli, trained_run: Path) -> None:
    result = cli("--run-dir", str(trained_run), program=[str(SCRIPTS / "evaluate.py")])
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == "bleu"


def test_translate(cli: Cli, trained_run: Path) -> None:
    options = ["--run-dir", str(trained_run), "Good evening.", "Goodbye."]
    result = cli(*options, program=[str(SCRIPTS / "translate.py")])
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_bench_translate(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    shutil.copytree(trained_run, tmp_path / "runs" / "quickstart")
    options = ["--json", "measures.json"]
    program = [str(SCRIPTS / "bench_translate.py")]
    refused = cli(*options, program=program)
    assert refused.returncode == 2
    assert "translator export --run-dir runs/quickstart" in refused.stderr
    assert cli("export").returncode == 0
    result = cli(*options, program=program)
    assert result.returncode == 0, result.stderr
    assert "joeynmt: skipped, there is no .venv-joeynmt/bin/python\n" in result.stderr
    records = json.loads((tmp_path / "measures.json").read_text())
    measured = {(record["system"], record["measure"]): record["value"] for record in records}
    for system in ("translator", "translator-ctranslate2", "ctranslate2", "transformers"):
        for beam in ("greedy", "beam5"):
            assert measured[system, f"sentences_per_second_{beam}"] > 0
        assert measured[system, "cold_start_seconds"] > 0
    # CTranslate2 does not need PyTorch.
    for system in ("translator-ctranslate2", "ctranslate2"):
        assert measured[system, "peak_memory_bytes"] < measured["translator", "peak_memory_bytes"]
    assert measured["transformers", "bleu_greedy"] is None  # its weights are random
    greedy = {
        measured[system, "bleu_greedy"] for system in ("translator", "translator-ctranslate2")
    }
    assert len(greedy) == 1


def test_bench_robustness(cli: Cli, tmp_path: Path, trained_run: Path, reverse_run: Path) -> None:
    """With an Apertium that copies its input, and so keeps all numbers and translates no word."""
    installed = tmp_path / "bin" / "apertium"
    installed.parent.mkdir()
    installed.write_text('#!/bin/sh\nif [ "$1" = -l ]; then echo eng-spa; else cat; fi\n')
    installed.chmod(0o755)
    path = {"PATH": f"{installed.parent}{os.pathsep}{os.environ['PATH']}"}
    program = [str(SCRIPTS / "bench_robustness.py")]
    runs = ["--run-dir", str(trained_run)]
    options = ["--beam-size", "1", "--max-examples", "10", "--json", "measures.json"]
    result = cli(*runs, *options, program=program, env=path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == [str(trained_run), "apertium"]
    records = json.loads((tmp_path / "measures.json").read_text())
    assert {record["system"] for record in records} == {str(trained_run), "apertium"}
    assert len(result.stdout.splitlines()) == 2 + len(records) / 2
    measured = {(record["system"], record["measure"]): record["value"] for record in records}
    assert measured["apertium", "numbers kept"] == 100
    assert measured["apertium", "lines and bullets kept"] == 100
    assert measured["apertium", "word: the cat"] < 10
    assert 0 <= measured[str(trained_run), "one typo, folded BLEU"] < 100
    installed.write_text('#!/bin/sh\nif [ "$1" = -l ]; then echo eng-spa; else head -n 1; fi\n')
    failed = cli(*runs, *options, program=program, env=path)
    assert failed.returncode == 2
    assert "bench_robustness: apertium returned 1 lines for" in failed.stderr
    both = cli(*runs, str(reverse_run), program=program)
    assert both.stderr.splitlines() == [
        "bench_robustness: --run-dir: the runs translate between different languages"
    ]


def test_bench_training(cli: Cli, tmp_path: Path) -> None:
    """Without JoeyNMT, which is reported; with a picture and every measure in JSON."""
    options = ["--folder", "bench", "--json", "measures.json", *TINY_OPTIONS]
    result = cli(*options, program=[str(SCRIPTS / "bench_training.py")])
    assert result.returncode == 0, result.stderr
    assert "joeynmt: skipped, there is no .venv-joeynmt/bin/python" in result.stderr
    assert (tmp_path / "bench" / "curves.png").stat().st_size > 0
    records = json.loads((tmp_path / "measures.json").read_text())
    values = {r["measure"]: r["value"] for r in records if r["system"] == "translator"}
    assert values["target_tokens_per_second"] > 0
    for share in ("matmul_share", "model_matmul_share", "padding_share", "input_share"):
        assert 0 < values[share] < 1
    assert "seconds_to_bleu_25" in values
    again = cli(*options, program=[str(SCRIPTS / "bench_training.py")])
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        "bench_training: bench already exists; choose another --folder"
    ]


def test_bench_corpus(cli: Cli, tmp_path: Path) -> None:
    options = ["--sizes", "3000", "--folder", "bench", "--json", "measures.json", *TINY_OPTIONS]
    result = cli(*options, program=[str(SCRIPTS / "bench_corpus.py")])
    assert result.returncode == 0, result.stderr
    records = json.loads((tmp_path / "measures.json").read_text())
    values = {record["measure"]: record["value"] for record in records}
    assert values["prepare_seconds, 3000 pairs"] > 0
    assert values["prepare_seconds_over_n_log_n, 3000 pairs"] == 1
    assert 0.05 < values["prepare_peak_gib, 3000 pairs"] < 2
    assert values["train_seconds_to_first_loss, 3000 pairs"] > 0
    assert {path.name for path in (tmp_path / "bench").iterdir()} == {"corpus.png"}
    again = cli(*options, program=[str(SCRIPTS / "bench_corpus.py")])
    assert again.returncode == 2
    assert again.stderr == "bench_corpus: bench already exists; choose another --folder\n"


def test_crash_test(cli: Cli, tmp_path: Path) -> None:
    """Five kills give the same end as no kill."""
    program = [str(SCRIPTS / "crash_test.py")]
    options = ["--kills", "5", "--pairs", str(PAIRS), "--folder", "crash"]
    result = cli(*options, "--json", "measures.json", program=program)
    assert result.returncode == 0, result.stderr
    assert "no download killed" in result.stderr
    records = json.loads((tmp_path / "measures.json").read_text())
    measured = {record["measure"]: record["value"] for record in records}
    kills = [value for name, value in measured.items() if name.startswith("kills: ")]
    assert sum(kills) == measured["kills"] == 5
    assert sum(value > 0 for value in kills) > 1
    assert measured["steps lost at most by a kill"] <= 1
    assert measured["the end is the same, bit for bit"] == 1
    again = cli(*options, program=program)
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1] == (
        "crash_test: crash already exists; choose another --folder"
    )


def test_compare_attention(cli: Cli, tmp_path: Path) -> None:
    """Every normalizer is trained once, and the two best with three seeds."""
    (tmp_path / "gold.tsv").write_text("Good evening .\tBuenas tardes .\t0-0 1-1 2-2\n")
    options = ["--folder", "runs", "--gold", "gold.tsv", "--json", "measures.json", *TINY_OPTIONS]
    options += ["--training.max_steps=2", "--training.evaluations=1"]
    program = [str(SCRIPTS / "compare_attention.py")]
    result = cli(*options, program=program)
    assert result.returncode == 0, result.stderr
    records = json.loads((tmp_path / "measures.json").read_text())
    zeros = {r["system"]: r["value"] for r in records if r["measure"] == "exact_zeros"}
    assert len(zeros) == 9
    assert zeros["softmax, seed 1"] == 0 < zeros["sparsemax, seed 1"] < 1
    assert {r["measure"] for r in records} == {
        "dev_bleu", "dev_chrf", "aer", "exact_zeros", "entropy", "target_tokens_per_second"
    }  # fmt: skip
    assert len(result.stdout.splitlines()) == 7


def test_bench_alignment(cli: Cli, tmp_path: Path, trained_run: Path, reverse_run: Path) -> None:
    (tmp_path / "gold.tsv").write_text("Good evening .\tBuenas tardes .\t0-0 1-1 2-2\n")
    runs = ["--run-dir", str(trained_run), "--reverse-run", str(reverse_run)]
    program = [str(SCRIPTS / "bench_alignment.py")]
    result = cli(*runs, "--gold", "gold.tsv", "--json", "measures.json", program=program)
    assert result.returncode == 0, result.stderr
    records = json.loads((tmp_path / "measures.json").read_text())
    measured = {(record["system"], record["measure"]): record["value"] for record in records}
    for system in ("translator", "translator-grow-diag", "translator-last-layer"):
        assert 0 <= measured[system, "aer"] <= 1
    assert measured["translator", "cost"] > 0
    skipped = "eflomal: skipped, it is not installed" in result.stderr
    assert skipped == (("eflomal", "aer") not in measured)
    missing = cli(*runs, "--gold", "missing.tsv", program=program)
    assert missing.returncode == 2
    assert missing.stderr.splitlines() == ["bench_alignment: missing.tsv: no such file"]


def test_fuzz(cli: Cli, tmp_path: Path) -> None:
    """Try its targets, as `test_properties.py` does, and the fuzzer if it is installed."""
    for name in ("lines", "config"):
        target = targets.TARGETS[name](tmp_path)
        for seed in targets.SEEDS[name]:
            with suppress(TranslatorError):
                target(seed)
    program = [str(SCRIPTS / "fuzz.py")]
    result = cli("--target=lines", "--inputs=500", "--folder=found", program=program)
    if importlib.util.find_spec("atheris"):
        assert (result.returncode, result.stdout) == (0, "lines: 500 inputs tried with --seed 1\n")
        assert not list((tmp_path / "found").glob("finding-*"))
    else:
        assert result.returncode == 2
        assert result.stderr.startswith("fuzz: atheris is not installed; install it with: pip")
    (tmp_path / "input").write_bytes(b"\x03no tab")
    again = cli("--target=lines", "--repeat=input", program=program)
    assert again.returncode == 0
    assert "line 1: one column only" in again.stdout
