"""Models that strangers bring along: what they may do, and what becomes of those that would do harm."""

import gzip
import itertools
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import denoiser
from denoiser.denoisers.confined import processes, worker
from denoiser.denoisers.confined.onnx_graph import MOST_NODES, OPERATORS
from denoiser.denoisers.confined.processes import (
    ModelsBusyError,
    ModelStoppedError,
    OwnModelError,
    ProcessPool,
    Recipe,
)
from denoiser.denoisers.onnx_file import read_onnx, why_no_onnx
from denoiser.denoisers.own_model import MAX_BYTES, OWN_MODEL, OwnModel
from denoiser.denoisers.registry import find_available, list_denoisers
from tests.onnx_models import ZERO, added, constant, mean_filter, model, node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no such models")


@pytest.fixture
def noisy(face):
    return denoiser.create_noise("gaussian")(face, seed=1)


@pytest.fixture
def hurried(monkeypatch):
    """One second instead of several."""
    monkeypatch.setattr(processes, "LOAD_SECONDS", 1)
    monkeypatch.setattr(processes, "RUN_SECONDS", 1)


def refusal(content: onnx.ModelProto | bytes) -> str:
    """What is said of a file that is not taken: one sentence."""
    data = content if isinstance(content, bytes) else content.SerializeToString()
    with pytest.raises(OwnModelError) as caught:
        read_onnx(data)
    said = str(caught.value)
    assert said.endswith(".")
    assert len(said) < 200
    assert "/" not in said.replace("NAME/", "")
    return said


def test_an_onnx_file_denoises_as_it_does_elsewhere(noisy):
    import cv2

    mean = read_onnx(mean_filter())
    expected = cv2.blur(noisy, (3, 3), borderType=cv2.BORDER_CONSTANT)
    assert np.abs(mean(noisy) - np.clip(expected, 0, 1))[1:-1, 1:-1].max() < 1e-5
    assert mean.info.id == OWN_MODEL
    assert mean.info.parameters == 9
    assert mean.info.milliseconds > 0


def test_a_busy_moment_does_not_make_a_model_slow(monkeypatch):
    run, times = ProcessPool.run, iter([3.0, 700.0, 800.0, 4.0])
    monkeypatch.setattr(ProcessPool, "run", lambda *asked: (run(*asked)[0], next(times)))
    assert [read_onnx(mean_filter()).info.milliseconds for _ in range(2)] == [3.0, 4.0]


def test_colour_goes_channel_by_channel_or_as_a_whole(noisy):
    picture = np.stack([noisy, noisy[::-1], noisy.T], axis=-1)
    gray, colour = read_onnx(mean_filter()), read_onnx(mean_filter(channels=3))
    assert np.abs(gray(picture) - colour(picture)).max() < 1e-6
    assert np.abs(gray(noisy) - colour(noisy)).max() < 1e-6
    assert colour.info.colour
    assert not gray.info.colour


def test_a_batch_of_one_is_asked_one_by_one(noisy):
    one = read_onnx(model([node("Identity")], shape=(1, 1, "h", "w")).SerializeToString())
    picture = np.stack([noisy] * 3, axis=-1)
    assert np.array_equal(one(picture), picture)


def test_a_model_of_one_size_says_so_at_another():
    fixed = read_onnx(model([node("Identity")], shape=(1, 1, 48, 48)).SerializeToString())
    with pytest.raises(OwnModelError, match="48x48 pixels only"):
        fixed(np.zeros((96, 96), np.float32))
    fixed(np.zeros((48, 48), np.float32))
    assert "64x64 pixels only" in refusal(model([node("Identity")], shape=(1, 1, 64, 64)))


def test_a_model_is_compared_as_any_denoiser(face):
    own = read_onnx(mean_filter())
    comparison = denoiser.compare(face, denoiser.create_noise("gaussian"), denoisers=[own, "median"])
    assert comparison.gain(OWN_MODEL) > 2


def graph_inside() -> onnx.GraphProto:
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    return helper.make_graph([node("Identity", "x", "z")], "inside", [], [value])


BRANCHES = {
    "If": node("If", "c", then_branch=graph_inside(), else_branch=graph_inside()),
    "Loop": node("Loop", "n c", body=graph_inside()),
    "Scan": node("Scan", "x", body=graph_inside(), num_scan_inputs=1),
    "SequenceMap": node("SequenceMap", "x", body=graph_inside()),
}


