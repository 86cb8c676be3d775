"""Results that are on file: nothing replaces them by fewer, or by figures of other pictures."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from train.config import ConfigError

Pair = tuple[str, str]
"""A denoiser and a noise, by their ids."""


def read_results(path: Path) -> dict[str, Any]:
    """Read a file of scores; empty if it isn't there.

    Raises:
        ConfigError: It is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _pairs(content)
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} is damaged: bring it back from where you have it, or delete it to start anew"
        ) from None
    return content


def check_replaceable(
    path: Path, pictures: int, coming: Collection[Pair], possible: Collection[Pair]
) -> None:
    """Refuse, before anything is computed, what would replace results by fewer.

    Args:
        path: The file of results that is about to be written.
        pictures: How many pictures the new scores will be of.
        coming: The scores that it will hold.
        possible: All that this code can score: what it no longer can is not missed.

    Raises:
        ConfigError: The file there is of another number of pictures, or has scores that will be missing.
    """
    there = read_results(path)
    if not there:
        return
    if there.get("pictures") != pictures:
        raise ConfigError(
            f"{path} is of {there.get('pictures')} test pictures, and this copy of FER2013 has "
            f"{pictures}: the figures don't compare; write them elsewhere, with --output FOLDER"
        )
    lost = {denoiser for denoiser, noise in _pairs(there).intersection(possible).difference(coming)}
    if lost:
        raise ConfigError(
            f"{path} would lose the figures of {', '.join(sorted(lost))}, which are of other weights "
            "than those here: name these in --denoisers too, or leave --denoisers out"
        )


def _pairs(content: Any) -> set[Pair]:
    return {(score["denoiser"], score["noise"]) for score in content.get("scores", ())}
