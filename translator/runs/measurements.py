"""metrics.jsonl: what is measured in the course of a training, one JSON object per line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from translator.system.files import os_errors_for
from translator.system.records import decode, encode_line, write_records


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A record of the training loss or of an evaluation; the fields of the other kind are None.

    Attributes:
        step: after which it was measured
        seconds: of training until then, without evaluations
        epoch: of the batches, counted from 0
        loss: mean since the record before, in nats per target token
        losses: the same for each part of the loss, by name
        tgt_tokens_per_second: target tokens learnt from per second of training
        dev_bleu: of greedy search on dev
        evaluation_seconds: how long the evaluation took
    """

    step: int
    seconds: float
    epoch: int | None = None
    loss: float | None = None
    losses: dict[str, float] | None = None
    tgt_tokens_per_second: int | None = None
    dev_bleu: float | None = None
    evaluation_seconds: float | None = None


def append_measurement(path: Path, measurement: Measurement) -> None:
    """Add a line."""
    with os_errors_for(path), path.open("a", encoding="utf-8") as file:
        file.write(encode_line(measurement))


def write_measurements(path: Path, measurements: Sequence[Measurement]) -> None:
    """Replace the file."""
    write_records(path, measurements)


def read_measurements(path: Path) -> list[Measurement]:
    """Read all lines; without the last one if a kill has cut it short.

    Raises:
        TranslatorError: another line is damaged.
    """
    if not path.exists():
        return []
    with os_errors_for(path):
        *whole_lines, _ = path.read_bytes().split(b"\n")
    return [
        decode(line, Measurement, f"{path}, line {number}")
        for number, line in enumerate(whole_lines, start=1)
    ]
