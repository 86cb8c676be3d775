"""The one place that opens a checkpoint: safetensors only, checked before use.

A model is a folder: ``config.json`` says what to build, ``model.safetensors`` holds its weights in
half precision. One that was trained against a discriminator has that too, likewise in two files. Folders
live in ``weights/``. With ``DENOISER_HUB_NAMESPACE`` set, all models come from that user or organization
on the Hugging Face Hub instead, and ``weights/`` is not used.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from denoiser.weights.hub import WEIGHTS_VERSION, cached_file, fetch_file
from denoiser.weights.hub_errors import HubError
from denoiser.weights.training_noise import TrainingNoise, describe_trained_on, parse_trained_on

_SHIPPED = Path(__file__).parents[1] / "shipped"  # where a wheel has what the repository has in weights/
WEIGHTS = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2] / "weights"
Family = Literal["network", "GAN", "flow", "autoencoder", "classical", "hybrid", "own"]

CONFIG_NAME = "config.json"
MODEL_NAME = "model.safetensors"

NAMESPACE_VARIABLE = "DENOISER_HUB_NAMESPACE"
"""Environment variable: whose models on the Hub to use."""

REVISION_VARIABLE = "DENOISER_HUB_REVISION"
"""Environment variable: which commit, tag or branch of them; without it, ``WEIGHTS_VERSION``."""

MAX_PARAMETERS = 50_000_000
"""Weights that a network may have; in half precision, as many as a file from the Hub may hold."""

MAX_CONFIG_BYTES = 100_000
MAX_MODEL_BYTES = 100_000_000

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class TooLargeError(ValueError):
    """A config asks for a network that is too large; the message says what is allowed."""


class WeightsError(RuntimeError):
    """A model's files are missing, damaged, or don't fit each other; the message says which.

    Attributes:
        retry_after: Seconds that the Hub asked to wait before the next try; 0 where it did not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0):
        super().__init__(message)
        self.retry_after = retry_after


@contextlib.contextmanager
def hub_errors_as_weights() -> Iterator[None]:
    """Raise what the Hub fails with as :class:`WeightsError`, in the same words."""
    try:
        yield
    except HubError as error:
        raise WeightsError(str(error), error.retry_after) from None


@dataclass(frozen=True)
class HubSource:
    """Where on the Hub a model is.

    Attributes:
        repo_id: Such as ``"NAME/fer2013-patchgan"``.
        revision: A commit, tag or branch.
    """

    repo_id: str
    revision: str


@dataclass(frozen=True)
class ModelConfig:
    """What ``config.json`` says about a model.

    Attributes:
        id: Denoiser id.
        label: Name for people.
        family: One of :data:`Family`, but not ``"classical"`` or ``"own"``.
        architecture: Key of :data:`~denoiser.architectures.ARCHITECTURES`.
        settings: Fields of that architecture's config dataclass.
        trained_on: The training noise; of models of older versions in words.
        parameters: Number of weights.
        reference: The paper.
        clipped_input: Whether it was trained on pictures clipped to [0, 1], as all of ours were.
        validation: The noises it was selected on, as kind and parameters, by their names in its history.
    """

    id: str
    label: str
    family: Family
    architecture: str
    settings: dict[str, Any]
    trained_on: tuple[TrainingNoise, ...] | str
    parameters: int
    reference: str
    clipped_input: bool = True
    validation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def trained_on_words(self) -> str:
        """The training noise, in words."""
        told = self.trained_on
        return told if isinstance(told, str) else describe_trained_on(told)


def hub_source(model_id: str) -> HubSource | None:
    """Say where on the Hub a model comes from; None if it comes from ``weights/``."""
    namespace = os.environ.get(NAMESPACE_VARIABLE, "").strip()
    if not namespace:
        return None
    revision = os.environ.get(REVISION_VARIABLE, "").strip() or WEIGHTS_VERSION
    return HubSource(hub_repo_id(namespace, model_id), revision)


