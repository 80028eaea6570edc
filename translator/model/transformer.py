"""The whole model: an encoder, a decoder, and the token vectors that they share."""

from torch import nn

from translator.config import ModelConfig
from translator.model.decoder import Decoder
from translator.model.embedding import TiedEmbedding
from translator.model.text_encoder import TextEncoder


class Transformer(nn.Module):
    """An encoder-decoder Transformer with pre-norm layers and rotary positions.

    Attributes:
        embedding: the token vectors (V, D)
        encoder: source to `Memory`
        decoder: `Memory` and target so far to states of the next tokens
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """Make the layers and draw their weights from PyTorch's random generator."""
        super().__init__()
        self.embedding = TiedEmbedding(vocab_size, config.d_model)
        self.encoder = TextEncoder(config, self.embedding)
        self.decoder = Decoder(config, self.embedding)
        self.apply(_initialize)
        # Multiplied by √D, this gives inputs of variance 1; at the output, logits of variance 1.
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)  # Glorot & Bengio 2010: keeps the variance


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
