"""Training, start to finish, on made-up pictures: exported weights, seeds, resuming, both optimisers."""

import csv
import json
import math
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Timer
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from denoiser.architectures import build_network
from denoiser.architectures.loading import load_discriminator, load_network
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.weights.checkpoint import MODEL_NAME, ModelConfig, read_config
from denoiser.weights.files import write_together
from denoiser.weights.training_noise import NoiseRange, TrainingNoise
from tests.tiny import ADVERSARIAL, EXPERTS, write_config, write_fer2013
from tests.weights import save_discriminator, save_model
from train import config as train_config
from train.__main__ import _left, main
from train.config import ConfigError
from train.fit import average_weights, build_module, fit, history_csv, history_rows
from train.modules.adversarial import STEP, AdversarialModule, pairing_loss, squared_gradient
from train.modules.supervised import SupervisedModule, WarmUpAndCosine, run_progress

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fer2013(tmp_path_factory.mktemp("fer2013"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Two batches: for runs that are compared to the last bit, which many steps make no stricter."""
    return write_fer2013(tmp_path_factory.mktemp("few"), train=16)


@pytest.fixture
def train(tmp_path, data):
    """Run ``python -m train fit`` in this process; returns the exported folder."""

    def run(name, *options, expect=0, **changes):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        config = write_config(place / "config.toml", **changes)
        paths = ["--data", data, "--runs", place / "runs", "--weights", place / "weights"]
        devices = ["--accelerator", "cpu", "--devices", "1"]
        assert main(list(map(str, ["fit", config, *paths, *devices, *options]))) == expect
        return place / "weights" / "tiny"

    return run


def tiny_config(tmp_path, **changes):
    return train_config.read_config(write_config(tmp_path / "tiny.toml", **changes))


MUON_EXPERTS = EXPERTS | {"optimizer": "muon"}


def rows(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder, name):
    return [float(row[name]) for row in rows(folder) if row[name]]


def state(folder):
    return load_file(folder / MODEL_NAME)


def same(first, second):
    assert set(first) == set(second)
    return all(torch.equal(first[name], second[name]) for name in first)


def fresh_weights(tmp_path, **changes):
    """What a run starts from, as it would be exported."""
    pl.seed_everything(changes.get("seed", 0))
    network = build_module(tiny_config(tmp_path, **changes)).network
    return {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }


def test_a_run_exports_a_model(train, tmp_path):
    folder = train("run")
    assert {file.name for file in folder.iterdir()} == {"config.json", MODEL_NAME, "history.csv"}
    network = load_network("tiny", folder.parent)
    described = read_config("tiny", folder.parent)
    assert described.settings == {"widths": [4, 8]}
    assert described.parameters == sum(p.numel() for p in network.parameters())
    assert described.trained_on_words == "Gaussian, sigma 25.5 to 76.5 of 255"
    assert described.trained_on == (
        TrainingNoise(1.0, (NoiseRange("gaussian", {"sigma": (0.1, 0.3)}),)),
    )
    assert described.validation["gaussian_0.2"] == {"kind": "gaussian", "parameters": {"sigma": 0.2}}
    assert json.loads((folder / "config.json").read_text())["architecture"] == "attention-unet"
    assert not same(state(folder), fresh_weights(tmp_path))  # it has learned something

    figures = rows(folder)
    assert {"epoch", "step", "train_loss", "val_psnr", "val_psnr_gaussian-low"} <= set(figures[0])
    steps = [int(row["step"]) for row in figures]
    assert steps == sorted(set(steps))  # one row for a step
    assert len(column(folder, "val_psnr")) == 2  # twice in an epoch
    assert len(column(folder, "train_loss")) == 1
    each = [column(folder, f"val_psnr_{name}") for name in ("gaussian_0.2", "gaussian-low")]
    means = [sum(pair) / 2 for pair in zip(*each, strict=True)]
    assert column(folder, "val_psnr") == pytest.approx(means, abs=1e-4)


def test_the_same_seed_gives_the_same_weights(train, few):
    first, second = train("first", "--data", few), train("second", "--data", few)
    assert same(state(first), state(second))
    assert not same(state(first), state(train("other", "--data", few, seed=1)))


@pytest.mark.parametrize(
    "kind",
    [{"optimizer": "adamw"}, {"optimizer": "muon"}, MUON_EXPERTS],
    ids=["adamw", "muon", "experts"],
)
def test_a_cut_off_run_is_resumed_as_if_it_had_never_stopped(train, few, tmp_path, monkeypatch, kind):
    changes = {"epochs": 3, "validations_per_epoch": 1, **kind}
    whole = train("whole", "--data", few, **changes)
    start = SupervisedModule.on_train_epoch_start

    def pull_the_plug(module):
        if module.current_epoch == 2:
            raise InterruptedError("the machine was taken away")
        start(module)

    monkeypatch.setattr(SupervisedModule, "on_train_epoch_start", pull_the_plug)
    with pytest.raises(InterruptedError):
        train("cut", "--data", few, **changes)
    assert not (tmp_path / "cut/weights").exists()  # nothing half trained is exported
    monkeypatch.undo()
    resumed = train("cut", "--data", few, "--resume", **changes)
    # Figures first: where they part, something went wrong earlier than in the weights.
    for name in ("step", "train_loss", "val_psnr"):
        assert column(resumed, name) == column(whole, name)
    torch.testing.assert_close(state(resumed), state(whole), rtol=0, atol=0)  # says which, by how much


@pytest.mark.parametrize(
    "kind", [{}, pytest.param(ADVERSARIAL, marks=pytest.mark.slow)], ids=["supervised", "adversarial"]
)
def test_a_finished_run_can_go_on_with_more_epochs(train, kind):
    folder = train("run", epochs=1, **kind)
    before, weights = rows(folder), state(folder)
    train("run", "--resume", epochs=3, **kind)
    after = rows(folder)
    assert after[: len(before)] == before
    new = after[len(before) :]
    assert {row["epoch"] for row in new if row["epoch"]} == {"1", "2"}
    assert min(int(row["step"]) for row in new) > max(int(row["step"]) for row in before)
    assert max(int(row["step"]) for row in new) == 3 * 8 * (2 if kind else 1) - 1 or kind
    assert len(column(folder, "val_psnr")) == 6
    assert not same(state(folder), weights)


def test_there_is_nothing_to_resume(train, tmp_path, capsys):
    train("run", "--resume", expect=1)
    assert "There is no checkpoint" in said(capsys)
    assert not (tmp_path / "run" / "weights").exists()


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1000], lambda b: b"no checkpoint" * 99])
def test_a_damaged_checkpoint_is_not_resumed(train, tmp_path, capsys, damage):
    before = state(train("run"))
    last = tmp_path / "run/runs/tiny/last.ckpt"
    last.write_bytes(damage(last.read_bytes()))
    capsys.readouterr()
    train("run", "--resume", expect=1, epochs=2)
    assert "last.ckpt is damaged" in said(capsys)
    assert same(state(tmp_path / "run/weights/tiny"), before)


def test_a_checkpoint_of_another_network_is_not_resumed(train, capsys):
    train("run")
    capsys.readouterr()
    train("run", "--resume", expect=1, settings={"widths": [4, 16]})
    assert "is of another network" in said(capsys)


def test_a_new_run_forgets_the_old_one_s_history(train):
    folder = train("run", epochs=1)
    train("run", "--resume", epochs=2)
    assert {row["epoch"] for row in rows(folder)} >= {"0", "1"}
    train("run", epochs=1)
    assert {row["epoch"] for row in rows(folder) if row["epoch"]} == {"0"}


def test_max_time_stops_and_exports(train, tmp_path):
    folder = train("run", "--max-time", "00:00:01", epochs=1_000_000)
    load_network("tiny", folder.parent)
    epochs = [int(row["epoch"]) for row in rows(folder) if row["epoch"]]
    assert max(epochs) < 999_999
    assert column(folder, "val_psnr")


@pytest.mark.parametrize("text", ["90", "1:2:3", "00:61:00", "-1:00:00", "soon"])
def test_max_time_is_written_as_a_clock_shows_it(capsys, text):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "config.toml", f"--max-time={text}"])
    assert stopped.value.code == 2
    assert "HH:MM:SS" in capsys.readouterr().err


def test_no_time_at_all_exports_nothing(train, tmp_path, capsys, monkeypatch):
    """It would stop before its first step, and there would be no checkpoint."""
    monkeypatch.setattr(pl.Trainer, "fit", lambda *arguments, **options: None)
    train("run", "--max-time", "00:00:00", expect=1)
    assert "before it had anything to export" in said(capsys)
    assert not (tmp_path / "run" / "weights").exists()


SHIPPED = {"model.safetensors": b"shipped", "metrics.json": b"{}", "README.md": b"its card"}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A model in what stands for weights/, with its figures and card."""
    weights = tmp_path / "shipped"
    write_together(weights / "tiny", SHIPPED)
    monkeypatch.setattr("train.runs.WEIGHTS", weights)
    return weights


def fit_without_weights(tmp_path, data, *options):
    config = write_config(tmp_path / "config.toml", epochs=1, validations_per_epoch=1)
    paths = ["--data", data, "--runs", tmp_path / "runs", "--accelerator", "cpu", "--devices", "1"]
    assert main(list(map(str, ["fit", config, *paths, *options]))) == 0


@pytest.mark.parametrize("trial", [("--limit", "16"), ("--max-time", "00:10:00")])
def test_a_trial_leaves_what_is_shipped_alone(tmp_path, data, shipped, trial):
    fit_without_weights(tmp_path, data, *trial)
    load_network("tiny", tmp_path / "runs/trials/weights")
    assert {file.name: file.read_bytes() for file in (shipped / "tiny").iterdir()} == SHIPPED
    # A run on few pictures is no start for a real one.
    assert (tmp_path / "runs/tiny/last.ckpt").exists() == (trial[0] != "--limit")


def test_a_whole_run_replaces_the_weights_and_takes_their_figures_away(tmp_path, data, shipped):
    fit_without_weights(tmp_path, data)
    load_network("tiny", shipped)
    names = {file.name for file in (shipped / "tiny").iterdir()}
    assert names == {"config.json", MODEL_NAME, "history.csv"}


def test_weights_that_are_no_numbers_are_not_exported(train, tmp_path, monkeypatch, capsys):
    folder = train("run")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    start = SupervisedModule.on_train_epoch_start

    def ruin(module):
        start(module)
        with torch.no_grad():
            module.network.output.bias.fill_(1e5)  # more than half precision holds

    monkeypatch.setattr(SupervisedModule, "on_train_epoch_start", ruin)
    capsys.readouterr()
    train("run", expect=1, select="last")
    assert "NaN or infinity" in said(capsys)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"]
)
def test_a_run_that_is_stopped_says_so_and_goes_on(
    train, few, tmp_path, monkeypatch, capsys, number, code
):
    changes = {"epochs": 3, "validations_per_epoch": 1}
    whole = train("whole", "--data", few, **changes)
    start = SupervisedModule.on_train_epoch_start

    def stop(module):
        if module.current_epoch == 2:
            os.kill(os.getpid(), number)
        start(module)

    if signal.getsignal(number) is signal.SIG_IGN:  # as in what a shell starts in the background
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(SupervisedModule, "on_train_epoch_start", stop)
        capsys.readouterr()
        train("cut", "--data", few, expect=code, **changes)
    sentence = said(capsys)
    assert f"Stopped by {number.name}: nothing was exported" in sentence
    assert "--resume" in sentence
    assert not (tmp_path / "cut/weights").exists()
    assert signal.getsignal(number) == before
    assert same(state(train("cut", "--data", few, "--resume", **changes)), state(whole))


@pytest.mark.parametrize(
    "options",
    [
        ("--precision", "foo"),
        ("--precision", "transformer-engine"),
        ("--accelerator", "foo"),
        ("--strategy", "foo"),
        ("--devices", "foo"),
        ("--devices", "0"),
    ],
    ids=" ".join,
)
def test_options_that_lightning_does_not_take(train, capsys, options):
    train("run", *options, expect=1)
    assert "can't run with these options" in said(capsys)


@pytest.mark.parametrize("option", ["--limit", "--num-nodes"])
@pytest.mark.parametrize("text", ["-5", "0", "1.5", "many", "²"])
def test_counts_are_whole_numbers_from_one(capsys, option, text):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "config.toml", f"{option}={text}"])
    assert stopped.value.code == 2
    assert "write a whole number from 1 up" in capsys.readouterr().err


