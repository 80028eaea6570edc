"""What an encoder gives and a decoder attends to."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """An encoded source; it doesn't say whether the source was a text or something else.

    Attributes:
        states: (B, S, D)
        padding_mask: bool (B, S), True at padding
    """

    states: Tensor
    padding_mask: Tensor

    @property
    def attention_mask(self) -> Tensor:
        """The padding mask as attention takes it, (B, 1, 1, S)."""
        return self.padding_mask[:, None, None, :]


class Encoder(Protocol):
    """Reads a source of any kind into a memory."""

    def __call__(self, source: Tensor, padding_mask: Tensor) -> Memory:
        """Read a batch.

        Args:
            source: what this encoder reads: token ids (B, S), for example
            padding_mask: bool (B, S), True at padding
        """
        ...
