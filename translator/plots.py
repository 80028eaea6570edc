"""Pictures: the curves of a training, and what cross-attention looks at."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

from translator.files import write_atomically

matplotlib.use("agg")  # files only: no window, no display needed
from matplotlib.figure import Figure

_DPI = 150


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture in the format that the path's ending names."""
    kind = path.suffix.removeprefix(".")
    write_atomically(path, lambda temporary: figure.savefig(temporary, format=kind, dpi=_DPI))


def draw_curves(metrics: list[dict[str, Any]], path: Path) -> None:
    """Training loss and dev BLEU over the time of training."""
    losses = [(record["seconds"] / 60, record["loss"]) for record in metrics if "loss" in record]
    bleus = [
        (record["seconds"] / 60, record["dev_bleu"]) for record in metrics if "dev_bleu" in record
    ]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, points, label, marker in (
        (left, losses, "training loss (nats a piece)", None),
        (right, bleus, "dev BLEU (greedy)", "o"),
    ):
        axes.plot(*zip(*points, strict=True) if points else ([], []), marker=marker, markersize=4)
        axes.set_xlabel("minutes of training")
        axes.set_title(label)
        axes.grid(alpha=0.3)
    right.set_ylim(bottom=0)
    save_figure(figure, path)


def draw_attention(
    src_labels: list[str], tgt_labels: list[str], weights: npt.NDArray[np.float32], path: Path
) -> None:
    """A heat map: row t shows what was looked at while target piece t was predicted.

    Args:
        src_labels: S of them
        tgt_labels: T of them
        weights: (T, S), each row summing to 1
        path: where the picture goes
    """
    size = (1.5 + 0.45 * len(src_labels), 1.2 + 0.35 * len(tgt_labels))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(src_labels)), src_labels, rotation=60, ha="left")
    axes.set_yticks(range(len(tgt_labels)), tgt_labels)
    axes.xaxis.tick_top()
    figure.colorbar(image, label="cross-attention weight")
    save_figure(figure, path)