def test_limit_uses_fewer_pictures(train):
    folder = train("run", "--limit", "16", validations_per_epoch=1)
    assert max(int(row["step"]) for row in rows(folder)) == 1  # two batches of eight


def test_best_weights_are_shipped_or_the_last(tmp_path, data, monkeypatch):
    """With a learning rate that ruins the network in the second epoch, the two differ."""
    psnrs = {}
    for select in ("best", "last"):
        config = tiny_config(
            tmp_path, select=select, epochs=2, validations_per_epoch=1, learning_rate=1e-3
        )
        start = SupervisedModule.on_train_epoch_start

        def ruin(module, start=start):
            start(module)
            if module.current_epoch == 1:
                with torch.no_grad():
                    module.network.output.bias.fill_(50)

        with monkeypatch.context() as patch:
            patch.setattr(SupervisedModule, "on_train_epoch_start", ruin)
            places = {"runs": tmp_path / select, "weights": tmp_path / select / "weights"}
            folder = fit(config, data, **places, accelerator="cpu", devices=1)
        validated = column(folder, "val_psnr")
        assert validated[1] < validated[0] - 1
        network = load_network("tiny", folder.parent)
        psnrs[select] = float(network.output.bias.item())
    assert abs(psnrs["best"]) < 1
    assert psnrs["last"] > 10


