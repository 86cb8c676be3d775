"""Loads in the background what may take long."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from denoiser.weights.checkpoint import WeightsError

RETRY_SECONDS = 30.0
"""How long a model that could not be had is left alone, unless the Hub asks for longer."""

_log = logging.getLogger(__name__)


class LoadingError(WeightsError):
    """A model is on its way; the message is one sentence for a person."""


@dataclass
class _Job:
    """One try to load one model.

    Attributes:
        done: Set at its end.
        failure: Why it failed; empty if it did not.
        retry_at: When to try again, on the monotonic clock.
    """

    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""
    retry_at: float = 0.0


class BackgroundLoader:
    """Loads models in threads of their own, one try at a time for each.

    Args:
        load: Loads a model and keeps it; raises :class:`WeightsError`.
    """

    def __init__(self, load: Callable[[str], object]):
        self._load = load
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}

    def ensure(self, model_id: str, wait: float = 0.0) -> None:
        """Return if a model is loaded; otherwise see that it will be, and raise.

        Args:
            model_id: The model.
            wait: How many seconds to wait for it.

        Raises:
            LoadingError: It is on its way.
            WeightsError: It can't be had; it is tried again after a while.
        """
        job = self._job(model_id)
        if not job.done.wait(wait):
            raise LoadingError(f"The model {model_id!r} is being downloaded from the Hugging Face Hub.")
        if job.failure:
            raise WeightsError(job.failure)

    def _job(self, model_id: str) -> _Job:
        with self._lock:
            job = self._jobs.get(model_id)
            if job is None or (job.failure and time.monotonic() >= job.retry_at):
                job = self._jobs[model_id] = _Job()
                # A daemon: leaving does not wait for the Hub.
                threading.Thread(target=self._run, args=(model_id, job), daemon=True).start()
            return job

    def _run(self, model_id: str, job: _Job) -> None:
        try:
            self._load(model_id)
        except WeightsError as error:
            job.retry_at = time.monotonic() + max(RETRY_SECONDS, error.retry_after)
            job.failure = str(error)
            _log.warning("%s", error)
        except Exception:  # it would be lost in this thread, and the page would wait forever
            job.retry_at = time.monotonic() + RETRY_SECONDS
            job.failure = f"The model {model_id!r} can't be loaded."
            _log.exception("%s", job.failure)
        finally:
            job.done.set()
