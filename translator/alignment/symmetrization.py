"""Links between words, and how two directions become one."""

from collections.abc import Callable

import numpy as np

from translator.alignment.words import Floats

# (source word, target word), counted from 0.
Links = set[tuple[int, int]]

# Geometric mean of two weights, below which more links are wrong than right: on two gold sets the
# error rate is least between 0.15 and 0.25.
_MIN_AGREEMENT = 0.2
# Beside, above, below, and at the corners.
_NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def best_links(weights: Floats) -> Links:
    """For each target word the source word with most weight.

    Args:
        weights: what target words look at, (V, W)
    """
    return {(int(row.argmax()), tgt) for tgt, row in enumerate(weights) if row.any()}


def agreement(forward: Floats, backward: Floats) -> Links:
    """Each word, of either side, with the one that both directions together prefer.

    Two weights are multiplied before anything is decided, so that a direction that is in doubt
    follows the one that is not. Where even the best mean is small, the word stays alone.

    Args:
        forward: what target words look at, (V, W)
        backward: what source words look at, in the opposite direction, (W, V)
    """
    both = np.sqrt(forward * backward.T)  # (V, W)
    both[both < _MIN_AGREEMENT] = 0
    return best_links(both) | _transposed(best_links(both.T))


def intersection(forward: Links, backward: Links) -> Links:
    """What both say: precise, but with many words left alone."""
    return forward & backward


def union(forward: Links, backward: Links) -> Links:
    """What either says."""
    return forward | backward


def grow_diag_final_and(forward: Links, backward: Links) -> Links:
    """From the intersection towards the union (Koehn et al. 2005).

    Links of the union join that touch one there already, as long as one of their words is still
    alone; then links between two words that are both still alone.

    Args:
        forward: one for each target word at most
        backward: one for each source word at most
    """
    links = forward & backward
    either = forward | backward
    src_linked, tgt_linked = {i for i, _ in links}, {j for _, j in links}

    def add(link: tuple[int, int]) -> None:
        links.add(link)
        src_linked.add(link[0])
        tgt_linked.add(link[1])

    grown = True
    while grown:
        grown = False
        for i, j in sorted(links):
            for down, right in _NEIGHBOURS:
                near = (i + down, j + right)
                alone = near[0] not in src_linked or near[1] not in tgt_linked
                if alone and near in either and near not in links:
                    add(near)
                    grown = True
    for direction in (forward, backward):
        for link in sorted(direction):
            if link[0] not in src_linked and link[1] not in tgt_linked:
                add(link)
    return links


_OF_LINKS: dict[str, Callable[[Links, Links], Links]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "intersection": intersection,
    "union": union,
}


def symmetrize(how: str, forward: Floats, backward: Floats) -> Links:
    """The links of a pair by both directions.

    Args:
        how: agreement, grow-diag-final-and, intersection or union
        forward: what target words look at, (V, W)
        backward: what source words look at, in the opposite direction, (W, V)
    """
    if how == "agreement":
        return agreement(forward, backward)
    return _OF_LINKS[how](best_links(forward), _transposed(best_links(backward)))


def _transposed(links: Links) -> Links:
    return {(j, i) for i, j in links}
