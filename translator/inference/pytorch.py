"""The engine that is this project's own: our model and our search, in batches of like length."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from translator.batching import Ints, Ragged
from translator.device import pick_device
from translator.inference.engine import Hypothesis
from translator.inference.search import beam_search, greedy_search
from translator.model.transformer import Transformer
from translator.run import Run
from translator.tokenizer import PAD_ID
from translator.weights import load_weights
from translator.workers import Workers

# Source positions times beams in a batch: enough to fill a core, few enough for memory, and for
# all cores to be busy to the end.
_BATCH_POSITIONS = 4096


class PyTorchEngine:
    """Searches with a model, on the device that it is on; see `Engine`."""

    def __init__(self, model: Transformer) -> None:
        """Take a model; it is put into evaluation mode."""
        self.model = model.eval()
        self.device = next(model.parameters()).device
        # A GPU shares its work out by itself.
        self._workers = Workers(torch.get_num_threads() if self.device.type == "cpu" else 1)

    def search(
        self, src: Sequence[list[int]], beam_size: int, length_penalty: float, n_best: int
    ) -> list[list[Hypothesis]]:
        """As `Engine.search`."""
        found: list[list[Hypothesis]] = [[] for _ in src]
        ragged = Ragged.from_lists(src)
        order = np.argsort(-ragged.lengths, kind="stable")
        batches = []
        while len(order):
            width = int(ragged.lengths[order[0]]) + 1
            rows = max(1, _BATCH_POSITIONS // (width * beam_size))
            batches.append(order[:rows])
            order = order[rows:]

        def search_batch(chosen: Ints) -> list[list[Hypothesis]]:
            batch = ragged.padded(chosen, bos=False).to(self.device)
            return self._search_batch(batch, beam_size, length_penalty, n_best)

        results = self._workers.map(search_batch, batches)
        for chosen, hypotheses in zip(batches, results, strict=True):
            for row, of_row in zip(chosen.tolist(), hypotheses, strict=True):
                found[row] = of_row
        return found

    def _search_batch(
        self, src: Tensor, beam_size: int, length_penalty: float, n_best: int
    ) -> list[list[Hypothesis]]:
        mask = src == PAD_ID
        if beam_size == 1:
            return [[hypothesis] for hypothesis in greedy_search(self.model, src, mask)]
        return beam_search(self.model, src, mask, beam_size, length_penalty, n_best)

    @torch.inference_mode()
    def cross_attention(self, src: list[int], tgt: list[int]) -> list[Tensor]:
        """As `Engine.cross_attention`; on the CPU."""
        row = np.zeros(1, dtype=np.int64)
        src_ids = Ragged.from_lists([src]).padded(row, bos=False).to(self.device)  # (1, S)
        tgt_ids = Ragged.from_lists([tgt]).padded(row, bos=True).to(self.device)  # (1, T + 1)
        mask = src_ids == PAD_ID
        memory = self.model.encode(src_ids, mask)
        _, weights = self.model.decode(tgt_ids[:, :-1], memory, mask, need_weights=True)
        return [layer[0].cpu() for layer in weights]


def load_pytorch_engine(run: Run, device: str) -> PyTorchEngine:
    """Load a run's best weights.

    Raises:
        TranslatorError: they are missing or damaged, or the device is not there.
    """
    config = run.load_config()
    model = Transformer(config.model, config.tokenizer.vocab_size)
    load_weights(model, run.weights)
    return PyTorchEngine(model.to(pick_device(device)))
