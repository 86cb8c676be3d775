"""Timing a network on both processors, with and without what a ZeroGPU Space brings along."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser
from denoiser.ui.api import accelerator
from denoiser.ui.api.accelerator import (
    MAX_FACES,
    MAX_FACES_FLOW,
    compare_processors,
    time_on_gpu,
    time_runs,
)
from tests.conftest import ROOT

NETWORK = "autoencoder"


class FakeSpaces(ModuleType):
    """The package ``spaces`` on ZeroGPU: notes what is decorated, and when that runs."""

    def __init__(self):
        super().__init__("spaces")
        self.decorated = []
        self.lent = []

    def GPU(self, function=None, *, duration=60):  # noqa: N802
        if function is None:
            return lambda given: self.GPU(given, duration=duration)
        self.decorated.append((function.__name__, duration))

        def lend(*arguments):
            self.lent.append(arguments)
            return function(*arguments)

        return lend


def load_anew(name):
    """Import the module a second time, with whatever sys.modules holds for ``spaces`` now."""
    spec = importlib.util.spec_from_file_location(name, accelerator.__file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


@pytest.fixture
def spaces(monkeypatch):
    fake = FakeSpaces()
    monkeypatch.setitem(sys.modules, "spaces", fake)
    return fake


@pytest.fixture
def gpu(monkeypatch):
    """Have "cuda" mean this machine's CPU; returns the modules that were moved there."""
    moved = []
    module_to, tensor_to = torch.nn.Module.to, torch.Tensor.to

    def move_module(self, *arguments, **options):
        if arguments == ("cuda",):
            moved.append(self)
            return self
        return module_to(self, *arguments, **options)

    def move_tensor(self, *arguments, **options):
        return tensor_to(self, *("cpu" if a == "cuda" else a for a in arguments), **options)

    monkeypatch.setattr(torch.nn.Module, "to", move_module)
    monkeypatch.setattr(torch.Tensor, "to", move_tensor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Imagined GPU")
    return moved


def test_a_zerogpu_space_finds_a_function_to_lend_its_gpu_to(spaces):
    """It refuses to start with "No @spaces.GPU function detected" if nothing is decorated."""
    module = load_anew("zero_gpu")
    assert spaces.decorated == [("time_on_gpu", module.GPU_SECONDS)]
    assert spaces.lent == []  # importing the app costs nobody's quota


def test_the_gpu_is_borrowed_once_for_a_call_and_never_for_a_wrong_one(spaces, gpu):
    module = load_anew("zero_gpu")
    module.compare_processors(NETWORK, 2)
    assert spaces.lent == [(NETWORK, 2)]  # small and picklable: it goes to another process
    with pytest.raises(ValueError, match="is a filter"):
        module.compare_processors("median", 1)
    with pytest.raises(ValueError, match="from 1 to"):
        module.compare_processors(NETWORK, 0)
    assert len(spaces.lent) == 1


def test_without_the_package_the_function_is_left_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it fails
    module = load_anew("no_spaces")
    assert module.spaces is None
    assert module.time_on_gpu.__name__ == "time_on_gpu"
    assert not hasattr(module.time_on_gpu, "__wrapped__")


@pytest.mark.slow
def test_importing_the_app_leaves_cuda_alone():
    """ZeroGPU allows CUDA in decorated functions only."""
    code = "import sys, torch; torch.cuda._lazy_init = lambda: sys.exit('CUDA is used'); import app"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert time_on_gpu(NETWORK, 1) is None
    measured = compare_processors(NETWORK, 3)
    assert measured.gpu is None
    assert measured.lending is None
    assert measured.cpu.device
    assert measured.cpu.milliseconds > 0


def test_gpu(gpu):
    measured = compare_processors(NETWORK, 3)
    assert measured.gpu.device == "Imagined GPU"
    assert measured.cpu.device != "Imagined GPU"
    assert measured.gpu.milliseconds > 0
    assert measured.lending >= 0
    [moved] = gpu
    assert moved is not create_denoiser(NETWORK).network  # the page still needs that one
    for one, other in zip(
        moved.parameters(), create_denoiser(NETWORK).network.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_what_is_timed_is_the_batch_that_was_asked_for(monkeypatch):
    shapes = []
    run = NetworkDenoiser.run

    def note(self, batch):
        shapes.append(batch.shape)
        assert batch.dtype == np.float32
        return run(self, batch)

    monkeypatch.setattr(NetworkDenoiser, "run", note)
    compare_processors(NETWORK, 5)
    assert set(shapes) == {(5, 1, 48, 48)}


def test_median_of_the_runs_after_the_first(monkeypatch):
    ends = iter([0, 9, 10, 12, 20, 21, 30, 33, 40, 41, 50, 52])
    monkeypatch.setattr(accelerator.time, "perf_counter", lambda: next(ends))
    timing = time_runs("A", lambda: None)
    assert (timing.device, timing.first, timing.milliseconds) == ("A", 9000, 2000)


@pytest.mark.parametrize("faces", [0, -1, MAX_FACES + 1, 2.0, True, None, "4"])
def test_a_wrong_number_of_faces(faces):
    with pytest.raises(ValueError, match=f"from 1 to {MAX_FACES}"):
        compare_processors(NETWORK, faces)


def test_a_filter_has_nothing_to_run_on_a_gpu():
    with pytest.raises(ValueError, match="median is a filter"):
        compare_processors("median", 1)
    with pytest.raises(ValueError, match="another network, run several times"):
        compare_processors("residual-unet-flow", 1)


def test_a_flow_is_timed_on_few_faces():
    with pytest.raises(ValueError, match=f"from 1 to {MAX_FACES_FLOW}"):
        compare_processors("flow-unet", MAX_FACES_FLOW + 1)


def test_only_this_module_knows_of_spaces():
    users = [p.name for p in (ROOT / "denoiser").rglob("*.py") if "import spaces" in p.read_text()]
    assert users == [Path(accelerator.__file__).name]
