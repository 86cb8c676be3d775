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
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.tuner import Tuner
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from denoiser.weights.checkpoint import WEIGHTS
from denoiser.weights.files import write_together
from train.config import ConfigError, TrainConfig
from train.data import FaceData
from train.figures import INK, LINE, tidy, to_svg
from train.fit import build_module, check_size
from train.runs import explained_options, stoppable

CURVE_NAME = "rates.svg"
"""In a run's folder: the loss by the learning rate, as a picture."""

TABLE_NAME = "rates.csv"
"""In a run's folder: the same as a table."""

_LOWEST, _HIGHEST = 1e-6, 1.0
_SMOOTHED = 0.04  # of all steps, the standard deviation of the Gaussian that losses are averaged by
_FEWEST = 5  # steps up to the lowest loss
_ERRORS = 4  # standard errors that the loss has to fall by
_MARK = "#d95f02"


@dataclass(frozen=True)
class RateCurve:
    """What the finder saw.

    Attributes:
        rates: Learning rates, rising, one for each step.
        losses: The loss of the batch at each; NaN or infinite where training fell apart.
        suggestion: See :func:`suggest_rate`.
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
    watch = Watch(config.learning_rate)
    with explained_options():
        trainer = pl.Trainer(
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[watch],
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
    rates, losses = tuple(finder.results["lr"]), tuple(watch.losses)
    curve = RateCurve(rates, losses, suggest_rate(rates, losses))
    drawn = draw_curve(curve, config.learning_rate)
    write_together(folder, {TABLE_NAME: _table(curve).encode(), CURVE_NAME: drawn.encode()})
    return curve


class Watch(pl.Callback):
    """Let each group of parameters learn at its own multiple of the rate that is tried; note all losses.

    Lightning's finder gives all groups the same rate. A group's own is set for the moment of a step
    only, so that the finder, which reads and sets rates between steps, goes on undisturbed. While it
    tries rates it calls no callbacks, so this is done within the module.

    Args:
        rate: The rate that the groups' own are multiples of.

    Attributes:
        losses: Of each batch.
    """

    def __init__(self, rate: float):
        self.rate = rate
        self.losses: list[float] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Reach into the module before its optimizer is made."""
        configure, train = pl_module.configure_optimizers, pl_module.training_step

        def configure_with_ratios() -> Any:
            made: Any = configure()
            keep_ratios(made["optimizer"], self.rate)
            return made

        def train_and_note(batch: Any, batch_idx: int) -> Any:
            loss: Any = train(batch, batch_idx)
            self.losses.append(loss.detach().item())
            return loss

        pl_module.configure_optimizers = configure_with_ratios  # type: ignore[method-assign]
        pl_module.training_step = train_and_note  # type: ignore[method-assign]


def keep_ratios(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Multiply every group's rate in each step by what its rate is now, as a multiple of one rate."""
    # A schedule that is there already has lowered the rates for its warm-up.
    ratios = [group.get("initial_lr", group["lr"]) / rate for group in optimizer.param_groups]

    def scale(factors: Sequence[float]) -> None:
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"] *= factor

    optimizer.register_step_pre_hook(lambda *_: scale(ratios))
    optimizer.register_step_post_hook(lambda *_: scale([1 / ratio for ratio in ratios]))


def smooth(losses: Sequence[float]) -> npt.NDArray[np.float64]:
    """Average neighbouring losses up to the first that isn't finite, without lagging behind."""
    seen = np.array(losses, dtype=float)
    broken = np.flatnonzero(~np.isfinite(seen))
    seen = seen[: broken[0]] if len(broken) else seen
    return gaussian_filter1d(seen, _width(len(losses)), mode="nearest") if len(seen) else seen


def _width(steps: int) -> float:
    return max(1.0, _SMOOTHED * steps)


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate at which the loss falls most, over the rate's logarithm; None if it doesn't fall.

    Lightning's own suggestion takes the slope over the rate itself, which is steepest where rates are so
    small that their differences are next to nothing; and its running average is too small at first, as
    if the loss rose, or fell where it is negative.

    Args:
        rates: Rising.
        losses: At each rate, as they are: of one batch.

    References:
        L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
        arXiv:1506.01186 (the range test).
    """
    smoothed = smooth(losses)
    if not len(smoothed):
        return None
    end = int(smoothed.argmin()) + 1  # beyond its lowest point, the curve can only fall back
    if end < _FEWEST:
        return None
    # The standard error of an average by a Gaussian, from how far neighbours are apart.
    scatter = float(np.diff(losses[:end]).std()) / math.sqrt(2)
    error = scatter / math.sqrt(2 * math.sqrt(math.pi) * _width(len(losses)))
    if smoothed[0] - smoothed[end - 1] <= _ERRORS * error:
        return None
    slopes = np.gradient(smoothed[:end], np.log(rates[:end]))
    return float(rates[int(slopes.argmin())])


def describe_rate(curve: RateCurve, config: TrainConfig, runs: Path) -> str:
    """Say what was found, in a sentence."""
    places = f"the curve is in {runs / config.id / CURVE_NAME} and {TABLE_NAME}"
    if curve.suggestion is None:
        return (
            f"No learning rate can be suggested, as the loss did not clearly fall at any: try more "
            f"--steps; the config's is {config.learning_rate:g}, and {places}"
        )
    return (
        f"Suggested learning rate: {curve.suggestion:.1e}; the config's is {config.learning_rate:g}, "
        f"and {places}"
    )


def _table(curve: RateCurve) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("learning_rate", "loss"))
    pairs = zip(curve.rates, curve.losses, strict=True)
    writer.writerows((f"{rate:.6g}", f"{loss:.6g}") for rate, loss in pairs)
    return buffer.getvalue()


def draw_curve(curve: RateCurve, configured: float) -> str:
    """Draw the loss by the rate, the suggestion and the config's own rate, as SVG."""
    figure = Figure(figsize=(6, 3.5))
    axis = figure.subplots()
    smoothed = smooth(curve.losses)
    axis.plot(curve.rates, curve.losses, color=LINE, alpha=0.25, label="of each batch")
    axis.plot(curve.rates[: len(smoothed)], smoothed, color=LINE, label="smoothed")
    if len(smoothed):  # what has exploded would press everything else flat
        lowest, first = smoothed.min(), smoothed[0]
        axis.set_ylim(lowest - 0.5 * (first - lowest) - 0.1, first + (first - lowest) + 0.1)
    axis.axvline(configured, color=INK, linestyle=":", label=f"the config's: {configured:g}")
    if curve.suggestion is not None:
        axis.axvline(curve.suggestion, color=_MARK, label=f"suggested: {curve.suggestion:.1e}")
    axis.set_xscale("log")
    axis.set_xlabel("learning rate", color=INK)
    axis.set_ylabel("training loss", color=INK)
    tidy(axis, "")
    axis.legend(frameon=False, labelcolor=INK)
    return to_svg(figure)
