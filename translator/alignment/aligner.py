"""Align the words of sentence pairs with a trained run."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translator.alignment.extraction import candidate_heads, consistency, word_weights
from translator.alignment.symmetrization import Links, best_links, symmetrize
from translator.alignment.words import Floats, Pair, Tokens, encode_pairs, split_words
from translator.config import ModelConfig
from translator.data.tokenizer import UNK_ID
from translator.errors import TranslatorError
from translator.inference.translator import Translator, load_translator
from translator.model.alignment_head import AlignmentHead, guided_head
from translator.runs.run import Run
from translator.system.parallel import chunked

# Source times target characters of the pairs whose attention is in memory at once. A token has
# about four characters, so these are 250,000 weights per head.
_CHUNK_CELLS = 4_000_000


def attention_between_words(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[AlignmentHead]
) -> Iterator[Floats]:
    """Attention between the words of each pair, by several readings.

    Args:
        translator: of the pairs' direction
        pairs: any number
        chosen: the readings

    Yields:
        For each pair, (readings, V, W); see `word_weights`.

    Raises:
        TranslatorError: the engine doesn't return attention weights.
    """
    layers = sorted({reading.layer for reading in chosen})
    for chunk in chunked(pairs, len(pairs), size=_cells, max_size=_CHUNK_CELLS):
        encoded = encode_pairs(chunk, translator.model_text, translator.tokenizer)
        src, tgt = zip(*([_known(side) for side in pair] for pair in encoded), strict=True)
        attention = translator.engine.cross_attention(
            [tokens.ids for tokens in src], [tokens.ids for tokens in tgt], layers
        )
        for pair, weights, *tokens in zip(chunk, attention, src, tgt, strict=True):
            by_layer = dict(zip(layers, weights.double().numpy(), strict=True))
            rows = np.stack([reading.select(by_layer[reading.layer]) for reading in chosen])
            yield word_weights(rows, *pair, *(of_side.spans for of_side in tokens))


def _cells(pair: Pair) -> int:
    return len(pair[0].text) * len(pair[1].text)


def _known(tokens: Tokens) -> Tokens:
    """Leave out the tokens that the model can't read."""
    kept = [i for i, token in enumerate(tokens.ids) if token != UNK_ID]
    return Tokens([tokens.ids[i] for i in kept], [tokens.spans[i] for i in kept])


def links_by_reading(
    translator: Translator, pairs: Sequence[Pair], chosen: Sequence[AlignmentHead]
) -> list[tuple[Links, ...]]:
    """For each reading, the `best_links` of all pairs."""
    links = [
        [best_links(weights) for weights in by_reading]
        for by_reading in attention_between_words(translator, pairs, chosen)
    ]
    return list(zip(*links, strict=True))


def training_pairs(corpus_dir: Path) -> Iterator[Pair]:
    """The training pairs of a prepared corpus."""
    from translator.data.prepare import load_pairs  # slow, and aligning other pairs doesn't need it

    for batch in load_pairs(corpus_dir / "train").iter(batch_size=1000):
        yield from zip(map(split_words, batch["src"]), map(split_words, batch["tgt"]), strict=True)


def choose_alignment_head(translator: Translator, run: Run) -> AlignmentHead:
    """Choose the reading with the most consistent links on a run's dev pairs; see `consistency`."""
    config = run.load_config()
    if config.training.guided_alignment:  # this head was trained to align
        return guided_head(config.model.decoder_layers)
    pairs = [
        (split_words(example.src), split_words(example.references[0]))
        for example in run.read_held_out("dev")
    ]
    chosen = candidate_heads(config.model.decoder_layers)
    links = links_by_reading(translator, pairs, chosen)
    scores = [consistency(pairs, links_of_reading) for links_of_reading in links]
    return max(zip(scores, chosen, strict=True), key=lambda scored: scored[0])[1]


@dataclass(frozen=True)
class Aligner:
    """A trained run that aligns words.

    Attributes:
        translator: the run's translator
        reading: how to read its cross-attention
        model: the shape of its model
    """

    translator: Translator
    reading: AlignmentHead
    model: ModelConfig

    def weights(self, pairs: Sequence[Pair]) -> Iterator[Floats]:
        """Attention between the words of each pair, (V, W); see `word_weights`."""
        for [weights] in attention_between_words(self.translator, pairs, [self.reading]):
            yield weights

    def links(self, pairs: Sequence[Pair]) -> list[Links]:
        """The links of each pair, at most one for each target word; see `best_links`."""
        return [best_links(weights) for weights in self.weights(pairs)]


def bidirectional_weights(
    forward: Aligner, backward: Aligner, pairs: Sequence[Pair]
) -> Iterator[tuple[Floats, Floats]]:
    """Attention between the words of each pair, by two runs of opposite directions.

    Args:
        forward: a run of the pairs' direction
        backward: a run of the opposite direction
        pairs: any number

    Returns:
        For each pair, the forward weights (V, W) and the backward weights (W, V).
    """
    swapped = [(tgt, src) for src, tgt in pairs]
    return zip(forward.weights(pairs), backward.weights(swapped), strict=True)


def bidirectional_links(
    forward: Aligner, backward: Aligner, pairs: Sequence[Pair], how: str
) -> list[Links]:
    """The links of each pair by two runs of opposite directions; see `symmetrize`."""
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
