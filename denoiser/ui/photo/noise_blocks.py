"""Noise for a whole photo, block by block: a region has the very noise that the whole picture has there.

The picture is cut into fixed blocks, each with a seed of its own. So a region can be made without the
rest, and the whole picture without ever being in floats as a whole. No Gradio in here.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from denoiser.images import Image
from denoiser.images.values import to_unit
from denoiser.noise import NoiseModel

BLOCK = 256
"""Side of a block in pixels; a multiple of JPEG's 16, so that a block is compressed as in one piece."""

_REACH = 32
"""So many pixels around a block are damaged with it, and cut off again, where that makes no seams."""

_NEVER_ACROSS = ("occlusion",)  # its squares would be cut off at a block's edge

DeepPixels = npt.NDArray[np.uint16]
"""(H, W) or (H, W, 3), 0 to 65535: noisy pictures are kept so, to the nearest value."""

_WHITE = 65535


def to_deep(image: Image) -> DeepPixels:
    """Convert floats, clipped to [0, 1], to the nearest of 0 to 65535."""
    return np.rint(np.clip(image, 0, 1) * np.float32(_WHITE)).astype(np.uint16)


def noisy_part(
    pixels: np.ndarray, noise: NoiseModel, seed: int, top: int, left: int, height: int, width: int
) -> DeepPixels:
    """Return a part of the noisy picture, which is the same in whatever part it is asked for.

    Args:
        pixels: The clean photo, (H, W) or (H, W, 3), uint8 or uint16.
        noise: What to apply.
        seed: A whole number from 0.
        top: The part's first row.
        left: Its first column.
        height: How many rows it has; it has to lie within the photo.
        width: How many columns.
    """
    part = np.empty((height, width, *pixels.shape[2:]), np.uint16)
    for block_row in range(top // BLOCK, -(-(top + height) // BLOCK)):
        for block_column in range(left // BLOCK, -(-(left + width) // BLOCK)):
            block = _noisy_block(pixels, noise, seed, block_row, block_column)
            block_top, block_left = BLOCK * block_row, BLOCK * block_column
            first, last = max(top, block_top), min(top + height, block_top + block.shape[0])
            start, end = max(left, block_left), min(left + width, block_left + block.shape[1])
            part[first - top : last - top, start - left : end - left] = block[
                first - block_top : last - block_top, start - block_left : end - block_left
            ]
    return part


def noisy_strips(pixels: np.ndarray, noise: NoiseModel, seed: int) -> Iterator[tuple[int, DeepPixels]]:
    """Yield the whole noisy picture from top to bottom, a row of blocks at a time."""
    height, width = pixels.shape[:2]
    for top in range(0, height, BLOCK):
        rows = min(BLOCK, height - top)
        yield top, noisy_part(pixels, noise, seed, top, 0, rows, width)


def _noisy_block(
    pixels: np.ndarray, noise: NoiseModel, seed: int, block_row: int, block_column: int
) -> DeepPixels:
    height, width = pixels.shape[:2]
    reach = 0 if noise.id in _NEVER_ACROSS else _REACH
    top, left = BLOCK * block_row, BLOCK * block_column
    bottom, right = min(top + BLOCK, height), min(left + BLOCK, width)
    outer_top, outer_left = max(top - reach, 0), max(left - reach, 0)
    outer = pixels[outer_top : min(bottom + reach, height), outer_left : min(right + reach, width)]
    noisy = noise(to_unit(outer), _seed_of(seed, block_row, block_column))
    inner = noisy[top - outer_top :, left - outer_left :][: bottom - top, : right - left]
    return to_deep(inner)


def _seed_of(seed: int, block_row: int, block_column: int) -> int:
    """Derive a block's seed; blocks of one picture, or of neighbouring seeds, have nothing in common."""
    mixed = np.random.SeedSequence((seed, block_row, block_column)).generate_state(1, np.uint64)
    return int(mixed[0] >> np.uint64(1))
