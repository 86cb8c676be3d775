"""The committed results are read whole, and damage is said in one sentence."""

import dataclasses
import json
import math
import re

import pytest

from denoiser.analysis.results import (
    NOISY,
    SUMMARY_NOISES,
    ResultsError,
    list_histories,
    read_benchmark,
    read_condition,
    read_history,
)
from denoiser.noise import NOISES, PRESETS, NoiseChain, create_noise
from denoiser.weights.checkpoint import WEIGHTS
from denoiser.weights.training_noise import point
from train.evaluation.score import CONDITIONS


@pytest.fixture(scope="module")
def raw():
    return json.loads((WEIGHTS / "benchmark.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def benchmark():
    return read_benchmark()


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "benchmark.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


class TestCommittedBenchmark:
    def test_holds_every_score_of_the_file(self, benchmark, raw):
        for score in raw["scores"]:
            for metric in ("psnr", "ssim", "sharpness", "spectral_distance"):
                assert benchmark.value(score["denoiser"], score["noise"], metric) == score[metric]
        assert len(benchmark.scores) == len(raw["scores"])

    def test_methods_in_the_order_of_the_file(self, benchmark, raw):
        assert [method.id for method in benchmark.methods] == [d["id"] for d in raw["denoisers"]]
        assert [method.label for method in benchmark.methods] == [d["label"] for d in raw["denoisers"]]

    @pytest.mark.parametrize("kind", [noise.id for noise in NOISES])
    def test_no_other_of_its_family_is_better_than_the_best(self, benchmark, kind):
        best = benchmark.best_of_families(kind)
        conditions = [c.id for c in benchmark.conditions if c.kind == kind]
        assert bool(best) == bool(conditions)
        for family, leader in best.items():
            for method in benchmark.methods:
                if method.family == family and method.specialty is None:
                    ahead = [
                        benchmark.value(leader, c, "psnr") - benchmark.value(method.id, c, "psnr")
                        for c in conditions
                    ]
                    assert sum(ahead) >= 0
        assert not any("." in leader for leader in best.values())

    def test_every_noise_is_understood(self, benchmark, raw):
        assert {condition.id for condition in benchmark.conditions} == set(raw["noises"])
        chains = {name for name, noise in raw["noises"].items() if "stages" in noise}
        assert {condition.id for condition in benchmark.conditions if condition.kind is None} == chains
        assert all(condition.label != condition.id for condition in benchmark.conditions)
        labels = [condition.label for condition in benchmark.conditions]
        assert len(set(labels)) == len(labels)

    def test_curves_grow(self, benchmark):
        assert benchmark.curves
        for curve in benchmark.curves:
            strengths = [condition.settings[0] for condition in curve.conditions]
            assert strengths == sorted(set(strengths))
            assert len({condition.kind for condition in curve.conditions}) == 1
            assert len(strengths) > 1

    def test_gain_is_over_the_noisy_picture(self, benchmark):
        score = benchmark.value("median", "gaussian-50", "psnr")
        noisy = benchmark.value(NOISY, "gaussian-50", "psnr")
        assert benchmark.gain("median", "gaussian-50", "psnr") == pytest.approx(score - noisy)
        assert benchmark.gain(NOISY, "gaussian-50", "psnr") == 0
        assert benchmark.gain("median", "no such noise", "psnr") is None

    def test_where_a_metric_was_measured(self, benchmark):
        assert benchmark.measured("psnr") == benchmark.conditions
        assert benchmark.measured("mean_opinion") == ()
        last = benchmark.conditions[-1]
        scores = {
            ("median", last.id): {"psnr": 20.0},
            (NOISY, benchmark.conditions[0].id): {"psnr": 9.0},
        }
        assert dataclasses.replace(benchmark, scores=scores).measured("psnr") == (last,)

    def test_networks_are_what_was_trained_specialists_first(self, benchmark):
        specialties = [method.specialty is not None for method in benchmark.networks]
        assert specialties == sorted(specialties, reverse=True)
        assert {m.id for m in benchmark.networks} == {m.id for m in benchmark.methods if m.parameters}

    def test_facts_name_the_command(self, benchmark):
        assert "train evaluate" in benchmark.facts["command"]
        assert "torch" in benchmark.facts["versions"]


def realism_score(denoiser, noise, distance):
    names = ("frechet_distance", "detectability")
    ends = {f"{name}_{end}": value for name in names for end, value in (("low", 0.5), ("high", 3.0))}
    figures = {"psnr": 12.0, "frechet_distance": distance, "detectability": 0.9}
    return {"denoiser": denoiser, "noise": noise} | figures | ends


class TestRealism:
    def test_stands_beside_what_the_benchmark_has_of_the_same_weights(self, write, raw):
        path = write(raw)
        median, network = ("median", "gaussian-25"), ("attention-unet", "gaussian-25")
        content = {
            "denoisers": [{"id": "median", "weights": "filter"}, {"id": network[0], "weights": "old"}],
            "scores": [
                realism_score(*pair, distance)
                for pair, distance in ((("clean", "clean"), 0.2), (median, 2.0), (network, 1.0))
            ],
        }
        path.with_name("realism.json").write_text(json.dumps(content))
        benchmark = read_benchmark(path)
        plain = next(s for s in raw["scores"] if (s["denoiser"], s["noise"]) == median)
        assert benchmark.value(*median, "psnr") == plain["psnr"]
        assert benchmark.value(*median, "frechet_distance") == 2.0
        assert benchmark.interval(*median, "detectability") == (0.5, 3.0)
        assert benchmark.interval(*median, "psnr") is None
        assert benchmark.floors == {"frechet_distance": 0.2, "detectability": 0.9}
        assert benchmark.value(*network, "frechet_distance") is None
        assert benchmark.interval(*network, "frechet_distance") is None
        assert len(benchmark.scores) == len(raw["scores"])

    def test_need_not_be_there(self, write, raw):
        benchmark = read_benchmark(write(raw))
        assert benchmark.value("median", "gaussian-25", "detectability") is None
        assert (benchmark.floors, benchmark.intervals) == ({}, {})

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"denoisers": [], "scores": [3]}'])
    def test_damaged(self, write, raw, content):
        path = write(raw)
        path.with_name("realism.json").write_text(content)
        with pytest.raises(ResultsError, match=r"realism\.json is damaged"):
            read_benchmark(path)


class TestOtherFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(ResultsError, match=r"benchmark\.json can't be read") as caught:
            read_benchmark(tmp_path / "benchmark.json")
        assert str(tmp_path) not in str(caught.value)

    @pytest.mark.parametrize(
        "content",
        ["", "{", "[]", "3", "{}", '{"noises": [], "denoisers": [], "scores": []}', '{"noises": {}}'],
    )
    def test_damaged(self, write, content):
        with pytest.raises(ResultsError, match="is damaged"):
            read_benchmark(write(content))

    @pytest.mark.parametrize("part", ["denoisers", "scores"])
    def test_an_entry_that_is_none(self, write, raw, part):
        with pytest.raises(ResultsError, match="is damaged"):
            read_benchmark(write(raw | {part: [*raw[part], {}]}))

    def test_a_score_that_is_no_number(self, write, raw):
        wrong = raw["scores"][0] | {"psnr": "much"}
        with pytest.raises(ResultsError, match="is damaged"):
            read_benchmark(write(raw | {"scores": [wrong]}))

    def test_what_could_not_be_measured_is_left_out(self, write, raw):
        first = raw["scores"][0] | {"psnr": math.nan, "ssim": None}
        del first["sharpness"]
        benchmark = read_benchmark(write(raw | {"scores": [first]}))
        known = benchmark.scores[first["denoiser"], first["noise"]]
        assert known == {"spectral_distance": first["spectral_distance"]}

    def test_new_fields_methods_and_noises_do_no_harm(self, write, raw):
        new = raw["denoisers"][0] | {
            "id": "patchgan.pixel-shuffle",
            "family": "hybrid",
            "colour": "red",
            "milliseconds": None,
        }
        grown = raw | {
            "denoisers": [*raw["denoisers"], new],
            "noises": raw["noises"] | {"new-3": {"kind": "no-such-noise", "parameters": {"sigma": 3}}},
        }
        benchmark = read_benchmark(write(grown))
        assert benchmark.methods[-1].specialty == "pixel-shuffle"
        assert benchmark.methods[-1].milliseconds is None
        assert "hybrid" in benchmark.families
        assert [(c.label, c.kind) for c in benchmark.conditions if c.id == "new-3"] == [("new-3", None)]
        shuffled = [c.id for c in benchmark.conditions if c.is_specialty("pixel-shuffle")]
        assert shuffled == ["pixel-shuffle-15", "pixel-shuffle-50"]

    def test_other_parameters_make_another_curve(self, write, raw):
        noises = {
            f"{amount} {radius}": point(create_noise("pixel-shuffle", amount=amount, radius=radius))
            for amount in (0.5, 0.1)
            for radius in (1, 3)
        }
        benchmark = read_benchmark(write(raw | {"noises": noises}))
        assert len({c.label for c in benchmark.conditions}) == 4  # a chart's axis tells them apart
        curves = benchmark.curves
        assert [[c.settings[0] for c in curve.conditions] for curve in curves] == [[10, 50], [10, 50]]
        assert len({curve.id for curve in curves}) == len({curve.label for curve in curves}) == 2


class TestConditions:
    @pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
    def test_every_kind_is_read_back(self, kind):
        noise = create_noise(kind.id)
        condition = read_condition("any", json.loads(json.dumps(point(noise))))
        assert condition.description == noise.describe()
        assert condition.kind == kind.id
        expected = [float(getattr(noise, p.name)) * p.scale for p in kind.parameters]
        assert condition.settings == pytest.approx(expected)

    @pytest.mark.parametrize(
        "noise",
        [
            "Gaussian, sigma 25 of 255",  # in words, as older files had it
            {},
            {"kind": "gaussian"},
            {"kind": "gaussian", "parameters": {"sigma": 2}},
            {"kind": "gaussian", "parameters": {"peak": 3}},
            {"kind": "gaussian", "parameters": {"sigma": "much"}},
            {"kind": "gaussian", "parameters": 3},
            None,
        ],
        ids=str,
    )
    def test_what_makes_no_noise_is_damage(self, write, raw, noise):
        with pytest.raises(ResultsError, match="is damaged"):
            read_benchmark(write(raw | {"noises": raw["noises"] | {"gaussian-25": noise}}))

    def test_labels(self):
        points = [point(PRESETS[name]) for name in ("gaussian-low", "salt-and-pepper-10")]
        assert [read_condition("", p).label for p in points] == ["Gaussian 5.1", "Salt and pepper 10 %"]

    def test_a_chain_is_named_by_its_stages_and_stands_on_no_curve(self):
        chain = NoiseChain((create_noise("gaussian", sigma=15 / 255), create_noise("jpeg", quality=30)))
        condition = read_condition("any", json.loads(json.dumps(point(chain))))
        assert condition.label == "Gaussian 15 + JPEG compression 30"
        assert condition.description == chain.describe()
        assert (condition.kind, condition.settings) == (None, ())
        unknown = {"stages": [point(create_noise("gaussian")), {"kind": "new", "parameters": {}}]}
        assert read_condition("any", unknown).label == "any"
        with pytest.raises((ValueError, LookupError, TypeError)):
            read_condition("any", {"stages": "gaussian"})


class TestHistories:
    def test_every_committed_history_is_read(self):
        assert list_histories()
        for model in list_histories():
            history = read_history(model)
            assert history.validation[0].name == "val_psnr"
            assert "train_loss" in [series.name for series in history.losses]
            for series in (*history.validation, *history.losses):
                assert list(series.steps) == sorted(series.steps)
                assert len(series.steps) == len(series.values) > 0
                assert series.label
                if series.name.startswith("val_psnr_"):  # named by what the model's config says of it
                    assert re.search(r" \d", series.label)

    def test_a_gan_has_both_losses(self):
        names = {series.name for series in read_history("patchgan").losses}
        assert names == {"train_loss", "generator_loss", "discriminator_loss"}

    def test_empty_cells_and_nan_are_left_out(self, tmp_path):
        (tmp_path / "model").mkdir()
        text = "epoch,step,lr,val_psnr,train_loss\n,0,0.1,,\n0,10,,20.5,\n0,10,,,nan\n1,20,,21.5,-3\n"
        (tmp_path / "model" / "history.csv").write_text(text)
        history = read_history("model", tmp_path)
        assert (history.validation[0].steps, history.validation[0].values) == ((10, 20), (20.5, 21.5))
        assert (history.losses[0].steps, history.losses[0].values) == ((20,), (-3.0,))

    @pytest.mark.parametrize(
        "text", ["", "step,val_psnr\n", "step,val_psnr\n1,much\n", "val_psnr\n3\n", "step,val_psnr\n1\n"]
    )
    def test_damaged(self, tmp_path, text):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "history.csv").write_text(text)
        if text.endswith("\n1\n"):  # a row that was cut off holds nothing
            assert read_history("model", tmp_path).validation == ()
        else:
            with pytest.raises(ResultsError, match="'model' is damaged"):
                read_history("model", tmp_path)

    @pytest.mark.parametrize("model", ["no-such-model", "../weights/patchgan", ""])
    def test_no_such_history(self, model):
        with pytest.raises(ResultsError, match="no training history"):
            read_history(model)

    def test_labels_of_validation_noises(self, tmp_path):
        folder = tmp_path / "attention-unet"
        folder.mkdir()
        config = json.loads((WEIGHTS / "attention-unet" / "config.json").read_text(encoding="utf-8"))
        impulse = {"kind": "impulse", "parameters": {"amount": 0.3}}
        config["validation"] = {"gaussian-high": point(PRESETS["gaussian-high"]), "some": impulse}
        (folder / "config.json").write_text(json.dumps(config))
        columns = [
            "val_psnr",
            "val_psnr_gaussian-high",
            "val_psnr_some",
            "val_psnr_rain_3",
            "train_loss",
        ]
        (folder / "history.csv").write_text(f"step,{','.join(columns)}\n1,1,1,1,1,1\n")
        history = read_history("attention-unet", tmp_path)
        labels = [series.label for series in (*history.validation, *history.losses)]
        expected = ["Mean", "Gaussian 15.3", "Random-valued impulses 30 %", "rain_3", "Training loss"]
        assert labels == expected
        (folder / "config.json").unlink()  # as a model of an older version: the columns' own names
        history = read_history("attention-unet", tmp_path)
        assert [s.label for s in history.validation] == ["Mean", "gaussian-high", "some", "rain_3"]


def test_the_noises_are_those_that_were_scored(benchmark):
    assert benchmark.noises == CONDITIONS
    assert {*SUMMARY_NOISES} <= {*CONDITIONS}


def test_of_how_many_pictures_a_score_is_and_how_far_they_lie_apart(benchmark, raw):
    for score in raw["scores"]:
        pair = score["denoiser"], score["noise"]
        assert benchmark.pictures[pair] == score["pictures"]
        assert benchmark.deviations[pair] == {"psnr": score["psnr_std"], "ssim": score["ssim_std"]}
