"""A whole photo, repaired in tiles, step by step; no Gradio in here."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.tiling import denoise_tiled
from denoiser.images import MAX_PIXELS
from denoiser.images.photo import Photo, to_bits
from denoiser.metrics import psnr_of_pixels
from denoiser.ui.photo.noise_blocks import DeepPixels, noisy_strips
from denoiser.ui.photo.payload import find_sigma
from denoiser.ui.photo.request import PhotoRequest
from denoiser.ui.photo.session import Whole

_NOISE_SHARE = 0.1  # of the time, where noise is made first
_PAUSE_SECONDS = 0.05  # between two looks whether there is room


@dataclass(frozen=True)
class Result:
    """A whole photo, and its scores where the clean one is known.

    Attributes:
        whole: The photo.
        psnr: In dB; None without a clean one.
        noisy_psnr: The noisy picture's.
    """

    whole: Whole
    psnr: float | None = None
    noisy_psnr: float | None = None


class Room:
    """Lets computations in one after the other, for as long as they have room together.

    Args:
        places: How much there is.
    """

    def __init__(self, places: int = MAX_PIXELS):
        self._places = places
        self._lock = threading.Lock()
        self._inside: dict[object, int] = {}
        self._waiting: list[object] = []

    @contextmanager
    def queue_for(self, places: int) -> Iterator[Callable[[], bool]]:
        """Stand in line for some of the places; what is handed out tells whether one is in.

        Args:
            places: How many; of more than there are, all.
        """
        ticket = object()
        needed = min(places, self._places)
        with self._lock:
            self._waiting.append(ticket)

        def is_in() -> bool:
            with self._lock:
                first = bool(self._waiting) and self._waiting[0] is ticket
                if first and sum(self._inside.values()) + needed <= self._places:
                    self._waiting.remove(ticket)
                    self._inside[ticket] = needed
                return ticket in self._inside

        try:
            yield is_in
        finally:
            with self._lock:
                self._inside.pop(ticket, None)
                if ticket in self._waiting:
                    self._waiting.remove(ticket)


def wait_for_room(is_in: Callable[[], bool]) -> Iterator[None]:
    """Yield until there is room."""
    while not is_in():
        time.sleep(_PAUSE_SECONDS)
        yield None


def compute_whole(request: PhotoRequest, denoiser: Denoiser) -> Iterator[float | Result]:
    """Repair a whole photo: yields which share of it is done, and at last the result.

    In memory are, with the photo itself, the noisy one and the result, of 16 bits each.
    """
    source, sigma = request.held.photo, find_sigma(request).value
    begun = 0.0
    if request.noise is None:
        noisy = to_bits(source.pixels, 16)
    else:
        noisy = np.empty(source.pixels.shape, np.uint16)
        for top, strip in noisy_strips(source.pixels, request.noise, request.seed):
            noisy[top : top + len(strip)] = strip
            begun = _NOISE_SHARE * (top + len(strip)) / len(noisy)
            yield begun
    repaired: DeepPixels | None = None

    def repair(progress: Callable[[float], None], stop: Callable[[], bool]) -> DeepPixels:
        return denoise_tiled(noisy, denoiser, sigma=sigma, threads=1, progress=progress, stop=stop)

    for step in in_steps(repair):
        if isinstance(step, float):
            yield begun + (1 - begun) * step
        else:
            repaired = step
    assert repaired is not None
    whole = Whole(Photo(repaired, source.icc_profile, source.exif))
    if request.noise is None:
        yield Result(whole)
    else:
        yield Result(
            whole, psnr_of_pixels(repaired, source.pixels), psnr_of_pixels(noisy, source.pixels)
        )


def in_steps(work: Callable[[Callable[[float], None], Callable[[], bool]], Any]) -> Iterator[Any]:
    """Run a computation in a thread of its own, but only while somebody waits for its next step.

    Args:
        work: Gets what it calls between its steps with the share that is done, and what tells it
            whether to stop.

    Yields:
        The shares, and at last what it returned. Where nobody asks for more, it is told to stop.
    """
    news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    turn = threading.Semaphore(0)
    ended = threading.Event()

    def progress(share: float) -> None:
        if not ended.is_set():
            news.put(("share", float(share)))
            turn.acquire()

    def run() -> None:
        turn.acquire()
        try:
            news.put(("done", work(progress, ended.is_set)))
        except BaseException as error:
            news.put(("failed", error))

    threading.Thread(target=run, name="whole photo", daemon=True).start()
    try:
        while True:
            turn.release()
            kind, value = news.get()
            if kind == "failed":
                raise value
            yield value
            if kind == "done":
                return
    finally:
        ended.set()
        turn.release()
