"""Training on a device that has neither double precision nor Poisson numbers, as Apple's GPUs.

PyTorch's meta device stands in for it: tensors are shapes there, and a dispatch mode refuses what such a
GPU lacks.
"""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from denoiser.noise import NOISES, create_noise, random_source
from tests.conftest import ROOT
from tests.tiny import CONFIG, pictures
from train.config import parse_config
from train.emotion.fit import EmotionModule, read_emotion_config
from train.modules.experts import ExpertModule
from train.modules.supervised import SupervisedModule

DEVICE = torch.device("meta")
EVERY_NOISE = [{"stages": [{"kind": kind.id}]} for kind in NOISES]


class Refusing(TorchDispatchMode):
    """Raise where double precision or Poisson noise is wanted on the device."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        values, _ = tree_flatten((arguments, keywords, result))
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        there = [tensor for tensor in tensors if tensor.device == DEVICE]
        if there and ("poisson" in str(function) or any(t.dtype == torch.float64 for t in there)):
            raise TypeError(f"{function} is not there on this device")
        return result


def batch():
    return torch.from_numpy(pictures(64, seed=0))[:, None]


def placed(module):
    module.trainer = SimpleNamespace(world_size=1, global_rank=0, current_epoch=0)
    module.log = module.log_dict = lambda *arguments, **options: None
    return module.to(DEVICE)


def supervised():
    return SupervisedModule(parse_config(CONFIG | {"noise": EVERY_NOISE}, "test"))


def experts():
    settings = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "experts": ["a", "b"]}
    noise = [{**part, "expert": "ab"[place % 2]} for place, part in enumerate(EVERY_NOISE)]
    changes = {"architecture": "expert-unet", "settings": settings, "noise": noise}
    module = ExpertModule(parse_config(CONFIG | changes, "test"))
    # Which pictures are an expert's can't be told from their shape, and the router wants a real device.
    module.network.denoise_with = lambda noisy, expert: noisy
    module.network.score_experts = lambda noisy: noisy.flatten(1)[:, :2]
    return module


def test_the_device_refuses():
    with Refusing(), pytest.raises(TypeError, match="not there"):
        torch.randn(3, dtype=torch.float64, device=DEVICE)
    with Refusing(), pytest.raises(TypeError, match="not there"):
        torch.poisson(torch.ones(3, device=DEVICE))


@pytest.mark.parametrize("made", [supervised, experts])
def test_a_training_step(made):
    module = placed(made())
    with Refusing():
        loss = module.training_step([batch()], 0)
    assert loss.device == DEVICE


def test_pairs_are_brought_to_the_device():
    module = placed(supervised())
    with Refusing():
        noisy, clean = module.make_pair([batch()])
    assert noisy.device == clean.device == DEVICE
    assert noisy.shape == clean.shape == (64, 1, 48, 48)


def test_a_step_of_the_emotion_classifier():
    module = placed(EmotionModule(read_emotion_config()))
    targets = torch.full((64, 8), 1 / 8, device=DEVICE)
    with Refusing():
        module.on_train_epoch_start()
        assert module.training_step([batch(), targets], 0).device == DEVICE


@pytest.mark.parametrize("device", ["cpu", "mps", "meta"])
def test_noise_is_the_same_for_all_devices_that_cannot_draw_it(device):
    clean = torch.full((2, 1, 8, 8), 0.5)
    for kind in ("gaussian", "poisson"):
        source = random_source(torch.device(device), 3)
        assert source.device.type == "cpu"
        expected = create_noise(kind).apply(clean, torch.Generator().manual_seed(3))
        assert torch.equal(create_noise(kind).apply(clean, source), expected)


@pytest.mark.slow
def test_a_machine_that_only_trains_needs_nothing_of_the_page():
    """It has PyTorch, Lightning, safetensors, pyarrow, scikit-image and OpenCV, and no more."""
    code = """
import sys
for name in ("gradio", "plotly", "pi_heif", "pywt", "pydantic", "playwright"):
    sys.modules[name] = None  # as if it were not installed
import numpy as np
import denoiser, train.fit, train.recipe.run, train.emotion.fit, train.evaluation.score
from denoiser.images import load_image, to_png
assert load_image(to_png(np.zeros((48, 48), np.float32))).shape == (48, 48)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
