"""Wavelet shrinkage in windows, with the thresholds of the whole picture.

BayesShrink's thresholds depend on the variance of a whole subband, and cycle spinning on pictures that
are rolled around: :class:`Rolled` is such a picture, of which any window can be had without the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from denoiser.denoisers.windows import Window
from denoiser.images import Image
from denoiser.images.values import to_unit

LEVELS = 2
NAME = "db2"
UNIT = 2**LEVELS
"""Windows have to begin at a multiple of this, for that their coefficients are the whole picture's."""

REACH = 24
"""How many pixels away one may be that counts for another one, up to a multiple of :data:`UNIT`."""

_BANDS = ("ad", "da", "dd")


@dataclass(frozen=True)
class Rolled:
    """A picture with a mirrored margin, rolled around its edges.

    Attributes:
        pixels: (H, W) or (H, W, 3).
        margin: In pixels, at every side.
        down: By how many rows it is rolled.
        right: By how many columns.
    """

    pixels: np.ndarray
    margin: int
    down: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, with the margin."""
        height, width = self.pixels.shape[:2]
        return height + 2 * self.margin, width + 2 * self.margin

    def cut(self, rows: slice, columns: slice) -> Image:
        """Return a window, (1, h, w) or (3, h, w), in [0, 1], as far as the picture reaches."""
        places = np.ix_(self._places(rows, 0, self.down), self._places(columns, 1, self.right))
        window = to_unit(self.pixels[places])
        return np.moveaxis(window, -1, 0) if window.ndim == 3 else window[None]

    def _places(self, part: slice, axis: int, shift: int) -> np.ndarray:
        """Return which rows or columns of the picture some of this one are."""
        length, total = self.pixels.shape[axis], self.shape[axis]
        unrolled = (np.arange(part.start, min(part.stop, total)) - shift) % total - self.margin
        folded = unrolled % (2 * length)
        return np.minimum(folded, 2 * length - 1 - folded)


def sum_squares(picture: Rolled, window: Window) -> np.ndarray:
    """Return sums of squares, and numbers, of the coefficients in a window's core.

    Returns:
        (channels, levels, bands, 2).
    """
    sums = []
    for plane in picture.cut(window.rows, window.columns):
        for step, bands in _details(_decompose(plane)):
            core = tuple(
                _core(part, whole, side, step)
                for part, whole, side in zip(
                    window.core, (window.rows, window.columns), picture.shape, strict=True
                )
            )
            parts = [bands[name][core].astype(np.float64) for name in _BANDS]
            sums.append([((part**2).sum(), part.size) for part in parts])
    return np.array(sums).reshape(-1, LEVELS, len(_BANDS), 2)


def bayes_thresholds(sums: np.ndarray, sigma: float) -> np.ndarray:
    """Return BayesShrink's thresholds, as scikit-image computes them.

    Args:
        sums: See :func:`sum_squares`, of all windows together: (..., 2).
        sigma: Standard deviation of the noise.
    """
    power = sums[..., 0] / sums[..., 1]
    return sigma**2 / np.sqrt(np.maximum(power - sigma**2, np.finfo(np.float32).eps))


def shrink(picture: Rolled, window: Window, thresholds: np.ndarray) -> Image:
    """Return a window's core of the picture that was rolled, shrunk.

    Args:
        picture: The rolled one.
        window: Of the picture that it is made of.
        thresholds: (channels, levels, bands).

    Returns:
        (h, w) or (h, w, 3).
    """
    cores = [
        slice(core.start + picture.margin + shift, core.stop + picture.margin + shift)
        for core, shift in zip(window.core, (picture.down, picture.right), strict=True)
    ]
    around = [slice(max(0, (c.start - REACH) // UNIT * UNIT), c.stop + REACH) for c in cores]
    inner = tuple(
        slice(core.start - whole.start, core.stop - whole.start)
        for core, whole in zip(cores, around, strict=True)
    )
    planes = picture.cut(around[0], around[1])
    shrunk = [_shrink(plane, t)[inner] for plane, t in zip(planes, thresholds, strict=True)]
    return shrunk[0] if picture.pixels.ndim == 2 else np.stack(shrunk, axis=-1)


def _shrink(plane: Image, thresholds: np.ndarray) -> Image:
    import pywt  # here: a machine that only trains has none

    coefficients = _decompose(plane)
    for level, bands in zip(thresholds, coefficients[1:], strict=True):
        for name, threshold in zip(_BANDS, level, strict=True):
            bands[name] = pywt.threshold(bands[name], threshold, mode="soft")
    height, width = plane.shape
    return pywt.waverecn(coefficients, NAME)[:height, :width]


def _decompose(plane: Image) -> list:
    import pywt

    return pywt.wavedecn(plane, NAME, level=LEVELS)


def _details(coefficients: Sequence) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """List subbands, coarse to fine, with how many pixels a coefficient stands for."""
    for level, bands in enumerate(coefficients[1:]):
        yield 2 ** (LEVELS - level), bands


def _core(core: slice, whole: slice, side: int, step: int) -> slice:
    """Return which of a window's coefficients are its core's; at the picture's end all the rest."""
    first = (core.start - whole.start) // step
    return slice(first, None if core.stop >= side else (core.stop - whole.start) // step)
