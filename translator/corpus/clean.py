"""Normalise text, and drop pairs that can't teach; every dropped pair is counted by reason."""

from collections import Counter
from typing import Any

import numpy as np
from datasets import Dataset

from translator.config import CorpusConfig
from translator.corpus.text import normalise, text_key


def reason_to_drop(src: str, tgt: str, config: CorpusConfig) -> str | None:
    """Why a normalised pair is dropped, or None if it is kept."""
    if not src or not tgt:
        return "empty side"
    if max(len(src), len(tgt)) > config.max_chars:
        return "too long"
    if src == tgt:
        return "copied side"
    short, long = sorted((len(src.split()), len(tgt.split())))
    if long > config.max_length_ratio * short:
        return "length ratio"
    return None


def clean(pairs: Dataset, config: CorpusConfig) -> tuple[Dataset, dict[str, int]]:
    """Normalise `src` and `tgt`, and drop what can't teach.

    Args:
        pairs: columns src, tgt, source
        config: limits of length and ratio

    Returns:
        The kept pairs, in their order, and the count of dropped pairs under each reason.
    """

    def examine(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        src = [normalise(text) for text in batch["src"]]
        tgt = [normalise(text) for text in batch["tgt"]]
        reasons = [reason_to_drop(s, t, config) or "" for s, t in zip(src, tgt, strict=True)]
        keys = [text_key(f"{s}\t{t}") for s, t in zip(src, tgt, strict=True)]
        return {"src": src, "tgt": tgt, "reason": reasons, "pair_key": keys}

    examined = pairs.map(examine, batched=True, desc="clean")
    reasons = np.asarray(examined.with_format("numpy")["reason"][:], dtype=object)
    dropped = Counter(reason for reason in reasons if reason)
    kept = np.flatnonzero(reasons == "")
    keys = np.asarray(examined.with_format("numpy")["pair_key"][:])[kept]
    _, first = np.unique(keys, return_index=True)
    dropped["exact duplicate"] = len(kept) - len(first)
    cleaned = examined.select(kept[np.sort(first)]).remove_columns(["reason", "pair_key"])
    return cleaned, {reason: count for reason, count in sorted(dropped.items()) if count}
