"""A look inside: maps, scores, residuals, profiles, bias and invention; and what the tab is sent."""

import base64
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import denoiser
from denoiser.analysis import inspection
from denoiser.analysis.inspection import (
    SAMPLES,
    Capabilities,
    ask_experts,
    attention_maps,
    autocorrelation,
    create_discriminator,
    denoise_clean,
    draw_samples,
    edge_profile,
    ensure_discriminator,
    find_capabilities,
    find_residual,
    make_pure_noise,
    measure_whiteness,
    score_patches,
    steepest_step,
)
from denoiser.architectures import build_network
from denoiser.architectures.flow_unet import FlowUNet
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.denoisers import registry
from denoiser.denoisers.background import LoadingError
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces
from denoiser.metrics import psnr
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face
from denoiser.ui.inside import payload as inside_payload
from denoiser.ui.inside import tab as inside
from denoiser.ui.inside.payload import (
    bias_payload,
    experts_payload,
    find_profiles,
    gates_payload,
    gray_pixels,
    intermediate_payload,
    invention_payload,
    line_payload,
    patches_payload,
    residual_payload,
    samples_payload,
)
from denoiser.weights.checkpoint import WEIGHTS, WeightsError
from tests.doubles import Fixed

needs_gan = pytest.mark.skipif(
    not (WEIGHTS / "patchgan" / "discriminator.json").is_file(), reason="no discriminator here"
)


def tiny(method_id, architecture, settings):
    torch.manual_seed(0)
    info = DenoiserInfo(method_id, "Tiny", "network", False, None, 0, "-")
    return NetworkDenoiser(info, build_network(architecture, settings).eval())


@pytest.fixture(scope="module")
def gated():
    return tiny("gated", "attention-unet", {"widths": [4, 8, 8, 8]})


@pytest.fixture(scope="module")
def divided():
    shape = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
    return tiny("divided", "expert-unet", shape | {"experts": ["rest", "faint", "strong"]})


@pytest.fixture(scope="module")
def drawing():
    """A flow of next to no size."""
    shape = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
    tiny_flow = tiny("drawing", "flow-unet", shape | {"mean_widths": [4, 8]})
    info = replace(tiny_flow.info, hyperparameters=FlowUNet.hyperparameters)
    return NetworkDenoiser(info, tiny_flow.network)


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(0)
    return PatchDiscriminator(PatchDiscriminatorConfig(4)).eval()


def white(seed=0, sigma=0.1, shape=(48, 48)):
    return np.random.default_rng(seed).normal(0, sigma, shape)


# Which methods have what


class Halves(Denoiser):
    """A method of two parts that is no network."""

    info = DenoiserInfo("halves", "Halves", "classical", False, None, 0, "-")
    has_intermediate = True

    def _denoise(self, noisy, sigma):
        return noisy


def test_anatomy_follows_what_is_listed(monkeypatch, gated, divided, drawing):
    methods = {
        "gated": gated,
        "divided": divided,
        "whole": tiny("whole", "expert-unet", {"widths": [4, 4, 4, 4]}),
        "shallow": tiny("shallow", "attention-unet", {"widths": [4, 8]}),
        "dual": tiny("dual", "dual-autoencoder", {}),
        "single": tiny("single", "dual-autoencoder", {"halves": 1}),
        "halves": Halves(),
        "drawing": drawing,
        "plain": create_denoiser("median"),
    }
    monkeypatch.setattr(inspection, "list_denoisers", lambda: list(methods))
    monkeypatch.setattr(inspection, "MODELS", ())
    monkeypatch.setattr(inspection, "create_denoiser", methods.__getitem__)
    own = [(name, p) for name, method in methods.items() for p in method.info.hyperparameters]
    monkeypatch.setattr(inspection, "list_hyperparameters", lambda names: own)
    assert find_capabilities() == Capabilities(
        ("gated",), ("dual", "halves", "drawing"), ("divided",), (), ("drawing",)
    )


