"""What can be set? Every setting with its default, and how settings are read from files."""

from translator.config.budget import default_settings, settings_for_budget
from translator.config.comparison import differing_keys, fixed_settings, shape_keys
from translator.config.corpus_settings import CorpusConfig, SourceConfig
from translator.config.settings import (
    MAX_VOCAB_SIZE,
    NO_VARIATION,
    Config,
    ModelConfig,
    NormalizerName,
    TokenizerConfig,
    TrainingConfig,
    VariationConfig,
    flatten,
    save_config,
    to_yaml,
)

__all__ = [
    "MAX_VOCAB_SIZE",
    "NO_VARIATION",
    "Config",
    "CorpusConfig",
    "ModelConfig",
    "NormalizerName",
    "SourceConfig",
    "TokenizerConfig",
    "TrainingConfig",
    "VariationConfig",
    "default_settings",
    "differing_keys",
    "fixed_settings",
    "flatten",
    "save_config",
    "settings_for_budget",
    "shape_keys",
    "to_yaml",
]
