"""The weights in weights/: complete, honest about themselves, and better than doing nothing."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from safetensors import safe_open

import denoiser
import train
from denoiser.architectures.patchgan import PatchDiscriminatorConfig
from denoiser.architectures.residual_unet import ResidualBlock
from denoiser.emotion import CLASSES, CLASSIFIER, load_classifier
from denoiser.emotion_results import read_emotion_results
from denoiser.images import from_uint8
from denoiser.noise import PRESETS
from denoiser.registry import MODELS, list_denoisers
from denoiser.results import NOISY, read_benchmark
from denoiser.samples import bundled_faces
from denoiser.weights import (
    DISCRIMINATOR_CONFIG_NAME,
    DISCRIMINATOR_NAME,
    MODEL_NAME,
    WEIGHTS,
    load_discriminator,
    load_network,
    read_config,
)
from train.cards import make_card
from train.config import read_config as read_train_config
from train.config import validation_noise
from train.evaluate import CONDITIONS
from train.experts import ExpertModule
from train.fit import model_config

from .golden.make import golden_file, golden_input

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
    assert folders in (set(), {*MODELS, CLASSIFIER})


def test_the_emotion_classifier_is_the_one_that_was_tested():
    """It reads clean faces well, and pictures of every denoiser were given to it."""
    assert load_classifier().network.config.classes == len(CLASSES)
    results = read_emotion_results()
    assert results.clean_accuracy > 0.8
    assert {method for method, _ in results.scores} == {NOISY, *list_denoisers()}


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
    assert metrics["pictures"] == benchmark["pictures"] == 3573
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


@pytest.mark.parametrize("model_id", ["residual-unet", "median-unet"])
def test_no_block_is_dead(model_id):
    """In each block of each expert, most hidden units answer to some picture of the expert's noises."""
    network, config = load_network(model_id), training_config(model_id)
    taught, generator = ExpertModule(config), torch.Generator().manual_seed(0)
    faces = from_uint8(bundled_faces().images[:32])
    clean = torch.from_numpy(faces)[:, None].repeat(len(config.noise), 1, 1, 1)
    parts = torch.arange(len(config.noise)).repeat_interleave(len(faces))
    shares: dict[str, float] = {}

    def note(name):
        def share(relu, inputs, output):
            shares[name] = float((output.amax((0, 2, 3)) > 0).float().mean())

        return share

    for name, block in network.named_modules():
        if isinstance(block, ResidualBlock):
            block.body[1].register_forward_hook(note(name))
    noisy = taught.mixture.corrupt(clean, parts, generator)
    with torch.inference_mode():
        network.denoise_with(noisy, taught.expert_of[parts])
    shape = network.config
    assert len(shares) == len(shape.experts) * sum((*shape.encoder_blocks, *shape.decoder_blocks))
    assert min(shares.values()) > 0.5, min(shares, key=lambda name: shares[name])


@pytest.mark.parametrize(
    "model_id", [m for m in SHIPPED if m.startswith(("attention-unet", "patchgan"))]
)
def test_the_scale_below_the_first_gate_is_silent(model_id):
    """Inside says so of the first map; of better weights it must not."""
    network, faces = load_network(model_id), from_uint8(bundled_faces().images[:8])
    for noise in CONDITIONS.values():
        noisy = np.stack([noise(face, seed) for seed, face in enumerate(faces)])
        features = torch.from_numpy(noisy)[:, None]
        with torch.inference_mode():
            for stage in network.encoder[:-1]:
                features = network.pool(stage(features))
            assert not network.encoder[-1](features).any()


@each_model
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
    assert stored <= set(MODELS)


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
