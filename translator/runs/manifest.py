"""run.json: what a run is, how far it has come, and what makes it repeatable."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from translator.data.report import PreparationReport
from translator.errors import TranslatorError
from translator.model.alignment_head import AlignmentHead
from translator.system.files import os_errors_for
from translator.system.records import decode, write_record

# Increased when the code can no longer read the runs of earlier versions.
FORMAT = 5


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        step: number of optimizer steps
        seconds: time spent on them, without evaluations
        tgt_tokens: number of target tokens trained on
        best_bleu: best dev BLEU so far, -1 before the first
        best_step: the step of the best dev BLEU
        evaluations_without_gain: number of evaluations since the best one
        dev_bleu: the latest dev BLEU
        loss_sums: training losses by name, in nats, since the last record in metrics.jsonl
        loss_tokens: number of target tokens that `loss_sums` are summed over
        loss: mean loss in the last record, in nats per token
        lowest_loss: the lowest of these means; None before the first
    """

    step: int = 0
    seconds: float = 0.0
    tgt_tokens: int = 0
    best_bleu: float = -1.0
    best_step: int = 0
    evaluations_without_gain: int = 0
    dev_bleu: float = 0.0
    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_tokens: int = 0
    loss: float = 0.0
    lowest_loss: float | None = None


@dataclass(frozen=True)
class Scores:
    """Corpus scores of detokenized, cased text.

    Attributes:
        bleu: Papineni et al. 2002, 0 to 100
        chrf: Popović 2015, 0 to 100
        bleu_signature: sacrebleu's settings and version (Post 2018)
        chrf_signature: the same for chrF
        sentences: number of sentences
        references: number of their references, in total
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    sentences: int
    references: int


@dataclass(frozen=True)
class Slice:
    """The scores of a part of the sentences; see `Evaluation.slices`."""

    sentences: int
    bleu: float
    chrf: float


@dataclass(frozen=True)
class Evaluation(Scores):
    """The scores of a translator on a test set, with everything that makes them repeatable.

    Attributes:
        split_sha256: hash of the test set, see `content_hash`
        beam_size: of the search
        length_penalty: of the search
        slices: scores of the sentences with a near neighbour in training ("near") and of all
            others ("novel"); empty if the test set doesn't tell them apart
    """

    split_sha256: str
    beam_size: int
    length_penalty: float
    slices: dict[str, Slice]


@dataclass(frozen=True)
class RobustnessRow:
    """A measure of how well a translator handles what people type.

    Attributes:
        measure: its name, such as "one typo, folded BLEU" or "numbers kept"
        value: the measure, 0 to 100
        unit: BLEU, chrF or %
        count: number of texts that it was measured on
    """

    measure: str
    value: float
    unit: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of run.json.

    Attributes:
        format: the value of `FORMAT` in the code that wrote it
        state: whether the training has reached its end
        started: date and time, ISO 8601 in UTC
        max_steps: the step at which the training ends; None until the time budget is converted
            into steps
        parameters: number of parameters of the model
        padding_share: fraction of the batches that is padding, 0 to 1
        src_lang: language of the sources
        tgt_lang: language of the targets
        corpus: what the run is trained on
        versions: of the packages that affect the result
        machine: description of the processor or GPU
        precision: precision of matrix products in training
        guided_alignment_sha256: SHA-256 of the file of links; None without one
        init_from_sha256: SHA-256 of the weights that training started from; None if it did not
            start from another run
        progress: progress at the end of the training; None before the end
        scores: test scores by kind of search; empty before the end
        robustness: the short form of `measure_robustness` on dev; empty before the end, and in a
            run of a version that did not measure it
        peak_memory_bytes: peak memory of the process; 0 before the end
        alignment_head: the attention that gives the best word alignments; None until it is chosen
    """

    format: int = FORMAT
    state: Literal["training", "finished"]
    started: str
    max_steps: int | None
    parameters: int
    padding_share: float
    src_lang: str
    tgt_lang: str
    corpus: PreparationReport
    versions: dict[str, str]
    machine: str
    precision: Literal["float32", "bfloat16"]
    guided_alignment_sha256: str | None = None
    init_from_sha256: str | None = None
    progress: Progress | None = None
    scores: dict[str, Evaluation] = field(default_factory=dict)
    robustness: list[RobustnessRow] = field(default_factory=list)
    peak_memory_bytes: int = 0
    alignment_head: AlignmentHead | None = None


@dataclass(frozen=True)
class _Header:
    """The fields that the manifests of all formats have in common."""

    format: int
    versions: dict[str, Any] = field(default_factory=dict)


def read_manifest(path: Path) -> Manifest:
    """Read the run.json of a run.

    Raises:
        TranslatorError: the file is missing, damaged or of another format.
    """
    folder = path.parent
    with os_errors_for(path):
        if not path.is_file():
            raise TranslatorError(
                f"{folder}: no run there (run.json is missing); train one with: "
                f"translator train --run-dir {folder}"
            )
        data = path.read_bytes()
    header = decode(data, _Header, str(path))
    if header.format != FORMAT:
        raise TranslatorError(
            f"{folder}: a run of format {header.format}, but this version of translator reads "
            f"format {FORMAT}: train it again, or use the version that made it "
            f"({header.versions.get('translator', 'unknown')})"
        )
    return decode(data, Manifest, str(path))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace run.json."""
    write_record(path, manifest)
