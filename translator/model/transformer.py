"""The whole model: source ids to memory, memory and target ids to scores of the next piece."""

import math
from collections.abc import Container
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from translator.config import ModelConfig, NormalizerName
from translator.model.cache import DecoderCache, LayerCache
from translator.model.layers import DecoderLayer, Dropout, EncoderLayer
from translator.model.normalizers import Normalizer, make_normalizer
from translator.model.rotary import rotary_rotations


class TiedEmbedding(nn.Embedding):
    """A vector for each piece: looked up on the way in, compared with on the way out.

    One matrix for source, target and output (Press & Wolf 2017, arXiv 1608.05859).
    """

    def logits(self, states: Tensor) -> Tensor:
        """How well each piece goes with a vector: (…, D) to (…, V)."""
        return F.linear(states, self.weight)


class Transformer(nn.Module):
    """Encoder, decoder, and the embedding that they share."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """Make the layers and draw their weights from PyTorch's random generator."""
        super().__init__()
        self.d_model = config.d_model
        self.head_width = config.d_model // config.n_heads
        self.embedding = TiedEmbedding(vocab_size, config.d_model)
        shape = (config.d_model, config.n_heads, config.d_ff, config.dropout)

        def normalizer(name: NormalizerName) -> Normalizer:
            return make_normalizer(name, config.n_heads, config.top_k)

        self.encoder = nn.ModuleList(
            EncoderLayer(*shape, normalizer(config.self_attention))
            for _ in range(config.encoder_layers)
        )
        self.encoder_norm = nn.LayerNorm(config.d_model)
        self.decoder = nn.ModuleList(
            DecoderLayer(
                *shape, normalizer(config.self_attention), normalizer(config.cross_attention)
            )
            for _ in range(config.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout)
        self.apply(_initialize)
        # Times √D on the way in, this gives vectors of variance 1; on the way out, logits of it.
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)

    def encode(self, src: Tensor, src_padding_mask: Tensor) -> Tensor:
        """Read the source.

        Args:
            src: ids (B, S)
            src_padding_mask: (B, S), True at padding

        Returns:
            The memory (B, S, D): what the decoder's cross-attention looks at.
        """
        mask = src_padding_mask[:, None, None, :]  # (B, 1, 1, S)
        rotation = rotary_rotations(src.size(1), self.head_width, src.device)
        x = self._embed(src)  # (B, S, D)
        for layer in self.encoder:
            x = layer(x, rotation, mask)
        memory: Tensor = self.encoder_norm(x)
        return memory

    def decode(
        self,
        tgt: Tensor,
        memory: Tensor,
        src_padding_mask: Tensor,
        *,
        weights_of: Container[int] = (),
    ) -> tuple[Tensor, list[Tensor]]:
        """Read all of a known target at once (teacher forcing).

        Args:
            tgt: ids (B, T), starting with bos; position t predicts the piece after it
            memory: (B, S, D)
            src_padding_mask: (B, S), True at padding
            weights_of: layers, counted from 0, whose cross-attention is returned too

        Returns:
            Vectors (B, T, D), for `logits`; and the cross-attention weights of these layers, from
            the lowest, (B, H, T, S) each.
        """
        mask = src_padding_mask[:, None, None, :]  # (B, 1, 1, S)
        rotation = rotary_rotations(tgt.size(1), self.head_width, tgt.device)
        x = self._embed(tgt)  # (B, T, D)
        all_weights = []
        for number, layer in enumerate(self._decoder_layers()):
            keys, values = layer.cross_attention.keys_and_values(memory)
            asked = number in weights_of
            x, weights = layer(x, rotation, keys, values, mask, need_weights=asked)
            if weights is not None:
                all_weights.append(weights)
        return self.decoder_norm(x), all_weights

    def logits(self, states: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next piece: (…, D) to (…, V)."""
        return self.embedding.logits(states)

    def start(
        self, memory: Tensor, src_padding_mask: Tensor, max_length: int, beam_size: int = 1
    ) -> DecoderCache:
        """Begin a search: project the memory once, and make room for max_length pieces.

        Args:
            memory: (B, S, D)
            src_padding_mask: (B, S), True at padding
            max_length: steps that the search may make
            beam_size: N, targets that go on side by side for each source
        """
        layers = []
        for layer in self._decoder_layers():
            keys, values = layer.cross_attention.keys_and_values(memory)  # (B, H, S, K)
            sources, heads, _, width = keys.shape
            shape = (sources * beam_size, heads, max_length, width)  # (B × N, H, max_length, K)
            layers.append(LayerCache(keys, values, keys.new_empty(shape), keys.new_empty(shape)))
        rotation = rotary_rotations(max_length, self.head_width, memory.device)
        return DecoderCache(layers, src_padding_mask[:, None, None, :], rotation)

    def step(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """Read one more piece of each target.

        Args:
            tokens: ids (B × N,), those of the first source first
            cache: what came before; it grows by this position

        Returns:
            Vectors (B × N, D), for `logits`.
        """
        x = self._embed(tokens[:, None])  # (B × N, 1, D)
        rotation = cache.rotation[cache.length : cache.length + 1]  # (1, K / 2)
        for layer, kept in zip(self._decoder_layers(), cache.layers, strict=True):
            memory = (kept.memory_keys, kept.memory_values, cache.memory_mask)
            x, _ = layer(x, rotation, *memory, cache=kept)
        states: Tensor = self.decoder_norm(x[:, 0])
        return states

    def _decoder_layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.decoder))

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.dropout(self.embedding(ids) * math.sqrt(self.d_model))
        return embedded


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)  # Glorot & Bengio 2010: keeps the variance


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
