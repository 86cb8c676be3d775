"""Models as files for other programs: ``python -m train export ID --format onnx``.

A file takes what a stranger has, and no code of ours: pictures of any size, as many as there are. So
what :class:`~denoiser.denoisers.network.NetworkDenoiser` does before and after the network is in it too.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from denoiser.architectures import FlowUNet, Network
from denoiser.architectures.impulses import mirrored
from denoiser.architectures.loading import load_network
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, read_config
from train.files import WEIGHTS_HASH, file_hash

NOISY, NOISE, DENOISED = "noisy", "noise", "denoised"
"""Names of an ONNX file's inputs, of which only a flow has the second, and of its output."""

FLOW_STEPS = 4
"""Steps of a flow in an ONNX file, each of two runs of its network: as many as it takes by default."""

TOLERANCE = 1e-5
"""How far what an exported file returns may be from what PyTorch does."""

_OPSET = 18  # of ONNX's operators: as old as PyTorch writes
_PROBE = (3, 45, 53)  # pictures, height, width


class ExportError(RuntimeError):
    """A model can't be exported; the message says why."""


class ForStrangers(nn.Module):
    """A network that takes pictures of any size, and returns them within [0, 1].

    Args:
        network: In eval mode.
        clipped_input: See :class:`~denoiser.weights.checkpoint.ModelConfig`.
    """

    def __init__(self, network: Network, clipped_input: bool):
        super().__init__()
        self.network = network
        self.clipped_input = clipped_input

    def forward(self, noisy: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Denoise a batch.

        Args:
            noisy: (B, C, H, W) in [0, 1], of any height and width.
            noise: For a flow, and for no other: where it starts, white noise of standard deviation 1,
                (B, 1, H, W).

        Returns:
            (B, C, H, W) in [0, 1].
        """
        height, width = noisy.shape[2:]
        pictures = self._pad(noisy.clamp(0, 1) if self.clipped_input else noisy)
        if isinstance(self.network, FlowUNet) and noise is not None:
            start = self.network.config.start_sigma * self._pad(noise)
            denoised = self.network.sample(pictures, start, FLOW_STEPS)
        else:
            denoised = self.network(pictures)
        return denoised[:, :, :height, :width].clamp(0, 1)

    def _pad(self, batch: torch.Tensor) -> torch.Tensor:
        """Mirror pictures to sides that the network accepts, as ``denoise_padded`` does."""
        unit = self.network.multiple_of
        for axis in (2, 3):
            length = batch.shape[axis]
            index = torch.arange((length + unit - 1) // unit * unit)
            batch = batch.index_select(axis, mirrored(index, length))
        return batch


def load_for_strangers(model_id: str, weights: Path = WEIGHTS) -> ForStrangers:
    """Load what is exported of a model, ready to run.

    Raises:
        WeightsError: See :func:`~denoiser.architectures.loading.load_network`.
    """
    config = read_config(model_id, weights)
    return ForStrangers(load_network(model_id, weights), config.clipped_input).eval()


def export_onnx(model_id: str, weights: Path = WEIGHTS) -> bytes:
    """Write a model as an ONNX file, which is run and compared with the model before it is returned.

    It takes ``noisy``, (B, C, H, W) float32 in [0, 1] with any B, H and W and C = 1, or 3 for a network
    for colour; and a flow also ``noise``, see :meth:`ForStrangers.forward`. It returns ``denoised``. The
    same weights give the same bytes, with the same version of PyTorch and ONNX Script.

    Args:
        model_id: The name of its folder.
        weights: Folder with one folder for each model.

    Raises:
        ExportError: What it takes is not installed, or the file does something else than the model.
        WeightsError: See :func:`~denoiser.architectures.loading.load_network`.
    """
    check_installed()
    model = load_for_strangers(model_id, weights)
    probe = _probe(model)
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    with _quiet(), torch.no_grad():
        traced = torch.export.export(model, probe, dynamic_shapes=(sizes,) * len(probe), strict=False)
        program: Any = torch.onnx.export(
            traced,
            dynamo=True,
            opset_version=_OPSET,
            input_names=input_names(model),
            output_names=[DENOISED],
            verbose=False,
        )
    hash_of_weights = file_hash(weights / model_id / MODEL_NAME)
    data = _cleaned(program.model_proto, {"id": model_id, WEIGHTS_HASH: hash_of_weights})
    difference = _difference(data, model, probe)
    if not difference <= TOLERANCE:
        raise ExportError(f"The ONNX file of the model {model_id!r} is {difference:.1e} off its network")
    return data


def check_installed() -> None:
    """Raise ExportError where what an export takes is not installed."""
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ExportError(
            "An ONNX file takes more than is installed: pip install -r requirements-onnx.txt"
        ) from None


def input_names(model: ForStrangers) -> list[str]:
    """Return what a model takes, in the order of :meth:`ForStrangers.forward`."""
    return [NOISY, NOISE] if isinstance(model.network, FlowUNet) else [NOISY]


def draw_noise(shape: tuple[int, ...]) -> np.ndarray:
    """Draw where a flow starts, as the model card does."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _probe(model: ForStrangers) -> tuple[torch.Tensor, ...]:
    """Return pictures of different noise, which go through different experts, of sides to be padded."""
    pictures, height, width = _PROBE
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(pictures, model.network.channels, height, width, generator=random)
    strengths = torch.linspace(0.02, 0.2, pictures)[:, None, None, None]
    noisy = (0.5 + strengths * noise).clamp(0, 1)
    return (noisy, noise)[: len(input_names(model))]


def _cleaned(proto: Any, metadata: dict[str, str]) -> bytes:
    """Write a model with sizes that have names, and without what the export noted of this machine."""
    graph = proto.graph
    for value in (*graph.input, *graph.output):
        for size, name in zip(
            value.type.tensor_type.shape.dim, ("batch", "", "height", "width"), strict=True
        ):
            if name:
                size.dim_param = name
    del graph.value_info[:]
    for part in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for name, value in metadata.items():
        proto.metadata_props.add(key=name, value=value)
    return proto.SerializeToString(deterministic=True)


def _difference(data: bytes, model: ForStrangers, probe: tuple[torch.Tensor, ...]) -> float:
    """Say how far a file's result is from its model's, at most."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    inputs = {name: value.numpy() for name, value in zip(input_names(model), probe, strict=True)}
    with torch.inference_mode():
        wanted = model(*probe).numpy()
    return float(np.abs(session.run(None, inputs)[0] - wanted).max())


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says of its own workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
