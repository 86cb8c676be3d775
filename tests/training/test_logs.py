"""What can be watched while a network trains: sheets of faces, TensorBoard, Weights & Biases."""

import importlib.util
import io
from types import SimpleNamespace

import lightning.pytorch as pl
import numpy as np
import PIL.Image
import pytest
import torch
from lightning.pytorch.loggers import WandbLogger

from denoiser.faces.fer2013 import read_fer2013
from tests.tiny import ADVERSARIAL, EXPERTS, write_config, write_fer2013
from train.__main__ import main
from train.config import ConfigError, read_config
from train.data import fixed_noise
from train.fit import build_module, fit
from train.logs import make_loggers
from train.samples import SAMPLES_NAME, SampleSheets, make_sheet

NOISES = ("gaussian_0.2", "gaussian-low")
CPU = ["--accelerator", "cpu", "--devices", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fer2013(tmp_path_factory.mktemp("fer2013"), train=16, validation=10)


@pytest.fixture
def train(tmp_path, data):
    """Run ``python -m train fit`` in this process; returns the run's folder."""

    def run(*options, expect=0, **changes):
        config = write_config(
            tmp_path / "config.toml", **{"epochs": 1, "validations_per_epoch": 1} | changes
        )
        places = ["--data", data, "--runs", tmp_path / "runs", "--weights", tmp_path / "weights"]
        assert main(list(map(str, ["fit", config, *places, *CPU, *options]))) == expect
        return tmp_path / "runs" / "tiny"

    return run


def events(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def pixels(data):
    return np.asarray(PIL.Image.open(data))


def blocks(path, count=8):
    """The sheets in a samples.png, (3, N, 48, 48) each."""
    page = pixels(path)
    height = 3 * 50 - 2
    found = []
    for top in range(14, len(page), height + 16):
        block = np.pad(page[top : top + height], ((0, 2), (0, 2)), constant_values=255)
        cells = block.reshape(3, 50, count, 50).transpose(0, 2, 1, 3)
        assert (cells[..., 48:, :] == 255).all()
        assert (cells[..., 48:] == 255).all()
        found.append(cells[..., :48, :48])
    return found


def levels(faces):
    return (faces[:, 0].clamp(0, 1) * 255).round().numpy()


@pytest.mark.parametrize(
    "kind", [{}, ADVERSARIAL, EXPERTS], ids=["supervised", "adversarial", "experts"]
)
def test_a_sheet_shows_clean_noisy_and_denoised_faces(train, data, tmp_path, kind):
    folder = train(ema_decay=0.9, **kind)
    config = read_config(tmp_path / "config.toml")
    module = build_module(config).eval()
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    faces = read_fer2013(data, "validation")
    shown = blocks(folder / SAMPLES_NAME)
    assert len(shown) == len(config.validation) == 2
    for (clean, noisy, denoised), noise in zip(shown, config.validation, strict=True):
        np.testing.assert_array_equal(clean, faces.images[:8])
        given, _ = fixed_noise(faces.images[:8], faces.rows[:8], noise)
        np.testing.assert_array_equal(noisy, levels(given))
        errors = {}
        for weights in ("state_dict", "current_model_state"):
            module.load_state_dict(checkpoint[weights])
            with torch.no_grad():
                errors[weights] = np.abs(levels(module.network(given)) - denoised).max()
        # By the averaged weights, which are what is validated; rounding may differ by a level.
        assert errors["state_dict"] <= 1
        assert errors["current_model_state"] > errors["state_dict"]


def test_tensorboard_has_curves_and_sheets(train):
    folder = train("--logger", "tensorboard", validations_per_epoch=2)
    found = events(folder / "tensorboard")
    scalars = {"val_psnr", "train_loss", "lr-AdamW", *(f"val_psnr_{noise}" for noise in NOISES)}
    assert scalars <= set(found.Tags()["scalars"])
    assert set(found.Tags()["images"]) == {f"samples/{noise}" for noise in NOISES}
    steps = [point.step for point in found.Scalars("val_psnr")]
    assert steps == [0, 1]
    for noise, block in zip(NOISES, blocks(folder / SAMPLES_NAME), strict=True):
        images = found.Images(f"samples/{noise}")
        assert [image.step for image in images] == steps
        last = pixels(io.BytesIO(images[-1].encoded_image_string))
        last = last[..., 0] if last.ndim == 3 else last
        np.testing.assert_array_equal(last, make_sheet(torch.from_numpy(block[:, :, None] / 255)))
    assert (folder / "log/version_0/metrics.csv").is_file()  # stays


def test_a_resumed_run_goes_on_in_the_same_logs_and_a_new_one_does_not(train):
    pytest.importorskip("tensorboard")

    def steps(folder):
        return [point.step for point in events(folder / "tensorboard").Scalars("val_psnr")]

    assert steps(train("--logger", "tensorboard")) == [1]
    assert steps(train("--logger", "tensorboard", "--resume", epochs=2)) == [1, 3]
    assert steps(train("--logger", "tensorboard")) == [1]


def test_without_a_logger_there_are_the_csv_and_the_sheets(train):
    folder = train()
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "last.ckpt", "log", SAMPLES_NAME}


def test_fewer_faces_than_a_sheet_holds(train, tmp_path):
    folder = train("--data", write_fer2013(tmp_path / "three", train=16, validation=3))
    assert all(block.shape == (3, 3, 48, 48) for block in blocks(folder / SAMPLES_NAME, 3))


@pytest.fixture
def missing(monkeypatch):
    find = importlib.util.find_spec

    def find_others(name, *package):
        return None if name in ("tensorboard", "wandb") else find(name, *package)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
@pytest.mark.parametrize("command", ["fit", "all"])
def test_a_logger_that_is_not_installed(tmp_path, capsys, missing, command, name):
    """Said before anything is read: there is no data."""
    config = [str(write_config(tmp_path / "config.toml"))] if command == "fit" else []
    places = ["--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert main([command, *config, *places, "--logger", name]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"--logger {name} needs a package that isn't installed: pip install {name}" in error
    assert not (tmp_path / "runs").exists()


def test_a_logger_that_nobody_knows(train, capsys):
    train("--logger", "csv,comet", expect=1)
    assert "there is no logger 'csv': --logger takes tensorboard or wandb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--logger", "tensorboard", "--logger", "wandb"], ("tensorboard", "wandb")),
        (["--logger", "tensorboard, wandb,tensorboard"], ("tensorboard", "wandb")),
        ([], ()),
    ],
    ids=["one by one", "a list", "none"],
)
def test_loggers_are_named_one_by_one_or_in_a_list(tmp_path, monkeypatch, given, wanted):
    seen = []
    monkeypatch.setattr("train.fit.fit", lambda *_, **options: seen.append(options["loggers"]))
    config = str(write_config(tmp_path / "config.toml"))
    assert main(["fit", config, "--data", str(tmp_path), *given]) == 0
    assert seen == [wanted]


