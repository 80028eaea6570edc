"""This project's own engine: our model and our search, in batches of similar length."""

import os
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from translator.data.arrays import Ints, Ragged
from translator.data.batching import PairIds, group_by_length, make_batch
from translator.data.tokenizer import PAD_ID
from translator.errors import TranslatorError
from translator.inference.engine import Hypothesis, refuse_fork
from translator.inference.int8 import quantize_model
from translator.inference.search import beam_search, greedy_search
from translator.model.transformer import Transformer
from translator.model.weights import load_weights
from translator.runs.run import Run
from translator.system.device import faster_in, limit_kernel_caches, pick_device, reuse_freed_memory
from translator.system.parallel import Workers, single_thread

# Source positions times beams in a batch; if targets are known, positions of the longer side. It is
# enough to keep a core busy, and little enough to fit into memory and to balance the cores.
BATCH_POSITIONS = 4096


T = TypeVar("T")


class PyTorchEngine:
    """Searches with a model on its device; see `Engine`."""

    def __init__(self, model: Transformer) -> None:
        """Use a model, in evaluation mode."""
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self._process = os.getpid()
        # A GPU needs only one worker.
        self._workers = Workers(torch.get_num_threads() if self.device.type == "cpu" else 1)

    def search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        *,
        with_scores: bool = True,
    ) -> list[list[Hypothesis]]:
        """As `Engine.search`."""
        ragged = Ragged.from_lists(src)
        order = np.argsort(-ragged.lengths, kind="stable")
        batches = []
        while len(order):
            width = int(ragged.lengths[order[0]]) + 1
            rows = max(1, BATCH_POSITIONS // (width * beam_size))
            batches.append(order[:rows])
            order = order[rows:]

        def search_batch(chosen: Ints) -> list[list[Hypothesis]]:
            batch = torch.from_numpy(ragged.padded(chosen, bos=False)).to(self.device)
            decoder = self.model.decoder
            with torch.inference_mode():
                memory = self.model.encoder(batch, batch == PAD_ID)
            if beam_size > 1:
                return beam_search(decoder, memory, beam_size, length_penalty, n_best)
            return [[best] for best in greedy_search(decoder, memory, with_scores=with_scores)]

        return self._in_order(search_batch, batches)

    def _in_order(self, compute: Callable[[Ints], list[T]], batches: list[Ints]) -> list[T]:
        """Compute batches of rows in parallel, and return the results in the order of the rows."""
        if self.device.type != "cpu":
            refuse_fork(self._process, f"a model on {self.device.type}")
        results = chain.from_iterable(self._workers.map(compute, batches))
        rows = chain.from_iterable(batch.tolist() for batch in batches)
        found = dict(zip(rows, results, strict=True))
        return [found[row] for row in range(len(found))]

    def cross_attention(
        self, src: Sequence[list[int]], tgt: Sequence[list[int]], layers: Sequence[int] | None
    ) -> list[Tensor]:
        """As `Engine.cross_attention`."""
        pairs = PairIds(Ragged.from_lists(src), Ragged.from_lists(tgt))
        batches = group_by_length(pairs, BATCH_POSITIONS, np.random.default_rng(0))
        return self._in_order(lambda rows: self._attend_batch(pairs, rows, layers), batches)

    @torch.inference_mode()
    def _attend_batch(
        self, pairs: PairIds, rows: Ints, layers: Sequence[int] | None
    ) -> list[Tensor]:
        batch = make_batch(pairs, rows).to(self.device)
        memory = self.model.encoder(batch.src, batch.src_padding_mask)
        chosen = range(len(self.model.decoder.layers)) if layers is None else layers
        _, weights = self.model.decoder(batch.tgt[:, :-1], memory, weights_of=chosen)
        stacked = torch.stack(weights, dim=1).float().cpu()  # (B, layers, H, T + 1, S + 1)
        lengths = zip(pairs.tgt.lengths[rows] + 1, pairs.src.lengths[rows] + 1, strict=True)
        return [
            of_pair[:, :, :tgt, :src] for of_pair, (tgt, src) in zip(stacked, lengths, strict=True)
        ]


def load_model(run: Run) -> Transformer:
    """Load the best weights of a run, on the CPU.

    Raises:
        TranslatorError: the weights are missing or damaged, or don't fit the configuration.
    """
    config = run.load_config()
    with single_thread():
        return load_weights(
            lambda: Transformer(config.model, config.tokenizer.vocab_size),
            config.matrix_parameters(),
            run.weights,
        )


def load_pytorch_engine(run: Run, device: str, compute_type: str = "float32") -> PyTorchEngine:
    """Load an engine with the best weights of a run.

    Args:
        run: a trained run
        device: auto, cpu, cuda or mps
        compute_type: type of the matrix products: float32, or int8 on a CPU, which now and then
            prefers another token

    Raises:
        TranslatorError: the weights are missing or damaged, or the device doesn't exist or has no
            int8 units.
    """
    model = load_model(run)
    picked = pick_device(device)
    reuse_freed_memory()
    if compute_type == "int8":
        if picked.type != "cpu":
            raise TranslatorError(
                f"the engine pytorch-int8 can't use {picked.type}: take the device cpu, or the "
                "engine pytorch"
            )
        limit_kernel_caches()
        with single_thread():
            if not faster_in(torch.int8):
                raise TranslatorError(
                    "this processor has no units for int8, and would be slower with them "
                    "emulated: use the engine pytorch"
                )
            quantize_model(model)
    return PyTorchEngine(model.to(picked))