def hub_repo_id(namespace: str, model_id: str) -> str:
    """Return the id of a model's repository on the Hub, which names the faces it was trained on.

    Args:
        namespace: Whose repository: a user or an organisation.
        model_id: Networks for colour end in ``-colour``, before a specialist's suffix.
    """
    colour = model_id.partition(".")[0].endswith("-colour")
    return f"{namespace}/{'colour-faces' if colour else 'fer2013'}-{model_id}"


def read_config(model_id: str, folder: Path = WEIGHTS) -> ModelConfig:
    """Read a model's ``config.json``.

    Raises:
        WeightsError: It is missing, or is not such a file, or is another model's.
    """
    config = _read_config(folder / model_id / CONFIG_NAME, f"model {model_id!r}")
    if config.id != model_id:
        raise WeightsError(f"The config.json of the model {model_id!r} is another model's.")
    return config


def build_on_meta(build: Callable[[], ModuleT], name: str) -> ModuleT:
    """Build a network without memory and weights: a config may ask for more than there is.

    Args:
        build: Builds it.
        name: What to call the model in an error.

    Raises:
        WeightsError: It can't be built.
    """
    try:
        with torch.device("meta"):
            return build()
    except TooLargeError as error:
        raise WeightsError(f"The config.json of the {name} asks for too much: {error}.") from None
    except (ValueError, TypeError):
        raise WeightsError(f"The {name} names an architecture that this version doesn't have.") from None


@dataclass(frozen=True)
class Checkpoint:
    """A model whose config has been read and whose weights have not.

    Attributes:
        config: What to build.
        name: What to call it in an error.
        get_weights: Says where its weights are, after fetching them where they are missing.
    """

    config: ModelConfig
    name: str
    get_weights: Callable[[], Path]

    def load(self, build: Callable[[], ModuleT]) -> ModuleT:
        """Build the network and load its weights, in float32, ready to run.

        Args:
            build: Builds it.

        Raises:
            WeightsError: It can't be built, or its weights are missing, damaged or another network's.
        """
        network = build_on_meta(build, self.name)  # no need to fetch weights for what can't be used
        with hub_errors_as_weights():
            path = self.get_weights()
        return fill(network, path, self.name)


def find_checkpoint(model_id: str, folder: Path = WEIGHTS) -> Checkpoint:
    """Read a model's config, and say where its weights are.

    Raises:
        WeightsError: The config is missing or damaged, or another model's.
    """
    config = read_config(model_id, folder)
    return Checkpoint(config, f"model {model_id!r}", lambda: folder / model_id / MODEL_NAME)


def find_on_hub(source: HubSource) -> Checkpoint:
    """Read the config of a model in the Hub's cache, after downloading it if it is missing there.

    Raises:
        WeightsError: It can't be had, or is no model's.
    """
    name = f"model {source.repo_id!r}"
    with hub_errors_as_weights():
        config_file = fetch_file(
            source.repo_id, CONFIG_NAME, revision=source.revision, max_bytes=MAX_CONFIG_BYTES
        )
    # The weights of the same commit, even if the tag is moved at this moment.
    commit = config_file.parent.name
    return Checkpoint(
        _read_config(config_file, name),
        name,
        lambda: fetch_file(source.repo_id, MODEL_NAME, revision=commit, max_bytes=MAX_MODEL_BYTES),
    )


def find_pretrained(name: str | Path, revision: str | None = None) -> Checkpoint:
    """Find a model by the name of its folder or of its repository on the Hub.

    Args:
        name: A folder with ``config.json`` and ``model.safetensors``, or an id such as
            ``"NAME/fer2013-patchgan"``; a folder that exists comes first.
        revision: Commit, tag or branch on the Hub; None takes
            :data:`~denoiser.weights.hub.WEIGHTS_VERSION`.

    Raises:
        WeightsError: It can't be had, or is no model.
    """
    folder = Path(name)
    if not folder.is_dir():
        return find_on_hub(HubSource(str(name), revision or WEIGHTS_VERSION))
    label = f"model {folder.resolve().name!r}"
    config = _read_config(folder / CONFIG_NAME, label)
    return Checkpoint(config, label, lambda: folder / MODEL_NAME)


