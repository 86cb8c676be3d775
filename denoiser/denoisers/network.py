"""A trained network as a denoiser."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

import numpy as np
import torch

from denoiser.architectures import ARCHITECTURES, Network
from denoiser.architectures.loading import load_from_hub, load_network
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.windows import WholePicture, Window
from denoiser.images import Image
from denoiser.weights.checkpoint import (
    HubSource,
    ModelConfig,
    WeightsError,
    hub_source,
    read_cached_config,
    read_config,
)

_STATISTICS_SHARE = 0.05  # of the time, which the router takes

NetworkPart = Callable[[torch.Tensor], torch.Tensor]


class NetworkDenoiser(Denoiser):
    """A blind network: it takes any size, gray or colour, and ignores sigma.

    A gray network takes a colour picture channel by channel; one for colour takes a gray picture as one
    whose channels are the same, and returns their mean.

    Args:
        info: What it is.
        network: In eval mode, on any device.
        clipped_input: Whether it was trained on clipped pictures, see :class:`ModelConfig`. It then gets
            none other: values it has never met mislead it far more than clipping costs.
        values: See :class:`Denoiser`.
    """

    def __init__(
        self,
        info: DenoiserInfo,
        network: Network,
        *,
        clipped_input: bool = True,
        values: Mapping[str, float] | None = None,
    ):
        self.info = info
        self.network = network
        self.clipped_input = clipped_input
        self.values = values or {}

    def _with_values(self, values: Mapping[str, float]) -> Self:
        return type(self)(self.info, self.network, clipped_input=self.clipped_input, values=values)

    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        return self.run_padded(self._forward, noisy)

    def denoise_whole(self, whole: WholePicture, sigma: float) -> np.ndarray:
        """See :meth:`Denoiser.denoise_whole`; channel by channel, where the network sees one."""
        network, unit = self.network, self.network.multiple_of
        height, width = (math.ceil(side / unit) * unit for side in whole.pixels.shape[:2])
        first = _STATISTICS_SHARE if network.needs_statistics else 0.0
        statistics = self._statistics(whole.part(0, first)) if first else torch.empty(0)
        run = network.for_windows(statistics, (height, width), **self.values)

        def denoise(image: Image, window: Window) -> Image:
            def one_by_one(batch: torch.Tensor) -> torch.Tensor:
                parts = enumerate(batch.split(1))
                return torch.cat([run(part, i, window.rows, window.columns) for i, part in parts])

            return self.run_padded(one_by_one, image)

        return whole.part(first, 1).apply(denoise, network.reach(**self.values), unit)

    def _statistics(self, whole: WholePicture) -> torch.Tensor:
        """Return what the network takes from the whole picture, found out window by window."""
        network = self.network

        def measure(image: Image, window: Window) -> tuple[int, np.ndarray]:
            rows, columns = window.inner
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            part = partial(network.statistics, rows=rows, columns=columns)
            return area, self._run(part, as_batch(image, network.channels))

        measured = list(whole.map(measure, network.multiple_of, network.multiple_of))
        total = sum(area for area, _ in measured)
        means = np.sum([area / total * means.astype(np.float64) for area, means in measured], axis=0)
        return torch.from_numpy(means.astype(np.float32)).to(next(network.parameters()).device)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Run the network on gray pictures, (B, 1, H, W) float32, whose sides fit; not yet clipped."""
        pictures = np.repeat(batch, self.network.channels, axis=1)
        return self._run(self._forward, pictures).mean(axis=1, keepdims=True)

    def run_padded(self, part: NetworkPart, noisy: Image) -> np.ndarray:
        """Run the network, or a part of it, on a picture as the whole would get it: padded, clipped.

        Args:
            part: Takes the batch (B, C, H', W') and returns one of that shape.
            noisy: (H, W) or (H, W, 3); for a gray network a colour picture's channels are the batch.

        Returns:
            What it made of the picture: same shape, not clipped.
        """
        network = self.network
        return denoise_padded(
            noisy, network.multiple_of, lambda batch: self._run(part, batch), network.channels
        )

    @property
    def _forward(self) -> NetworkPart:
        return partial(self.network, **self.values)

    @property
    def has_intermediate(self) -> bool:
        """See :attr:`Denoiser.has_intermediate`."""
        return self.network.has_intermediate

    def _intermediate(self, noisy: Image) -> np.ndarray:
        return self.run_padded(self.network.intermediate, noisy)

    def _run(self, part: NetworkPart, batch: np.ndarray) -> np.ndarray:
        pictures = np.clip(batch, 0.0, 1.0) if self.clipped_input else batch
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(pictures))
            device = next(self.network.parameters()).device
            return part(tensor.to(device, memory_format=torch.channels_last)).cpu().numpy()


