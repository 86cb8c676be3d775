"""The colours that carry numbers, each scale once; a pair told apart with any colour vision."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DIVERGING = ("#b45f06", "#e8bf86", "#f7f7f7", "#9cc5ea", "#1c6cc0")
"""From brown, below zero, to blue, above it."""

LIGHT_DIVERGING = ("#d08428", "#e8bf86", "#f7f7f7", "#9cc5ea", "#4890d8")
"""The same, light enough for dark numbers in it."""


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of a colour such as ``"#b45f06"``."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def colour_table(colours: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return 256 colours, (256, 3), that go evenly from the first to the last."""
    places = np.linspace(0, len(colours) - 1, 256)
    channels = zip(*map(rgb, colours), strict=True)
    return np.stack(
        [np.interp(places, range(len(colours)), channel) for channel in channels], axis=1
    ).astype(np.uint8)


def colour_scale(colours: Sequence[str]) -> list[list[float | str]]:
    """Return the same as Plotly names it."""
    return [[index / (len(colours) - 1), colour] for index, colour in enumerate(colours)]
