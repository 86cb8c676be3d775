"""The learning-rate finder: ``python -m train find-rate CONFIG --data PATH``.

The rate rises from step to step until training falls apart; good rates lie where the loss falls most.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import matplotlib
import numpy as np
import torch
from lightning.pytorch.tuner import Tuner
from matplotlib.figure import Figure

from denoiser.weights.checkpoint import WEIGHTS
from denoiser.weights.files import write_together
from train.config import ConfigError, TrainConfig
from train.data import FaceData
from train.fit import build_module, check_size
from train.runs import explained_options, stoppable

CURVE_NAME = "rates.svg"
"""In a run's folder: the loss by the learning rate, as a picture."""

TABLE_NAME = "rates.csv"
"""In a run's folder: the same as a table."""

_LOWEST, _HIGHEST = 1e-6, 1.0
_SETTLING = 0.1  # share of the steps at the start whose smoothed loss says little yet
_INK, _LINE, _MARK = "#555555", "#1f77b4", "#d95f02"


@dataclass(frozen=True)
class RateCurve:
    """What the finder saw.

    Attributes:
        rates: Learning rates, rising, one for each step.
        losses: The smoothed loss at each; NaN or infinite where training fell apart.
        suggestion: The rate at which the loss fell most; None where it never fell.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def find_rate(
    config: TrainConfig,
    data: FaceData,
    *,
    runs: Path,
    weights: Path = WEIGHTS,
    steps: int = 200,
    **trainer_options: Any,
) -> RateCurve:
    """Train for some steps with a rising rate; write the curve into ``runs/<id>``, and nothing else.

    Groups of parameters with rates of their own keep their ratios to the config's rate.

    Args:
        config: The training run.
        data: What on.
        runs: Folder of all runs.
        weights: Where the model to start from is, if the config names one.
        steps: How many rates to try.
        **trainer_options: Go to Lightning's ``Trainer`` as they are.

    Raises:
        ConfigError: Training is adversarial, the trainer's options make no sense, or the model to start
            from doesn't fit.
        FaceDataError: The pictures can't be read.
        RunError: It was stopped.
        WeightsError: There is no model to start from.
    """
    if config.adversarial:
        raise ConfigError(
            "find-rate is not for adversarial training: Lightning's finder knows one optimizer and its "
            "loss, and here two take turns"
        )
    pl.seed_everything(config.seed)
    module = build_module(config, weights)
    check_size(config, module.network, data.size)
    folder = runs / config.id
    folder.mkdir(parents=True, exist_ok=True)
    with explained_options():
        trainer = pl.Trainer(
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[KeepRatios(config.learning_rate)],
            max_epochs=-1,
            max_steps=steps,
            check_val_every_n_epoch=10**9,  # never
            use_distributed_sampler=False,  # FaceData's own does it
            **trainer_options,
        )
    with stoppable(folder):
        finder = Tuner(trainer).lr_find(
            module,
            datamodule=data,
            min_lr=_LOWEST,
            max_lr=_HIGHEST,
            num_training=steps,
            # A logarithmic loss is below 0, where four times the best loss is better still.
            early_stop_threshold=None,
            update_attr=False,
        )
    assert finder is not None
    rates, losses = finder.results["lr"], finder.results["loss"]
    curve = RateCurve(tuple(rates), tuple(losses), suggest_rate(rates, losses))
    drawn = draw_curve(curve, config.learning_rate)
    write_together(folder, {TABLE_NAME: _table(curve).encode(), CURVE_NAME: drawn.encode()})
    return curve


class KeepRatios(pl.Callback):
    """Let each group of parameters learn at its own multiple of the rate that is tried.

    Lightning's finder gives all groups the same rate. A group's own is set for the moment of a step
    only, so that the finder, which reads and sets rates between steps, goes on undisturbed.

    Args:
        rate: The rate that the groups' own are multiples of.
    """

    def __init__(self, rate: float):
        self.rate = rate

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Have the optimizer, which is made after this, keep the ratios."""
        configure = pl_module.configure_optimizers

        def configure_with_ratios() -> Any:
            made: Any = configure()
            keep_ratios(made["optimizer"], self.rate)
            return made

        pl_module.configure_optimizers = configure_with_ratios  # type: ignore[method-assign]


def keep_ratios(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Multiply every group's rate in each step by what its rate is now, as a multiple of one rate."""
    # A schedule that is there already has lowered the rates for its warm-up.
    ratios = [group.get("initial_lr", group["lr"]) / rate for group in optimizer.param_groups]

    def scale(factors: Sequence[float]) -> None:
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"] *= factor

    optimizer.register_step_pre_hook(lambda *_: scale(ratios))
    optimizer.register_step_post_hook(lambda *_: scale([1 / ratio for ratio in ratios]))


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate at which the loss falls most, over the rate's logarithm; None if it never falls.

    Lightning's own suggestion takes the slope over the rate itself, which is steepest where rates are so
    small that their differences are next to nothing.

    References:
        L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
        arXiv:1506.01186 (the range test).
    """
    first = math.ceil(_SETTLING * len(rates))
    kept = [
        (math.log(rate), loss)
        for rate, loss in zip(rates[first:], losses[first:], strict=True)
        if math.isfinite(loss)
    ]
    if len(kept) < 3:
        return None
    where, seen = (np.array(column) for column in zip(*kept, strict=True))
    end = int(seen.argmin()) + 1  # beyond its lowest point, the curve can only fall back
    if end < 3:
        return None
    slopes = np.gradient(seen[:end], where[:end])
    steepest = int(slopes.argmin())
    return math.exp(where[steepest]) if slopes[steepest] < 0 else None


def describe_rate(curve: RateCurve, config: TrainConfig, runs: Path) -> str:
    """Say what was found, in a sentence."""
    places = f"the curve is in {runs / config.id / CURVE_NAME} and {TABLE_NAME}"
    if curve.suggestion is None:
        return (
            f"No learning rate can be suggested, as the loss fell at none of {len(curve.rates)}: try "
            f"more --steps; the config's is {config.learning_rate:g}, and {places}"
        )
    return (
        f"Suggested learning rate: {curve.suggestion:.1e}; the config's is {config.learning_rate:g}, "
        f"and {places}"
    )


def _table(curve: RateCurve) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("learning_rate", "loss"))
    writer.writerows((f"{rate:.6g}", f"{loss:.6g}") for rate, loss in _points(curve))
    return buffer.getvalue()


def _points(curve: RateCurve) -> list[tuple[float, float]]:
    return list(zip(curve.rates, curve.losses, strict=True))


def draw_curve(curve: RateCurve, configured: float) -> str:
    """Draw the loss by the rate, the suggestion and the config's own rate, as SVG."""
    figure = Figure(figsize=(6, 3.5))
    axis = figure.subplots()
    finite = [point for point in _points(curve) if math.isfinite(point[1])]
    if finite:
        axis.plot(*zip(*finite, strict=True), color=_LINE)
    axis.axvline(configured, color=_INK, linestyle=":", label=f"the config's: {configured:g}")
    if curve.suggestion is not None:
        axis.axvline(curve.suggestion, color=_MARK, label=f"suggested: {curve.suggestion:.1e}")
    axis.set_xscale("log")
    axis.set_xlabel("learning rate", color=_INK)
    axis.set_ylabel("training loss, smoothed", color=_INK)
    axis.tick_params(colors=_INK, length=0)
    axis.grid(color=_INK, alpha=0.25)
    axis.legend(frameon=False, labelcolor=_INK)
    for spine in axis.spines.values():
        spine.set_visible(False)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 9}):
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    return file.getvalue()
