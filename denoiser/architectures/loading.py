"""From a checkpoint to a network that runs: the architecture that a config names, with its weights."""

from collections.abc import Callable
from pathlib import Path

import torch

from denoiser.architectures import build_network
from denoiser.architectures.network import Network
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.weights.checkpoint import (
    MAX_CONFIG_BYTES,
    MAX_MODEL_BYTES,
    WEIGHTS,
    Checkpoint,
    HubSource,
    ModelConfig,
    WeightsError,
    build_on_meta,
    config_bytes,
    fill,
    find_checkpoint,
    find_on_hub,
    hub_errors_as_weights,
    hub_source,
    read_cached_config,
    read_config,
    read_json,
    weight_bytes,
)
from denoiser.weights.hub import cached_file, fetch_file, list_files

DISCRIMINATOR_CONFIG_NAME = "discriminator.json"
DISCRIMINATOR_NAME = "discriminator.safetensors"


def load_network(model_id: str, folder: Path = WEIGHTS) -> Network:
    """Build a model's network and load its weights, in float32, ready to run.

    Raises:
        WeightsError: A file is missing, damaged, or holds the weights of another architecture.
    """
    return _load(find_checkpoint(model_id, folder))


def load_from_hub(source: HubSource) -> tuple[ModelConfig, Network]:
    """Load a model from the Hub's cache, after downloading what is missing there.

    Raises:
        WeightsError: It can't be had, or is not what :func:`load_network` would accept.
    """
    checkpoint = find_on_hub(source)
    return checkpoint.config, _load(checkpoint)


def build_empty(model_id: str) -> Network:
    """Build a model's network without memory and weights, to ask what it is made of.

    Reads the same config as :func:`~denoiser.denoisers.network.read_info`; asks the Hub for nothing.

    Raises:
        WeightsError: Its ``config.json`` is missing or damaged.
    """
    source = hub_source(model_id)
    cached = None if source is None else read_cached_config(source)
    config = cached or read_config(model_id)
    return build_on_meta(
        lambda: build_network(config.architecture, config.settings), f"model {model_id!r}"
    )


def load_discriminator(model_id: str, folder: Path = WEIGHTS) -> PatchDiscriminator:
    """Load the discriminator that a model was trained against, in float32, ready to run.

    Raises:
        WeightsError: There is none, or it is damaged, or its files don't fit each other.
    """
    name = f"discriminator of the model {model_id!r}"
    path = folder / model_id / DISCRIMINATOR_CONFIG_NAME
    if not path.exists():
        raise _no_discriminator(f"model {model_id!r}")
    return _fill_discriminator(path, lambda: folder / model_id / DISCRIMINATOR_NAME, name)


def load_discriminator_from_hub(source: HubSource) -> PatchDiscriminator:
    """Load a discriminator from the Hub's cache, after downloading what is missing there.

    Raises:
        WeightsError: The repository has none, or it can't be had, or is not what
            :func:`load_discriminator` would accept.
    """
    revision = source.revision
    with hub_errors_as_weights():
        cached = cached_file(source.repo_id, DISCRIMINATOR_CONFIG_NAME, revision=revision)
        if cached is None and DISCRIMINATOR_CONFIG_NAME not in list_files(
            source.repo_id, revision=revision
        ):
            raise _no_discriminator(f"model {source.repo_id!r}")
        path = fetch_file(
            source.repo_id, DISCRIMINATOR_CONFIG_NAME, revision=revision, max_bytes=MAX_CONFIG_BYTES
        )
        commit = path.parent.name  # the weights of the same commit
        return _fill_discriminator(
            path,
            lambda: fetch_file(
                source.repo_id, DISCRIMINATOR_NAME, revision=commit, max_bytes=MAX_MODEL_BYTES
            ),
            f"discriminator of the model {source.repo_id!r}",
        )


def discriminator_files(network: PatchDiscriminator | None) -> dict[str, bytes | None]:
    """Return what a discriminator adds to its model's folder, by file name; None for a file too many.

    Raises:
        WeightsError: See :func:`~denoiser.weights.checkpoint.model_files`.
    """
    if network is None:
        return {DISCRIMINATOR_CONFIG_NAME: None, DISCRIMINATOR_NAME: None}
    return {
        DISCRIMINATOR_CONFIG_NAME: config_bytes(network.config),
        DISCRIMINATOR_NAME: weight_bytes(network, "discriminator"),
    }


def _load(checkpoint: Checkpoint) -> Network:
    config = checkpoint.config
    return checkpoint.load(lambda: build_network(config.architecture, config.settings))


def _no_discriminator(name: str) -> WeightsError:
    return WeightsError(f"The {name} comes without the discriminator it was trained against.")


def _fill_discriminator(
    config_path: Path, get_weights: Callable[[], Path], name: str
) -> PatchDiscriminator:
    try:
        config = PatchDiscriminatorConfig(**read_json(config_path))
    except (OSError, ValueError, TypeError, RecursionError):
        raise WeightsError(f"The {DISCRIMINATOR_CONFIG_NAME} of the {name} can't be read.") from None
    with torch.device("meta"):
        network = PatchDiscriminator(config)
    return fill(network, get_weights(), name, DISCRIMINATOR_CONFIG_NAME)