@pytest.mark.parametrize("op", BRANCHES)
def test_loops_and_branches_are_refused(op):
    weights = [constant("c", True), constant("n", np.int64(2**62))]
    assert f"operator {op} may not" in refusal(model([BRANCHES[op]], weights))


def test_a_graph_inside_of_a_harmless_node_is_refused():
    assert "no loops" in refusal(model([node("Identity", body=graph_inside())]))
    assert "no loops" in refusal(model([node("Identity", bodies=[graph_inside()])]))


@pytest.mark.parametrize(
    "op", ["RandomNormalLike", "RandomUniform", "Bernoulli", "Multinomial", "Optional", "StringConcat"]
)
def test_other_operators_are_refused(op):
    assert op not in OPERATORS
    assert f"operator {op} may not" in refusal(model([node(op)]))


def test_numbers_can_be_picked_out_as_the_residual_u_net_does(noisy):
    """Its experts each take the pictures of a batch that are theirs."""
    nodes = [
        node("NonZero", "x", "places"),
        node("Transpose", "places", "rows", perm=[1, 0]),
        node("GatherND", "x rows", "values"),
        node("Sub", "x x", "empty"),
        node("ScatterND", "empty rows values", "y"),
    ]
    own = read_onnx(model(nodes, opset=18).SerializeToString())
    assert np.array_equal(own(noisy), noisy)


def test_an_operator_s_name_is_not_repeated_when_it_is_none():
    assert "operator ? may not" in refusal(model([node("<img src=x onerror=alert(1)>")]))


def test_custom_operators_are_refused():
    custom = node("Conv")
    custom.domain = "com.microsoft"
    assert "custom domain" in refusal(model([custom]))
    foreign = model([node("Identity")])
    foreign.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))
    assert "custom domain" in refusal(foreign)
    function = helper.make_function("own", "F", ["a"], ["b"], [node("Identity", "a", "b")], [])
    assert "functions of its own" in refusal(model([node("Identity")], functions=[function]))


def test_weights_in_another_file_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4))
    for location in (str(secret), "../../../../../../etc/passwd", "/proc/self/environ", "model.bin"):
        weight = TensorProto(name="k", data_type=TensorProto.FLOAT, dims=[1])
        weight.external_data.add(key="location", value=location)
        assert "another file" in refusal(model([node("Add", "x k")], [weight]))
        weight.data_location = TensorProto.EXTERNAL
        assert "another file" in refusal(model([node("Add", "x k")], [weight]))
        inside = node("Constant", "", "k", value=weight)
        assert "another file" in refusal(model([inside, node("Add", "x k")]))


def test_tensors_that_say_they_are_huge_are_refused():
    for dims in ([2**40], [2**20] * 3, [-1], [2**62, 2**62]):
        weight = TensorProto(name="k", data_type=TensorProto.FLOAT, dims=dims)
        assert "larger than the whole file" in refusal(model([node("Add", "x k")], [weight]))
    sparse = model([node("Identity")])
    sparse.graph.sparse_initializer.add(dims=[2**40])
    assert "sparse" in refusal(sparse)
    one = onnx.SparseTensorProto(dims=[2**40])
    assert "sparse" in refusal(model([node("Constant", "", "k", sparse_value=one), node("Add", "x k")]))


def test_too_many_nodes_are_refused():
    names = ["x", *(f"v{i}" for i in range(MOST_NODES)), "y"]
    nodes = [node("Identity", a, b) for a, b in itertools.pairwise(names)]
    assert f"{MOST_NODES + 1:,} nodes" in refusal(model(nodes))


def unfolding() -> onnx.ModelProto:
    """Each node doubles: 40 of them make a terabyte of 600 bytes."""
    names = ["x", *(f"v{i}" for i in range(40))]
    nodes = [node("Concat", f"{a} {a}", b, axis=0) for a, b in itertools.pairwise(names)]
    return model([*nodes, *added(names[-1])], [ZERO])


def large_constant() -> onnx.ModelProto:
    """The engine computes it while it loads the model."""
    shape = constant("shape", np.array([2**18, 2**18]))
    return model([node("ConstantOfShape", "shape", "big"), *added("big")], [shape, ZERO])


