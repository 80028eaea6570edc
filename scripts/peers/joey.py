"""Train JoeyNMT 2.3 on our data, in its own environment."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import yaml
from benchmarking.model_steps import model_steps

from translator.config import Config
from translator.corpus.held_out import read_examples
from translator.data.prepare import Prepared
from translator.data.tokenizer import EOS_ID, Tokenizer
from translator.errors import TranslatorError
from translator.system.files import write_text
from translator.text.model_text import ModelText

_DRIVER = Path(__file__).with_name("joey_driver.py")
# Peak learning rates to choose from, around the one in its documented settings for small data.
LRS = (1e-3, 2e-3, 4e-3)
# Dev sentences whose loss decides on the learning rate. JoeyNMT also translates them, which takes
# minutes.
_TRIAL_SENTENCES = 300
# A line of JoeyNMT's validations.txt.
_VALIDATION = re.compile(r"Steps: (\d+).*?\bloss: +([\d.]+)")


def write_data(
    config: Config, prepared: Prepared, model_text: ModelText, tokenizer: Tokenizer, data: Path
) -> None:
    """Write our pairs and vocabulary in JoeyNMT's format; a source keeps its first reference.

    The pairs have the form of `ModelText`. The sources of dev are converted as for a translation,
    without a look at their references.
    """
    train = datasets.load_from_disk(prepared.corpus_dir / "train")
    train_src, train_tgt = zip(*map(model_text.pair, train["src"], train["tgt"]), strict=True)
    dev = read_examples(prepared.corpus_dir / "dev.jsonl")
    steps = model_steps(model_text)
    src, tgt = config.corpus.src_lang, config.corpus.tgt_lang
    files = {
        f"train.{src}": list(train_src),
        f"train.{tgt}": list(train_tgt),
        f"dev.{src}": [part for example in dev for part in steps.apply(example.src).parts],
        f"dev.{tgt}": [model_text.pair(e.src, e.references[0])[1] for e in dev],
        "vocabulary.txt": tokenizer.pieces(list(range(EOS_ID + 1, tokenizer.vocab_size))),
    }
    for language in (src, tgt):
        files[f"trial.{language}"] = files[f"dev.{language}"][:_TRIAL_SENTENCES]
    data.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        write_text(data / name, "\n".join(lines) + "\n")


def settings(
    config: Config,
    tokenizer: Path,
    data: Path,
    folder: Path,
    lr: float,
    steps: int,
    every: int,
    dev: str,
) -> dict[str, Any]:
    """JoeyNMT's documented settings for small data (iwslt14_deen_sp), with our shape and batch.

    Two changes make it learn faster: layer normalization before the sublayers, as in our model, and
    a warm-up of 400 steps, since the documented 4,000 steps are longer than the training.

    Args:
        config: our configuration
        tokenizer: our SentencePiece model
        data: the folder of `write_data`
        folder: where JoeyNMT writes
        lr: peak learning rate
        steps: length of the training
        every: steps between validations
        dev: name of the files in `data` to validate on
    """
    model = config.model
    side = {
        "level": "bpe",
        "voc_file": str(data / "vocabulary.txt"),
        "tokenizer_type": "sentencepiece",
        "tokenizer_cfg": {"model_file": str(tokenizer)},
    }
    shape = {
        "type": "transformer",
        "num_heads": model.n_heads,
        "embeddings": {"embedding_dim": model.d_model, "scale": True, "dropout": 0.0},
        "hidden_size": model.d_model,
        "ff_size": model.d_ff,
        "dropout": 0.1,
        "layer_norm": "pre",
    }
    return {
        "name": folder.name,
        "model_dir": str(folder),
        "use_cuda": False,
        "random_seed": config.seed,
        "data": {
            "train": str(data / "train"),
            "dev": str(data / dev),
            "dataset_type": "plain",
            "src": {"lang": config.corpus.src_lang, **side},
            "trg": {"lang": config.corpus.tgt_lang, **side},
        },
        "testing": {"batch_size": 2048, "batch_type": "token", "max_output_length": 100},
        "training": {
            "optimizer": "adam",
            "normalization": "tokens",
            "adam_betas": [0.9, 0.999],
            "scheduling": "warmupinversesquareroot",
            "learning_rate_warmup": 400,
            "learning_rate": lr,
            "learning_rate_min": 1e-8,
            "label_smoothing": 0.1,
            "loss": "crossentropy",
            "batch_size": config.training.batch_tokens,
            "batch_type": "token",
            "epochs": 1000,
            "updates": steps,
            "validation_freq": every,
            "logging_freq": every,
            "early_stopping_metric": "loss",
            "keep_best_ckpts": 1,
            "print_valid_sents": [],
        },
        "model": {
            "initializer": "xavier_normal",
            "bias_initializer": "zeros",
            "init_gain": 1.0,
            "embed_initializer": "xavier_normal",
            "embed_init_gain": 1.0,
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": {"num_layers": model.encoder_layers, **shape},
            "decoder": {"num_layers": model.decoder_layers, **shape},
        },
    }


@dataclass(frozen=True)
class Peer:
    """JoeyNMT, and what its trainings take from ours.

    Attributes:
        python: the interpreter of JoeyNMT's environment
        config: our configuration
        tokenizer: our SentencePiece model
        data: the folder of `write_data`
    """

    python: Path
    config: Config
    tokenizer: Path
    data: Path

    def train(
        self, folder: Path, lr: float, steps: int, every: int, dev: str
    ) -> list[dict[str, Any]]:
        """Train in JoeyNMT's environment.

        Args:
            folder: a new one, where JoeyNMT writes
            lr: peak learning rate
            steps: length of the training
            every: steps between validations
            dev: name of the files in `data` to validate on

        Returns:
            For each validation the driver's notes, JoeyNMT's dev `loss` and its `translations`.

        Raises:
            TranslatorError: the training failed.
        """
        folder.mkdir(parents=True)
        config_path, notes_path = folder / "config.yaml", folder / "notes.jsonl"
        config = settings(
            self.config, self.tokenizer, self.data, folder / "model", lr, steps, every, dev
        )
        write_text(config_path, yaml.safe_dump(config))
        command = [str(self.python), str(_DRIVER), str(config_path), str(notes_path)]
        log_path = folder / "log.txt"
        with log_path.open("w") as log:
            if subprocess.run(command, stdout=log, stderr=log).returncode:
                raise TranslatorError(f"JoeyNMT's training failed; see {log_path}")
        report = (folder / "model" / "validations.txt").read_text()
        losses = {int(step): float(loss) for step, loss in _VALIDATION.findall(report)}
        notes = [json.loads(line) for line in notes_path.read_text().splitlines()]
        for note in notes:
            hypotheses = folder / "model" / f"{note['step']}.hyps"
            note["translations"] = hypotheses.read_text(encoding="utf-8").splitlines()
            note["loss"] = losses[note["step"]]
        return notes

    def best_lr(self, folder: Path, steps: int) -> float:
        """The learning rate of `LRS` with the lowest dev loss after a training of `steps`."""
        trials = {lr: self.train(folder / f"{lr:g}", lr, steps, steps, "trial") for lr in LRS}
        for lr, notes in trials.items():
            print(f"JoeyNMT, lr {lr:g}: dev loss {notes[-1]['loss']:.3f}", file=sys.stderr)
        return min(trials, key=lambda lr: float(trials[lr][-1]["loss"]))
