"""The report of a run: what was done, how good the result is, and how to repeat it."""

import shlex
from dataclasses import asdict, dataclass

from tabulate import tabulate

from translator.config import Config, SourceConfig, flatten
from translator.config.corpus_settings import DEFAULT_CORPUS
from translator.errors import printable
from translator.runs.figures import draw_curves
from translator.runs.manifest import Manifest, RobustnessRow, Scores, Slice
from translator.runs.measurements import read_measurements
from translator.runs.run import Run
from translator.system.files import write_text


@dataclass(frozen=True)
class Sample:
    """A test sentence, its translation by the model, and its references."""

    src: str
    translation: str
    references: list[str]


def write_report(run: Run, config: Config, manifest: Manifest, samples: list[Sample]) -> str:
    """Write report.md and the curves of a finished run.

    Returns:
        The scores and samples as text, for the terminal.
    """
    draw_curves(read_measurements(run.metrics), run.path / "curves.png")
    scores = _scores_table(manifest, "plain")
    shown = "\n\n".join(_sample_text(sample) for sample in samples)
    headers = ["key", "value"]
    settings = tabulate(_settings(config), headers, tablefmt="github", disable_numparse=True)
    progress = manifest.progress
    assert progress is not None
    minutes, speed = progress.seconds / 60, progress.tgt_tokens / progress.seconds
    write_text(
        run.path / "report.md",
        f"""# {run.path.name}

{manifest.corpus.direction}, trained on {manifest.corpus.source}.

## Scores on test

{_scores_table(manifest, "github")}

- test set: SHA-256 `{next(iter(manifest.scores.values())).split_sha256}`
- near: a training sentence differs from the sentence by one word; novel: all others
- best dev BLEU {progress.best_bleu:.2f} at step {progress.best_step}, whose weights are scored
- repeat it with `translator evaluate --run-dir {shlex.quote(str(run.path))}`

## What people type

{_robustness_table(manifest.robustness)}

Greedy translations of dev sentences, unchanged ("clean") and changed by rule, and of words and
sentences made for this purpose. Folded scores ignore case and punctuation. Loops and early stops
should be rare; of all other measures, more is better.

## Training

{manifest.parameters:,} parameters, {progress.step:,} steps in {minutes:.1f} minutes
({speed:.0f} target tokens a second, evaluation not counted). Padding is
{manifest.padding_share:.1%} of the batches.
Peak memory {manifest.peak_memory_bytes / 2**30:.2f} GiB.

![training loss and dev BLEU](curves.png)

## Cross-attention

How it developed during training: where the second-to-last decoder layer looked while the model
predicted each word of three dev sentences (mean of the layer's heads).

![cross-attention](attention.png)

`translator align` reads word alignments from {manifest.alignment_head}.

## Samples

{_samples_in_markdown(samples)}

## Data

```
{manifest.corpus.table()}
```

## Configuration

{settings}

## Machine and versions

- machine: {manifest.machine}; matrix products in training: {manifest.precision}
- versions: {", ".join(f"{name} {number}" for name, number in manifest.versions.items())}
- started: {manifest.started}
- seed: {config.seed}
""",
    )
    return f"\n{shown}\n\n{scores}\n\nreport: {printable(str(run.path / 'report.md'))}"


def _settings(config: Config) -> list[tuple[str, object]]:
    """A row for each setting, but only those of a source that differ from the defaults."""
    usual = asdict(SourceConfig(name=DEFAULT_CORPUS))
    settings = flatten(config)
    settings["corpus.sources"] = [
        {
            key: value
            for key, value in source.items()
            if key in ("name", "weight") or value != usual[key]
        }
        for source in settings["corpus.sources"]
    ]
    return list(settings.items())


def _scores_table(manifest: Manifest, style: str) -> str:
    rows: list[tuple[object, ...]] = []
    for name, scores in manifest.scores.items():
        rows.append((name, *_score_cells(scores), scores.bleu_signature, scores.chrf_signature))
        rows += [(f"{name}, {part}", *_score_cells(s)) for part, s in scores.parts().items()]
    headers = ["", "sentences", "BLEU", "chrF", "BLEU signature", "chrF signature"]
    if style == "github":  # the signatures contain its column separator
        rows = [tuple(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return str(tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True))


def _robustness_table(rows: list[RobustnessRow]) -> str:
    """A row for each measure except chrF, which says the same as BLEU in more rows."""
    shown = [(r.measure, f"{r.value:.1f}", r.unit, r.count) for r in rows if r.unit != "chrF"]
    headers = ["measure", "value", "unit", "texts"]
    return str(tabulate(shown, headers=headers, tablefmt="github", disable_numparse=True))


def _score_cells(scores: Scores | Slice) -> tuple[object, ...]:
    return scores.sentences, f"{scores.bleu:.2f}", f"{scores.chrf:.2f}"


def _sample_text(sample: Sample) -> str:
    lines = [f"source       {sample.src}", f"translation  {sample.translation}"]
    return "\n".join([*lines, *(f"reference    {reference}" for reference in sample.references)])


def _samples_in_markdown(samples: list[Sample]) -> str:
    return "\n".join(
        f"- {sample.src}\n  - **{sample.translation}**\n"
        + "\n".join(f"  - reference: {reference}" for reference in sample.references)
        for sample in samples
    )
