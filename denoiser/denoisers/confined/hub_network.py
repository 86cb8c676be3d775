"""A network of the layout that ``train push`` writes, in the process of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from denoiser.architectures import build_network
from denoiser.denoisers.network import from_config
from denoiser.weights.checkpoint import find_pretrained


def load(folder: str) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Build the network that lies in a folder.

    Returns:
        What denoises a picture, see :data:`~denoiser.denoisers.confined.worker.Run`, and what there is
        to know about it.

    Raises:
        WeightsError: It is none.
    """
    checkpoint = find_pretrained(Path(folder))
    config = checkpoint.config
    network = checkpoint.load(lambda: build_network(config.architecture, config.settings))
    denoiser = from_config(config, network)

    def run(picture: np.ndarray) -> np.ndarray:
        if picture.shape[2] == 3:
            return denoiser(picture)
        return denoiser(picture[..., 0])[..., None]

    parameters = sum(p.numel() for p in network.parameters())
    return run, {"parameters": parameters, "channels": network.channels}
