"""Small models, ids and pairs that several tests build."""

import os
import signal
import threading
import time
from collections.abc import Callable

import torch
from conftest import PAIRS
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from translator.config import ModelConfig
from translator.data.arrays import Ragged
from translator.data.batching import PairIds
from translator.data.tokenizer import EOS_ID, PAD_ID
from translator.model.memory import Memory
from translator.model.transformer import Transformer
from translator.runs.run import Run
from translator.text.lexicon import count_words
from translator.text.model_text import ModelText
from translator.text.normalization import normalize
from translator.training.checkpoint import LoadedState, load_state

SMALL = ModelConfig(d_model=16, n_heads=2, encoder_layers=2, decoder_layers=2, d_ff=24)


def everyday_lines() -> list[list[str]]:
    """Return the columns of each line of the test corpus: English, Spanish, attribution."""
    return [line.split("\t") for line in PAIRS.read_text(encoding="utf-8").splitlines()]


def everyday_model_text() -> ModelText:
    """Return the conversion from English to Spanish that knows the words of the test corpus."""
    pairs = [(normalize(english), normalize(spanish)) for english, spanish, _ in everyday_lines()]
    return ModelText("en", "es", count_words(pairs))


def random_model(vocab_size: int) -> Transformer:
    """Return a newly initialized model of the size `SMALL`."""
    return Transformer(SMALL, vocab_size)


def random_ids(*shape: int, vocab_size: int) -> Tensor:
    """Return random token ids of this shape, without special tokens."""
    return torch.randint(EOS_ID + 1, vocab_size, shape)


def random_sources(*lengths: int, vocab_size: int) -> Tensor:
    """Return a padded batch of random source sentences. The lengths include eos."""
    eos = torch.tensor([EOS_ID])
    rows = [torch.cat([random_ids(n - 1, vocab_size=vocab_size), eos]) for n in lengths]
    return pad_sequence(rows, batch_first=True, padding_value=PAD_ID)


def encode(model: Transformer, src: Tensor) -> Memory:
    """Run the encoder on a padded batch."""
    return model.encoder(src, src == PAD_ID)


def pairs_of(src: list[list[int]], tgt: list[list[int]]) -> PairIds:
    """Return sentence pairs, given as lists of ids, in the arrays that batches are made from."""
    return PairIds(Ragged.from_lists(src), Ragged.from_lists(tgt))


def holds_in_a_fork(check: Callable[[], bool]) -> bool:
    """Return what a function returns in a forked process; False if it fails or doesn't end."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def saved_state(run: Run) -> LoadedState:
    """Return the newest training state of a run."""
    return load_state(run.states[0], run.read_manifest().parameters)


def run_in_threads(count: int, function: Callable[[], None]) -> None:
    """Call a function in several threads at the same time, and wait for them."""
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
