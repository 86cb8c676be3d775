"""The emotion classifier in the app: reading faces, its files, its results, and what the tab is sent."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from denoiser.analysis.emotion.classifier import (
    CLASSES,
    CLASSIFIER_CONFIG_NAME,
    CLASSIFIER_NAME,
    EmotionClassifier,
    Prediction,
    as_face,
    load_classifier,
)
from denoiser.analysis.emotion.network import EmotionNet, EmotionNetConfig
from denoiser.analysis.emotion.results import ACCURACY, AGREEMENT, read_emotion_results
from denoiser.analysis.results import ResultsError
from denoiser.faces.samples import Sample
from denoiser.images import to_uint8
from denoiser.noise import create_noise
from denoiser.pipeline import Experiment, corrupt
from denoiser.ui.emotion import tab as tab
from denoiser.ui.emotion.accuracy import describe_scores
from denoiser.ui.emotion.payload import emotion_payload, summary, table_value
from denoiser.ui.emotion.search import find_changed
from denoiser.ui.experiment.run import Face
from denoiser.weights.checkpoint import WeightsError
from denoiser.weights.training_noise import point
from tests.weights import save_emotion_net

TINY = EmotionNetConfig(stem=2, widths=(4, 8))

METRICS = {
    "command": "python -m train ...",
    "split": "test",
    "labels": "a <label>",
    "pictures": 400,
    "clean_accuracy": 0.8,
    "most_frequent_class": 0.35,
    "classes": list(CLASSES),
    "recall": [0.9, 0.95, 0.8, 0.7, 0.6, 0.5, 0.4, None],
    "versions": {"torch": "2"},
    "noises": {"gaussian-25": point(create_noise("gaussian", sigma=25 / 255))},
    "denoisers": [{"id": "median", "label": "Median"}, {"id": "wavelet", "label": "Wavelet"}],
    "scores": [
        {"denoiser": name, "noise": "gaussian-25", "accuracy": a, "agreement": b, "pictures": 400}
        for name, a, b in (("noisy", 0.5, 0.55), ("median", 0.71, 0.6), ("wavelet", 0.6, 0.8))
    ],
}


def network(seed: int = 0, config: EmotionNetConfig = TINY) -> EmotionNet:
    torch.manual_seed(seed)
    return EmotionNet(config).eval().requires_grad_(False)


@pytest.fixture
def classifier() -> EmotionClassifier:
    return EmotionClassifier(network())


@pytest.fixture
def metrics(tmp_path):
    def write(**changes):
        path = tmp_path / "metrics.json"
        path.write_text(json.dumps(METRICS | changes))
        return path

    return write


def prediction(**shares: float) -> Prediction:
    rest = (1 - sum(shares.values())) / (len(CLASSES) - len(shares))
    return Prediction(tuple(shares.get(name, rest) for name in CLASSES))


# The network


def test_backward_reaches_every_parameter(face):
    net = EmotionNet(TINY).train()
    net(torch.rand(4, 1, 48, 48)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("size", [(1, 1), (7, 50), (48, 48), (49, 47)])
def test_network_takes_any_size(size):
    assert network()(torch.rand(2, 1, *size)).shape == (2, 8)


def test_brightness_and_contrast_make_no_difference(face):
    faces = torch.from_numpy(np.stack([face, 0.3 + 0.4 * face])[:, None])
    one, other = network()(faces)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_flat_pictures_give_numbers():
    assert torch.isfinite(network()(torch.full((1, 1, 48, 48), 0.5))).all()


@pytest.mark.parametrize("wrong", [{"stem": 0}, {"widths": ()}, {"dropout": 1.0}, {"classes": 2.5}])
def test_impossible_networks_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        EmotionNetConfig(**wrong)


# Reading


def test_predictions_are_probabilities_and_repeat(classifier, face):
    first, second = classifier.predict([face, face[:, ::-1].copy()])
    assert sum(first.probabilities) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in second.probabilities)
    assert classifier.predict([face]) == [first]
    assert classifier.predict([]) == []


def test_batches_read_as_single_pictures(classifier):
    pictures = np.random.default_rng(0).random((130, 48, 48), dtype=np.float32)
    together = classifier.probabilities(pictures)
    alone = np.concatenate([classifier.probabilities(pictures[i : i + 1]) for i in (0, 127, 129)])
    np.testing.assert_allclose(together[[0, 127, 129]], alone, atol=1e-5)


def test_the_first_of_equal_classes_is_read():
    equal = Prediction((0.125,) * 8)
    assert equal.emotion == "neutral"
    assert equal.confidence == 0.125
    assert prediction(anger=0.6).emotion == "anger"
    assert prediction(anger=0.6).of("anger") == 0.6


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (48, 48), (200, 100)])
def test_any_picture_becomes_a_face(size):
    rgb = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    gray = as_face(rgb)
    assert gray.shape == (48, 48)
    assert gray.dtype == np.float32
    assert 0 <= gray.min() <= gray.max() <= 1


def test_a_face_of_the_right_size_is_not_touched(face):
    np.testing.assert_array_equal(as_face(face), face)
    gray = as_face(np.repeat(face[..., None], 3, axis=2))
    np.testing.assert_allclose(gray, face, atol=1e-6)


def test_pictures_with_nan_are_refused(classifier):
    with pytest.raises(ValueError, match="NaN"):
        classifier.predict([np.full((48, 48), np.nan, np.float32)])


# Files


def test_weights_come_back_as_they_were(tmp_path, face):
    net = network()
    save_emotion_net(net, tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {CLASSIFIER_CONFIG_NAME, CLASSIFIER_NAME}
    loaded = load_classifier(tmp_path)
    assert loaded.network.config == TINY
    before = EmotionClassifier(net).predict([face])[0].probabilities
    # Half precision keeps three digits.
    np.testing.assert_allclose(loaded.predict([face])[0].probabilities, before, atol=2e-3)


def test_missing_weights_say_how_to_make_them(tmp_path):
    with pytest.raises(WeightsError, match="python -m train emotion"):
        load_classifier(tmp_path)
    save_emotion_net(network(), tmp_path)
    (tmp_path / CLASSIFIER_NAME).unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", '{"widths": 4}', '{"widths": [4, 8], "stem": "x"}', '{"widths": [4], "more": 1}'],
)
def test_damaged_configs_are_refused(tmp_path, text):
    save_emotion_net(network(), tmp_path)
    (tmp_path / CLASSIFIER_CONFIG_NAME).write_text(text)
    with pytest.raises(WeightsError, match=CLASSIFIER_CONFIG_NAME):
        load_classifier(tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    save_emotion_net(network(), tmp_path)
    file = tmp_path / CLASSIFIER_NAME
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        load_classifier(tmp_path)


def test_weights_and_config_have_to_fit(tmp_path):
    save_emotion_net(network(), tmp_path)
    (tmp_path / CLASSIFIER_CONFIG_NAME).write_text('{"stem": 2, "widths": [4, 16]}')
    with pytest.raises(WeightsError, match="fit"):
        load_classifier(tmp_path)


def test_another_number_of_emotions_is_refused(tmp_path):
    save_emotion_net(network(config=EmotionNetConfig(2, (4,), 0.0, 7)), tmp_path)
    with pytest.raises(WeightsError, match="8 emotions"):
        load_classifier(tmp_path)


# Results


def test_results_are_read(metrics):
    results = read_emotion_results(metrics())
    assert results.clean_accuracy == 0.8
    assert results.margin == pytest.approx(1.96 * 0.02)
    assert list(results.methods) == ["noisy", "median", "wavelet"]
    assert results.value("median", "gaussian-25", ACCURACY) == 0.71
    assert results.value("median", "gaussian-25", AGREEMENT) == 0.6
    assert results.value("median", "gaussian-50", ACCURACY) is None
    assert results.conditions[0].label == "Gaussian 25"
    assert "contempt" not in results.recall


def test_results_without_scored_denoisers(metrics):
    results = read_emotion_results(metrics(scores=[], denoisers=[], noises={}))
    assert results.methods == {}
    assert "not scored yet" in describe_scores(results, "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"clean_accuracy": 81.0},
        {"clean_accuracy": "0.8"},
        {"clean_accuracy": float("nan")},
        {"pictures": 0},
        {"recall": [0.5]},
        {"scores": [{"denoiser": "median"}]},
        {"scores": 3},
        {"noises": []},
        {"denoisers": ["median"]},
    ],
)
def test_damaged_results_are_refused(metrics, changes):
    with pytest.raises(ResultsError, match="damaged"):
        read_emotion_results(metrics(**changes))


def test_missing_results_say_how_to_make_them(tmp_path):
    with pytest.raises(ResultsError, match="python -m train emotion"):
        read_emotion_results(tmp_path / "metrics.json")


def test_table_marks_the_best(metrics):
    results = read_emotion_results(metrics())
    table = table_value(results, ACCURACY)
    assert [row[0]["text"] for row in table["rows"]] == ["Noisy picture", "Median", "Wavelet"]
    assert [row[1]["text"] for row in table["rows"]] == ["50.0", "★ 71.0", "60.0"]
    assert [row[1]["text"] for row in table_value(results, AGREEMENT)["rows"]][2] == "★ 80.0"
    fewer = table_value(results, ACCURACY, ["wavelet", "no such one"])
    assert [row[0]["text"] for row in fewer["rows"]] == ["Noisy picture", "Wavelet"]
    assert fewer["rows"][1][1] == {"sort": 0.6, "text": "★ 60.0", "best": True}


def test_scores_in_words(metrics):
    text = describe_scores(read_emotion_results(metrics()), "every denoiser")
    assert "80.0 % (± 3.9) of 400 *clean*" in text
    assert "35.0 %" in text
    assert "best at happiness (95 %) and worst at fear (40 %)" in text
    assert "<label>" not in text  # shown as it is, not as HTML


# What the tab is sent


@pytest.fixture
def settings() -> Experiment:
    noise = create_noise("gaussian", sigma=0.2)
    return Experiment(noise, 3, methods=("median", "gaussian-filter"))


def test_the_pictures_are_those_of_the_comparison(classifier, face, settings):
    payload = emotion_payload(Face("lfw-1", "A face", face), settings, classifier, "happiness")
    cards = {card["id"]: card for card in payload["cards"]}
    assert list(cards) == ["clean", "noisy", "median", "gaussian-filter"]
    corruption = corrupt(face, settings.noise, settings.seed)
    assert base64.b64decode(cards["noisy"]["pixels"]) == to_uint8(corruption.noisy).tobytes()
    assert base64.b64decode(cards["clean"]["pixels"]) == to_uint8(face).tobytes()
    read = classifier.predict([corruption.noisy])[0]
    assert [bar["share"] for bar in cards["noisy"]["bars"]] == pytest.approx(read.probabilities)
    assert cards["noisy"]["read"].lower() == read.emotion
    assert [bar["name"] for bar in cards["noisy"]["bars"] if bar["top"]] == [read.emotion]
    assert [bar["name"] for bar in cards["median"]["bars"] if bar["crowd"]] == ["happiness"]
    json.dumps(payload)  # it travels


def test_cards_say_what_changed(face, settings):
    class Moody(EmotionClassifier):
        """Reads happiness in the first picture and another thing in every second one."""

        def predict(self, faces):
            moods = ("happiness", "fear")
            return [prediction(**{moods[i % 2]: 0.9}) for i in range(len(faces))]

    cards = emotion_payload(Face("a", "A", face), settings, Moody(network()), "happiness")["cards"]
    assert [card["verdict"] for card in cards] == [
        "as the crowd",
        "changed",
        "same as clean",
        "changed",
    ]
    assert [card["changed"] for card in cards] == [False, True, False, True]
    unlabelled = emotion_payload(Face("a", "A", face), settings, Moody(network()))["cards"]
    assert unlabelled[0]["verdict"] == ""
    assert not any(bar["crowd"] for card in unlabelled for bar in card["bars"])
    # "unknown" is no emotion that it could have read.
    unclear = emotion_payload(Face("a", "A", face), settings, Moody(network()), "unknown")
    assert unclear["cards"][0]["verdict"] == ""


def test_a_method_that_cannot_run_does_not_stop_the_others(classifier, face, settings, monkeypatch):
    def fail(method_id, wait=0.0):
        if method_id == "median":
            raise WeightsError("The weight file is missing.")

    monkeypatch.setattr("denoiser.denoisers.registry.ensure_loaded", fail)
    cards = emotion_payload(Face("a", "A", face), settings, classifier)["cards"]
    assert [card["id"] for card in cards] == ["clean", "noisy", "gaussian-filter", "median"]
    assert cards[-1]["note"] == "The weight file is missing."


class Scripted(EmotionClassifier):
    """Reads what it is told to, one list for each time it is asked."""

    def __init__(self, *readings):
        super().__init__(network())
        self.readings = list(readings)

    def predict(self, faces):
        read = self.readings.pop(0)
        assert len(read) == len(faces)
        return [prediction(**{emotion: 0.9}) for emotion in read]


def sample(name, emotion, image):
    return Sample(f"lfw-{name}", f"Face {name}", emotion, image)


def test_a_search_finds_the_face_that_most_methods_change(face, settings):
    samples = [sample(n, e, face) for n, e in enumerate(["fear", "happiness", "", "anger"])]
    clean = ["anger", "happiness", "neutral", "anger"]  # the first is misread as it is
    same, changed = ["happiness", "happiness"], ["neutral", "fear"]
    others = ["fear", "happiness"]
    assert find_changed(samples, settings, Scripted(clean, same, changed, others)) is samples[3]
    assert find_changed(samples, settings, Scripted(clean, same, changed, ["anger"] * 2)) is samples[2]
    at_once = Scripted(clean, ["anger", "fear"])  # nothing could be more
    assert find_changed(samples, settings, at_once) is samples[1]
    unchanged = Scripted(clean, same, ["neutral"] * 2, ["anger"] * 2)
    assert find_changed(samples, settings, unchanged) is None
    assert unchanged.readings == []  # all were tried
    assert find_changed(samples, settings, Scripted(clean), patience=-1) is None
    assert find_changed([], settings, Scripted([])) is None


def test_a_search_without_methods_finds_nothing(face, settings):
    nobody = replace(settings, methods=())
    assert find_changed([sample(1, "", face)], nobody, Scripted(["fear"], [])) is None


def test_summary_in_words():
    read = {
        "clean": prediction(happiness=0.9),
        "noisy": prediction(fear=0.4),
        "a": prediction(happiness=0.5),
        "b": prediction(anger=0.999),
    }
    names = {"clean": "Clean", "noisy": "Noisy", "a": "Median", "b": "Wavelet"}
    assert summary(read, names, "happiness") == [
        "Clean, it reads happiness (90 %), as most of the crowd did.",
        "The noise turns that into fear (40 %).",
        "As in the clean picture after: Median.",
        "Something else after: Wavelet.",
    ]
    calm = summary({"clean": read["clean"], "noisy": read["a"]}, names, "anger")
    assert calm == [
        "Clean, it reads happiness (90 %); most of the crowd said anger.",
        "The noise does not change that: happiness (50 %).",
    ]


def test_labels_of_samples_and_uploads(face):
    from denoiser.faces.fer2013 import FaceDataError
    from denoiser.faces.samples import Sample

    class Source:
        def get(self, sample_id):
            if sample_id != "fer2013-test-1":
                raise FaceDataError("none")
            return Sample(sample_id, "x", "anger", face)

    assert tab.crowd_label(Face("fer2013-test-1", "x", face), Source()) == "anger"
    assert tab.crowd_label(Face("lfw-99", "x", face), Source()) == ""
    assert tab.crowd_label(Face("upload-1", "x", face), Source()) == ""
