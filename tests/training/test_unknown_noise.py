"""What is measured of noise that nobody told: the confusion of kinds, errors, foreign noise, tables."""

import json
import math

import numpy as np
import pytest
import skimage.data

from denoiser.analysis.calibration import parse_calibration
from denoiser.analysis.unknown_noise import UNKNOWN, NoiseEstimate
from denoiser.images import from_uint8
from denoiser.noise import GaussianNoise
from tests.tiny import write_fer2013
from train.__main__ import main
from train.evaluation import score_unknown_noise as scoring
from train.evaluation.readme import UNKNOWN_NOISE
from train.evaluation.score_unknown_noise import (
    CONDITIONS,
    Trial,
    evaluate_unknown_noise,
    find_confidence,
    find_errors,
    take_photograph,
)

SCENE = from_uint8(skimage.data.astronaut()[:64, 100:164])


def trial(kind, called, sigma=0.1, found=0.1):
    noise = GaussianNoise(found) if called == "gaussian" else None
    return Trial("faces", kind, kind, sigma, NoiseEstimate(called, found, noise))


def test_confidence_counts_every_kind_alike():
    """Nine Gaussian pictures and two of Poisson noise, of which one was called Gaussian."""
    trials = [trial("gaussian", "gaussian")] * 9 + [
        trial("poisson", "gaussian"),
        trial("poisson", "poisson"),
    ]
    assert find_confidence(trials) == {"gaussian": pytest.approx(1 / 1.5, abs=1e-3), "poisson": 1.0}


def test_errors_are_of_what_was_rightly_told():
    ratios = np.linspace(0.9, 1.1, 41)
    trials = [trial("gaussian", "gaussian", 0.1 * ratio, 0.1) for ratio in ratios]
    trials += [trial("poisson", "gaussian", 0.5, 0.1)] * 20
    trials += [trial("gaussian", "gaussian", 0.01, 0.01)] * 4  # too few to say
    (error,) = find_errors(trials)
    assert error["kind"] == "gaussian"
    assert error["above"] == pytest.approx(20 / 255, abs=1e-5)
    assert (error["low"], error["high"]) == (pytest.approx(0.905), pytest.approx(1.095))
    assert error["pictures"] == 41


def test_the_calibration_is_read_for_the_nearest_size_and_strength():
    def call(kind, rightly, **more):
        return {"noise": kind, "kind": kind, "called": {kind: rightly}, **more}

    called = [
        call("jpeg", 9),
        call("poisson", 2, sigma=9.0, bias=9.0),
        call("gaussian", 9, sigma=51.0, bias=0.0),
        call("gaussian", 9, sigma=25.5, bias=0.2),
    ]
    sets = [
        {"pixels": pixels, "confidence": {"gaussian": share}, "called": called, "errors": [
            {"kind": "gaussian", "above": 0.0, "low": 0.5, "high": 1.0},
            {"kind": "gaussian", "above": 0.1, "low": 0.9, "high": wide},
        ]} for pixels, share, wide in ((2304, 0.7, 1.2), (65536, 0.9, 1.1))
    ]  # fmt: skip
    found = parse_calibration({"sets": sets})
    assert found.confidence("gaussian", 2500) == 0.7
    assert found.confidence("gaussian", 25_000_000) == 0.9
    assert math.isnan(found.confidence("speckle", 2500))
    assert found.sigma_range("gaussian", 0.05, 2304) == pytest.approx((0.025, 0.05))
    assert found.sigma_range("gaussian", 0.2, 2304) == pytest.approx((0.18, 0.24))
    assert found.sigma_range("gaussian", 0.2, 90_000) == pytest.approx((0.18, 0.22))
    assert all(math.isnan(end) for end in found.sigma_range("jpeg", 0.2, 2304))
    # Estimates of 0.12 stood for 0.1, those of 0.2 were right.
    assert found.correct("gaussian", 0.12, 2304) == pytest.approx(0.1)
    assert found.correct("gaussian", 0.06, 2304) == pytest.approx(0.05)
    assert found.correct("gaussian", 0.16, 2304) == pytest.approx(0.16 * (1 / 1.2 + 1) / 2)
    assert found.correct("gaussian", 0.4, 2304) == 0.4
    assert found.correct("poisson", 0.4, 2304) == found.correct("jpeg", 0.4, 2304) == 0.4


