"""Add word alignments to the training pairs, for one cross-attention head to learn."""

from pathlib import Path

import numpy as np

from translator.alignment.aligner import training_pairs
from translator.alignment.scoring import parse_links
from translator.alignment.words import character_overlap, encode_pairs
from translator.corpus.text_files import read_lines
from translator.data.arrays import Ragged
from translator.data.batching import LINK_BASE, PairIds
from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError
from translator.system.parallel import chunked
from translator.text.model_text import ModelText

_CHUNK_PAIRS = 1000


def add_guided_links(
    pairs: PairIds, path: Path, corpus_dir: Path, model_text: ModelText, tokenizer: Tokenizer
) -> PairIds:
    """Add links between tokens to the training pairs.

    Every token of a target word is linked to every token of the source words it is aligned with.

    Args:
        pairs: the ids of the training pairs
        path: the word links, one line per pair, as written by `translator align --train`; only sure
            links are used (see `parse_links`)
        corpus_dir: the prepared corpus of these pairs
        model_text: how the pairs were converted for the model
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
    chunks = chunked(training_pairs(corpus_dir), _CHUNK_PAIRS)
    encoded = (
        (pair, tokens)
        for chunk in chunks
        for pair, tokens in zip(chunk, encode_pairs(chunk, model_text, tokenizer), strict=True)
    )
    for number, (line, ((src, tgt), (src_tokens, tgt_tokens))) in enumerate(
        zip(lines, encoded, strict=True), start=1
    ):
        words_linked = np.zeros((len(tgt.words), len(src.words)))  # (V, W)
        links, _ = parse_links(line, src, tgt, f"{path}, line {number}")
        for i, j in links:
            words_linked[j, i] = 1
        tokens_linked = (
            character_overlap(tgt.spans, tgt_tokens.spans)
            @ words_linked
            @ character_overlap(src.spans, src_tokens.spans).T
        )  # (T, S)
        tgt_at, src_at = np.nonzero(tokens_linked)
        rows.append((tgt_at * LINK_BASE + src_at).tolist())
    return PairIds(pairs.src, pairs.tgt, Ragged.from_lists(rows))
