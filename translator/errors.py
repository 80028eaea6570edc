"""The one error class that users can cause."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class TranslatorError(Exception):
    """Something the user can mend: bad input, a missing file, an impossible setting.

    The command line prints the message as one line and exits with code 2. It names what is
    wrong, where, and what to do. Any other exception is a bug and shows its traceback.
    """


@contextmanager
def exit_on_user_error(program: str) -> Iterator[None]:
    """End the program with the error's message and exit code 2, where a user's mistake ends it."""
    try:
        yield
    except TranslatorError as error:
        _end(program, str(error))
    except OSError as error:
        # Whoever asks whether there is a file learns of it thus, so it can happen anywhere.
        if error.errno != errno.ENAMETOOLONG:
            raise
        _end(program, f"{str(error.filename)[:100]}…: a name that is too long")


def _end(program: str, message: str) -> NoReturn:
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(2)