def test_models_are_asked_without_their_weights(monkeypatch):
    def empty(model_id):
        if model_id == "gone":
            raise WeightsError("nothing here")
        with torch.device("meta"):
            return build_network(*{"u": ("attention-unet", {}), "d": ("dual-autoencoder", {})}[model_id])

    family = {"u": "GAN", "d": "autoencoder"}

    def read(model_id):
        if model_id not in family:
            raise WeightsError("nothing here")
        return SimpleNamespace(family=family[model_id])

    monkeypatch.setattr(inspection, "MODELS", ("u", "gone", "d"))
    monkeypatch.setattr(inspection, "list_denoisers", lambda: ["u", "gone", "d"])
    monkeypatch.setattr(inspection, "build_empty", empty)
    monkeypatch.setattr(inspection, "read_config", read)
    monkeypatch.setattr(inspection, "list_hyperparameters", lambda names: [])
    assert find_capabilities() == Capabilities(("u",), ("d",), (), ("u",), ())


# Attention


@pytest.mark.parametrize("shape", [(48, 48), (21, 13), (1, 1)])
def test_maps_lie_on_the_picture(gated, shape):
    noisy = np.random.default_rng(0).random(shape, np.float32)
    maps = attention_maps(gated, noisy)
    assert [gate.side for gate in maps] == [4, 2]
    for gate in maps:
        assert gate.values.shape == shape
        assert ((gate.values > 0) & (gate.values < 1)).all()