def test_batch_norm_trains_too(train):
    folder = train("run", settings={"widths": [4, 8], "batch_norm": True})
    norm = load_network("tiny", folder.parent).encoder[0][2]
    assert norm.running_mean.any()
    assert (norm.running_var != 1).any()


def test_dropout_trains_too(train, tmp_path):
    settings = {"widths": [4, 8], "dropout": 0.1}
    changes = {"architecture": "autoencoder", "family": "autoencoder", "settings": settings}
    assert not same(state(train("run", **changes)), fresh_weights(tmp_path, **changes))


# What the parts do


def picture_pairs(count=8):
    generator = torch.Generator().manual_seed(0)
    rows = torch.linspace(0.1, 0.9, 24)[None, None, :, None].expand(count, 1, 24, 24)
    clean = torch.where(torch.arange(count)[:, None, None, None] % 2 == 0, rows, rows.flip(2))
    return clean + 0.2 * torch.randn(clean.shape, generator=generator), clean


def trainer(epochs, **options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, enable_model_summary=False, **quiet, **options
    )


def some_batches(count, size=8):
    pixels = torch.randint(0, 256, (count * size, 1, 48, 48), dtype=torch.uint8)
    return DataLoader(TensorDataset(pixels), batch_size=size)


@pytest.mark.parametrize(
    ("architecture", "loss", "optimizer"),
    [
        ("attention-unet", "psnr", "adamw"),
        pytest.param("attention-unet", "psnr", "muon", marks=pytest.mark.slow),
        pytest.param("attention-unet", "mse", "adamw", marks=pytest.mark.slow),
        pytest.param("attention-unet", "l1", "adamw", marks=pytest.mark.slow),
        pytest.param("autoencoder", "mse", "adamw", marks=pytest.mark.slow),
    ],
)
def test_a_module_overfits_one_batch(tmp_path, monkeypatch, architecture, loss, optimizer):
    torch.manual_seed(0)
    changes = {"settings": {"widths": [8, 16]}, "learning_rate": 1e-2, "optimizer": optimizer}
    module = SupervisedModule(tiny_config(tmp_path, architecture=architecture, loss=loss, **changes))
    noisy, clean = picture_pairs(4)
    monkeypatch.setattr(module, "make_pair", lambda batch: (noisy, clean))
    monkeypatch.setattr(module, "log", lambda *_, **__: None)  # there is no trainer

    def error():
        with torch.no_grad():
            return float((module.network(noisy) - clean).square().mean())

    before = error()
    trainer(200).fit(module, some_batches(1, size=4))
    assert error() < 0.25 * before
    assert error() < 0.25 * float((noisy - clean).square().mean())  # far better than doing nothing


