"""The networks for colour that ship: as they were trained, and worth having beside the gray ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data

import denoiser
import train
from denoiser.analysis.results import COLOUR_NAME, NOISY
from denoiser.denoisers.registry import COLOUR_MODELS, DEFAULT_DENOISERS
from denoiser.weights.checkpoint import WEIGHTS, read_config
from tests.golden.make import golden_file, golden_input
from train.config import read_config as read_train_config
from train.evaluation.readme import RESULTS, ROOT
from train.evaluation.score import weights_version
from train.evaluation.score_colour import CONDITIONS
from train.fit import model_config
from train.publish.cards import make_card

SHIPPED = [model_id for model_id in COLOUR_MODELS if (WEIGHTS / model_id).is_dir()]
BLIND = [model_id for model_id in SHIPPED if model_id.endswith("unet-colour")]
AT_HOME = {
    **dict.fromkeys(BLIND, "gaussian-25"),
    "autoencoder-colour": "four-damages-96",
    "patchgan-colour.pixel-shuffle": "pixel-shuffle-50",
}
"""A noise that each was trained on."""
each_model = pytest.mark.parametrize("model_id", SHIPPED)


@pytest.fixture(scope="module")
def colour():
    return json.loads((WEIGHTS / COLOUR_NAME).read_text())


@pytest.fixture(scope="module")
def scores(colour):
    return {(score["denoiser"], score["noise"]): score for score in colour["scores"]}


@pytest.fixture(scope="module")
def portrait():
    return denoiser.load_image(skimage.data.astronaut(), size=96, crop_face=True, gray=False)


@each_model
def test_its_config_is_the_one_it_was_trained_by(model_id):
    config = read_train_config(Path(train.__file__).parent / "configs" / f"{model_id}.toml")
    network = denoiser.create_denoiser(model_id).network
    assert read_config(model_id) == model_config(config, network)
    assert network.channels == 3


def test_the_figures_are_of_these_weights(colour):
    assert colour["denoisers"]
    for method in colour["denoisers"]:
        assert method["weights"] == weights_version(method["id"])
    assert {method["id"] for method in colour["denoisers"]} >= {*SHIPPED, *DEFAULT_DENOISERS}


@pytest.mark.parametrize(
    ("model_id", "noise", "least"),
    [
        ("attention-unet-colour", "gaussian-25", 1.8),
        ("attention-unet-colour", "gaussian-50", 1.8),
        ("residual-unet-colour", "gaussian-25", 1.6),
        ("residual-unet-colour", "gaussian-50", 1.6),
    ],
)
def test_it_is_ahead_of_its_gray_namesake(scores, model_id, noise, least):
    gray = model_id.removesuffix("-colour")
    assert scores[model_id, noise]["psnr"] > scores[gray, noise]["psnr"] + least
    assert scores[model_id, noise]["colour_error"] < 0.75 * scores[gray, noise]["colour_error"]


@pytest.mark.parametrize("size", [48, 96, 128])
def test_the_autoencoder_is_far_ahead_on_the_damages_it_trained_on(scores, size):
    own = scores["autoencoder-colour", f"four-damages-{size}"]["psnr"]
    others = [
        score["psnr"]
        for (name, noise), score in scores.items()
        if noise == f"four-damages-{size}" and name != "autoencoder-colour"
    ]
    assert own > max(others) + 5


def test_they_are_ahead_of_cbm3d_which_is_told_the_strength_of_the_noise():
    content = json.loads((ROOT / "tests" / "benchmarks" / "cbm3d.json").read_text())
    assert content["weights"] == {name: weights_version(name) for name in content["weights"]}
    page = (ROOT / RESULTS).read_text()
    for figures in content["figures"].values():
        for model_id in BLIND:
            assert figures[model_id]["psnr"] > figures["cbm3d"]["psnr"] + 0.1
            assert f"{figures[model_id]['psnr']:.2f}" in page
        assert f"{figures['cbm3d']['psnr']:.2f}" in page


@each_model
def test_it_beats_the_median_and_the_noisy_picture_on_a_face(portrait, model_id):
    noise = CONDITIONS[AT_HOME[model_id]]
    noisy = noise(portrait, seed=1)
    found = denoiser.psnr(denoiser.create_denoiser(model_id)(noisy), portrait)
    median = denoiser.psnr(denoiser.create_denoiser("median")(noisy), portrait)
    assert found > max(denoiser.psnr(noisy, portrait), median)


@each_model
def test_golden_output(model_id):
    """The stored output, within one step of an 8-bit picture, on any machine."""
    file = golden_file(model_id)
    assert file.is_file(), f"python -m tests.golden.make {model_id}"
    expected = np.load(file, allow_pickle=False).astype(np.float32)
    output = denoiser.create_denoiser(model_id)(golden_input(colour=True))
    np.testing.assert_allclose(output, expected, atol=1 / 255, rtol=0)
    assert np.ptp(output, axis=2).mean() > 0.1  # not a gray one


@each_model
def test_its_card_says_whose_faces_it_learned_from(model_id, scores):
    card = make_card(model_id)
    assert card == (WEIGHTS / model_id / "README.md").read_text()
    assert "faces in colour" in card
    assert "CelebA's" in card
    assert "FER2013" not in card
    assert "colour error" in card
    for (name, noise), score in scores.items():
        if name in (model_id, NOISY):
            assert f"| {noise} |" in card
        if name == model_id:
            assert f"{score['psnr']:.2f} ± " in card
