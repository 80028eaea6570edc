"""Train with JoeyNMT 2.3 and log where its time goes; this runs in JoeyNMT's environment.

    python joey_driver.py CONFIG NOTES

Before each validation it appends a line of JSON to NOTES: steps, seconds of training without
validation, target tokens, seconds spent waiting for batches, and positions and padding of both
sides. JoeyNMT writes the translations to STEP.hyps in its model folder.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from joeynmt import datasets, training
from joeynmt.config import load_config
from joeynmt.helpers import make_model_dir

notes: dict[str, float] = {"tgt_tokens": 0, "input_seconds": 0, "positions": 0, "padding": 0}
not_training = 0.0
began = 0.0


class TimedBatches:
    """A data loader that measures how long its user waits for batches."""

    def __init__(self, loader: Any) -> None:
        """Wrap a loader."""
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the loader."""
        batches = iter(self.loader)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            notes["input_seconds"] += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def __getattr__(self, name: str) -> Any:
        """Pass every other attribute on to the loader."""
        return getattr(self.loader, name)


def main(config_path: Path, notes_path: Path) -> None:
    """Replace methods of JoeyNMT with timed ones, and run its training."""
    manager = training.TrainManager
    make_iter, learn = datasets.BaseDataset.make_iter, manager._train_step
    validate, train = manager._validate, manager.train_and_validate

    def timed_iter(dataset: Any, *args: Any, **kwargs: Any) -> Any:
        loader = make_iter(dataset, *args, **kwargs)
        return TimedBatches(loader) if dataset.split == "train" else loader

    def noted_learn(self: Any, batch: Any) -> Any:
        used = int(batch.src_length.sum()) + batch.ntokens
        positions = batch.src.numel() + batch.trg_input.numel()
        notes["tgt_tokens"] += batch.ntokens
        notes["positions"] += positions
        notes["padding"] += positions - used
        return learn(self, batch)

    def noted_validate(self: Any, data: Any) -> None:
        global not_training
        started = time.perf_counter()
        seconds = started - began - not_training
        with notes_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.stats.steps, "seconds": seconds, **notes}) + "\n")
        validate(self, data)
        not_training += time.perf_counter() - started

    def timed_train(self: Any, *args: Any, **kwargs: Any) -> None:
        global began
        began = time.perf_counter()
        train(self, *args, **kwargs)

    datasets.BaseDataset.make_iter = timed_iter
    manager._train_step, manager._validate = noted_learn, noted_validate
    manager.train_and_validate = timed_train
    config = load_config(config_path)
    make_model_dir(Path(config["model_dir"]), overwrite=True)
    training.train(rank=0, world_size=None, cfg=config, skip_test=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
