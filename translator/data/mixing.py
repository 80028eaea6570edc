"""Mix the sources of a corpus: choose the training pairs of each epoch by the sources' weights."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from translator.data.arrays import Ints
from translator.data.batching import PairIds

# Makes these random numbers others than those of the batches and of the variation of an epoch.
_STREAM = 1


@dataclass(frozen=True)
class Mixture:
    """Which training pairs an epoch has.

    The pairs of each source form a circle in random order, and each epoch takes the next `weight`
    times as many of them as there are. So in every epoch a pair occurs as often as any other of its
    source, or once more; and over all epochs no pair is ahead of another by more than one.

    An epoch depends only on the seed and its number.

    Attributes:
        counts: number of training pairs of each source, in their order
        weights: how often each source occurs in an epoch
        seed: seed of the random order
    """

    counts: list[int]
    weights: list[float]
    seed: int

    @property
    def epoch_counts(self) -> list[int]:
        """Number of pairs of each source in an epoch, at least one."""
        return [
            max(1, round(count * weight))
            for count, weight in zip(self.counts, self.weights, strict=True)
        ]

    def rows(self, epoch: int) -> Ints:
        """Return the indices of the pairs of an epoch, in ascending order."""
        rows = []
        first = 0
        for source, (count, size) in enumerate(zip(self.counts, self.epoch_counts, strict=True)):
            circle = np.random.default_rng([self.seed, source, _STREAM]).permutation(count)
            places = (epoch * size % count + np.arange(size)) % count
            rows.append(first + np.sort(circle[places]))
            first += count
        return np.concatenate(rows)


def mixed(pairs_of_epoch: Callable[[int], PairIds], mixture: Mixture) -> Callable[[int], PairIds]:
    """Return a function that returns the pairs of an epoch as often as the weights say.

    Args:
        pairs_of_epoch: returns every training pair once
        mixture: how often each of them occurs
    """
    if all(weight == 1 for weight in mixture.weights):
        return pairs_of_epoch  # the same, without the indices of every pair in memory
    return lambda epoch: pairs_of_epoch(epoch).take(mixture.rows(epoch))