def large_range() -> onnx.ModelProto:
    ends = [constant(n, np.float32(v)) for n, v in (("from", 0), ("to", 1e12), ("step", 1))]
    return model([node("Range", "from to step", "big"), *added("big")], [*ends, ZERO])


def large_picture() -> onnx.ModelProto:
    sizes = constant("sizes", np.array([1, 1, 2000, 2000], np.float32))
    resize = node("Resize", "x  sizes", "big", mode="nearest")
    resize.input[:] = ["x", "", "sizes"]
    return model([resize, *added("big")], [sizes, ZERO])


@pytest.mark.parametrize("make", [unfolding, large_constant, large_range, large_picture])
def test_what_needs_too_much_memory_is_ended(make):
    said = refusal(make())
    assert "memory" in said, said


def endless() -> onnx.ModelProto:
    """A product of matrices that takes hours, in 20 MB."""
    shape = constant("shape", np.array([1500, 1500]))
    nodes = [node("ConstantOfShape", "shape", "m"), node("ReduceMean", "x", "s", keepdims=0)]
    nodes.append(node("Add", "m s", "v0"))
    nodes += [node("MatMul", f"v{i} v{i}", f"v{i + 1}") for i in range(2000)]
    return model([*nodes, *added("v2000")], [shape, ZERO])


def test_what_computes_too_long_is_ended(hurried):
    before = time.process_time()
    assert "took longer" in refusal(endless())
    assert time.process_time() - before < 20  # nothing of it was computed here


def test_a_picture_has_a_second():
    assert "may compute for 1 s, and took longer" in refusal(endless())


def test_what_sleeps_is_ended(hurried, monkeypatch, tmp_path):
    """No operator can; a process that was taken over could."""
    monkeypatch.setattr(processes, "_WALL", 0.5)
    fake_worker(monkeypatch, tmp_path, "import time; time.sleep(1e6)")
    assert "took longer" in refusal(mean_filter())


def trap() -> bytes:
    """Harmless on what it is tried out on; of a black picture it makes a tensor of 1e12 numbers."""
    nodes = [
        node("ReduceMean", "x", "m", keepdims=0),
        node("Add", "m tiny", "m1"),
        node("Pow", "m1 minus4", "p"),
        node("Cast", "p", "n", to=TensorProto.INT64),
        node("Reshape", "n one", "shape"),
        node("ConstantOfShape", "shape", "big"),
        *added("big"),
    ]
    weights = [
        constant("tiny", np.float32(1e-3)),
        constant("minus4", np.float32(-4)),
        constant("one", np.array([1])),
        ZERO,
    ]
    return model(nodes, weights).SerializeToString()


def test_a_trap_hurts_its_owner_only(noisy):
    other, trapped = read_onnx(mean_filter()), read_onnx(trap())
    expected = other(noisy)
    trapped(noisy)
    with pytest.raises(OwnModelError, match="memory"):
        trapped(np.zeros((48, 48), np.float32))
    assert np.array_equal(other(noisy), expected)


def test_a_model_whose_process_ended_is_not_tried_again(noisy, monkeypatch):
    own = read_onnx(mean_filter())
    started = []

    def run(recipe, picture):
        started.append(recipe)
        raise ModelStoppedError("The model was stopped: it broke down.")

    monkeypatch.setattr(own._pool, "run", run)
    for _ in range(2):
        with pytest.raises(OwnModelError, match="stopped"):
            own(noisy)
    assert len(started) == 1


def test_a_process_that_is_killed_says_so(noisy, pool):
    own = OwnModel(Recipe("onnx", {"": mean_filter()}), pool)
    (process,) = (process for process, _ in pool._idle.values())
    os.killpg(process._process.pid, signal.SIGKILL)
    with pytest.raises(ModelStoppedError, match="broke down"):
        own(noisy)
    assert len(pool) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1000,
        b"\xff" * 1000,
        mean_filter()[:-40],
        gzip.compress(bytes(2**24)),
        pickle.dumps({"model": 1}),
        b"\x0a" * 100_000,  # messages in messages
        b"PK\x03\x04" + bytes(100),
    ],
    ids=["empty", "zeros", "ones", "cut", "gzip", "pickle", "nested", "zip"],
)
def test_other_files_are_refused(content):
    refusal(content)


