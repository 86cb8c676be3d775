"""The mixture of experts: who denoises what, whose weights it takes over, and how each is taught."""

import numpy as np
import pytest
import torch

from denoiser.architectures import build_network
from train.config import parse_config
from train.experts import ExpertModule
from train.fit import build_module
from train.muon import Muon

from .tiny import CONFIG, pictures

SMALL = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
NAMES = ["rest", "faint", "strong"]
NOISE = [
    {"expert": "faint", "stages": [{"kind": "gaussian", "sigma": [0.0, 0.02]}]},
    {"expert": "strong", "stages": [{"kind": "gaussian", "sigma": [0.2, 0.3]}]},
    {"stages": [{"kind": "salt-and-pepper", "amount": [0.1, 0.3]}]},
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def made(**changes):
    return build_network("expert-unet", SMALL | {"experts": NAMES} | changes)


def module(**settings):
    settings = SMALL | {"experts": NAMES} | settings
    changes = {"architecture": "expert-unet", "settings": settings, "noise": NOISE}
    changes["learning_rate"] = 2e-3
    return ExpertModule(parse_config(CONFIG | changes, "test"))


def faces(count):
    return torch.from_numpy(pictures(count, 0))[:, None]


def test_each_picture_goes_through_its_own_expert_alone():
    network = made().eval()
    noisy = torch.rand(5, 1, 16, 16)
    with torch.no_grad():
        together = network.denoise_with(noisy, torch.tensor([2, 0, 2, 1, 0]))
        for place, name in enumerate([NAMES[2], NAMES[0], NAMES[2], NAMES[1], NAMES[0]]):
            alone = network.experts[name](noisy[place : place + 1])
            torch.testing.assert_close(together[place : place + 1], alone)
        assert not torch.allclose(network.experts["rest"](noisy), network.experts["faint"](noisy))


def test_the_router_s_highest_score_chooses():
    network = made().eval()
    noisy = torch.rand(3, 1, 16, 16)
    for place in range(3):
        with torch.no_grad():
            network.router.scores[-1].bias.zero_()
            network.router.scores[-1].bias[place] = 100
            expected = network.denoise_with(noisy, torch.full((3,), place))
            assert torch.equal(network(noisy), expected)


def test_one_expert_needs_no_router():
    network = made(experts=["all"]).eval()
    assert network.router is None
    noisy = torch.rand(2, 1, 16, 16)
    assert torch.equal(network(noisy), network.experts["all"](noisy))
    assert network.score_experts(noisy).shape == (2, 1)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a.b"], ["a", ""], ["keys"]], ids=str)
def test_names_that_can_t_be(names):
    with pytest.raises(ValueError, match="can't be built"):
        made(experts=names)


def test_every_expert_starts_as_the_network_it_starts_from():
    single = build_network("residual-unet", SMALL).eval()
    network = made().eval()
    network.start_from(single.state_dict())
    noisy = torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network.denoise_with(noisy, torch.arange(4) % 3), single(noisy))


def test_a_mixture_takes_over_the_experts_that_it_has_too():
    large, small = made(), build_network("median-unet", SMALL | {"experts": ["rest", "strong"]})
    small.start_from(large.state_dict())
    noisy = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        # The hybrid sees the filtered picture beside the noisy one, which counts for nothing yet.
        denoised = small.denoise_with(noisy, torch.tensor([0, 1]))
        torch.testing.assert_close(denoised, large.denoise_with(noisy, torch.tensor([0, 2])))
    assert torch.equal(small.router.coarse.weight, large.router.coarse.weight)
    assert len(small.router.scores[-1].bias) == 2  # it chooses among others, by the same signs
    again = made()
    again.start_from(large.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), large.parameters(), strict=True))


@pytest.mark.parametrize(
    "other",
    [
        ("expert-unet", SMALL | {"experts": ["rest"]}),
        ("expert-unet", SMALL | {"experts": NAMES, "widths": [4, 6]}),
        ("autoencoder", {"widths": [4, 8]}),
    ],
    ids=str,
)
def test_weights_that_don_t_fit_are_refused(other):
    with pytest.raises(RuntimeError):
        made().start_from(build_network(*other).state_dict())


def test_a_config_with_experts_is_trained_as_one(tmp_path):
    config = {"architecture": "expert-unet", "settings": SMALL | {"experts": NAMES}, "noise": NOISE}
    assert type(build_module(parse_config(CONFIG | config, "test"), tmp_path)) is ExpertModule


def test_noise_goes_to_the_expert_it_names_and_otherwise_to_the_first():
    assert module().expert_of.tolist() == [1, 2, 0]
    assert module(experts=["all", "strong"]).expert_of.tolist() == [0, 1, 0]


def test_an_expert_learns_from_its_own_noise_only(monkeypatch):
    training = module()
    monkeypatch.setattr(training, "log_dict", lambda *_, **__: None)
    training._generator = torch.Generator().manual_seed(0)
    training.mixture.weights = torch.tensor([0.0, 1.0, 0.0])  # strong noise only
    training.training_step([faces(8)], 0).backward()
    network = training.network
    assert all(p.grad is not None for p in network.experts["strong"].parameters())
    assert all(p.grad is None for n in ("rest", "faint") for p in network.experts[n].parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.router.parameters())


def test_the_router_learns_to_tell_noises_apart(monkeypatch):
    training = module()
    monkeypatch.setattr(training, "log_dict", lambda *_, **__: None)
    training._generator = torch.Generator().manual_seed(0)
    optimizer = Muon(training.parameter_groups(), lr=2e-3)
    clean = faces(24)
    for _ in range(40):
        optimizer.zero_grad()
        training.training_step([clean], 0).backward()
        optimizer.step()
    network = training.network.eval()
    generator = torch.Generator().manual_seed(1)
    fresh = torch.from_numpy(pictures(60, 9).astype(np.float32) / 255)[:, None]
    parts = training.mixture.draw(fresh, generator)
    with torch.no_grad():
        chosen = network.score_experts(training.mixture.corrupt(fresh, parts, generator)).argmax(dim=1)
    right = (chosen == training.expert_of[parts]).float().mean()
    assert right > 0.95  # by chance 0.33
