"""The engine CTranslate2 (Klein et al. 2020): it needs no PyTorch, and starts in a moment."""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translator.data.tokenizer import EOS_ID, Tokenizer
from translator.errors import TranslatorError
from translator.inference.engine import Hypothesis, length_limit
from translator.runs.run import Run
from translator.system.checksums import CHECKSUMS, find_damaged_file
from translator.system.parallel import usable_cores

if TYPE_CHECKING:
    from torch import Tensor

# What an export is written for.
COMPUTE_TYPES = ("float32", "int8")
# What it was made from, as seen from an export's folder. Its checksum lies there with those of the
# export's own files: CTranslate2 itself takes a damaged model for a whole one, and may crash in it.
WEIGHTS_NAME = "../weights.safetensors"
# Source pieces that are searched together; more gain nothing, and fewer leave a core without work.
_BATCH_TOKENS = 1024
# Changes no score. With 0 itself CTranslate2 (4.8) goes on until its best beam ends, however many
# hypotheses are finished; with all others it ends where our own search does.
_MIN_LENGTH_PENALTY = 1e-9


def require_ctranslate2() -> None:
    """See that the package is there.

    Raises:
        TranslatorError: it is not.
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
            folder: one that `translator.export.ctranslate2` has written
            tokenizer: that of the run
            device: auto, cpu or cuda

        Raises:
            TranslatorError: the model is damaged, or the device is not there.
        """
        from ctranslate2 import Translator

        self._pieces = tokenizer.pieces(list(range(tokenizer.vocab_size)))
        self._ids = {piece: i for i, piece in enumerate(self._pieces)}
        try:
            # One thread a batch, and as many batches at once as there are cores: products of
            # this size are too small to be shared out.
            self._translator: Any = Translator(
                str(folder),
                device=device,
                compute_type=folder.name,
                inter_threads=usable_cores(),
                intra_threads=1,
            )
        except (RuntimeError, ValueError) as error:
            raise TranslatorError(f"{folder}: CTranslate2 can't load it ({error})") from error

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
        limits = [length_limit(len(ids) + 1) for ids in src]
        with_scores = with_scores or beam_size > 1
        longest = max(limits, default=0)
        found = self._search(src, beam_size, length_penalty, n_best, longest, with_scores)
        for row, (hypotheses, limit) in enumerate(zip(found, limits, strict=True)):
            # CTranslate2 takes one limit for all. Those that passed their own are searched again,
            # and for all hypotheses, since it ranks unfinished ones with the finished.
            if not all(h.complete and h.length <= limit for h in hypotheses):
                one = [src[row]]
                [again] = self._search(
                    one, beam_size, length_penalty, beam_size, limit, with_scores
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
            [[self._pieces[i] for i in ids] for ids in src],
            max_batch_size=_BATCH_TOKENS,
            batch_type="tokens",
            beam_size=beam_size,
            length_penalty=max(length_penalty, _MIN_LENGTH_PENALTY),
            num_hypotheses=n_best,
            max_decoding_length=limit,
            min_decoding_length=0,  # an empty target is one of those compared
            return_end_token=True,
            return_scores=with_scores,
        )
        return [
            [
                self._hypothesis(pieces, score, length_penalty)
                for pieces, score in zip(
                    result.hypotheses, result.scores or [math.nan], strict=True
                )
            ]
            for result in results
        ]

    def _hypothesis(self, pieces: list[str], score: float, length_penalty: float) -> Hypothesis:
        ids = [self._ids[piece] for piece in pieces]
        complete = ids[-1:] == [EOS_ID]
        length = len(ids)
        return Hypothesis(
            ids[: length - complete], score * length**length_penalty, length, complete
        )

    def cross_attention(
        self, src: Sequence[list[int]], tgt: Sequence[list[int]], layers: Sequence[int] | None
    ) -> "list[Tensor]":
        """Refused: CTranslate2 gives the mean of one layer's heads at most."""
        raise TranslatorError(
            "the engine ctranslate2 doesn't show its cross-attention; load the run with the "
            "engine pytorch"
        )


def require_export(run: Run, compute_types: Sequence[str] = COMPUTE_TYPES) -> None:
    """See that CTranslate2 is there, and a run's weights in its form.

    Raises:
        TranslatorError: it is not installed, or the run was not exported or was trained on since,
            or the export is damaged.
    """
    require_ctranslate2()
    again = f"write it with: translator export --run-dir {run.path}"
    if not (run.ctranslate2 / CHECKSUMS).is_file():
        raise TranslatorError(f"{run.path}: no CTranslate2 model there yet; {again}")
    damaged = find_damaged_file(run.ctranslate2, WEIGHTS_NAME, *compute_types)
    if damaged == run.ctranslate2 / WEIGHTS_NAME:
        raise TranslatorError(
            f"{run.ctranslate2}: made from other weights than those of the run; {again}"
        )
    if damaged:
        raise TranslatorError(f"{damaged}: missing or damaged; {again}")


def load_ctranslate2_engine(
    run: Run, tokenizer: Tokenizer, compute_type: str, device: str
) -> CTranslate2Engine:
    """Load the CTranslate2 model of a run, whose tokenizer is loaded already.

    Raises:
        TranslatorError: CTranslate2 is not installed, the run was not exported or was trained on
            since, or the export is damaged, or the device is not there.
    """
    require_export(run, [compute_type])
    if device == "mps":
        raise TranslatorError("the engine ctranslate2 can't use mps; it can: auto, cpu, cuda")
    return CTranslate2Engine(run.ctranslate2 / compute_type, tokenizer, device)
