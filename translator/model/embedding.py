"""Token vectors that the encoder, the decoder and the output share."""

import math

import torch.nn.functional as F
from torch import Tensor, nn


class TiedEmbedding(nn.Embedding):
    """A vector for each token, looked up at the input and compared with at the output.

    One matrix serves source, target and output (Press & Wolf 2017, arXiv 1608.05859).
    """

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids of any shape (…) to vectors (…, D), times √D (Vaswani et al. 2017)."""
        return super().forward(ids) * math.sqrt(self.embedding_dim)

    def logits(self, states: Tensor) -> Tensor:
        """Unnormalized log-probabilities of each token: (…, D) to (…, V)."""
        return F.linear(states, self.weight)
