"""Train a mixture of experts: each expert on its own noises, the router on which noise is whose."""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812

from denoiser.architectures.expert_unet import ExpertUNet
from train.config import ROUTER, Component, TrainConfig, owner_of
from train.modules.losses import reconstruction_loss
from train.modules.mixture import NoiseMixture
from train.modules.supervised import Engine, SupervisedModule

_ROUTER_RATE = 10  # times the experts' learning rate


class ExpertModule(SupervisedModule):
    """Supervised training where the mixture says which expert a picture is for.

    Each expert gets equally many pictures of a batch; weights only tell its own noises from each other.
    The router is told the right answer, and has no say in what an expert learns; validation goes the way
    that it chooses. Neither loss touches what the other teaches, so they need no weights.

    Args:
        config: The training run; its network has experts.
        engine: See :class:`SupervisedModule`.
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__(config, engine)
        network = cast(ExpertUNet, self.network)
        noises = deal_to_experts(config.noise, network.config.experts)
        self.mixtures = {name: NoiseMixture(parts) for name, parts in noises.items()}
        self._learners = config.only or (*self.mixtures, ROUTER)
        if ROUTER not in self._learners:  # it has to see all noises
            self.mixtures = {name: self.mixtures[name] for name in config.only}
        # What has no gradient, the optimizer leaves as it is.
        network.requires_grad_(False)
        for name in self._learners:
            module = network.router if name == ROUTER else network.experts[name]
            if module is not None:
                module.requires_grad_(True)

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
        sizes = share_out(len(clean), len(self.mixtures))
        noisy, denoised, originals, experts = [], [], [], []
        for own, (name, mixture) in zip(clean.split(sizes), self.mixtures.items(), strict=True):
            noisy.append(self.to_network(mixture(own, *self.sources)))
            experts += [network.config.experts.index(name)] * len(own)
            if name in self._learners:
                denoised.append(self.run(network.experts[name], network.expert_input(noisy[-1])))
                originals.append(own)
        target = torch.tensor(experts).to(self.device, non_blocking=True)
        losses = {"routing_loss": F.cross_entropy(network.score_experts(torch.cat(noisy)), target)}
        if originals:
            pictures = torch.cat(denoised), torch.cat(originals).to(self.device)
            losses["train_loss"] = reconstruction_loss(*pictures, self.config.loss)
        self.log_dict(losses, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return sum(losses.values(), clean.new_zeros(()).to(self.device))


def deal_to_experts(
    noise: tuple[Component, ...], experts: tuple[str, ...]
) -> dict[str, tuple[Component, ...]]:
    """Return each expert's own noises; what names none of them is for the first.

    Raises:
        ValueError: There is none for one of them.
    """
    owners = [owner_of(part, experts) for part in noise]
    noises = {
        name: tuple(part for part, owner in zip(noise, owners, strict=True) if owner == name)
        for name in experts
    }
    idle = [name for name, parts in noises.items() if not parts]
    if idle:
        raise ValueError(f"no [[noise]] is for the expert {', '.join(idle)}")
    return noises


def share_out(count: int, parts: int) -> list[int]:
    """Split a number into so many parts that differ by 1 at most; the larger ones come first."""
    least, more = divmod(count, parts)
    return [least + 1] * more + [least] * (parts - more)
