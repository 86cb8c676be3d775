"""Training and scoring the emotion classifier, on made-up pictures and votes."""

import csv
import json
import os
import signal
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from denoiser.analysis.emotion.classifier import CLASSES, CLASSIFIER, EmotionClassifier, load_classifier
from denoiser.faces.fer2013 import EMOTIONS, FaceDataError
from tests.doubles import Fixed, InProcess
from tests.tiny import pictures
from train import __main__ as command_line
from train.config import ConfigError
from train.emotion import evaluate as scoring
from train.emotion.data import (
    NO_LABEL,
    EmotionData,
    augment_faces,
    majority_labels,
    plurality_labels,
    read_labelled,
    vote_distribution,
)
from train.emotion.evaluate import EmotionScore, evaluate_emotion, score_emotions
from train.emotion.fit import (
    TRAINING_NAME,
    EmotionModule,
    EmotionTrainConfig,
    fit_emotion,
    read_emotion_config,
)
from train.evaluation.readme import RESULTS, ROOT, SHOWN, emotion_table, update_emotion
from train.evaluation.score import Pictures
from train.modules.adversarial import SECOND_READER

HAPPY, SAD, UNKNOWN = (EMOTIONS.index(name) for name in ("happiness", "sadness", "unknown"))
CONFIG = EmotionTrainConfig(
    stem=4, widths=(8, 16), epochs=5, batch_size=16, dropout=0.0, learning_rate=1e-2, ema_decay=0.3
)
QUICK = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}


def votes(**counts: int) -> list[int]:
    return [counts.get(name.replace(" ", "_"), 0) for name in EMOTIONS]


def write_split(folder, split, images, cast):
    """Write a split in the Hub's layout; ``cast`` is a list of ten votes for each picture."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"image": [cv2.imencode(".png", p)[1].tobytes() for p in images]}
    columns["row"] = list(range(len(images)))
    for index, name in enumerate(EMOTIONS):
        columns[f"votes_{name.replace(' ', '_')}"] = [row[index] for row in cast]
    pq.write_table(pa.table(columns), folder / f"{split}-00000-of-00001.parquet")


def two_kinds(count, seed):
    """Pictures lit from above are happy, those lit from below sad: what a linear filter can tell."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-60, 60, 48)[:, None]
    kinds = rng.permutation(np.arange(count) % 2)
    images = [
        np.clip(128 + (-1) ** kind * slope + rng.normal(0, 8, (48, 48)), 0, 255).astype(np.uint8)
        for kind in kinds
    ]
    cast = [votes(happiness=9, neutral=1) if kind else votes(sadness=8, anger=2) for kind in kinds]
    return np.stack(images), cast


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fer")
    for seed, (split, count) in enumerate({"train": 96, "validation": 20, "test": 24}.items()):
        write_split(folder, split, *two_kinds(count, seed))
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    fit_emotion(CONFIG, data, runs=folder / "runs", weights=folder / "weights", **QUICK)
    return folder


# Labels


def test_majority_needs_more_than_half_of_what_is_left():
    cast = np.array(
        [
            votes(happiness=6, sadness=4),
            votes(happiness=5, sadness=5),  # half is not more than half
            votes(happiness=4, sadness=3, anger=1, fear=1, disgust=1),  # 4 of 7 without the single ones
            votes(happiness=4, sadness=2, anger=2, fear=2),
            votes(unknown=8, happiness=2),
            votes(not_a_face=10),
        ]
    )
    assert majority_labels(cast).tolist() == [HAPPY, NO_LABEL, HAPPY, NO_LABEL, NO_LABEL, NO_LABEL]
    assert plurality_labels(cast).tolist() == [HAPPY, HAPPY, HAPPY, HAPPY, NO_LABEL, NO_LABEL]


