"""Every setting: what it does, its default, and what to know before changing it.

The defaults are the quickstart: they and `configs/quickstart.yaml` are the same (a test sees to
it). YAML files override them, and dotted options of the command line override both.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from translator.errors import TranslatorError
from translator.system.files import is_utf8, write_text

# What turns attention scores into weights; `translator.model.normalizers` has the functions.
NormalizerName = Literal["softmax", "entmax15", "sparsemax", "topk", "entmax"]

# PyTorch's generators take no larger ones.
_MAX_SEED = 2**64
# Of every other number: what computes with them keeps whole ones in 32 bits, and products of two
# others in the range of float32.
_MAX_NUMBER = 2**31
_SPECIAL_TOKENS = 4
# 40 times those of configs/gpu.yaml, which is 4 GB without what training adds; and where each
# further layer is nothing but time.
_MAX_PARAMETERS, _MAX_LAYERS = 10**9, 1000
# Of any machine; far more can't be started, and end the program without a word.
_MAX_THREADS = 1024


@dataclass(frozen=True)
class CorpusConfig:
    """Where the sentence pairs come from and which are kept.

    The default corpus is used unless `files` or `hub_name` is given.

    Args:
        direction: source and target language, as "en-es" or "es-en"
        files: one TSV file, or two line-aligned text files; plain, gzip or xz
        languages: the languages of the two columns (or files), in their order
        hub_name: a data set of the Hugging Face hub, or the path of a local copy of one
        hub_config: the data set's configuration, such as "en-es"
        hub_split: the part of the data set to take pairs from
        hub_columns: the columns of the two `languages`; a dot goes into a nested column
        hub_rows: stream the data set, and take this many rows: the rest is not fetched, and nothing
            is put into the hub's cache; null fetches the whole part
        hub_licence: the data set's licence and attribution, for the report
        max_chars: drop pairs with a longer side; the longest default sentence has 332
        max_length_ratio: drop pairs whose word counts differ by more than this factor
        dev_sentences: source sentences for tuning; at most a tenth of the corpus
        test_sentences: source sentences for the final score; at most a tenth of the corpus
    """

    direction: str = "en-es"
    files: str | list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=lambda: ["en", "es"])
    hub_name: str | None = None
    hub_config: str | None = None
    hub_split: str = "train"
    hub_columns: list[str] = field(default_factory=lambda: ["translation.en", "translation.es"])
    hub_rows: int | None = None
    hub_licence: str = "see the data set's page on the hub"
    max_chars: int = 500
    max_length_ratio: float = 3.0
    dev_sentences: int = 2000
    test_sentences: int = 2000

    def __post_init__(self) -> None:
        """Check what a type can't say."""
        if self.hub_name and self.files:
            raise TranslatorError("corpus.files and corpus.hub_name are both set: keep one of them")
        for name in ("languages", "hub_columns"):
            if len(getattr(self, name)) != 2:
                raise TranslatorError(f"corpus.{name} must name exactly two, such as [en, es]")
        first, second = self.languages
        if first == second:
            raise TranslatorError(f"corpus.languages must differ, and are both {first}")
        if self.direction not in (f"{first}-{second}", f"{second}-{first}"):
            raise TranslatorError(
                f'corpus.direction is "{self.direction}", but corpus.languages are {first} and '
                f'{second}: write "{first}-{second}" or "{second}-{first}"'
            )
        _require_positive("corpus", self, "max_chars", "max_length_ratio", "dev_sentences")
        _require_positive("corpus", self, "test_sentences")
        if self.hub_rows is not None:
            _require_positive("corpus", self, "hub_rows")

    @property
    def src_lang(self) -> str:
        """The language translated from."""
        first, second = self.languages
        return first if self.direction == f"{first}-{second}" else second

    @property
    def tgt_lang(self) -> str:
        """The language translated into."""
        first, second = self.languages
        return second if self.src_lang == first else first


@dataclass(frozen=True)
class TokenizerConfig:
    """The joint SentencePiece vocabulary.

    Args:
        vocab_size: pieces shared by both languages: with more, a sentence has fewer of them, nearer
            to words; with fewer, the softmax over them costs less
        bpe_dropout: the chance to skip a merge (Provilkov et al. 2020), so that each epoch cuts
            its sentences into other tokens. It pays in long runs, and keeps the text of the
            corpus in memory; 0 always cuts the same way
    """

    vocab_size: int = 8000
    bpe_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check what a type can't say."""
        _require_positive("tokenizer", self, "vocab_size")
        if self.vocab_size <= _SPECIAL_TOKENS:
            raise TranslatorError(
                f"tokenizer.vocab_size must be more than {_SPECIAL_TOKENS}, which are those for "
                "padding, the unknown, beginnings and ends"
            )
        _require_fraction("tokenizer", self, "bpe_dropout")


