"""Links between words, as what one head of cross-attention is to learn."""

from pathlib import Path

import datasets
import numpy as np

from translator.alignment.scoring import parse_links
from translator.alignment.words import shares, split_words
from translator.batching import LINK_BASE, PairIds, Ragged
from translator.corpus.sources import read_lines
from translator.errors import TranslatorError
from translator.tokenizer import Tokenizer


def with_links(pairs: PairIds, path: Path, corpus_dir: Path, tokenizer: Tokenizer) -> PairIds:
    """The training pairs with the links between their pieces.

    Every piece of a target word belongs to every piece of the source words it is linked to.

    Args:
        pairs: the ids of the training pairs
        path: the links of each pair's words, a line a pair, as `translator align --train` writes
        corpus_dir: of these pairs
        tokenizer: likewise

    Raises:
        TranslatorError: the file doesn't belong to these pairs; it names the line.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such file (from training.guidance)")
    train = datasets.load_from_disk(corpus_dir / "train")
    lines = [line for _, line in read_lines(path)]
    if len(lines) != len(train):
        raise TranslatorError(
            f"{path} has {len(lines)} lines, but there are {len(train)} training pairs: write it "
            "with `translator align --train` by a run on the same corpus"
        )
    rows: list[list[int]] = []
    for number, (src, tgt, line) in enumerate(
        zip(train["src"], train["tgt"], lines, strict=True), start=1
    ):
        src_words, tgt_words = split_words(src), split_words(tgt)
        linked = np.zeros((len(tgt_words.words), len(src_words.words)))
        links, _ = parse_links(line, src_words, tgt_words, f"{path}, line {number}")
        for i, j in links:
            linked[j, i] = 1
        (_, src_spans), (_, tgt_spans) = tokenizer.encode_with_spans([src, tgt])
        pieces = shares(tgt_words.spans, tgt_spans) @ linked @ shares(src_words.spans, src_spans).T
        of_tgt, of_src = np.nonzero(pieces)
        rows.append((of_tgt * LINK_BASE + of_src).tolist())
    return PairIds(pairs.src, pairs.tgt, Ragged.from_lists(rows))
