"""The lessons: what they compute, what they claim, and how a session goes through them."""

import base64
import inspect
import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from denoiser.analysis.emotion.classifier import create_classifier
from denoiser.analysis.results import NOISY, read_benchmark
from denoiser.architectures.loading import load_network
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.images import to_uint8
from denoiser.lessons import (
    LESSONS,
    clipping,
    conventions,
    equal_psnr,
    gan,
    median,
    photons,
    self_choice,
    smoothing,
)
from denoiser.lessons import (
    base as lesson,
)
from denoiser.lessons.base import UNMEASURED, Results, Slider
from denoiser.metrics import psnr, ssim
from denoiser.noise import GaussianNoise, SaltAndPepperNoise, noise_kind
from denoiser.pipeline import compare, corrupt
from denoiser.ui.experiment.run import describe_methods
from denoiser.ui.lessons.charts import draw_chart
from denoiser.ui.lessons.tab import (
    Progress,
    _lesson_values,
    demonstration_value,
    lesson_experiment,
    task_value,
)
from denoiser.weights.checkpoint import WeightsError

BY_ID = {lesson.id: lesson for lesson in LESSONS}
EVERY = pytest.mark.parametrize("one", LESSONS, ids=list(BY_ID))


@pytest.fixture(scope="module")
def results():
    return Results(read_benchmark())


@pytest.fixture(scope="module")
def noisy(face):
    return GaussianNoise(sigma=25 / 255)(face, 0)


def show(one, face, results, strength=None):
    start = one.slider.default if one.slider else 0.0
    return one.demonstrate(face, start if strength is None else strength, results)


@pytest.fixture(scope="module")
def demonstrate(face, results):
    """What a lesson shows of the face, by its id; computed once, as that takes seconds."""
    return cache(lambda lesson_id: show(BY_ID[lesson_id], face, results))


def pictures(demonstration):
    return {p.label: p for group in demonstration.groups for p in group.pictures}


def test_there_are_ten_with_ids_of_their_own():
    assert len(BY_ID) == len(LESSONS) == 10


@EVERY
def test_the_preset_fits_the_controls(one):
    experiment = one.experiment
    for parameter in noise_kind(experiment.noise.id).parameters:
        low, high = parameter.slider_range
        assert low <= parameter.displayed(getattr(experiment.noise, parameter.name)) <= high
    assert set(experiment.methods) <= set(list_denoisers())
    assert len(experiment.methods) >= 2
    assert experiment.sample is None  # the face is the session's


@EVERY
def test_the_demonstration_is_computed_from_the_face(one, face, results, demonstrate):
    demonstration = demonstrate(one.id)
    own = pictures(demonstration)
    assert len(own) >= 3
    for picture in own.values():
        assert picture.image.shape == face.shape
        assert np.isfinite(picture.image).all()
        if picture.psnr is not None:  # every score is that of its own picture
            assert picture.psnr == psnr(picture.image, face, check_range=False)
            assert picture.ssim == ssim(picture.image, face, check_range=False)
    mirrored = np.ascontiguousarray(face[:, ::-1])
    other = pictures(show(one, mirrored, results))
    assert all(
        not np.array_equal(own[label].image, other[label].image) for label in own if label in other
    )
    if demonstration.chart:
        numbers = [v for line in demonstration.chart.lines for v in (*line.x, *line.y)]
        assert np.isfinite(numbers).all()


@EVERY
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_picture_is_no_trouble(one, level, results):
    demonstration = show(one, np.full((48, 48), level, np.float32), results)
    demonstration_value(one, demonstration)
    if demonstration.chart:
        draw_chart(demonstration.chart)


@EVERY
def test_the_texts_do_without_the_benchmark(one, face):
    assert UNMEASURED in one.explain(Results(None))
    show(one, face, Results(None))


@EVERY
def test_the_explanation_reads_its_numbers_from_the_benchmark(one, results):
    benchmark = results.benchmark
    shifted = {
        key: {name: v + 1.0 for name, v in scores.items()} for key, scores in benchmark.scores.items()
    }
    other = Results(replace(benchmark, scores=shifted))
    text, changed = one.explain(results), one.explain(other)
    before, after = text.split(), changed.split()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) >= 2


