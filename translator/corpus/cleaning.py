"""Normalize text and drop unusable pairs, counted by reason."""

from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from translator.config import CorpusConfig
from translator.corpus.parallel_map import column_array, filter_rows, map_batches
from translator.text.normalization import normalize, text_key
from translator.text.symbols import RESERVED

# Reasons to drop a pair, stored as an index; index 0 means that the pair is kept. A duplicate shows
# only after all pairs are judged.
_REASONS = (
    None,
    "empty side",
    "too long",
    "copied side",
    "length ratio",
    "reserved sign",
    "exact duplicate",
)
_RESERVED = frozenset(RESERVED)


def reason_to_drop(src: str, tgt: str, config: CorpusConfig) -> str | None:
    """Return the reason to drop a normalized pair, or None if it is kept."""
    if not src or not tgt:
        return "empty side"
    if max(len(src), len(tgt)) > config.max_chars:
        return "too long"
    if src == tgt:
        return "copied side"
    short, long = sorted((len(src.split()), len(tgt.split())))
    if long > config.max_length_ratio * short:
        return "length ratio"
    if not (_RESERVED.isdisjoint(src) and _RESERVED.isdisjoint(tgt)):
        return "reserved sign"
    return None


def clean(pairs: Dataset, config: CorpusConfig) -> tuple[Dataset, list[dict[str, int]]]:
    """Normalize `src` and `tgt`, and drop unusable pairs and exact duplicates.

    Of equal pairs, the first is kept, whichever sources they are from.

    Args:
        pairs: columns src, tgt, source and origin
        config: the sources, and the limits of length and length ratio

    Returns:
        The kept pairs, in their order, and for each source the number of dropped pairs by reason.
    """

    def normalize_and_judge(batch: dict[str, list[str]]) -> dict[str, list[str] | npt.NDArray[Any]]:
        src = [normalize(text) for text in batch["src"]]
        tgt = [normalize(text) for text in batch["tgt"]]
        sides = list(zip(src, tgt, strict=True))
        reasons = [_REASONS.index(reason_to_drop(s, t, config)) for s, t in sides]
        keys = [text_key(f"{s}\t{t}") for s, t in sides]
        return {
            "src": src,
            "tgt": tgt,
            "reason": np.array(reasons, np.int8),
            "pair_key": np.array(keys, np.int64),
        }

    judged = map_batches(pairs, normalize_and_judge, "clean")
    reasons = _final_reasons(judged)
    origins = column_array(judged, "origin")
    dropped = [_counts(reasons[origins == i]) for i in range(len(config.each_source()))]
    judged = judged.remove_columns(["reason", "pair_key"])
    return filter_rows(judged, reasons == 0, "drop the others"), dropped


def _final_reasons(judged: Dataset) -> npt.NDArray[np.int8]:
    """Return the reason to drop each pair; all but the first of equal usable pairs get one too."""
    reasons = column_array(judged, "reason").copy()
    candidates = np.flatnonzero(reasons == 0)
    _, first = np.unique(column_array(judged, "pair_key")[candidates], return_index=True)
    reasons[np.delete(candidates, first)] = _REASONS.index("exact duplicate")
    return reasons


def _counts(reasons: npt.NDArray[np.int8]) -> dict[str, int]:
    counts = np.bincount(reasons, minlength=len(_REASONS)).tolist()
    dropped = {reason: n for reason, n in zip(_REASONS, counts, strict=True) if reason and n}
    return dict(sorted(dropped.items()))