def test_training_noise_differs_from_epoch_to_epoch_and_process_to_process(tmp_path):
    module = SupervisedModule(tiny_config(tmp_path))

    class At:
        def __init__(self, epoch, rank, processes):
            self.current_epoch, self.global_rank, self.world_size = epoch, rank, processes

    seeds = set()
    places = [(epoch, rank) for epoch in range(3) for rank in range(2)]
    for epoch, rank in places:
        module._trainer = At(epoch, rank, 2)
        module.on_train_epoch_start()
        generator, dice = module.sources
        seeds.add((generator.initial_seed(), dice.getstate()))
        assert module.sources is module.sources  # one stream in an epoch
    firsts, seconds = zip(*seeds, strict=True)
    assert len(set(firsts)) == len(set(seconds)) == len(places)


def rates(steps, warm_up, resume_at=None, resumed_steps=None):
    """Return the learning rate of every step; a resumed schedule begins with what a checkpoint has."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = WarmUpAndCosine(optimizer, lambda step: step / steps, warm_up)
    seen = []
    for step in range(resumed_steps or steps):
        if step == resume_at:
            saved = schedule.state_dict()
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
            schedule = WarmUpAndCosine(optimizer, lambda step: step / resumed_steps, warm_up)
            schedule.load_state_dict(saved)
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_learning_rate_rises_and_falls():
    seen = rates(100, 0.1)
    assert max(seen) == seen[10] == pytest.approx(2.0)
    assert seen[:11] == sorted(seen[:11])
    assert seen[10:] == sorted(seen[10:], reverse=True)
    assert 0 < seen[0] < 0.1
    assert 0 < seen[-1] < 0.01
    assert seen[55] == pytest.approx(1.0)
    assert rates(100, 0.0)[0] == pytest.approx(2.0)


def test_learning_rate_of_a_resumed_run_follows_the_longer_curve():
    assert rates(100, 0.1, resume_at=50, resumed_steps=100) == rates(100, 0.1)
    assert rates(100, 0.1, resume_at=100, resumed_steps=300)[100:] == rates(300, 0.1)[100:]


class Clock(Timer):
    """A timer of which a test says how much time has gone by."""

    def __init__(self, seconds):
        super().__init__(duration=timedelta(seconds=seconds))
        self.gone = 0.0

    def time_elapsed(self, stage="train"):
        return self.gone


def test_progress_of_a_run_with_a_time_limit_alone_is_by_time():
    clock = Clock(50)
    progress = run_progress(trainer(-1, callbacks=[clock]))
    assert progress(10**6) == 0  # the number of steps says nothing
    seen = []
    for clock.gone in (5, 25, 49, 50, 80):
        seen.append(progress(3))
    assert seen[:4] == pytest.approx([0.1, 0.5, 0.98, 1])
    assert seen[4] >= 1


def test_progress_of_a_run_with_epochs_is_by_steps(tmp_path):
    """Also where it may be cut off: by how many steps it would take, it was announced."""
    seen = []

    class Note(pl.Callback):
        def on_train_start(self, trainer, module):
            progress = run_progress(trainer)
            seen.extend(progress(step) for step in (0, 3, 6))

    running = trainer(2, callbacks=[Note(), Clock(50)])
    running.fit(SupervisedModule(tiny_config(tmp_path)), some_batches(3))
    assert seen == [0, 0.5, 1]


def test_learning_rate_of_a_run_with_a_time_limit_falls_to_nothing(tmp_path):
    """Ten seconds that are over after ten batches, each of them as long as its noise takes."""
    clock, seen = Clock(10), []

    class Tick(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])
            clock.gone += 1

    module = SupervisedModule(tiny_config(tmp_path, learning_rate=0.001))
    trainer(-1, callbacks=[clock, Tick()]).fit(module, some_batches(4))
    assert len(seen) == 10
    # The first rate is the warm-up's start; then by the share of time that was over before the step.
    wanted = [(1 + math.cos(math.pi * (n / 10 - 0.03) / 0.97)) / 2 * 0.001 for n in range(1, 10)]
    assert seen == pytest.approx([0.04 * 0.001, *wanted])


def test_a_budget_is_trained_for_whatever_the_epochs(tmp_path, data):
    """Four epochs of eight steps, of a config with one; the hour is not used up."""
    config = tiny_config(tmp_path, epochs=1, select="last")
    places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
    limits = {"budget": timedelta(hours=1), "max_steps": 32}
    folder = fit(config, data, **places, **limits, accelerator="cpu", devices=1)
    load_network("tiny", folder.parent)
    assert max(int(row["epoch"]) for row in rows(folder) if row["epoch"]) == 3


def test_a_budget_counts_from_the_program_s_start(monkeypatch):
    monkeypatch.setattr("train.__main__.time", SimpleNamespace(monotonic=lambda: 130.0))
    monkeypatch.setattr("train.__main__._STARTED", 100.0)
    assert _left(None) is None
    assert _left(timedelta(seconds=80)) == timedelta(seconds=50)
    assert _left(timedelta(seconds=20)) == timedelta(seconds=1)  # something can be exported then


@pytest.mark.parametrize("text", ["90", "1:00:00", "0s", "-5m", "5 m", "soon", "1d"])
def test_a_budget_has_its_unit(capsys, text):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "config.toml", f"--budget={text}"])
    assert stopped.value.code == 2
    assert "a number and s, m or h" in capsys.readouterr().err


def test_average_weights_follows_and_smooths():
    average = average_weights(0.9)._kwargs["multi_avg_fn"]

    def averaged(steps):
        means, values = [torch.zeros(2), torch.zeros(1)], [torch.ones(2), torch.ones(1)]
        average(means, values, torch.tensor(steps))
        assert all(torch.equal(value, torch.ones_like(value)) for value in values)
        [mean] = {float(mean) for tensor in means for mean in tensor}
        return mean

    assert averaged(1) == pytest.approx(1 - 2 / 11)
    assert averaged(10**6) == pytest.approx(0.1)


# Adversarial training


class Watch(pl.Callback):
    """Note which network an optimiser is about to change, and all weights at that moment."""

    def __init__(self):
        self.steps = []

    @staticmethod
    def weights(module):
        return {
            part: torch.cat([p.detach().flatten().clone() for p in network.parameters()])
            for part, network in (("generator", module.network), ("discriminator", module.discriminator))
        }

    def on_before_optimizer_step(self, trainer, module, optimizer):
        owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
        generator = {id(p) for p in module.network.parameters()}
        discriminator = {id(p) for p in module.discriminator.parameters()}
        assert owned in (generator, discriminator)
        part = "generator" if owned == generator else "discriminator"
        # The discriminator's loss must not reach the generator, and the other way round.
        other = module.discriminator if part == "generator" else module.network
        assert not any(p.requires_grad for p in other.parameters())
        self.steps.append((part, self.weights(module)))


def test_each_optimiser_changes_its_own_network(tmp_path):
    torch.manual_seed(0)
    module = AdversarialModule(tiny_config(tmp_path, **ADVERSARIAL))
    watch = Watch()
    trainer(1, callbacks=[watch]).fit(module, some_batches(3))
    assert [part for part, _ in watch.steps] == ["discriminator", "generator"] * 3
    moments = [*(weights for _, weights in watch.steps), Watch.weights(module)]
    for (part, before), after in zip(watch.steps, moments[1:], strict=True):
        other = "generator" if part == "discriminator" else "discriminator"
        assert not torch.equal(before[part], after[part])
        assert torch.equal(before[other], after[other])


def test_optimisers_have_their_own_rates(tmp_path):
    changes = {"adversarial": {"discriminator": {"width": 4}, "discriminator_learning_rate": 2e-4}}
    module = AdversarialModule(tiny_config(tmp_path, learning_rate=1e-4, **changes))
    running = trainer(1)
    running.fit(module, some_batches(1))
    generator, discriminator = running.optimizers
    assert generator.param_groups[0]["initial_lr"] == pytest.approx(1e-4)
    assert discriminator.param_groups[0]["initial_lr"] == 2e-4
    groups = [p for optimizer in (generator, discriminator) for p in optimizer.param_groups[0]["params"]]
    assert len(groups) == len({id(p) for p in groups}) == len(list(module.parameters()))


def test_discriminator_learns_to_tell_and_generator_to_fool(tmp_path):
    torch.manual_seed(0)
    module = AdversarialModule(tiny_config(tmp_path, **ADVERSARIAL))
    noisy, clean = picture_pairs()
    noisy = noisy.clamp(0, 1)
    optimizer = torch.optim.Adam(module.discriminator.parameters(), lr=1e-2)
    module._sources = torch.Generator().manual_seed(0), random.Random(0)
    first = module.discriminator_loss(noisy, clean, noisy).item()
    for _ in range(60):
        optimizer.zero_grad()
        module.penalised_loss(noisy, clean, noisy).backward()
        optimizer.step()
    with torch.no_grad():
        assert module.discriminator_loss(noisy, clean, noisy) < min(first, math.log(2)) - 0.1
        real, fake = module.discriminator(noisy, clean), module.discriminator(noisy, noisy)
        assert real.mean() > 0 > fake.mean()  # zero is half-way, though no loss of pairs asks for it

    # Against this judge a picture that follows the adversarial gradient alone becomes better taken.
    shown = noisy.clone().requires_grad_()
    _, before = module.generator_loss(noisy, clean, shown)
    (gradient,) = torch.autograd.grad(before, shown)
    with torch.no_grad():
        _, after = module.generator_loss(noisy, clean, noisy - 0.05 * gradient / gradient.abs().max())
        _, of_clean = module.generator_loss(noisy, clean, clean)
    assert after < before
    assert of_clean.item() == pytest.approx(math.log(2))


def test_the_pairing_loss_is_symmetric():
    higher, lower = torch.randn(2, 4, 1, 3, 3)
    there, back = pairing_loss(higher, lower), pairing_loss(lower, higher)
    assert pairing_loss(higher + 5, lower + 5).item() == pytest.approx(there.item(), abs=1e-5)
    # softplus(t) - softplus(-t) = t
    assert (there - back).item() == pytest.approx((lower - higher).mean().item(), abs=1e-5)
    assert pairing_loss(higher, higher).item() == pytest.approx(math.log(2))
    assert pairing_loss(higher, higher - 30) < 1e-9


def scores_beside(score, pictures, generator):
    noise = STEP * torch.randn(pictures.shape, generator=generator, dtype=pictures.dtype)
    return score(pictures), score(pictures + noise)


@pytest.mark.parametrize("stride", [4, 1], ids=["patches apart", "patches that overlap"])
def test_the_penalty_is_the_squared_gradient_of_linear_scores(stride):
    """The gradient of a linear score is its weights; the estimate is a mean of chi squares."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(1, 1, 4, 4, generator=generator, dtype=torch.float64)
    pictures = torch.rand(400, 1, 16, 16, generator=generator, dtype=torch.float64)

    def score(shown):
        return nn.functional.conv2d(shown, weights, stride=stride)

    found = squared_gradient(*scores_beside(score, pictures, generator)).item()
    exact = weights.square().sum().item()
    # However much they overlap, there are at least as many independent patches as fit side by side.
    assert found == pytest.approx(exact, abs=5 * exact * math.sqrt(2 / (400 * 16)))


