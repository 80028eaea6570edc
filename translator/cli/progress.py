"""Show progress on standard error, and print warnings without breaking the progress bar."""

import sys
import time
from types import TracebackType
from typing import Self

from translator.errors import print_note

# In seconds. Shorter work needs no progress; a log file needs few lines.
_DELAY = 2
_BAR_INTERVAL = 0.5
_LOG_INTERVAL = 30


class Progress:
    """Count lines and show progress: a bar in a terminal, elsewhere a message at intervals."""

    def __init__(self, *, shown: bool) -> None:
        """Start counting.

        Args:
            shown: whether to show progress; warnings are always shown
        """
        self._done = 0
        self._started = self._logged = time.monotonic()
        self._logs = shown and not sys.stderr.isatty()
        self._bar = None
        if shown and not self._logs:
            from tqdm import tqdm

            self._bar = tqdm(unit="line", delay=_DELAY, mininterval=_BAR_INTERVAL)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bar; its last state stays on a line of its own."""
        if self._bar is not None:
            self._bar.close()

    def warn(self, message: str) -> None:
        """Print a warning, above the bar if there is one."""
        if self._bar is not None:
            # Not `tqdm.write`: it draws the bar again at once, even before its delay is over, and
            # such a bar is never cleared. The next `advance` draws this one again.
            self._bar.clear()
        print_note(message)

    def advance(self, lines: int) -> None:
        """Add `lines` to the number of lines done."""
        self._done += lines
        if self._bar is not None:
            self._bar.update(lines)
        now = time.monotonic()
        if self._logs and now - self._logged >= _LOG_INTERVAL:
            self._logged = now
            rate = self._done / (now - self._started)
            print(f"{self._done} lines translated, {rate:.1f} per second", file=sys.stderr)
