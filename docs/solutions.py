"""An answer to each of the exercises in ``docs/exercises.md``, in NumPy and SciPy alone.

``python -m denoiser score docs/solutions.py:mean --noise gaussian-25`` scores the first one.
"""

from functools import cache

import numpy as np
from scipy import fft, ndimage


def mean(noisy):
    """Exercise 1: the mean of the 3x3 window."""
    return ndimage.uniform_filter(noisy, 3)


def median(noisy):
    """Exercise 2: the median of the 3x3 window."""
    return ndimage.median_filter(noisy, 3)


def impulses(noisy):
    """Exercise 3: only black and white pixels are replaced, by the median of the others around them."""
    return _fill(noisy, (noisy <= 0) | (noisy >= 1))


def blur(noisy, sigma):
    """Exercise 4: a Gaussian whose width grows with the strength of the noise."""
    return ndimage.gaussian_filter(noisy, 1.5 * np.cbrt(sigma))


def bilateral(noisy, sigma):
    """Exercise 5: a mean of the 5x5 window, by distance and by likeness."""
    total, weights = np.zeros_like(noisy), np.zeros_like(noisy)
    for down, right in np.ndindex(5, 5):
        neighbour = _shift(noisy, down - 2, right - 2)
        distance = (down - 2) ** 2 + (right - 2) ** 2
        likeness = (neighbour - noisy) ** 2 / (2 * (2.75 * sigma) ** 2)
        weight = np.exp(-distance / (2 * 1.2**2) - likeness)
        total += weight * neighbour
        weights += weight
    return total / weights


def non_local_means(noisy, sigma):
    """Exercise 6: a mean of the 7x7 window, by the likeness of the 5x5 patches around."""
    return _non_local(noisy, sigma)


def two_noises(noisy):
    """Exercise 7: the impulses first, or they would be smeared; then the grain, of known strength."""
    return _non_local(impulses(noisy), 15 / 255)


def photons(noisy, peak=30):
    """Exercise 8: Anscombe's transform makes the noise equally strong everywhere; undone at the end."""
    stable = 2 * np.sqrt(peak * noisy + 3 / 8)
    white = 2 * np.sqrt(peak + 3 / 8)
    denoised = white * _thresholded(stable / white, 1 / white)
    return ((denoised / 2) ** 2 - 1 / 8) / peak  # 1/8, not 3/8: a root of a mean is no mean of roots


def cosines(noisy):
    """Exercise 9: all 8x8 blocks lose their small cosine coefficients; the strength is estimated."""
    corners = noisy[:-1, :-1] - noisy[1:, :-1] - noisy[:-1, 1:] + noisy[1:, 1:]
    sigma = np.median(np.abs(corners)) / 0.6745 / 2
    return _thresholded(noisy, sigma)


def learned(noisy):
    """Exercise 10: the 7x7 linear filter that was best for the faces that ship with scikit-image."""
    return ndimage.correlate(noisy, _learned_filter()[:-1].reshape(7, 7)) + _learned_filter()[-1]


def _shift(image, down, right):
    return np.roll(np.pad(image, 8, mode="symmetric"), (-down, -right), (0, 1))[8:-8, 8:-8]


def _fill(noisy, broken):
    """Replace broken pixels by the median of the whole ones in the smallest window that has three."""
    result = noisy.copy()
    for radius in (3, 2, 1):
        side = 2 * radius + 1
        padded = np.pad(np.where(broken, np.nan, noisy), radius, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))[broken]
        windows = windows.reshape(len(windows), side * side)
        enough = np.isfinite(windows).sum(axis=1) >= 3
        rows, columns = np.nonzero(broken)
        medians = np.nanmedian(windows[enough], axis=1)
        result[rows[enough], columns[enough]] = medians
    return result


def _non_local(noisy, sigma):
    total, weights = np.zeros_like(noisy), np.zeros_like(noisy)
    for down, right in np.ndindex(7, 7):
        neighbour = _shift(noisy, down - 3, right - 3)
        unlike = ndimage.uniform_filter((neighbour - noisy) ** 2, 5)
        # Two patches of the same clean one differ by twice the variance of the noise.
        weight = np.exp(-np.maximum(unlike - 2 * sigma**2, 0) / (0.9 * sigma) ** 2)
        total += weight * neighbour
        weights += weight
    return total / weights


def _thresholded(noisy, sigma, side=8):
    padded = np.pad(noisy, side - 1, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    coefficients = fft.dctn(windows, axes=(2, 3), norm="ortho")
    kept = np.abs(coefficients) > 2.7 * sigma
    kept[..., 0, 0] = True
    blocks = fft.idctn(coefficients * kept, axes=(2, 3), norm="ortho")
    weight = 1 / kept.sum(axis=(2, 3))  # the fewer coefficients, the less noise
    total, weights = np.zeros_like(padded), np.zeros_like(padded)
    rows, columns = weight.shape
    for down, right in np.ndindex(side, side):
        place = slice(down, down + rows), slice(right, right + columns)
        total[place] += weight * blocks[..., down, right]
        weights[place] += weight
    return (total / weights)[side - 1 : 1 - side, side - 1 : 1 - side]


@cache
def _learned_filter():
    """Solve for the filter, and a constant, by least squares; the noise is not that of the score."""
    from denoiser.faces.samples import bundled_faces

    clean = bundled_faces().images.astype(np.float32) / 255
    random = np.random.default_rng(2024)
    noisy = np.clip(clean + random.normal(0, 25 / 255, clean.shape), 0, 1)
    padded = np.pad(noisy, ((0, 0), (3, 3), (3, 3)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2)).reshape(-1, 49)
    examples = np.column_stack([windows, np.ones(len(windows))])
    return np.linalg.lstsq(examples, clean.reshape(-1), rcond=None)[0]
