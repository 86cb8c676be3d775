"""ONNX files that tests make: harmless ones, and those of people who want to do harm."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PICTURE = ("b", 1, "h", "w")


def constant(name: str, value: Any) -> onnx.TensorProto:
    """Return a weight."""
    return numpy_helper.from_array(np.asarray(value), name)


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto] = (),
    *,
    shape: Sequence[Any] = PICTURE,
    made: Sequence[Any] | None = None,
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
    **others: Any,
) -> onnx.ModelProto:
    """Return a model from ``x`` to ``y``, which need not be a good one."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape if made is None else made)],
        list(weights),
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **others)


def node(op: str, inputs: str = "x", outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """Return a node; names are separated by blanks."""
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def mean_filter(channels: int = 1) -> bytes:
    """Return a denoiser: the mean of 3x3 pixels."""
    kernel = np.zeros((channels, channels, 3, 3), np.float32)
    kernel[range(channels), range(channels)] = 1 / 9
    shape = ("b", channels, "h", "w")
    conv = node("Conv", "x k", pads=[1, 1, 1, 1])
    return model([conv], [constant("k", kernel)], shape=shape).SerializeToString()


def added(value: str) -> list[onnx.NodeProto]:
    """Return nodes that add the mean of ``value`` times 0 to ``x``: it has to be computed."""
    return [
        node("ReduceMean", value, "mean", keepdims=0),
        node("Mul", "mean zero", "nothing"),
        node("Add", "x nothing", "y"),
    ]


ZERO = constant("zero", np.float32(0))
