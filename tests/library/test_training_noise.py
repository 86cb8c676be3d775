"""Training noise as data: read, refused, put into words."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import train
from denoiser.noise import NOISES, PRESETS, create_noise
from denoiser.weights.training_noise import (
    NoiseRange,
    TrainingNoise,
    describe_trained_on,
    parse_trained_on,
    point,
)
from train.config import Component, Stage, read_config, trained_on

CONFIGS = Path(train.__file__).parent / "configs"


def stage(kind="gaussian", **parameters):
    return {"kind": kind, "parameters": parameters or {"sigma": [0.1, 0.2]}}


def part(*stages, share=0.5):
    return {"share": share, "stages": list(stages)}


def test_a_mixture_comes_back_from_json():
    chain = (Stage("poisson", {"peak": (20.0, 200.0)}), Stage("pixel-shuffle", {"amount": (0.0, 0.4)}))
    mixture = (Component(3, (Stage("gaussian", {"sigma": (0.0, 0.1)}),)), Component(1, chain))
    noises = trained_on(replace(read_config(CONFIGS / "attention-unet.toml"), noise=mixture))
    assert [noise.share for noise in noises] == [0.75, 0.25]
    assert noises[1].stages[1].parameters == {"amount": (0.0, 0.4), "radius": (2.0, 2.0)}  # its default
    assert parse_trained_on(json.loads(json.dumps([asdict(noise) for noise in noises]))) == noises
    assert hash(noises) == hash(parse_trained_on([asdict(noise) for noise in noises]))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_one_noise_is_said_as_the_noise_says_it(preset):
    ranges = {p.name: (getattr(preset, p.name),) * 2 for p in preset.parameters}
    assert describe_trained_on([TrainingNoise(1, (NoiseRange(preset.id, ranges),))]) == preset.describe()


def test_a_mixture_is_said_kind_by_kind():
    entries = [
        part(stage(sigma=[0.0, 0.1])),
        part(stage(sigma=[0.05, 0.25])),
        part(stage("jpeg", quality=[20, 80])),
        part(stage(), stage("jpeg", quality=[20, 80])),
    ]
    assert describe_trained_on(parse_trained_on(entries)) == (
        "a mixture: Gaussian, sigma 0 to 63.75 of 255; JPEG compression, quality 20 to 80 of 100; "
        "Gaussian + JPEG compression"
    )


@pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
def test_a_strength_comes_back(kind):
    noise = create_noise(kind.id)
    told = json.loads(json.dumps(point(noise)))
    assert create_noise(told["kind"], **told["parameters"]) == noise


@pytest.mark.parametrize(
    "entries",
    [
        *("Gaussian noise", None, 3, [], [3], [{}], {"share": 1}),
        *([part(stage(), share=share)] for share in (0, -1, 1.5, "half", True, None)),
        [part(stage("rain", sigma=[0, 1]))],
        [part(stage(amount=[0, 1]))],
        [part(stage("pixel-shuffle", amount=[0, 1]))],  # without its radius
        *([part(stage(sigma=ends))] for ends in (0.1, [0.1], [0.1, 0.2, 0.3], [0.2, 0.1], [0, 2])),
        *([part(stage(sigma=ends))] for ends in (["a", "b"], [True, True], [float("nan")] * 2)),
    ],
    ids=str,
)
def test_what_is_no_training_noise_is_refused(entries):
    with pytest.raises(ValueError, match=r"\w"):  # each says something else
        parse_trained_on(entries)
