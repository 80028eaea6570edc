"""Draw how cross-attention develops during a training."""

from collections.abc import Sequence
from pathlib import Path

from translator.alignment.aligner import attention_between_words
from translator.alignment.words import Pair, split_words
from translator.corpus.held_out import Example
from translator.inference.translator import Translator
from translator.model.alignment_head import AlignmentHead, guided_head
from translator.runs.figures import draw_attention, join_pictures

_SENTENCES = 3
# Preferred number of words: enough for word order to matter, and few enough for a small picture.
_LENGTH = 6
# Pictures that are joined to one: the first, the last, and some in between.
_JOINED = 4


class AttentionSnapshots:
    """Draws the cross-attention of the same sentences after each evaluation."""

    def __init__(self, folder: Path, examples: Sequence[Example], decoder_layers: int) -> None:
        """Choose the sentences.

        Args:
            folder: the folder for the pictures
            examples: held-out sentences; those with about six words are chosen
            decoder_layers: number of decoder layers; the second to last is drawn, averaged over
                its heads, since the last one often attends to what comes next
        """
        nearest = sorted(examples, key=lambda example: abs(len(example.src.split()) - _LENGTH))
        self._pairs: list[Pair] = [
            (split_words(example.src), split_words(example.references[0]))
            for example in nearest[:_SENTENCES]
        ]
        self._folder = folder
        self._reading = AlignmentHead(guided_head(decoder_layers).layer, None, "output")

    def draw(self, translator: Translator, step: int, title: str) -> None:
        """Draw a picture of these sentences after a step."""
        self._folder.mkdir(exist_ok=True)
        attention = attention_between_words(translator, self._pairs, [self._reading])
        draw_attention(
            [
                (src.words, tgt.words, weights)
                for (src, tgt), [weights] in zip(self._pairs, attention, strict=True)
            ],
            self._folder / f"step-{step:07}.png",
            title,
        )


def join_snapshots(folder: Path, path: Path) -> None:
    """Join up to four pictures of a folder, in order, into one; do nothing if there are none."""
    paths = sorted(folder.glob("step-*.png"))
    if not paths:
        return
    last = max(1, min(_JOINED, len(paths)) - 1)
    picked = dict.fromkeys(round(i * (len(paths) - 1) / last) for i in range(last + 1))
    join_pictures([paths[i] for i in picked], path)
