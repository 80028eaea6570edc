"""The interface of translation engines, and the hypotheses that they return."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from translator.data.tokenizer import BOS_ID, PAD_ID, UNK_ID
from translator.errors import TranslatorError

if TYPE_CHECKING:
    from torch import Tensor

# The names of the engines: a library, and its type of numbers unless that is float32.
ENGINES = ("pytorch", "pytorch-int8", "ctranslate2", "ctranslate2-int8")
# Tokens that are never part of a translation.
FORBIDDEN_IDS = [PAD_ID, UNK_ID, BOS_ID]


@dataclass(frozen=True)
class Hypothesis:
    """A translation as token ids.

    Attributes:
        ids: the tokens, without bos and eos
        log_prob: sum of the natural log-probabilities of the tokens and of eos; not a number if
            a greedy search wasn't asked for it
        length: how many probabilities that sum has
        complete: it ends with eos, and was not stopped at the length limit
    """

    ids: list[int]
    log_prob: float
    length: int
    complete: bool

    def score(self, length_penalty: float) -> float:
        """log_prob / length ** length_penalty; with 1, the mean log-probability of a token."""
        return float(self.log_prob / self.length**length_penalty)


def joined(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Return hypotheses one after the other as one."""
    return Hypothesis(
        ids=[i for h in hypotheses for i in h.ids],
        log_prob=sum(h.log_prob for h in hypotheses),
        length=sum(h.length for h in hypotheses),
        complete=all(h.complete for h in hypotheses),
    )


def length_limit(src_length: int) -> int:
    """The longest target allowed for a source, counting eos in both; no real one is so long."""
    return 2 * src_length + 10


def refuse_fork(loaded_in: int, what: str) -> None:
    """Check that this process has loaded the model, and was not forked later.

    Args:
        loaded_in: id of the process that loaded it
        what: the model, for the message

    Raises:
        TranslatorError: the process was forked; searching would fail or never end there.
    """
    if os.getpid() != loaded_in:
        raise TranslatorError(
            f"{what} can't be used in a process that was forked after it was loaded: load the run "
            "in each process, or use the engine pytorch on cpu"
        )


class Engine(Protocol):
    """A model that is ready to search."""

    def search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        *,
        with_scores: bool = True,
    ) -> list[list[Hypothesis]]:
        """Search for the best targets.

        Args:
            src: ids of each source, without eos; any number
            beam_size: hypotheses kept at each step; 1 is greedy search
            length_penalty: exponent of the length in the score
            n_best: hypotheses wanted for each source, at most beam_size
            with_scores: False makes greedy search faster, and its log-probabilities NaN

        Returns:
            For each source its hypotheses, the best first; at least one.
        """
        ...

    def cross_attention(
        self, src: Sequence[list[int]], tgt: Sequence[list[int]], layers: Sequence[int] | None
    ) -> "list[Tensor]":
        """Compute the cross-attention of known targets, in one pass over each pair.

        Args:
            src: ids of each source, without eos; any number
            tgt: ids of its target, without bos and eos
            layers: of the decoder, counted from 0, in order; None for all

        Returns:
            For each pair the weights (layers, H, T + 1, S + 1), float32 and on the CPU. Row t is
            from the step that predicts token t of the target, and row T from the one that predicts
            eos; column S is eos.

        Raises:
            TranslatorError: this engine can't return them.
        """
        ...
