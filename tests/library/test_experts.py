"""The mixture of experts: who denoises what, whose weights it takes over, and how each is taught."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from denoiser.architectures import build_network
from tests.tiny import CONFIG, pictures
from train.config import parse_config
from train.fit import build_module
from train.modules.experts import ExpertModule, deal_to_experts, share_out
from train.modules.muon import Muon

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


def module(**changes):
    own = {"architecture": "expert-unet", "settings": SMALL | {"experts": NAMES}, "noise": NOISE}
    return ExpertModule(parse_config(CONFIG | own | {"learning_rate": 2e-3} | changes, "test"))


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


def names(parts):
    """Name parts of a mixture by their first noise, and its lowest strength."""
    return [(part.stages[0].kind, min(part.stages[0].ranges.values())[0]) for part in parts]


def test_noise_goes_to_the_expert_it_names_and_otherwise_to_the_first():
    noise = parse_config(CONFIG | {"noise": NOISE}, "test").noise
    dealt = deal_to_experts(noise, tuple(NAMES))
    assert list(dealt) == NAMES  # in the network's order
    assert names(dealt["rest"]) == [("salt-and-pepper", 0.1)]
    assert names(dealt["faint"]) == [("gaussian", 0.0)]
    assert names(dealt["strong"]) == [("gaussian", 0.2)]
    dealt = deal_to_experts(noise, ("all", "strong"))
    assert names(dealt["all"]) == [("gaussian", 0.0), ("salt-and-pepper", 0.1)]
    assert names(dealt["strong"]) == [("gaussian", 0.2)]


def test_an_expert_without_noise_is_refused():
    noise = parse_config(CONFIG | {"noise": NOISE}, "test").noise
    with pytest.raises(ValueError, match=r"for the expert idle, lazy"):
        deal_to_experts(noise, ("rest", "idle", "faint", "lazy"))
    with pytest.raises(ValueError, match="is for the expert rest"):
        deal_to_experts(noise[:2], tuple(NAMES))


@pytest.mark.parametrize(
    ("count", "sizes"), [(9, [3, 3, 3]), (8, [3, 3, 2]), (7, [3, 2, 2]), (2, [1, 1, 0]), (0, [0, 0, 0])]
)
def test_experts_get_equal_shares_of_a_batch(count, sizes):
    assert share_out(count, 3) == sizes


def attached(training, monkeypatch, seed=0):
    """Let a module take steps without a trainer."""
    monkeypatch.setattr(training, "log_dict", lambda *_, **__: None)
    training._sources = torch.Generator().manual_seed(seed), random.Random(seed)
    return training


def test_pictures_are_shared_out_equally_whatever_the_weights(monkeypatch):
    """Weights tell one expert's own noises from each other only."""
    heavy = [NOISE[0] | {"weight": 50}, *NOISE[1:]]
    heavy.append({"expert": "strong", "weight": 3, "stages": [{"kind": "impulse", "amount": 0.3}]})
    training = attached(module(noise=heavy), monkeypatch)
    seen = {}
    for name, expert in training.network.experts.items():
        expert.register_forward_hook(
            lambda expert, inputs, output, name=name: seen.update({name: inputs[0]})
        )
    training.training_step([faces(24)], 0)
    assert {name: len(noisy) for name, noisy in seen.items()} == dict.fromkeys(NAMES, 8)
    # Of the strong one's eight, a quarter has Gaussian noise; impulses leave most pixels as they are.
    levels = (seen["strong"] * 255) % 1
    changed = (torch.minimum(levels, 1 - levels) > 0.01).flatten(1).float().mean(1)
    assert int((changed > 0.4).sum()) == 2


def test_an_expert_learns_from_its_own_noise_only(monkeypatch):
    """What the others are given doesn't change its gradients."""
    other = [NOISE[0], NOISE[1], {"stages": [{"kind": "impulse", "amount": 0.4}]}]
    gradients = []
    for noise in (NOISE, other):
        torch.manual_seed(0)
        training = attached(module(noise=noise), monkeypatch)
        order = ["faint", "strong", "rest"]  # so that the two draw the same numbers up to the last one
        training.mixtures = {name: training.mixtures[name] for name in order}
        # A loss that is a mean of the pictures' own: that of decibels weighs them by one another.
        training.config = replace(training.config, loss="mse", rescaled_share=0.0)
        training.training_step([faces(9)], 0).backward()
        network = training.network
        gradients.append({n: [p.grad for p in network.experts[n].parameters()] for n in NAMES})
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.router.parameters())
    for name in ("faint", "strong"):
        for one, two in zip(*(found[name] for found in gradients), strict=True):
            torch.testing.assert_close(one, two)
    assert any(
        not torch.allclose(a, b) for a, b in zip(*(found["rest"] for found in gradients), strict=True)
    )


def test_an_expert_alone_gets_the_whole_batch_and_the_rest_no_gradient(monkeypatch):
    training = attached(module(only="strong"), monkeypatch)
    sizes = []
    training.network.experts["strong"].register_forward_hook(
        lambda expert, inputs, output: sizes.append(len(inputs[0]))
    )
    training.training_step([faces(8)], 0).backward()
    assert sizes == [8]
    learning = {name for name, p in training.network.named_parameters() if p.grad is not None}
    assert learning
    assert all(name.startswith("experts.strong.") for name in learning)


def test_the_router_alone_sees_all_noises_and_the_experts_stay(monkeypatch):
    training = attached(module(only="router"), monkeypatch)
    for expert in training.network.experts.values():
        expert.register_forward_hook(lambda *_: pytest.fail("no expert has anything to learn"))
    assert list(training.mixtures) == list(NAMES)
    training.training_step([faces(9)], 0).backward()
    learning = {name for name, p in training.network.named_parameters() if p.grad is not None}
    assert learning
    assert all(name.startswith("router.") for name in learning)


@pytest.mark.slow
def test_the_router_learns_to_tell_noises_apart(monkeypatch):
    training = attached(module(), monkeypatch)
    optimizer = Muon(training.parameter_groups(), lr=2e-3)
    clean = faces(24)
    for _ in range(40):
        optimizer.zero_grad()
        training.training_step([clean], 0).backward()
        optimizer.step()
    network = training.network.eval()
    both = torch.Generator().manual_seed(1), random.Random(1)
    fresh = torch.from_numpy(pictures(60, 9).astype(np.float32) / 255)[:, None]
    right = []
    with torch.no_grad():
        for name, own in zip(NAMES, fresh.chunk(3), strict=True):
            chosen = network.score_experts(training.mixtures[name](own, *both)).argmax(dim=1)
            right.append(chosen == NAMES.index(name))
    assert torch.cat(right).float().mean() > 0.95  # by chance 0.33
