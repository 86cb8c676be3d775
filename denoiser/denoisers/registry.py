"""The list of all denoisers, and how to get one by id."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from types import MappingProxyType

from denoiser.denoisers.background import BackgroundLoader, LoadingError
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.denoisers.network import load_denoiser, read_info
from denoiser.denoisers.own_model import GONE, OWN_MODEL, OwnModel
from denoiser.denoisers.probability_flow import ProbabilityFlow, describe_flow
from denoiser.noise import Parameter
from denoiser.weights.checkpoint import CONFIG_NAME, WEIGHTS, WeightsError, hub_source

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
    "flow-unet",
)
"""Trained models, each a folder in weights/. A new one is its folder and one line here."""

COLOUR_MODELS: tuple[str, ...] = (
    "attention-unet-colour",
    "residual-unet-colour",
    "autoencoder-colour",
    "patchgan-colour.pixel-shuffle",
)
"""Trained models that see a colour picture as a whole; likewise."""

PRIORS: Mapping[str, str] = {"residual-unet-flow": "residual-unet"}
"""Methods that run a trained model several times: id, and whose weights they use."""

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


def _flow_of(flow_id: str) -> Denoiser:
    prior = create_denoiser(PRIORS[flow_id])
    return ProbabilityFlow(describe_flow(flow_id, prior.info), prior)


def _itself(method: Denoiser) -> Denoiser:
    return method


REGISTRY = Registry(
    [
        *((model_id, partial(load_denoiser, model_id)) for model_id in MODELS),
        *((flow_id, partial(_flow_of, flow_id)) for flow_id in PRIORS),
        *((method.info.id, partial(_itself, method)) for method in CLASSICAL_DENOISERS),
        *((model_id, partial(load_denoiser, model_id)) for model_id in COLOUR_MODELS),
    ]
)


def list_denoisers(colour: bool = False) -> list[str]:
    """Return the ids of all denoisers: trained models first, then filters.

    Args:
        colour: Whether to list those for pictures in colour: also the networks that see the three
            channels as a whole. On gray ones they are decibels behind the others: noise that is the
            same in all channels they take for detail.
    """
    return [name for name in REGISTRY.ids() if colour or name not in COLOUR_MODELS]


@cache
def create_denoiser(denoiser_id: str) -> Denoiser:
    """Return a denoiser by id. Weights are loaded once, and shared: a denoiser keeps no state.

    Raises:
        ValueError: Unknown id; the message lists the known ones.
        WeightsError: Its weights are missing or damaged.
    """
    return REGISTRY.create(denoiser_id)


def model_of(denoiser_id: str) -> str | None:
    """Return the trained model whose weights a denoiser uses; None for filters."""
    model_id = PRIORS.get(denoiser_id, denoiser_id)
    return model_id if model_id in (*MODELS, *COLOUR_MODELS) else None


def describe_denoiser(denoiser_id: str) -> DenoiserInfo:
    """Describe a denoiser without loading weights.

    Raises:
        ValueError: Unknown id.
        WeightsError: The ``config.json`` of its weights is missing or damaged.
    """
    model_id = model_of(denoiser_id)
    if model_id is None:
        return create_denoiser(denoiser_id).info
    info = _read_info(model_id)
    return info if model_id == denoiser_id else describe_flow(denoiser_id, info)


def _read_info(model_id: str) -> DenoiserInfo:
    """Read what a model is; from weights/ only once, until its ``config.json`` is another one."""
    path = WEIGHTS / model_id / CONFIG_NAME
    if hub_source(model_id) is not None or not path.is_file():
        return read_info(model_id)
    return _info_of(model_id, path.stat().st_mtime_ns)


@lru_cache(maxsize=100)
def _info_of(model_id: str, changed: int) -> DenoiserInfo:
    return read_info(model_id)


def list_hyperparameters(denoiser_ids: Iterable[str]) -> list[tuple[str, Parameter]]:
    """Return the ids and hyperparameters of those denoisers that have any and can be described."""
    pairs: list[tuple[str, Parameter]] = []
    for denoiser_id in denoiser_ids:
        with contextlib.suppress(WeightsError):
            pairs += [(denoiser_id, p) for p in describe_denoiser(denoiser_id).hyperparameters]
    return pairs


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
    model_id = model_of(denoiser_id)
    if model_id is not None and comes_from_hub(denoiser_id):
        _BACKGROUND.ensure(model_id, wait)  # one load for all that use the same weights


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


def find_available(
    denoiser_ids: Iterable[str],
    wait: float = 0.0,
    hyperparameters: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    own: OwnModel | None = None,
) -> Available:
    """Get the denoisers that can run; one that has no weights does not stop the others.

    Args:
        denoiser_ids: Known ids; :data:`OWN_MODEL` stands for ``own``.
        wait: How many seconds to wait, in all, for those that come from the Hub; they are fetched at
            the same time.
        hyperparameters: Those that are not at their defaults, by id and name.
        own: The model that whoever asks has brought along.

    Raises:
        ValueError: See :meth:`Denoiser.with_hyperparameters`.
    """
    ids = list(denoiser_ids)
    deadline = time.monotonic() + wait
    for denoiser_id in [name for name in ids if name != OWN_MODEL] if wait else ():
        with contextlib.suppress(WeightsError):
            ensure_loaded(denoiser_id)
    denoisers: dict[str, Denoiser] = {}
    failures: dict[str, str] = {}
    loading: dict[str, str] = {}
    for denoiser_id in ids:
        if denoiser_id == OWN_MODEL:
            if own is None:
                failures[denoiser_id] = GONE
            else:
                denoisers[denoiser_id] = own
            continue
        try:
            ensure_loaded(denoiser_id, max(0.0, deadline - time.monotonic()))
            denoiser = create_denoiser(denoiser_id)
            denoisers[denoiser_id] = denoiser.with_hyperparameters(
                **hyperparameters.get(denoiser_id, {})
            )
        except LoadingError as error:
            loading[denoiser_id] = str(error)
        except WeightsError as error:
            failures[denoiser_id] = str(error)
    return Available(denoisers, failures, loading)


def comes_from_hub(denoiser_id: str) -> bool:
    """Say whether a denoiser's weights come from the Hugging Face Hub."""
    model_id = model_of(denoiser_id)
    return model_id is not None and hub_source(model_id) is not None


_BACKGROUND = BackgroundLoader(create_denoiser)
