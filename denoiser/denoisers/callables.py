"""A function of one's own as a denoiser: wrapped, and checked with errors that say what to change."""

import inspect
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch

from denoiser.denoisers.base import Denoiser, DenoiserInfo, OwnDenoiserError
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import COLOUR_MODELS, MODELS, PRIORS, create_denoiser
from denoiser.denoisers.trials import OVERSHOOT, PROBE_SIGMA, SAME, probe_picture
from denoiser.images import Image

DenoiserLike: TypeAlias = str | Denoiser | Callable[..., np.ndarray]
"""What can be asked for as a denoiser: an id, a denoiser, or a function, see :func:`wrap`."""

SLOWEST_SECONDS = 10.0
"""The longest that a function may take for one 48x48 face: thousands of them are to be scored."""

TAKEN = {
    *("noisy", "clean", OWN_MODEL),
    *(*MODELS, *COLOUR_MODELS, *PRIORS),
    *(method.info.id for method in CLASSICAL_DENOISERS),
}
"""Ids that mean something already."""


@dataclass(frozen=True)
class FunctionDenoiser(Denoiser):
    """A function as a denoiser. Made by :func:`wrap`, which has tried it out.

    Attributes:
        info: What there is to know about it.
        function: ``function(noisy)``, or ``function(noisy, sigma=sigma)`` with sigma > 0 if
            ``info.uses_sigma``. It is given gray pictures only: of one in colour, channel by channel.
    """

    info: DenoiserInfo
    function: Callable[..., np.ndarray]

    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        if self.info.uses_sigma and sigma == 0:  # nothing to remove; most would divide by it
            return noisy
        if noisy.ndim == 2:
            return self._run(noisy, sigma)
        return np.stack([self._run(noisy[..., channel], sigma) for channel in range(3)], axis=-1)

    def _run(self, noisy: Image, sigma: float) -> np.ndarray:
        name = _name_of(self.function)
        told = {"sigma": sigma} if self.info.uses_sigma else {}
        try:
            # A copy: one that writes into what it is given would spoil the picture for all others.
            result = self.function(noisy.copy(), **told)
        except (Exception, SystemExit) as error:
            where = _line_of(error, self.function)
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise OwnDenoiserError(f"{name} failed{where} with {what.rstrip(': .')}.") from error
        return check_result(result, noisy, name)


def wrap(function: Callable[..., np.ndarray], label: str | None = None) -> Denoiser:
    """Make a denoiser of a function, after trying it out on a made-up picture.

    Args:
        function: Takes a noisy gray picture, (H, W) float32 in [0, 1], and returns the denoised one: an
            array of the same shape and range. A parameter called ``sigma``, without a default or with
            None for one, is told the standard deviation of the noise on the same scale, known or
            estimated, never 0. Pictures in colour are given channel by channel.
        label: Name for people; by default the function's. The denoiser's id is made of it.

    Returns:
        The denoiser. All that it returns is checked like this, every time.

    Raises:
        OwnDenoiserError: The function can't be called like this, fails, returns something else, takes
            longer than :data:`SLOWEST_SECONDS`, or returns something else when asked twice.
    """
    if isinstance(function, torch.nn.Module):
        raise OwnDenoiserError(
            f"{type(function).__name__} is a PyTorch module, which takes tensors; pass a function that "
            "makes a tensor of the picture, runs the module without gradients, and returns an array."
        )
    if not callable(function) or inspect.isclass(function):
        what = "a class" if inspect.isclass(function) else f"an object of type {type(function).__name__}"
        raise OwnDenoiserError(f"A denoiser is a function that takes a picture, not {what}.")
    name = _name_of(function)
    info = DenoiserInfo(
        id=_id_of(label or name),
        label=label or _label_of(name),
        family="own",
        uses_sigma=_takes_sigma(function),
        trained_on=None,
        parameters=0,
        reference="",
    )
    seconds = check_behaviour(FunctionDenoiser(info, function), name)
    return FunctionDenoiser(replace(info, milliseconds=1000 * seconds), function)


def resolve(denoiser: DenoiserLike) -> Denoiser:
    """Return the denoiser of an id, or of a function (see :func:`wrap`); a denoiser as it is.

    Raises:
        ValueError: There is no such id, or the function is no denoiser (:class:`OwnDenoiserError`).
        WeightsError: The weights are missing or damaged.
    """
    if isinstance(denoiser, Denoiser):
        return denoiser
    return create_denoiser(denoiser) if isinstance(denoiser, str) else wrap(denoiser)


