"""Stand-ins for what a test needs to control."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np

from denoiser.denoisers.base import Denoiser, DenoiserInfo


def session_request(session: str | None = "mine", host: str = "127.0.0.1") -> Any:
    """What an event of the page gets of who asks: a session, and where it is."""
    return SimpleNamespace(session_hash=session, headers={}, client=SimpleNamespace(host=host))


class Fixed(Denoiser):
    """A denoiser that gives the same answer whatever it is shown."""

    info = DenoiserInfo("fixed", "Fixed", "classical", False, None, 0, "none")

    def __init__(self, answer: np.ndarray):
        self.answer = answer

    def _denoise(self, noisy: np.ndarray, sigma: float) -> np.ndarray:
        return self.answer


class InProcess:
    """A pool of this process, in which what a test has replaced is replaced."""

    def Pool(self, *_):  # noqa: N802
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def imap_unordered(self, run, tasks):
        return map(run, tasks)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread of its own, and return what it returns.

    As long as a browser is open, Playwright keeps an event loop running in the main thread, and
    ``asyncio.run`` refuses to begin another one there.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
