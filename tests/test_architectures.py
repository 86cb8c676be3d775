"""What every network keeps: shapes, gradients everywhere, and a config that survives JSON."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from denoiser.architectures import ARCHITECTURES, build_network
from denoiser.architectures.attention import AttentionGate
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.base import DenoiserInfo
from denoiser.networks import NetworkDenoiser

# Every architecture, small, in the variants its settings offer.
VARIANTS = {
    "attention-unet": ("attention-unet", {"widths": [4, 8]}),
    "attention-unet, three scales": ("attention-unet", {"widths": [4, 6, 8]}),
    "attention-unet, one scale": ("attention-unet", {"widths": [4]}),
    "attention-unet, direct": ("attention-unet", {"widths": [4, 8], "residual": False}),
    "attention-unet, batch norm": ("attention-unet", {"widths": [4, 8], "batch_norm": True}),
    "autoencoder": ("autoencoder", {"widths": [4, 8]}),
    "autoencoder, one scale": ("autoencoder", {"widths": [4]}),
    "autoencoder, no skips": ("autoencoder", {"widths": [4, 8], "skips": False}),
    "autoencoder, dropout": ("autoencoder", {"widths": [4, 8], "dropout": 0.5}),
}
each_variant = pytest.mark.parametrize(
    ("architecture", "settings"), VARIANTS.values(), ids=list(VARIANTS)
)
SHAPES = [(1, 1), (31, 37), (64, 65), (1, 1, 3), (31, 37, 3), (64, 65, 3)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def picture(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def denoiser_of(architecture, settings):
    info = DenoiserInfo("tiny", "Tiny", "network", False, "nothing", 0, "-")
    return NetworkDenoiser(info, build_network(architecture, settings).eval())


def assert_every_parameter_has_a_gradient(network: nn.Module):
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_every_architecture_is_tested():
    assert {architecture for architecture, _ in VARIANTS.values()} == set(ARCHITECTURES)


def test_default_attention_unet_has_the_reference_s_size():
    parameters = sum(p.numel() for p in build_network("attention-unet", {}).parameters())
    assert 1_980_000 <= parameters <= 2_000_000


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_default_sizes_take_a_face_and_train_everywhere(architecture):
    network = build_network(architecture, {})
    faces = torch.rand(2, 1, 48, 48)
    denoised = network(faces)
    assert denoised.shape == faces.shape
    assert denoised.isfinite().all()
    (denoised - torch.rand_like(denoised)).square().mean().backward()
    assert_every_parameter_has_a_gradient(network)


@each_variant
def test_backward_reaches_every_parameter(architecture, settings):
    """At some random start or other: so few channels may all be cut off by a ReLU at one of them."""
    unreached = None
    for seed in range(5):
        torch.manual_seed(seed)
        network = build_network(architecture, settings)
        faces = torch.rand(8, 1, 16, 16)
        (network(faces) - torch.rand_like(faces)).square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        cut_off = {name for name, p in network.named_parameters() if not p.grad.any()}
        unreached = cut_off if unreached is None else unreached & cut_off
    assert unreached == set()


@each_variant
@pytest.mark.parametrize("times", [(1, 1), (1, 3), (5, 2)])
def test_output_is_as_large_as_the_input(architecture, settings, times):
    network = build_network(architecture, settings).eval()
    sides = [network.multiple_of * n for n in times]
    batch = torch.rand(3, 1, *sides)
    with torch.inference_mode():
        denoised = network(batch)
    assert denoised.shape == batch.shape
    assert denoised.isfinite().all()


@each_variant
def test_config_survives_json(architecture, settings):
    network = build_network(architecture, settings)
    again = build_network(architecture, json.loads(json.dumps(asdict(network.config))))
    assert again.config == network.config
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes
    again.load_state_dict(network.state_dict(), strict=True)
    batch = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(again.eval()(batch), network.eval()(batch))


@each_variant
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_gives_a_picture(architecture, settings, shape):
    model = denoiser_of(architecture, settings)
    noisy = picture(shape)
    before = noisy.copy()
    denoised = model(noisy)
    assert denoised.shape == noisy.shape
    assert denoised.dtype == np.float32
    assert np.isfinite(denoised).all()
    assert denoised.min() >= 0
    assert denoised.max() <= 1
    np.testing.assert_array_equal(noisy, before)
    np.testing.assert_array_equal(model(noisy), denoised)  # the same answer every time


@each_variant
def test_channels_of_colour_are_denoised_like_gray(architecture, settings):
    model = denoiser_of(architecture, settings)
    noisy = picture((31, 37, 3))
    one_by_one = np.stack([model(noisy[..., c].copy()) for c in range(3)], axis=-1)
    np.testing.assert_allclose(model(noisy), one_by_one, atol=1e-6)


@each_variant
def test_batch_equals_one_by_one(architecture, settings):
    model = denoiser_of(architecture, settings)
    batch = picture((5, 1, 16, 16))
    together = model.run(batch)
    one_by_one = np.concatenate([model.run(face[None]) for face in batch])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    assert not np.array_equal(together[0], together[1])  # each picture has its own answer


@each_variant
def test_training_moves_only_batch_statistics(architecture, settings):
    """In eval mode nothing in the network changes, however often it runs."""
    model = denoiser_of(architecture, settings)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    for seed in range(3):
        model(picture((16, 16), seed))
    after = model.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not model.network.training


def test_residual_network_subtracts_what_it_predicts():
    direct = build_network("attention-unet", {"widths": [4, 8], "residual": False})
    residual = build_network("attention-unet", {"widths": [4, 8], "residual": True})
    residual.load_state_dict(direct.state_dict())
    batch = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(residual(batch), batch - direct(batch))


def test_batch_norm_is_an_option():
    def norms(**settings):
        network = build_network("attention-unet", {"widths": [4, 8], **settings})
        return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]

    assert norms() == []
    assert len(norms(batch_norm=True)) == 3  # two encoder stages and a decoder stage


def test_dropout_and_batch_norm_are_off_in_eval_mode():
    network = build_network("autoencoder", {"widths": [4, 8], "dropout": 0.5})
    batch = torch.rand(2, 1, 16, 16)
    assert not torch.equal(network(batch), network(batch))
    network.eval()
    assert torch.equal(network(batch), network(batch))


def test_skips_carry_the_noisy_picture():
    """Without skips a decoder has fewer inputs; with them the last one sees the picture itself."""
    with_skips = build_network("autoencoder", {"widths": [4, 8]})
    without = build_network("autoencoder", {"widths": [4, 8], "skips": False})
    assert with_skips.decoder[-1][0].in_channels == 4 + 1
    assert without.decoder[-1][0].in_channels == 4


def test_attention_gate_weighs_features():
    gate = AttentionGate(4)
    features, signal = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    attention = gate.attention(features, signal)
    assert attention.shape == (2, 1, 6, 6)
    assert ((attention > 0) & (attention < 1)).all()
    torch.testing.assert_close(gate(features, signal), features * attention)
    assert not torch.allclose(attention, gate.attention(features, -signal))


def test_discriminator_judges_patches():
    network = PatchDiscriminator(PatchDiscriminatorConfig())
    noisy, clean = torch.rand(2, 1, 48, 48), torch.rand(2, 1, 48, 48)
    logits = network(noisy, clean)
    assert logits.shape[:2] == (2, 1)
    assert min(logits.shape[2:]) > 1  # a map, not one verdict for the picture
    assert logits.isfinite().all()
    nn.functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    assert_every_parameter_has_a_gradient(network)
    assert not torch.allclose(network(noisy, clean), network(clean, noisy))  # it is conditional


def test_discriminator_is_no_denoiser():
    with pytest.raises(ValueError, match="Unknown architecture"):
        build_network("patch-discriminator", {})


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown architecture 'u-net'.*attention-unet, autoencoder"):
        build_network("u-net", {})


def test_unknown_setting_is_named():
    with pytest.raises(ValueError, match="attention-unet has no setting depth, width"):
        build_network("attention-unet", {"width": 4, "depth": 2, "widths": [4, 8]})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("widths", [[], 4, ["4"], [-4, 8], "48", [4.5], None, [[4]]], ids=str)
def test_widths_that_build_nothing_are_a_value_error(architecture, widths):
    with pytest.raises(ValueError, match="can't be built"):
        build_network(architecture, {"widths": widths})
