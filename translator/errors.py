"""`TranslatorError`, the exception for mistakes of the user, and how messages are printed."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

# A message quotes files, options and texts, which can be megabytes long. Its beginning says where,
# and its end how to fix it.
_MAX_CHARS, _END_CHARS, _CUT = 1000, 300, " … "
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
# A message quotes no more of a name that is too long; its beginning tells which one it is.
_MAX_NAME_CHARS = 200


class TranslatorError(Exception):
    """An error that the user can fix: bad input, a missing file, an impossible setting.

    The command line prints the message as one line and exits with code 2. The message
    names what is wrong, where, and how to fix it. Any other exception is a bug and shows its
    traceback.

    A message is always one line that is safe to print; see `printable`.
    """

    def __init__(self, message: str) -> None:
        """Make an error with a message for the user."""
        super().__init__(printable(message))


def printable(text: str) -> str:
    r"""Make a text of any origin one line of a terminal: escape control characters, and shorten it.

    A name of a file may contain such characters. They could clear the screen, change what is
    written elsewhere on it, or reverse the text after them.

    Returns:
        The text, with escapes such as \x1b, and without its middle if it is very long.
    """
    text = _shorten(text)
    if text.isprintable():
        return text
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return _shorten("".join(escaped))


def _shorten(text: str) -> str:
    if len(text) <= _MAX_CHARS:
        return text
    return text[: _MAX_CHARS - _END_CHARS - len(_CUT)] + _CUT + text[-_END_CHARS:]


def print_note(message: str) -> None:
    """Print a message to standard error, with whatever it quotes made `printable`."""
    print(printable(message), file=sys.stderr)


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
    print_note(f"{program}: {message}")
    sys.exit(2)
