"""metrics.jsonl: the measurements of a training, one JSON object per line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from translator.system.files import os_errors_for
from translator.system.records import decode, encode_line, write_records


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A record of the training loss or of an evaluation; the fields of the other kind are None.

    Attributes:
        step: the step after which it was measured
        seconds: seconds of training until then, without evaluations
        epoch: epoch of the batches, counted from 0
        loss: mean loss since the previous record, in nats per target token
        losses: the same for each term of the loss, by name
        tgt_tokens_per_second: target tokens trained on per second
        dev_bleu: BLEU of greedy search on dev
        evaluation_seconds: the time that the evaluation took
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
    """Append a measurement to the file."""
    with os_errors_for(path), path.open("a", encoding="utf-8") as file:
        file.write(encode_line(measurement))


def write_measurements(path: Path, measurements: Sequence[Measurement]) -> None:
    """Replace the file with these measurements."""
    write_records(path, measurements)


def begins_with(path: Path, measurements: Sequence[Measurement]) -> bool:
    """Whether the file begins with these measurements, as they were appended."""
    expected = "".join(map(encode_line, measurements)).encode()
    with os_errors_for(path):
        return (path.read_bytes() if path.exists() else b"").startswith(expected)


def read_measurements(path: Path) -> list[Measurement]:
    """Read all measurements, except a last line that a killed process left incomplete.

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
