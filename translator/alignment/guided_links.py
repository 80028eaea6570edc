"""Links between words, as what one head of cross-attention is to learn."""

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
    """The training pairs with the links between their pieces.

    Every piece of a target word belongs to every piece of the source words it is linked to.

    Args:
        pairs: the ids of the training pairs
        path: the links of each pair's words, a line a pair, as `translator align --train` writes;
            sure links count (see `parse_links`)
        corpus_dir: of these pairs
        tokenizer: likewise

    Raises:
        TranslatorError: the file doesn't belong to these pairs; it names the line.
    """
    if not path.is_file():
        raise TranslatorError(f"{path}: no such file (from training.guided_alignment)")
    lines = [line for _, line in read_lines(path)]
    if len(lines) != len(pairs.src.lengths):
        raise TranslatorError(
            f"{path} has {len(lines)} lines, but there are {len(pairs.src.lengths)} training "
            "pairs: write it with `translator align --train` by a run on the same corpus"
        )
    rows: list[list[int]] = []
    encoded = _with_spans(training_pairs(corpus_dir), tokenizer)
    for number, (line, ((src, tgt), src_spans, tgt_spans)) in enumerate(
        zip(lines, encoded, strict=True), start=1
    ):
        linked = np.zeros((len(tgt.words), len(src.words)))
        links, _ = parse_links(line, src, tgt, f"{path}, line {number}")
        for i, j in links:
            linked[j, i] = 1
        pieces = (
            character_overlap(tgt.spans, tgt_spans)
            @ linked
            @ character_overlap(src.spans, src_spans).T
        )
        of_tgt, of_src = np.nonzero(pieces)
        rows.append((of_tgt * LINK_BASE + of_src).tolist())
    return PairIds(pairs.src, pairs.tgt, Ragged.from_lists(rows))


def _with_spans(
    pairs: Iterator[Pair], tokenizer: Tokenizer
) -> Iterator[tuple[Pair, list[Span], list[Span]]]:
    """Each pair with where its pieces stand, source and target."""
    # Many at once, since a call of SentencePiece costs more than a sentence.
    for chunk in chunked(pairs, _CHUNK_PAIRS):
        src, tgt = (
            [spans for _, spans in tokenizer.encode_with_spans([pair[side].text for pair in chunk])]
            for side in (0, 1)
        )
        yield from zip(chunk, src, tgt, strict=True)
