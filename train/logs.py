"""Where a run's curves and sample pictures go beside its CSV: TensorBoard, Weights & Biases."""

import importlib.util
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from train.config import ConfigError

LoggerName = Literal["tensorboard", "wandb"]
"""A logger's name, which is also its package's."""

_CSV, _TENSORBOARD = "log", "tensorboard"  # folders within a run's
_WANDB_ID = "wandb-id.txt"  # in a run's folder: which run on Weights & Biases goes on
_WANDB_PROJECT = "face-denoising-lab"


def check_loggers(names: Sequence[str]) -> None:
    """Look whether loggers are known and installed, before anything else takes time.

    Raises:
        ConfigError: One of them isn't.
    """
    for name in names:
        if name not in get_args(LoggerName):
            known = " or ".join(get_args(LoggerName))
            raise ConfigError(f"there is no logger {name!r}: --logger takes {known}")
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"--logger {name} needs a package that isn't installed: pip install {name}"
            )


def make_loggers(names: Sequence[str], folder: Path, resume: bool) -> list[Logger]:
    """Create a run's loggers: Lightning's CSV logger, and those that were asked for.

    Args:
        names: Of :data:`LoggerName`.
        folder: The run's; its name is the run's name.
        resume: Whether they go on with the logs that are in the folder.

    Raises:
        ConfigError: A logger is unknown or not installed, or Weights & Biases can't be used.
    """
    check_loggers(names)
    made: list[Logger] = [CSVLogger(folder, name=_CSV, version=None if resume else 0)]
    if "tensorboard" in names:
        # No version: what is resumed is one curve. TensorBoard reads all files of a folder as one run.
        made.append(TensorBoardLogger(folder, _TENSORBOARD, version="", default_hp_metric=False))
    if "wandb" in names:
        made.append(_start_wandb(folder, resume))
    return made


def forget_logs(folder: Path) -> None:
    """Take an earlier run's logs away, which are no history of a new one."""
    for name in (_CSV, _TENSORBOARD):
        shutil.rmtree(folder / name, ignore_errors=True)


def _start_wandb(folder: Path, resume: bool) -> WandbLogger:
    kept = folder / _WANDB_ID
    run_id = kept.read_text(encoding="utf-8").strip() if resume and kept.is_file() else ""
    run_id = run_id or uuid.uuid4().hex[:8]
    folder.mkdir(parents=True, exist_ok=True)
    rank_zero_only(kept.write_text)(run_id, encoding="utf-8")
    project = os.environ.get("WANDB_PROJECT", _WANDB_PROJECT)
    try:
        logger = WandbLogger(folder.name, save_dir=folder, id=run_id, project=project)
        _ = logger.experiment  # which starts it: whoever isn't logged in learns it now
    except Exception as error:  # its client's own errors, of a package that need not be there
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"Weights & Biases can't be used: {said}") from None
    return logger
