"""`TranslatorError`, the exception for mistakes of the user, and how it ends a program."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

# Errors that say something about the user's file, folder or disk, and never about our code.
_ABOUT_THE_FILE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
}
# A message quotes no more of a name.
_MAX_NAME_CHARS = 200


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
        # Even a check whether a file exists can raise such an error, so it can come from anywhere.
        if error.filename is None or error.errno not in _ABOUT_THE_FILE:
            raise
        name = str(error.filename)
        shown = name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}…"
        _end(program, f"{shown}: {error.strerror}")


def _end(program: str, message: str) -> NoReturn:
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(2)
