"""The process in which a stranger's model runs: it limits itself, loads the model, waits for pictures.

Started by :mod:`~denoiser.denoisers.confined.processes` as a script, without the package: NumPy and
ONNX Runtime are there in 0.3 s, all of the package takes 3 s and 600 MB. It reads frames, each four
bytes with its length and then its content, and answers each request with one frame of JSON, ``{"ok":
facts}`` or ``{"error": sentence}``; a denoised picture follows in a second one.

What it gives up for good before it looks at an ONNX file: more memory than it was granted, to open a
file or a connection, to write to a disk, to start a process. A network of ours, whose code is ours, is
loaded first. Whoever started it ends it when time is up.
"""

import contextlib
import importlib
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

if sys.platform == "linux":
    import resource

LENGTH = struct.Struct("<I")
SHAPE = struct.Struct("<3I")

Run = Callable[[np.ndarray], np.ndarray]
"""Denoises a picture, (H, W, 1) or (H, W, 3) float32 in [0, 1]: same shape, not clipped."""


def main() -> None:
    """Serve one model until nobody asks any more."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    give_way()
    request = json.loads(read_frame(source))
    parts = [read_frame(source) for _ in range(request["parts"])]
    limit_processor_time(request["load_seconds"])
    try:
        loader = {"onnx": _load_onnx, "network": _load_network}[request["kind"]]
        run, facts = loader(parts, request)
    except Exception as error:
        _answer(target, {"error": _explain(error, "The model can't be loaded.")})
        return
    _answer(target, {"ok": facts})
    while frame := read_frame(source):
        limit_processor_time(request["run_seconds"])
        try:
            picture = np.frombuffer(frame, "<f4", offset=SHAPE.size).reshape(SHAPE.unpack_from(frame))
            denoised = np.ascontiguousarray(run(picture), "<f4")
        except Exception as error:
            _answer(target, {"error": _explain(error, _fails_on(picture))})
        else:
            _answer(target, {"ok": {"shape": denoised.shape}})
            write_frame(target, denoised.tobytes() if denoised.shape == picture.shape else b"")


def read_frame(source: BinaryIO) -> bytes:
    """Read what was sent next; nothing at the end."""
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


def write_frame(target: BinaryIO, content: bytes) -> None:
    """Send something, with its length before it."""
    target.write(LENGTH.pack(len(content)) + content)
    target.flush()


def give_way() -> None:
    """Let the page come first, and be the first to go where the machine runs out of memory."""
    os.nice(5)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def limit_processor_time(seconds: int) -> None:
    """Have the system end this process once it has used so many more seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + seconds, most))


def limit_memory(megabytes: int) -> None:
    """Let this process have so much more memory than it has."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def close_all_doors() -> None:
    """Open nothing any more, write to no file, and start no process, which root still may."""
    for name in ("NOFILE", "FSIZE", "NPROC", "CORE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (0, 0))


def _load_onnx(parts: list[bytes], request: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    graph = importlib.import_module("onnx_graph")  # beside this script
    graph.import_engine()
    limit_memory(request["megabytes"])
    close_all_doors()
    return graph.load(parts[0])  # type: ignore[no-any-return]


def _load_network(parts: list[bytes], request: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    sys.path[0] = request["package"]
    module = importlib.import_module("denoiser.denoisers.confined.hub_network")
    limit_memory(request["megabytes"])
    run, facts = module.load(request["folder"])
    close_all_doors()
    return run, facts


def _fails_on(picture: np.ndarray) -> str:
    height, width, channels = picture.shape
    colour = " in colour" if channels == 3 else ""
    return (
        f"The model fails on a picture of {width}x{height} pixels{colour}; it has to take any height "
        "and width of which 16 is a factor."
    )


def _explain(error: Exception, otherwise: str) -> str:
    """Return a sentence for people: an error's own if it was written for them; others name paths."""
    if type(error).__name__ in ("OnnxGraphError", "WeightsError"):
        return str(error)
    if isinstance(error, MemoryError) or "allocat" in str(error).lower():
        return "The model needs more memory than one may have here."
    return otherwise


def _answer(target: BinaryIO, answer: dict[str, Any]) -> None:
    write_frame(target, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
