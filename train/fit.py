"""Run one training config from start to shipped weights."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    WeightAveraging,
)

from denoiser.analysis.results import HISTORY_NAME
from denoiser.architectures.flow_unet import FlowUNet
from denoiser.architectures.loading import (
    DISCRIMINATOR_CONFIG_NAME,
    discriminator_files,
    load_discriminator,
    load_network,
)
from denoiser.architectures.network import Network
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, ModelConfig, model_files
from denoiser.weights.training_noise import point
from train.config import (
    ConfigError,
    TrainConfig,
    clipped_input,
    noise_name,
    trained_on,
    validation_noise,
)
from train.data import FaceData
from train.files import write_model
from train.logs import check_loggers, forget_logs, make_loggers
from train.modules.adversarial import AdversarialModule
from train.modules.experts import ExpertModule
from train.modules.flow import FlowModule
from train.modules.losses import MS_SSIM_SMALLEST
from train.modules.supervised import Engine, SupervisedModule
from train.runs import checkpoint_to_resume, chosen_checkpoint, explained_options, stoppable
from train.samples import SampleSheets

_VALIDATIONS = 12  # of a run with a time budget


def module_kind(config: TrainConfig) -> type[SupervisedModule]:
    """Return how a model is trained."""
    if config.adversarial:
        return AdversarialModule
    if config.architecture == FlowUNet.architecture:
        return FlowModule
    return ExpertModule if config.settings.get("experts") else SupervisedModule


def build_module(
    config: TrainConfig, weights: Path = WEIGHTS, engine: Engine = "plain"
) -> SupervisedModule:
    """Build the Lightning module of a config, with the other models that it names.

    Of another GAN of the same shape it takes the discriminator too: one that starts from nothing would
    first have to learn what the denoiser has long left behind.

    Args:
        config: The training run.
        weights: Where the other models are.
        engine: See :class:`SupervisedModule`.

    Raises:
        ConfigError: The other model's weights don't fit this one, or what it trains takes no teacher.
        WeightsError: There are none, or they are damaged.
    """
    module = module_kind(config)(config, engine)
    if config.start_from:
        start = load_network(config.start_from, weights)
        try:
            module.network.start_from(start.state_dict())
        except RuntimeError:
            raise ConfigError(
                f"start_from: the weights of {config.start_from!r} don't fit this architecture"
            ) from None
        if isinstance(module, AdversarialModule):
            module.discriminator.load_state_dict(_start_of_discriminator(module, config, weights))
    if config.teacher:
        if type(module) is not SupervisedModule:
            raise ConfigError(
                f"{config.id} takes no teacher: only supervised training of one network does"
            )
        module.take_teacher(load_network(config.teacher, weights))
    return module


def _start_of_discriminator(
    module: AdversarialModule, config: TrainConfig, weights: Path
) -> Mapping[str, torch.Tensor]:
    """Return the weights of the discriminator that the other model has, if it is of the same shape."""
    own = module.discriminator
    if (weights / config.start_from / DISCRIMINATOR_CONFIG_NAME).exists():
        other = load_discriminator(config.start_from, weights)
        if other.config == own.config:
            return other.state_dict()
    return own.state_dict()


def check_size(config: TrainConfig, network: Network, size: int) -> None:
    """Look whether a network and its loss can be trained on pictures of size x size.

    Raises:
        ConfigError: They can't.
    """
    if size % network.multiple_of:
        raise ConfigError(
            f"{config.id} trains on pictures whose size is a multiple of {network.multiple_of}, "
            f"not {size}"
        )
    if "ms-ssim" in config.loss and size < MS_SSIM_SMALLEST:
        raise ConfigError(
            f"the loss {config.loss} needs a size of {MS_SSIM_SMALLEST} or more, not {size}"
        )


def average_weights(decay: float) -> WeightAveraging:
    """Return the callback that keeps a running average of the weights, which is what is shipped.

    While there are few steps to average over, the decay is smaller, (1 + n) / (10 + n) after n steps:
    the average forgets the random start soon, and a short run ships what it has learned.
    """

    def average(
        means: list[torch.Tensor], values: list[torch.Tensor], steps: torch.Tensor | int
    ) -> None:
        count = int(steps)
        if not means[0].is_floating_point():  # batch norm's count of batches; a list has one type
            torch._foreach_copy_(means, values)
            return
        torch._foreach_lerp_(means, values, 1 - min(decay, (1 + count) / (10 + count)))

    return WeightAveraging(multi_avg_fn=average)


def fit(
    config: TrainConfig,
    data: str | Path,
    *,
    runs: Path,
    weights: Path = WEIGHTS,
    start_weights: Path | None = None,
    resume: bool = False,
    max_time: timedelta | None = None,
    budget: timedelta | None = None,
    engine: Engine = "plain",
    limit: int = 0,
    size: int | None = None,
    split_seed: int | None = None,
    loggers: Sequence[str] = (),
    **trainer_options: Any,
) -> Path | None:
    """Train, select and export.

    Checkpoints, the logs, ``samples.png`` and ``last.ckpt`` for resuming are in ``runs/<id>``.

    Args:
        config: What to train.
        data: Where FER2013 is, or a folder of own faces; see :class:`~train.data.FaceData`.
        runs: Folder of all runs.
        weights: Folder of all models; the trained one is written there.
        start_weights: Folder of the model that it starts from, if that is another one.
        resume: Go on from this run's last checkpoint.
        max_time: Stop after this much time, and export what is best by then.
        budget: Train for this much time, however many epochs that is; the learning rate follows it.
        engine: See :class:`SupervisedModule`.
        limit: Use only this many training pictures; 0 for all.
        size: See :class:`~train.data.FaceData`.
        split_seed: Likewise.
        loggers: Where curves and sample pictures go beside the CSV: of
            :data:`~train.logs.LoggerName`.
        **trainer_options: Go to Lightning's ``Trainer`` as they are (devices, strategy, ...).

    Returns:
        The model's folder in ``weights``; None in processes other than the first.

    Raises:
        ConfigError: The trainer's options make no sense, a logger can't be used, the pictures' size
            doesn't fit the network, or the model to start from doesn't fit.
        FaceDataError: The pictures can't be read.
        RunError: There is nothing to resume or to export, or the run was stopped: nothing is exported.
        WeightsError: There is no model to start from, or what was learned is not finite.
    """
    check_loggers(loggers)
    pl.seed_everything(config.seed)
    if module_kind(config) is not SupervisedModule and trainer_options.get("strategy") == "ddp":
        # Each of a GAN's two losses leaves the other network's parameters unused, and a batch may have
        # nothing for one of the experts.
        trainer_options["strategy"] = "ddp_find_unused_parameters_true"
    folder = runs / config.id
    faces = FaceData(data, config, limit, size, split_seed)
    module = build_module(config, start_weights or weights, engine)
    check_size(config, module.network, faces.size)
    checkpoint = run(
        module,
        faces,
        folder,
        monitor="val_psnr",
        ema_decay=config.ema_decay,
        select=config.select,
        patience=config.patience if budget is None else None,
        resume=resume,
        loggers=loggers,
        extra_callbacks=[SampleSheets(config, folder)],
        max_epochs=config.epochs if budget is None else -1,
        max_time=max_time or budget,
        val_check_interval=budget / _VALIDATIONS if budget else 1 / config.validations_per_epoch,
        use_distributed_sampler=False,  # FaceData's own does it
        **trainer_options,
    )
    if checkpoint is None:
        return None
    return export(config, checkpoint, folder, weights, start_weights or weights)


def run(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    folder: Path,
    *,
    monitor: str,
    ema_decay: float,
    select: Literal["best", "last"] = "best",
    patience: int | None = None,
    resume: bool = False,
    loggers: Sequence[str] = (),
    extra_callbacks: Sequence[pl.Callback] = (),
    **trainer_options: Any,
) -> Path | None:
    """Train one module, with checkpoints and logs in its folder.

    Args:
        module: What to train.
        data: What on.
        folder: The run's.
        monitor: The figure logged in validation that tells which weights are best: the more, the better.
        ema_decay: Decay of the running average of the weights.
        select: Which weights to return.
        patience: Validations without improvement before it stops early, if best ones are selected.
        resume: Go on from the folder's last checkpoint.
        loggers: Beside the CSV; see :func:`train.logs.make_loggers`.
        extra_callbacks: Beside those for checkpoints, the average and the learning rate.
        **trainer_options: Go to Lightning's ``Trainer`` as they are.

    Returns:
        The checkpoint to export; None in processes other than the first.

    Raises:
        ConfigError: The trainer's options make no sense, or a logger can't be used.
        RunError: There is nothing to resume or to export, or the run was stopped.
    """
    best = ModelCheckpoint(
        folder, filename="best", monitor=monitor, mode="max", enable_version_counter=False
    )
    # A checkpoint of its own: save_last would save only when there is a new best one.
    last = ModelCheckpoint(
        folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    callbacks: list[pl.Callback] = [best, last, average_weights(ema_decay), LearningRateMonitor("epoch")]
    callbacks += extra_callbacks
    if select == "best" and patience is not None:
        callbacks.append(EarlyStopping(monitor, mode="max", patience=patience))
    latest = checkpoint_to_resume(folder, module) if resume else None
    logs = make_loggers(loggers, folder, resume)
    with explained_options():
        trainer = pl.Trainer(
            logger=logs,
            callbacks=callbacks,
            num_sanity_val_steps=0,
            log_every_n_steps=20,
            **trainer_options,
        )
    if trainer.is_global_zero and not resume:
        forget_logs(folder)
    with stoppable(folder):
        trainer.fit(module, data, ckpt_path=latest, weights_only=True)
    if not trainer.is_global_zero:
        return None
    return chosen_checkpoint((best if select == "best" else last).best_model_path)


def export(
    config: TrainConfig,
    checkpoint: str | Path,
    run: Path,
    weights: Path = WEIGHTS,
    start_weights: Path | None = None,
) -> Path:
    """Write a model's folder in ``weights`` from a checkpoint: half-precision weights and history.

    Of adversarial training the discriminator too, which the app shows at work. A model that was trained
    further keeps its history, and goes on with it.
    """
    module = module_kind(config).load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=True, config=config
    )
    network = module.network
    judge = module.discriminator if isinstance(module, AdversarialModule) else None
    files = {
        **discriminator_files(judge),
        **model_files(network, model_config(config, network)),
        HISTORY_NAME: history_csv(_whole_history(config, run, start_weights or weights)).encode(),
    }
    write_model(weights / config.id, files, MODEL_NAME)
    return weights / config.id


def model_config(config: TrainConfig, network: Any) -> ModelConfig:
    """Return what ``config.json`` says of a trained model."""
    return ModelConfig(
        id=config.id,
        label=config.label,
        family=config.family,
        architecture=config.architecture,
        settings={k: list(v) if isinstance(v, tuple) else v for k, v in config.settings.items()},
        trained_on=trained_on(config),
        parameters=sum(p.numel() for p in network.parameters()),
        reference=config.reference,
        clipped_input=clipped_input(config),
        validation={noise_name(n): point(validation_noise(n)) for n in config.validation},
    )


def history_rows(run: Path) -> list[dict[str, str]]:
    """Gather a run's logs, also those of resumed parts, into one row for each training step logged.

    Lightning writes training and validation figures in rows of their own; here a step has one row.
    """
    rows: dict[int, dict[str, str]] = {}
    for log in sorted(run.glob("log/version_*/metrics.csv"), key=lambda p: p.stat().st_mtime):
        for row in _read_rows(log):
            rows.setdefault(int(row["step"]), {}).update(row)
    return [rows[step] for step in sorted(rows)]


def history_csv(rows: Sequence[Mapping[str, str]]) -> str:
    """Write the rows of a history as a table."""
    columns = dict.fromkeys(("epoch", "step", *(name for row in rows for name in row)))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _read_rows(table: Path) -> list[dict[str, str]]:
    """Read a table's rows, without the columns that are empty in them."""
    with table.open(newline="", encoding="utf-8") as file:
        return [{name: text for name, text in row.items() if text} for row in csv.DictReader(file)]


def _whole_history(config: TrainConfig, run: Path, start_weights: Path) -> list[dict[str, str]]:
    """Return a run's rows, after those of the model that it trains further, if it does."""
    earlier = start_weights / config.id / HISTORY_NAME
    if config.start_from != config.id or not earlier.exists():
        return history_rows(run)
    return _counted_on(_read_rows(earlier), history_rows(run))


def _counted_on(rows: list[dict[str, str]], more: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put a history after another one, with its epochs and steps counted on."""
    for name in ("epoch", "step"):
        start = 1 + max((int(row[name]) for row in rows if name in row), default=-1)
        more = [{**row, name: str(start + int(row[name]))} if name in row else row for row in more]
    return [*rows, *more]
