"""Which cross-attention weights tell what a target word came from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Step = Literal["output", "input"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True)
class AlignmentHead:
    """A head of the decoder's cross-attention, and the step at which it is read.

    Args:
        layer: of the decoder, counted from 0
        head: of that layer, counted from 0; None for the mean of all
        step: output for the step that predicts a token; input for the one after it, in which the
            decoder reads the token and looks for what comes next (Chen et al. 2020, arXiv
            2004.14837, find that better in deep models)
    """

    layer: int
    head: int | None
    step: Step

    def __str__(self) -> str:
        """For people: layers and heads counted from 1."""
        head = "mean of its heads" if self.head is None else f"head {self.head + 1}"
        return f"layer {self.layer + 1}, {head}, {self.step} step"

    def select(self, of_layer: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
        """Select the rows of the T target tokens.

        Args:
            of_layer: the cross-attention of this layer, (H, T + 1, S + 1)

        Returns:
            (T, S + 1)
        """
        rows: npt.NDArray[np.float64] = (
            of_layer.mean(axis=0) if self.head is None else of_layer[self.head]
        )
        return rows[1:] if self.step == "input" else rows[:-1]


def guided_head(decoder_layers: int) -> AlignmentHead:
    """The head that guided alignment trains.

    It is in the last decoder layer but one (Garg et al. 2019, arXiv 1909.02074). Any head of that
    layer would do, so it is the first.
    """
    return AlignmentHead(layer=max(0, decoder_layers - 2), head=0, step="input")
