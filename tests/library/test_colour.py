"""Networks that see a colour picture as a whole."""

import math

import numpy as np
import pytest
import torch

from denoiser.architectures import build_network
from denoiser.architectures.impulses import with_extremes
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.metrics import colour_error, colour_error_map

RESIDUAL = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "impulse_map": True}
NETWORKS = {
    "attention-unet": {"widths": [4, 6, 8], "impulse_map": True},
    "residual-unet": RESIDUAL,
    "autoencoder": {"widths": [4, 8]},
    "autoencoder, no skips": {"widths": [4, 8], "skips": False},
}
each = pytest.mark.parametrize(("name", "settings"), NETWORKS.items(), ids=list(NETWORKS))


def build(name, settings, channels=3):
    torch.manual_seed(3)
    network = build_network(name.split(",")[0], {**settings, "channels": channels})
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim == 1:
                weights.uniform_(-0.1, 0.1)  # biases start at 0, where a mistake would not show
    return network.eval()


def as_denoiser(network):
    info = DenoiserInfo("colour", "Colour", "network", False, None, 1, "-", colour=True)
    return NetworkDenoiser(info, network)


def colours(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@each
def test_a_picture_goes_through_as_a_whole(name, settings):
    network = build(name, settings)
    assert network.channels == 3
    noisy = torch.from_numpy(colours(16, 24)).permute(2, 0, 1)[None]
    denoised = network(noisy)
    assert denoised.shape == noisy.shape
    moved = noisy.clone()
    moved[:, 2] = 1 - moved[:, 2]  # another blue is seen in the red
    assert (network(moved)[:, 0] - denoised[:, 0]).abs().max() > 1e-6


@each
@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (17, 30)])
def test_a_denoiser_of_any_size_gray_or_in_colour(name, settings, shape):
    method = as_denoiser(build(name, settings))
    noisy = colours(*shape)
    denoised = method(noisy)
    assert denoised.shape == noisy.shape
    assert (denoised.min(), denoised.max()) >= (0, 0)
    gray = method(noisy[..., 0])
    same = method(np.repeat(noisy[..., :1], 3, axis=2))
    assert gray.shape == shape
    unclipped = method.run_padded(method.network, np.repeat(noisy[..., :1], 3, axis=2))
    np.testing.assert_allclose(gray, unclipped.mean(axis=2).clip(0, 1), atol=1e-6)
    assert same.shape == (*shape, 3)


@each
def test_a_batch_of_gray_pictures_is_denoised_like_each_of_them(name, settings):
    method = as_denoiser(build(name, settings))
    batch = colours(8, 8)[None, ..., 0].repeat(2, axis=0)[:, None]
    results = method.run(batch)
    assert results.shape == (2, 1, 8, 8)
    np.testing.assert_allclose(results[0, 0].clip(0, 1), method(batch[0, 0]), atol=1e-6)


@pytest.mark.parametrize("name", ["attention-unet", "residual-unet"])
def test_one_that_starts_from_a_gray_network_takes_the_mean_of_the_channels_for_gray(name):
    gray, network = build(name, NETWORKS[name], channels=1), build(name, NETWORKS[name])
    network.start_from(gray.state_dict())
    picture = torch.from_numpy(colours(16, 16)[..., 0])[None, None]
    denoised = network(picture.expand(-1, 3, -1, -1))
    for channel in denoised[0]:
        torch.testing.assert_close(channel, gray(picture)[0, 0], atol=1e-5, rtol=0)


def test_one_that_starts_from_a_mixture_takes_its_first_expert():
    mixture = build_network("expert-unet", {**RESIDUAL, "experts": ["first", "second"]})
    network = build("residual-unet", RESIDUAL, channels=1)
    network.start_from(mixture.state_dict())
    picture = torch.from_numpy(colours(16, 16)[..., 0])[None, None]
    torch.testing.assert_close(network(picture), mixture.experts["first"](picture))


def test_weights_of_colour_do_not_fit_gray():
    for name in ("attention-unet", "residual-unet"):
        with pytest.raises(RuntimeError):
            build(name, NETWORKS[name], channels=1).start_from(build(name, NETWORKS[name]).state_dict())


@pytest.mark.parametrize("channels", [0, 2, 4, True])
@each
def test_pictures_have_one_channel_or_three(name, settings, channels):
    with pytest.raises(ValueError, match=r"channels|can't be built"):
        build_network(name.split(",")[0], {**settings, "channels": channels})


def test_experts_see_gray():
    with pytest.raises(ValueError, match="experts see gray pictures"):
        build_network("expert-unet", {**RESIDUAL, "channels": 3})


def test_a_pixel_is_black_or_white_where_all_its_channels_are():
    picture = torch.full((1, 3, 1, 4), 0.5)
    picture[0, :, 0, 0] = 0
    picture[0, :, 0, 1] = 1
    picture[0, 0, 0, 2] = 1  # a saturated red is no salt
    planes = with_extremes(picture, 3)
    assert planes.shape == (1, 5, 1, 4)
    assert planes[0, 3, 0].tolist() == [1, 0, 0, 0]
    assert planes[0, 4, 0].tolist() == [0, 1, 0, 0]


class TestColourError:
    def test_none_between_the_same_and_a_hundred_from_black_to_white(self):
        picture = colours(6, 7)
        assert colour_error(picture, picture) == 0
        black, white = np.zeros((4, 4, 3)), np.ones((4, 4, 3))
        assert colour_error(black, white) == pytest.approx(100, abs=0.01)

    def test_a_gray_one_is_further_off_than_a_noisy_one_of_the_same_psnr(self):
        red = np.full((40, 40, 3), [0.8, 0.4, 0.4])
        gray = np.repeat(red.mean(axis=2, keepdims=True), 3, axis=2)
        error = math.sqrt(((gray - red) ** 2).mean())
        lighter = red - error  # as far off in every channel
        assert colour_error(gray, red) > 1.3 * colour_error(lighter, red)

    def test_a_map_has_the_mean_s_pixels(self):
        clean, denoised = colours(5, 8), colours(5, 8, seed=1)
        errors = colour_error_map(denoised, clean)
        assert errors.shape == (5, 8)
        assert colour_error(denoised, clean) == pytest.approx(errors.mean())

    def test_gray_pictures_and_other_ranges_are_refused(self):
        gray = np.zeros((4, 4))
        with pytest.raises(ValueError, match=r"pictures \(H, W, 3\)"):
            colour_error(gray, gray)
        picture = colours(4, 4)
        with pytest.raises(ValueError, match="within"):
            colour_error(picture + 1, picture)
        assert colour_error(picture + 2, picture, check_range=False) == pytest.approx(
            colour_error(np.ones_like(picture), picture)
        )
