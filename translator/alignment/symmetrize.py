"""Two alignments, one from each direction, as one."""

from collections.abc import Callable

Links = set[tuple[int, int]]

# Beside, above, below, and at the corners.
_NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


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
        forward: (source word, target word), one for each target word at most
        backward: the same form, from the opposite direction
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


SYMMETRIZATIONS: dict[str, Callable[[Links, Links], Links]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag-final-and": grow_diag_final_and,
}
