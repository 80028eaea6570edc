"""`TranslatorError`, the exception for mistakes of the user, and how it ends a program."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class TranslatorError(Exception):
    """An error that the user can fix: bad input, a missing file, an impossible setting.

    The command line prints the message as one line and exits with code 2. The message
    names what is wrong, where, and how to fix it. Any other exception is a bug and shows its
    traceback.
    """


@contextmanager
def exit_on_user_error(program: str) -> Iterator[None]:
    """Print a user's mistake as one line and exit with code 2, instead of showing a traceback."""
    try:
        yield
    except TranslatorError as error:
        _end(program, str(error))
    except OSError as error:
        # Even a check whether a file exists can raise this error, so it can come from anywhere.
        if error.errno != errno.ENAMETOOLONG:
            raise
        _end(program, f"{str(error.filename)[:100]}…: a name that is too long")


def _end(program: str, message: str) -> NoReturn:
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(2)