def test_targets_are_shares_of_the_votes_for_emotions():
    cast = np.array(
        [
            votes(happiness=6, sadness=2, anger=1, unknown=1),
            votes(happiness=1, sadness=1, unknown=8),  # nothing but outliers: they count after all
        ]
    )
    shares = vote_distribution(cast)
    assert shares.shape == (2, len(CLASSES))
    assert shares[0, [HAPPY, SAD]].tolist() == [0.75, 0.25]
    assert shares[1, [HAPPY, SAD]].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_votes_go_with_their_pictures(tmp_path):
    images = pictures(3, 0)
    write_split(tmp_path, "test", images, [votes(anger=5), votes(fear=4), votes(happiness=3)])
    labelled = read_labelled(tmp_path, "test")
    chosen = labelled.select(np.array([True, False, True]))
    assert plurality_labels(chosen.votes).tolist() == [EMOTIONS.index("anger"), HAPPY]
    np.testing.assert_array_equal(chosen.faces.images, images[[0, 2]])
    assert chosen.faces.emotions == ("anger", "happiness")
    assert chosen.faces.rows.tolist() == [0, 2]


def test_data_without_votes_are_refused(tmp_path):
    from tests.tiny import write_fer2013

    with pytest.raises(FaceDataError, match="votes_neutral"):
        read_labelled(write_fer2013(tmp_path), "test")


# Data


def test_training_leaves_out_duplicates_and_pictures_of_no_emotion(tmp_path):
    images = pictures(8, 0)
    cast = [votes(happiness=10)] * 6 + [votes(unknown=9, happiness=1), votes(not_a_face=10)]
    write_split(tmp_path, "train", images, cast)
    write_split(tmp_path, "validation", images[:1], [votes(anger=10)])
    write_split(tmp_path, "test", images[1:2], [votes(anger=10)])
    data_module = EmotionData(tmp_path, batch_size=2, seed=0)
    data_module.setup("fit")
    np.testing.assert_array_equal(data_module.train_set.tensors[0][:, 0].numpy(), images[2:6])
    with pytest.raises(FaceDataError, match="too few"):
        EmotionData(tmp_path, batch_size=5, seed=0).setup("fit")


def test_validation_counts_only_majorities(tmp_path):
    cast = [votes(happiness=10)] * 4
    write_split(tmp_path, "train", pictures(4, 0), cast)
    unclear = votes(happiness=5, sadness=5)
    write_split(tmp_path, "validation", pictures(2, 1), [unclear, votes(sadness=9, anger=1)])
    write_split(tmp_path, "test", pictures(2, 2), [unclear, unclear])
    data_module = EmotionData(tmp_path, batch_size=2, seed=0)
    data_module.setup("fit")
    assert data_module.validation_set.tensors[1].tolist() == [SAD]


def test_augmentation_is_repeatable_and_stays_a_picture():
    batch = torch.from_numpy(pictures(64, 0)).float()[:, None] / 255
    before = batch.clone()
    one, other = (augment_faces(batch, torch.Generator().manual_seed(s)) for s in (1, 2))
    assert torch.equal(one, augment_faces(batch, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, other)
    assert torch.equal(batch, before)
    assert one.shape == batch.shape
    assert 0 <= one.min() <= one.max() <= 1


def test_augmentation_keeps_faces_recognisable():
    """Up and down stay where they are, in either mirror image."""
    slope = torch.linspace(0.1, 0.9, 48)[:, None].expand(48, 48)
    faces = augment_faces(slope.expand(200, 1, 48, 48), torch.Generator().manual_seed(0))
    top, bottom = faces[:, 0, 4:16].mean(dim=(1, 2)), faces[:, 0, 32:44].mean(dim=(1, 2))
    assert (bottom - top > 0.2).all()
    side = slope.T.expand(200, 1, 48, 48)
    faces = augment_faces(side, torch.Generator().manual_seed(0))
    mirrored = (faces[..., :16].mean(dim=(1, 2, 3)) > faces[..., 32:].mean(dim=(1, 2, 3))).sum()
    assert 60 < mirrored < 140  # half of 200; 5.6 standard deviations


# Config and training


def test_the_shipped_config_can_be_read():
    config = read_emotion_config()
    assert config.network.classes == len(CLASSES)
    assert config.epochs > 1
    second = read_emotion_config(SECOND_READER.with_suffix(".toml"))
    assert (config.id, second.id) == (CLASSIFIER, SECOND_READER.name)
    assert config.seed != second.seed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch = 3", "epoch"),
        ("epochs = 0", "epochs"),
        ("widths = []", "widths"),
        ("dropout = 1.5", "drop"),
        ("widths = [-4]", "widths"),
        ("widths = 4", "widths"),
        ("seed = -1", "seed"),
        ('id = "../emotion"', "id"),
        ('id = ""', "id"),
    ],
)
def test_wrong_configs_are_named(tmp_path, text, named):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        read_emotion_config(path)


