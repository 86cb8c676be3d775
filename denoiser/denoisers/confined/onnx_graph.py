"""What an ONNX file may hold, and how it is run; in the process of its own, without the package.

A list of what may be, not of what may not: the operators that a denoiser is made of. Whatever loops,
branches, draws random numbers or reads a file is none of them.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

MOST_NODES = 5_000
NEWEST_OPSET = 30  # what the engine itself doesn't know it refuses; this keeps absurd numbers from it

_FLOAT = 1  # onnx.TensorProto.FLOAT
_ARITHMETIC = """
Abs Add Atan Ceil Clip Cos CumSum Div Erf Exp Floor Log Max Mean Min Mod Mul Neg Pow Reciprocal Round
Sign Sin Sqrt Sub Sum Tan"""
_NETWORKS = """
Attention AveragePool BatchNormalization Conv ConvTranspose Einsum Gemm GlobalAveragePool
GlobalMaxPool GridSample GroupNormalization InstanceNormalization LRN LayerNormalization
LpNormalization LpPool MatMul MaxPool MeanVarianceNormalization RMSNormalization
Celu Elu Gelu HardSigmoid HardSwish LeakyRelu LogSoftmax Mish PRelu Relu Selu Sigmoid Softmax Softplus
Softsign Swish Tanh ThresholdedRelu"""
_WHOLE_PICTURE = """
ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceSumSquare TopK"""
_SHAPES = """
Cast CastLike Concat Constant ConstantOfShape DepthToSpace Dropout Expand EyeLike Flatten Gather
GatherElements GatherND Identity NonZero OneHot Pad Range Reshape Resize ScatterElements ScatterND
Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze Upsample"""
_CONDITIONS = "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Where Xor"
_QUANTIZED = """
ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
QuantizeLinear"""

OPERATORS = frozenset(
    " ".join([_ARITHMETIC, _NETWORKS, _WHOLE_PICTURE, _SHAPES, _CONDITIONS, _QUANTIZED]).split()
)
"""Of the domain ``ai.onnx``; others have none that may be used."""

_LAYOUT = (
    "Input and output have to be float32 of the shape (batch, 1 or 3 channels, height, width), the "
    "batch being 1 or any."
)
_CUSTOM = "The model has operators that are not ONNX's own (a custom domain)."
_SPARSE = "The model has sparse tensors, which may unfold to any size; store them dense."


class OnnxGraphError(ValueError):
    """A file is no ONNX model that can be run here; the message is one sentence for a person."""


def import_engine() -> None:
    """Import what is needed, as long as files can be opened.

    Raises:
        OnnxGraphError: It is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise OnnxGraphError("ONNX models need packages that can't be imported here.") from None


def load(data: bytes) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Check an ONNX model and make it ready to run, on one thread.

    Args:
        data: The file.

    Returns:
        What denoises a picture, see :data:`~denoiser.denoisers.confined.worker.Run`, and what there is
        to know about it.

    Raises:
        OnnxGraphError: It is none, or may not be run.
    """
    import onnx
    import onnxruntime

    try:
        model = onnx.load_model_from_string(data)
    except Exception:
        raise OnnxGraphError("The file is no ONNX model.") from None
    check(model, len(data))
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # pictures come in several sizes
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception:
        raise OnnxGraphError(
            "ONNX Runtime can't use this model: check it with onnx.checker.check_model, and export it "
            "for float32 and an older opset."
        ) from None
    given, made = session.get_inputs()[0], session.get_outputs()[0].name
    batch_size, channels, height, width = (
        side if isinstance(side, int) else None for side in given.shape
    )

    def ask(batch: np.ndarray) -> np.ndarray:
        result = np.asarray(session.run([made], {given.name: batch})[0])
        if result.shape != batch.shape:
            shapes = " and ".join("x".join(map(str, array.shape)) for array in (batch, result))
            raise OnnxGraphError(
                f"The model has to return the shape that it is given; these are {shapes}."
            )
        return result

    def run(picture: np.ndarray) -> np.ndarray:
        if (height or picture.shape[0], width or picture.shape[1]) != picture.shape[:2]:
            raise OnnxGraphError(f"The model takes pictures of {width}x{height} pixels only.")
        planes = np.moveaxis(picture, 2, 0)
        if channels == 3:  # it sees a gray picture as one whose channels are the same
            batch = np.broadcast_to(planes, (3, *planes.shape[1:]))[None]
        else:
            batch = planes[:, None]
        batch = np.ascontiguousarray(batch, np.float32)
        parts = np.split(batch, len(batch)) if batch_size == 1 else [batch]
        denoised = np.concatenate([ask(part) for part in parts]).reshape(-1, *picture.shape[:2])
        if len(denoised) > picture.shape[2]:
            denoised = denoised.mean(axis=0, keepdims=True)
        return np.moveaxis(denoised, 0, 2)

    return run, {"parameters": parameters, "channels": channels or 1}


def check(model: Any, size: int) -> None:
    """Refuse a model that could do anything but compute a picture of a picture.

    Args:
        model: An ``onnx.ModelProto``.
        size: Of its file, in bytes.

    Raises:
        OnnxGraphError: It is one.
    """
    graph = model.graph
    if any(opset.domain not in ("", "ai.onnx") for opset in model.opset_import):
        raise OnnxGraphError(_CUSTOM)
    if any(not 7 <= opset.version <= NEWEST_OPSET for opset in model.opset_import):
        raise OnnxGraphError(f"The model has to be of an opset from 7 to {NEWEST_OPSET}.")
    if model.functions or model.training_info:
        raise OnnxGraphError("The model has functions of its own, or training; export it for inference.")
    if len(graph.node) > MOST_NODES:
        raise OnnxGraphError(f"The model has {len(graph.node):,} nodes, and may have {MOST_NODES:,}.")
    for node in graph.node:
        _check_node(node)
    if graph.sparse_initializer:
        raise OnnxGraphError(_SPARSE)
    for tensor in _tensors(graph):
        _check_tensor(tensor, size)
    _check_ends(graph)


def _check_node(node: Any) -> None:
    if node.domain not in ("", "ai.onnx"):
        raise OnnxGraphError(_CUSTOM)
    if node.op_type not in OPERATORS:
        name = node.op_type if node.op_type.isalnum() and node.op_type.isascii() else "?"
        raise OnnxGraphError(
            f"The operator {name[:40]} may not be used here; loops, branches, random numbers and custom "
            "operators are left out."
        )
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs:
            raise OnnxGraphError("Graphs inside of nodes may not be used here: no loops, no branches.")
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise OnnxGraphError(_SPARSE)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(tensor: Any, size: int) -> None:
    if tensor.external_data or tensor.data_location:
        raise OnnxGraphError(
            "The model keeps its weights in another file; save it as one file (external_data=False)."
        )
    # No type takes less than a quarter of a byte for a number.
    if any(side < 0 for side in tensor.dims) or math.prod(tensor.dims) > 4 * size:
        raise OnnxGraphError("A tensor of the model says that it is larger than the whole file.")


def _check_ends(graph: Any) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise OnnxGraphError("The model has to have one input, the noisy picture, and one output.")
    given, made = (value.type.tensor_type for value in (inputs[0], graph.output[0]))
    sides = _sides(given)
    fits = len(sides) == 4 and sides[0] in (None, 1) and sides[1] in (None, 1, 3)
    if not fits or {given.elem_type, made.elem_type} != {_FLOAT} or len(_sides(made)) not in (0, 4):
        raise OnnxGraphError(_LAYOUT)


def _sides(tensor: Any) -> list[int | None]:
    """Return the sides of a tensor's type; None for those that may be any."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
