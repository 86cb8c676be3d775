"""ONNX files as denoisers."""

import importlib.util

from denoiser.denoisers.confined.processes import OwnModelError, Recipe
from denoiser.denoisers.own_model import MAX_BYTES, OwnModel, why_no_processes

_PACKAGES = ("onnx", "onnxruntime")


def read_onnx(data: bytes) -> OwnModel:
    """Make a denoiser of an ONNX file, after checking it and trying it out.

    The model takes and returns float32 in [0, 1], (batch, 1 or 3 channels, height, width); one of one
    channel sees a colour picture channel by channel.

    Args:
        data: The file, whoever made it.

    Raises:
        OwnModelError: It can't be used; one sentence.
    """
    why_not = why_no_onnx()
    if why_not:
        raise OwnModelError(why_not)
    if len(data) > MAX_BYTES:
        raise OwnModelError(
            f"The file is larger than the {MAX_BYTES // 2**20} MB that a model may have."
        )
    return OwnModel(Recipe("onnx", {"": data}))


def why_no_onnx() -> str:
    """Say in a sentence why there can be no ONNX models here; nothing where there can."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        return (
            f"ONNX models need packages that are not installed here: pip install {' '.join(_PACKAGES)}."
        )
    return why_no_processes()
