"""Whether ONNX Runtime would make the page faster: two servers, with and without, asked in turns.

What counts is all that a server computes for an update of the grid, in processor time, which others on
the machine disturb least; of many updates the shortest. Run with
``python -m tests.benchmarks.onnx_engine FOLDER``, where ``python -m train export`` has written the
networks, whichever are to be compared.
"""

import os
import runpy
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from denoiser.denoisers.network import NetworkDenoiser, as_batch
from denoiser.denoisers.registry import DEFAULT_DENOISERS, create_denoiser, list_denoisers
from denoiser.images import Image

from ._server import LiveEvent, Server, report, running_app

UPDATES = 200
RUNS = 100
ENGINES = ("pytorch", "onnx")


def use_onnx(folder: Path) -> None:
    """Have this process run networks by ONNX Runtime, as far as the folder has them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # as PyTorch on the page
    sessions: dict[str, Any] = {}
    usual = NetworkDenoiser._denoise

    def denoise(self: NetworkDenoiser, noisy: Image, sigma: float) -> np.ndarray:
        path = folder / f"{self.info.id}.onnx"
        if not path.exists() or self.info.hyperparameters:
            return usual(self, noisy, sigma)
        if self.info.id not in sessions:
            sessions[self.info.id] = onnxruntime.InferenceSession(path, options)
        batch = as_batch(noisy, self.network.channels)
        denoised = sessions[self.info.id].run(None, {"noisy": batch})[0].reshape(-1, *noisy.shape[:2])
        return np.moveaxis(denoised, 0, 2) if noisy.ndim == 3 else denoised.mean(axis=0)

    NetworkDenoiser._denoise = denoise  # type: ignore[method-assign]


def measure_networks(folder: Path) -> dict[str, list[float]]:
    """Return the least milliseconds that each network takes for a face, by either engine."""
    noisy = np.random.default_rng(0).random((48, 48), np.float32)
    ids = [name for name in list_denoisers() if (folder / f"{name}.onnx").exists()]
    usual = NetworkDenoiser._denoise
    use_onnx(folder)
    engines = (usual, NetworkDenoiser._denoise)
    times: dict[str, list[list[float]]] = {name: [[], []] for name in ids}
    for _ in range(RUNS):
        for name in ids:
            for engine, kept in zip(engines, times[name], strict=True):
                start = time.thread_time()
                engine(create_denoiser(name), noisy, 0.0)  # type: ignore[arg-type]
                kept.append(1000 * (time.thread_time() - start))
    return {name: [round(min(kept), 2) for kept in both] for name, both in times.items()}


def measure_page(servers: list[Server], methods: list[str]) -> dict[str, Any]:
    """Return what updates with these methods take the servers, one after the other in turns."""
    events = [LiveEvent(server.url, chosen=methods) for server in servers]
    times: list[list[float]] = [[] for _ in servers]
    for update in range(UPDATES):
        for server, event, kept in zip(servers, events, times, strict=True):
            before = server.processor_seconds()
            event.send(1 + update % 100, "onnx")
            kept.append(1000 * (server.processor_seconds() - before))
    return {
        engine: {
            "least_ms": round(min(kept[5:]), 1),
            "median_ms": round(statistics.median(kept[5:]), 1),
            "memory_mb": round(server.memory_mb()),
        }
        for engine, kept, server in zip(ENGINES, times, servers, strict=True)
    }


def main(folder: Path) -> None:
    networks = measure_networks(folder)
    command = (sys.executable, "-m", "tests.benchmarks.onnx_engine", str(folder), "serve")
    with running_app() as usual, running_app(command) as onnx:
        servers = [usual, onnx]
        figures = {
            "default": measure_page(servers, list(DEFAULT_DENOISERS)),
            "all": measure_page(servers, list_denoisers()),
        }
    report("onnx_engine", {"networks_ms": networks, "update": figures})


if __name__ == "__main__":
    if sys.argv[2:] == ["serve"]:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")  # as app.py, which comes too late for it here
        use_onnx(Path(sys.argv[1]).resolve())
        runpy.run_path("app.py", run_name="__main__")
    else:
        main(Path(sys.argv[1]).resolve())