@EVERY
def test_a_lesson_types_no_score_of_ours(one, results):
    source = inspect.getsource(inspect.getmodule(one.demonstrate))
    values = {f"{v['psnr']:.2f}" for v in results.benchmark.scores.values() if "psnr" in v}
    assert not [value for value in values if f"{value} dB" in source]


@EVERY
def test_sources_are_named_and_linked(one):
    assert one.sources
    for source in one.sources:
        assert source.url.startswith("https://")
        if "doi:" in source.text:
            assert source.url == "https://doi.org/" + source.text.partition("doi:")[2]


# What the explanations say in words has to be so in the committed results, after any retraining.


def test_the_claims_about_filters_hold(results):
    def score(method, noise="gaussian-25"):
        return results.value(method, noise)

    salt, low, high = "salt-and-pepper-10", "gaussian-low", "gaussian-50"
    averages = ("gaussian-filter", "nl-means")
    assert score("median", salt) > max(score(m, salt) for m in averages)
    assert score("median") < min(score(m) for m in averages)
    assert score("trimmed-median", salt) > score("median", salt)
    assert abs(score("trimmed-median") - score(NOISY)) < 0.5
    assert score("median", low) < score(NOISY, low) < score("gaussian-filter", low)
    assert score("median", high) > score(NOISY, high)
    shuffled = "pixel-shuffle-15"
    assert abs(score("median-5", shuffled) - score(NOISY, shuffled)) < 0.1
    structure = [results.value(m, shuffled, "ssim") for m in ("median-5", NOISY)]
    assert structure[1] - structure[0] > 0.05


def test_the_claims_about_networks_hold(results):
    special, blind, gan = "attention-unet.gaussian-high", "attention-unet", "patchgan"
    own = "gaussian-high"
    assert results.value(special, own) > results.value(blind, own)
    assert results.value(special, "gaussian-50") < results.value(blind, "gaussian-50") - 3
    assert results.value(special, "gaussian-low") < results.value(NOISY, "gaussian-low")
    assert results.value(gan, "gaussian-25") < results.value(blind, "gaussian-25")
    sharp = [results.value(m, "gaussian-25", "sharpness") for m in (blind, gan)]
    assert sharp[0] < 0.8
    assert 0.9 <= sharp[1] <= 1.05
    distance = [results.value(m, "gaussian-25", "spectral_distance") for m in (blind, gan)]
    assert distance[1] < distance[0]
    small, large, experts = "dual-skip-autoencoder", "attention-unet", "residual-unet"
    gain = results.value(large, "gaussian-25") - results.value(small, "gaussian-25")
    assert 0.5 < gain < 1.5  # the answer
    assert results.value(large, "impulse-30") > results.value(small, "impulse-30") + 1
    counts = {method.id: method.parameters for method in results.benchmark.methods}
    assert 9 < counts[large] / counts[small] < 10  # "about nine times"
    one = sum(p.numel() for p in load_network(experts).experts["general"].parameters())
    assert 0.098 < one / counts[experts] < 0.102  # "a tenth"
    for condition in ("gaussian-25", "impulse-30"):
        assert results.value(experts, condition) > results.value(large, condition)


def test_the_stars_of_the_median_s_lesson_are_on_its_answer(demonstrate):
    salt, gaussian, knowing = demonstration_value(BY_ID["median"], demonstrate("median"))["groups"]
    starred = [[p["label"] for p in g["pictures"] if p["best"]] for g in (salt, gaussian, knowing)]
    assert starred[0] == ["Median 3x3"]
    assert len(starred[1]) == 1
    assert starred[1][0] in ("Gaussian filter", "Non-local means")
    assert starred[2] == []


