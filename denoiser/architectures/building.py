"""Building a network out of a stranger's config: checked before anything is allocated."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import torch

from denoiser.weights.checkpoint import MAX_PARAMETERS, ModuleT, TooLargeError

_MAX_NUMBER = 4096  # of channels, say
_MAX_BLOCKS = 16
_MAX_ITEMS = {int: 8, str: 16}  # scales; experts


def build(
    network: Callable[[Any], ModuleT], config_class: type, name: str, settings: Mapping[str, Any]
) -> ModuleT:
    """Build a network with fresh weights.

    Args:
        network: Its class.
        config_class: The class of its config, a dataclass.
        name: What to call it in an error.
        settings: Fields of the config; what is missing takes the default. Lists, as JSON and TOML have
            them, become tuples.

    Raises:
        TooLargeError: The network would be absurdly large; nothing of it was allocated.
        ValueError: Unknown field, or a value that no network can be built with.
    """
    unknown = set(settings) - {field.name for field in fields(config_class)}
    if unknown:
        raise ValueError(f"{name} has no setting {', '.join(sorted(unknown))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    _check_sizes(config_class, values)
    try:
        config = config_class(**values)
    except ValueError as error:  # a config's own sentence
        raise ValueError(f"{name} can't be built: {error}") from None
    try:
        if not _has_types(config):
            raise TypeError("a value of another type than its field")
        with torch.device("meta"):  # counted before there is memory for it
            parameters = sum(p.numel() for p in network(config).parameters())
        if parameters > MAX_PARAMETERS:
            raise TooLargeError(f"{parameters:,} weights, and at most {MAX_PARAMETERS:,} are allowed")
        return network(config)
    except TooLargeError:
        raise
    except (ValueError, TypeError, IndexError, RuntimeError):
        raise ValueError(f"{name} can't be built with {dict(settings)}") from None


def _check_sizes(config_class: type, values: Mapping[str, Any]) -> None:
    """Refuse numbers, and lists, that no network needs: even counting its weights would take forever.

    Raises:
        TooLargeError: One is too large or too long.
    """
    for name, kind in _kinds(config_class).items():
        value = values.get(name, ())
        items = value if isinstance(value, tuple) else (value,)
        if len(items) > _MAX_ITEMS.get(kind, 1):
            raise TooLargeError(f"{name} may have {_MAX_ITEMS.get(kind, 1)} entries")
        most = _MAX_BLOCKS if name.endswith("_blocks") else _MAX_NUMBER
        if any(isinstance(item, int | float) and item > most for item in items):
            raise TooLargeError(f"{name} may be {most} at most")


def _has_types(config: Any) -> bool:
    """Say whether a config's values are of their fields' types, and its channels at least 1."""
    kinds = _kinds(type(config)).items()
    values = {name: getattr(config, name) for name, _ in kinds}
    return all(
        _is(kind, item) and not (name.endswith("widths") and item < 1)
        for name, kind in kinds
        for item in (values[name] if isinstance(values[name], tuple) else (values[name],))
    )


def _kinds(config_class: type) -> dict[str, type]:
    """Return the type of each field, or of its items."""
    return {
        name: get_args(hint)[0] if get_origin(hint) is tuple else hint
        for name, hint in get_type_hints(config_class).items()
    }


def _is(kind: type, value: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)