def test_maps_are_the_network_s_own(gated, face):
    with torch.inference_mode():
        wanted = gated.network.attention_maps(torch.from_numpy(np.array(face))[None, None])
    for gate, expected in zip(attention_maps(gated, face), wanted, strict=True):
        np.testing.assert_allclose(gate.values[:: gate.side, :: gate.side], expected[0, 0], atol=1e-5)
        blocks = gate.values.reshape(48 // gate.side, gate.side, 48 // gate.side, gate.side)
        assert (np.ptp(blocks, axis=(1, 3)) == 0).all()


def test_gates_see_what_the_network_sees(gated, face):
    noisy = GaussianNoise(0.3)(face, 0, clip=False)
    both = zip(attention_maps(gated, noisy), attention_maps(gated, noisy.clip(0, 1)), strict=True)
    for gate, clipped in both:
        np.testing.assert_array_equal(gate.values, clipped.values)


def test_methods_without_gates_are_refused(face):
    with pytest.raises(ValueError, match="median has no attention gates"):
        attention_maps(create_denoiser("median"), face)


def test_colour_is_refused(gated, judge):
    colour = np.zeros((48, 48, 3), np.float32)
    with pytest.raises(ValueError, match="must be gray"):
        attention_maps(gated, colour)
    with pytest.raises(ValueError, match="must be gray"):
        score_patches(judge, colour, colour)


# Experts


@pytest.mark.parametrize("shape", [(48, 48), (21, 13), (1, 1)])
def test_the_expert_of_the_highest_share_is_the_one_that_is_asked(divided, shape):
    noisy = np.random.default_rng(0).random(shape, np.float32)
    views = ask_experts(divided, noisy)
    assert [view.name for view in views] == ["rest", "faint", "strong"]
    assert sum(view.share for view in views) == pytest.approx(1, abs=1e-6)
    asked = max(views, key=lambda view: view.share)
    np.testing.assert_allclose(asked.image, divided(noisy), atol=1e-6)
    for view in views:
        assert view.image.shape == shape
        assert 0 <= view.image.min() <= view.image.max() <= 1
        if view is not asked:
            assert not np.allclose(view.image, asked.image, atol=1e-4)


def test_experts_see_what_the_network_sees(divided, face):
    noisy = GaussianNoise(0.3)(face, 0, clip=False)
    both = zip(ask_experts(divided, noisy), ask_experts(divided, noisy.clip(0, 1)), strict=True)
    for view, clipped in both:
        assert view.share == clipped.share
        np.testing.assert_array_equal(view.image, clipped.image)


def test_methods_without_experts_are_refused(face, gated, divided):
    for method in (create_denoiser("median"), gated, tiny("one", "expert-unet", {"widths": [4] * 4})):
        with pytest.raises(ValueError, match="has no experts"):
            ask_experts(method, face)
    with pytest.raises(ValueError, match="must be gray"):
        ask_experts(divided, np.zeros((48, 48, 3), np.float32))


# The discriminator


def test_scores_are_the_discriminator_s_probabilities(judge, face):
    noisy = GaussianNoise(0.1)(face, 0)
    scores = score_patches(judge, noisy, face)
    with torch.inference_mode():
        pair = (torch.from_numpy(np.array(image))[None, None] for image in (noisy, face))
        wanted = torch.sigmoid(judge(*pair))[0, 0].numpy()
    np.testing.assert_allclose(scores.values, wanted, atol=1e-6)
    assert scores.mean == pytest.approx(wanted.mean(), abs=1e-6)
    assert (scores.values.shape, scores.stride, scores.patch_side) == ((12, 12), 4, 34)


def test_the_discriminator_sees_clipped_pictures(judge, face):
    noisy = GaussianNoise(0.3)(face, 0, clip=False)
    scores = score_patches(judge, noisy, noisy).values
    clipped = noisy.clip(0, 1)
    np.testing.assert_array_equal(scores, score_patches(judge, clipped, clipped).values)


def test_pictures_too_small_for_the_discriminator(judge):
    small = np.zeros((3, 48), np.float32)
    with pytest.raises(ValueError, match="at least 4x4"):
        score_patches(judge, small, small)
    with pytest.raises(ValueError, match="one shape"):
        score_patches(judge, np.zeros((48, 48), np.float32), np.zeros((40, 48), np.float32))


@needs_gan
def test_the_shipped_discriminator_ranks_pictures_as_the_page_says():
    """Clean first, then the GAN's, the U-Net's, and noise, of which it knows nothing."""
    judge = create_discriminator("patchgan")
    methods = [create_denoiser(name) for name in ("patchgan", "attention-unet")]
    scores = []
    for seed, pixels in enumerate(bundled_faces().images[::5]):
        clean = pixels.astype(np.float32) / 255
        noisy = GaussianNoise(25 / 255)(clean, seed)
        shown = [clean, *(method(noisy) for method in methods), noisy]
        scores.append([score_patches(judge, noisy, picture).mean for picture in shown])
    differences = -np.diff(scores, axis=1)
    errors = differences.std(axis=0) / len(scores) ** 0.5
    assert (differences.mean(axis=0) > 3 * errors).all()


def test_a_discriminator_from_the_hub_is_loaded_in_the_background(monkeypatch):
    asked = []

    class Busy:
        def ensure(self, model_id, wait):
            asked.append((model_id, wait))
            raise LoadingError("on its way")

    monkeypatch.setattr(inspection, "_BACKGROUND", Busy())
    ensure_discriminator("patchgan")  # from weights/: nothing to wait for
    assert asked == []
    monkeypatch.setattr(inspection, "hub_source", lambda model_id: object())
    with pytest.raises(LoadingError):
        ensure_discriminator("patchgan", 2.0)
    assert asked == [("patchgan", 2.0)]


# The residual


def test_a_residual_is_what_was_taken_away(face):
    noisy = GaussianNoise(0.1)(face, 0, clip=False)
    both = find_residual(face, noisy, face)
    np.testing.assert_array_equal(both.residual, both.noise)
    np.testing.assert_allclose(both.noise, noisy.astype(np.float64) - face)
    assert not find_residual(face, noisy, noisy).residual.any()
    with pytest.raises(ValueError, match="one shape"):
        find_residual(face, noisy, noisy[1:])


def test_white_noise_is_white(face):
    found = [measure_whiteness(white(seed), face) for seed in range(30)]
    assert found[0].deviation == pytest.approx(0.1, rel=0.05)
    # 2304 pixels: a standard error of 0.021 for one correlation, 0.015 for the mean of two.
    for name, error in (("with_clean", 0.021), ("with_neighbour", 0.015)):
        values = [getattr(whiteness, name) for whiteness in found]
        assert abs(np.mean(values)) < 4 * error / math.sqrt(30)
        assert np.std(values) == pytest.approx(error, rel=0.5)
    assert min(whiteness.flatness for whiteness in found) > 0.9


def test_smooth_noise_is_not_white(face):
    whiteness = measure_whiteness(gaussian_filter(white(), 1.5), face)
    assert whiteness.with_neighbour > 0.7
    assert whiteness.flatness < 0.3


def test_a_face_in_the_residual_shows(face):
    clean = face.astype(np.float64)
    assert measure_whiteness(0.2 * clean + white(sigma=1e-4), face).with_clean > 0.99
    assert measure_whiteness(-0.2 * clean, face).with_clean == pytest.approx(-1)


@pytest.mark.parametrize("shape", [(48, 48), (1, 1), (1, 9)])
def test_nothing_taken_away_is_not_defined(shape):
    whiteness = measure_whiteness(np.zeros(shape), np.full(shape, 0.5, np.float32))
    assert whiteness.deviation == 0
    assert math.isnan(whiteness.with_clean)
    assert math.isnan(whiteness.with_neighbour)
    assert math.isnan(whiteness.flatness)


def test_autocorrelation_is_the_definition():
    noise = white(shape=(12, 9))
    found = autocorrelation(noise, 3)
    centred = noise - noise.mean()
    for down in range(-3, 4):
        for right in range(-3, 4):
            rows, columns = (
                slice(max(0, down), 12 + min(0, down)),
                slice(max(0, right), 9 + min(0, right)),
            )
            moved = np.roll(centred, (down, right), (0, 1))[rows, columns]
            wanted = np.sum(moved * centred[rows, columns]) / np.sum(centred**2)
            assert found[3 + down, 3 + right] == pytest.approx(wanted, abs=1e-9)


def test_autocorrelation_finds_the_direction():
    stripes = np.tile(white(shape=(48, 1)), (1, 48))
    found = autocorrelation(stripes)
    assert found[8, 9] > 0.9  # one to the right: the same stripe
    assert abs(found[9, 8]) < 0.5
    assert found[8, 8] == pytest.approx(1)
    assert np.isnan(autocorrelation(np.zeros((48, 48)))).all()


def test_autocorrelation_of_a_picture_smaller_than_the_lags():
    found = autocorrelation(white(shape=(3, 2)), 8)
    assert found.shape == (17, 17)
    assert found[8, 8] == pytest.approx(1)
    assert found[8 + 3, 8] == found[8, 8 - 2] == 0


# Edges


def test_a_profile_reads_the_picture(face):
    np.testing.assert_allclose(edge_profile(face, (10, 3), (10, 20)), face[10, 3:21], atol=1e-6)
    np.testing.assert_allclose(edge_profile(face, (20, 5), (4, 5)), face[4:21, 5][::-1], atol=1e-6)
    np.testing.assert_allclose(edge_profile(face, (0, 0), (47, 47))[0], face[0, 0], atol=1e-6)
    np.testing.assert_allclose(edge_profile(face, (7, 7), (7, 7)), [face[7, 7]], atol=1e-6)


@pytest.mark.parametrize("place", [(-1, 0), (0, 48), (47.5, 0), (math.nan, 0)])
def test_lines_that_leave_the_picture_are_refused(face, place):
    with pytest.raises(ValueError, match="outside"):
        edge_profile(face, (0, 0), place)


def test_the_steepest_step():
    assert steepest_step(np.array([0.1, 0.2, 0.7, 0.65])) == pytest.approx(0.5)
    assert steepest_step(np.array([0.8, 0.1])) == pytest.approx(0.7)
    assert steepest_step(np.array([0.3])) == 0


# Bias and invention


def test_the_bias_is_what_becomes_of_the_clean_picture(face):
    noisy = GaussianNoise(0.1)(face, 0)
    result = denoise_clean("median", face, noisy, 0.1)
    np.testing.assert_array_equal(result.image, create_denoiser("median")(face))
    assert result.psnr == pytest.approx(denoiser.psnr(result.image, face))
    assert denoise_clean(Fixed(face), face, noisy, None).psnr == math.inf


def test_the_bias_is_that_of_a_method_as_strong_as_on_the_noisy_picture(face):
    noisy = GaussianNoise(0.1)(face, 0)
    filtered = create_denoiser("gaussian-filter")
    known = denoise_clean("gaussian-filter", face, noisy, 0.1)
    assert known.sigma.value == pytest.approx(0.1)
    np.testing.assert_array_equal(known.image, filtered(face, 0.1))
    guessed = denoise_clean("gaussian-filter", face, noisy, None)
    assert guessed.sigma.value == filtered.resolve_sigma(noisy).value
    assert guessed.sigma.value > 3 * filtered.resolve_sigma(face).value  # not that of the clean one


def test_pure_noise_is_even_gray_with_noise():
    noise = make_pure_noise((48, 48), 0.1, 3)
    assert noise.shape == (48, 48)
    assert noise.mean() == pytest.approx(0.5, abs=4 * 0.1 / 48)
    assert noise.std() == pytest.approx(0.1, rel=0.06)
    assert (noise == make_pure_noise((48, 48), 0.1, 3)).all()
    assert (noise != make_pure_noise((48, 48), 0.1, 4)).any()
    assert make_pure_noise((48, 48), 1.0, 0).min() >= 0


# What the tab is sent


@pytest.fixture
def methods(monkeypatch, gated, divided, drawing):
    """Methods that need no weights: the tiny networks, two filters, and one that is missing."""
    dual = tiny("dual", "dual-autoencoder", {"first_encoder": [4, 4, 4]})
    made = {"gated": gated, "dual": dual, "divided": divided, "median": create_denoiser("median")}
    made["drawing"] = drawing
    infos = {name: method.info for name, method in made.items()}
    infos["gone"] = DenoiserInfo("gone", "<b>Gone</b>", "network", False, None, 0, "-")

    def create(method_id):
        if method_id == "gone":
            raise WeightsError("The model 'gone' has no weights here.")
        return made[method_id]

    for module in (inside_payload, inspection, registry):
        monkeypatch.setattr(module, "create_denoiser", create)
    return infos


@pytest.fixture
def shown_face(face):
    return Face("face", "Astronaut", face)


def settings(*method_ids, sigma=25 / 255):
    return Experiment(GaussianNoise(sigma), methods=method_ids)


def check(payload):
    """Return a payload's panels by id, after a trip through JSON."""
    payload = json.loads(json.dumps(payload, allow_nan=False))
    assert payload["version"] > 0
    return {panel["id"]: panel for panel in payload["panels"]}


def pixels(panel):
    flat = np.frombuffer(base64.b64decode(panel["pixels"]), np.uint8)
    return flat.reshape(panel["height"], panel["width"], 3)


class TestSamples:
    def test_draws_are_those_of_the_denoiser(self, face, drawing):
        noisy = GaussianNoise(0.1)(face, 0)
        half_way = drawing.with_hyperparameters(realism=0.5, steps=2)
        samples = draw_samples(half_way, noisy, 3)  # dial and steps are for one picture
        expected = [drawing.with_hyperparameters(draw=draw)(noisy) for draw in range(3)]
        np.testing.assert_array_equal(samples.pictures, np.stack(expected))
        np.testing.assert_allclose(samples.mean, np.mean(expected, axis=0), atol=1e-6)
        np.testing.assert_allclose(samples.spread, np.std(expected, axis=0, ddof=1), atol=1e-6)
        assert samples.spread.max() > 0

    def test_refuses(self, face, drawing):
        with pytest.raises(ValueError, match="no hyperparameter 'draw'"):
            draw_samples(create_denoiser("median"), face)
        with pytest.raises(ValueError, match="draw must be"):
            draw_samples(drawing, face, 65)
        with pytest.raises(ValueError, match="gray"):
            draw_samples(drawing, np.dstack([face] * 3))

    def test_as_they_are_sent(self, methods, shown_face, drawing):
        noisy = GaussianNoise(25 / 255)(shown_face.image, 0)
        panels = check(samples_payload(shown_face, settings(), methods["drawing"]))
        draws = [f"sample-{draw}" for draw in range(SAMPLES)]
        assert list(panels) == ["clean", "noisy", "closest", "film", "mean", "spread", *draws]
        assert panels["film"]["frames"] == draws
        samples = draw_samples(drawing, noisy)
        np.testing.assert_array_equal(pixels(panels["sample-7"]), gray_pixels(samples.pictures[7]))
        np.testing.assert_array_equal(pixels(panels["mean"]), gray_pixels(samples.mean))
        np.testing.assert_array_equal(
            pixels(panels["closest"]), gray_pixels(drawing.intermediate(noisy))
        )
        assert panels["mean"]["numbers"] == [["PSNR", f"{psnr(samples.mean, shown_face.image):.2f} dB"]]
        errors = (samples.pictures.astype(np.float64) - shown_face.image) ** 2
        one = f"{-10 * math.log10(errors.mean()):.2f} dB"
        assert panels["film"]["numbers"][0] == ["PSNR of one", one]
        assert panels["spread"]["scale"]["ends"][1] == f"{255 * samples.spread.max():.0f} of 255"

    def test_without_its_weights_a_sentence(self, methods, shown_face):
        panels = check(samples_payload(shown_face, settings(), methods["gone"]))
        assert list(panels) == ["gone"]


def test_gates_as_they_are_sent(methods, shown_face, gated):
    noisy = GaussianNoise(25 / 255)(shown_face.image, 0)
    panels = check(gates_payload(shown_face, settings(), methods["gated"], over_face=False))
    assert list(panels) == ["noisy", "gate-1", "gate-2", "denoised"]
    np.testing.assert_array_equal(pixels(panels["noisy"]), gray_pixels(noisy))
    np.testing.assert_array_equal(pixels(panels["denoised"]), gray_pixels(gated(noisy)))
    gate = attention_maps(gated, noisy)[1].values
    colours = pixels(panels["gate-2"])
    scale = np.frombuffer(base64.b64decode(panels["gate-2"]["scale"]["pixels"]), np.uint8).reshape(-1, 3)
    lowest, highest = (
        np.unravel_index(gate.argmin(), gate.shape),
        np.unravel_index(gate.argmax(), gate.shape),
    )
    assert (colours[lowest] == scale[0]).all()
    assert (colours[highest] == scale[-1]).all()
    assert panels["gate-2"]["scale"]["ends"] == [f"{gate.min():.2f}", f"{gate.max():.2f}"]
    assert f"Mean {gate.mean():.2f}" in panels["gate-2"]["alt"]


def test_experts_as_they_are_sent(methods, shown_face, divided):
    noisy = GaussianNoise(25 / 255)(shown_face.image, 0)
    panels = check(experts_payload(shown_face, settings(), methods["divided"]))
    views = ask_experts(divided, noisy)
    assert list(panels) == ["noisy", *(f"expert-{view.name}" for view in views)]
    for view in views:
        panel = panels[f"expert-{view.name}"]
        np.testing.assert_array_equal(pixels(panel), gray_pixels(view.image))
        quality = f"{psnr(view.image, shown_face.image):.2f} dB"
        assert panel["numbers"] == [["Router's share", f"{100 * view.share:.0f} %"], ["PSNR", quality]]
    asked = max(views, key=lambda view: view.share)
    said = {name for name, panel in panels.items() if panel["note"]}
    assert said == {f"expert-{asked.name}"}


def test_one_scale_for_all_gates(methods, shown_face):
    panels = check(gates_payload(shown_face, settings(), methods["gated"], own_range=False))
    assert panels["gate-1"]["scale"]["ends"] == ["0.00", "1.00"]
    alone = check(
        gates_payload(shown_face, settings(), methods["gated"], over_face=False, own_range=False)
    )
    assert (pixels(panels["gate-1"]) != pixels(alone["gate-1"])).any()


def test_the_intermediate_image_as_it_is_sent(methods, shown_face):
    noisy = GaussianNoise(25 / 255)(shown_face.image, 0)
    panels = check(intermediate_payload(shown_face, settings(), methods["dual"]))
    half = inside_payload.create_denoiser("dual").intermediate(noisy)
    np.testing.assert_array_equal(pixels(panels["intermediate"]), gray_pixels(half))
    assert panels["intermediate"]["numbers"] == [
        ["PSNR", f"{denoiser.psnr(half, shown_face.image):.2f} dB"]
    ]


def test_what_is_missing_is_a_sentence_beside_the_others(methods, shown_face):
    sentence = "The model 'gone' has no weights here."
    for payload in (
        bias_payload(shown_face, settings("gone", "median"), methods),
        invention_payload(shown_face, settings("gone", "median"), methods, 0.2, 0),
    ):
        panels = check(payload)
        assert panels["gone"]["note"] == sentence
        assert "pixels" not in panels["gone"]
        assert panels["median"]["pixels"]
        assert not payload["pending"]
    for make in (gates_payload, intermediate_payload):
        assert check(make(shown_face, settings(), methods["gone"]))["gone"]["note"] == sentence
    payload, residual = residual_payload(shown_face, settings(), methods["gone"])
    assert check(payload)["gone"]["note"] == sentence
    assert residual is None
    line = line_payload(
        find_profiles(shown_face, settings("gone", "median"), methods, (0, 0), (5, 5)), methods
    )
    assert line["notes"] == [f"<b>Gone</b>: {sentence}"]
    assert [name for name, _ in line["numbers"]] == ["Clean", "Noisy picture", "Median 3x3"]


def test_a_model_on_its_way_is_asked_for_again(methods, shown_face, monkeypatch):
    def loading(method_id, wait=0.0):
        raise LoadingError("The model is being downloaded.")

    monkeypatch.setattr(registry, "ensure_loaded", loading)
    payload = invention_payload(shown_face, settings("median"), methods, 0.2, 0)
    assert payload["pending"]
    assert gates_payload(shown_face, settings(), methods["gated"])["pending"]
    assert bias_payload(shown_face, settings("median"), methods)["pending"]


def test_patch_scores_as_they_are_sent(methods, shown_face, judge, monkeypatch):
    monkeypatch.setattr(inside_payload, "create_discriminator", lambda model_id: judge)
    panels = check(patches_payload(shown_face, settings("median", "gone"), methods, "patchgan"))
    assert list(panels) == ["clean", "noisy", "median", "gone"]
    noisy = GaussianNoise(25 / 255)(shown_face.image, 0)
    scores = score_patches(judge, noisy, create_denoiser("median")(noisy))
    assert panels["median"]["numbers"][0] == ["Mean score", f"{scores.mean:.2f}"]
    # The middles of 12x12 patches, 4 pixels apart, leave no rim.
    assert scores.values.shape == (12, 12)
    coloured = (np.ptp(pixels(panels["clean"]), axis=2) > 0).nonzero()
    assert [(places.min(), places.max()) for places in coloured] == [(0, 47), (0, 47)]


def test_no_discriminator_is_said_plainly(methods, shown_face, monkeypatch):
    def fail(model_id):
        raise WeightsError("The model 'x' comes without the discriminator it was trained against.")

    monkeypatch.setattr(inside_payload, "create_discriminator", fail)
    payload = patches_payload(shown_face, settings("median"), methods, "patchgan")
    assert payload["panels"] == []
    assert payload["error"] == "The model 'x' comes without the discriminator it was trained against."


def test_the_residual_as_it_is_sent(methods, shown_face):
    payload, residual = residual_payload(shown_face, settings(), methods["median"])
    panels = check(payload)
    noise = dict(panels["noise"]["numbers"])
    assert noise["Standard deviation"] == f"{255 * residual.noise.std():.1f} of 255"
    assert set(noise) == set(dict(panels["residual"]["numbers"]))
    assert dict(panels["residual"]["numbers"]) != noise
    black = pixels(panels["noise"])[residual.noise < -65 / 255]
    assert len(black)
    assert not black.any()


def test_no_noise_and_no_change_can_be_sent(methods, shown_face):
    payload, _ = residual_payload(shown_face, settings(sigma=0.0), methods["median"])
    numbers = dict(check(payload)["noise"]["numbers"])
    assert numbers["Whiteness, 0 to 1"] == numbers["Correlation with clean"] == "not defined"


def test_bias_as_it_is_sent(methods, shown_face):
    lost = check(bias_payload(shown_face, settings("median"), methods))["median"]
    result = create_denoiser("median")(shown_face.image)
    assert dict(lost["numbers"])["PSNR"] == f"{denoiser.psnr(result, shown_face.image):.2f} dB"
    unchanged = result == shown_face.image
    assert (np.isin(pixels(lost)[unchanged], (127, 128))).all()
    left = check(bias_payload(shown_face, settings("median"), methods, show_result=True))["median"]
    np.testing.assert_array_equal(pixels(left), gray_pixels(result))


def test_invention_follows_sigma_and_seed(methods, shown_face):
    def numbers(sigma, seed):
        made = check(invention_payload(shown_face, settings("median"), methods, sigma, seed))
        return dict(made["median"]["numbers"])["Standard deviation"]

    noise = make_pure_noise((48, 48), 0.2, 1)
    wanted = 255 * create_denoiser("median")(noise).std()
    assert numbers(0.2, 1) == f"{wanted:.1f} of 255"
    assert len({numbers(0.2, 1), numbers(0.2, 2), numbers(0.1, 1)}) == 3


def test_methods_of_one_name_keep_their_profiles(methods, shown_face):
    methods["dual"] = DenoiserInfo("dual", "Median 3x3", "network", False, None, 0, "-")
    found = find_profiles(shown_face, settings("median", "dual"), methods, (0, 0), (5, 5))
    assert len(found.values) == 4


@pytest.mark.parametrize(
    "ends",
    [
        [],
        [0, 0, 0],
        [0, 0, 0, 48],
        [-1, 0, 0, 0],
        [None, 0, 0, 0],
        ["1", 0, 0, 0],
        [math.nan] * 4,
        [True] * 4,
    ],
    ids=str,
)
def test_bad_lines_are_one_sentence(ends):
    with pytest.raises(
        ExperimentError, match=r"^Rows and columns have to be whole numbers from 0 to 47\.$"
    ):
        inside._parse_ends(ends)


@pytest.mark.parametrize("sigma", [None, 0, 101, math.inf, math.nan, "50", True, [50], 10**400], ids=str)
def test_bad_strengths_are_one_sentence(sigma):
    with pytest.raises(
        ExperimentError, match=r"^The standard deviation has to be a number from 1 to 100\.$"
    ):
        inside._parse_sigma(sigma)
