"""The encoder of text: token ids to a memory."""

from typing import cast

from torch import Tensor, nn

from translator.config import ModelConfig
from translator.model.embedding import TiedEmbedding
from translator.model.layers import Dropout, EncoderLayer
from translator.model.memory import Memory
from translator.model.normalizers import make_normalizer
from translator.model.rotary import rotary_rotations


class TextEncoder(nn.Module):
    """A stack of self-attention layers over the source tokens; an `Encoder`."""

    def __init__(self, config: ModelConfig, embedding: TiedEmbedding) -> None:
        """Make the layers.

        Args:
            config: the model's shape
            embedding: the token vectors, shared with the decoder
        """
        super().__init__()
        self.head_width = config.d_model // config.n_heads
        self.embedding = embedding
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(
                config.d_model,
                config.n_heads,
                config.d_ff,
                config.dropout,
                make_normalizer(config.self_attention, config.n_heads, config.top_k),
            )
            for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, source: Tensor, padding_mask: Tensor) -> Memory:
        """Read the source.

        Args:
            source: token ids (B, S)
            padding_mask: bool (B, S), True at padding

        Returns:
            The memory, with a state for each token.
        """
        mask = padding_mask[:, None, None, :]  # (B, 1, 1, S)
        rotation = rotary_rotations(source.size(1), self.head_width, source.device)
        x = self.dropout(self.embedding(source))  # (B, S, D)
        for layer in cast(list[EncoderLayer], list(self.layers)):
            x = layer(x, rotation, mask)
        return Memory(self.norm(x), padding_mask)
