"""Check the arguments of the Python interface, for callers without a type checker."""

import numbers
from collections.abc import Iterable

from translator.errors import TranslatorError

# With more, a search takes minutes and memory, and finds nothing better.
_MAX_BEAM_SIZE = 1000
# With more, nothing but the length counts.
_MAX_LENGTH_PENALTY = 10


def check_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        TranslatorError: they are something else, such as a single text.
    """
    if isinstance(texts, str):
        raise TranslatorError("translate() takes a list of texts: put the text into [ ]")
    _require("texts", texts, Iterable, "a list of texts")
    texts = list(texts)
    for i, text in enumerate(texts):
        require_text(f"texts[{i}]", text)
    return texts


def require_text(name: str, text: object) -> None:
    """Check that an argument is a text.

    Raises:
        TranslatorError: it is something else.
    """
    _require(name, text, str, "a text")


def _require(name: str, value: object, kind: type, described: str) -> None:
    if not isinstance(value, kind):
        raise TranslatorError(f"{name} must be {described}, not {value!r}")


def check_search_options(beam_size: int, length_penalty: float, n_best: int) -> None:
    """Check the options of a search.

    Raises:
        TranslatorError: one is not a number, or makes no sense.
    """
    # Not int and float: numbers of NumPy will do as well.
    _require("beam_size", beam_size, numbers.Integral, "a whole number")
    _require("n_best", n_best, numbers.Integral, "a whole number")
    _require("length_penalty", length_penalty, numbers.Real, "a number")
    possible = 0 <= length_penalty <= _MAX_LENGTH_PENALTY and 1 <= n_best <= beam_size
    if not possible or beam_size > _MAX_BEAM_SIZE:
        raise TranslatorError(
            f"beam_size must be between 1 and {_MAX_BEAM_SIZE}, length_penalty between 0 and "
            f"{_MAX_LENGTH_PENALTY}, and n_best between 1 and beam_size (they are {beam_size}, "
            f"{length_penalty}, {n_best})"
        )
