"""A mixture of experts: residual U-Nets, each for one sort of noise, and a router that picks one.

References:
    R. A. Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 3(1), 1991,
    doi:10.1162/neco.1991.3.1.79; W. Fedus et al., "Switch transformers", JMLR 23(120), 2022,
    arXiv:2101.03961: one expert for each input, so that a picture costs what one expert costs.

A network trained for one noise is better at it than one of the same size trained for all. Told nothing
about the noise, this one is as blind as the others: the router has to see it in the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from denoiser.architectures.impulses import with_extremes
from denoiser.architectures.network import Network, WindowFunction, activation
from denoiser.architectures.residual_unet import EXPERTS, ResidualUNet, ResidualUNetConfig, part_of

_ROUTER_WIDTH = 24
_LEAST_POWER = 1e-6  # far below the faintest noise's
_ROUTER, _CHOICE = "router.", "scores.2."  # what names of weights begin with


@dataclass(frozen=True)
class ExpertUNetConfig(ResidualUNetConfig):
    """Shape of an :class:`ExpertUNet`; that of each expert, see :class:`ResidualUNetConfig`.

    Attributes:
        experts: What each expert is for. The first also takes what none is for.

    Raises:
        ValueError: ``channels`` is not 1.
    """

    experts: tuple[str, ...] = ("general",)

    def __post_init__(self) -> None:
        if self.channels != 1:
            raise ValueError("experts see gray pictures: channels must be 1")


class ExpertUNet(Network):
    """Residual U-Nets, of which each picture goes through one.

    Sides of the input must be multiples of :attr:`multiple_of`.

    Raises:
        ValueError: There is no expert, or two have the same name, or a name won't do for a module; or
            see :class:`ResidualUNet`.
    """

    architecture = "expert-unet"
    Config = ExpertUNetConfig

    def __init__(self, config: ExpertUNetConfig):
        super().__init__()
        self.config = config
        names = config.experts
        if not names or len(set(names)) < len(names):
            raise ValueError("experts needs one name or more, each once")
        try:
            self.experts = nn.ModuleDict({name: ResidualUNet(config) for name in names})
        except KeyError as error:  # an empty name, one with a dot, or one that ModuleDict uses itself
            raise ValueError(f"an expert can't have this name: {error}") from None
        self.router = Router(len(names)) if len(names) > 1 else None

    @property
    def multiple_of(self) -> int:
        """As the experts'."""
        return self._expert(self.config.experts[0]).multiple_of

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a residual U-Net's weights, for every expert; or those of experts of the same names.

        The router's too; what it chooses by, if it chooses among others. See :meth:`Network.start_from`.
        """
        mixture = any(name.startswith(EXPERTS) for name in state)
        for name in self.config.experts:
            self._expert(name).start_from(part_of(state, f"{EXPERTS}{name}.") if mixture else state)
        router = part_of(state, _ROUTER)
        if self.router is not None and router:
            others = dict.fromkeys(name.split(".")[1] for name in state if name.startswith(EXPERTS))
            if tuple(others) != self.config.experts:
                own = self.router.state_dict()
                router |= {name: own[name] for name in own if name.startswith(_CHOICE)}
            self.router.load_state_dict(router)

    def score_experts(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return how much each expert is the one for a picture, (B, experts), not yet probabilities."""
        if self.router is None:
            return noisy.new_zeros(len(noisy), 1)
        return self.router(noisy)

    def expert_input(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return what an expert sees of noisy pictures, (B, inputs, H, W): the pictures themselves."""
        return noisy

    def denoise_with(self, noisy: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        """Send each picture through one expert.

        Args:
            noisy: (B, 1, H, W).
            choice: (B,) places in the config's ``experts``.

        Returns:
            (B, 1, H, W), not clipped.
        """
        denoised = torch.empty_like(noisy)
        inputs = self.expert_input(noisy)
        # What is exported can't ask which experts are wanted: each gets its pictures, be there none.
        everyone = list(range(len(self.config.experts)))
        for place in everyone if torch.compiler.is_exporting() else choice.unique().tolist():
            mask = choice == place
            denoised[mask] = self._expert(self.config.experts[place])(inputs[mask])
        return denoised

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        return self.denoise_with(noisy, self.score_experts(noisy).argmax(dim=1))

    @property
    def needs_statistics(self) -> bool:
        """Where there is a router: it looks at all of a picture."""
        return self.router is not None

    def statistics(self, noisy: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        """Return what the router goes by. See :meth:`Network.statistics`."""
        if self.router is None:
            return super().statistics(noisy, rows, columns)
        return self.router.powers(noisy, rows, columns)

    def for_windows(
        self, statistics: torch.Tensor, shape: tuple[int, int], **values: float
    ) -> WindowFunction:
        """One expert for all windows of a picture. See :meth:`Network.for_windows`."""
        if self.router is None:
            return super().for_windows(statistics, shape, **values)
        choice = self.router.score(statistics).argmax(dim=1)
        return lambda noisy, index, rows, columns: self.denoise_with(noisy, choice[index : index + 1])

    def _expert(self, name: str) -> ResidualUNet:
        return cast(ResidualUNet, self.experts[name])


class Router(nn.Module):
    """Tells the noise of a whole picture: convolutions, their responses' power, a score for each expert.

    The power grows with the noise, and its logarithm by as much for faint as for strong noise; from
    different filters, and from black and white pixels, one sort of noise can be told from another.

    Args:
        experts: How many there are to choose from.
    """

    def __init__(self, experts: int):
        super().__init__()
        width = _ROUTER_WIDTH
        self.fine = nn.Conv2d(3, width, 3, padding=1)
        self.coarse = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.scores = nn.Sequential(
            nn.Linear(3 * width, 2 * width), activation(), nn.Linear(2 * width, experts)
        )

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return scores, (B, experts), of pictures (B, 1, H, W) in [0, 1]."""
        with torch.autocast(noisy.device.type, enabled=False):  # faint noise is lost on bfloat16
            return self.score(self.powers(noisy))

    def powers(
        self, noisy: torch.Tensor, rows: slice = slice(None), columns: slice = slice(None)
    ) -> torch.Tensor:
        """Return the responses' mean power in a part of the pictures, (B, filters); see :meth:`forward`.

        Args:
            noisy: (B, 1, H, W) in [0, 1].
            rows: Of the part, even; all by default.
            columns: Likewise.
        """
        fine = self.fine(with_extremes(noisy)).relu()
        coarse = self.coarse(fine).relu()
        parts = fine[:, :, rows, columns], coarse[:, :, _halved(rows), _halved(columns)]
        return torch.cat([features.square().mean(dim=(2, 3)) for features in parts], dim=1)

    def score(self, powers: torch.Tensor) -> torch.Tensor:
        """Return scores, (B, experts), of pictures of these powers, (B, filters)."""
        return self.scores(powers.add(_LEAST_POWER).log())


def _halved(part: slice) -> slice:
    return slice(*(None if edge is None else edge // 2 for edge in (part.start, part.stop)))
