"""report.md says what a run was trained on, and how good it is."""

import shutil
from dataclasses import replace
from pathlib import Path

from conftest import tiny_config

from translator.config import CorpusConfig, SourceConfig
from translator.runs.manifest import Slice
from translator.runs.report import write_report
from translator.runs.run import Run


def test_a_report_has_scores_pairs_and_weights_by_source(trained_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained_run, tmp_path / "run")))
    manifest = run.read_manifest()
    scores = manifest.scores["test, greedy"]
    parts = {"tatoeba": Slice(30, 12.5, 34.25), "own": Slice(9, 1.5, 22.75)}
    [source] = manifest.corpus.sources
    reports = [
        replace(source, name=name, pairs_read=n) for n, name in ((70, "tatoeba"), (8, "own"))
    ]
    run.write_manifest(
        replace(
            manifest,
            scores={"test, greedy": replace(scores, sources=parts)},
            corpus=replace(manifest.corpus, sources=reports),
        )
    )
    sources = [SourceConfig(name="tatoeba"), SourceConfig(name="own", files="a.tsv", weight=2.5)]
    config = replace(tiny_config(tmp_path), corpus=CorpusConfig(sources=sources))
    shown = write_report(run, config, run.read_manifest(), [])
    report = (run.path / "report.md").read_text(encoding="utf-8")
    for text in (shown, report.replace("|", " ")):
        rows = [line.split() for line in text.splitlines()]
        assert ["test,", "greedy,", "from", "tatoeba", "30", "12.50", "34.25"] in rows
        assert ["test,", "greedy,", "from", "own", "9", "1.50", "22.75"] in rows
    rows = [line.split() for line in report.splitlines()]
    assert ["tatoeba:", "pairs", "read", "70"] in rows
    assert ["own:", "pairs", "read", "8"] in rows
    assert (
        "[{'name': 'tatoeba', 'weight': 1.0}, {'files': 'a.tsv', 'name': 'own', 'weight': 2.5}]"
        in report
    )


def test_a_single_source_has_no_rows_of_its_own(trained_run: Path) -> None:
    report = (trained_run / "report.md").read_text(encoding="utf-8")
    assert ", from " not in report
    assert report.count("pairs read") == 1
