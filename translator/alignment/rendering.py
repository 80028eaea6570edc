"""Show alignments in the terminal or as an HTML page."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from translator.alignment.aligner import Aligner, attention_between_words
from translator.alignment.extraction import candidate_heads
from translator.alignment.words import Floats, Pair
from translator.model.alignment_head import STEPS
from translator.system.files import write_text

# From a weight of 0 to a weight of 1.
_SHADES = " ░▒▓█"


def render_terminal(src: Sequence[str], tgt: Sequence[str], weights: Floats) -> str:
    """Draw weights as shades, with a row for each target word and a column for each source word.

    Args:
        src: W words, which become vertical column headings
        tgt: V words
        weights: (V, W), between 0 and 1

    Returns:
        The lines of the drawing, as one text.
    """
    margin = max(map(len, tgt), default=0) + 1
    height = max(map(len, src), default=0)
    columns = [word.rjust(height) for word in src]
    header = [" " * margin + " ".join(letters) for letters in zip(*columns, strict=True)]
    rows = [
        f"{word.rjust(margin - 1)} "
        + " ".join(_SHADES[round(weight * (len(_SHADES) - 1))] for weight in row)
        for word, row in zip(tgt, weights, strict=True)
    ]
    return "\n".join(line.rstrip() for line in [*header, *rows])


def write_html(aligner: Aligner, pairs: Sequence[Pair], path: Path) -> None:
    """Write an interactive HTML page with the attention of every layer, head and step.

    Args:
        aligner: its reading is shown first
        pairs: at least one
        path: the file to write
    """
    layers, heads = aligner.model.decoder_layers, aligner.model.n_heads
    every = candidate_heads(layers, [*range(heads), None])  # the mean last
    shown: list[dict[str, Any]] = []
    for (src, tgt), weights in zip(
        pairs, attention_between_words(aligner.translator, pairs, every), strict=True
    ):
        matrices = weights.round(3).reshape(len(STEPS), layers, heads + 1, *weights.shape[1:])
        by_step = dict(zip(STEPS, matrices.tolist(), strict=True))
        shown.append({"src": src.words, "tgt": tgt.words, **by_step})
    data = {
        "reading": asdict(aligner.reading),
        "languages": {"src": aligner.translator.src_lang, "tgt": aligner.translator.tgt_lang},
        "pairs": shown,
    }
    # The data is part of a script: it must not contain </script> or any other tag.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    write_text(path, template.replace("DATA", text, 1))
