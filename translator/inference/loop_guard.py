"""Find degenerate translations: a weak model may repeat itself, or stop in mid-sentence.

The guard only looks at finished hypotheses, so that it works the same with every engine and does
not change the search.
"""

from collections import Counter
from collections.abc import Sequence

# Tokens of the longest loop that is looked for, and the repetitions that make a loop. Twice is
# ordinary language ("muy, muy lejos").
_MAX_PERIOD, _MIN_REPETITIONS = 8, 3
# Tokens that are rarely the same in three places of one sentence.
_PHRASE = 4
# A translation of so few tokens for each token of the source is a stump. Only of long sources: a
# short one may be "I don't know".
_MIN_LENGTH_RATIO, _MIN_SRC_TOKENS = 0.4, 20


def is_degenerate(ids: Sequence[int], src: Sequence[int]) -> bool:
    """Whether a hypothesis loops although its source doesn't, or is far too short.

    A loop is a sequence of up to eight tokens three times in a row, or four tokens in three places.
    """
    if len(src) >= _MIN_SRC_TOKENS and len(ids) < _MIN_LENGTH_RATIO * len(src):
        return True
    return _has_loop(ids) and not _has_loop(src)


def _has_loop(ids: Sequence[int]) -> bool:
    phrases = Counter(zip(*(ids[i:] for i in range(_PHRASE)), strict=False))
    return max(phrases.values(), default=0) >= _MIN_REPETITIONS or _find_loop(ids) is not None


def cut_loops(ids: list[int], src: Sequence[int]) -> list[int]:
    """Reduce each loop to its first round.

    A loop is a sequence of up to eight tokens that follows itself at least twice.

    Args:
        ids: a hypothesis
        src: its source; if it has a loop itself ("no, no, no, no"), nothing is cut

    Returns:
        The ids without loops; the same ids if there are none.
    """
    if _find_loop(src):
        return ids
    while loop := _find_loop(ids):
        begin, period, end = loop
        ids = ids[: begin + period] + ids[end:]
    return ids


def _find_loop(ids: Sequence[int]) -> tuple[int, int, int] | None:
    """Return where a loop begins, the length of a round, and where its last whole round ends."""
    for period in range(1, _MAX_PERIOD + 1):
        same = 0  # number of tokens, one after the other, that equal the one a round before
        for i in range(period, len(ids) + 1):
            if i < len(ids) and ids[i] == ids[i - period]:
                same += 1
                continue
            if same >= period * (_MIN_REPETITIONS - 1):
                begin = i - same - period
                return begin, period, begin + period + same // period * period
            same = 0
    return None
