"""`translator align` as a user runs it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import PAIRS as CORPUS
from conftest import Cli, assert_one_clear_line

from translator.config import save_config
from translator.runs.run import Run

PAIRS = "Good evening .\tBuenas tardes .\nWhere is the ball ?\t¿ Dónde está la pelota ?\n"
GOLD = "Good evening .\tBuenas tardes .\t0-0 1-1 2-2\nGoodbye .\tAdiós .\t0-0 1p1\n"


def test_a_sentence_and_its_translation(cli: Cli, trained_run: Path) -> None:
    result = cli("align", "--run-dir", str(trained_run), "Good evening.", "Buenas tardes.")
    assert result.returncode == 0, result.stderr
    src, tgt, links = result.stdout.rstrip("\n").split("\t")
    assert (src, tgt) == ("Good evening .", "Buenas tardes .")
    assert sorted(link.split("-")[1] for link in links.split()) == ["0", "1", "2"]


def test_a_sentence_alone_is_translated(cli: Cli, trained_run: Path) -> None:
    result = cli("align", "--run-dir", str(trained_run), "--json", "Good evening.")
    record = json.loads(result.stdout)
    translated = cli("translate", "--run-dir", str(trained_run), "Good evening.").stdout
    assert "".join(record["tgt"]) == "".join(translated.split())
    assert len(record["weights"]) == len(record["tgt"])


def test_warnings_of_the_translator_are_shown(cli: Cli, trained_run: Path) -> None:
    result = cli("align", "--run-dir", str(trained_run), "The huose.")
    assert '"huose" is read as "house"' in result.stderr


def test_a_file_gives_one_line_per_pair(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    options = ["--run-dir", str(trained_run), "--pairs", "pairs.tsv"]
    lines = cli("align", *options).stdout.splitlines()
    assert [len(line.split()) for line in lines] == [3, 6]
    records = [json.loads(line) for line in cli("align", *options, "--json").stdout.splitlines()]
    for line, record in zip(lines, records, strict=True):
        assert line.split() == [f"{i}-{j}" for i, j in record["links"]]


@pytest.mark.parametrize("how", ["agreement", "intersection", "union", "grow-diag-final-and"])
def test_both_directions(
    cli: Cli, tmp_path: Path, trained_run: Path, reverse_run: Path, how: str
) -> None:
    (tmp_path / "gold.tsv").write_text(GOLD, encoding="utf-8")
    runs = ["--run-dir", str(trained_run), "--reverse-run", str(reverse_run), "--symmetrize", how]
    result = cli("align", *runs, "--gold", "gold.tsv", "--json")
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert set(scores) == {"aer", "precision", "recall", "f1", "pairs"}
    assert 0 <= scores["aer"] <= 1


def test_changed_training_pairs_are_refused(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    run = Run(shutil.copytree(trained_run, tmp_path / "run"))
    config = run.load_config()
    others = tmp_path / "others.tsv"
    others.write_text(CORPUS.read_text(encoding="utf-8").replace("the", "this"), "utf-8")
    save_config(replace(config, corpus=replace(config.corpus, files=str(others))), run.config)
    result = cli("align", "--run-dir", "run", "--train")
    assert_one_clear_line(result, "run", "corpus has changed", "train again")


def test_every_layer_and_head_is_scored(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    (tmp_path / "gold.tsv").write_text(GOLD, encoding="utf-8")
    result = cli("align", "--run-dir", str(trained_run), "--gold", "gold.tsv", "--heads")
    header, _, *rows = result.stdout.splitlines()
    assert header.split() == ["step", "layer", "head", "1", "head", "2", "mean"]
    assert [row.split()[:2] for row in rows] == [
        [step, str(layer)] for step in ("output", "input") for layer in (1, 2)
    ]


def test_pictures(cli: Cli, tmp_path: Path, trained_run: Path) -> None:
    options = ["--run-dir", str(trained_run), "--show", "--page", "page.html"]
    options += ["Good $$ evening.", "Buenas $$ tardes."]  # must not be drawn as a formula
    for picture, start in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        result = cli("align", *options, "--picture", picture)
        assert result.returncode == 0, result.stderr
        assert (tmp_path / picture).read_bytes().startswith(start)
    assert "tardes " in result.stdout
    assert "matplotlib" not in result.stderr
    assert "Buenas" in (tmp_path / "page.html").read_text(encoding="utf-8")
