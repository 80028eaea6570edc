"""The measurements of a training as TensorBoard reads them."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from translator.errors import TranslatorError
from translator.runs.measurements import Measurement
from translator.system.files import os_errors_for, write_bytes

# Of metrics.jsonl, the numbers that are drawn against the step.
CURVES = ("loss", "tgt_tokens_per_second", "dev_bleu")


class EventFile:
    """A file of events that says what metrics.jsonl says."""

    def __init__(self, folder: Path, measurements: Sequence[Measurement]) -> None:
        """Write anew what has been measured so far, in place of what was written before.

        So no step is there twice after a resumption, whatever a kill has left.

        Args:
            folder: for files of events alone
            measurements: the measurements so far
        """
        require_tensorboard()
        with os_errors_for(folder):
            folder.mkdir(exist_ok=True)
        old = sorted(folder.glob("events.out.tfevents.*"))
        # Counted, since TensorBoard reads them by name, and a clock may be set back.
        number = int(old[-1].suffix[1:]) + 1 if old else 1
        self.path = folder / f"events.out.tfevents.{number:06}"
        write_bytes(self.path, _start() + b"".join(map(_event, measurements)))
        with os_errors_for(folder):
            for path in old:
                path.unlink()

    def append(self, measurement: Measurement) -> None:
        """Add a measurement."""
        with os_errors_for(self.path), self.path.open("ab") as file:
            file.write(_event(measurement))


def require_tensorboard() -> None:
    """See that the package is there.

    Raises:
        TranslatorError: it isn't.
    """
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise TranslatorError(
            "training.tensorboard needs a package that is not installed; install it with: pip "
            "install 'tensorboard>=2.16', or leave the key out: it may be set later, too"
        ) from error


def _start() -> bytes:
    """What a file begins with: its version, and that whatever was read before is void."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    restart = SessionLog(status=SessionLog.START)
    return _framed(Event(file_version="brain.Event:2")) + _framed(Event(session_log=restart))


def _event(measurement: Measurement) -> bytes:
    """A measurement. Its time is that of training, which no pause and no clock has a part in."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    found = {name: getattr(measurement, name) for name in CURVES}
    values = [Summary.Value(tag=k, simple_value=v) for k, v in found.items() if v is not None]
    summary = Summary(value=values)
    return _framed(Event(step=measurement.step, wall_time=measurement.seconds, summary=summary))


def _framed(event: Any) -> bytes:
    """An event between its length and its checksums."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString())
    return file.getvalue()