def test_a_file_that_is_too_large_is_refused_before_anything_is_started(monkeypatch):
    monkeypatch.setattr(processes.subprocess, "Popen", lambda *args, **kwargs: pytest.fail("started"))
    assert "larger than the 32 MB" in refusal(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (TensorProto.FLOAT, ("b", "h", "w", 1)),
        (TensorProto.FLOAT, ("b", 4, "h", "w")),
        (TensorProto.FLOAT, (8, 1, "h", "w")),
        (TensorProto.FLOAT, ("h", "w")),
        (TensorProto.FLOAT, ()),
        (TensorProto.UINT8, ("b", 1, "h", "w")),
        (TensorProto.DOUBLE, ("b", 1, "h", "w")),
        (TensorProto.STRING, ("b", 1, "h", "w")),
    ],
)
def test_other_layouts_are_refused(kind, shape):
    said = refusal(model([node("Identity")], kind=kind, shape=shape))
    assert "float32 of the shape" in said or "pixels" in said


def test_a_model_has_one_input_and_one_output():
    two = model([node("Identity")])
    two.graph.input.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, []))
    assert "one input" in refusal(two)
    none = model([node("Identity")])
    del none.graph.output[:]
    assert "one output" in refusal(none)


def test_what_a_model_makes_has_to_be_a_picture():
    scale = constant("scale", np.float32(255))
    assert "from 0 to 1" in refusal(model([node("Mul", "x scale")], [scale]))
    nan = constant("nan", np.float32(np.nan))
    assert "NaN" in refusal(model([node("Add", "x nan")], [nan]))
    smaller = node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    assert "1x1x48x48 and 1x1x24x24" in refusal(model([smaller], made=("b", 1, "i", "j")))
    assert "opset" in refusal(model([node("Identity")], opset=10**9))


def test_the_packages_are_optional(monkeypatch):
    assert why_no_onnx() == ""

    def missing(name):
        return None if name == "onnxruntime" else object()

    monkeypatch.setattr("denoiser.denoisers.onnx_file.importlib.util.find_spec", missing)
    assert "not installed" in refusal(mean_filter())


def test_the_library_does_not_import_them():
    code = "import sys, denoiser; print([n for n in ('onnx', 'onnxruntime') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_registry_knows_such_a_model():
    assert OWN_MODEL not in list_denoisers(colour=True)
    with pytest.raises(ValueError, match="Unknown denoiser"):
        denoiser.create_denoiser(OWN_MODEL)
    assert "no longer on the server" in find_available([OWN_MODEL]).failures[OWN_MODEL]


# The process


def confined(code: str) -> str:
    """What a process says that has given up what a model's process does."""
    path = str(Path(worker.__file__).parent)
    code = f"import sys; sys.path.insert(0, {path!r}); import worker\n{code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    return (run.stdout + run.stderr).strip().rpartition("\n")[2] or str(run.returncode)


@pytest.mark.parametrize(
    "act",
    [
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "import socket; socket.socket()",
        "import os; os.listdir('/')",
        "import os; os.pipe()",
    ],
)
def test_the_process_opens_nothing(act):
    imports = "import os, socket"
    assert "Too many open files" in confined(f"{imports}; worker.close_all_doors(); {act}")


def test_the_process_writes_to_no_file(tmp_path):
    file = tmp_path / "file"
    code = f"file = open({str(file)!r}, 'wb', 0); worker.close_all_doors(); file.write(b'x')"
    assert "File too large" in confined(code)
    assert file.read_bytes() == b""


def test_the_process_starts_no_other():
    code = "import os\nos.getuid() or os.setuid(65534)  # root may\nworker.close_all_doors(); os.fork()"
    assert "Resource temporarily unavailable" in confined(code)


def test_the_process_has_so_much_memory():
    code = "worker.limit_memory(100); bytearray(50 * 2**20); print('some'); bytearray(200 * 2**20)"
    assert confined(code) == "MemoryError"
    raised = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))"
    if os.getuid():  # root may
        assert "not allowed" in confined(f"worker.limit_memory(100); {raised}")


def test_the_process_has_so_much_time():
    code = "worker.limit_processor_time(1)\nwhile True: pass"
    assert confined(code) == str(-signal.SIGXCPU)


