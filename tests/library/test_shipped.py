"""The weights in weights/: complete, honest about themselves, and better than doing nothing."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from safetensors import safe_open
from torch import nn

import denoiser
import train
from denoiser.analysis.emotion.classifier import CLASSES, CLASSIFIER, load_classifier
from denoiser.analysis.emotion.results import read_emotion_results
from denoiser.analysis.inspection import find_capabilities
from denoiser.analysis.results import CLEAN, NOISY, UNKNOWN_NOISE_NAME, read_benchmark
from denoiser.analysis.unknown_noise import KINDS, ROUTER, UNKNOWN
from denoiser.architectures.dual_autoencoder import DualAutoencoder
from denoiser.architectures.expert_unet import ExpertUNet
from denoiser.architectures.flow_unet import FlowUNet
from denoiser.architectures.loading import (
    DISCRIMINATOR_CONFIG_NAME,
    DISCRIMINATOR_NAME,
    load_discriminator,
    load_network,
)
from denoiser.architectures.network import rectified
from denoiser.architectures.patchgan import PatchDiscriminatorConfig
from denoiser.architectures.residual_unet import ResidualUNet
from denoiser.denoisers.registry import COLOUR_MODELS, MODELS, PRIORS, list_denoisers
from denoiser.faces.samples import bundled_faces
from denoiser.images import from_uint8
from denoiser.noise import (
    PRESETS,
    GaussianBlur,
    GaussianNoise,
    ImpulseNoise,
    JpegArtifacts,
    NoiseModel,
    PixelShuffleNoise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
)
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, read_config
from tests.golden.make import golden_file, golden_input
from train.config import read_config as read_train_config
from train.config import validation_noise
from train.evaluation.score import CONDITIONS, count_pictures, weights_version
from train.evaluation.score_unknown_noise import METHODS
from train.fit import model_config
from train.publish.cards import make_card

SHIPPED = [model_id for model_id in MODELS if (WEIGHTS / model_id).is_dir()]
BENCHMARK = WEIGHTS / "benchmark.json"

each_model = pytest.mark.parametrize("model_id", SHIPPED)


def training_config(model_id):
    return read_train_config(Path(train.__file__).parent / "configs" / f"{model_id}.toml")


def trains_on_faint_noise(model_id):
    """Reference D's autoencoders don't: all they return has passed a narrow code."""
    noises = map(validation_noise, training_config(model_id).validation)
    return "." not in model_id and PRESETS["gaussian-low"] in noises


@pytest.fixture(scope="module")
def astronaut():
    return denoiser.load_image(skimage.data.astronaut(), size=48, crop_face=True)


def test_there_are_weights_and_no_strangers():
    """Every model or none: a source tree without weights is all right, one with half of them is not."""
    folders = {path.name for path in WEIGHTS.iterdir() if path.is_dir()} if WEIGHTS.is_dir() else set()
    assert folders in (set(), {*MODELS, *COLOUR_MODELS, CLASSIFIER})


def test_the_emotion_classifier_is_the_one_that_was_tested():
    """It reads clean faces well, and pictures of every denoiser were given to it."""
    assert load_classifier().network.config.classes == len(CLASSES)
    results = read_emotion_results()
    assert results.clean_accuracy > 0.8
    assert {method for method, _ in results.scores} == {NOISY, *list_denoisers()}


def test_what_is_said_of_how_like_photographs_results_are_is_of_these_weights():
    realism = json.loads((WEIGHTS / "realism.json").read_text())
    scored = {method["id"]: method["weights"] for method in realism["denoisers"]}
    assert scored == {name: weights_version(name) for name in scored}
    floor = next(s for s in realism["scores"] if s["denoiser"] == CLEAN)
    assert floor["detectability_low"] < 0.5 < floor["detectability_high"]
    assert all(s["frechet_distance_high"] > floor["frechet_distance_low"] for s in realism["scores"])


def test_what_draws_cost_is_of_these_weights_and_no_more_than_theory_allows():
    samples = json.loads((WEIGHTS / "samples.json").read_text())
    scored = {method["id"]: method["weights"] for method in samples["denoisers"]}
    assert scored == {name: weights_version(name) for name in find_capabilities().samples}
    for score in samples["scores"]:
        assert 2 < score["mean"] - score["one"] < 10 * math.log10(2)
        assert score["mean"] > score["closest"] - 0.2
        assert score["correlation"] > 0.5


def test_what_is_said_of_unknown_noise_is_of_these_weights():
    content = json.loads((WEIGHTS / UNKNOWN_NOISE_NAME).read_text())
    assert ROUTER in METHODS
    measured = {method["id"]: method["weights"] for method in content["denoisers"]}
    assert measured == {name: weights_version(name) for name in METHODS}
    for pictures in content["sets"]:
        assert set(pictures["confidence"]) <= {*KINDS, CLEAN, UNKNOWN}
        assert {error["kind"] for error in pictures["errors"]} == {*KINDS} - {"jpeg"}
        assert all(error["low"] < error["high"] for error in pictures["errors"])


def test_a_known_strength_gives_a_psnr_that_may_be_trusted():
    """What docs/unknown-noise.md says of the intervals."""
    content = json.loads((WEIGHTS / UNKNOWN_NOISE_NAME).read_text())
    assert all(entry["covered"] >= 0.7 for entry in content["psnr"])
    known = [entry for entry in content["psnr"] if entry["sigma"] == "known"]
    assert all(abs(entry["bias"]) < 0.7 for entry in known)
    assert all(entry["covered"] > 0.9 for entry in known if not entry["clipped"])


@each_model
def test_files(model_id):
    names = {file.name for file in (WEIGHTS / model_id).iterdir()}
    wanted = {"README.md", "config.json", "history.csv", "metrics.json", MODEL_NAME}
    if read_config(model_id).family == "GAN":
        wanted |= {DISCRIMINATOR_CONFIG_NAME, DISCRIMINATOR_NAME}
    assert names == wanted


@each_model
def test_weights_are_small_and_in_half_precision(model_id):
    file = WEIGHTS / model_id / MODEL_NAME
    assert file.stat().st_size < 10_000_000
    with safe_open(file, "pt") as tensors:
        dtypes = {tensors.get_tensor(name).dtype for name in tensors.keys()}  # noqa: SIM118
    assert torch.float16 in dtypes
    assert dtypes <= {torch.float16, torch.int64}


@pytest.mark.parametrize("model_id", [m for m in SHIPPED if read_config(m).family == "GAN"])
def test_discriminators_are_small_and_those_of_their_training(model_id):
    assert (WEIGHTS / model_id / DISCRIMINATOR_NAME).stat().st_size < 2_000_000
    adversarial = training_config(model_id).adversarial
    assert load_discriminator(model_id).config == PatchDiscriminatorConfig(**adversarial.discriminator)


@each_model
def test_config_says_what_was_trained(model_id):
    network = load_network(model_id)
    assert read_config(model_id) == model_config(training_config(model_id), network)


@each_model
def test_history(model_id):
    with (WEIGHTS / model_id / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {"train_loss", "val_psnr"}
    if read_config(model_id).family == "GAN":
        wanted |= {"generator_loss", "discriminator_loss"}
    for name in wanted:
        assert [float(row[name]) for row in rows if row[name]], name
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(set(steps))


@each_model
def test_metrics_agree_with_the_benchmark(model_id):
    metrics = json.loads((WEIGHTS / model_id / "metrics.json").read_text())
    benchmark = json.loads(BENCHMARK.read_text())
    own = [s for s in benchmark["scores"] if s["denoiser"] in (model_id, "noisy")]
    assert metrics["scores"] == own
    assert {s["denoiser"] for s in own} == {model_id, "noisy"}
    assert metrics["pictures"] == count_pictures([model_id], 3573)[model_id]
    assert {s["pictures"] for s in own if s["denoiser"] == model_id} == {metrics["pictures"]}
    assert benchmark["pictures"] == 3573
    scored = {name: {s["noise"] for s in own if s["denoiser"] == name} for name in (model_id, "noisy")}
    assert scored[model_id] == scored["noisy"] >= set(PRESETS)


@each_model
def test_card_agrees_with_the_metrics(model_id):
    card = (WEIGHTS / model_id / "README.md").read_text(encoding="utf-8")
    scores = json.loads((WEIGHTS / model_id / "metrics.json").read_text())["scores"]
    for score in scores:
        if score["denoiser"] == model_id:
            assert f"{score['psnr']:.2f} ± {score['psnr_std']:.2f}" in card
    assert card == make_card(model_id), "python -m train cards"


# Noises of all sorts and strengths, for what has to answer to something among them.
MIXED: tuple[NoiseModel, ...] = (
    GaussianNoise(0.01),
    GaussianNoise(0.04),
    GaussianNoise(0.1),
    GaussianNoise(0.2),
    SaltAndPepperNoise(0.1),
    SaltAndPepperNoise(0.3),
    ImpulseNoise(0.3),
    PoissonNoise(30),
    SpeckleNoise(0.15),
    PixelShuffleNoise(0.3, 2),
    GaussianBlur(1.0),
    JpegArtifacts(20),
)
SILENT = 0.001  # of the deviation of its layer's most varied unit


@pytest.fixture(scope="module")
def mixed():
    """Two faces under each noise, (24, 1, 48, 48)."""
    faces = from_uint8(bundled_faces().images[: 2 * len(MIXED)])
    noisy = [MIXED[place % len(MIXED)](face, place) for place, face in enumerate(faces)]
    return torch.from_numpy(np.stack(noisy))[:, None]


def everywhere(network, noisy):
    """Run all of a network: every expert on every picture, and the router."""
    if not isinstance(network, ExpertUNet):
        network(noisy)
        return
    network.score_experts(noisy)
    for place in range(len(network.config.experts)):
        network.denoise_with(noisy, torch.full((len(noisy),), place))


def watch_units(network):
    """Note, in what is returned, which of a network's hidden units are silent: True; by layer."""
    silent: dict[str, torch.Tensor] = {}

    def note(name, function):
        def look(layer, inputs, output):
            deviations = function(output).transpose(0, 1).flatten(1).std(1)
            silent[name] = deviations < SILENT * deviations.max()

        return look

    for name, layer in network.named_modules():
        if isinstance(layer, nn.LeakyReLU | nn.ReLU):
            layer.register_forward_hook(note(name, lambda output: output))
        # Those of the reference D are functions, not layers.
        elif isinstance(network, DualAutoencoder) and re.search(r"(stages\.\d+|decoder\.first)$", name):
            layer.register_forward_hook(note(name, rectified))
    return silent


