"""Faces in colour: reading them, training on them, scoring on them."""

import io
import json

import cv2
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from denoiser.analysis.results import COLOUR_NAME
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.fer2013 import FaceDataError
from denoiser.images import LUMA
from denoiser.metrics import psnr
from denoiser.weights.checkpoint import read_config as read_model_config
from tests.tiny import ADVERSARIAL, pictures, write_config, write_fer2013
from tests.training.test_own_faces import write_folder
from train.__main__ import main
from train.ablation.rotation import experiment, rotate
from train.ablation.run import markdown, run_sweep
from train.colour_faces import is_colour_faces, read_colour_faces
from train.config import ConfigError, read_config
from train.data import FaceData, prepare_faces, read_splits
from train.evaluation import score_colour
from train.evaluation.readme import RESULTS, colour_table
from train.evaluation.score_colour import evaluate_colour

COLOUR = {"settings": {"widths": [4, 8], "channels": 3}}


def photographs(count, seed, sides):
    """Discs of three channels that differ, of sides that take turns."""
    planes = pictures(3 * count, seed).reshape(count, 3, 48, 48).transpose(0, 2, 3, 1)
    return [cv2.resize(photo, (sides[index % len(sides)],) * 2) for index, photo in enumerate(planes)]


def write_faces(folder, train=20, validation=6, test=8, sides=(48, 60, 100)):
    """Made-up faces as the colour faces lie."""
    data = folder / "data"
    data.mkdir(parents=True)
    for seed, (split, count) in enumerate(
        {"train": train, "validation": validation, "test": test}.items()
    ):
        photos = photographs(count, seed, sides)
        columns = {
            "image": [webp(photo) for photo in photos],
            "width": [len(photo) for photo in photos],
            "height": [len(photo) for photo in photos],
            "source": ["made up"] * count,
        }
        pq.write_table(pa.table(columns), data / f"{split}-00000-of-00001.parquet")
    return folder


def webp(photo):
    file = io.BytesIO()
    PIL.Image.fromarray(photo).save(file, "WEBP", lossless=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("colour") / "faces")


