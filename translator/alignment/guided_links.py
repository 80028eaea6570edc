"""Add word alignments to the training pairs, for one cross-attention head to learn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from translator.alignment.aligner import training_pairs
from translator.alignment.scoring import parse_links
from translator.alignment.words import Pair, Span, character_overlap
from translator.corpus.sources import read_lines
from translator.data.arrays import Ragged
from translator.data.batching import LINK_BASE, PairIds
from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError
from translator.system.parallel import chunked

_CHUNK_PAIRS = 1000


def add_guided_links(pairs: PairIds, path: Path, corpus_dir: Path, tokenizer: Tokenizer) -> PairIds:
    """Add links between tokens to the training pairs.

    Every token of a target word is linked to every token of the source words it is aligned with.

    Args:
        pairs: the ids of the training pairs
        path: the word links, one line per pair, as written by `translator align --train`; only sure
            links are used (see `parse_links`)
        corpus_dir: the prepared corpus of these pairs
        tokenizer: the tokenizer of these pairs

    Raises:
        TranslatorError: the file doesn't match these pairs; the error names the line.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such file (from training.guided_alignment)")
    lines = [line for _, line in read_lines(path)]
    if len(lines) != len(pairs.src.lengths):
        raise TranslatorError(
            f"{path} has {len(lines)} lines, but there are {len(pairs.src.lengths)} training "
            "pairs: write it with `translator align --train` and a run on the same corpus"
        )
    rows: list[list[int]] = []
    encoded = _with_spans(training_pairs(corpus_dir), tokenizer)
    for number, (line, ((src, tgt), src_spans, tgt_spans)) in enumerate(
        zip(lines, encoded, strict=True), start=1
    ):
        words_linked = np.zeros((len(tgt.words), len(src.words)))  # (V, W)
        links, _ = parse_links(line, src, tgt, f"{path}, line {number}")
        for i, j in links:
            words_linked[j, i] = 1
        tokens_linked = (
            character_overlap(tgt.spans, tgt_spans)
            @ words_linked
            @ character_overlap(src.spans, src_spans).T
        )  # (T, S)
        tgt_tokens, src_tokens = np.nonzero(tokens_linked)
        rows.append((tgt_tokens * LINK_BASE + src_tokens).tolist())
    return PairIds(pairs.src, pairs.tgt, Ragged.from_lists(rows))


def _with_spans(
    pairs: Iterator[Pair], tokenizer: Tokenizer
) -> Iterator[tuple[Pair, list[Span], list[Span]]]:
    """Each pair with the spans of its source tokens and of its target tokens."""
    # In chunks, since a call of SentencePiece takes longer than a sentence.
    for chunk in chunked(pairs, _CHUNK_PAIRS):
        src, tgt = (
            [spans for _, spans in tokenizer.encode_with_spans([pair[side].text for pair in chunk])]
            for side in (0, 1)
        )
        yield from zip(chunk, src, tgt, strict=True)
