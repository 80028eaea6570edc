"""Write the measurements of a training for TensorBoard."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError
from translator.runs.measurements import Measurement
from translator.system.files import os_errors_for, write_bytes

# The numbers of metrics.jsonl that are drawn as curves over the steps.
CURVES = ("loss", "tgt_tokens_per_second", "dev_bleu")


class EventFile:
    """An event file with the measurements of metrics.jsonl."""

    def __init__(self, folder: Path, measurements: Sequence[Measurement]) -> None:
        """Write the measurements so far to a new file, and remove the older files.

        So no step appears twice after a training is resumed, even if it was killed.

        Args:
            folder: a folder for event files only
            measurements: the measurements so far
        """
        require_tensorboard()
        with os_errors_for(folder):
            folder.mkdir(exist_ok=True)
        old = sorted(folder.glob("events.out.tfevents.*"))
        # A counter, since TensorBoard reads files in the order of their names, and a clock may be
        # set back.
        number = int(old[-1].suffix[1:]) + 1 if old else 1
        self.path = folder / f"events.out.tfevents.{number:06}"
        write_bytes(self.path, _start() + b"".join(map(_event, measurements)))
        with os_errors_for(folder):
            for path in old:
                path.unlink()

    def append(self, measurement: Measurement) -> None:
        """Append a measurement."""
        with os_errors_for(self.path), self.path.open("ab") as file:
            file.write(_event(measurement))


def require_tensorboard() -> None:
    """Check that the package tensorboard is installed.

    Raises:
        TranslatorError: it is not installed.
    """
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise TranslatorError(
            "training.tensorboard needs a package that is not installed; install it with: pip "
            "install 'tensorboard>=2.16', or leave the key out (it can be set later)"
        ) from error


def _start() -> bytes:
    """The start of a file: its version, and an event that discards everything read before."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    restart = SessionLog(status=SessionLog.START)
    return _framed(Event(file_version="brain.Event:2")) + _framed(Event(session_log=restart))


def _event(measurement: Measurement) -> bytes:
    """A measurement; its time is the training time, without pauses."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    found = {name: getattr(measurement, name) for name in CURVES}
    values = [Summary.Value(tag=k, simple_value=v) for k, v in found.items() if v is not None]
    summary = Summary(value=values)
    return _framed(Event(step=measurement.step, wall_time=measurement.seconds, summary=summary))


def _framed(event: Any) -> bytes:
    """An event with its length and checksums, as a TFRecord."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString())
    return file.getvalue()
