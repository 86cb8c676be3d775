"""What can end a training run early, and how it goes on: exit codes and sentences."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from denoiser.weights.checkpoint import WEIGHTS
from train.config import ConfigError

LATEST_NAME = "last.ckpt"
"""In a run's folder: what ``--resume`` goes on from."""


class RunError(RuntimeError):
    """A run can't start or go on, or was stopped; the message says why.

    Attributes:
        exit_code: What the command ends with.
    """

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code


def trial_places(runs: Path, weights: Path | None, limit: int, is_trial: bool) -> tuple[Path, Path]:
    """Return the folders of runs and of exported models; a trial's are its own.

    A run on few pictures is no start for a real one, so its checkpoints are kept apart. What it has
    learned, or what a run has by a time limit or has from own faces, is exported beside the runs:
    nothing that is shipped is replaced by it unless that is asked for.

    Args:
        runs: Folder of all runs.
        weights: Where to export to, if that was said.
        limit: Training pictures; 0 for all.
        is_trial: Whether it stops at a time limit, or trains on own faces.
    """
    trials = runs / "trials"
    if weights is None:
        weights = trials / "weights" if limit or is_trial else WEIGHTS
    return (trials if limit else runs), weights


@contextmanager
def explained_options() -> Iterator[None]:
    """Turn what Lightning's Trainer says of options that it can't run with into one sentence.

    Raises:
        ConfigError: That sentence.
    """
    # Here, as below: importing Lightning takes seconds, and the other commands do without.
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"Lightning's Trainer can't run with these options: {reason}") from None


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Turn a stop by SIGTERM or Ctrl-C, which Lightning takes for an orderly end, into a failure.

    Args:
        folder: The run's.

    Raises:
        RunError: It was stopped; nothing is exported then.
    """
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    try:
        yield
    except SIGTERMException:
        raise _stopped(signal.SIGTERM, folder) from None
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise _stopped(signal.SIGINT, folder) from None


def _stopped(number: signal.Signals, folder: Path) -> RunError:
    goes_on = (
        "the same command with --resume goes on from the last finished epoch"
        if (folder / LATEST_NAME).is_file()
        else "no epoch was finished, so there is nothing to go on from"
    )
    message = f"Stopped by {number.name}: nothing was exported, and {goes_on}"
    return RunError(message, 128 + number)  # as a shell reports it


def checkpoint_to_resume(folder: Path, module: nn.Module) -> Path:
    """Return the checkpoint that a run goes on from, which is one of this module.

    Raises:
        RunError: There is none, or it is damaged, or another network's.
    """
    from lightning.pytorch.plugins.io import TorchCheckpointIO

    path = folder / LATEST_NAME
    anew = "to start anew, leave --resume out"
    if not path.is_file():
        raise RunError(f"There is no checkpoint {path} to go on from: {anew}")
    try:
        checkpoint = TorchCheckpointIO().load_checkpoint(
            path,
            map_location=lambda storage, _: storage,  # the CPU
            weights_only=True,
        )
        shapes = {name: tensor.shape for name, tensor in checkpoint["state_dict"].items()}
    except Exception:  # a reader of damaged bytes may raise anything
        raise RunError(f"The checkpoint {path} is damaged: {anew}") from None
    if shapes != {name: tensor.shape for name, tensor in module.state_dict().items()}:
        raise RunError(f"The checkpoint {path} is of another network than the config's: {anew}")
    return path


def chosen_checkpoint(path: str) -> Path:
    """Return the checkpoint to export, as Lightning's callback names it.

    Raises:
        RunError: There is none.
    """
    if not path or not Path(path).is_file():
        raise RunError("The run ended before it had anything to export: give it more time")
    return Path(path)