def test_what_can_be_told_is_tried_and_what_cannot_is_to_be_called_unknown():
    trials = scoring.try_estimator({"faces": [SCENE[..., 0]]})
    assert [t.noise for t in trials] == list(CONDITIONS)
    kinds = {t.noise: t.kind for t in trials}
    assert kinds["gaussian-25"] == "gaussian"
    assert kinds["pixel-shuffle-15"] == kinds["poisson-30+impulse-10"] == UNKNOWN
    assert next(t.sigma for t in trials if t.noise == "gaussian-25") == pytest.approx(25 / 255)


def test_the_camera_counts_photons_and_its_noise_spreads_to_neighbours():
    gray = np.full((128, 128, 3), 0.5, np.float32)
    noiseless, noisy = take_photograph(gray, 500, seed=0)
    assert noiseless == pytest.approx(gray, abs=1 / 255)
    light = 0.5**2.2
    slope = 0.5 / (2.2 * light)  # of gamma
    # Of green, half of the pixels are counted, and half are means of four.
    counted = slope * math.sqrt(light * 500 + 2**2) / 500
    assert np.std(noisy[1::2, ::2, 1]) == pytest.approx(counted, rel=0.05)
    assert np.std(noisy[::2, ::2, 1]) == pytest.approx(counted / 2, rel=0.05)
    assert np.array_equal(noisy, take_photograph(gray, 500, seed=0)[1])
    assert not np.array_equal(noisy, take_photograph(gray, 500, seed=1)[1])


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A small evaluation: one square, one face, and filters, whose names stand for all."""
    monkeypatch.setattr(scoring, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(scoring, "METHODS", ("median",))
    monkeypatch.setattr(scoring, "_SIGMAS", (25,))
    wide = np.tile(SCENE, (1, 5, 1))
    sets = {"photographs": [SCENE, wide], "colour faces": [SCENE], "faces": [SCENE[..., 1]]}
    monkeypatch.setattr(scoring, "read_sets", lambda data, colour_data: sets)
    (tmp_path / "weights").mkdir()
    (tmp_path / "docs").mkdir()
    names = ("kinds", "strengths", "stein", "foreign")
    marks = "".join(f"<!-- {name}:start -->\nold\n<!-- {name}:end -->\n" for name in names)
    (tmp_path / UNKNOWN_NOISE).write_text(marks)
    return tmp_path


def test_file_and_tables_are_written(places):
    content = evaluate_unknown_noise(places, places, root=places)
    assert json.loads((places / "weights" / "unknown-noise.json").read_text()) == content
    assert {entry["set"] for entry in content["psnr"]} == {"photographs", "faces"}
    assert {entry["pictures"] for entry in content["psnr"]} == {1}
    assert {entry["pictures"] for entry in content["foreign"]} == {1}
    assert parse_calibration(content).sets[2].pixels == 64 * 64
    page = (places / UNKNOWN_NOISE).read_text()
    assert "old" not in page
    assert "| camera-500+jpeg-90 |" in page
    assert "| gaussian-25 | " in page


def test_a_trial_writes_nothing_and_output_only_there(places):
    before = (places / UNKNOWN_NOISE).read_text()
    evaluate_unknown_noise(places, places, limit=2, root=places)
    assert not (places / "weights" / "unknown-noise.json").exists()
    evaluate_unknown_noise(places, places, output=places / "out", root=places)
    assert (places / "out" / "unknown-noise.json").is_file()
    assert not (places / "weights" / "unknown-noise.json").exists()
    assert (places / UNKNOWN_NOISE).read_text() == before


def test_without_colour_faces(tmp_path, capsys):
    data = write_fer2013(tmp_path / "data", validation=2)
    command = ["evaluate-unknown-noise", "--data", str(data), "--colour-data", str(tmp_path / "none")]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith("train: ")