def test_training_learns_exports_and_tests(trained, data):
    folder = trained / "weights" / "emotion"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["clean_accuracy"] > 0.9  # chance is 0.5
    assert metrics["pictures"] == 24
    assert sum(map(sum, metrics["confusion"])) == 24
    assert metrics["recall"][EMOTIONS.index("fear")] is None  # nobody shows any
    test = read_labelled(data, "test")
    read = load_classifier(folder).probabilities(test.faces.images.astype(np.float32) / 255)
    hits = read.argmax(axis=1) == majority_labels(test.votes)
    assert metrics["clean_accuracy"] == pytest.approx(hits.mean(), abs=1e-4)
    with (folder / TRAINING_NAME).open(newline="") as file:
        assert {"epoch", "train_loss", "val_accuracy", "val_loss"} <= set(next(csv.reader(file)))


@pytest.mark.slow
def test_resuming_ends_as_one_run(trained, data, tmp_path, monkeypatch):
    places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
    start = EmotionModule.on_train_epoch_start

    def stop(module):
        if module.current_epoch == 1:
            raise RuntimeError("the power fails")
        start(module)

    with monkeypatch.context() as patch:
        patch.setattr(EmotionModule, "on_train_epoch_start", stop)
        with pytest.raises(RuntimeError, match="power"):
            fit_emotion(CONFIG, data, **places, **QUICK)
    fit_emotion(CONFIG, data, **places, **QUICK, resume=True)
    whole = load_classifier(trained / "weights" / "emotion").network.state_dict()
    for name, value in load_classifier(tmp_path / "weights" / "emotion").network.state_dict().items():
        torch.testing.assert_close(value, whole[name], msg=name)


def test_the_command_line_trains(data, tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text("stem = 2\nwidths = [4]\nepochs = 1\nbatch_size = 8\n")
    arguments = ["emotion", "--config", str(config), "--data", str(data), "--limit", "16"]
    arguments += ["--runs", str(tmp_path / "runs"), "--weights", str(tmp_path / "weights")]
    assert command_line.main([*arguments, "--accelerator", "cpu"]) == 0
    assert load_classifier(tmp_path / "weights" / "emotion").network.config.widths == (4,)


def test_a_trial_leaves_the_classifier_alone(data, tmp_path, monkeypatch):
    monkeypatch.setattr("train.runs.WEIGHTS", tmp_path / "weights")
    config = tmp_path / "tiny.toml"
    config.write_text("stem = 2\nwidths = [4]\nepochs = 1\nbatch_size = 8\n")
    arguments = ["emotion", "--config", str(config), "--data", str(data), "--limit", "16"]
    arguments += ["--runs", str(tmp_path / "runs"), "--accelerator", "cpu"]
    assert command_line.main(arguments) == 0
    load_classifier(tmp_path / "runs/trials/weights/emotion")
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (["--resume"], 1, "There is no checkpoint"),
        (["--accelerator", "foo"], 1, "can't run with these options"),
    ],
)
def test_a_run_that_cannot_start_says_one_sentence(data, tmp_path, capsys, options, code, named):
    arguments = ["emotion", "--data", str(data), "--runs", str(tmp_path), "--accelerator", "cpu"]
    assert command_line.main([*arguments, *options]) == code
    assert named in capsys.readouterr().err


