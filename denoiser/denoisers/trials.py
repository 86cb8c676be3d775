"""What a denoiser that somebody brings along is tried out on, and how its answers are judged."""

import numpy as np

from denoiser.images import Image

PROBE_SIDE = 48
"""Height and width of the picture that it is tried out on, in pixels."""

PROBE_SIGMA = 25 / 255
"""Standard deviation of the noise in it."""

OVERSHOOT = 1.0
"""So far beyond [0, 1] a result may lie; it is clipped anyway."""

SAME = 1e-4
"""Two answers to one picture that are this close are the same."""


def probe_picture() -> Image:
    """Return what denoisers are tried out on: (48, 48), blobs in noise, the same every time."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:PROBE_SIDE, :PROBE_SIDE] / PROBE_SIDE
    blobs = 0.5 + 0.3 * np.sin(7 * rows) * np.cos(9 * columns)
    noisy = blobs + PROBE_SIGMA * random.standard_normal(blobs.shape)
    return np.clip(noisy, 0.0, 1.0).astype(np.float32)
