"""The learning-rate finder: what it suggests, what it leaves alone, and what it can't do."""

import csv
import math

import numpy as np
import pytest
import torch

from tests.tiny import ADVERSARIAL, write_config, write_fer2013
from train.__main__ import main
from train.config import read_config
from train.fit import build_module
from train.modules.muon import Muon
from train.rates import CURVE_NAME, TABLE_NAME, keep_ratios, suggest_rate

RATES = np.geomspace(1e-6, 1, 121)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fer2013(tmp_path_factory.mktemp("fer2013"))


@pytest.fixture
def find(tmp_path, data):
    def run(*options, expect=0, **changes):
        config = write_config(tmp_path / "config.toml", **changes)
        places = ["--data", data, "--runs", tmp_path / "runs", "--accelerator", "cpu"]
        assert main(list(map(str, ["find-rate", config, *places, *options]))) == expect
        return tmp_path / "runs" / "tiny"

    return run


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("muon", marks=pytest.mark.slow)])
def test_it_suggests_a_rate_that_trains(find, capsys, optimizer):
    noise = [{"stages": [{"kind": "gaussian", "sigma": 0.2}]}]  # of one strength: losses scatter less
    changes = {"settings": {"widths": [8, 16]}, "noise": noise, "batch_size": 16}
    run = find("--steps", "100", optimizer=optimizer, **changes)
    said = capsys.readouterr().out
    suggested = float(said.split("Suggested learning rate: ")[1].split(";")[0])
    assert 1e-4 < suggested < 0.3
    assert "the config's is 0.001" in said
    with (run / TABLE_NAME).open(newline="") as file:
        table = [(float(row["learning_rate"]), float(row["loss"])) for row in csv.DictReader(file)]
    assert len(table) == 100
    assert [rate for rate, _ in table] == sorted(rate for rate, _ in table)
    assert table[0][0] < 1e-5 < 0.5 < table[-1][0] <= 1
    assert "<svg" in (run / CURVE_NAME).read_text()


def test_it_changes_nothing_else(find, tmp_path):
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    (run / "last.ckpt").write_bytes(b"of a run that goes on")
    find("--steps", "4")
    assert {path.name for path in run.iterdir()} == {"last.ckpt", CURVE_NAME, TABLE_NAME}
    assert (run / "last.ckpt").read_bytes() == b"of a run that goes on"
    assert {path.name for path in tmp_path.iterdir()} == {"config.toml", "runs"}


def test_too_few_steps_for_a_suggestion(find, capsys):
    find("--steps", "2")
    assert "No learning rate can be suggested" in capsys.readouterr().out


def test_adversarial_training_has_no_such_rate(find, capsys, tmp_path):
    find(expect=1, **ADVERSARIAL)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "find-rate is not for adversarial training" in error
    assert not (tmp_path / "runs").exists()


def test_the_steepest_fall_over_the_logarithm_of_the_rate_is_suggested():
    falling = -np.tanh(np.log(RATES / 3e-3))
    torn = np.where(RATES > 0.3, 50.0, falling)
    for losses in (falling, torn, np.where(RATES > 0.5, math.nan, torn)):
        assert suggest_rate(list(RATES), list(losses)) == pytest.approx(3e-3, rel=0.13)


def test_what_comes_after_the_lowest_loss_suggests_nothing():
    """A loss that has exploded falls steeply back."""
    losses = -np.tanh(np.log(RATES / 3e-3))
    losses[100:] = np.linspace(100, 5, len(losses) - 100)
    assert suggest_rate(list(RATES), list(losses)) == pytest.approx(3e-3, rel=0.13)


@pytest.mark.parametrize(
    "losses", [np.zeros(121), np.arange(121.0), np.full(121, math.nan)], ids=["flat", "rising", "none"]
)
def test_a_loss_that_never_falls_suggests_nothing(losses):
    assert suggest_rate(list(RATES), list(losses)) is None


@pytest.mark.parametrize("kind", [torch.optim.SGD, Muon])
def test_groups_keep_the_ratios_of_their_rates(kind):
    """The second group, which learns ten times as fast, moves ten times as far at the same rate."""
    parameters = [torch.zeros(3, 3, requires_grad=True) for _ in range(2)]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.02}]
    optimizer = kind(groups, lr=0.002)
    keep_ratios(optimizer, 0.002)
    for group in optimizer.param_groups:  # as Lightning's finder does
        group["lr"] = 0.5
    for parameter in parameters:
        parameter.grad = torch.eye(3)
    optimizer.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.5])
    torch.testing.assert_close(parameters[1], 10 * parameters[0])


def test_experts_router_learns_ten_times_as_fast_while_rates_are_tried(find, tmp_path, monkeypatch):
    seen = []
    step = Muon.step

    def noting(optimizer, closure=None):
        seen.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, closure)

    monkeypatch.setattr(Muon, "step", noting)
    settings = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1]}
    noise = [
        {"stages": [{"kind": "gaussian", "sigma": [0.1, 0.3]}]},
        {"expert": "faint", "stages": [{"kind": "gaussian", "sigma": [0.0, 0.05]}]},
    ]
    experts = {"architecture": "expert-unet", "optimizer": "muon", "noise": noise}
    experts["settings"] = settings | {"experts": ["rest", "faint"]}
    find("--steps", "5", **experts)
    assert len(build_module(read_config(tmp_path / "config.toml")).parameter_groups()) == 2
    assert len(seen) == 5
    for first, router in seen:
        assert router == pytest.approx(10 * first)
    assert seen[-1][0] > 10 * seen[0][0]
