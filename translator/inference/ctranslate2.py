"""Translate with CTranslate2 (Klein et al. 2020), which starts quickly and needs no PyTorch."""

import ctypes
import importlib.util
import math
import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translator.data.tokenizer import EOS_ID, Tokenizer
from translator.errors import TranslatorError
from translator.inference.engine import Hypothesis, length_limit, refuse_fork
from translator.runs.run import Run
from translator.system.checksums import CHECKSUMS, find_damaged_file
from translator.system.files import remove_temporaries, was_moved_away
from translator.system.locks import locked
from translator.system.parallel import usable_cores

if TYPE_CHECKING:
    from torch import Tensor

# The types that an export contains a model for.
COMPUTE_TYPES = ("float32", "int8")
# The weights that were exported, relative to the export's folder. Their checksum is stored with
# those of the export's own files, since CTranslate2 doesn't detect a damaged model and may crash.
WEIGHTS_NAME = "../weights.safetensors"
# Source tokens in a batch. Larger batches are not faster, and smaller ones leave cores idle.
_BATCH_TOKENS = 1024
# Small enough not to change any score. With a penalty of exactly 0, CTranslate2 (4.8) continues
# until its best beam ends, however many hypotheses are finished; with any other value it stops
# where the PyTorch search does.
_MIN_LENGTH_PENALTY = 1e-9


def require_ctranslate2() -> None:
    """Check that the package ctranslate2 is installed.

    Raises:
        TranslatorError: it is not installed.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        raise TranslatorError(
            "CTranslate2 is not installed; install it with: pip install 'ctranslate2>=4.8'"
        )


class CTranslate2Engine:
    """Searches with an exported model; see `Engine`."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, device: str) -> None:
        """Load a model.

        Args:
            folder: a folder written by `translator.export.ctranslate2`
            tokenizer: the run's tokenizer
            device: auto, cpu or cuda

        Raises:
            TranslatorError: the model is damaged, or the device is not available.
        """
        from ctranslate2 import Translator

        self._vocabulary = tokenizer.pieces(list(range(tokenizer.vocab_size)))
        self._ids = {token: i for i, token in enumerate(self._vocabulary)}
        try:
            # One thread per batch, and a batch for each core: products of this size are too small
            # to be divided.
            self._translator: Any = Translator(
                str(folder),
                device=device,
                compute_type=folder.name,
                inter_threads=usable_cores(),
                intra_threads=1,
            )
        except (RuntimeError, ValueError) as error:
            raise TranslatorError(f"{folder}: CTranslate2 can't load it ({error})") from error
        self._process = os.getpid()
        _loaded.add(self)

    def search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        *,
        with_scores: bool = True,
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`."""
        refuse_fork(self._process, "a model of the engine ctranslate2")
        limits = [length_limit(len(ids) + 1) for ids in src]
        with_scores = with_scores or beam_size > 1
        longest = max(limits, default=0)
        found = self._search(src, beam_size, length_penalty, n_best, longest, with_scores)
        for row, (hypotheses, limit) in enumerate(zip(found, limits, strict=True)):
            # CTranslate2 takes one limit for the whole batch. A source whose hypotheses exceed its
            # own limit is searched again, with all beams returned, since unfinished hypotheses are
            # ranked among the finished ones.
            if not all(h.complete and h.length <= limit for h in hypotheses):
                [again] = self._search(
                    [src[row]], beam_size, length_penalty, beam_size, limit, with_scores
                )
                complete = [hypothesis for hypothesis in again if hypothesis.complete]
                found[row] = complete[:n_best] or again[:1]
        return found

    def _search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        limit: int,
        with_scores: bool,
    ) -> list[list[Hypothesis]]:
        results = self._translator.translate_batch(
            [[self._vocabulary[i] for i in ids] for ids in src],
            max_batch_size=_BATCH_TOKENS,
            batch_type="tokens",
            beam_size=beam_size,
            length_penalty=max(length_penalty, _MIN_LENGTH_PENALTY),
            num_hypotheses=n_best,
            max_decoding_length=limit,
            min_decoding_length=0,  # an empty target is allowed
            return_end_token=True,
            return_scores=with_scores,
        )
        return [
            [
                self._hypothesis(tokens, score, length_penalty)
                for tokens, score in zip(
                    result.hypotheses, result.scores or [math.nan], strict=True
                )
            ]
            for result in results
        ]

    def _hypothesis(self, tokens: list[str], score: float, length_penalty: float) -> Hypothesis:
        ids = [self._ids[token] for token in tokens]
        complete = ids[-1:] == [EOS_ID]
        length = len(ids)
        return Hypothesis(
            ids[: length - complete], score * length**length_penalty, length, complete
        )

    def cross_attention(
        self, src: Sequence[list[int]], tgt: Sequence[list[int]], layers: Sequence[int] | None
    ) -> "list[Tensor]":
        """Not supported: CTranslate2 returns at most the mean of one layer's heads."""
        raise TranslatorError(
            "the engine ctranslate2 doesn't return its cross-attention; load the run with the "
            "engine pytorch"
        )


# The engines of this process.
_loaded: "weakref.WeakSet[CTranslate2Engine]" = weakref.WeakSet()


def _keep_after_fork() -> None:
    """In a forked process, never delete a model: that would wait for threads of the parent."""
    for engine in list(_loaded):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine._translator))


os.register_at_fork(after_in_child=_keep_after_fork)


def require_export(run: Run, compute_types: Sequence[str] = COMPUTE_TYPES) -> None:
    """Check that CTranslate2 is installed, and that a run has an undamaged, current export.

    Raises:
        TranslatorError: CTranslate2 is not installed; or the run was not exported, or has been
            trained further since then, or the export is damaged.
    """
    require_ctranslate2()
    fix = f"write it with: translator export --run-dir {run.path}"
    if was_moved_away(run.ctranslate2):
        # Not if another process is replacing it at this moment, or if the folder is read-only.
        with suppress(TranslatorError), locked(run.ctranslate2, busy="being exported"):
            remove_temporaries(run.path, run.ctranslate2.name)
    if not (run.ctranslate2 / CHECKSUMS).is_file():
        raise TranslatorError(f"{run.path}: no CTranslate2 model yet; {fix}")
    damaged = find_damaged_file(run.ctranslate2, WEIGHTS_NAME, *compute_types)
    if damaged == run.ctranslate2 / WEIGHTS_NAME:
        raise TranslatorError(
            f"{run.ctranslate2}: exported from other weights than the run's; {fix}"
        )
    if damaged:
        raise TranslatorError(f"{damaged}: missing or damaged; {fix}")


def load_ctranslate2_engine(
    run: Run, tokenizer: Tokenizer, compute_type: str, device: str
) -> CTranslate2Engine:
    """Load the CTranslate2 model of a run.

    Args:
        run: an exported run
        tokenizer: the run's tokenizer
        compute_type: one of `COMPUTE_TYPES`
        device: auto, cpu or cuda

    Raises:
        TranslatorError: as `require_export`, or the device is not available.
    """
    require_export(run, [compute_type])
    if device == "mps":
        raise TranslatorError("the engine ctranslate2 doesn't support mps; use auto, cpu or cuda")
    return CTranslate2Engine(run.ctranslate2 / compute_type, tokenizer, device)