def test_the_nine_pixels_shown_hold_one_or_two_impulses(face):
    for seed in range(5):
        corruption = corrupt(face, SaltAndPepperNoise(0.1), seed)
        row, column = median._telling_impulse(corruption)
        changed = (corruption.noisy != corruption.clean)[row - 1 : row + 2, column - 1 : column + 2]
        assert 1 <= changed.sum() <= 2
        table = median._window_table(corruption)
        clean = float(table.rows[3][1])
        middle, mean = (float(row[1]) for row in table.rows[1:3])
        assert abs(middle - clean) < abs(mean - clean)


def test_where_all_is_damaged_some_window_is_shown(face):
    assert median._window_table(corrupt(face, SaltAndPepperNoise(0.9))) is not None
    assert median._window_table(corrupt(face, SaltAndPepperNoise(0.0))) is None


def test_the_paths_lead_from_close_to_sharp(face, demonstrate):
    demonstration = demonstrate("gan")
    lines = {line.label: line for line in demonstration.chart.lines}
    for label in ("Residual U-Net, in steps: steps 1 to 16", "Flow U-Net: realism 0 to 1"):
        line = lines[label]
        assert line.x[-1] > line.x[0] + 0.1  # sharper
        assert line.y[-1] < line.y[0] - 0.1  # and further off
    unet = lines[create_denoiser("attention-unet").info.label]
    start = lines["Flow U-Net: realism 0 to 1"]
    # The flow starts from an earlier one of the U-Net, which has been trained further since.
    assert (start.x[0], start.y[0]) == pytest.approx((unet.x[0], unet.y[0]), abs=0.1)
    *draws, mean = demonstration.groups[1].pictures
    np.testing.assert_allclose(mean.image, np.mean([draw.image for draw in draws], axis=0), atol=1e-6)
    assert mean.psnr > max(draw.psnr for draw in draws)
    columns = demonstration.tables[0].columns
    readings = [row[columns.index("A classifier reads")] for row in demonstration.tables[0].rows]
    predictions = create_classifier().predict([face])
    assert readings[0].startswith(predictions[0].emotion)


def test_another_emotion_is_said():
    clean, other = (lesson.Picture(label, np.zeros((2, 2))) for label in ("Clean", "GAN"))
    (sentence,) = gan._changed((clean, other), ["happiness, 90 %", "sadness, 60 %"])
    assert sentence.endswith("reads happiness; not so in: GAN (sadness).")
    assert "same emotion" in gan._changed((clean, other), ["anger, 1 %", "anger, 2 %"])[0]
    assert gan._changed((clean, other), ["?", "?"]) == []  # no classifier, no claim


def test_the_median_wins_and_loses_on_the_face(demonstrate):
    salt, gaussian, _ = demonstrate("median").groups
    scores = [{p.label: p.psnr for p in group.pictures} for group in (salt, gaussian)]
    assert scores[0]["Median 3x3"] > max(scores[0]["Gaussian filter"], scores[0]["Non-local means"])
    assert scores[1]["Median 3x3"] < max(scores[1]["Gaussian filter"], scores[1]["Non-local means"])


def test_it_shows_what_the_pipeline_computes(face, demonstrate):
    experiment = BY_ID["median"].experiment
    expected = compare(face, experiment.noise, experiment.seed, ["median"])
    own = demonstrate("median").groups[0].pictures
    np.testing.assert_array_equal(own[0].image, expected.noisy.image)
    np.testing.assert_array_equal(own[1].image, expected["median"].image)


def test_bias_and_variance_add_up_to_the_error(face):
    draws = [GaussianNoise(sigma=0.1)(face, seed) for seed in range(6)]
    for width in (0, 0.7, 2.0):
        squared = [(smoothing.smooth(draw, width).astype(float) - face) ** 2 for draw in draws]
        bias, variance = smoothing.bias_and_variance(face, width, draws)
        assert bias + variance == pytest.approx(np.mean(squared), rel=1e-6)


