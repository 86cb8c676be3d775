"""What draws cost: the scores of a method whose draws are known, and what is written of them."""

import json
import math

import numpy as np
import pytest

from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.noise import Parameter
from tests.doubles import InProcess
from tests.tiny import write_fer2013
from train.__main__ import main
from train.config import ConfigError
from train.evaluation import score_samples as scoring
from train.evaluation.readme import RESULTS
from train.evaluation.score import Pictures
from train.evaluation.score_samples import evaluate_samples, score_samples

OFF, SPREAD = 0.02, 0.05


class Known(Denoiser):
    """Answers half gray and a little off; its draws differ by white noise, more to the right."""

    info = DenoiserInfo(
        "known", "Known", "flow", False, None, 0, "-",
        hyperparameters=(Parameter("draw", "Draw", 0, 63, 0, 63, 1, "", integer=True),),
    )  # fmt: skip
    has_intermediate = True

    def __init__(self, values=None):
        self.values = values or {}

    def _with_values(self, values):
        return Known(values)

    def _intermediate(self, noisy):
        return np.full_like(noisy, 0.5 + OFF)

    def _denoise(self, noisy, sigma):
        rng = np.random.default_rng([int(self.values.get("draw", 0)), int(noisy.sum())])
        growing = np.linspace(0.2, 1.8, noisy.shape[1])
        return 0.5 + OFF + SPREAD * growing * rng.standard_normal(noisy.shape)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(scoring, "create_denoiser", lambda name: Known())


def test_scores_of_draws_whose_law_is_known():
    clean = np.full((40, 24, 24), 0.5, np.float32)
    noisy = np.random.default_rng(0).random(clean.shape, dtype=np.float32)
    score = score_samples("known", "gaussian-25", Pictures(clean, noisy, [None] * 40), draws=16)
    variance = SPREAD**2 * float(np.mean(np.linspace(0.2, 1.8, 24) ** 2))
    error = 4 * math.sqrt(2 / clean.size)  # of a variance, relative; draws make it less
    decibels = 10 * math.log10(1 + error)
    assert score.closest == pytest.approx(-20 * math.log10(OFF), abs=1e-3)
    assert score.one == pytest.approx(-10 * math.log10(OFF**2 + variance), abs=decibels)
    assert score.mean == pytest.approx(-10 * math.log10(OFF**2 + variance / 16), abs=decibels)
    assert score.spread == pytest.approx(255 * math.sqrt(variance), rel=error)
    assert score.error == pytest.approx(255 * math.sqrt(OFF**2 + variance / 16), rel=error)
    assert (score.pictures, score.draws) == (40, 16)
    assert 0.2 < score.correlation < 1  # draws are most apart where their mean is least known


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setattr("train.evaluation.score.multiprocessing.get_context", lambda _: InProcess())
    monkeypatch.setattr(scoring, "FACES", 3)
    monkeypatch.setattr(scoring, "NOISES", ("gaussian-25", "poisson-30"))
    monkeypatch.setattr(scoring, "WEIGHTS", tmp_path / "weights")
    capabilities = scoring.find_capabilities()
    object.__setattr__(capabilities, "samples", ("known",))
    monkeypatch.setattr(scoring, "find_capabilities", lambda: capabilities)
    (tmp_path / "weights").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / RESULTS).write_text("a\n<!-- samples:start -->\nold\n<!-- samples:end -->\nb\n")
    return tmp_path


def test_file_and_table_are_written(places):
    data = write_fer2013(places / "data", test=5)
    evaluate_samples(data, cache=places / "cache", root=places)
    content = json.loads((places / "weights" / "samples.json").read_text())
    assert content["pictures"] == 3
    assert [(s["denoiser"], s["noise"]) for s in content["scores"]] == [
        ("known", "gaussian-25"),
        ("known", "poisson-30"),
    ]
    assert {d["id"] for d in content["denoisers"]} == {"known"}
    page = (places / RESULTS).read_text()
    score = content["scores"][0]
    assert f"| `known` | gaussian-25 | {score['closest']:.2f} | {score['one']:.2f} |" in page
    assert "old" not in page
    assert page.startswith("a\n")


def test_a_trial_writes_nothing_and_output_only_there(places, monkeypatch):
    data = write_fer2013(places / "data", test=5)
    before = (places / RESULTS).read_text()
    assert evaluate_samples(data, cache=places / "cache", limit=2, root=places)[0].pictures == 2
    evaluate_samples(data, cache=places / "cache", output=places / "out", root=places)
    assert (places / "out" / "samples.json").is_file()
    assert not (places / "weights" / "samples.json").exists()
    assert (places / RESULTS).read_text() == before


def test_without_a_method_that_draws(places, monkeypatch, capsys):
    capabilities = scoring.find_capabilities()
    object.__setattr__(capabilities, "samples", ())
    data = write_fer2013(places / "data", test=5)
    with pytest.raises(ConfigError, match="no method here draws"):
        evaluate_samples(data)
    assert main(["evaluate-samples", "--data", str(data)]) == 1
    assert capsys.readouterr().err.startswith("train: no method")
