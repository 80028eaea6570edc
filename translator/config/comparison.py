"""Which settings of two configurations must be equal: to resume a run, or to take its weights."""

from typing import Any

from translator.config.settings import Config, flatten

# Settings that may change when a run is resumed. The folder of the data, the interval between
# saved states and TensorBoard don't affect the weights. The device, the threads and the precision
# change how sums are rounded, so the trainer prints a note.
FREE_ON_RESUME = (
    "data_dir",
    "training.checkpoint_minutes",
    "training.tensorboard",
    "training.device",
    "training.threads",
    "training.precision",
)
# Settings that decide the names and shapes of the weights.
_SHAPE_KEYS = (
    "model.d_model",
    "model.n_heads",
    "model.encoder_layers",
    "model.decoder_layers",
    "model.d_ff",
    "model.cross_attention",
    "model.self_attention",
    "tokenizer.vocab_size",
)


def fixed_settings(config: Config) -> dict[str, Any]:
    """Return the settings that stay the same when a run is resumed, as {"section.key": value}."""
    return {key: value for key, value in flatten(config).items() if key not in FREE_ON_RESUME}


def differing_keys(old: Config, new: Config) -> list[str]:
    """Return the keys in which two configurations differ, except those that are free on resume."""
    old_settings, new_settings = fixed_settings(old), fixed_settings(new)
    return [key for key, value in old_settings.items() if value != new_settings[key]]


def shape_keys(config: Config) -> dict[str, Any]:
    """Return the settings that decide the shapes of the weights, as {"section.key": value}.

    The weights of a run fit a model if and only if these settings are equal. The number of heads
    and the kind of attention are among them: they decide how the weights are used.
    """
    flat = flatten(config)
    return {key: flat[key] for key in _SHAPE_KEYS}
