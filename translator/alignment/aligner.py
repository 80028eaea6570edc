"""Pairs in, word alignments out."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translator.alignment.extraction import candidate_heads, consistency, word_weights
from translator.alignment.symmetrization import Links, best_links, symmetrize
from translator.alignment.words import Floats, Pair, Span, Words, split_words
from translator.config import ModelConfig
from translator.data.tokenizer import UNK_ID
from translator.errors import TranslatorError
from translator.inference.translator import Translator, load_translator
from translator.model.alignment_head import AlignmentHead, guided_head
from translator.runs.run import Run
from translator.system.parallel import chunked

# Source times target characters of the pairs whose attention is in memory at once; a piece has
# about four, so these are 250,000 weights of each head.
_CHUNK_CELLS = 4_000_000


def attention_between_words(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[AlignmentHead]
) -> Iterator[Floats]:
    """What the target words of each pair look at, read in several ways.

    Args:
        translator: of the pairs' direction
        pairs: any number
        chosen: the ways

    Yields:
        For each pair (readings, V, W): see `word_weights`.

    Raises:
        TranslatorError: the engine doesn't show its attention.
    """
    layers = sorted({reading.layer for reading in chosen})
    for chunk in chunked(pairs, len(pairs), size=_cells, max_size=_CHUNK_CELLS):
        src, tgt = (_known_tokens(translator, [pair[side] for pair in chunk]) for side in (0, 1))
        src_ids, tgt_ids = ([ids for ids, _ in side] for side in (src, tgt))
        attention = translator.engine.cross_attention(src_ids, tgt_ids, layers)
        for pair, of_pair, (_, src_spans), (_, tgt_spans) in zip(
            chunk, attention, src, tgt, strict=True
        ):
            of_layers = dict(zip(layers, of_pair.double().numpy(), strict=True))
            rows = np.stack([reading.select(of_layers[reading.layer]) for reading in chosen])
            yield word_weights(rows, *pair, src_spans, tgt_spans)


def _cells(pair: Pair) -> int:
    return len(pair[0].text) * len(pair[1].text)


def _known_tokens(
    translator: Translator, sentences: Sequence[Words]
) -> list[tuple[list[int], list[Span]]]:
    """The ids of the tokens of each sentence, and their spans; unknown tokens are left out."""
    encoded = translator.tokenizer.encode_with_spans([sentence.text for sentence in sentences])
    known = [[i for i, token in enumerate(ids) if token != UNK_ID] for ids, _ in encoded]
    return [
        ([ids[i] for i in kept], [spans[i] for i in kept])
        for (ids, spans), kept in zip(encoded, known, strict=True)
    ]


def links_by_reading(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[AlignmentHead]
) -> list[tuple[Links, ...]]:
    """For each reading the `best_links` of all pairs."""
    found = [
        [best_links(weights) for weights in of_pair]
        for of_pair in attention_between_words(translator, pairs, chosen)
    ]
    return list(zip(*found, strict=True))


def training_pairs(corpus_dir: Path) -> Iterator[Pair]:
    """The training pairs of a prepared corpus."""
    from translator.data.prepare import (
        load_pairs,  # seconds, which one that only aligns need not wait
    )

    for batch in load_pairs(corpus_dir / "train").iter(batch_size=1000):
        yield from zip(map(split_words, batch["src"]), map(split_words, batch["tgt"]), strict=True)


def choose_alignment_head(translator: Translator, run: Run) -> AlignmentHead:
    """The reading whose links are most consistent (see `consistency`) on a run's dev pairs."""
    config = run.load_config()
    if config.training.guided_alignment:  # it was trained to be read like this
        return guided_head(config.model.decoder_layers)
    pairs = [
        (split_words(example.src), split_words(example.references[0]))
        for example in run.read_held_out("dev")
    ]
    chosen = candidate_heads(config.model.decoder_layers)
    links = links_by_reading(translator, pairs, chosen)
    scores = [consistency(pairs, of_reading) for of_reading in links]
    return max(zip(scores, chosen, strict=True), key=lambda scored: scored[0])[1]


@dataclass(frozen=True)
class Aligner:
    """A run that aligns.

    Attributes:
        translator: its model
        reading: how its attention is read
        model: the shape of its model
    """

    translator: Translator
    reading: AlignmentHead
    model: ModelConfig

    def weights(self, pairs: Sequence[Pair]) -> Iterator[Floats]:
        """What the target words of each pair look at, (V, W): see `word_weights`."""
        for [weights] in attention_between_words(self.translator, pairs, [self.reading]):
            yield weights

    def links(self, pairs: Sequence[Pair]) -> list[Links]:
        """The links of each pair, one for each target word at most: see `best_links`."""
        return [best_links(weights) for weights in self.weights(pairs)]


def bidirectional_weights(
    forward: Aligner, backward: Aligner, pairs: Sequence[Pair]
) -> Iterator[tuple[Floats, Floats]]:
    """What the words of each pair look at in two runs of opposite directions.

    Args:
        forward: of the pairs' direction
        backward: of the opposite direction
        pairs: any number

    Yields:
        (V, W) of target words, and (W, V) of source words.
    """
    turned = [(tgt, src) for src, tgt in pairs]
    return zip(forward.weights(pairs), backward.weights(turned), strict=True)


def bidirectional_links(
    forward: Aligner, backward: Aligner, pairs: Sequence[Pair], how: str
) -> list[Links]:
    """The links of each pair by `bidirectional_weights`, joined as `symmetrize` does."""
    return [symmetrize(how, *both) for both in bidirectional_weights(forward, backward, pairs)]


def load_aligner(run: Run, device: str = "auto") -> Aligner:
    """Load a run to align with; its reading is chosen on its dev set, once.

    Raises:
        TranslatorError: as `load_translator`.
    """
    translator = load_translator(run, device)
    manifest, config = run.read_manifest(), run.load_config()
    every = candidate_heads(config.model.decoder_layers, [None, *range(config.model.n_heads)])
    known = manifest.alignment_head
    reading = known if known in every else choose_alignment_head(translator, run)
    # Until a run is finished, its training may replace the manifest.
    if reading != known and manifest.state == "finished":
        with suppress(TranslatorError):  # a run that is read-only can be aligned with all the same
            run.write_manifest(replace(manifest, alignment_head=reading))
    return Aligner(translator, reading, config.model)