@dataclass(frozen=True)
class ModelConfig:
    """The Transformer's shape.

    Args:
        d_model: width of every vector between the layers
        n_heads: attention heads; each is d_model / n_heads wide
        encoder_layers: layers that read the source
        decoder_layers: layers that write the target
        d_ff: width inside the feed-forward blocks; 4 × d_model as in Vaswani et al. 2017
        dropout: share of values dropped; 0 while the data is seen only a few times
        cross_attention: how scores become weights where the decoder looks at the source: softmax;
            entmax15 and sparsemax, with weights that are exactly 0; topk, softmax over the highest;
            entmax, with a sparsity that each head learns. All but softmax are slower, and not to
            be exported
        self_attention: likewise where a sentence looks at itself
        top_k: how many the highest are, for topk
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
        """Check what a type can't say."""
        names = ("d_model", "n_heads", "encoder_layers", "decoder_layers", "d_ff", "top_k")
        _require_positive("model", self, *names)
        _require_fraction("model", self, "dropout")
        _require_at_most("model", self, _MAX_LAYERS, "encoder_layers", "decoder_layers")
        if self.d_model % (2 * self.n_heads):
            raise TranslatorError(
                f"model.d_model ({self.d_model}) must be a multiple of twice model.n_heads "
                f"({self.n_heads})"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How the model learns, and for how long.

    Args:
        max_steps: optimizer steps; wins over max_minutes
        max_minutes: minutes of training, turned into steps once, from the speed measured at the
            start; evaluation is not counted
        batch_tokens: positions in a batch, padding included, of the longer of its two sides
        gradient_accumulation: batches whose gradients make one step
        optimizer: muon (matrices by Muon, the rest by AdamW) or adamw (all by AdamW)
        muon_lr: peak rate of the matrices under muon; 0.015 does as well, 0.035 worse
        lr: peak rate of everything AdamW trains; under muon that is above all the piece
            vectors, which want more than is usual for a whole model
        warmup_steps: steps in which the rates rise from zero; then they fall to zero linearly
        weight_decay: decoupled decay of the matrices, as a share of the learning rate
        label_smoothing: probability spread over the vocabulary (Szegedy et al. 2016)
        guided_alignment: a file with the links between the words of each training pair, as
            `translator align --train` writes it: one head of the second to last decoder layer
            then learns to look at what a word is linked to
        guided_alignment_weight: weight of that head's loss, relative to the cross-entropy; 0.05
            in Garg et al. 2019
        max_grad_norm: clip the gradient to this length; 0 for no clipping
        embedding_init: begin with piece vectors counted from the pairs, in place of random ones
        ema_decay: average the weights with this decay a step and use the average, which in the
            middle of a training is worth some 3 BLEU; 0 for none
        evaluations: how often dev BLEU is measured, spread evenly; the last is the final step
        patience: stop after so many evaluations without a better dev BLEU; 0 never stops early
        checkpoint_minutes: minutes between saved states; evaluation always saves one
        tensorboard: write the measurements for TensorBoard as well, into the run's `tensorboard`
        device: auto takes cuda, else mps, else cpu
        threads: processor threads; 0 for PyTorch's choice (one per core)
        precision: of matrix products in training: auto takes bfloat16 where the processor or GPU
            has units for it, which then halve the time of a step or nearly so, and float32
            elsewhere, and stays with it when it goes on; weights are always float32
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
    ema_decay: float = 0.99
    evaluations: int = 10
    patience: int = 0
    checkpoint_minutes: float = 1.0
    tensorboard: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        """Check what a type can't say."""
        names = ("max_minutes", "batch_tokens", "gradient_accumulation", "muon_lr")
        _require_positive("training", self, *names, "lr", "evaluations")
        _require_positive("training", self, "guided_alignment_weight")
        if self.max_steps is not None:
            _require_positive("training", self, "max_steps")
        rest = ("warmup_steps", "weight_decay", "max_grad_norm", "patience", "checkpoint_minutes")
        for name in (*rest, "threads"):
            if getattr(self, name) < 0:
                raise TranslatorError(f"training.{name} must not be negative")
        _require_at_most("training", self, _MAX_THREADS, "threads")
        _require_fraction("training", self, "label_smoothing")
        _require_fraction("training", self, "ema_decay")


@dataclass(frozen=True)
class Config:
    """Everything a run depends on.

    Args:
        corpus: where the sentence pairs come from
        tokenizer: the joint vocabulary
        model: the Transformer's shape
        training: how the model learns
        seed: start of every random choice
        data_dir: folder for downloads and prepared corpora
    """

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 1
    data_dir: str = "data"

    def __post_init__(self) -> None:
        """Check what a type can't say."""
        for key, value in flatten(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise TranslatorError(f"{key} must be a number, and not {value}")
            if isinstance(value, int | float) and key != "seed" and abs(value) >= _MAX_NUMBER:
                raise TranslatorError(f"{key} must be less than {_MAX_NUMBER}")
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and ("\0" in text or not is_utf8(text)):
                    raise TranslatorError(
                        f"{key} holds a character that no name of a file may have: "
                        f"{text.encode('unicode_escape').decode()}"
                    )
        if not 0 <= self.seed < _MAX_SEED:
            raise TranslatorError(f"seed must not be negative, and less than {_MAX_SEED}")
        if self.matrix_parameters() > _MAX_PARAMETERS:
            raise TranslatorError(
                f"model.* and tokenizer.vocab_size make a model of {self.matrix_parameters():,} "
                f"parameters, more than {_MAX_PARAMETERS:,}: choose smaller ones"
            )
        if self.training.guided_alignment and self.tokenizer.bpe_dropout:
            raise TranslatorError(
                "training.guided_alignment links tokens, and tokenizer.bpe_dropout changes them "
                "in each epoch: set one of the two"
            )

    def matrix_parameters(self) -> int:
        """How many parameters the model has, but for the few of norms and normalizers."""
        model = self.model
        attentions = model.encoder_layers + 2 * model.decoder_layers
        layers = model.encoder_layers + model.decoder_layers
        widths = 4 * attentions * model.d_model + 2 * layers * model.d_ff
        return model.d_model * (widths + self.tokenizer.vocab_size)


# Which model from so many minutes on, on two cores: a wider one learns more from a pair, and sees
# fewer. 128 and 192 are those of the quickstart and of laptop-1h; 160 lies between them. Noise pays
# once the data is seen many times.
_BUDGETS: list[tuple[float, dict[str, Any]]] = [
    (40, {"model.d_model": 192, "model.n_heads": 6, "model.d_ff": 768, "model.dropout": 0.1}),
    (20, {"model.d_model": 160, "model.n_heads": 5, "model.d_ff": 640}),
    (0, {}),
]


def settings_for_budget(minutes: float) -> dict[str, Any]:
    """What a time budget changes of the defaults, as {"section.key": value}.

    The command line takes these where neither an option nor a file says anything else.

    Args:
        minutes: `training.max_minutes`, whatever was written
    """
    return next((settings for least, settings in _BUDGETS if minutes >= least), {})


# What may change between a run's start and its resumption. Where its data lies, how often it is
# saved and who may read its measurements change no weight; threads and precision do, by a rounding:
# the trainer says so.
FREE_ON_RESUME = (
    "data_dir",
    "training.checkpoint_minutes",
    "training.tensorboard",
    "training.threads",
    "training.precision",
)


def flatten(config: Config) -> dict[str, Any]:
    """All settings as {"section.key": value}."""
    flat: dict[str, Any] = {}
    for section, value in asdict(config).items():
        if isinstance(value, dict):
            flat.update({f"{section}.{key}": inner for key, inner in value.items()})
        else:
            flat[section] = value
    return flat


def differing_keys(old: Config, new: Config) -> list[str]:
    """The keys in which two configurations differ, but for those free to change."""
    old_flat, new_flat = flatten(old), flatten(new)
    return [key for key in old_flat if old_flat[key] != new_flat[key] and key not in FREE_ON_RESUME]


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    import yaml

    write_text(path, yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True))


def _require_positive(section: str, config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise TranslatorError(f"{section}.{name} must be greater than zero")


def _require_at_most(section: str, config: object, limit: int, *names: str) -> None:
    for name in names:
        if getattr(config, name) > limit:
            raise TranslatorError(f"{section}.{name} must be at most {limit}")


def _require_fraction(section: str, config: object, name: str) -> None:
    if not 0 <= getattr(config, name) < 1:
        raise TranslatorError(f"{section}.{name} must be at least 0 and less than 1")