def test_noise_that_is_left_counts_as_no_bias(face):
    sigma, count = 0.05, 16
    draws = [GaussianNoise(sigma=sigma)(face, seed, clip=False) for seed in range(count)]
    bias, variance = smoothing.bias_and_variance(face, 0, draws)
    error = sigma**2 * math.sqrt(2 / face.size)  # standard error of a mean of squared normal values
    assert abs(bias) < 5 * error / count
    assert variance == pytest.approx(sigma**2, abs=5 * error / math.sqrt(count - 1))


def test_the_slider_moves_one_picture_and_never_beats_the_oracle(face, results):
    demonstration = {w: show(BY_ID["smoothing"], face, results, w) for w in (0.3, 1.5, 3.0)}
    mine = [demonstration[width].groups[0].pictures[1] for width in demonstration]
    assert len({picture.psnr for picture in mine}) == 3
    chart = demonstration[0.3].chart
    total = chart.lines[0]
    oracle = chart.marks[0].x
    assert min(total.y) == total.y[total.x.index(oracle)]
    assert 0 < oracle < 3  # neither no smoothing nor the most


@pytest.mark.parametrize("target", [20.0, 25.0, 32.5])
@pytest.mark.parametrize("name", list(equal_psnr.DISTORTIONS))
def test_five_distortions_reach_one_psnr(name, target, face):
    image = equal_psnr.reach_psnr(face, equal_psnr.DISTORTIONS[name], target)
    if image is None:  # a blur or a loss of contrast ends somewhere
        assert name in ("Blur", "Less contrast")
        assert target == 20.0
    else:
        assert psnr(image, face) == pytest.approx(target, abs=0.005)


def test_what_cannot_reach_it_says_so(results):
    blank = np.full((48, 48), 0.5, np.float32)
    assert equal_psnr.reach_psnr(blank, equal_psnr.DISTORTIONS["Blur"], 25) is None
    demonstration = show(BY_ID["equal-psnr"], blank, results)
    assert any("Blur can't" in remark for remark in demonstration.remarks)


def test_ssim_tells_equal_psnr_apart(demonstrate):
    own = pictures(demonstrate("equal-psnr"))
    assert own["Brightness shift"].ssim > own["Gaussian noise"].ssim + 0.1


def test_six_conventions(face, noisy):
    # Of a denoised picture, as in the lesson: clipped noise reaches black and white, a range of 1.
    image = create_denoiser("nl-means")(noisy, sigma=25 / 255)
    scores = {name: values for name, *values in conventions.score_six_ways(image, face)}
    assert len(scores) == 6
    ours, _, torch_like, _, own, double = scores.values()
    assert ours == [pytest.approx(psnr(image, face)), pytest.approx(ssim(image, face), abs=1e-6)]
    assert double[0] - ours[0] == pytest.approx(20 * math.log10(2))
    assert own[0] - ours[0] == pytest.approx(20 * math.log10(np.ptp(image)))
    batch = [torch.from_numpy(one.astype(np.float64))[None, None] for one in (image, face)]
    theirs = structural_similarity_index_measure(*batch, data_range=1.0)
    assert torch_like[1] == pytest.approx(float(theirs), abs=1e-6)
    assert len({round(score, 4) for _, score in scores.values()}) == 6


def test_the_published_table_follows_from_its_losses():
    for row in conventions.PUBLISHED:
        assert 10 * math.log10(row.data_range**2 / row.loss) == pytest.approx(row.psnr, abs=0.1)
    true = [round(row.true_psnr, 1) for row in conventions.PUBLISHED]
    assert true == [36.1, 34.0, 30.0, 27.7, 36.4]


def test_clipping_raises_psnr_and_shifts_the_mean(demonstrate):
    levels = np.array([0.0, 0.1, 0.5, 0.95])
    drawn = np.random.default_rng(0).normal(levels, 0.2, (200_000, 4)).clip(0, 1).mean(axis=0)
    np.testing.assert_allclose(clipping.clipped_mean(levels, 0.2), drawn, atol=5 * 0.2 / 200_000**0.5)
    own = pictures(demonstrate("clipping"))
    assert own["Clipped"].psnr > own["Not clipped"].psnr + 0.3
    assert abs(own["Clipped and rounded"].psnr - own["Clipped"].psnr) < 0.05
    assert own["Mean, clipped first"].psnr < own["Mean, not clipped"].psnr


