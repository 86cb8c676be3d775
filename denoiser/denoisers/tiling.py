"""A whole photograph through any denoiser: in tiles that overlap, without seams, in little memory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.windows import Stopped, WholePicture, give_back_large_blocks
from denoiser.images import check_image

__all__ = ["Stopped", "denoise_tiled"]


def denoise_tiled(
    pixels: np.ndarray,
    denoiser: Denoiser,
    *,
    sigma: float | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Denoise a picture of any size, tile by tile.

    What a method takes from the whole picture (its noise's strength, which expert is the one for it) is
    found out once for all tiles. The result differs from that of ``denoiser(picture)`` by less than
    1e-4, before it is rounded.

    Args:
        pixels: (H, W) or (H, W, 3); uint8, uint16, or float32 in [0, 1].
        denoiser: What to denoise with.
        sigma: Standard deviation of the noise in [0, 1] if it is known.
        threads: How many tiles are computed at the same time, each on one thread.
        progress: Is called with the share that is done, never falling and 1 at the end.
        stop: Is asked between tiles; true ends the work.

    Returns:
        The denoised picture, of the same shape and type.

    Raises:
        TypeError: ``pixels`` are of another type.
        ValueError: They have another shape or are not finite; ``sigma`` or ``threads`` is out of range.
        Stopped: ``stop`` said so.
    """
    _check_pixels(pixels)
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be a whole number from 1, not {threads!r}")
    used = denoiser.resolve_sigma(pixels, sigma)
    give_back_large_blocks()
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            whole = WholePicture(
                pixels,
                pool,
                threads,
                progress or (lambda share: None),
                stop or (lambda: False),
                pixels.dtype,
            )
            return denoiser.denoise_whole(whole, 0.0 if used.value is None else used.value)
    finally:
        torch.set_num_threads(before)  # new threads of others get as many as they did before


def _check_pixels(pixels: np.ndarray) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
        if getattr(pixels, "dtype", None) != np.float32:
            raise TypeError("pixels must be a NumPy array of uint8, uint16 or float32 in [0, 1]")
        check_image(pixels, "pixels")
    elif pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or pixels.size == 0:
        raise ValueError(f"pixels must have shape (H, W) or (H, W, 3), not {pixels.shape}")
