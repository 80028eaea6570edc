"""Standard input, output and error that are closed, full, or read by nobody."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from translator.errors import TranslatorError


class _Stream:
    """A text stream that handles its own failures; everything else is that of the original.

    After a failure the rest is discarded, or Python would try to write it again when it ends.
    """

    def __init__(self, stream: TextIO, on_failure: Callable[[OSError], None]) -> None:
        """Wrap an open stream; `on_failure` may raise another error."""
        self._stream = stream
        self._on_failure = on_failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with self._failures():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._failures():
            self._stream.flush()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError):  # a stream of a test has no descriptor
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._on_failure(error)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Handle failures of standard output and of standard error; both are UTF-8, like the input.

    If standard error fails, its messages are lost, which is no reason to lose work.

    Raises:
        TranslatorError: standard output is closed or full.
        BrokenPipeError: nobody reads standard output any more.
    """
    _occupy_closed_descriptors()
    with (
        redirect_stdout(_safe(sys.stdout, _refuse)),
        redirect_stderr(_safe(sys.stderr, _ignore)),
    ):
        yield


def _occupy_closed_descriptors() -> None:
    """Open a closed descriptor, or the next file that is opened would get the messages."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def _safe(stream: TextIO | None, on_failure: Callable[[OSError], None]) -> TextIO:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8")  # whatever the locale is
    return cast(TextIO, _Stream(_Closed() if stream is None else stream, on_failure))


class _Closed(io.StringIO):
    """A stream that was closed before the program started; Python has None there."""

    def write(self, text: str) -> int:
        raise OSError("it is closed")


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    raise TranslatorError(f"standard output: {error.strerror or error}") from error


def _ignore(error: OSError) -> None:
    pass