def test_the_process_is_told_no_secrets(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("DENOISER_HUB_NAMESPACE", "somebody")
    told = processes._environment()
    assert "hf_secret" not in told.values()
    assert not [name for name in told if "TOKEN" in name or name.startswith("DENOISER")]
    assert told["OMP_NUM_THREADS"] == "1"


def fake_worker(monkeypatch, tmp_path, code: str) -> None:
    """Let a script stand in for the process: a model that has taken it over."""
    script = tmp_path / "fake.py"
    script.write_text(f"import json, struct, sys, time\nout = sys.stdout.buffer\n{code}\n")
    monkeypatch.setattr(processes, "_SCRIPT", script)


def frames(*contents: bytes) -> str:
    data = b"".join(struct.pack("<I", len(content)) + content for content in contents)
    return f"out.write({data!r}); out.flush(); time.sleep(1e6)"


GOOD = json.dumps({"ok": {"parameters": 1, "channels": 1}}).encode()


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """Also one that has been taken over, and does not listen."""
    code = (
        "from denoiser.denoisers import own_model\n"
        "from denoiser.denoisers.confined.processes import ModelProcess, Recipe\n"
        "from tests.onnx_models import mean_filter\n"
        "recipe = Recipe('onnx', {'': mean_filter()})\n"
        "own_model._POOL.facts(recipe)\n"
        "((process, _),) = own_model._POOL._idle.values()\n"
        "import os, signal\n"
        "os.kill(process._process.pid, signal.SIGSTOP)\n"
        "print(process._process.pid)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(f"/proc/{int(run.stdout)}").exists()


@pytest.mark.parametrize(
    "answer",
    [
        "out.write(b'\\xff' * 10**6)",
        "out.write(b'')",
        frames(b"nonsense"),
        frames(b"[" * 9000),
        frames(b"[1, 2]"),
        frames(b'"ok"'),
        frames(b'{"ok": 3}'),
        frames(b'{"ok": {"parameters": "many"}}'),
        frames(b'{"ok": {"parameters": -1}}'),
        frames(GOOD, b'{"ok": {}}', b"short"),
        frames(GOOD, b'{"ok": {"shape": "<script>"}}', bytes(48 * 48 * 4 + 4)),
        frames(GOOD, b'{"ok": {}}', b"\xff" * (48 * 48 * 4)),
    ],
)
def test_what_a_process_says_is_not_trusted(answer, monkeypatch, tmp_path):
    fake_worker(monkeypatch, tmp_path, answer)
    said = refusal(mean_filter())
    assert "<" not in said


def test_a_process_s_sentence_is_plain_text(monkeypatch, tmp_path):
    evil = json.dumps({"error": "<img src=x onerror=alert(1)>\n[a](javascript:b)" * 100}).encode()
    fake_worker(monkeypatch, tmp_path, frames(evil))
    with pytest.raises(OwnModelError) as caught:
        read_onnx(mean_filter())
    said = str(caught.value)
    assert len(said) <= 300
    assert not set("<>[]\n`*&") & set(said)


@pytest.fixture
def pool():
    pool = ProcessPool()
    yield pool
    pool.close()
    assert len(pool) == 0


def test_few_processes_are_kept(noisy, pool):
    recipes = [Recipe("onnx", {"": mean_filter()}) for _ in range(processes.KEPT + 2)]
    for recipe in recipes:
        pool.run(recipe, noisy[..., None])
    assert len(pool) == processes.KEPT
    kept = [process for process, _ in pool._idle.values()]
    pool._idle = type(pool._idle)((r, (p, -1e9)) for r, (p, _) in pool._idle.items())
    pool._end_idle()
    assert len(pool) == 0
    assert all(process._process.returncode is not None for process in kept)


def test_others_wait_for_their_turn_and_not_forever(noisy, monkeypatch, pool):
    monkeypatch.setattr(processes, "WAIT_SECONDS", 0.1)
    for _ in range(processes.AT_ONCE):
        assert pool._turns.acquire(blocking=False)
    with pytest.raises(ModelsBusyError, match="try again"):
        pool.run(Recipe("onnx", {"": mean_filter()}), noisy[..., None])
    for _ in range(processes.AT_ONCE):
        pool._turns.release()
    pool.run(Recipe("onnx", {"": mean_filter()}), noisy[..., None])
