"""Starting the processes in which strangers' models run, talking to them, and ending them.

Nothing that a process sends is trusted: answers are short and of a known form, pictures of a known
size.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from denoiser.denoisers.base import OwnDenoiserError
from denoiser.denoisers.confined.worker import LENGTH, SHAPE, write_frame

LOAD_SECONDS = 15
"""Processor time that loading a model may take; of the time on the wall, four times as much."""

RUN_SECONDS = 1
"""Likewise for one picture."""

MEGABYTES = 1024
"""Memory that a model may have beside what its engine takes."""

AT_ONCE = 2
"""How many models are computed at the same time, of all visitors."""

WAIT_SECONDS = 5.0
"""How long a picture waits for its turn."""

KEPT, IDLE_SECONDS = 2, 60.0
"""How many processes are kept for the next picture, and for how long."""

_WALL = 4  # the machine may be busy
_LONGEST_ANSWER = 10_000
_SCRIPT = Path(__file__).with_name("worker.py")
_PACKAGE = Path(__file__).parents[3]
_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
)


class OwnModelError(OwnDenoiserError):
    """A model that somebody brought can't be used; the message is one sentence for a person."""


class ModelStoppedError(OwnModelError):
    """Its process has ended, or was ended: what a model has done once, it will do again."""


class ModelsBusyError(OwnModelError):
    """Too many others are being computed."""


