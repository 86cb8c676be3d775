"""The one place that opens a checkpoint: safetensors only, checked before use.

A model is a folder: ``config.json`` says what to build, ``model.safetensors`` holds its weights in
half precision. Folders live in ``weights/``.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from .architectures import Network, build_network, channels_last
from .base import Family

WEIGHTS = Path(__file__).parent.parent / "weights"
CONFIG_NAME = "config.json"
MODEL_NAME = "model.safetensors"


class WeightsError(RuntimeError):
    """A model's files are missing, damaged, or don't fit each other; the message says which."""


@dataclass(frozen=True)
class ModelConfig:
    """What ``config.json`` says about a model.

    Attributes:
        id: Denoiser id.
        label: Name for people.
        family: ``"network"``, ``"GAN"``, ``"autoencoder"`` or ``"hybrid"``.
        architecture: Key of :data:`~denoiser.architectures.ARCHITECTURES`.
        settings: Fields of that architecture's config dataclass.
        trained_on: The training noise, in words.
        parameters: Number of weights.
        reference: The paper.
    """

    id: str
    label: str
    family: Family
    architecture: str
    settings: dict[str, Any]
    trained_on: str
    parameters: int
    reference: str


def read_config(model_id: str, folder: Path = WEIGHTS) -> ModelConfig:
    """Read a model's ``config.json``.

    Raises:
        WeightsError: It is missing or is not such a file.
    """
    path = folder / model_id / CONFIG_NAME
    try:
        return ModelConfig(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise WeightsError(
            f"The model {model_id!r} has no weights here; `python -m train fit` makes them"
        ) from None
    except (OSError, ValueError, TypeError):
        raise WeightsError(f"The config.json of the model {model_id!r} can't be read") from None


def load_network(model_id: str, folder: Path = WEIGHTS) -> Network:
    """Build a model's network and load its weights, in float32, ready to run.

    Raises:
        WeightsError: A file is missing, damaged, or holds the weights of another architecture.
    """
    config = read_config(model_id, folder)
    try:
        network = build_network(config.architecture, config.settings)
    except (ValueError, TypeError):
        raise WeightsError(
            f"The model {model_id!r} names an architecture that this version doesn't have"
        ) from None
    path = folder / model_id / MODEL_NAME
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"The weight file of the model {model_id!r} is missing") from None
    except (SafetensorError, OSError):
        raise WeightsError(
            f"The weight file of the model {model_id!r} is damaged; download it again"
        ) from None
    try:
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}, strict=True
        )
    except RuntimeError:
        raise WeightsError(
            f"The weight file of the model {model_id!r} doesn't fit its config.json"
        ) from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise WeightsError(f"The weight file of the model {model_id!r} holds NaN or infinity")
    return channels_last(network.eval().requires_grad_(False))


def save_model(network: nn.Module, config: ModelConfig, folder: Path = WEIGHTS) -> Path:
    """Write a model's folder: weights in half precision, and its config.

    Returns:
        The folder.
    """
    target = folder / config.id
    target.mkdir(parents=True, exist_ok=True)
    state = {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu()
        for k, v in network.state_dict().items()
    }
    save_file(state, target / MODEL_NAME, metadata={"format": "pt"})
    (target / CONFIG_NAME).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    return target
