"""How like photographs results are: the two measures, and what is written of them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import scipy.linalg
import torch

from denoiser.analysis.results import CLEAN, NOISY
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.fer2013 import FaceDataError
from denoiser.images import from_uint8
from tests.doubles import InProcess
from tests.tiny import pictures, write_fer2013
from train.__main__ import main
from train.config import ConfigError
from train.evaluation import score_realism as scoring
from train.evaluation.readme import RESULTS, realism_table
from train.evaluation.realism import detectability, frechet_distance, wilson_interval
from train.evaluation.score import CONDITIONS, Pictures
from train.evaluation.score_realism import RealismScore, Sizes, evaluate_realism, realism_lines

# Fréchet distance


def normal(count, seed, mean=0.0, scale=1.0):
    return mean + scale * np.random.default_rng(seed).normal(size=(count, 3)) @ np.array(
        [[1, 0.5, 0], [0, 1, 0.2], [0, 0, 0.7]]
    )


def test_frechet_distance_is_the_formula_of_the_sets_means_and_covariances():
    one, other = normal(400, 0), normal(300, 1, mean=0.4, scale=1.3)
    covariances = [np.cov(features, rowvar=False) for features in (one, other)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(one, other).value == pytest.approx(expected)


def test_a_shift_is_its_squared_length_and_a_set_is_no_way_from_itself():
    features = normal(200, 0)
    assert frechet_distance(features, features).value == pytest.approx(0, abs=1e-9)
    shifted = frechet_distance(features + np.array([1.0, 2.0, 2.0]), features)
    assert shifted.value == pytest.approx(9)


def test_intervals_of_most_draws_hold_the_truth_and_are_wider_for_fewer_pictures():
    reference = normal(20_000, 99)
    truth = 3 * 0.5**2  # the shift; the reference is so large that its own error is not seen
    found = [frechet_distance(normal(600, seed, mean=0.5), reference) for seed in range(40)]
    assert sum(one.low <= truth <= one.high for one in found) >= 34
    fewer = [frechet_distance(normal(100, seed, mean=0.5), reference) for seed in range(40)]
    widths = [np.mean([one.high - one.low for one in some]) for some in (fewer, found)]
    assert widths[0] > 1.8 * widths[1]


def test_features_need_more_pictures():
    with pytest.raises(ValueError, match="3 features need more pictures than 3 and 50"):
        frechet_distance(normal(3, 0), normal(50, 1))


# Detectability


def faces(count, seed):
    return from_uint8(pictures(count, seed))


def blurred(some):
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in some])


def test_clean_faces_are_not_told_from_clean_faces():
    found = detectability(faces(240, 0), faces(240, 1), learned=120)
    assert found.low < 0.5 < found.high


def test_noisy_faces_are_told_the_same_every_time_and_nobody_elses_chance_is_touched():
    clean, others = faces(240, 0), faces(240, 1)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.1, clean.shape), 0, 1)
    state = torch.random.get_rng_state()
    found = detectability(noisy.astype(np.float32), others, learned=180)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.value > 0.9
    assert found.low < found.value <= found.high
    # What 8 bits don't hold, nobody sees.
    rounded = (np.rint(noisy * 255) / 255 + 1e-4).clip(0, 1).astype(np.float32)
    assert detectability(rounded, others, learned=180) == found


@pytest.mark.parametrize(("results", "clean", "learned"), [(9, 8, 4), (8, 8, 0), (8, 8, 8)])
def test_there_have_to_be_pictures_to_learn_from_and_to_judge(results, clean, learned):
    with pytest.raises(ValueError, match="can't learn from"):
        detectability(faces(results, 0), faces(clean, 1), learned)


def test_wilson_interval():
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(100, 100) == pytest.approx((0.9630, 1), abs=1e-4)


@pytest.mark.slow
@pytest.mark.fer2013
def test_blurred_faces_are_told_from_real_ones(fer2013):
    from denoiser.faces.fer2013 import read_fer2013

    clean = from_uint8(read_fer2013(fer2013, "validation").images[:1200])
    assert detectability(blurred(clean[:600]), clean[600:], learned=450).low > 0.9
    same = detectability(clean[:600], clean[600:], learned=450)
    assert same.low < 0.5 < same.high


# What is written

SIZES = Sizes(learned=16, judged=8, reference=40)


class Means:
    """A classifier whose features are the means of a picture's quarters."""

    def features(self, some):
        return np.stack([part.mean((1, 2)) for part in np.split(some.astype(float), 4, axis=1)], axis=1)


