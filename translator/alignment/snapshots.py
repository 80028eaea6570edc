"""How cross-attention forms in the course of a training, in pictures."""

from collections.abc import Sequence
from pathlib import Path

from translator.alignment.aligner import attention_between_words
from translator.alignment.words import Pair, split_words
from translator.corpus.held_out import Example
from translator.inference.translator import Translator
from translator.model.alignment_head import AlignmentHead, guided_head
from translator.runs.figures import draw_attention, join_pictures

_SENTENCES = 3
# Words of a sentence that is long enough to have an order, and whose picture is small.
_LENGTH = 6
# Pictures in the strip: the first, the last, and some between.
_IN_STRIP = 4


class AttentionSnapshots:
    """Draws what the same sentences look at, whenever it is asked to."""

    def __init__(self, folder: Path, examples: Sequence[Example], decoder_layers: int) -> None:
        """Pick the sentences.

        Args:
            folder: where the pictures go
            examples: held-out sentences; those nearest to six words are taken
            decoder_layers: of the model; attention is that of the last but one, heads averaged,
                where it is told apart from what has to be said next
        """
        nearest = sorted(examples, key=lambda example: abs(len(example.src.split()) - _LENGTH))
        self._pairs: list[Pair] = [
            (split_words(example.src), split_words(example.references[0]))
            for example in nearest[:_SENTENCES]
        ]
        self._folder = folder
        self._reading = AlignmentHead(guided_head(decoder_layers).layer, None, "output")

    def draw(self, translator: Translator, step: int, title: str) -> None:
        """Draw a picture of these sentences, as they stand after a step."""
        self._folder.mkdir(exist_ok=True)
        found = attention_between_words(translator, self._pairs, [self._reading])
        draw_attention(
            [
                (src.words, tgt.words, weights)
                for (src, tgt), [weights] in zip(self._pairs, found, strict=True)
            ],
            self._folder / f"step-{step:07}.png",
            title,
        )


def join_snapshots(folder: Path, path: Path) -> None:
    """Put some of the pictures of a folder, in their order, into one; nothing if there are none."""
    paths = sorted(folder.glob("step-*.png"))
    if not paths:
        return
    last = max(1, min(_IN_STRIP, len(paths)) - 1)
    picked = dict.fromkeys(round(i * (len(paths) - 1) / last) for i in range(last + 1))
    join_pictures([paths[i] for i in picked], path)
