"""What can be set? Every setting with its default, and how settings are read from files."""

from translator.config.settings import (
    Config,
    CorpusConfig,
    ModelConfig,
    NormalizerName,
    TokenizerConfig,
    TrainingConfig,
    differing_keys,
    flatten,
    save_config,
    settings_for_budget,
)

__all__ = [
    "Config",
    "CorpusConfig",
    "ModelConfig",
    "NormalizerName",
    "TokenizerConfig",
    "TrainingConfig",
    "differing_keys",
    "flatten",
    "save_config",
    "settings_for_budget",
]
