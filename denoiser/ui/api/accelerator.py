"""A graphics processor, where the app can borrow one, and what it would gain: a network timed on both.

On a ZeroGPU Space the package ``spaces`` lends a GPU to the functions that it decorates, for as long as
they run, and such a Space starts only if there is one. Anywhere else that package isn't needed, and does
nothing.
"""

import copy
import functools
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch

from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser, model_of
from denoiser.faces.fer2013 import FACE_SIZE

try:
    import spaces  # has to come before anything uses CUDA; importing PyTorch does not
except ImportError:
    spaces = None

GPU_SECONDS = 20
"""For how long to ask for a GPU. A visitor without an account has two minutes a day."""

MAX_FACES = 64
"""The largest batch to time, so that a call takes a few seconds at most."""

MAX_FACES_FLOW = 4
"""The same of a flow, which runs its network many times."""

_RUNS = 5

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Timing:
    """How long a network takes for a batch of faces.

    Attributes:
        device: Name of the processor.
        first: Milliseconds of the first run, with what has to be prepared for it: on a GPU, moving
            the network there.
        milliseconds: Median of the runs that follow, to and from main memory.
    """

    device: str
    first: float
    milliseconds: float


@dataclass(frozen=True)
class Processors:
    """The same work on both processors.

    Attributes:
        cpu: On the processor that the page uses.
        gpu: On the GPU; None where there is none.
        lending: Milliseconds spent on getting the GPU and giving it back; None where there is none.
    """

    cpu: Timing
    gpu: Timing | None
    lending: float | None


def borrow_gpu(seconds: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a ZeroGPU Space lend a function its GPU; elsewhere, leave the function as it is.

    Args:
        seconds: The longest that the function may take.
    """
    if spaces is None:
        return lambda function: function
    return spaces.GPU(duration=seconds)


def compare_processors(denoiser_id: str, faces: int) -> Processors:
    """Time a network for a batch of 48x48 pictures on the CPU and, where there is one, on a GPU.

    Args:
        denoiser_id: A network.
        faces: Pictures in the batch, 1 to :data:`MAX_FACES`, of a flow to :data:`MAX_FACES_FLOW`.

    Raises:
        ValueError: There is no such network, or that is no such number.
        WeightsError: The network's weights are missing or damaged.
    """
    network = _network(denoiser_id)
    most = MAX_FACES_FLOW if network.info.family == "flow" else MAX_FACES
    if not isinstance(faces, int) or isinstance(faces, bool) or not 1 <= faces <= most:
        raise ValueError(f"faces must be a whole number from 1 to {most}")
    batch = _pictures(faces)
    cpu = time_runs(_cpu_name(), functools.partial(network.run, batch))
    start = time.perf_counter()
    on_gpu = time_on_gpu(denoiser_id, faces)
    if on_gpu is None:
        return Processors(cpu, None, None)
    gpu, inside = on_gpu
    return Processors(cpu, gpu, _milliseconds_since(start) - inside)


@borrow_gpu(GPU_SECONDS)
def time_on_gpu(denoiser_id: str, faces: int) -> tuple[Timing, float] | None:
    """Time a network on the GPU; None where there is none.

    On ZeroGPU this runs in a process of its own, so what goes in and out is small, and no tensor.

    Returns:
        The timing, and the milliseconds that this function took in all.
    """
    if not torch.cuda.is_available():
        return None
    start = time.perf_counter()
    batch = _pictures(faces)
    moved: list[torch.nn.Module] = []

    def run() -> None:
        if not moved:  # a copy: the original stays where the page needs it
            moved.append(copy.deepcopy(_network(denoiser_id).network).to("cuda"))
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).to("cuda", memory_format=torch.channels_last)
            moved[0](tensor).cpu()  # waits for the GPU, too

    timing = time_runs(torch.cuda.get_device_name(), run)
    return timing, _milliseconds_since(start)


def time_runs(device: str, run: Callable[[], Any]) -> Timing:
    """Time something once, and then the median of some more times.

    Args:
        device: Name of the processor.
        run: What to time.
    """
    durations = []
    for _ in range(1 + _RUNS):
        start = time.perf_counter()
        run()
        durations.append(_milliseconds_since(start))
    return Timing(device, durations[0], statistics.median(durations[1:]))


def _network(denoiser_id: str) -> NetworkDenoiser:
    denoiser: Denoiser = create_denoiser(denoiser_id)
    if not isinstance(denoiser, NetworkDenoiser):
        what = "a filter" if model_of(denoiser_id) is None else "another network, run several times"
        raise ValueError(f"{denoiser_id} is {what}, and has nothing of its own to run on a GPU")
    return denoiser


def _pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, FACE_SIZE, FACE_SIZE), np.float32)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _milliseconds_since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