def read_cached_config(source: HubSource) -> ModelConfig | None:
    """Read the ``config.json`` of a model on the Hub if it is in the cache; asks the Hub for nothing.

    Raises:
        WeightsError: It is not such a file.
    """
    path = cached_file(source.repo_id, CONFIG_NAME, revision=source.revision)
    return None if path is None else _read_config(path, f"model {source.repo_id!r}")


def _read_config(path: Path, name: str) -> ModelConfig:
    try:
        values = read_json(path)
        if not isinstance(values["trained_on"], str):
            values["trained_on"] = parse_trained_on(values["trained_on"])
        config = ModelConfig(**values)
    except FileNotFoundError:
        raise WeightsError(
            f"The {name} has no weights here; `python -m train fit` makes them, and with "
            f"{NAMESPACE_VARIABLE} set they come from the Hugging Face Hub."
        ) from None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        raise WeightsError(f"The config.json of the {name} can't be read.") from None
    texts = (config.id, config.label, config.family, config.reference)
    fits = isinstance(config.parameters, int) and isinstance(config.clipped_input, bool)
    fits = fits and isinstance(config.validation, dict)
    fits = fits and config.family in get_args(Family)
    if not fits or not all(isinstance(text, str) for text in texts):
        raise WeightsError(f"The config.json of the {name} can't be read.")
    return config


def read_json(path: Path) -> Any:
    """Read a config, which is a small file.

    Raises:
        ValueError: It is none.
        OSError: It can't be read.
    """
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError("too large for a config")
    return json.loads(path.read_text(encoding="utf-8"))


def channels_last(network: ModuleT) -> ModuleT:
    """Lay a network's weights out with the channels last: about 1.8 times as fast on the CPU."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fill(network: ModuleT, path: Path, name: str, config_name: str = CONFIG_NAME) -> ModuleT:
    """Give a network without memory its weights, in float32; it is then ready to run.

    Args:
        network: On the device ``meta``.
        path: A file of safetensors.
        name: What to call the model in an error.
        config_name: The file that said what to build.

    Raises:
        WeightsError: The file is missing, damaged, too large, or another network's.
    """
    parameters = sum(p.numel() for p in network.parameters())
    if parameters > MAX_PARAMETERS:
        raise WeightsError(
            f"The {name} would have {parameters:,} weights, more than {MAX_PARAMETERS:,}."
        )
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise WeightsError(f"The weight file of the {name} is larger than a model's may be.")
        state = load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"The weight file of the {name} is missing.") from None
    except (SafetensorError, OSError):
        raise WeightsError(f"The weight file of the {name} is damaged; download it again.") from None
    wanted = {key: tensor.shape for key, tensor in network.state_dict().items()}
    if {key: tensor.shape for key, tensor in state.items()} != wanted:
        raise WeightsError(f"The weight file of the {name} doesn't fit its {config_name}.")
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise WeightsError(f"The weight file of the {name} holds NaN or infinity.")
    network.load_state_dict(state, assign=True)
    return channels_last(network.eval().requires_grad_(False))


def model_files(network: nn.Module, config: ModelConfig) -> dict[str, bytes]:
    """Return what a model's folder holds, by file name: its config, and weights in half precision.

    Raises:
        WeightsError: The weights hold NaN or infinity, or do so in half precision.
    """
    return {
        CONFIG_NAME: config_bytes(config),
        MODEL_NAME: weight_bytes(network, f"model {config.id!r}"),
    }


def config_bytes(config: Any) -> bytes:
    """Write a config, a dataclass, as JSON."""
    return (json.dumps(asdict(config), indent=2) + "\n").encode()


def weight_bytes(network: nn.Module, name: str) -> bytes:
    """Write weights in half precision.

    Raises:
        WeightsError: They hold NaN or infinity, or do so in half precision.
    """
    state = {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu()
        for k, v in network.state_dict().items()
    }
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise WeightsError(f"The weights of the {name} hold NaN or infinity, so they are not written.")
    return save(state, metadata={"format": "pt"})