@pytest.mark.slow
@each_model
def test_hardly_any_hidden_unit_is_silent(model_id, mixed):
    """Silent is a unit that answers the same, or next to it, at all places of all pictures.

    The router's are counted by themselves, below.
    """
    network = load_network(model_id)
    silent = watch_units(network)
    with torch.inference_mode():
        everywhere(network, mixed)
    units = torch.cat([found for name, found in silent.items() if not name.startswith("router.")])
    assert len(units) > 100
    silent_by_layer = {name: int(found.sum()) for name, found in silent.items() if found.any()}
    assert float(units.float().mean()) <= 0.02, silent_by_layer


@pytest.mark.parametrize("model_id", [m for m in SHIPPED if m in ("residual-unet", "median-unet")])
def test_hardly_any_unit_of_the_router_is_silent(model_id, mixed):
    network = load_network(model_id)
    silent = watch_units(network)
    with torch.inference_mode():
        network.score_experts(mixed)
    units = torch.cat([found for name, found in silent.items() if name.startswith("router.")])
    assert float(units.float().mean()) <= 0.02


@each_model
def test_hidden_units_are_leaky(model_id):
    network = load_network(model_id)
    layers = dict(network.named_modules())
    assert [name for name, layer in layers.items() if isinstance(layer, nn.ReLU)] == []
    leaky = any(isinstance(layer, nn.LeakyReLU) for layer in layers.values())
    assert leaky or isinstance(network, DualAutoencoder)  # whose are functions