@dataclass(eq=False)
class Recipe:
    """What a process needs to have a model.

    Attributes:
        kind: ``"onnx"``, whose one file has no name, or ``"network"`` in the layout of ``train push``.
        files: Contents by name.
        stopped: Why its process had to end; empty as long as none had to.
    """

    kind: Literal["onnx", "network"]
    files: Mapping[str, bytes] = field(repr=False)
    stopped: str = ""

    @cached_property
    def key(self) -> str:
        """A hash of the files."""
        digest = hashlib.sha256(self.kind.encode())
        for content in self.files.values():
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Memory that the files take."""
        return sum(map(len, self.files.values()))


class ModelProcess:
    """A process that has a model. One thread at a time may use it.

    Args:
        recipe: The model.

    Raises:
        OwnModelError: It can't be loaded; one sentence.
    """

    def __init__(self, recipe: Recipe):
        self._timed_out = False
        try:
            self._process = subprocess.Popen(
                [sys.executable, str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            raise ModelsBusyError("The server can't start another process; try again later.") from None
        try:
            self.facts = self._load(recipe)
        except BaseException:
            self.end()
            raise

    def _load(self, recipe: Recipe) -> dict[str, Any]:
        request: dict[str, Any] = {
            "kind": recipe.kind,
            "load_seconds": LOAD_SECONDS,
            "run_seconds": RUN_SECONDS,
            "megabytes": MEGABYTES,
        }
        if recipe.kind == "onnx":
            request["parts"] = len(recipe.files)
            return self._ask([json.dumps(request).encode(), *recipe.files.values()], LOAD_SECONDS)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "model")  # what errors call it
            folder.mkdir()
            for name, content in recipe.files.items():
                (folder / name).write_bytes(content)
            request |= {"parts": 0, "folder": str(folder), "package": str(_PACKAGE)}
            return self._ask([json.dumps(request).encode()], LOAD_SECONDS)

    def run(self, picture: np.ndarray) -> np.ndarray:
        """Have it denoise a picture.

        Args:
            picture: (H, W, 1) or (H, W, 3) float32.

        Returns:
            Same shape, whatever numbers.

        Raises:
            OwnModelError: It can't; one sentence.
            ModelStoppedError: It has ended; it can't be used any more.
        """
        content = np.ascontiguousarray(picture, "<f4").tobytes()
        with self._time_limit(RUN_SECONDS):
            answer = self._talk([SHAPE.pack(*picture.shape) + content])
            shape = answer.get("shape")
            result = self._read_frame(len(content))
        if len(result) != len(content):
            raise OwnModelError(
                f"The model returned shape {_sentence(shape)} for a picture of shape {picture.shape}."
            )
        return np.frombuffer(result, "<f4").reshape(picture.shape)

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()

    def _kill(self) -> None:
        if self._process.returncode is None:  # or its number may be another's
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _ask(self, frames: list[bytes], seconds: int) -> dict[str, Any]:
        with self._time_limit(seconds):
            return self._talk(frames)

    @contextlib.contextmanager
    def _time_limit(self, seconds: int) -> Iterator[None]:
        """End the process if it has not answered in time; raise ModelStoppedError where it has ended."""

        def give_up() -> None:
            self._timed_out = True
            self._kill()

        timer = threading.Timer(_WALL * seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, EOFError) as error:
            self.end()
            raise ModelStoppedError(self._why_ended(seconds)) from error
        finally:
            timer.cancel()

    def _why_ended(self, seconds: int) -> str:
        if self._timed_out or self._process.returncode == -signal.SIGXCPU:
            return f"The model was stopped: it may compute for {seconds} s, and took longer."
        return "The model was stopped: its process broke down, as it does where memory runs out."

    def _talk(self, frames: list[bytes]) -> dict[str, Any]:
        for content in frames:
            write_frame(self._process.stdin, content)  # type: ignore[arg-type]
        answer = _parse(self._read_frame(_LONGEST_ANSWER))
        if "error" in answer:
            raise OwnModelError(_sentence(answer["error"]))
        facts = answer.get("ok")
        if not isinstance(facts, dict):
            raise EOFError("no answer")
        return facts

    def _read_frame(self, most: int) -> bytes:
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > most:
            raise EOFError("more than was asked for")
        return self._read(length)

    def _read(self, length: int) -> bytes:
        content = self._process.stdout.read(length)  # type: ignore[union-attr]
        if len(content) < length:
            raise EOFError("the process has ended")
        return content


class ProcessPool:
    """Processes of several models, of which a few are kept. Safe to use from several threads.

    Args:
        start: Starts a process.
    """

    def __init__(self, start: Callable[[Recipe], ModelProcess] = ModelProcess):
        self._start = start
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._idle: OrderedDict[Recipe, tuple[ModelProcess, float]] = OrderedDict()  # last used last
        self._timer: threading.Timer | None = None

    def facts(self, recipe: Recipe) -> dict[str, Any]:
        """Load a model, and return what its process says of it.

        Raises:
            OwnModelError: It can't be loaded; one sentence.
        """
        with self._process(recipe) as process:
            return process.facts

    def run(self, recipe: Recipe, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """Have a model denoise a picture, see :meth:`ModelProcess.run`.

        Returns:
            The picture, and the milliseconds that took, without waiting and loading.
        """
        with self._process(recipe) as process:
            start = time.perf_counter()
            return process.run(picture), 1000 * (time.perf_counter() - start)

    def close(self) -> None:
        """End all that are kept: one that was taken over might not end by itself."""
        with self._lock:
            ended = [process for process, _ in self._idle.values()]
            self._idle.clear()
            self._wait_for_oldest(0.0)
        for process in ended:
            process.end()

    def __len__(self) -> int:
        with self._lock:
            return len(self._idle)

    @contextlib.contextmanager
    def _process(self, recipe: Recipe) -> Iterator[ModelProcess]:
        if not self._turns.acquire(timeout=WAIT_SECONDS):
            raise ModelsBusyError("Too many models of visitors are computing; try again in a minute.")
        try:
            with self._lock:
                process, _ = self._idle.pop(recipe, (None, 0.0))
            process = process or self._start(recipe)
            try:
                yield process
            except OwnModelError as error:
                if isinstance(error, ModelStoppedError):
                    process.end()
                else:
                    self._keep(recipe, process)
                raise
            except BaseException:
                process.end()
                raise
            else:
                self._keep(recipe, process)
        finally:
            self._turns.release()

    def _keep(self, recipe: Recipe, process: ModelProcess) -> None:
        now = time.monotonic()
        with self._lock:
            twin, _ = self._idle.pop(recipe, (None, 0.0))
            self._idle[recipe] = process, now
            ended = [] if twin is None else [twin]
            while len(self._idle) > KEPT:
                ended.append(self._idle.popitem(last=False)[1][0])
            self._wait_for_oldest(now)
        for other in ended:
            other.end()

    def _end_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            old = [recipe for recipe, (_, used) in self._idle.items() if now - used >= IDLE_SECONDS]
            ended = [self._idle.pop(recipe)[0] for recipe in old]
            self._wait_for_oldest(now)
        for process in ended:
            process.end()

    def _wait_for_oldest(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._idle:
            oldest = min(used for _, used in self._idle.values())
            self._timer = threading.Timer(max(0.1, oldest + IDLE_SECONDS - now), self._end_idle)
            self._timer.daemon = True
            self._timer.start()


def _environment() -> dict[str, str]:
    """Return what a process is told: no token, and one thread for each library."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return (
        passed_on | dict.fromkeys(threads, "1") | {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    )


def _parse(answer: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise EOFError("no answer")
    return parsed


def _sentence(text: Any) -> str:
    """Return what a process says, as plain text of some length."""
    return re.sub(r"[^\w .,:;?'()/=+-]", "?", str(text)[:300], flags=re.ASCII)