def test_all_passes_loggers_on(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("train.logs.check_loggers", lambda names: None)
    monkeypatch.setattr(
        "train.recipe.run.train_all", lambda *_, **options: seen.append(options["options"]) or []
    )
    scored = []
    monkeypatch.setattr("train.recipe.run.follow_up", lambda *names: scored.append(names) or True)
    assert main(["all", "--data", str(tmp_path), "--logger", "wandb", "--logger", "tensorboard"]) == 0
    assert seen[0][-2:] == ["--logger", "wandb,tensorboard"]
    assert len(scored) == 1


# Weights & Biases, which tests do without


class Wandb(WandbLogger):
    """Notes what it is given."""

    made = ()
    fault: Exception | None = None

    def __init__(self, name, **options):
        self.options, self.images = options | {"name": name}, []
        Wandb.made = (*Wandb.made, self)

    @property
    def experiment(self):
        if Wandb.fault:
            raise Wandb.fault
        return None

    def log_image(self, key, images, step=None, **captions):
        self.images.append((key, np.asarray(images[0]), step))


@pytest.fixture
def wandb(monkeypatch):
    monkeypatch.setattr("train.logs.WandbLogger", Wandb)
    monkeypatch.setattr("train.logs.check_loggers", lambda names: None)
    monkeypatch.setattr(Wandb, "made", ())
    monkeypatch.setattr(Wandb, "fault", None)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return Wandb


def test_wandb_goes_on_with_the_same_run(tmp_path, wandb):
    for resume in (False, True, False):
        make_loggers(["wandb"], tmp_path / "runs" / "tiny", resume)
    first, second, third = (logger.options for logger in wandb.made)
    assert first == second
    assert third["id"] != first["id"]
    assert first["name"] == "tiny"
    assert first["project"] == "face-denoising-lab"
    assert first["save_dir"] == tmp_path / "runs" / "tiny"


def test_wandb_that_cannot_be_used(tmp_path, wandb, monkeypatch):
    monkeypatch.setattr(Wandb, "fault", RuntimeError("No API key.\nUse `wandb login`."))
    with pytest.raises(ConfigError, match=r"can't be used: No API key\. Use `wandb login`$"):
        make_loggers(["wandb"], tmp_path, False)


def test_wandb_gets_the_sheets(tmp_path, wandb):
    config = read_config(write_config(tmp_path / "config.toml"))
    logger, sheets = wandb("tiny"), SampleSheets(config, tmp_path)
    trainer = SimpleNamespace(
        is_global_zero=True,
        sanity_checking=False,
        loggers=[logger],
        fit_loop=SimpleNamespace(total_batch_idx=7),
    )
    clean = torch.rand(9, 1, 16, 16)
    for index in range(2):
        sheets.on_validation_batch_end(trainer, None, clean / 2, [clean + 0.5, clean], 0, index)
        sheets.on_validation_batch_end(trainer, None, clean, [clean, clean], 1, index)
    sheets.on_validation_end(trainer, None)
    assert [(key, step) for key, _, step in logger.images] == [(f"samples/{n}", 7) for n in NOISES]
    wanted = make_sheet(torch.stack([part[:8] for part in (clean, clean + 0.5, clean / 2)]))
    np.testing.assert_array_equal(logger.images[0][1], wanted)


def test_only_the_first_process_makes_sheets(tmp_path):
    config = read_config(write_config(tmp_path / "config.toml"))
    sheets = SampleSheets(config, tmp_path / "run")
    trainer = SimpleNamespace(is_global_zero=False, sanity_checking=False, loggers=[])
    clean = torch.rand(8, 1, 16, 16)
    sheets.on_validation_batch_end(trainer, None, clean, [clean, clean], 0, 0)
    sheets.on_validation_end(trainer, None)
    assert not (tmp_path / "run").exists()


def test_training_does_without_tensorboard(tmp_path, data, monkeypatch):
    """As on a machine that has neither it nor tensorboardX."""
    for name in ("tensorboard", "tensorboardX", "wandb"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    config = read_config(write_config(tmp_path / "config.toml", validations_per_epoch=1))
    places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
    assert fit(config, data, **places, accelerator="cpu", devices=1) is not None
    assert isinstance(make_loggers([], tmp_path, False)[0], pl.loggers.CSVLogger)