def read_info(model_id: str) -> DenoiserInfo:
    """Describe a model without loading its weights, and without asking the Hub for anything.

    A model from the Hub is described by the copy in the cache and, until there is one, by what
    ``weights/`` has under its name.

    Raises:
        WeightsError: Its ``config.json`` is missing or damaged, or another model's.
    """
    source = hub_source(model_id)
    cached = None if source is None else read_cached_config(source)
    if source is not None and cached is not None:
        _check_id(cached, model_id, source)
    return describe(cached or read_config(model_id))


def describe(config: ModelConfig) -> DenoiserInfo:
    """Return what a denoiser with this ``config.json`` is."""
    network = ARCHITECTURES.get(config.architecture)  # another version's is refused when it is loaded
    return DenoiserInfo(
        id=config.id,
        label=config.label,
        family=config.family,
        uses_sigma=False,
        trained_on=config.trained_on_words,
        parameters=config.parameters,
        reference=config.reference,
        trained_noises=() if isinstance(config.trained_on, str) else config.trained_on,
        hyperparameters=() if network is None else network.hyperparameters,
        colour=config.settings.get("channels", 1) == 3,
    )


def from_config(config: ModelConfig, network: Network) -> NetworkDenoiser:
    """Return a network as the denoiser that its ``config.json`` describes."""
    return NetworkDenoiser(describe(config), network, clipped_input=config.clipped_input)


def load_denoiser(model_id: str) -> NetworkDenoiser:
    """Load a model from ``weights/`` or, where that is asked for, from the Hub.

    Raises:
        WeightsError: See :mod:`denoiser.weights.checkpoint`.
    """
    source = hub_source(model_id)
    if source is None:
        return from_config(read_config(model_id), load_network(model_id))
    config, network = load_from_hub(source)
    _check_id(config, model_id, source)
    return from_config(config, network)


def _check_id(config: ModelConfig, model_id: str, source: HubSource) -> None:
    """Raise WeightsError where a repository holds another model, whose scores would mislead."""
    if config.id != model_id:
        raise WeightsError(
            f"The repository {source.repo_id} on the Hub holds another model than {model_id!r}."
        )


def as_batch(noisy: Image, channels: int) -> np.ndarray:
    """Return a picture, (H, W) or (H, W, 3), as networks of so many channels see it: (B, C, H, W)."""
    planes = np.moveaxis(noisy, 2, 0) if noisy.ndim == 3 else np.repeat(noisy[None], channels, axis=0)
    return planes.reshape(-1, channels, *noisy.shape[:2])


def denoise_padded(
    noisy: Image,
    multiple_of: int,
    network: Callable[[np.ndarray], np.ndarray],
    channels: int = 1,
) -> Image:
    """Give a network any picture: pad to sides it accepts, run it, cut back.

    Padding mirrors the picture (and repeats the mirror where the picture is smaller than the
    padding). A network of one channel takes those of a colour picture one by one, as one batch; to one
    of three a gray picture is one whose channels are the same, and their mean is the result.

    Args:
        noisy: (H, W) or (H, W, 3).
        multiple_of: What height and width have to be multiples of.
        network: Takes and returns a float32 batch (B, C, H', W').
        channels: Its C, 1 or 3.

    Returns:
        Same shape as ``noisy``, not clipped.
    """
    height, width = noisy.shape[:2]
    batch = as_batch(noisy, channels)
    bottom, right = -height % multiple_of, -width % multiple_of
    padded = np.pad(batch, ((0, 0), (0, 0), (0, bottom), (0, right)), mode="symmetric")
    denoised = network(padded)[..., :height, :width].reshape(-1, height, width)
    return np.moveaxis(denoised, 0, 2) if noisy.ndim == 3 else denoised.mean(axis=0)
