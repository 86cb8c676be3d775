"""What noise a method is made for."""

import pytest

from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.purpose import describe_purpose, is_made_for
from denoiser.denoisers.registry import CLASSICAL_DENOISERS, describe_denoiser, list_denoisers
from denoiser.noise import NOISES, PRESETS, NoiseChain, create_noise

GAUSSIAN = create_noise("gaussian", sigma=25 / 255)
SALT = create_noise("salt-and-pepper", amount=0.1)
BLUR = create_noise("blur")


@pytest.mark.parametrize(
    ("method", "noise", "expected"),
    [
        ("attention-unet.gaussian-low", PRESETS["gaussian-low"], True),
        ("attention-unet.gaussian-low", create_noise("gaussian", sigma=5 / 255), True),
        ("attention-unet.gaussian-low", GAUSSIAN, False),
        ("attention-unet.gaussian-low", SALT, False),
        ("attention-unet.salt-and-pepper-10", SALT, True),
        ("attention-unet.salt-and-pepper-10", create_noise("salt-and-pepper", amount=0.4), False),
        ("attention-unet", GAUSSIAN, True),
        ("attention-unet", BLUR, False),
        ("attention-unet", NoiseChain((SALT, GAUSSIAN)), True),
        ("attention-unet", NoiseChain((GAUSSIAN, BLUR)), False),
        ("residual-unet", BLUR, True),
        ("trimmed-median", GAUSSIAN, False),
        ("trimmed-median", SALT, True),
        ("nl-means", GAUSSIAN, True),
        ("nl-means", SALT, False),
        ("median", GAUSSIAN, True),
        ("median", BLUR, True),
    ],
)
def test_who_is_made_for_what(method, noise, expected):
    assert is_made_for(describe_denoiser(method), noise) is expected


def test_a_specialist_says_what_for_and_a_network_for_everything_does_not():
    assert (
        describe_purpose(describe_denoiser("attention-unet.gaussian-low"))
        == "Gaussian, sigma 5.1 of 255"
    )
    assert describe_purpose(describe_denoiser("attention-unet")) == ""
    assert describe_purpose(describe_denoiser("median")) == ""
    assert describe_purpose(describe_denoiser("trimmed-median")).startswith("Salt and pepper, ")


def test_all_are_made_for_some_noise():
    noises = [create_noise(kind.id) for kind in NOISES] + list(PRESETS.values())
    for method in list_denoisers():
        assert any(is_made_for(describe_denoiser(method), noise) for noise in noises), method


def test_filters_are_meant_for_noises_that_there_are():
    known = {kind.id for kind in NOISES}
    assert all(known.issuperset(method.info.intended_for) for method in CLASSICAL_DENOISERS)


def test_of_a_method_that_says_nothing_nothing_is_known():
    assert is_made_for(DenoiserInfo("x", "X", "network", False, None, 0, ""), BLUR)
