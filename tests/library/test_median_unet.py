"""The hybrid (median first, network after), the median it begins with, and our residual U-Net."""

import numpy as np
import pytest
import torch

from denoiser.architectures import build_network
from denoiser.architectures.impulses import trimmed_median
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.noise import create_noise

SMALL = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def faces(count=3, shape=(16, 16)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = [0.5 + 0.3 * np.sin(rows / (2 + k)) * np.cos(columns / 3) for k in range(count)]
    return torch.from_numpy(np.stack(waves)[:, None].astype(np.float32))


def impulses(clean, amount=0.3):
    return create_noise("salt-and-pepper", amount=amount).apply(clean, torch.Generator().manual_seed(1))


def test_median_of_a_batch_is_the_filter_of_each_picture():
    noisy = impulses(faces())
    filtered = trimmed_median(noisy)
    median = next(d for d in CLASSICAL_DENOISERS if d.info.id == "trimmed-median")
    for picture, expected in zip(noisy[:, 0].numpy(), filtered[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(median(picture), expected, atol=1e-7)


def test_median_leaves_its_input_alone():
    noisy = impulses(faces())
    before = noisy.clone()
    trimmed_median(noisy)
    assert torch.equal(noisy, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (48, 31)])
def test_median_takes_any_size(shape):
    filtered = trimmed_median(impulses(faces(shape=shape), amount=0.6))
    assert filtered.shape == (3, 1, *shape)
    assert filtered.isfinite().all()


def test_median_sees_the_picture_mirrored_beyond_its_border():
    corner = torch.tensor([[0.0, 0.2], [0.4, 0.9]])[None, None]
    # The 3x3 window around the corner, mirrored: 0 0 .2 / 0 0 .2 / .4 .4 .9, and 0 doesn't count.
    assert trimmed_median(corner)[0, 0, 0, 0] == pytest.approx(0.4)


@pytest.mark.parametrize("impulse_map", [False, True])
def test_hybrid_starts_as_the_network_alone(impulse_map):
    settings = SMALL | {"impulse_map": impulse_map}
    unet = build_network("residual-unet", settings).eval()
    hybrid = build_network("median-unet", settings).eval()
    hybrid.start_from(unet.state_dict())
    noisy = impulses(faces())
    with torch.no_grad():
        expected = unet(noisy)
        torch.testing.assert_close(hybrid(noisy), expected)
        weight = hybrid.experts["general"].input.weight
        weight[:, 0] = weight[:, 1]
        assert not torch.allclose(hybrid(noisy), expected, atol=1e-3)  # it can see the filtered picture


def test_impulse_map_tells_black_and_white_from_nearly_black_and_white():
    """A level of 1/255 more or less changes little by itself, and much by the map."""
    network = build_network("residual-unet", SMALL | {"impulse_map": True}).eval()
    network.input.weight.data[:, 0] = 0  # all it knows is the map
    levels = torch.tensor([0.0, 1 / 255, 0.5, 254 / 255, 1.0])
    with torch.no_grad():
        told = [network.input(_told(network, level)) for level in levels]
    assert torch.equal(told[1], told[2])
    assert torch.equal(told[2], told[3])
    assert not torch.equal(told[0], told[2])
    assert not torch.equal(told[4], told[2])
    assert not torch.equal(told[0], told[4])


def _told(network, level: float) -> torch.Tensor:
    """Return what the first convolution sees of a flat picture."""
    seen = []
    handle = network.input.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.full((1, 1, 16, 16), float(level)))
    handle.remove()
    return seen[0]


def test_hybrid_sees_the_noisy_picture_too():
    """Black that is no impulse looks the same after the median, and must not after the network."""
    hybrid = build_network("median-unet", SMALL).eval()
    gray = torch.full((1, 1, 16, 16), 0.5)
    spotted = gray.clone()
    spotted[..., 8, 8] = 0
    assert torch.equal(trimmed_median(spotted), gray)
    with torch.no_grad():
        assert not torch.allclose(hybrid(spotted), hybrid(gray), atol=1e-6)


@pytest.mark.parametrize(
    "other",
    [("autoencoder", {"widths": [4, 8]}), ("residual-unet", {**SMALL, "widths": [4, 6]})],
    ids=str,
)
def test_hybrid_refuses_other_weights(other):
    weights = build_network(*other).state_dict()
    with pytest.raises(RuntimeError):
        build_network("median-unet", SMALL).start_from(weights)


def test_residual_unet_with_other_blocks_starts_as_the_one_it_starts_from():
    """A block more changes nothing at first; a block that did nothing is not missed."""
    other = build_network("residual-unet", SMALL).eval()
    torch.nn.init.zeros_(other.encoder[1][0].body[2].weight)
    changed = SMALL | {"encoder_blocks": [2, 0], "decoder_blocks": [3]}
    network = build_network("residual-unet", changed).eval()
    network.start_from(other.state_dict())
    noisy = faces()
    with torch.no_grad():
        torch.testing.assert_close(network(noisy), other(noisy))
    network(noisy).square().mean().backward()
    assert network.decoder[0][2].body[2].weight.grad.any()  # and can learn


def test_residual_unet_has_biases_in_its_first_convolution_alone():
    network = build_network("residual-unet", {})
    assert [n for n, _ in network.named_parameters() if n.endswith("bias")] == ["input.bias"]


def test_residual_unet_starts_by_keeping_what_it_sees():
    network = build_network("residual-unet", {})
    torch.nn.init.zeros_(network.output.weight)
    noisy = faces()
    torch.testing.assert_close(network(noisy), noisy * torch.sigmoid(torch.tensor(3.0)))


def test_residual_unet_can_drop_a_pixel_and_paint_it_anew():
    network = build_network(
        "residual-unet", {"widths": [1, 1], "encoder_blocks": [0, 0], "decoder_blocks": [0]}
    )
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        network.input.bias.fill_(1.0)  # features of 1 everywhere
        network.output.weight[0, 0, 1, 1] = -0.25  # minus the noise: what to paint
        network.output.weight[1, 0, 1, 1] = 20.0  # drop
    noisy = faces(1, (4, 4))
    torch.testing.assert_close(network(noisy), torch.full_like(noisy, 0.25))


@pytest.mark.parametrize(
    "blocks",
    [
        {"encoder_blocks": [1, 1, 1], "decoder_blocks": [1, 1, 1]},
        {"encoder_blocks": [1, 1, 1, 1], "decoder_blocks": [1, 1, 1, 1]},
    ],
    ids=str,
)
def test_residual_unet_needs_blocks_for_every_scale(blocks):
    with pytest.raises(ValueError, match="can't be built"):
        build_network("residual-unet", blocks)
