"""The key/value cache of a decoder: what it keeps so that no position is computed twice."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class LayerCache:
    """Keys and values of one decoder layer.

    Attributes:
        memory_keys: (B, H, S, K), of the memory; they never change
        memory_values: (B, H, S, K)
        self_keys: (B × N, H, max_length, K), of the targets so far, filled from the front
        self_values: (B × N, H, max_length, K)
        length: number of filled target positions
    """

    memory_keys: Tensor
    memory_values: Tensor
    self_keys: Tensor
    self_values: Tensor
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of one position, (B × N, H, 1, K) each.

        Returns:
            All keys and values so far, (B × N, H, length, K) each.
        """
        self.self_keys[:, :, self.length] = keys[:, :, 0]
        self.self_values[:, :, self.length] = values[:, :, 0]
        self.length += 1
        return self.self_keys[:, :, : self.length], self.self_values[:, :, : self.length]

    def reorder(self, rows: Tensor) -> None:
        """Let target i continue target rows[i]."""
        self.self_keys = self._taken(self.self_keys, rows)
        self.self_values = self._taken(self.self_values, rows)

    def _taken(self, kept: Tensor, rows: Tensor) -> Tensor:
        # Copy only the filled positions, which are usually a small part.
        taken = kept.new_empty(len(rows), *kept.shape[1:])
        filled = slice(None), slice(None), slice(self.length)
        torch.index_select(kept[filled], 0, rows, out=taken[filled])
        return taken


@dataclass
class DecoderCache:
    """The caches of all layers, for a search with N targets for each source.

    Attributes:
        layers: one cache per decoder layer
        memory_mask: (B, 1, 1, S), True at source padding
        rotation: (max_length, K / 2), the rotary positions
    """

    layers: list[LayerCache]
    memory_mask: Tensor
    rotation: Tensor

    @property
    def length(self) -> int:
        """Number of target positions decoded so far."""
        return self.layers[0].length

    def reorder(self, rows: Tensor) -> None:
        """Let target i continue target rows[i], which has the same source."""
        for layer in self.layers:
            layer.reorder(rows)

    def select(self, sources: Tensor, rows: Tensor) -> None:
        """Keep only these sources, in this order; their targets continue targets `rows`."""
        self.memory_mask = self.memory_mask[sources]
        for layer in self.layers:
            layer.memory_keys = layer.memory_keys.index_select(0, sources)
            layer.memory_values = layer.memory_values.index_select(0, sources)
        self.reorder(rows)