def test_a_stopped_run_exports_nothing(data, tmp_path, monkeypatch, capsys):
    start = EmotionModule.on_train_epoch_start

    def stop(module):
        os.kill(os.getpid(), signal.SIGTERM)
        start(module)

    monkeypatch.setattr(EmotionModule, "on_train_epoch_start", stop)
    config = tmp_path / "tiny.toml"
    config.write_text("stem = 2\nwidths = [4]\nepochs = 1\nbatch_size = 8\n")
    arguments = ["emotion", "--config", str(config), "--data", str(data), "--accelerator", "cpu"]
    places = ["--runs", str(tmp_path / "runs"), "--weights", str(tmp_path / "weights")]
    assert command_line.main([*arguments, *places]) == 143
    assert (
        "Stopped by SIGTERM: nothing was exported, and no epoch was finished" in capsys.readouterr().err
    )
    assert not (tmp_path / "weights").exists()


# Scores


class Reader(EmotionClassifier):
    """Reads happiness in bright pictures and sadness in dark ones."""

    def __init__(self):
        pass

    def probabilities(self, faces):
        bright = faces.mean(axis=(1, 2)) > 0.5
        return np.eye(len(CLASSES))[np.where(bright, HAPPY, SAD)]


def test_scores_count_hits_and_what_stayed_the_same():
    clean = np.stack([np.full((48, 48), v, np.float32) for v in (0.9, 0.8, 0.2, 0.1)])
    noisy = np.stack([np.full((48, 48), v, np.float32) for v in (0.9, 0.1, 0.2, 0.1)])
    labels = np.array([HAPPY, HAPPY, HAPPY, SAD])
    pair = Pictures(clean, noisy, [None] * 4)
    read = Reader().probabilities(clean).argmax(axis=1)
    doing_nothing = score_emotions(Reader(), None, pair, labels, read, "blur-1")
    assert (doing_nothing.denoiser, doing_nothing.accuracy, doing_nothing.agreement) == (
        "noisy",
        0.5,
        0.75,
    )
    bright = Fixed(np.full((48, 48), 0.9, np.float32))
    scored = score_emotions(Reader(), bright, pair, labels, read, "blur-1")
    assert (scored.accuracy, scored.agreement, scored.pictures) == (0.75, 0.5, 4)


@pytest.fixture
def two_denoisers(monkeypatch):
    monkeypatch.setattr(scoring, "list_denoisers", lambda: ["median", "gaussian-filter"])
    monkeypatch.setattr(scoring, "SHOWN", ("gaussian-25", "salt-and-pepper-10"))


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr("train.evaluation.score.multiprocessing.get_context", lambda _: InProcess())


def test_evaluation_writes_everything_and_resumes(
    trained, data, tmp_path, two_denoisers, in_process, monkeypatch
):
    import shutil

    weights = tmp_path / "weights"
    shutil.copytree(trained / "weights", weights)
    page = tmp_path / RESULTS
    page.parent.mkdir()
    page.write_text("a\n<!-- emotion:start -->\nold\n<!-- emotion:end -->\nb\n")
    options = {"cache": tmp_path / "cache", "weights": weights, "root": tmp_path}
    first = evaluate_emotion(data, only=["median"], **options)
    assert {score["denoiser"] for score in first["scores"]} == {"median"}
    metrics = evaluate_emotion(data, **options)
    assert len(metrics["scores"]) == 6
    assert [d["id"] for d in metrics["denoisers"]] == ["median", "gaussian-filter"]
    assert all(score["pictures"] == 24 for score in metrics["scores"])
    assert json.loads((weights / "emotion" / "metrics.json").read_text()) == metrics
    assert "`gaussian-filter`" in page.read_text()
    assert "old" not in page.read_text()

    def fail(task):
        raise AssertionError("computed again")

    monkeypatch.setattr(scoring, "_run", fail)
    assert evaluate_emotion(data, **options) == metrics

    # Without a cache, as on another machine, those that are not named keep what was written.
    monkeypatch.setattr(scoring, "_run", lambda task: (task, replace(known[task.noise], accuracy=0.5)))
    known = {s["noise"]: EmotionScore(**s) for s in metrics["scores"] if s["denoiser"] == "median"}
    again = evaluate_emotion(data, only=["median"], **options | {"cache": tmp_path / "empty"})
    assert again["denoisers"] == metrics["denoisers"]
    for new, old in zip(again["scores"], metrics["scores"], strict=True):
        assert new == old | ({"accuracy": 0.5} if old["denoiser"] == "median" else {})


