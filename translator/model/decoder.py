"""The decoder: it reads a target and a memory, and predicts the next token of the target."""

from collections.abc import Container
from typing import cast

from torch import Tensor, nn

from translator.config import ModelConfig
from translator.model.cache import DecoderCache, LayerCache
from translator.model.embedding import TiedEmbedding
from translator.model.layers import DecoderLayer, Dropout
from translator.model.memory import Memory
from translator.model.normalizers import make_normalizer
from translator.model.rotary import rotary_rotations


class Decoder(nn.Module):
    """A stack of layers of self-attention to the target so far and cross-attention to a memory."""

    def __init__(self, config: ModelConfig, embedding: TiedEmbedding) -> None:
        """Make the layers.

        Args:
            config: the model's shape
            embedding: the token vectors, for the input and the output
        """
        super().__init__()
        self.head_width = config.d_model // config.n_heads
        self.embedding = embedding
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(
                config.d_model,
                config.n_heads,
                config.d_ff,
                config.dropout,
                make_normalizer(config.self_attention, config.n_heads, config.top_k),
                make_normalizer(config.cross_attention, config.n_heads, config.top_k),
            )
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.d_model)

    def forward(
        self, tgt: Tensor, memory: Memory, *, weights_of: Container[int] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """Read a whole known target at once (teacher forcing).

        Args:
            tgt: token ids (B, T), starting with bos; position t predicts the token after it
            memory: B sources
            weights_of: layers, counted from 0, whose cross-attention weights are returned too

        Returns:
            States (B, T, D), for `logits`; and the cross-attention weights (B, H, T, S) of each
            of these layers, the lowest first.
        """
        rotation = rotary_rotations(tgt.size(1), self.head_width, tgt.device)
        x = self.dropout(self.embedding(tgt))  # (B, T, D)
        all_weights = []
        for number, layer in enumerate(self._layers()):
            keys, values = layer.cross_attention.keys_and_values(memory.states)  # (B, H, S, K)
            need_weights = number in weights_of
            x, weights = layer(
                x, rotation, keys, values, memory.attention_mask, need_weights=need_weights
            )
            if weights is not None:
                all_weights.append(weights)
        return self.norm(x), all_weights

    def logits(self, states: Tensor) -> Tensor:
        """Unnormalized log-probabilities of the next token: (…, D) to (…, V)."""
        return self.embedding.logits(states)

    def start(self, memory: Memory, max_length: int, beam_size: int = 1) -> DecoderCache:
        """Begin a search: project the memory once, and allocate room for max_length tokens.

        Args:
            memory: B sources
            max_length: the number of steps that the search may make
            beam_size: N, the number of targets that are continued in parallel for each source
        """
        layers = []
        for layer in self._layers():
            keys, values = layer.cross_attention.keys_and_values(memory.states)  # (B, H, S, K)
            sources, heads, _, width = keys.shape
            shape = (sources * beam_size, heads, max_length, width)  # (B × N, H, max_length, K)
            layers.append(LayerCache(keys, values, keys.new_empty(shape), keys.new_empty(shape)))
        rotation = rotary_rotations(max_length, self.head_width, memory.states.device)
        return DecoderCache(layers, memory.attention_mask, rotation)

    def step(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """Read one more token of each target.

        Args:
            tokens: ids (B × N,), the targets of the first source first
            cache: what came before; this position is appended

        Returns:
            States (B × N, D), for `logits`.
        """
        x = self.dropout(self.embedding(tokens[:, None]))  # (B × N, 1, D)
        rotation = cache.rotation[cache.length : cache.length + 1]  # (1, K / 2)
        for layer, kept in zip(self._layers(), cache.layers, strict=True):
            x, _ = layer(
                x, rotation, kept.memory_keys, kept.memory_values, cache.memory_mask, cache=kept
            )
        states: Tensor = self.norm(x[:, 0])
        return states

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))