@pytest.fixture
def data(tmp_path):
    return write_fer2013(tmp_path / "fer2013", train=40, validation=48, test=48)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two filters and two noises, quickly; the project is in this folder."""
    weights = tmp_path / "weights"
    weights.mkdir()
    page = tmp_path / RESULTS
    page.parent.mkdir()
    page.write_text("a\n<!-- realism:start -->\nold\n<!-- realism:end -->\nb\n")
    conditions = {"gaussian-25": CONDITIONS["gaussian-25"], "jpeg-20": CONDITIONS["jpeg-20"]}
    monkeypatch.setattr("train.evaluation.score.multiprocessing.get_context", lambda _: InProcess())
    monkeypatch.setattr(scoring, "WEIGHTS", weights)
    monkeypatch.setattr(scoring, "list_denoisers", lambda: ["median", "gaussian-filter"])
    monkeypatch.setattr(scoring, "CONDITIONS", conditions)
    monkeypatch.setattr(scoring, "SHOWN", ("gaussian-25",))
    monkeypatch.setattr(scoring, "create_classifier", Means)
    return {
        "cache": tmp_path / "cache",
        "weights": weights,
        "sizes": SIZES,
        "root": tmp_path,
    }


def pairs(scores):
    return {(score["denoiser"], score["noise"]) for score in scores}


ALL = {(d, n) for d in (NOISY, "median", "gaussian-filter") for n in ("gaussian-25", "jpeg-20")} | {
    (CLEAN, CLEAN)
}


def test_everything_is_scored_beside_clean_faces_and_nothing_twice(data, small, monkeypatch, tmp_path):
    scores = evaluate_realism(data, **small)
    content = json.loads((small["weights"] / "realism.json").read_text())
    assert [RealismScore(**score) for score in content["scores"]] == scores
    assert pairs(content["scores"]) == ALL
    assert content["pictures"] == 24
    assert [d["id"] for d in content["denoisers"]] == ["median", "gaussian-filter"]
    by_pair = {(score.denoiser, score.noise): score for score in scores}
    floor, noisy = by_pair[CLEAN, CLEAN], by_pair[NOISY, "gaussian-25"]
    assert (floor.psnr, floor.sharpness, floor.spectral_distance) == (100, 1, 0)
    assert noisy.frechet_distance_low <= noisy.frechet_distance <= noisy.frechet_distance_high
    assert noisy.sharpness > 1.5
    text = (tmp_path / RESULTS).read_text()
    assert realism_table(content) in text
    assert "old" not in text

    def fail(task):
        raise AssertionError("computed again")

    monkeypatch.setattr(scoring, "_run", fail)
    assert evaluate_realism(data, **small) == scores


def test_those_not_named_keep_their_figures(data, small, monkeypatch, tmp_path):
    before = {(s.denoiser, s.noise): s for s in evaluate_realism(data, **small)}
    monkeypatch.setattr(
        scoring, "_run", lambda task: (task, replace(before[task.pair], detectability=0.75))
    )
    elsewhere = small | {"cache": tmp_path / "empty"}
    after = evaluate_realism(data, only=["median"], noises=["jpeg-20"], **elsewhere)
    changed = {("median", "jpeg-20"), (CLEAN, CLEAN)}
    assert {(s.denoiser, s.noise): s for s in after} == {
        pair: replace(score, detectability=0.75) if pair in changed else score
        for pair, score in before.items()
    }
    # Of other weights, none are kept, and so they have to be named.
    monkeypatch.setattr(scoring, "file_version", lambda path: f"new {path.parent.name}")
    with pytest.raises(ConfigError, match="would lose the figures of gaussian-filter"):
        evaluate_realism(data, only=["median"], **elsewhere | {"cache": tmp_path / "more"})


def test_validation_pictures_and_other_weights_are_for_looking_only(data, small, tmp_path, capsys):
    evaluate_realism(data, split="validation", only=["median"], noises=["gaussian-25"], **small)
    printed = capsys.readouterr().out
    assert "median" in printed
    assert "gaussian-filter" not in printed
    evaluate_realism(
        data, only=["median"], noises=["jpeg-20"], **small | {"weights": tmp_path / "other"}
    )
    assert list(small["weights"].iterdir()) == []
    assert "old" in (tmp_path / RESULTS).read_text()


def test_a_score_is_that_of_the_denoisers_pictures(data, small):
    scores = evaluate_realism(data, only=["median"], noises=["gaussian-25"], **small)
    found = next(score for score in scores if score.denoiser == "median")
    some = scoring._pictures(data, "test", SIZES, "gaussian-25")
    assert len(some.clean) == 24
    denoised = np.stack([create_denoiser("median")(noisy) for noisy in some.noisy])
    others = scoring._faces(data, "test", SIZES)[1]
    assert not {picture.tobytes() for picture in others} & {picture.tobytes() for picture in some.clean}
    assert detectability(denoised, others, SIZES.learned).value == pytest.approx(
        found.detectability, abs=1e-5
    )
    reference = scoring._reference(data, SIZES.reference)
    assert len(reference) == 40
    expected = frechet_distance(Means().features(scoring.shown(denoised)), reference)
    assert found.frechet_distance == pytest.approx(expected.value, abs=1e-5)


def test_a_method_that_draws_draws_anew_for_each_picture():
    noisy = np.random.default_rng(0).random((1, 16, 16), np.float32).repeat(3, 0)  # alike
    flow = create_denoiser("flow-unet").with_hyperparameters(steps=1)
    drawn = scoring.draw_all(flow, Pictures(noisy, noisy, [None] * 3))
    for number, picture in enumerate(drawn):
        own = flow.with_hyperparameters(draw=number)(noisy[0])
        np.testing.assert_allclose(picture, own, atol=1e-5)
    assert not np.allclose(drawn[0], drawn[1])
    median = scoring.draw_all(create_denoiser("median"), Pictures(noisy, noisy, [None] * 3))
    np.testing.assert_array_equal(median[0], create_denoiser("median")(noisy[0]))


def test_what_cannot_be_scored_is_said_in_one_sentence(data, small, capsys):
    with pytest.raises(ConfigError, match="Unknown denoiser nonsense"):
        evaluate_realism(data, only=["nonsense"], **small)
    with pytest.raises(ConfigError, match="Unknown noise fog"):
        evaluate_realism(data, noises=["fog"], **small)
    with pytest.raises(FaceDataError, match="The test split has 48 pictures, and 50 are needed"):
        evaluate_realism(data, **small | {"sizes": replace(SIZES, judged=9)})
    assert main(["evaluate-realism", "--data", str(data)]) == 1
    assert "The test split has 48 pictures, and 2800 are needed" in capsys.readouterr().err


def made(denoiser, noise, distance, share):
    return RealismScore(
        denoiser, noise, 30, 0.9, 1.0, distance, distance - 0.1, distance + 0.2, share, share - 0.02,
        share + 0.03, 24,
    )  # fmt: skip


def test_tables():
    scores = [
        made(CLEAN, CLEAN, 0.2, 0.5),
        made(NOISY, "gaussian-25", 9, 1),
        made("a", "gaussian-25", 2, 0.9),
    ]
    table = realism_table({"scores": [vars(score) for score in scores]}).splitlines()
    assert table == [
        "| denoiser | gaussian-25 |",
        "| --- | --- |",
        "| *clean faces* | 0.20 / 0.50 |",
        "| `noisy` | 9.00 / 1.00 |",
        "| `a` | 2.00 / 0.90 |",
        "| *95 % interval, at most* | ± 0.15 / 0.03 |",
    ]
    lines = realism_lines(scores).splitlines()
    assert len(lines) == 4
    assert "1.900 to 2.200" in lines[3]
