"""Which defaults depend on other settings: the model grows with the time budget."""

from collections.abc import Mapping
from typing import Any

from translator.config.settings import ModelConfig, TrainingConfig

# The model for time budgets of at least so many minutes, on two cores. A wider model learns more
# from each pair, but sees fewer of them. 128 is the width of the quickstart, 192 that of
# laptop-1h, and 160 lies between them. Dropout helps once each pair is seen many times.
_BUDGETS: list[tuple[float, dict[str, Any]]] = [
    (40, {"model.d_model": 192, "model.n_heads": 6, "model.d_ff": 768, "model.dropout": 0.1}),
    (20, {"model.d_model": 160, "model.n_heads": 5, "model.d_ff": 640}),
    (0, {}),
]
# If the user sets one of these, the model of the time budget is not used.
_INSTEAD_OF_BUDGET = ("training.max_steps", "model.d_model", "model.n_heads", "model.d_ff")


def settings_for_budget(minutes: float) -> dict[str, Any]:
    """Return the settings of a time budget that differ from the defaults: {"section.key": value}.

    Args:
        minutes: `training.max_minutes`; any number
    """
    return next((settings for least, settings in _BUDGETS if minutes >= least), {})


def default_settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that differ from those of `Config`, given the settings of the user.

    The model of the time budget is used as a whole or not at all. It is not used if the user
    sets `training.max_steps`, `model.d_model`, `model.n_heads` or `model.d_ff`: then the other
    settings keep their normal defaults. Only `model.n_heads` adapts: if the user sets a
    `model.d_model` that can't be divided among 4 heads, the default is the largest number of heads
    below 4 that works.

    Args:
        chosen: the settings that the user has chosen, as {"section.key": value}; None counts as
            not chosen

    Returns:
        {"section.key": value}; it may contain settings of the user, whose values win.
    """
    if all(chosen.get(key) is None for key in _INSTEAD_OF_BUDGET):
        return settings_for_budget(chosen.get("training.max_minutes", TrainingConfig.max_minutes))
    d_model = chosen.get("model.d_model", ModelConfig.d_model)
    for n_heads in range(ModelConfig.n_heads, 0, -1):
        if d_model % (2 * n_heads) == 0:
            return {"model.n_heads": n_heads}
    return {}
