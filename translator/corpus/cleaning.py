"""Normalize text and drop unusable pairs, counted by reason."""

from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from translator.config import CorpusConfig
from translator.corpus.parallel_map import filter_rows, map_batches
from translator.text.normalization import normalize, text_key
from translator.text.symbols import RESERVED

# Reasons to drop a pair, stored as an index; index 0 means that the pair is kept.
_REASONS = (None, "empty side", "too long", "copied side", "length ratio", "reserved sign")
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


def clean(pairs: Dataset, config: CorpusConfig) -> tuple[Dataset, dict[str, int]]:
    """Normalize `src` and `tgt`, and drop unusable pairs and exact duplicates.

    Args:
        pairs: columns src, tgt, source
        config: the limits of length and length ratio

    Returns:
        The kept pairs, in their order, and the number of dropped pairs by reason.
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
    kept, dropped = _rows_to_keep(judged)
    judged = judged.remove_columns(["reason", "pair_key"])
    return filter_rows(judged, kept, "drop the others"), dropped


def _rows_to_keep(judged: Dataset) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Return a mask of the usable pairs without duplicates, and counts of the others by reason."""
    columns = judged.with_format("numpy")
    reasons = np.asarray(columns["reason"][:])
    candidates = np.flatnonzero(reasons == 0)
    keys = np.asarray(columns["pair_key"][:])[candidates]
    _, first = np.unique(keys, return_index=True)
    counts = np.bincount(reasons, minlength=len(_REASONS)).tolist()
    dropped = {reason: n for reason, n in zip(_REASONS, counts, strict=True) if reason and n}
    if len(first) < len(candidates):
        dropped["exact duplicate"] = len(candidates) - len(first)
    kept = np.zeros(len(judged), dtype=np.bool_)
    kept[candidates[first]] = True
    return kept, dict(sorted(dropped.items()))