def check_result(result: Any, noisy: Image, name: str) -> np.ndarray:
    """Return what somebody's denoiser made of a picture, if it is a denoised picture.

    Args:
        result: What it returned.
        noisy: What it was given, (H, W) or (H, W, 3).
        name: What to call it in the error.

    Raises:
        OwnDenoiserError: ``result`` is no array, has another shape, no floating-point numbers, NaN or
            infinite ones, or is far outside [0, 1].
    """
    if result is None:
        raise OwnDenoiserError(f"{name} returned nothing; does it end with `return`?")
    if not isinstance(result, np.ndarray):
        kind = type(result).__name__
        raise OwnDenoiserError(f"{name} has to return a NumPy array, not an object of type {kind}.")
    if result.shape != noisy.shape:
        smaller = result.ndim == noisy.ndim and result.size < noisy.size
        hint = "; pad the picture first, such as with np.pad(noisy, 1, mode='reflect')"
        raise OwnDenoiserError(
            f"{name} returned shape {result.shape} for a picture of shape {noisy.shape}, and it has to "
            f"be the same{hint if smaller else ''}."
        )
    if not np.issubdtype(result.dtype, np.floating):
        raise OwnDenoiserError(
            f"{name} returned numbers of type {result.dtype}, but pictures are floats from 0 to 1 here; "
            "8-bit ones become such by `.astype(np.float32) / 255`."
        )
    broken = ~np.isfinite(result)
    if broken.any():
        row, column = np.argwhere(broken)[0][:2]
        raise OwnDenoiserError(
            f"{name} returned NaN or infinity in {broken.sum()} of {result.size} pixels, first in row "
            f"{row}, column {column}; is there a division by zero?"
        )
    low, high = float(result.min()), float(result.max())
    if low < min(0.0, noisy.min()) - OVERSHOOT or high > max(1.0, noisy.max()) + OVERSHOOT:
        raise OwnDenoiserError(
            f"{name} returned values from {low:.3g} to {high:.3g}, but pictures go from 0 (black) to 1 "
            "(white) here, not to 255."
        )
    return result


def check_behaviour(denoiser: Denoiser, name: str) -> float:
    """Run somebody's denoiser on a made-up picture, twice; return how many seconds the faster run took.

    Args:
        denoiser: It checks what it returns by itself, see :func:`check_result`.
        name: What to call it in the error.

    Raises:
        OwnDenoiserError: It fails, takes too long, or gives two answers.
    """
    noisy = probe_picture()
    first, preparing = _timed(denoiser, noisy)  # with what only the first call does
    second, again = _timed(denoiser, noisy)
    seconds = min(preparing, again)
    if seconds > SLOWEST_SECONDS:
        raise OwnDenoiserError(
            f"{name} took {seconds:.0f} seconds for one face of 48x48 pixels, and may take "
            f"{SLOWEST_SECONDS:.0f}; NumPy on whole arrays is far faster than loops over pixels."
        )
    if np.abs(second - first).max() > SAME:
        raise OwnDenoiserError(
            f"{name} made two different results of the same picture; give its random numbers a fixed "
            "seed inside the function, and put a network into evaluation mode with `.eval()`."
        )
    return seconds


def _timed(denoiser: Denoiser, noisy: Image) -> tuple[Image, float]:
    start = time.perf_counter()
    denoised = denoiser(noisy, PROBE_SIGMA)
    return denoised, time.perf_counter() - start


def _takes_sigma(function: Callable[..., np.ndarray]) -> bool:
    """Tell whether a function wants the strength, after checking that it can be called at all."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C don't say
        return False
    sigma = signature.parameters.get("sigma")
    # With a default of its own, as by functools.partial(filter, sigma=2), it is another sigma.
    wants = sigma is not None and sigma.default in (inspect.Parameter.empty, None)
    try:
        signature.bind(None, **({"sigma": None} if wants else {}))
    except TypeError:
        name = _name_of(function)
        raise OwnDenoiserError(
            f"{name} has to be called as {name}(noisy) or {name}(noisy, sigma), not as "
            f"{name}{signature}; give other parameters a default."
        ) from None
    return wants


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__).replace("<lambda>", "lambda")


def _label_of(name: str) -> str:
    words = name.replace("_", " ").strip() or name
    return words[:1].upper() + words[1:]


def _id_of(name: str) -> str:
    """Make an id of a name, for links too: no dots, commas or colons, and none of a method of ours."""
    made = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-") or "own"
    return f"own-{made}" if made in TAKEN else made


def _line_of(error: BaseException, function: Callable[..., Any]) -> str:
    """Say in which line of the function's own file it failed; nothing if that is unknown."""
    code = getattr(function, "__code__", None)
    lines = []
    traceback = error.__traceback__
    while traceback is not None and code is not None:
        if traceback.tb_frame.f_code.co_filename == code.co_filename:
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f" in line {lines[-1]}" if lines else ""
