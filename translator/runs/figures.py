"""Draw pictures: the curves of a training, and heat maps of cross-attention."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image  # matplotlib depends on it, to write PNG files

from translator.errors import TranslatorError
from translator.runs.measurements import Measurement
from translator.system.files import atomic_path

matplotlib.use("agg")  # files only: no window, no display needed
from matplotlib.figure import Figure

_DPI = 150

Floats = npt.NDArray[np.floating[Any]]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture in the format of the path's suffix."""
    kind = path.suffix.removeprefix(".")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=_DPI)


def draw_curves(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw training loss and dev BLEU over the time of training."""
    losses = [(m.seconds / 60, m.loss) for m in measurements if m.loss is not None]
    bleus = [(m.seconds / 60, m.dev_bleu) for m in measurements if m.dev_bleu is not None]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, points, label, marker in (
        (left, losses, "training loss (nats per token)", None),
        (right, bleus, "dev BLEU (greedy)", "o"),
    ):
        axes.plot(*zip(*points, strict=True) if points else ([], []), marker=marker, markersize=4)
        axes.set_xlabel("minutes of training")
        axes.set_title(label)
        axes.grid(alpha=0.3)
    right.set_ylim(bottom=0)
    save_figure(figure, path)


def draw_attention(
    pairs: Sequence[tuple[Sequence[str], Sequence[str], Floats]], path: Path, title: str = ""
) -> None:
    """Draw heat maps side by side: row v shows where target word v looked.

    Args:
        pairs: for each heat map, W source words, V target words, and weights (V, W)
        path: the file to write
        title: the title above all heat maps
    """
    # A third of an inch per word is legible; the rest is for the labels.
    widths = [1.2 + 0.33 * len(src) for src, _, _ in pairs]
    height = 1.6 + 0.33 * max(len(tgt) for _, tgt, _ in pairs)
    figure = Figure(figsize=(sum(widths) + 0.8, height), layout="constrained")
    all_axes = figure.subplots(1, len(pairs), width_ratios=widths, squeeze=False)[0]
    for axes, (src, tgt, weights) in zip(all_axes, pairs, strict=True):
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(
            range(len(src)), src, rotation=60, ha="left", rotation_mode="anchor", parse_math=False
        )
        axes.set_yticks(range(len(tgt)), tgt, parse_math=False)  # a $ is a $
        axes.xaxis.tick_top()
    figure.colorbar(image, ax=all_axes, label="attention weight")
    if title:
        figure.suptitle(title)
    save_figure(figure, path)


def join_pictures(paths: Sequence[Path], path: Path) -> None:
    """Stack pictures vertically, and write the result to `path` as PNG.

    Raises:
        TranslatorError: a file is not a picture, or the result can't be written.
    """
    pictures = []
    for each in paths:
        try:
            pictures.append(Image.open(each).convert("RGB"))
        # For a bad file, Pillow raises different errors for different formats.
        except Exception as error:
            raise TranslatorError(f"{each}: damaged, not a picture; delete it") from error
    width = max(picture.width for picture in pictures)
    joined = Image.new("RGB", (width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        joined.paste(picture, (0, top))
        top += picture.height
    with atomic_path(path) as temporary:
        joined.save(temporary, format="png")
