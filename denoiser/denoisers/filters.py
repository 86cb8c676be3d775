"""Classical filters: no training, one formula each, with the contract of the networks.

A new filter is one function here and one entry in ``CLASSICAL_DENOISERS``. The constants that tie a
filter's strength to the noise were chosen on FER2013 validation images at sigma 0.02, 0.06,
25/255 and 50/255 (noise clipped), never on test images.

Every filter continues the picture beyond its border by mirroring or repeating it, so borders need
no special care and any size from 1x1 works.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import cv2
import numpy as np
import torch
from scipy import ndimage
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from denoiser.architectures import impulses
from denoiser.denoisers import wavelets
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.windows import WholePicture, Window, list_windows
from denoiser.images import Image
from denoiser.images.values import to_unit
from denoiser.noise import Parameter

GAUSSIAN_WIDTH = 1.5
"""Gaussian filter: width in pixels over the cube root of sigma."""

BILATERAL_SPACE = 1.2
"""Bilateral filter: width in pixels of the weight on distance."""

BILATERAL_RANGE = 2.75
"""Bilateral filter: width of the weight on gray-level difference, over sigma."""

NL_MEANS_STRENGTH = 0.9
"""Non-local means: decay of the patch weights, over sigma."""

NL_MEANS_MARGIN = 3
"""Non-local means: pixels of mirrored margin. Without one, scikit-image filters the outermost ring
of pixels badly (a quarter more error than inside) and drops an axis of length 1."""

TOTAL_VARIATION_WEIGHT = 0.6
"""Total variation: weight of the variation against fidelity, over sigma."""

_TOTAL_VARIATION_STEPS = 200  # the most, and when to end: scikit-image's
_TOTAL_VARIATION_END = 2e-4
_TOTAL_VARIATION_REACH = 64
_SAMPLE_PIXELS, _SQUARE = 512 * 512, 128

WAVELET_SHIFTS = ((0, 0), (1, 2), (2, 1), (3, 3))
"""Wavelet: shifts averaged over. With two levels there are 16 distinct ones; these four use every
row and column offset once and come within 0.05 dB of all 16 in a quarter of the time."""

WAVELET_MARGIN = 8
"""Wavelet: pixels of mirrored margin, enough for two levels of the filter on a 1x1 picture."""

ADAPTIVE_WINDOWS = (3, 5, 7)
"""Sides in pixels of the windows that the adaptive median grows through."""

_SETTLING = 0.4  # of the time that a filter takes which looks at the whole picture first

_IMPULSES = ("salt-and-pepper", "impulse", "pixel-shuffle")
_SPREAD_OUT = ("gaussian", "poisson", "speckle")  # every pixel is off by a little


@dataclass(frozen=True)
class Filter(Denoiser):
    """A denoiser that is one function.

    Attributes:
        info: What there is to know about it.
        function: ``function(noisy)``, or ``function(noisy, sigma)`` with sigma > 0 if the filter
            uses sigma, and hyperparameters by name. Returns an array of the same shape.
        reach: How many pixels away a pixel may be that counts for another one, whatever is set; None if
            all of them do.
        settle: ``settle(whole, sigma)``, and hyperparameters by name, finds out what the filter takes
            from the whole picture; None if that is nothing.
        values: See :class:`Denoiser`.
    """

    info: DenoiserInfo
    function: Callable[..., np.ndarray]
    reach: int | None = None
    settle: Callable[..., "Settled"] | None = None
    values: Mapping[str, float] = field(default_factory=dict, hash=False)

    def _with_values(self, values: Mapping[str, float]) -> Self:
        return replace(self, values=values)

    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        if not self.info.uses_sigma:
            return self.function(noisy, **self.values)
        if sigma == 0:  # nothing to remove; most filters divide by their strength
            return noisy
        return self.function(noisy, sigma, **self.values)

    def denoise_whole(self, whole: WholePicture, sigma: float) -> np.ndarray:
        """See :meth:`Denoiser.denoise_whole`."""
        if self.settle is None or sigma == 0:
            return whole.apply(lambda image, _: self._denoise(image, sigma), self.reach)
        settled = self.settle(whole.part(0, _SETTLING), sigma, **self.values)
        return whole.part(_SETTLING, 1).apply(settled.function, settled.reach)


@dataclass(frozen=True)
class Settled:
    """A filter with what it takes from a whole picture.

    Attributes:
        function: Denoises a window.
        reach: How many pixels away a pixel may be that counts for another one.
    """

    function: Callable[[Image, Window], np.ndarray]
    reach: int


def median(noisy: Image, radius: int = 1) -> np.ndarray:
    """Replace every pixel by the median of its window, per channel.

    Args:
        noisy: (H, W) or (H, W, 3).
        radius: Pixels from the window's middle to its side: 1 for a window of 3x3.

    References:
        J. W. Tukey, "Exploratory data analysis", Addison-Wesley 1977.
    """
    size = 2 * radius + 1
    if size <= 5:  # OpenCV's takes floating point for windows of 3 and 5 only
        return cv2.medianBlur(noisy, size)
    window = (size, size) if noisy.ndim == 2 else (size, size, 1)
    return ndimage.median_filter(noisy, window, mode="nearest")


def adaptive_median(noisy: Image) -> np.ndarray:
    """Take the median only where a pixel is the extreme of its window, which grows as needed.

    The window grows from 3 to 7 pixels until its median is itself no extreme; a pixel strictly
    between that window's minimum and maximum then stays as it is. Where even the largest window's
    median is an extreme, that median is used.

    Args:
        noisy: (H, W) or (H, W, 3); channels are filtered separately.

    References:
        H. Hwang and R. A. Haddad, "Adaptive median filters: new algorithms and results", IEEE TIP
        4(4), 1995, doi:10.1109/83.370679.
    """
    restored = noisy.copy()
    pending = np.ones(noisy.shape, dtype=bool)
    for size in ADAPTIVE_WINDOWS:
        window = np.sort(_windows(noisy, size, pending), axis=-1)
        lowest, middle, highest = window[:, 0], window[:, window.shape[1] // 2], window[:, -1]
        pixel = noisy[pending]
        is_impulse = (pixel == lowest) | (pixel == highest)
        median_is_impulse = (middle == lowest) | (middle == highest)
        restored[pending] = np.where(is_impulse | median_is_impulse, middle, pixel)
        pending[pending] = median_is_impulse
        if not pending.any():
            break
    return restored


def trimmed_median(noisy: Image) -> np.ndarray:
    """Replace black and white pixels by the median of the others around them.

    See :func:`denoiser.architectures.impulses.trimmed_median` for the method and its paper.

    Args:
        noisy: (H, W) or (H, W, 3); channels are filtered separately.
    """
    channels = torch.from_numpy(np.ascontiguousarray(noisy).reshape(*noisy.shape[:2], -1)).permute(
        2, 0, 1
    )
    return impulses.trimmed_median(channels[None])[0].permute(1, 2, 0).numpy().reshape(noisy.shape)


def gaussian(noisy: Image, sigma: float, width: float = GAUSSIAN_WIDTH) -> np.ndarray:
    """Blur with a Gaussian whose width grows as the cube root of the noise.

    That is the width of least mean squared error for kernel smoothing in the plane: with width w,
    noise leaves a variance of order sigma**2 / w**2 and blur a squared bias of order w**4.

    Args:
        noisy: (H, W) or (H, W, 3).
        sigma: Standard deviation of the noise on the [0, 1] scale, above 0.
        width: The Gaussian's standard deviation in pixels, over the cube root of sigma.

    References:
        M. P. Wand and M. C. Jones, "Kernel smoothing", Chapman & Hall 1995, doi:10.1201/b14876.
    """
    deviation = width * sigma ** (1 / 3)
    return cv2.GaussianBlur(noisy, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)


def bilateral(noisy: Image, sigma: float, gray_range: float = BILATERAL_RANGE) -> np.ndarray:
    """Average neighbours that are near in place and in gray level (or colour).

    Args:
        noisy: (H, W) or (H, W, 3).
        sigma: Standard deviation of the noise on the [0, 1] scale, above 0.
        gray_range: Standard deviation of the weight on gray-level difference, over sigma.

    References:
        C. Tomasi and R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998,
        doi:10.1109/ICCV.1998.710815. Strength proportional to sigma, by about 2: M. Zhang and
        B. K. Gunturk, "Multiresolution bilateral filtering for image denoising", IEEE TIP 17(12),
        2008, doi:10.1109/TIP.2008.2006658.
    """
    # OpenCV adds up the differences of the three channels, so colour needs three times the width.
    channels = 3 if noisy.ndim == 3 else 1
    return cv2.bilateralFilter(
        noisy,
        d=-1,  # window from the width
        sigmaColor=channels * gray_range * sigma,
        sigmaSpace=BILATERAL_SPACE,
        borderType=cv2.BORDER_REFLECT,
    )


def nl_means(noisy: Image, sigma: float, strength: float = NL_MEANS_STRENGTH) -> np.ndarray:
    """Average pixels whose surroundings look alike (non-local means).

    5x5 patches compared within a 5x5 search window: on pictures as small as FER2013's a wider
    search finds more false friends than true ones and scores lower.

    Args:
        noisy: (H, W) or (H, W, 3).
        sigma: Standard deviation of the noise on the [0, 1] scale, above 0.
        strength: Decay of the patch weights, over sigma.

    References:
        A. Buades, B. Coll and J.-M. Morel, "A non-local algorithm for image denoising", CVPR 2005,
        doi:10.1109/CVPR.2005.38.
    """
    denoised = denoise_nl_means(
        _pad(noisy, NL_MEANS_MARGIN),
        patch_size=5,
        patch_distance=2,
        h=strength * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=_channel_axis(noisy),
    )
    return _crop(denoised, NL_MEANS_MARGIN)


def total_variation(noisy: Image, sigma: float, weight: float = TOTAL_VARIATION_WEIGHT) -> np.ndarray:
    """Find the picture close to the noisy one whose gradients add up to least.

    Args:
        noisy: (H, W) or (H, W, 3).
        sigma: Standard deviation of the noise on the [0, 1] scale, above 0.
        weight: Of the variation against fidelity, over sigma.

    References:
        A. Chambolle, "An algorithm for total variation minimization and applications", JMIV 20,
        2004, doi:10.1023/B:JMIV.0000011325.36760.1e.
    """
    return denoise_tv_chambolle(noisy, weight=weight * sigma, channel_axis=_channel_axis(noisy))


def settle_total_variation(
    whole: WholePicture, sigma: float, weight: float = TOTAL_VARIATION_WEIGHT
) -> Settled:
    """Find out after how many steps the whole picture is finished: windows would each take their own.

    In pictures of more than 512x512 pixels that is found out by 16 squares of them, so it may be a few
    steps more or less than in one piece; it is the same for all windows.
    """
    sample = to_unit(_sample(whole.pixels))
    planes = np.moveaxis(sample, -1, 0) if whole.pixels.ndim == 3 else sample[None]
    counts = list(whole.run(lambda i: (i, _count_steps(planes[i], weight * sigma)), range(len(planes))))
    steps = [count for _, count in sorted(counts)]

    def denoise(image: Image, _: Window) -> np.ndarray:
        channels = np.moveaxis(image, -1, 0) if image.ndim == 3 else image[None]
        denoised = [
            denoise_tv_chambolle(channel, weight=weight * sigma, eps=0, max_num_iter=count)
            for channel, count in zip(channels, steps, strict=True)
        ]
        return np.stack(denoised, axis=-1) if image.ndim == 3 else denoised[0]

    return Settled(denoise, min(max(steps), _TOTAL_VARIATION_REACH))


def _sample(pixels: np.ndarray) -> np.ndarray:
    """Return a picture as (1, H, W) or (1, H, W, 3), or squares of it, (16, 128, 128) and so on."""
    height, width = pixels.shape[:2]
    if height * width <= _SAMPLE_PIXELS:
        return pixels[None]
    rows, columns = (np.linspace(0, max(0, n - _SQUARE), 4).astype(int) for n in (height, width))
    return np.stack([pixels[r : r + _SQUARE, c : c + _SQUARE] for r in rows for c in columns])


def _count_steps(planes: Image, weight: float) -> int:
    """Return after how many steps scikit-image's ``denoise_tv_chambolle`` finds pictures finished.

    Args:
        planes: (N, H, W), as one picture.
        weight: As there.
    """
    dual = np.zeros((2, *planes.shape), np.float32)
    gradient = np.zeros_like(dual)
    first = previous = math.inf
    for step in range(_TOTAL_VARIATION_STEPS):
        divergence = -dual.sum(axis=0)
        divergence[:, 1:] += dual[0, :, :-1]
        divergence[:, :, 1:] += dual[1, :, :, :-1]
        picture = planes + divergence
        gradient[0, :, :-1] = np.diff(picture, axis=1)
        gradient[1, :, :, :-1] = np.diff(picture, axis=2)
        norm = np.sqrt((gradient**2).sum(axis=0))
        energy = float((divergence**2).sum() + weight * norm.sum())
        if step == 0:
            first = energy
        elif abs(previous - energy) < _TOTAL_VARIATION_END * first:
            return step + 1
        previous = energy
        dual = (dual - 0.25 * gradient) / (1 + 0.25 / weight * norm)
    return _TOTAL_VARIATION_STEPS


def wavelet(noisy: Image, sigma: float) -> np.ndarray:
    """Shrink wavelet details towards 0 (BayesShrink), averaged over shifts of the picture.

    Two levels of the Daubechies wavelet with two vanishing moments. Averaging over shifts (cycle
    spinning) removes the blocks that a decimated transform leaves; it gains 0.5 to 2.8 dB.

    Args:
        noisy: (H, W) or (H, W, 3); channels are filtered separately.
        sigma: Standard deviation of the noise on the [0, 1] scale, above 0.

    References:
        S. G. Chang, B. Yu and M. Vetterli, "Adaptive wavelet thresholding for image denoising and
        compression", IEEE TIP 9(9), 2000, doi:10.1109/83.862633. Cycle spinning: R. R. Coifman and
        D. L. Donoho, "Translation-invariant de-noising", 1995, doi:10.1007/978-1-4612-2544-7_9.
    """
    padded = _pad(noisy, WAVELET_MARGIN)
    total = np.zeros_like(padded)
    for down, right in WAVELET_SHIFTS:
        shrunk = denoise_wavelet(
            np.roll(padded, (down, right), axis=(0, 1)),
            sigma=sigma,
            wavelet="db2",
            wavelet_levels=2,
            method="BayesShrink",
            rescale_sigma=False,
            channel_axis=_channel_axis(noisy),
        )
        total += np.roll(shrunk, (-down, -right), axis=(0, 1))
    return _crop(total, WAVELET_MARGIN) / len(WAVELET_SHIFTS)


def settle_wavelet(whole: WholePicture, sigma: float) -> Settled:
    """Find out the thresholds of the whole picture's subbands, which all windows share."""
    rolled = [wavelets.Rolled(whole.pixels, WAVELET_MARGIN, *shift) for shift in WAVELET_SHIFTS]
    parts = [
        (index, window)
        for index, picture in enumerate(rolled)
        for window in list_windows(picture.shape, wavelets.REACH, wavelets.UNIT)
    ]

    def measure(part: tuple[int, Window]) -> tuple[int, np.ndarray]:
        index, window = part
        return index, wavelets.sum_squares(rolled[index], window)

    sums: dict[int, np.ndarray] = {}
    for index, measured in whole.run(measure, parts):
        sums[index] = sums.get(index, 0) + measured
    thresholds = [wavelets.bayes_thresholds(sums[index], sigma) for index in range(len(rolled))]

    def denoise(image: Image, window: Window) -> np.ndarray:
        total = np.zeros_like(image)
        for picture, limits in zip(rolled, thresholds, strict=True):
            total += wavelets.shrink(picture, window, limits)
        return total / len(rolled)

    return Settled(denoise, 0)


