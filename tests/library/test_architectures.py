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
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser

# A dual autoencoder, small.
HALVES = {
    "first_encoder": [6, 6, 8],
    "first_decoder": [8, 6, 6],
    "second_encoder": [6, 8],
    "second_decoder": [8, 6],
}
# Parameters of reference D's models, by their settings.
PUBLISHED = {
    "single": ({"halves": 1}, 36_386),
    "single, separable": ({"halves": 1, "separable": True}, 15_760),
    "dual": ({}, 87_812),
    "dual, separable": ({"separable": True}, 52_445),
    "dual, skips": ({"skips": True}, 91_488),
    "dual, skips, separable": ({"skips": True, "separable": True}, 56_231),
}
each_published = pytest.mark.parametrize(
    ("settings", "published"), PUBLISHED.values(), ids=list(PUBLISHED)
)

RESIDUAL = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
# Every architecture, small, in the variants its settings offer.
VARIANTS = {
    "attention-unet": ("attention-unet", {"widths": [4, 8]}),
    "attention-unet, three scales": ("attention-unet", {"widths": [4, 6, 8]}),
    "attention-unet, one scale": ("attention-unet", {"widths": [4]}),
    "attention-unet, direct": ("attention-unet", {"widths": [4, 8], "residual": False}),
    "attention-unet, batch norm": ("attention-unet", {"widths": [4, 8], "batch_norm": True}),
    "expert-unet, one": ("expert-unet", RESIDUAL),
    "median-unet": ("median-unet", RESIDUAL),
    "flow-unet": ("flow-unet", {**RESIDUAL, "mean_widths": [4, 8]}),
    "residual-unet": ("residual-unet", {**RESIDUAL, "encoder_blocks": [1, 2]}),
    "autoencoder": ("autoencoder", {"widths": [4, 8]}),
    "autoencoder, one scale": ("autoencoder", {"widths": [4]}),
    "autoencoder, no skips": ("autoencoder", {"widths": [4, 8], "skips": False}),
    "autoencoder, dropout": ("autoencoder", {"widths": [4, 8], "dropout": 0.5}),
    "autoencoder, 5x5": ("autoencoder", {"widths": [4, 8], "kernel": 5}),
    "autoencoder, deep 5x5, no skips": (
        "autoencoder",
        {"widths": [4, 4, 8, 8], "kernel": 5, "skips": False, "dropout": 0.1},
    ),
    "single autoencoder": ("dual-autoencoder", {**HALVES, "halves": 1}),
    "single autoencoder, separable": (
        "dual-autoencoder",
        {**HALVES, "halves": 1, "separable": True},
    ),
    "dual autoencoder": ("dual-autoencoder", HALVES),
    "dual autoencoder, separable": ("dual-autoencoder", {**HALVES, "separable": True}),
    "dual autoencoder, skips": ("dual-autoencoder", {**HALVES, "skips": True}),
    "dual autoencoder, skips, separable": (
        "dual-autoencoder",
        {**HALVES, "skips": True, "separable": True},
    ),
    "dual autoencoder, none early": ("dual-autoencoder", {**HALVES, "early_share": 0}),
    "dual autoencoder, deep second half": (
        "dual-autoencoder",
        {
            "skips": True,
            "first_encoder": [4],
            "first_decoder": [4],
            "second_encoder": [4, 6, 8],
            "second_decoder": [8, 6, 4],
        },
    ),
}
# Those that are not named are tested as they are by default.
_NAMED = {architecture for architecture, _ in VARIANTS.values()}
VARIANTS |= {
    architecture: (architecture, {}) for architecture in ARCHITECTURES if architecture not in _NAMED
}
# A picture goes through one of several experts, and says nothing to the others or to the router.
DIVIDED = {
    "expert-unet": ("expert-unet", {**RESIDUAL, "experts": ["a", "b", "c"]}),
    "median-unet, two experts": ("median-unet", {**RESIDUAL, "experts": ["a", "b"]}),
}
each_undivided = pytest.mark.parametrize(
    ("architecture", "settings"), VARIANTS.values(), ids=list(VARIANTS)
)
each_variant = pytest.mark.parametrize(
    ("architecture", "settings"), (VARIANTS | DIVIDED).values(), ids=list(VARIANTS | DIVIDED)
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


@each_undivided
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
@pytest.mark.parametrize("shape", [(31, 37), (31, 37, 3)], ids=str)
def test_a_network_of_clipped_pictures_gets_clipped_ones(architecture, settings, shape):
    """Noise that was not clipped is nothing it has ever met."""
    model = denoiser_of(architecture, settings)
    noisy = 3 * picture(shape) - 1
    clipped = noisy.clip(0, 1)
    np.testing.assert_array_equal(model(noisy), model(clipped))
    if model.has_intermediate:
        np.testing.assert_array_equal(model.intermediate(noisy), model.intermediate(clipped))
    batch = 3 * picture((2, 1, 16, 16)) - 1
    np.testing.assert_array_equal(model.run(batch), model.run(batch.clip(0, 1)))


def test_a_network_of_unclipped_pictures_gets_them_as_they_are():
    clips = denoiser_of("autoencoder", {"widths": [4]})
    model = NetworkDenoiser(clips.info, clips.network, clipped_input=False)
    noisy = 3 * picture((31, 37)) - 1
    np.testing.assert_array_equal(model.run_padded(lambda batch: batch, noisy), noisy)
    np.testing.assert_array_equal(clips.run_padded(lambda batch: batch, noisy), noisy.clip(0, 1))


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


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("skips", [True, False])
def test_autoencoders_of_the_search(kernel, depth, skips):
    """Reference C's search is settings: kernel, depth, skips; dropout is a variant above."""
    settings = {"widths": [4] * depth, "kernel": kernel, "skips": skips}
    network = build_network("autoencoder", settings)
    blocks = [*network.encoder, *network.decoder]
    kernels = [m.kernel_size for block in blocks for m in block if isinstance(m, nn.Conv2d)]
    assert kernels == [(kernel, kernel)] * (4 * depth)
    assert network.multiple_of == 2**depth
    faces = torch.rand(1, 1, 48, 48)
    assert network.eval()(faces).shape == faces.shape


@pytest.mark.parametrize("kernel", [0, 1, 2, 4, 7, 3.5, "3", None])
def test_autoencoder_kernels_are_3_or_5(kernel):
    with pytest.raises(ValueError, match="autoencoder can't be built: kernel must be 3 or 5, not"):
        build_network("autoencoder", {"kernel": kernel})


def test_a_dilated_autoencoder_sees_further_at_no_cost():
    def width_and_cost(dilation):
        """How many columns of a picture its middle pixel depends on, and how many weights that takes."""
        torch.manual_seed(0)
        network = build_network("autoencoder", {"widths": [4, 4, 4], "dilation": dilation}).eval()
        picture = torch.rand(1, 1, 160, 160, requires_grad=True)
        network(picture)[0, 0, 80, 80].backward()
        seen = picture.grad[0, 0].abs().amax(0) > 0
        return int(seen.sum()), sum(p.numel() for p in network.parameters())

    (near, cost), (far, same_cost) = width_and_cost(1), width_and_cost(3)
    assert far > near + 20
    assert cost == same_cost


@pytest.mark.parametrize("dilation", [0, -1])
def test_autoencoder_dilations_start_at_1(dilation):
    with pytest.raises(ValueError, match="autoencoder can't be built: dilation must be 1 or more"):
        build_network("autoencoder", {"dilation": dilation})


@each_published
def test_dual_autoencoders_have_the_published_size(settings, published):
    network = build_network("dual-autoencoder", settings)
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == pytest.approx(published, rel=0.05)


@each_published
def test_codes_have_the_published_shape(settings, published):
    """23x23x25 and 47x47x50 for 100x100: two poolings, then one (theirs lose borders besides)."""
    network = build_network("dual-autoencoder", settings)
    faces = torch.rand(1, 1, 48, 48)
    assert network.first_encoder(faces)[-1].shape == (1, 25, 12, 12)
    if network.config.halves == 2:
        assert network.second_encoder(faces)[-1].shape == (1, 50, 24, 24)
    assert network.multiple_of == 4


@pytest.mark.slow
@each_published
def test_dual_autoencoders_learn_from_scratch(settings, published):
    """A sigmoid at the end must not hold them at an even gray."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    clean = torch.stack([((rows + step * columns) % 8 < 4) * 0.6 + 0.2 for step in range(4)])[:, None]
    noisy = clean + 0.05 * torch.randn_like(clean)
    network = build_network("dual-autoencoder", settings)
    assert (network(noisy) - 0.5).abs().max() < 0.25  # it starts where a sigmoid learns
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(120):
        order = torch.randperm(len(clean))
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(network(noisy[order]), clean[order]).backward()
        optimizer.step()
    gray = (clean - 0.5).square().mean()
    network.eval()
    assert (network(noisy) - clean).square().mean() < 0.1 * gray
    if network.has_intermediate:
        assert (network.intermediate(noisy) - clean).square().mean() < 0.25 * gray


@pytest.mark.parametrize("skips", [False, True])
def test_separable_convolutions_are_depthwise(skips):
    def layers(separable):
        network = build_network("dual-autoencoder", {**HALVES, "skips": skips, "separable": separable})
        encoders = nn.ModuleList([network.first_encoder, network.second_encoder])
        return [m for m in encoders.modules() if isinstance(m, nn.Conv2d)]

    assert all(layer.groups == 1 for layer in layers(separable=False))
    filters = [layer for layer in layers(separable=True) if layer.kernel_size == (3, 3)]
    mixtures = [layer for layer in layers(separable=True) if layer.kernel_size == (1, 1)]
    assert len(filters) == 5
    assert len(mixtures) == 3  # one for each filter that sees more than the picture
    for layer in filters:
        assert layer.groups == layer.in_channels
        assert layer.in_channels == 1 or layer.out_channels == layer.in_channels


def test_without_skips_everything_passes_the_intermediate_image():
    """Without skips the intermediate image decides the outcome; with them the features do too."""

    def change(skips):
        torch.manual_seed(0)
        network = build_network("dual-autoencoder", {**HALVES, "skips": skips}).eval()
        with torch.no_grad():  # a first half whose image is the same whatever it sees
            network.first_decoder.output.weight.zero_()
            first, second = network(torch.rand(2, 1, 16, 16))
            return (first - second).abs().max()

    assert change(skips=False) == 0
    assert change(skips=True) > 1e-4


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_skips_carry_every_scale(scale):
    network = build_network("dual-autoencoder", {**HALVES, "skips": True}).eval()
    faces = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        intermediate, denoised = network.intermediate(faces), network(faces)
        network.skips[scale].weight.zero_()
        assert not torch.allclose(network(faces), denoised, atol=1e-5)
        assert torch.equal(network.intermediate(faces), intermediate)  # they lead past it


@pytest.mark.parametrize("skips", [False, True])
def test_some_pictures_leave_early_while_training(skips):
    """So that the first half learns to denoise, too; a trained network always uses both."""
    network = build_network("dual-autoencoder", {**HALVES, "skips": skips, "early_share": 0.25})
    faces = torch.rand(8, 1, 16, 16)
    with torch.no_grad():
        intermediate, in_training = network.intermediate(faces), network(faces)
        denoised = network.eval()(faces)
    torch.testing.assert_close(in_training[:2], intermediate[:2])
    torch.testing.assert_close(in_training[2:], denoised[2:])
    for picture, between in zip(denoised, intermediate, strict=True):
        assert not torch.allclose(picture, between, atol=1e-3)


def test_as_published_none_leaves_early():
    network = build_network("dual-autoencoder", {**HALVES, "early_share": 0})
    faces = torch.rand(8, 1, 16, 16)
    assert torch.equal(network(faces), network.eval()(faces))


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_intermediate_image_is_a_picture(shape, skips, separable):
    settings = {**HALVES, "skips": skips, "separable": separable}
    model = denoiser_of("dual-autoencoder", settings)
    noisy = picture(shape)
    before = noisy.copy()
    intermediate = model.intermediate(noisy)
    assert model.has_intermediate
    assert intermediate.shape == noisy.shape
    assert intermediate.dtype == np.float32
    assert intermediate.min() > 0
    assert intermediate.max() < 1
    assert not np.array_equal(intermediate, model(noisy))
    np.testing.assert_array_equal(noisy, before)
    np.testing.assert_array_equal(model.intermediate(noisy), intermediate)


def test_intermediate_image_of_colour_is_made_channel_by_channel():
    model = denoiser_of("dual-autoencoder", HALVES)
    noisy = picture((31, 37, 3))
    one_by_one = np.stack([model.intermediate(noisy[..., c].copy()) for c in range(3)], axis=-1)
    np.testing.assert_allclose(model.intermediate(noisy), one_by_one, atol=1e-6)


def test_intermediate_image_is_what_a_single_autoencoder_of_these_weights_makes():
    dual = denoiser_of("dual-autoencoder", HALVES)
    single = denoiser_of("dual-autoencoder", {**HALVES, "halves": 1})
    own = single.network.state_dict()
    single.network.load_state_dict({k: v for k, v in dual.network.state_dict().items() if k in own})
    noisy = picture((31, 37))
    np.testing.assert_array_equal(dual.intermediate(noisy), single(noisy))


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [("autoencoder", {"widths": [4]}), ("dual-autoencoder", {**HALVES, "halves": 1})],
)
def test_other_networks_have_no_intermediate_image(architecture, settings):
    model = denoiser_of(architecture, settings)
    assert not model.has_intermediate
    with pytest.raises(ValueError, match="tiny makes no intermediate image; only methods of two parts"):
        model.intermediate(picture((8, 8)))
    with pytest.raises(ValueError, match="makes no intermediate image"):
        model.network.intermediate(torch.rand(1, 1, 8, 8))


def test_filters_have_no_intermediate_image():
    with pytest.raises(ValueError, match="median makes no intermediate image"):
        create_denoiser("median").intermediate(picture((8, 8)))


@pytest.mark.parametrize(
    ("noisy", "error"),
    [
        (np.zeros((8, 8), np.uint8), TypeError),
        (np.zeros((8, 8, 4), np.float32), ValueError),
        (np.full((8, 8), np.nan, np.float32), ValueError),
    ],
)
def test_intermediate_image_of_what_is_no_picture(noisy, error):
    with pytest.raises(error, match="noisy"):
        denoiser_of("dual-autoencoder", HALVES).intermediate(noisy)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"halves": 3}, "halves must be 1 or 2, not 3"),
        ({"halves": 0}, "halves must be 1 or 2, not 0"),
        ({"halves": 1, "skips": True}, "skips lead from the first half to the second"),
        ({"early_share": 1}, "early_share must be from 0 to less than 1, not 1"),
        ({"early_share": -0.1}, "early_share must be from 0 to less than 1, not -0.1"),
        ({"first_encoder": []}, "first_encoder must be whole numbers from 1"),
        ({"first_encoder": 32}, "first_encoder must be whole numbers from 1"),
        ({"first_decoder": [4, -4, 4]}, "first_decoder must be whole numbers from 1"),
        ({"second_encoder": [32, 5.5]}, "second_encoder must be whole numbers from 1"),
        ({"second_decoder": [True, 4]}, "second_decoder must be whole numbers from 1"),
        ({"first_encoder": [8, 8]}, "first_encoder and first_decoder must have equally many scales"),
        ({"second_decoder": [8]}, "second_encoder and second_decoder must have equally many scales"),
    ],
)
def test_dual_autoencoders_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"dual-autoencoder can't be built: {message}"):
        build_network("dual-autoencoder", settings)


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


@pytest.mark.parametrize(("stages", "blocks"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_a_patch_is_where_the_discriminator_says(stages, blocks):
    torch.manual_seed(stages)
    network = PatchDiscriminator(PatchDiscriminatorConfig(4, stages, blocks)).eval()
    for block in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
        nn.init.normal_(block.weight)  # blocks begin as next to nothing
    side = 20 * network.stride
    picture = torch.rand(1, 1, side, side, requires_grad=True)
    logits = network(torch.rand(1, 1, side, side), picture)
    index = logits.shape[-1] // 2
    logits[0, 0, index, index].backward()
    rows = picture.grad[0, 0].abs().sum(dim=1).nonzero()[:, 0]
    assert len(rows) == network.patch_side
    assert (rows[0] + rows[-1]) / 2 == network.first_centre + network.stride * index


def test_the_smallest_picture_a_discriminator_judges():
    network = PatchDiscriminator(PatchDiscriminatorConfig(4)).eval()
    smallest = torch.rand(1, 1, network.smallest_side, network.smallest_side)
    assert network(smallest, smallest).isfinite().all()
    with pytest.raises(RuntimeError, match="Kernel size"):
        network(smallest[..., 1:, 1:], smallest[..., 1:, 1:])


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"stages": 0}, {"stages": 99}, {"width": 4.0}, {"blocks": 0}], ids=str
)
def test_discriminators_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match="must be a whole number from 1"):
        PatchDiscriminatorConfig(**settings)


def test_attention_maps_are_what_the_gates_let_pass():
    network = build_network("attention-unet", {"widths": [4, 8, 8, 16]}).eval()
    noisy = torch.rand(2, 1, 32, 48)
    wanted = []
    inputs = []
    for gate in network.gates:
        gate.score.register_forward_hook(lambda _, __, output: wanted.append(torch.sigmoid(output)))
        gate.project_features.register_forward_pre_hook(lambda _, given: inputs.append(given[0].shape))
    maps = network.attention_maps(noisy)
    assert [tuple(m.shape) for m in maps] == [(2, 1, 8, 12), (2, 1, 16, 24)]
    for found, expected in zip(maps, wanted, strict=True):
        assert torch.equal(found, expected)
    assert [shape[1] for shape in inputs] == [8, 8]  # coarse to fine


def test_closed_gates_block_their_skips():
    torch.manual_seed(0)
    network = build_network("attention-unet", {"widths": [4, 8, 8]}).eval()
    noisy = torch.rand(1, 1, 16, 16)
    before = network(noisy)
    nn.init.constant_(network.gates[0].score.bias, -100)
    assert network.attention_maps(noisy)[0].max() < 1e-6
    assert not torch.allclose(network(noisy), before)


def test_a_network_of_two_scales_has_no_gates():
    network = build_network("attention-unet", {"widths": [4, 8]}).eval()
    assert network.attention_maps(torch.rand(1, 1, 16, 16)) == []


def test_discriminator_is_no_denoiser():
    with pytest.raises(ValueError, match="Unknown architecture"):
        build_network("patch-discriminator", {})


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown architecture 'u-net'.*attention-unet, autoencoder"):
        build_network("u-net", {})


def test_unknown_setting_is_named():
    with pytest.raises(ValueError, match="attention-unet has no setting depth, width"):
        build_network("attention-unet", {"width": 4, "depth": 2, "widths": [4, 8]})


@pytest.mark.parametrize("architecture", ["attention-unet", "autoencoder"])
@pytest.mark.parametrize("widths", [[], 4, ["4"], [-4, 8], "48", [4.5], None, [[4]]], ids=str)
def test_widths_that_build_nothing_are_a_value_error(architecture, widths):
    with pytest.raises(ValueError, match="can't be built"):
        build_network(architecture, {"widths": widths})