def test_the_unbiased_inverse_is_unbiased():
    algebraic, unbiased = photons.inverse_bias(np.array([0.1, 1.0, 5.0, 20.0]))
    assert np.abs(unbiased).max() < 0.025
    np.testing.assert_allclose(algebraic[2:], -0.25, atol=0.01)
    counts = np.array([0.0, 1.0, 30.0])
    np.testing.assert_allclose(
        photons.invert_algebraically(photons.stabilise(counts)), counts, atol=1e-12
    )
    assert photons.invert_unbiased(np.array([0.0])) == 0


def test_the_unbiased_inverse_wins_at_few_photons(demonstrate):
    own = pictures(demonstrate("photons"))
    best = own["Stabilised, unbiased inverse"]
    assert best.psnr > max(own["Direct"].psnr, own["Stabilised, algebraic inverse"].psnr)


def test_the_blind_spot_knows_the_true_error(face):
    sigma = 25 / 255
    gaps = []
    for seed in range(4):  # not clipped: only then is the noise fair
        noisy = GaussianNoise(sigma=sigma)(face, seed, clip=False)
        losses = [self_choice.measure_losses(noisy, face, strength) for strength in (5.0, 20.0, 40.0)]
        gaps.append([loss.blind - loss.blind_true for loss in losses])
        plain = [loss.plain for loss in losses]
        assert plain == sorted(plain)  # comparing with the noisy picture always wants less
    gaps = np.array(gaps) / sigma**2
    # The mean of n squared normal values has a standard error of sqrt(2 / n), and the product of noise
    # and error adds as much again.
    np.testing.assert_allclose(gaps.mean(axis=0), 1, atol=5 * 2 * math.sqrt(2 / (4 * 576)))


def test_the_blind_choice_is_near_the_oracle(demonstrate):
    own = {label.partition(",")[0]: p for label, p in pictures(demonstrate("self-choice")).items()}
    assert own["Oracle"].psnr - own["Blind spot"].psnr < 1
    assert own["Oracle"].psnr - own["Least change"].psnr > 2


def test_a_model_that_is_not_here_is_named_and_the_rest_goes_on(face, results, monkeypatch):
    available = lesson.check_available

    def refuse(method):
        if method == "attention-unet":
            raise WeightsError("attention-unet is on its way.")
        available(method)

    monkeypatch.setattr(lesson, "check_available", refuse)
    create = gan.create_denoiser

    def broken(method):
        if method == "attention-unet":
            raise WeightsError("attention-unet is damaged.")
        return create(method)

    monkeypatch.setattr(gan, "create_denoiser", broken)
    for name in ("specialist", "gan"):
        demonstration = show(BY_ID[name], face, results)
        assert "attention-unet is on its way." in demonstration.remarks
        assert "Noisy" in pictures(demonstration)
    assert "PatchGAN" in pictures(show(BY_ID["gan"], face, results))


def test_a_model_without_scores_is_said_to_have_none(face, results):
    benchmark = results.benchmark
    scores = {key: value for key, value in benchmark.scores.items() if "single-" not in key[0]}
    without = Results(replace(benchmark, scores=scores))
    demonstration = show(BY_ID["size"], face, without)
    rows = {row[0]: row for row in demonstration.tables[0].rows}
    assert rows["Single autoencoder"][-2:] == (UNMEASURED, UNMEASURED)
    assert rows["Median 3x3"][-2] == results.score("median", "gaussian-25")
    assert any("Not in the benchmark yet" in remark for remark in demonstration.remarks)
    assert f"single autoencoder: {UNMEASURED}" in BY_ID["size"].explain(without)