def spread(maps):
    """Return the range of the middle nine tenths of values, by row."""
    low, high = torch.quantile(maps, torch.tensor([0.05, 0.95]), dim=1)
    return high - low


@pytest.mark.parametrize("model_id", [m for m in SHIPPED if hasattr(load_network(m), "gates")])
def test_every_attention_gate_has_a_range_worth_showing(model_id, mixed):
    """Over all pictures, and within one of them: a map of one value would say nothing.

    Measured in November 2026: 0.14 to 0.48 over all, 0.09 to 0.21 within the median picture.
    """
    with torch.inference_mode():
        maps = load_network(model_id).attention_maps(mixed)
    assert len(maps) > 1
    for values in maps:
        assert float(spread(values.reshape(1, -1))) > 0.1
        assert float(spread(values.flatten(1)).median()) > 0.06


def coarsest_stages(network):
    """Return what computes the features of the coarsest scale, of each expert where there are any."""
    if isinstance(network, ExpertUNet):
        return [stage for expert in network.experts.values() for stage in coarsest_stages(expert)]
    if isinstance(network, ResidualUNet):
        return [network.encoder[-1] if len(network.encoder[-1]) else network.down[-1]]
    if isinstance(network, FlowUNet):  # what it starts from is the attention U-Net's
        return [network.velocity.encoder[-1][-1]]
    if isinstance(network, DualAutoencoder):
        return [network.first_encoder.stages[-1]]
    return [network.encoder[-1]]


def strong_noise(model_id):
    """Strong Gaussian noise; of a model that was not trained for that, noise that it was trained for."""
    config = training_config(model_id)
    stages = [stage for part in config.noise for stage in part.stages if stage.kind == "gaussian"]
    if not stages:
        return validation_noise(config.validation[-1])
    strongest = max(stage.ranges["sigma"][1] for stage in stages)
    return GaussianNoise(0.25) if strongest >= 0.25 else GaussianNoise(0.06)