def test_scores_of_other_pictures_replace_nothing(
    trained, data, tmp_path, two_denoisers, in_process, monkeypatch
):
    file = trained / "weights" / "emotion" / "metrics.json"
    before = file.read_bytes()
    fewer = tmp_path / "fewer"
    for seed, (split, count) in enumerate({"train": 4, "validation": 4, "test": 6}.items()):
        write_split(fewer, split, *two_kinds(count, seed))
    options = {"cache": tmp_path / "cache", "weights": trained / "weights"}
    for only in (None, ["median"]):
        with pytest.raises(ConfigError, match="is of 24 test pictures, and this copy of FER2013 has 6"):
            evaluate_emotion(fewer, only=only, **options)
    metrics = evaluate_emotion(fewer, output=tmp_path / "elsewhere", **options)
    assert json.loads((tmp_path / "elsewhere" / "metrics.json").read_text()) == metrics
    assert file.read_bytes() == before


def test_a_trial_writes_nothing(trained, data, tmp_path, two_denoisers, in_process):
    folder = trained / "weights" / "emotion"
    before = (folder / "metrics.json").read_bytes()
    metrics = evaluate_emotion(data, limit=5, cache=tmp_path, weights=trained / "weights")
    assert {score["pictures"] for score in metrics["scores"]} == {5}
    assert (folder / "metrics.json").read_bytes() == before


def test_unknown_denoisers_are_refused(trained, data, tmp_path):
    with pytest.raises(ConfigError, match="nonsense"):
        evaluate_emotion(data, only=["nonsense"], cache=tmp_path, weights=trained / "weights")


def test_the_table_marks_the_best_of_a_noise():
    scores = [
        {"denoiser": denoiser, "noise": SHOWN[0], "accuracy": accuracy}
        for denoiser, accuracy in (("noisy", 0.5), ("median", 0.701), ("wavelet", 0.7014))
    ]
    lines = emotion_table({"clean_accuracy": 0.8, "scores": scores}).splitlines()
    assert lines[0] == f"| denoiser | {SHOWN[0]} |"
    assert lines[2:] == [
        "| *clean picture* | 80.0 |",
        "| `noisy` | 50.0 |",
        "| `median` | **70.1** |",  # equal at the digits shown
        "| `wavelet` | **70.1** |",
    ]


def test_the_results_have_a_place_for_the_table(tmp_path):
    page = tmp_path / RESULTS
    page.parent.mkdir()
    page.write_text((ROOT / RESULTS).read_text(encoding="utf-8"), encoding="utf-8")
    scores = [{"denoiser": "noisy", "noise": SHOWN[0], "accuracy": 0.5}]
    update_emotion({"clean_accuracy": 0.8, "scores": scores}, tmp_path)
    assert "| `noisy` | **50.0** |" in page.read_text(encoding="utf-8")


def test_model_cards_leave_the_classifier_out(trained, capsys):
    assert command_line.main(["cards", "--weights", str(trained / "weights")]) == 0
    assert capsys.readouterr().out == ""