def test_progress():
    first = Progress()
    assert first.open_lesson is LESSONS[0]
    for nonsense in (None, "7", 1, "x", [], {"a": 1}):
        assert first.commit(nonsense) is first
    for nonsense in (None, "nowhere", 3, ["median"]):
        assert first.open(nonsense).lesson == first.lesson
    done = first.commit("1")
    assert done.answer == 1
    assert done.commit("0").answer == 1  # the first answer counts
    assert done.step(1).answer is None
    assert done.step(1).step(-1).answer == 1
    assert done.step(-1).index == 0
    assert done.step(99).index == len(LESSONS) - 1
    assert first.answers == {}


def test_what_the_browser_keeps_is_checked():
    come = Progress().commit("1").step(2).commit("0")
    assert Progress.read(json.loads(json.dumps(come.browser_state))) == come
    for nonsense in (None, 7, "x", [], {}, {"answers": []}, {"lesson": ["x"], "answers": {"x": 1}}):
        assert Progress.read(nonsense) == Progress()
    first = LESSONS[0].id
    for wrong in (-1, 99, True, "1", None, [1], 1e99):
        assert Progress.read({"lesson": first, "answers": {first: wrong}}).answer in (None, 1)


@EVERY
def test_nothing_gives_the_answer_away(one, results):
    labels = {method: info.label for method, info in describe_methods().items()}
    progress = Progress().open(one.id)
    before = repr(_lesson_values(progress, results, labels))
    first_words = one.explain(results).strip()[:40]
    assert one.look not in before
    assert first_words not in before
    assert "predict" not in before.split("choices")[0].replace("predicted right", "")
    for choice in range(len(one.options)):
        after = _lesson_values(progress.commit(str(choice)), results, labels)
        texts = [value for value in after if isinstance(value, str)]
        assert any(one.look in text for text in texts)
        assert any(first_words in text for text in texts)
        is_right = "As you predicted" in repr(after)
        assert is_right == (choice == one.answer)


@EVERY
def test_a_task_says_what_to_look_at_once_the_lesson_is_answered(one):
    progress = Progress()
    before = task_value(progress, one.id)
    assert (before["lesson"], before["text"]) == (one.id, one.question)
    after = task_value(progress.open(one.id).commit("0").open(LESSONS[0].id), one.id)
    assert (after["title"], after["text"]) == (one.title, one.look)
    for nonsense in (None, "", "nowhere", 3, [one.id]):
        assert task_value(progress, nonsense) == {}


@pytest.mark.parametrize("value", [None, "2", True, math.nan, -1, 3.01, [2]])
def test_nonsense_from_the_slider_is_its_start(value):
    slider = Slider("Width", 0, 3, 2, 0.1)
    assert slider.read(value) == 2
    assert slider.read(0.5) == 0.5


def test_a_method_that_is_not_here_is_left_out_of_the_preset():
    one = LESSONS[0]
    odd = replace(one, experiment=replace(one.experiment, methods=("median", "no-such-method")))
    assert lesson_experiment(odd).methods == ("median",)


def test_what_the_page_is_sent(demonstrate):
    one = BY_ID["gan"]
    demonstration = demonstrate(one.id)
    value = demonstration_value(one, demonstration)
    sent = value["groups"][0]["pictures"]
    for picture, item in zip(demonstration.groups[0].pictures, sent, strict=True):
        pixels = np.frombuffer(base64.b64decode(item["pixels"]), np.uint8)
        np.testing.assert_array_equal(
            pixels.reshape(item["height"], item["width"]), to_uint8(picture.image)
        )
    scores = {p.label: p.psnr for p in demonstration.groups[0].pictures if p.psnr is not None}
    assert [item["label"] for item in sent if item["best"]] == [max(scores, key=scores.get)]


def test_the_chart_draws_every_line_and_mark(demonstrate):
    for name in ("smoothing", "self-choice", "size"):
        chart = demonstrate(name).chart
        figure = draw_chart(chart)
        assert [trace.name for trace in figure.data] == [line.label for line in chart.lines]
        assert [tuple(trace.y) for trace in figure.data] == [line.y for line in chart.lines]
        assert [note.text for note in figure.layout.annotations] == [mark.label for mark in chart.marks]
        assert (figure.layout.xaxis.type == "log") == chart.log_x
