"""The list of all denoisers, and how to get one by id."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from denoiser.denoisers.background import BackgroundLoader, LoadingError
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.denoisers.network import load_denoiser
from denoiser.weights.checkpoint import WeightsError, hub_source

MODELS: tuple[str, ...] = (
    "attention-unet",
    "patchgan",
    "autoencoder",
    "residual-unet",
    "median-unet",
    "single-autoencoder",
    "single-autoencoder-separable",
    "dual-autoencoder",
    "dual-autoencoder-separable",
    "dual-skip-autoencoder",
    "dual-skip-autoencoder-separable",
    "attention-unet.gaussian-low",
    "attention-unet.gaussian-high",
    "attention-unet.salt-and-pepper-10",
    "patchgan.pixel-shuffle",
    "patchgan.salt-and-pepper-10",
    "residual-unet.gaussian-unclipped",
)
"""Trained models, each a folder in weights/. A new one is its folder and one line here."""

DEFAULT_DENOISERS: tuple[str, ...] = ("attention-unet", "patchgan", "autoencoder", "median")
"""The four that the app shows first."""


class Registry:
    """Factories by id, in the order they were added.

    Args:
        entries: (id, factory) pairs.

    Raises:
        ValueError: An id comes twice.
    """

    def __init__(self, entries: Iterable[tuple[str, Callable[[], Denoiser]]]):
        self._factories: dict[str, Callable[[], Denoiser]] = {}
        for denoiser_id, factory in entries:
            self.add(denoiser_id, factory)

    def add(self, denoiser_id: str, factory: Callable[[], Denoiser]) -> None:
        """Add a denoiser behind all others; before the page is built, which lists those that there are.

        Raises:
            ValueError: There is one of this id.
        """
        if denoiser_id in self._factories:
            raise ValueError(f"there are two denoisers with the id {denoiser_id!r}")
        self._factories[denoiser_id] = factory

    def ids(self) -> list[str]:
        """Return all ids."""
        return list(self._factories)

    def create(self, denoiser_id: str) -> Denoiser:
        """Make a denoiser.

        Raises:
            ValueError: Unknown id.
            WeightsError: Its weights are missing or damaged.
        """
        if denoiser_id not in self._factories:
            raise ValueError(
                f"Unknown denoiser {denoiser_id!r}; choose one of {', '.join(self._factories)}"
            )
        return self._factories[denoiser_id]()


def _itself(method: Denoiser) -> Denoiser:
    return method


REGISTRY = Registry(
    [
        *((model_id, partial(load_denoiser, model_id)) for model_id in MODELS),
        *((method.info.id, partial(_itself, method)) for method in CLASSICAL_DENOISERS),
    ]
)


def list_denoisers() -> list[str]:
    """Return the ids of all denoisers: trained models first, then filters."""
    return REGISTRY.ids()


@cache
def create_denoiser(denoiser_id: str) -> Denoiser:
    """Return a denoiser by id. Weights are loaded once, and shared: a denoiser keeps no state.

    Raises:
        ValueError: Unknown id; the message lists the known ones.
        WeightsError: Its weights are missing or damaged.
    """
    return REGISTRY.create(denoiser_id)


def ensure_loaded(denoiser_id: str, wait: float = 0.0) -> None:
    """Return once :func:`create_denoiser` won't wait for the Hub, or raise.

    A model from the Hub is fetched and loaded in the background; a failure is tried again after a
    while, when it is next asked for.

    Args:
        denoiser_id: A denoiser.
        wait: How many seconds to wait for it.

    Raises:
        LoadingError: It is on its way.
        WeightsError: It can't be had.
    """
    if comes_from_hub(denoiser_id):
        _BACKGROUND.ensure(denoiser_id, wait)


@dataclass(frozen=True)
class Available:
    """Which of the denoisers asked for can run, and why the others can't.

    Attributes:
        denoisers: By id, in the order asked for.
        failures: One sentence for each that can't be had, by id.
        loading: Likewise for each whose weights are on their way.
    """

    denoisers: Mapping[str, Denoiser]
    failures: Mapping[str, str]
    loading: Mapping[str, str]

    @property
    def refusals(self) -> dict[str, str]:
        """A sentence for each that can't run now."""
        return {**self.failures, **self.loading}

    @property
    def pending(self) -> bool:
        """Whether any is on its way."""
        return bool(self.loading)


def find_available(denoiser_ids: Iterable[str], wait: float = 0.0) -> Available:
    """Get the denoisers that can run; one that has no weights does not stop the others.

    Args:
        denoiser_ids: Known ids.
        wait: How many seconds to wait, in all, for those that come from the Hub; they are fetched at
            the same time.
    """
    ids = list(denoiser_ids)
    deadline = time.monotonic() + wait
    for denoiser_id in ids if wait else ():
        with contextlib.suppress(WeightsError):
            ensure_loaded(denoiser_id)
    denoisers: dict[str, Denoiser] = {}
    failures: dict[str, str] = {}
    loading: dict[str, str] = {}
    for denoiser_id in ids:
        try:
            ensure_loaded(denoiser_id, max(0.0, deadline - time.monotonic()))
            denoisers[denoiser_id] = create_denoiser(denoiser_id)
        except LoadingError as error:
            loading[denoiser_id] = str(error)
        except WeightsError as error:
            failures[denoiser_id] = str(error)
    return Available(denoisers, failures, loading)


def comes_from_hub(denoiser_id: str) -> bool:
    """Say whether a denoiser's weights come from the Hugging Face Hub."""
    return denoiser_id in MODELS and hub_source(denoiser_id) is not None


_BACKGROUND = BackgroundLoader(create_denoiser)