def test_the_penalty_of_scores_with_bends_is_the_mean_squared_gradient():
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(1, 1, 4, 4, generator=generator, dtype=torch.float64)
    pictures = torch.rand(3000, 1, 4, 4, generator=generator, dtype=torch.float64)

    def score(shown):
        return nn.functional.conv2d(shown, weights).sin()

    found = squared_gradient(*scores_beside(score, pictures, generator)).item()
    shown = pictures.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(shown).sum(), shown)
    squares = gradient.square().flatten(1).sum(1)
    error = (3 * squares.square().mean() - squares.mean().square()).sqrt().item() / math.sqrt(3000)
    assert found == pytest.approx(squares.mean().item(), abs=5 * error)


def test_the_penalty_falls_to_zero_with_the_scores_steepness():
    slope = torch.tensor(2.0, requires_grad=True)
    scores, beside = torch.randn(2, 3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    steep = squared_gradient(slope * scores, slope * beside)
    steep.backward()
    assert slope.grad.item() == pytest.approx(2 * steep.item() / 2, rel=1e-5)
    assert squared_gradient(0 * scores, 0 * beside) == 0


def test_penalties_are_of_both_pictures_and_of_all_steps_between(tmp_path, monkeypatch):
    noisy, clean = picture_pairs(2)
    table = {"discriminator": {"width": 4}, "penalty": 0.5, "penalty_interval": 3}
    module = AdversarialModule(tiny_config(tmp_path, adversarial=table))
    module._sources = torch.Generator().manual_seed(0), random.Random(0)
    judged, seen = [], []
    module.discriminator.register_forward_hook(lambda judge, given, scores: judged.append(given))

    def penalty(scores, beside):
        seen.append((scores, beside))
        return torch.tensor(2.0)

    monkeypatch.setattr("train.modules.adversarial.squared_gradient", penalty)
    with torch.autocast("cpu", torch.bfloat16):
        plain = module.discriminator_loss(noisy, clean, 2 * noisy)
        penalised = module.penalised_loss(noisy, clean, 2 * noisy)
    assert (penalised - plain).item() == pytest.approx(0.5 / 2 * 3 * (2 + 2), abs=0.02)
    assert len(seen) == 2
    assert all(scores.dtype == torch.float32 for pair in seen for scores in pair)
    # What is shown lies in [0, 1]; beside it the same with white noise, under the same condition.
    (condition, shown), (same_condition, beside) = judged[1:]
    assert torch.equal(condition, torch.cat([noisy, noisy]))
    assert torch.equal(same_condition, condition)
    assert torch.equal(shown, torch.cat([clean, (2 * noisy).clamp(0, 1)]).clamp(0, 1))
    noise = (beside - shown).flatten()
    assert float(noise.std()) == pytest.approx(STEP, abs=5 * STEP / math.sqrt(2 * len(noise)))
    assert abs(float(noise.mean())) < 5 * STEP / math.sqrt(len(noise))


def test_every_few_steps_are_penalised(tmp_path):
    module = AdversarialModule(tiny_config(tmp_path, **ADVERSARIAL))
    steps = []
    for name in ("penalised_loss", "discriminator_loss"):
        judge = getattr(module, name)
        setattr(module, name, lambda *pictures, j=judge, n=name: steps.append(n) or j(*pictures))
    trainer(1).fit(module, some_batches(9))
    assert steps == (["penalised_loss"] + 3 * ["discriminator_loss"]) * 2 + ["penalised_loss"]


def test_adversarial_training_needs_its_table(tmp_path):
    with pytest.raises(ValueError, match=r"\[adversarial\]"):
        AdversarialModule(tiny_config(tmp_path))


def test_a_gan_exports_its_generator(train):
    folder = train("gan", **ADVERSARIAL)
    assert {"generator_loss", "discriminator_loss", "train_loss", "val_psnr"} <= set(rows(folder)[0])
    assert column(folder, "generator_loss")
    assert column(folder, "discriminator_loss")
    for noise in ("gaussian_0.2", "gaussian-low"):
        assert len(column(folder, f"val_sharpness_{noise}")) == len(column(folder, "val_psnr")) == 2
        assert all(distance > 0 for distance in column(folder, f"val_spectral_distance_{noise}"))
    assert not any("discriminator" in name for name in state(folder))
    assert {file.name for file in folder.iterdir()} == {
        "config.json",
        MODEL_NAME,
        "history.csv",
        "discriminator.json",
        "discriminator.safetensors",
    }
    assert read_config("tiny", folder.parent).family == "GAN"
    load_network("tiny", folder.parent)
    run = folder.parent.parent / "runs" / "tiny" / "last.ckpt"
    config = train_config.read_config(folder.parent.parent / "config.toml")
    module = AdversarialModule.load_from_checkpoint(run, weights_only=True, config=config)
    trained = module.state_dict()
    judge = load_discriminator("tiny", folder.parent)
    assert judge.config.width == 4
    for name, tensor in judge.state_dict().items():
        torch.testing.assert_close(tensor, trained[f"discriminator.{name}"], atol=1e-3, rtol=1e-3)


def test_features_are_matched_in_training_and_leave_nothing_in_what_is_exported(train):
    matching = {"adversarial": {"discriminator": {"width": 4}, "feature_weight": 0.5}}
    folder = train("run", "--limit", 64, epochs=3, **(ADVERSARIAL | matching))
    losses = column(folder, "matching_loss")
    assert losses[0] == 0  # of the moments of too few pictures
    assert losses[-1] > 0
    plain = train("plain", **ADVERSARIAL)
    assert state(folder).keys() == state(plain).keys()
    assert {file.name for file in folder.iterdir()} == {file.name for file in plain.iterdir()}


def test_a_run_without_a_discriminator_leaves_no_old_one(train):
    assert (train("run", **ADVERSARIAL) / "discriminator.json").exists()
    assert not list(train("run").glob("discriminator.*"))


# Experts


def test_experts_and_their_router_are_trained_and_exported(train, tmp_path):
    folder = train("run", **MUON_EXPERTS)
    before, after = fresh_weights(tmp_path, **MUON_EXPERTS), state(folder)
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert len(column(folder, "routing_loss")) == 1
    network = load_network("tiny", folder.parent)
    assert network.config.experts == ("rest", "faint")


def test_an_expert_alone_is_trained(train, tmp_path):
    start = save_start(tmp_path, MUON_EXPERTS["architecture"], MUON_EXPERTS["settings"])
    options = ("--start-weights", str(tmp_path))
    folder = train("run", *options, **MUON_EXPERTS, start_from="start", only="faint")
    after = state(folder)
    assert start.keys() == after.keys()
    changed = {name for name in start if not torch.equal(start[name], after[name])}
    assert changed == {name for name in start if name.startswith("experts.faint.")}


# Starting from another model


def save_start(folder, architecture="attention-unet", settings=None):
    settings = settings or {"widths": [4, 8]}
    torch.manual_seed(5)
    network = build_network(architecture, settings)
    described = ModelConfig("start", "Start", "network", architecture, settings, "-", 0, "-")
    return state(save_model(network, described, folder))


@pytest.mark.parametrize("kind", [{}, ADVERSARIAL], ids=["supervised", "adversarial"])
def test_start_from_loads_the_other_model_s_weights(tmp_path, kind):
    save_start(tmp_path)
    start = load_network("start", tmp_path).state_dict()
    torch.manual_seed(0)
    module = build_module(tiny_config(tmp_path, start_from="start", **kind), tmp_path)
    assert same(module.network.state_dict(), start)
    assert all(p.requires_grad for p in module.network.parameters())
    fresh = build_module(tiny_config(tmp_path, **kind), tmp_path)
    assert not same(fresh.network.state_dict(), start)


def test_a_model_that_is_trained_further_keeps_its_history(train):
    folder = train("run")
    first = rows(folder)
    train("run", start_from="tiny", seed=2)
    both = rows(folder)
    assert len(both) == 2 * len(first)
    assert [{k: row[k] for k in first[0]} for row in both[: len(first)]] == first
    steps = [int(row["step"]) for row in both]
    assert steps == sorted(steps)
    assert len(set(steps)) == len(steps)
    epochs = [int(row["epoch"]) for row in both if row["epoch"]]
    assert max(epochs) == 2 * max(int(row["epoch"]) for row in first if row["epoch"]) + 1


@pytest.mark.parametrize("width", [4, 8], ids=["same shape", "another shape"])
def test_a_gan_starts_with_the_discriminator_of_the_gan_it_starts_from(tmp_path, width):
    save_start(tmp_path)
    torch.manual_seed(6)
    judge = PatchDiscriminator(PatchDiscriminatorConfig(width=width, stages=2))
    save_discriminator(judge, tmp_path / "start")
    before = load_discriminator("start", tmp_path).state_dict()
    shape = {"discriminator": {"width": 4, "stages": 2}}
    config = tiny_config(tmp_path, start_from="start", adversarial=shape)
    after = build_module(config, tmp_path).discriminator.state_dict()
    shapes = [{name: value.shape for name, value in found.items()} for found in (before, after)]
    assert (shapes[0] == shapes[1]) is (width == 4)
    assert width != 4 or same(after, before)


@pytest.mark.parametrize("settings", [{"widths": [4, 16]}, {"widths": [4, 8, 16]}], ids=str)
def test_start_from_a_model_of_another_shape(tmp_path, settings):
    save_start(tmp_path, settings=settings)
    with pytest.raises(ConfigError, match="start_from: the weights of 'start' don't fit"):
        build_module(tiny_config(tmp_path, start_from="start"), tmp_path)


# A teacher


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_what_is_aimed_at_lies_between_the_clean_picture_and_the_teacher_s(tmp_path, share, monkeypatch):
    save_start(tmp_path)
    teacher = load_network("start", tmp_path)
    config = tiny_config(tmp_path, teacher="start", teacher_share=share, loss="mse")
    module = build_module(config, tmp_path)
    clean, noisy = torch.rand(2, 3, 1, 16, 16)
    monkeypatch.setattr(module, "make_pair", lambda batch: (noisy, clean))
    monkeypatch.setattr(module, "log", lambda *_, **__: None)  # there is no trainer
    loss = module.training_step([], 0)
    with torch.no_grad():
        aim = (1 - share) * clean + share * teacher(noisy).clamp(0, 1)
        expected = ((module.network(noisy) - aim) ** 2).mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_a_teacher_teaches_and_is_no_part_of_what_is_saved(tmp_path, train):
    save_start(tmp_path / "run" / "weights")
    plain = state(train("run"))
    assert same(state(train("run", teacher="start", teacher_share=0)), plain)
    assert not same(state(train("run", teacher="start", teacher_share=1)), plain)


@pytest.mark.parametrize("kind", [ADVERSARIAL, EXPERTS], ids=["adversarial", "experts"])
def test_a_teacher_where_none_can_teach(tmp_path, kind):
    save_start(tmp_path)
    with pytest.raises(ConfigError, match="tiny takes no teacher"):
        build_module(tiny_config(tmp_path, teacher="start", **kind), tmp_path)


# Failures end in one sentence


def said(capsys):
    """What the command said, which must be one line and no traceback."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    lines = [line for line in error.splitlines() if line.startswith("train: ")]
    assert len(lines) == 1
    return lines[0]


def test_no_data(tmp_path, capsys):
    config = write_config(tmp_path / "config.toml")
    options = ["--runs", str(tmp_path / "runs"), "--accelerator", "cpu", "--devices", "1"]
    assert main(["fit", str(config), "--data", str(tmp_path / "nowhere"), *options]) == 1
    assert "split" in said(capsys)


def test_no_place_for_data_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("train.__main__.find_fer2013", lambda: None)
    assert main(["fit", str(write_config(tmp_path / "config.toml"))]) == 1
    assert "FER2013_PATH" in said(capsys)


def test_broken_pictures(tmp_path, capsys, train, data):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in data.glob("*.parquet"):
        (broken / file.name).write_bytes(file.read_bytes()[:-100])
    train("run", "--data", broken, expect=1)
    assert "can't be read" in said(capsys)


def test_unknown_optimizer(train, capsys):
    train("run", expect=1, optimizer="sgd")
    assert "optimizer must be one of adamw, muon, not 'sgd'" in capsys.readouterr().err


def test_wrong_config(train, capsys):
    train("run", "--limit", "8", expect=1, noise=[{"stages": [{"kind": "gausian"}]}])
    assert "Unknown noise 'gausian'" in said(capsys)


def test_no_config(capsys, tmp_path, data):
    assert main(["fit", str(tmp_path / "nowhere.toml"), "--data", str(data)]) == 1
    assert "There is no config file" in said(capsys)


def test_no_weights_to_start_from(train, capsys):
    train("run", expect=1, start_from="nothing")
    assert "'nothing' has no weights here" in said(capsys)


def test_everything_held_out_leaves_nothing_to_train_on(tmp_path, train, data, capsys):
    same_split = tmp_path / "same"
    same_split.mkdir()
    (train_file,) = data.glob("train-*")
    for split in ("train", "validation", "test"):
        (same_split / f"{split}-0.parquet").write_bytes(train_file.read_bytes())
    train("run", "--data", same_split, expect=1)
    assert "train" in said(capsys)


def test_history_of_several_logs(tmp_path):
    """Rows of one step become one row; what a resumed run logged again replaces the old figures."""
    logs = {
        "version_0": "epoch,step,train_loss,val_psnr\n0,3,,20.5\n0,3,0.7,\n0,7,0.6,21\n",
        "version_1": "epoch,step,val_psnr,lr\n0,7,22,\n1,11,23,0.1\n",
    }
    for age, (version, text) in enumerate(logs.items()):
        file = tmp_path / "log" / version / "metrics.csv"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        os.utime(file, (age, age))
    expected = "epoch,step,val_psnr,train_loss,lr\n0,3,20.5,0.7,\n0,7,22,0.6,\n1,11,23,,0.1\n"
    assert history_csv(history_rows(tmp_path)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", [{}, ADVERSARIAL], ids=["supervised", "adversarial"])
def test_two_processes_train_one_model(tmp_path, data, kind):
    config = write_config(tmp_path / "config.toml", validations_per_epoch=1, **kind)
    paths = ["--data", data, "--runs", tmp_path / "runs", "--weights", tmp_path / "weights"]
    devices = ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp"]
    command = [sys.executable, "-m", "train", "fit", config, *paths, *devices]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("PL_GLOBAL_SEED", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT"):
        environment.pop(name, None)
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Exported to ") == 1  # by the first process alone
    folder = tmp_path / "weights" / "tiny"
    load_network("tiny", folder.parent)
    # 64 pictures, two processes, eight at once: half as many steps as one process needs.
    assert max(int(row["step"]) for row in rows(folder)) == 3
    assert column(folder, "val_psnr")
    assert column(folder, "train_loss")
    assert not same(state(folder), fresh_weights(tmp_path, **kind))