class TestReading:
    def test_those_large_enough_are_brought_to_one_size(self, faces):
        assert is_colour_faces(faces)
        small, large = (read_colour_faces(faces, "test", size) for size in (48, 96))
        assert small.images.shape == (8, 48, 48, 3)
        assert small.rows.tolist() == list(range(8))
        assert small.remark == ""
        assert large.images.shape == (2, 96, 96, 3)
        assert large.rows.tolist() == [2, 5]  # their places in the file: the noise's seeds
        assert large.remark == "2 of 8 photographs, those at least 96 pixels wide"
        whole = photographs(8, 2, (48, 60, 100))
        np.testing.assert_array_equal(small.images[0], whole[0])
        shrunk = cv2.resize(whole[2], (96, 96), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(large.images[0], shrunk)

    def test_parts_at_other_scales_follow_the_whole(self, faces):
        found = read_colour_faces(faces, "train", 48, crops=4)
        assert found.images.shape == (80, 48, 48, 3)
        assert found.rows.tolist() == [row for row in range(20) for _ in range(4)]
        wholes = read_colour_faces(faces, "train", 48).images
        np.testing.assert_array_equal(found.images[::4], wholes)
        again = read_colour_faces(faces, "train", 48, crops=4)
        np.testing.assert_array_equal(again.images, found.images)
        own = found.images[8:12]  # of the one of 100 pixels
        assert len({part.tobytes() for part in own}) == 4
        same = found.images[:4]  # of 48 pixels there are no parts
        assert len({part.tobytes() for part in same}) == 1

    def test_other_folders_are_none(self, tmp_path):
        assert not is_colour_faces(tmp_path)
        assert not is_colour_faces(write_fer2013(tmp_path / "fer2013"))
        damaged = tmp_path / "data"
        damaged.mkdir()
        (damaged / "train-0.parquet").write_bytes(b"PAR1 not")
        assert not is_colour_faces(tmp_path)

    def test_what_cannot_be_read_is_said(self, faces, tmp_path):
        with pytest.raises(FaceDataError, match=r"No photograph of .* is 200 pixels wide"):
            read_colour_faces(faces, "test", 200)
        with pytest.raises(FaceDataError, match="no parquet file of the test split"):
            read_colour_faces(tmp_path, "test", 48)
        table = pq.read_table(faces / "data" / "test-00000-of-00001.parquet")
        torn = [value.as_py()[:40] for value in table["image"]]
        broken = table.set_column(0, "image", pa.array(torn))
        pq.write_table(broken, tmp_path / "test-0.parquet")
        with pytest.raises(FaceDataError, match="can't be read"):
            read_colour_faces(tmp_path, "test", 48)

    def test_parts_of_a_copy_are_left_out_too(self, tmp_path):
        folder = write_faces(tmp_path / "faces", sides=(100,))
        file = folder / "data" / "train-00000-of-00001.parquet"
        train, test = (pq.read_table(f) for f in (file, folder / "data" / "test-00000-of-00001.parquet"))
        pq.write_table(pa.concat_tables([train, test.slice(0, 1)]), file)
        kept = np.load(prepare_faces(folder, tmp_path / "faces.npz", 48, colour=True))["train"]
        assert kept.shape == (80, 48, 48, 3)


class TestTraining:
    def test_a_network_learns_on_them(self, faces, tmp_path):
        config = write_config(tmp_path / "tiny.toml", **COLOUR)
        places = ["--runs", str(tmp_path / "runs"), "--weights", str(tmp_path / "weights")]
        assert main(["fit", str(config), "--data", str(faces), *places]) == 0
        assert read_model_config("tiny", tmp_path / "weights").settings["channels"] == 3
        sheet = np.asarray(PIL.Image.open(tmp_path / "runs" / "tiny" / "samples.png"))
        assert sheet.ndim == 3
        assert (sheet[..., 0] != sheet[..., 2]).any()

    def test_batches_have_the_photographs_channels(self, faces, tmp_path):
        config = read_config(write_config(tmp_path / "tiny.toml", **COLOUR))
        data = FaceData(faces, config)
        data.setup("fit")
        (batch,) = next(iter(data.train_dataloader()))
        assert batch.shape == (8, 3, 48, 48)
        assert batch.dtype == torch.uint8
        noisy, clean = data.validation_sets[0]
        assert noisy.shape == clean.shape == (6, 3, 48, 48)
        own = read_colour_faces(faces, "validation", 48).images
        np.testing.assert_allclose(clean.permute(0, 2, 3, 1).numpy() * 255, own, atol=1e-4)

    def test_own_pictures_do_too(self, tmp_path):
        folder = write_folder(tmp_path / "own")
        splits = read_splits(folder, 64, colour=True)
        assert splits["train"].images.shape == (24, 64, 64, 3)

    def test_a_gan_in_colour(self, faces, tmp_path):
        config = write_config(tmp_path / "tiny.toml", **(COLOUR | ADVERSARIAL))
        places = ["--runs", str(tmp_path / "runs"), "--weights", str(tmp_path / "weights")]
        assert main(["fit", str(config), "--data", str(faces), *places]) == 0

    def test_gray_and_colour_are_not_mixed_up(self, faces, tmp_path):
        colour = read_config(write_config(tmp_path / "colour.toml", **COLOUR))
        gray = read_config(write_config(tmp_path / "gray.toml"))
        in_gray = FaceData(faces, gray)
        in_gray.setup("fit")
        assert in_gray.train_set.shape[1] == 1
        own = read_colour_faces(faces, "validation", 48).images
        luma = own @ np.array(LUMA)
        np.testing.assert_allclose(in_gray.validation_sets[0][1][:, 0] * 255, luma, atol=1)
        with pytest.raises(FaceDataError, match="FER2013's pictures are gray"):
            FaceData(write_fer2013(tmp_path / "fer2013"), colour).setup("fit")
        prepared = prepare_faces(tmp_path / "fer2013", tmp_path / "faces.npz")
        with pytest.raises(FaceDataError, match="trains on pictures in colour"):
            FaceData(prepared, colour).setup("fit")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(score_colour, "METHODS", ("median", "gaussian-filter"))
    monkeypatch.setattr(score_colour, "CONDITIONS", dict(list(score_colour.CONDITIONS.items())[:2]))
    page = tmp_path / RESULTS
    page.parent.mkdir()
    page.write_text("<!-- colour:start -->\nold\n<!-- colour:end -->\n")
    monkeypatch.setattr(score_colour, "WEIGHTS", tmp_path)
    return tmp_path


class TestScoring:
    def test_scores_are_those_of_the_pictures(self, faces, results):
        content = evaluate_colour(faces, cache=results / "cache", workers=1, root=results)
        assert json.loads((results / COLOUR_NAME).read_text()) == content
        assert content["pictures"] == 2
        assert len(content["scores"]) == 2 * 3
        found = next(s for s in content["scores"] if s["denoiser"] == "median")
        some = score_colour._pictures(faces, 0, found["noise"])
        expected = [
            psnr(create_denoiser("median")(noisy), clean)
            for noisy, clean in zip(some.noisy, some.clean, strict=True)
        ]
        assert found["psnr"] == pytest.approx(np.mean(expected), abs=1e-4)
        assert 0 < found["colour_error"] < 100
        assert 0 <= found["discoloured"] <= 1
        page = (results / RESULTS).read_text()
        assert "old" not in page
        assert "| `median` |" in page

    def test_a_part_keeps_the_rest(self, faces, results):
        options = {"cache": results / "cache", "workers": 1, "root": results}
        whole = evaluate_colour(faces, **options)
        again = evaluate_colour(faces, only=["median"], **options | {"cache": results / "new"})
        assert again["scores"] == whole["scores"]
        with pytest.raises(ConfigError, match="Unknown denoiser nonsense"):
            evaluate_colour(faces, only=["nonsense"], **options)

    def test_a_trial_writes_nothing(self, faces, results):
        content = evaluate_colour(faces, cache=results / "cache", workers=1, limit=1, root=results)
        assert content["pictures"] == 1
        assert not (results / COLOUR_NAME).exists()

    def test_the_best_of_a_noise_is_bold(self):
        scores = [
            {"denoiser": "noisy", "noise": "a", "psnr": 20, "colour_error": 9},
            {"denoiser": "one", "noise": "a", "psnr": 30.456, "colour_error": 2.24},
        ]
        assert colour_table({"noises": {"a": {}, "b": {}}, "scores": scores}).splitlines() == [
            "| denoiser | a |",
            "| --- | --- |",
            "| `noisy` | 20.00 / 9.0 |",
            "| `one` | **30.46 / 2.2** |",
        ]


def test_a_study_in_colour(faces, tmp_path):
    write_config(tmp_path / "base.toml", **COLOUR, validation=[{"kind": "gaussian", "sigma": 0.2}])
    study = tmp_path / "study.toml"
    study.write_text(
        'base = "base.toml"\nepochs = 1\nlimit = 16\npictures = 4\ntest_pictures = 4\n'
        '[[variant]]\nname = "cosine"\nloss = "l1+ms-ssim+cosine"\n'
        '[[variant]]\nname = "plain"\nloss = "l1"\n'
    )
    report = run_sweep(study, faces, cache=tmp_path / "cache", accelerator="cpu")
    assert report["split"] == "colour faces, validation split"
    for variant in report["variants"]:
        (figures,) = variant["test_scores"].values()
        assert 0 < figures["discoloured"] < 1
        assert f"{figures['ssim']:.3f} / {figures['discoloured']:.1%}" in markdown(report)
    drawn = np.asarray(PIL.Image.open(tmp_path / "study.png"))
    assert drawn.ndim == 3
    assert (drawn[..., 0] != drawn[..., 2]).any()


def test_a_study_at_another_size_is_drawn_at_it(faces, tmp_path):
    write_config(tmp_path / "base.toml", **COLOUR, validation=[{"kind": "gaussian", "sigma": 0.2}])
    (tmp_path / "study.toml").write_text(
        'base = "base.toml"\nepochs = 1\nlimit = 16\npictures = 2\nsize = 96\n'
        '[[variant]]\nname = "one"\n'
    )
    run_sweep(tmp_path / "study.toml", faces, cache=tmp_path / "cache", accelerator="cpu")
    with PIL.Image.open(tmp_path / "study.png") as drawn:
        assert drawn.height > 3 * 2 * 96  # clean, noisy, denoised; two pixels for one


class TestRotation:
    def test_rotates_clockwise_about_the_middle(self):
        picture = torch.zeros(2, 3, 9, 9)
        picture[:, :, 1, 4] = 1  # above the middle
        upright, right = rotate(picture, torch.tensor([0.0, 90.0]))
        assert torch.allclose(upright, picture[0], atol=1e-5)
        assert right[:, 4, 7].min() > 0.99

    def test_the_experiment(self, faces, tmp_path):
        found = experiment(faces, faces, tmp_path, 1, accelerator="cpu", enable_progress_bar=False)
        scores = found["scores"]
        assert found["pictures"] == 8
        known = scores["rotated back by the known angle"]["psnr"]
        assert known > scores["rotated"]["psnr"] + 1
        assert np.isfinite(scores["by the autoencoder"]["psnr"])


def test_steps_for_colour_are_trained_on_colour_faces_or_left_out(tmp_path, monkeypatch, capsys):
    told = {}

    def train_all(steps, data, *, colour_data, **options):
        told.update(steps=[step.config for step in steps], colour_data=colour_data)
        return []

    monkeypatch.setattr("train.recipe.run.train_all", train_all)
    monkeypatch.setattr("train.recipe.run.follow_up", lambda *places: True)
    data = write_fer2013(tmp_path / "fer2013")
    call = ["all", "--data", str(data), "--only", "autoencoder", "autoencoder-colour"]
    assert main(call) == 0
    assert told == {"steps": ["autoencoder"], "colour_data": None}
    assert "Left out, without --colour-data: autoencoder-colour" in capsys.readouterr().out
    assert main([*call, "--colour-data", str(tmp_path)]) == 0
    assert told == {"steps": ["autoencoder", "autoencoder-colour"], "colour_data": tmp_path}
