"""The one error class that users can cause."""


class TranslatorError(Exception):
    """Something the user can mend: bad input, a missing file, an impossible setting.

    The command line prints the message as one line and exits with code 2. It names what is
    wrong, where, and what to do. Any other exception is a bug and shows its traceback.
    """
