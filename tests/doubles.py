"""Stand-ins for what a test needs to control."""

import numpy as np

from denoiser.base import Denoiser, DenoiserInfo


class Fixed(Denoiser):
    """A denoiser that gives the same answer whatever it is shown."""

    info = DenoiserInfo("fixed", "Fixed", "classical", False, None, 0, "none")

    def __init__(self, answer: np.ndarray):
        self.answer = answer

    def _denoise(self, noisy: np.ndarray, sigma: float) -> np.ndarray:
        return self.answer
