"""A model that somebody brought along, as a denoiser: an ONNX file, or a network on the Hub.

It runs in a process of its own (:mod:`~denoiser.denoisers.confined`), so that nothing it does can hurt
what asks for it.
"""

import atexit
import copy
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.confined.processes import (
    ModelStoppedError,
    OwnModelError,
    ProcessPool,
    Recipe,
)
from denoiser.denoisers.trials import OVERSHOOT, SAME, probe_picture
from denoiser.images import Image

OWN_MODEL = "own-model"
"""Id of such a model. No registry has it: whoever asks for it has to bring it along."""

OWN_LABEL = "Your own model"

GONE = "Your model is no longer on the server, which keeps it for a while only; please add it again."

MAX_BYTES = 32 * 2**20
"""How large an ONNX file, or a file of weights, may be."""

UNKNOWN = DenoiserInfo(OWN_MODEL, OWN_LABEL, "own", False, None, 0, "")
"""What is known of such a model that nobody has brought."""

_POOL = ProcessPool()
atexit.register(_POOL.close)


class OwnModel(Denoiser):
    """A stranger's model. Its answers are checked, every one of them.

    Attributes:
        key: Equal for models that make the same of a picture.
        nbytes: Memory that it takes while it does not run.
        seconds: How long it has computed so far, without waiting and loading; each lent one its own.

    Args:
        recipe: What its process needs.
        pool: Where it runs.

    Raises:
        OwnModelError: It can't be loaded, or does not do what a denoiser does; one sentence.
    """

    def __init__(self, recipe: Recipe, pool: ProcessPool = _POOL):
        self.info = UNKNOWN
        self.key, self.nbytes, self.seconds = recipe.key, recipe.nbytes, 0.0
        self._find: Callable[[], Recipe | None] = lambda: recipe
        self._pool = pool
        facts = pool.facts(recipe)
        self.info = _describe(facts)
        noisy = probe_picture()
        (first, once), (second, again) = [self._run(noisy[..., None]) for _ in range(2)]
        if np.abs(np.clip(second, 0, 1) - np.clip(first, 0, 1)).max() > SAME:
            raise OwnModelError("The model made two different results of the same picture.")
        self.info = replace(self.info, milliseconds=min(once, again))  # the machine may be busy

    def lend(self) -> "OwnModel":
        """Return the same model, for as long as somebody keeps this one: it holds no files itself."""
        recipe, lent = self._find(), copy.copy(self)
        lent._find = (lambda: None) if recipe is None else weakref.ref(recipe)
        return lent

    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        picture = np.clip(noisy, 0.0, 1.0)
        if picture.ndim == 2:
            return self._run(picture[..., None])[0][..., 0]
        return self._run(picture)[0]

    def _run(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        recipe = self._find()
        if recipe is None:
            raise OwnModelError(GONE)
        if recipe.stopped:
            raise OwnModelError(f"{recipe.stopped} Add it again to try once more.")
        try:
            result, milliseconds = self._pool.run(recipe, picture)
        except ModelStoppedError as error:
            recipe.stopped = str(error)
            raise
        self.seconds += milliseconds / 1000
        if not np.isfinite(result).all():
            raise OwnModelError("The model returned NaN or infinity.")
        low, high = float(result.min()), float(result.max())
        if low < -OVERSHOOT or high > 1 + OVERSHOOT:
            raise OwnModelError(
                f"The model returned values from {low:.3g} to {high:.3g}, and pictures go from 0 to 1; "
                "put the scaling into the model."
            )
        return result, milliseconds


def why_no_processes() -> str:
    """Say in a sentence why there can be no such models here; nothing where there can."""
    if sys.platform != "linux":
        return "Models of your own run on Linux only, where what they use can be limited."
    return ""


def _describe(facts: dict[str, Any]) -> DenoiserInfo:
    parameters, channels = facts.get("parameters"), facts.get("channels")
    if type(parameters) is not int or not 0 <= parameters < 10**12:
        raise OwnModelError("The model can't be loaded.")
    return DenoiserInfo(OWN_MODEL, OWN_LABEL, "own", False, None, parameters, "", colour=channels == 3)
