"""The app with one more method of two parts, made up: ``python -m tests.browser.two_part_app``."""

import torch

from denoiser.architectures import build_network
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import REGISTRY

MIDDLE = 0.25
"""The even gray of its intermediate image."""


def tiny_two_part() -> NetworkDenoiser:
    """Make a dual autoencoder whose first half always answers :data:`MIDDLE`."""
    network = build_network("dual-autoencoder", {"first_encoder": [4, 4, 4]}).eval()
    output = network.first_decoder.output
    with torch.no_grad():
        output.weight.zero_()
        output.bias.fill_(torch.logit(torch.tensor(MIDDLE)).item())
    info = DenoiserInfo("tiny-two", "Tiny two", "autoencoder", False, None, 0, "-")
    return NetworkDenoiser(info, network)


if __name__ == "__main__":
    REGISTRY.add("tiny-two", tiny_two_part)

    from app import demo, faces
    from denoiser.ui.page import launch

    launch(demo, faces)
