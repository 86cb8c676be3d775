"""How close a denoised picture is to the clean one, and how natural it looks.

PSNR and SSIM compare a picture with its own clean original. Blau and Michaeli show that the best
score on such measures is bought with pictures that look unlike real ones: too smooth. That other
side of the trade is what ``sharpness`` and ``spectral_distance`` measure. The data range is [0, 1],
always.

References:
    Y. Blau and T. Michaeli, "The perception-distortion tradeoff", CVPR 2018,
    doi:10.1109/CVPR.2018.00652.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft
from skimage.color import deltaE_ciede2000, rgb2lab

from denoiser.images import check_image
from denoiser.images.values import to_unit

RANGE_TOLERANCE = 1e-6
"""How far outside [0, 1] a value may lie; covers float32 rounding, not unclipped noise."""

SSIM_WINDOW = 11
"""Width in pixels of the SSIM window: sigma 1.5 cut off at 3.5 sigma on either side."""

_SSIM_SIGMA = 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2  # of a data range of 1

_BAND_ROWS = 256  # of a large picture, that are scored at once

PERFECT_PSNR = 100.0
"""What the infinite PSNR of a perfect picture counts as in a mean, which it keeps finite; in dB."""

QUANTISATION_POWER = 1 / (12 * 255**2)
"""Power per frequency of the rounding error of an 8-bit picture, on the [0, 1] scale."""


def psnr(denoised: np.ndarray, clean: np.ndarray, *, check_range: bool = True) -> float:
    """Return the peak signal-to-noise ratio in dB, for a peak of 1.

    Args:
        denoised: (H, W) or (H, W, 3), floating point.
        clean: The reference, same shape.
        check_range: Whether values outside [0, 1] are an error; off to score unclipped noise.

    Returns:
        ``-10 log10(mean squared error)``; infinity for identical pictures.

    Raises:
        TypeError: A picture is not a floating-point array.
        ValueError: Shapes are wrong or differ, or values are not finite or outside [0, 1].
    """
    denoised, clean = _check_pair(denoised, clean, check_range)
    mean_squared_error = float(np.mean((denoised - clean) ** 2))
    return math.inf if mean_squared_error == 0 else -10 * math.log10(mean_squared_error)


def ssim(denoised: np.ndarray, clean: np.ndarray, *, check_range: bool = True) -> float:
    """Return the mean structural similarity, as Wang et al. define it.

    Gaussian window of sigma 1.5 over 11x11 pixels, population covariance, K1 = 0.01 and K2 = 0.03;
    only windows that lie inside the picture count; the mean over channels for colour.

    Args:
        denoised: (H, W) or (H, W, 3), floating point.
        clean: The reference, same shape.
        check_range: Whether values outside [0, 1] are an error; off to score unclipped noise.

    Returns:
        At most 1, which identical pictures reach. NaN if a side is shorter than 11 pixels: no
        window fits, so SSIM is not defined.

    Raises:
        TypeError: A picture is not a floating-point array.
        ValueError: Shapes are wrong or differ, or values are not finite or outside [0, 1].

    References:
        Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from
        error visibility to structural similarity", IEEE TIP 13(4), 2004,
        doi:10.1109/TIP.2003.819861.
    """
    return _ssim(*_check_pair(denoised, clean, check_range))


def psnr_of_pixels(denoised: np.ndarray, clean: np.ndarray) -> float:
    """Return the PSNR in dB of large pictures of whole numbers, without floats of all of them.

    Args:
        denoised: (H, W) or (H, W, 3), uint8 or uint16.
        clean: The reference, same shape; either type.

    Returns:
        What :func:`psnr` says of them.

    Raises:
        ValueError: Shapes differ.
    """
    if denoised.shape != clean.shape:
        raise ValueError(
            f"denoised and clean must have one shape, not {denoised.shape} and {clean.shape}"
        )
    squared = 0.0
    for top in range(0, len(clean), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        difference = to_unit(denoised[rows]) - to_unit(clean[rows])
        squared += float(np.square(difference, dtype=np.float64).sum())
    return math.inf if squared == 0 else -10 * math.log10(squared / clean.size)


def score_pixels(denoised: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """Return PSNR and SSIM of large pictures of whole numbers, without floats of all of them.

    Args:
        denoised: (H, W) or (H, W, 3), uint8 or uint16.
        clean: The reference, same shape; either type.

    Returns:
        What :func:`psnr` and :func:`ssim` say of them.

    Raises:
        ValueError: Shapes differ.
    """
    decibels = psnr_of_pixels(denoised, clean)
    similarity = 0.0
    last_window = max(0, len(clean) - SSIM_WINDOW + 1)
    for top in range(0, len(clean), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS + SSIM_WINDOW - 1)  # what its windows look at
        one, other = (to_unit(pixels[rows]).astype(np.float64) for pixels in (denoised, clean))
        windows = min(top + _BAND_ROWS, last_window) - top
        if windows > 0:
            similarity += windows * _ssim(one, other)
    return decibels, similarity / last_window if last_window else math.nan


def sharpness(denoised: np.ndarray, clean: np.ndarray, *, check_range: bool = True) -> float:
    """Return how much gradient energy a picture has, relative to the clean one.

    The energy is the mean squared difference between neighbouring pixels. Remaining noise counts as
    energy too, so read it next to PSNR.

    Args:
        denoised: (H, W) or (H, W, 3), floating point.
        clean: The reference, same shape.
        check_range: Whether values outside [0, 1] are an error; off to score unclipped noise.

    Returns:
        1 when as sharp as the clean picture, below 1 when smoother, above 1 when rougher; NaN when
        the clean picture is constant.

    Raises:
        TypeError: A picture is not a floating-point array.
        ValueError: Shapes are wrong or differ, or values are not finite or outside [0, 1].
    """
    denoised, clean = _check_pair(denoised, clean, check_range)
    clean_energy = _gradient_energy(clean)
    return math.nan if clean_energy == 0 else _gradient_energy(denoised) / clean_energy


def colour_error_map(
    denoised: np.ndarray, clean: np.ndarray, *, check_range: bool = True
) -> npt.NDArray[np.float64]:
    """Return how far each pixel's colour is from the clean one's: CIEDE2000.

    Both pictures are taken for sRGB. A difference of about 1 can just be seen where two areas touch.

    Args:
        denoised: (H, W, 3), floating point.
        clean: The reference, same shape.
        check_range: Whether values outside [0, 1] are an error; off to score unclipped noise, which
            counts as clipped here: there is no colour beyond.

    Returns:
        (H, W), from 0.

    Raises:
        TypeError: A picture is not a floating-point array.
        ValueError: Shapes are wrong, gray or differ, or values are not finite or outside [0, 1].

    References:
        G. Sharma, W. Wu and E. N. Dalal, "The CIEDE2000 color-difference formula", Color Research and
        Application 30(1), 2005, doi:10.1002/col.20070.
    """
    pair = _check_pair(denoised, clean, check_range)
    if clean.ndim != 3:
        raise ValueError(f"a colour error is of pictures (H, W, 3), not {clean.shape}")
    return deltaE_ciede2000(*(rgb2lab(picture.clip(0, 1)) for picture in pair))


def colour_error(denoised: np.ndarray, clean: np.ndarray, *, check_range: bool = True) -> float:
    """Return the mean of :func:`colour_error_map` over the pixels; arguments and errors as there."""
    return float(colour_error_map(denoised, clean, check_range=check_range).mean())


def radial_power_spectrum(images: np.ndarray) -> npt.NDArray[np.float64]:
    """Return the power spectrum of gray pictures, averaged over directions and over the pictures.

    The mean of each picture is removed and a Hann window applied: without it the jump between
    opposite borders, which the Fourier transform takes for neighbours, drowns the fine detail.

    Args:
        images: (H, W), or (N, H, W) for a set; floating point.

    Returns:
        (min(H, W) // 2,); element k - 1 is the power at k / min(H, W) cycles per pixel. White noise
        of standard deviation s has power s**2 everywhere.

    Raises:
        TypeError: ``images`` is not a floating-point array.
        ValueError: It has another shape, or is empty or not finite.

    References:
        R. Durall, M. Keuper and J. Keuper, "Watch your up-convolution: CNN based generative deep
        neural networks are failing to reproduce spectral distributions", CVPR 2020,
        doi:10.1109/CVPR42600.2020.00791.
    """
    stack = _check_stack(images)
    height, width = stack.shape[1:]
    window = np.outer(_hann(height), _hann(width))
    centred = (stack - stack.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(fft.fft2(centred)) ** 2).mean(axis=0) / np.sum(window**2)

    shortest = min(height, width)
    radius = np.hypot(fft.fftfreq(height)[:, None], fft.fftfreq(width)[None, :])
    ring = np.rint(radius * shortest).astype(int).ravel()
    total = np.bincount(ring, weights=power.ravel())
    count = np.bincount(ring)
    rings = slice(1, shortest // 2 + 1)  # ring 0 is the mean; beyond Nyquist only corners are left
    return total[rings] / count[rings]


def spectral_distance(denoised_images: np.ndarray, clean_images: np.ndarray) -> float:
    """Return how far apart the radial power spectra of two sets of gray pictures are, in dB.

    A distance between distributions, not between pairs: the sets may differ in number and order.

    Args:
        denoised_images: (H, W) or (N, H, W), floating point.
        clean_images: (H, W) or (M, H, W), same H and W.

    Returns:
        Root-mean-square difference of ``10 log10(power)`` over frequencies; 0 when equal, NaN for
        pictures one pixel high or wide. Power below that of 8-bit rounding counts as equal to it,
        because it could not be seen.

    Raises:
        TypeError: A set is not a floating-point array.
        ValueError: A set has a wrong shape, is empty or not finite, or the picture sizes differ.

    References:
        R. Durall, M. Keuper and J. Keuper, CVPR 2020, doi:10.1109/CVPR42600.2020.00791.
    """
    if np.shape(denoised_images)[-2:] != np.shape(clean_images)[-2:]:
        raise ValueError(
            "both sets must hold pictures of one size, not "
            f"{np.shape(denoised_images)} and {np.shape(clean_images)}"
        )
    denoised_level, clean_level = (
        10 * np.log10(np.maximum(radial_power_spectrum(images), QUANTISATION_POWER))
        for images in (denoised_images, clean_images)
    )
    if denoised_level.size == 0:
        return math.nan
    return float(np.sqrt(np.mean((denoised_level - clean_level) ** 2)))


def _check_pair(
    denoised: np.ndarray, clean: np.ndarray, check_range: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return both pictures as float64 after checking that they can be compared."""
    for name, image in (("denoised", denoised), ("clean", clean)):
        check_image(image, name)
        low, high = float(image.min()), float(image.max())
        if check_range and (low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE):
            raise ValueError(f"{name} must lie within [0, 1], not [{low:.4g}, {high:.4g}]")
    if denoised.shape != clean.shape:
        raise ValueError(
            f"denoised and clean must have one shape, not {denoised.shape} and {clean.shape}"
        )
    return denoised.astype(np.float64), clean.astype(np.float64)


def _check_stack(images: np.ndarray) -> npt.NDArray[np.float64]:
    """Return gray pictures as float64 (N, H, W) after checking them."""
    if not isinstance(images, np.ndarray) or not np.issubdtype(images.dtype, np.floating):
        raise TypeError("images must be a floating-point NumPy array in [0, 1]")
    if images.ndim not in (2, 3) or images.size == 0:
        raise ValueError(f"images must have shape (H, W) or (N, H, W), not {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("images hold NaN or infinite values")
    return images.astype(np.float64).reshape(-1, *images.shape[-2:])


def _ssim(denoised: npt.NDArray[np.float64], clean: npt.NDArray[np.float64]) -> float:
    if min(clean.shape[:2]) < SSIM_WINDOW:
        return math.nan
    products = (denoised, clean, denoised**2, clean**2, denoised * clean)
    # Not scikit-image's `structural_similarity`, which the tests hold this to: of a face, that one
    # takes several times as long, and a moving slider waits for it once a method.
    window = cv2.GaussianBlur(
        np.dstack(products), (SSIM_WINDOW, SSIM_WINDOW), _SSIM_SIGMA, borderType=cv2.BORDER_REFLECT
    )
    x, y, xx, yy, xy = (part.reshape(clean.shape) for part in np.dsplit(window, len(products)))
    luminance = (2 * x * y + _SSIM_C1) / (x**2 + y**2 + _SSIM_C1)
    structure = (2 * (xy - x * y) + _SSIM_C2) / (xx - x**2 + yy - y**2 + _SSIM_C2)
    similarity = np.minimum(luminance * structure, 1.0)  # rounding takes it a hair above
    edge = SSIM_WINDOW // 2
    return float(similarity[edge:-edge, edge:-edge].mean())


def _gradient_energy(image: npt.NDArray[np.float64]) -> float:
    """Mean over pixels of the squared forward differences; the last row and column have none."""
    down, right = np.diff(image, axis=0), np.diff(image, axis=1)
    return float(np.sum(down**2) + np.sum(right**2)) / image.size


def _hann(length: int) -> npt.NDArray[np.float64]:
    """Hann window without its two end zeros, so that even a window of one pixel is not all zero."""
    return np.hanning(length + 2)[1:-1]


def write_number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Write a number for people, with a proper minus sign.

    Args:
        value: None and NaN are "not defined".
        digits: After the point.
        signed: Whether a plus is written, too.
    """
    if value is None or math.isnan(value):
        return "not defined"
    if math.isinf(value):
        text = "+∞" if value > 0 and signed else "∞" if value > 0 else "-∞"
    else:
        text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def write_psnr(value: float | None, digits: int = 2) -> str:
    """Write a PSNR for people, with its unit."""
    text = write_number(value, digits)
    return text if value is None or math.isnan(value) else f"{text} dB"


def write_ssim(value: float | None) -> str:
    """Write an SSIM for people."""
    return write_number(value, 3)
