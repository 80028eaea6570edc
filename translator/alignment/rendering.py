"""Alignments to look at: in the terminal, and as a page."""

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

# From no weight to all of it.
_SHADES = " ░▒▓█"


def render_terminal(src: Sequence[str], tgt: Sequence[str], weights: Floats) -> str:
    """A grid of shades: a row a target word, a column a source word, written downwards.

    Args:
        src: W words
        tgt: V words
        weights: (V, W)
    """
    margin = max(map(len, tgt), default=0) + 1
    height = max(map(len, src), default=0)
    header = [
        " " * margin + " ".join(word.rjust(height)[line] for word in src) for line in range(height)
    ]
    rows = [
        f"{word.rjust(margin - 1)} "
        + " ".join(_SHADES[round(weight * (len(_SHADES) - 1))] for weight in row)
        for word, row in zip(tgt, weights, strict=True)
    ]
    return "\n".join(line.rstrip() for line in [*header, *rows])


def write_html(aligner: Aligner, pairs: Sequence[Pair], path: Path) -> None:
    """A page in one file, to point at words in: every layer, head and step of these pairs.

    Args:
        aligner: its reading is the one shown first
        pairs: at least one
        path: where the page goes
    """
    layers, heads = aligner.model.decoder_layers, aligner.model.n_heads
    every = candidate_heads(layers, [*range(heads), None])  # the mean last
    shown: list[dict[str, Any]] = []
    for (src, tgt), found in zip(
        pairs, attention_between_words(aligner.translator, pairs, every), strict=True
    ):
        matrices = found.round(3).reshape(len(STEPS), layers, heads + 1, *found.shape[1:])
        of_steps = dict(zip(STEPS, matrices.tolist(), strict=True))
        shown.append({"src": src.words, "tgt": tgt.words, **of_steps})
    data = {
        "reading": asdict(aligner.reading),
        "languages": {"src": aligner.translator.src_lang, "tgt": aligner.translator.tgt_lang},
        "pairs": shown,
    }
    # Nothing in the data may end the script that it stands in, or begin another.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    write_text(path, template.replace("DATA", text, 1))