# Faint noise and impulses are undone from the pixels around. Measured in November 2026, these
# specialists lose 0.06 dB at most without their coarsest scale, worth 0.2 dB in the blind U-Net.
LOCAL = (
    "attention-unet.gaussian-low",
    "attention-unet.gaussian-high",
    "attention-unet.salt-and-pepper-10",
    "patchgan.salt-and-pepper-10",
)


@pytest.mark.slow
@pytest.mark.parametrize("model_id", [m for m in SHIPPED if m not in LOCAL])
def test_the_coarsest_scale_matters(model_id):
    """Its features replaced by their mean, the same for all places and pictures, cost PSNR.

    Of GANs and flows they change the picture: those give up PSNR for what the coarse scales add.
    """
    network, noise = load_network(model_id), strong_noise(model_id)
    clean = from_uint8(bundled_faces().images[:100])
    noisy = torch.from_numpy(np.stack([noise(face, seed) for seed, face in enumerate(clean)]))[:, None]

    def flatten(layer, inputs, output):
        return output.mean((0, 2, 3), keepdim=True).expand_as(output).clone()

    with torch.inference_mode():
        whole = network(noisy)[:, 0].clamp(0, 1).numpy()
        for stage in coarsest_stages(network):
            stage.register_forward_hook(flatten)
        without = network(noisy)[:, 0].clamp(0, 1).numpy()
    if read_config(model_id).family in ("GAN", "flow"):
        assert np.sqrt(np.mean((whole - without) ** 2)) > 0.5 / 255
        return
    costs = [
        denoiser.psnr(a, face) - denoiser.psnr(b, face)
        for a, b, face in zip(whole, without, clean, strict=True)
    ]
    assert np.mean(costs) > 3 * np.std(costs, ddof=1) / math.sqrt(len(costs))


@pytest.mark.parametrize("model_id", [*SHIPPED, *(name for name in PRIORS if SHIPPED)])
def test_golden_output(model_id):
    """The stored output, within one step of an 8-bit picture, on any machine."""
    file = golden_file(model_id)
    assert file.is_file(), f"python -m tests.golden.make {model_id}"
    expected = np.load(file, allow_pickle=False).astype(np.float32)
    output = denoiser.create_denoiser(model_id)(golden_input())
    np.testing.assert_allclose(output, expected, atol=1 / 255, rtol=0)
    assert np.ptp(output) > 0.3  # not a flat picture that anything would equal


def test_golden_outputs_have_models():
    stored = {file.stem for file in golden_file("x").parent.glob("*.npy")}
    assert stored <= {*MODELS, *PRIORS, *COLOUR_MODELS}


def trained_for(model_id):
    """Noises that a model was trained for, strong enough for a single picture to tell."""
    noises = [validation_noise(noise) for noise in training_config(model_id).validation]
    if "." in model_id:
        return noises
    return [noise for noise in noises if noise != PRESETS["gaussian-low"]]


@pytest.mark.parametrize(
    ("model_id", "noise"),
    [
        pytest.param(model_id, noise, id=f"{model_id}, {noise.describe()}")
        for model_id in SHIPPED
        for noise in trained_for(model_id)
    ],
)
def test_better_than_noisy_and_median_on_what_it_was_trained_for(astronaut, model_id, noise):
    """Better than the median over FER2013's test split: on single faces a median wins now and then."""
    model = denoiser.create_denoiser(model_id)
    noisy = noise(astronaut, seed=0)
    assert denoiser.psnr(model(noisy), astronaut) > denoiser.psnr(noisy, astronaut)
    [condition] = [name for name, known in CONDITIONS.items() if known.describe() == noise.describe()]
    benchmark = read_benchmark()
    assert benchmark.value(model_id, condition, "psnr") > benchmark.value("median", condition, "psnr")


@pytest.mark.slow
@pytest.mark.parametrize("model_id", [m for m in SHIPPED if trains_on_faint_noise(m)])
def test_blind_models_do_not_harm_faintly_noisy_faces(model_id):
    noise, model = PRESETS["gaussian-low"], denoiser.create_denoiser(model_id)
    faces = from_uint8(bundled_faces().images)
    gains = []
    for seed, face in enumerate([*faces[:19], faces[-1]]):
        noisy = noise(face, seed=seed)
        gains.append(denoiser.psnr(model(noisy), face) - denoiser.psnr(noisy, face))
    assert len(gains) == 20
    assert np.mean(gains) >= 0


@each_model
def test_output_is_no_copy_of_the_input(model_id):
    noisy = golden_input()
    # A specialist for faint noise takes strong noise for detail, and changes little.
    assert np.abs(denoiser.create_denoiser(model_id)(noisy) - noisy).mean() > 0.001
