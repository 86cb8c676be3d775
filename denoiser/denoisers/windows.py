"""A picture that is too large to be computed at once, in windows: in turn, or side by side.

What is computed in a window goes on as in the whole picture as far as its margin reaches; only the
core is kept. So cores join without seams, if nothing that is computed looks further than the margin.
"""

import contextlib
import ctypes
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from denoiser.images import Image
from denoiser.images.values import from_unit, to_unit

SIDE = 256
"""Pixels of a core's sides, at most. Of larger ones less is margin, and they take more memory."""

_M_MMAP_THRESHOLD = -3  # glibc's number of this option
_LARGE_BLOCK = 7_000_000  # bytes; features of a window have more, at the U-Nets' finest scales

_AHEAD = 2  # windows that wait for a thread, so that none waits for the next window

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Stopped(Exception):  # noqa: N818 - it says what happened, and is no failure
    """Whoever asked for a picture no longer wants it."""


@dataclass(frozen=True)
class Window:
    """A window and its core, in pixels of the picture.

    Attributes:
        rows: Of the window.
        columns: Of the window.
        core_rows: Of the core, which lies within.
        core_columns: Likewise.
    """

    rows: slice
    columns: slice
    core_rows: slice
    core_columns: slice

    @property
    def core(self) -> tuple[slice, slice]:
        """The core, in the picture."""
        return self.core_rows, self.core_columns

    @property
    def inner(self) -> tuple[slice, slice]:
        """The core, in the window."""
        return _within(self.core_rows, self.rows), _within(self.core_columns, self.columns)


@dataclass(frozen=True)
class WholePicture:
    """A picture, and what computes its windows.

    Attributes:
        pixels: (H, W) or (H, W, 3); uint8, uint16 or float32.
        threads: Each computes a window at a time.
        workers: How many threads there are.
        progress: Is told the share that is done, in the thread that waits for all.
        stop: Is asked between windows whether to stop.
        span: The share that is done before this picture is begun, and once it is finished.
        dtype: Of the results, as of ``pixels``.
        finish: Takes what became of a core, in [0, 1], and the core as it was, and returns what is kept.
    """

    pixels: np.ndarray
    threads: Executor
    workers: int
    progress: Callable[[float], None]
    stop: Callable[[], bool]
    dtype: npt.DTypeLike
    span: tuple[float, float] = (0.0, 1.0)
    finish: Callable[[Image, Image], Image] | None = None

    def part(self, begin: float, end: float) -> Self:
        """Return this picture as a part of its work: from one share of it to another."""
        return replace(self, span=(self._share(begin), self._share(end)))

    def _share(self, done: float) -> float:
        """Return the share of all that is done once a share of this is."""
        first, last = self.span
        return last if done == 1 else first + done * (last - first)

    def apply(
        self,
        function: Callable[[Image, Window], np.ndarray],
        margin: int | None,
        multiple_of: int = 1,
    ) -> np.ndarray:
        """Put a picture together out of what a function makes of windows.

        Args:
            function: See :meth:`map`; returns the window's shape, need not clip.
            margin: See :meth:`map`.
            multiple_of: See :meth:`map`.

        Returns:
            The shape of :attr:`pixels`, of the type :attr:`dtype`.
        """
        target = np.empty(self.pixels.shape, self.dtype)

        def compute(image: Image, window: Window) -> None:
            place = target[window.core]
            height, width = place.shape[:2]  # without padding
            result = np.clip(function(image, window)[window.inner][:height, :width], 0, 1)
            if self.finish is not None:
                result = self.finish(result, image[window.inner][:height, :width])
            place[...] = from_unit(result, target.dtype)

        for _ in self.map(compute, margin, multiple_of):
            pass
        return target

    def map(
        self,
        function: Callable[[Image, Window], ResultT],
        margin: int | None,
        multiple_of: int = 1,
    ) -> Iterator[ResultT]:
        """Call a function with every window, in threads.

        Args:
            function: Takes a window's pixels, float32, and where it is.
            margin: How far beyond its core a window reaches, where the picture does; a multiple of
                ``multiple_of``. None makes a single window of the picture.
            multiple_of: What places and sides of windows and cores are multiples of. The picture is
                mirrored at the bottom and at the right as far as that takes.

        Yields:
            What the function returns, in no particular order.

        Raises:
            Stopped: :attr:`stop` says so.
        """
        windows = list_windows(self.pixels.shape[:2], margin, multiple_of)
        return self.run(lambda window: function(self._cut(window), window), windows)

    def run(self, function: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Call a function with every item, in threads, and say how far that is.

        Yields:
            What the function returns, in no particular order.

        Raises:
            Stopped: :attr:`stop` says so.
        """
        total, done = len(items), 0
        coming = iter(items)
        running: set[Future[ResultT]] = set()
        try:
            while done < total:
                if self.stop():
                    raise Stopped
                for item in itertools.islice(coming, self.workers + _AHEAD - len(running)):
                    running.add(self.threads.submit(_call, function, item))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                    done += 1
                self.progress(self._share(done / total))
        finally:
            for future in running:
                future.cancel()

    def _cut(self, window: Window) -> Image:
        pixels = self.pixels[window.rows, window.columns]
        bottom = window.rows.stop - window.rows.start - pixels.shape[0]
        right = window.columns.stop - window.columns.start - pixels.shape[1]
        if bottom or right:
            widths = ((0, bottom), (0, right), *((0, 0),) * (pixels.ndim - 2))
            pixels = np.pad(pixels, widths, mode="symmetric")
        return to_unit(pixels)


def list_windows(shape: tuple[int, ...], margin: int | None, multiple_of: int = 1) -> list[Window]:
    """Divide a picture (height, width); see :meth:`WholePicture.map`."""
    if margin is None:
        everything = slice(0, shape[0]), slice(0, shape[1])
        return [Window(*everything, *everything)]
    rows, columns = (_divide(length, margin, multiple_of) for length in shape)
    return [Window(r, c, core_r, core_c) for r, core_r in rows for c, core_c in columns]


def _divide(length: int, margin: int, multiple_of: int) -> list[tuple[slice, slice]]:
    """Return windows and cores along one axis, the cores nearly alike."""
    units = math.ceil(length / multiple_of)
    count = math.ceil(units * multiple_of / SIDE)
    edges = [units * place // count * multiple_of for place in range(count + 1)]
    return [
        (slice(max(0, first - margin), min(edges[-1], last + margin)), slice(first, last))
        for first, last in itertools.pairwise(edges)
    ]


def give_back_large_blocks() -> None:
    """Have large blocks of memory go back to the system as soon as they are free, where it is glibc's.

    Blocks below this size, which all features of faces are, stay as they were: to have them anew every
    time takes a tenth longer.
    """
    if _GLIBC is not None:
        _GLIBC.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def _find_glibc() -> ctypes.CDLL | None:
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another library, or system
        library = ctypes.CDLL(None)
        if library.mallopt and library.malloc_trim:
            return library
    return None


_GLIBC = _find_glibc()


def _call(function: Callable[[ItemT], ResultT], item: ItemT) -> ResultT:
    result = function(item)
    if _GLIBC is not None:  # else each thread keeps what it freed, in ever more pieces
        _GLIBC.malloc_trim(0)
    return result


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
