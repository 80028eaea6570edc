"""Every setting: what it does, its default, and what to know before you change it.

The defaults are those of `configs/quickstart.yaml` (a test compares them). A YAML file overrides
the defaults, and options of the command line override both. `corpus_settings` has the settings of
the corpus.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from translator.config.checks import (
    require_at_most,
    require_choice,
    require_fraction,
    require_not_empty,
    require_positive,
)
from translator.config.corpus_settings import CorpusConfig
from translator.errors import TranslatorError
from translator.system.files import is_utf8, write_text

# The function that turns attention scores into weights; see `translator.model.normalizers`.
NormalizerName = Literal["softmax", "entmax15", "sparsemax", "topk", "entmax"]

# Seeds of PyTorch's random generators have 64 bits.
_MAX_SEED = 2**64
# Upper bound of all other numbers, so that integers fit into 32 bits and the product of two
# settings fits into float32.
_MAX_NUMBER = 2**31
_SPECIAL_TOKENS = 4
# Larger than the vocabularies of models for a hundred languages. It bounds the file of a tokenizer.
MAX_VOCAB_SIZE = 2**18
# A billion parameters is 40 times the model of configs/gpu.yaml; the weights alone take 4 GB. More
# than 1,000 layers only cost time.
_MAX_PARAMETERS, _MAX_LAYERS = 10**9, 1000
# More than any machine has cores. The operating system can't start far more threads, and would
# kill the process without a message.
_MAX_THREADS = 1024
# Dropout compares random bytes with a threshold, so it drops at most 255 of 256 values.
_MAX_DROPOUT = 0.996


@dataclass(frozen=True)
class TokenizerConfig:
    """The SentencePiece vocabulary that both languages share.

    Args:
        vocab_size: number of tokens. A larger vocabulary divides sentences into fewer, longer
            tokens; a smaller one makes the softmax over the vocabulary faster
        bpe_dropout: probability of skipping a merge, so that a sentence is tokenized differently
            in each epoch (Provilkov et al. 2020). It helps in long runs, but keeps the text of
            the corpus in memory. With 0, a sentence always has the same tokens
    """

    vocab_size: int = 8000
    bpe_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        require_positive("tokenizer", self, "vocab_size")
        require_at_most("tokenizer", self, MAX_VOCAB_SIZE, "vocab_size")
        if self.vocab_size <= _SPECIAL_TOKENS:
            raise TranslatorError(
                f"tokenizer.vocab_size must be more than {_SPECIAL_TOKENS}, the number of tokens "
                "for padding, unknown characters, beginning and end"
            )
        require_fraction("tokenizer", self, "bpe_dropout")


@dataclass(frozen=True)
class VariationConfig:
    """What each epoch changes in the training pairs, so that the model learns what people type.

    `variation: off` sets all of them to 0: each epoch has the pairs of the corpus.
    scripts/README.md has a table of what each one brings.

    Args:
        marks: share of the pairs whose source loses its final mark
        names: share of the pairs in which a name that both sides have becomes a placeholder, so
            that the model learns to copy names it has never seen; 0 also keeps other placeholders
            as they are
        phrases: number of words and phrases to add, as a share of the number of pairs; they come
            from word alignments of the corpus
    """

    marks: float = 0.1
    names: float = 0.4
    phrases: float = 0.1

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        for name in ("marks", "names", "phrases"):
            require_fraction("variation", self, name)


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the Transformer.

    Args:
        d_model: width of the vectors between the layers; a longer time budget has a wider default,
            see `translator.config.budget`
        n_heads: number of attention heads; each is d_model / n_heads wide. If you set d_model
            alone and it can't be divided among 4 heads, the default is the largest number of
            heads below 4 that works
        encoder_layers: number of layers that read the source
        decoder_layers: number of layers that write the target
        d_ff: width inside the feed-forward blocks; usually 4 × d_model (Vaswani et al. 2017)
        dropout: fraction of the values set to 0 in training, at most 0.996. Leave it at 0 as
            long as each pair is seen only a few times
        cross_attention: how scores become weights in the attention to the source: softmax;
            entmax15 or sparsemax, which make some weights exactly 0; topk, a softmax over the
            top_k highest scores; entmax, with a sparsity that each head learns. All except
            softmax are slower and can't be exported
        self_attention: the same for the attention of a sentence to itself
        top_k: number of scores that topk keeps
    """

    d_model: int = 128
    n_heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    d_ff: int = 512
    dropout: float = 0.0
    cross_attention: NormalizerName = "softmax"
    self_attention: NormalizerName = "softmax"
    top_k: int = 4

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        names = ("d_model", "n_heads", "encoder_layers", "decoder_layers", "d_ff", "top_k")
        require_positive("model", self, *names)
        require_choice("model", self)
        require_fraction("model", self, "dropout")
        require_at_most("model", self, _MAX_DROPOUT, "dropout")
        require_at_most("model", self, _MAX_LAYERS, "encoder_layers", "decoder_layers")
        if self.d_model % (2 * self.n_heads):
            raise TranslatorError(
                f"model.d_model ({self.d_model}) must be a multiple of twice model.n_heads "
                f"({self.n_heads})"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How the model learns, and for how long.

    Args:
        max_steps: number of optimizer steps; if it is set, max_minutes is ignored
        max_minutes: minutes of training. The speed is measured once, at the start, and the minutes
            become a number of steps; evaluation is not counted
        batch_tokens: size of a batch: number of pairs times the length of the longest side,
            padding included
        gradient_accumulation: number of batches whose gradients are summed for one step
        optimizer: muon (Muon for the matrices, AdamW for the rest) or adamw (AdamW for all)
        muon_lr: peak learning rate of the matrices with muon; 0.015 is equally good, 0.035 is worse
        lr: peak learning rate of everything that AdamW trains. With muon these are mainly the
            token embeddings, which need a higher rate than is usual for a whole model
        warmup_steps: number of steps in which the learning rates rise linearly from zero;
            afterwards they fall linearly to zero
        weight_decay: decoupled weight decay of the matrices, relative to the learning rate
        label_smoothing: probability that is spread over the vocabulary (Szegedy et al. 2016)
        guided_alignment: a file with word links for each training pair, as written by `translator
            align --train`. One head of the second-to-last decoder layer learns to look at the
            linked words (Garg et al. 2019)
        guided_alignment_weight: weight of the loss of that head, relative to the cross-entropy;
            0.05 in Garg et al. 2019
        max_grad_norm: clip the gradient to this norm; 0 turns clipping off
        embedding_init: start with token embeddings computed from how often tokens occur together
            in the pairs, instead of random ones
        init_from: start from the weights and the tokenizer of this trained run, to adapt it to
            other pairs. The model must have the same shape: settings of model (except dropout)
            and tokenizer.vocab_size that you leave out are those of that run. embedding_init is
            ignored
        ema_decay: evaluate and keep an exponential moving average of the weights with this decay,
            which is worth about 3 BLEU in the middle of training; 0 turns it off
        evaluations: number of times that dev BLEU is measured, at even intervals; the last
            time is after the final step
        patience: stop after this many evaluations without a better dev BLEU; 0 never stops early
        checkpoint_minutes: minutes between saved states; each evaluation saves one too
        tensorboard: also write the measurements for TensorBoard, into the folder `tensorboard` of
            the run
        device: where to compute; auto takes cuda if there is one, else mps, else cpu
        threads: number of CPU threads; 0 lets PyTorch choose, one per core
        precision: precision of matrix products in training. auto takes bfloat16 if the processor
            or GPU has units for it, which make a step up to twice as fast, and float32 otherwise;
            a resumed training keeps it. Weights are always float32
    """

    max_steps: int | None = None
    max_minutes: float = 10.0
    batch_tokens: int = 2048
    gradient_accumulation: int = 1
    optimizer: Literal["muon", "adamw"] = "muon"
    muon_lr: float = 0.02
    lr: float = 0.006
    warmup_steps: int = 50
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    guided_alignment: str | None = None
    guided_alignment_weight: float = 0.05
    max_grad_norm: float = 1.0
    embedding_init: bool = True
    init_from: str | None = None
    ema_decay: float = 0.99
    evaluations: int = 10
    patience: int = 0
    checkpoint_minutes: float = 1.0
    tensorboard: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        names = ("max_minutes", "batch_tokens", "gradient_accumulation", "muon_lr")
        require_positive("training", self, *names, "lr", "evaluations", "guided_alignment_weight")
        if self.max_steps is not None:
            require_positive("training", self, "max_steps")
        require_choice("training", self)
        rest = ("warmup_steps", "weight_decay", "max_grad_norm", "patience", "checkpoint_minutes")
        for name in (*rest, "threads"):
            if getattr(self, name) < 0:
                raise TranslatorError(f"training.{name} must not be negative")
        require_at_most("training", self, _MAX_THREADS, "threads")
        require_fraction("training", self, "label_smoothing")
        require_fraction("training", self, "ema_decay")


@dataclass(frozen=True)
class Config:
    """All settings of a run.

    Args:
        corpus: where the sentence pairs come from
        tokenizer: the vocabulary
        variation: what each epoch changes in the training pairs
        model: the shape of the Transformer
        training: how the model learns
        seed: seed of all random numbers
        data_dir: folder for downloads and prepared corpora
    """

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    variation: VariationConfig = field(default_factory=VariationConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 1
    data_dir: str = "data"

    def __post_init__(self) -> None:
        """Check ranges and combinations, which types can't express."""
        for key, value in _plain_values("", asdict(self)):
            if isinstance(value, float) and not math.isfinite(value):
                raise TranslatorError(f"{key} must be a finite number, not {value}")
            if isinstance(value, int | float) and key != "seed" and abs(value) >= _MAX_NUMBER:
                raise TranslatorError(f"{key} must be less than {_MAX_NUMBER}")
            require_not_empty(key, value)
            if isinstance(value, str) and ("\0" in value or not is_utf8(value)):
                raise TranslatorError(
                    f"{key} holds a character that no file name can have: "
                    f"{value.encode('unicode_escape').decode()}"
                )
        if not 0 <= self.seed < _MAX_SEED:
            raise TranslatorError(f"seed must not be negative, and must be less than {_MAX_SEED}")
        if self.matrix_parameters() > _MAX_PARAMETERS:
            raise TranslatorError(
                f"model.* and tokenizer.vocab_size give a model of {self.matrix_parameters():,} "
                f"parameters, more than {_MAX_PARAMETERS:,}: choose smaller values"
            )
        if self.training.guided_alignment and self.tokenizer.bpe_dropout:
            raise TranslatorError(
                "training.guided_alignment links tokens, but tokenizer.bpe_dropout changes them "
                "in each epoch: set only one of the two"
            )

    def matrix_parameters(self) -> int:
        """Count the parameters, except the few of the norms and normalizers."""
        model = self.model
        attentions = model.encoder_layers + 2 * model.decoder_layers
        layers = model.encoder_layers + model.decoder_layers
        widths = 4 * attentions * model.d_model + 2 * layers * model.d_ff
        return model.d_model * (widths + self.tokenizer.vocab_size)


def _plain_values(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the numbers and texts in a setting, each with its key; lists have no keys inside."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _plain_values(f"{key}.{name}".removeprefix("."), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _plain_values(key, inner)
    else:
        yield key, value


def flatten(config: Config) -> dict[str, Any]:
    """Return all settings as {"section.key": value}."""
    flat: dict[str, Any] = {}
    for section, value in asdict(config).items():
        if isinstance(value, dict):
            flat.update({f"{section}.{key}": inner for key, inner in value.items()})
        else:
            flat[section] = value
    return flat


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    write_text(path, to_yaml(config))


def to_yaml(config: Config) -> str:
    """Return all settings as YAML."""
    import yaml

    settings = asdict(config)
    text: str = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    # PyYAML takes some characters for line breaks when it reads them (U+0085): escape them.
    if yaml.safe_load(text) != settings:
        text = yaml.safe_dump(settings, sort_keys=False)
    return text


# What `variation: off` stands for.
NO_VARIATION = VariationConfig(marks=0, names=0, phrases=0)
