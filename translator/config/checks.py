"""Check ranges and choices of settings; an error names the key."""

from typing import Literal, get_args, get_origin, get_type_hints

from translator.errors import TranslatorError


def require_positive(section: str, config: object, *names: str) -> None:
    """Check that settings of a section are greater than zero."""
    for name in names:
        if getattr(config, name) <= 0:
            raise TranslatorError(f"{section}.{name} must be greater than zero")


def require_at_most(section: str, config: object, limit: float, *names: str) -> None:
    """Check that settings of a section are not above a limit."""
    for name in names:
        if getattr(config, name) > limit:
            raise TranslatorError(f"{section}.{name} must be at most {limit}")


def require_fraction(section: str, config: object, name: str) -> None:
    """Check that a setting is at least 0 and less than 1."""
    if not 0 <= getattr(config, name) < 1:
        raise TranslatorError(f"{section}.{name} must be at least 0 and less than 1")


def require_not_empty(name: str, value: object) -> None:
    """Check that neither a text nor a text in a list is empty, as an unset shell variable is.

    Args:
        name: the setting or option
        value: of any type
    """
    if "" in (value if isinstance(value, list) else [value]):
        raise TranslatorError(
            f"{name} is empty, like a shell variable that is not set; give a value, or leave it out"
        )


def require_choice(section: str, config: object) -> None:
    """Check the settings whose values are a few fixed names."""
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            choices = ", ".join(get_args(hint))
            raise TranslatorError(f'{section}.{name} must be one of {choices}, not "{value}"')