def _channel_axis(image: Image) -> int | None:
    """Which axis scikit-image is to take for colour."""
    return -1 if image.ndim == 3 else None


def _pad(image: np.ndarray, margin: int) -> np.ndarray:
    """Mirror the picture, border pixels included, ``margin`` pixels beyond every side."""
    widths = [(margin, margin)] * 2 + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, widths, mode="symmetric")


def _crop(image: np.ndarray, margin: int) -> np.ndarray:
    """Undo ``_pad``."""
    return image[margin:-margin, margin:-margin]


def _windows(image: np.ndarray, size: int, where: np.ndarray) -> np.ndarray:
    """Return the windows around some pixels.

    Args:
        image: (H, W) or (H, W, 3).
        size: Side of the window, odd.
        where: Boolean, the shape of ``image``; true for N pixels.

    Returns:
        (N, size * size), in the order in which ``image[where]`` lists the pixels.
    """
    padded = _pad(image, size // 2)
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return view[where].reshape(-1, size * size)


def _filter(
    id: str,
    label: str,
    function: Callable[..., np.ndarray],
    reference: str,
    *,
    reach: int | None = None,
    settle: Callable[..., Settled] | None = None,
    uses_sigma: bool = False,
    hyperparameters: tuple[Parameter, ...] = (),
    intended_for: tuple[str, ...] = (),
) -> Filter:
    info = DenoiserInfo(
        id=id,
        label=label,
        family="classical",
        uses_sigma=uses_sigma,
        trained_on=None,
        parameters=0,
        reference=reference,
        hyperparameters=hyperparameters,
        intended_for=intended_for,
    )
    return Filter(info, function, reach, settle)


def _over_sigma(name: str, label: str, default: float, maximum: float, unit: str) -> Parameter:
    return Parameter(name, label, 0.05, maximum, default, maximum, 0.05, unit)


CLASSICAL_DENOISERS: tuple[Filter, ...] = (
    _filter(
        "median",
        "Median 3x3",
        median,
        "Tukey 1977, ISBN 0-201-07616-0",
        reach=7,
        hyperparameters=(
            Parameter("radius", "Radius of the window", 1, 7, 1, 7, 1, "pixels", integer=True),
        ),
    ),
    _filter(
        "median-5", "Median 5x5", partial(median, radius=2), "Tukey 1977, ISBN 0-201-07616-0", reach=2
    ),
    _filter(
        "adaptive-median",
        "Adaptive median",
        adaptive_median,
        "Hwang and Haddad 1995, doi:10.1109/83.370679",
        reach=ADAPTIVE_WINDOWS[-1] // 2,
        intended_for=_IMPULSES,
    ),
    _filter(
        "trimmed-median",
        "Trimmed median",
        trimmed_median,
        "Esakkirajan et al. 2011, doi:10.1109/LSP.2011.2122333",
        reach=impulses.WINDOWS[-1] // 2,
        intended_for=_IMPULSES,
    ),
    _filter(
        "gaussian-filter",
        "Gaussian filter",
        gaussian,
        "Wand and Jones 1995, doi:10.1201/b14876",
        reach=17,  # OpenCV's window has 4 deviations to each side, and the widest has 4 pixels
        uses_sigma=True,
        intended_for=_SPREAD_OUT,
        hyperparameters=(
            _over_sigma("width", "Width over the cube root of sigma", GAUSSIAN_WIDTH, 4, "pixels"),
        ),
    ),
    _filter(
        "bilateral",
        "Bilateral filter",
        bilateral,
        "Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815",
        reach=2,  # OpenCV's window has 1.5 deviations to each side
        uses_sigma=True,
        intended_for=_SPREAD_OUT,
        hyperparameters=(
            _over_sigma("gray_range", "Range of gray levels", BILATERAL_RANGE, 8, "times sigma"),
        ),
    ),
    _filter(
        "nl-means",
        "Non-local means",
        nl_means,
        "Buades et al. 2005, doi:10.1109/CVPR.2005.38",
        reach=4
        + NL_MEANS_MARGIN,  # half a patch and half the search; its own margin is at most doubtful
        uses_sigma=True,
        intended_for=_SPREAD_OUT,
        hyperparameters=(_over_sigma("strength", "Strength", NL_MEANS_STRENGTH, 3, "times sigma"),),
    ),
    _filter(
        "total-variation",
        "Total variation",
        total_variation,
        "Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e",
        settle=settle_total_variation,
        uses_sigma=True,
        intended_for=_SPREAD_OUT,
        hyperparameters=(
            _over_sigma("weight", "Weight of the variation", TOTAL_VARIATION_WEIGHT, 3, "times sigma"),
        ),
    ),
    _filter(
        "wavelet",
        "Wavelet shrinkage",
        wavelet,
        "Chang et al. 2000, doi:10.1109/83.862633",
        settle=settle_wavelet,
        uses_sigma=True,
        intended_for=_SPREAD_OUT,
    ),
)
"""All classical filters, in the order in which they are listed."""
