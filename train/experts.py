"""Train a mixture of experts: each expert on its own noises, the router on which noise is whose."""

from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812

from denoiser.architectures.expert_unet import ExpertUNet

from .config import TrainConfig
from .losses import reconstruction_loss
from .supervised import SupervisedModule

_ROUTER_RATE = 10  # times the experts' learning rate


class ExpertModule(SupervisedModule):
    """Supervised training where the mixture says which expert a picture is for.

    The router is told the right answer, and has no say in what an expert learns; validation goes the way
    that it chooses. Neither loss touches what the other teaches, so they need no weights.

    Args:
        config: The training run; its network has experts.
    """

    def __init__(self, config: TrainConfig):
        if config.only:
            own = tuple(part for part in config.noise if part.expert == config.only)
            config = replace(config, noise=own)
        super().__init__(config)
        network = cast(ExpertUNet, self.network)
        names = network.config.experts
        places = [names.index(part.expert) if part.expert in names else 0 for part in config.noise]
        self.expert_of = torch.tensor(places)
        if config.only:
            # What has no gradient, the optimizer leaves as it is.
            network.requires_grad_(False)
            network.experts[config.only].requires_grad_(True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The experts', and the router's, which starts from nothing and learns at a higher rate."""
        network = cast(ExpertUNet, self.network)
        groups: list[dict[str, Any]] = [{"params": list(network.experts.parameters())}]
        if network.router is not None:
            rate = _ROUTER_RATE * self.config.learning_rate
            groups.append({"params": list(network.router.parameters()), "lr": rate})
        return groups

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """The reconstruction loss of each picture's own expert, and the router's cross-entropy."""
        network = cast(ExpertUNet, self.network)
        clean = self.make_clean(batch)
        parts = self.mixture.draw(clean, self.generator)
        noisy = self.mixture.corrupt(clean, parts, self.generator)
        clean, noisy, parts = (made.to(self.device) for made in (clean, noisy, parts))
        expert = self.expert_of.to(parts.device)[parts]
        distortion = reconstruction_loss(network.denoise_with(noisy, expert), clean, self.config.loss)
        routing = F.cross_entropy(network.score_experts(noisy), expert)
        self.log_dict(
            {"train_loss": distortion, "routing_loss": routing},
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
        )
        return distortion + routing
