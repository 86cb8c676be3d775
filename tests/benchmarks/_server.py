"""What the benchmarks share: the app as a process, its memory, the live event, and the report."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.conftest import ROOT, app_environment, free_port, stop


@dataclass
class Server:
    """The running app.

    Attributes:
        url: Its address.
        pid: Its process.
        seconds_to_page: From starting the process to the first page served.
    """

    url: str
    pid: int
    seconds_to_page: float

    def memory_mb(self) -> float:
        """Memory in use by the process (resident set size), in MB of 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError("this system does not say how much memory a process uses")

    def processor_seconds(self) -> float:
        """Processor time that the process has used, to a millionth of a second."""
        return sum(int(path.read_text().split()[0]) for path in self._threads()) / 1e9

    def _threads(self) -> Iterator[Path]:
        return Path(f"/proc/{self.pid}/task").glob("*/schedstat")


@contextlib.contextmanager
def running_app(command: Sequence[str] = (sys.executable, "app.py")) -> Iterator[Server]:
    """Run the app on the bundled faces and a free port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=app_environment(port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError("python app.py ended before it served a page")
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(url, timeout=30).read()
                break
            time.sleep(0.02)
        yield Server(url, process.pid, time.monotonic() - start)
    finally:
        stop(process)


class LiveEvent:
    """The page's own event, as its browser sends it: one POST, one grid back.

    Found in the page's configuration: the unqueued event that writes the grid.

    Args:
        url: The app's address.
        slider: elem_id of the slider to move.
        chosen: Ids of the methods; None for those that the page begins with.
    """

    def __init__(
        self, url: str, slider: str = "noise-gaussian-sigma", chosen: Sequence[str] | None = None
    ):
        self.url = url
        config = json.load(urllib.request.urlopen(f"{url}/config", timeout=30))
        components = {c["id"]: c for c in config["components"]}
        by_elem_id = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
        grid, moved = by_elem_id["comparison"], by_elem_id[slider]
        # The browser writes the controls down, and sends what is written.
        writes = next(d for d in config["dependencies"] if not d["backend_fn"] and moved in d["inputs"])
        written = writes["outputs"][0]
        event = next(
            d
            for d in config["dependencies"]
            if d["outputs"] == [grid] and d["queue"] is False and written in d["inputs"]
        )
        self.fn_index = event["id"]
        self.place = writes["inputs"].index(moved)
        self.seed_place = writes["inputs"].index(by_elem_id["seed"])
        self.settings = [components[i]["props"].get("value") for i in writes["inputs"]]
        if chosen is not None:
            self.settings[writes["inputs"].index(by_elem_id["methods"])] = list(chosen)

    def send(self, value: float, session: str, seed: int = 0) -> dict[str, Any]:
        """Ask for the grid at a slider's value; return what the browser would paint.

        Raises:
            RuntimeError: It is the answer to another question.
        """
        settings = list(self.settings)
        settings[self.place] = value
        settings[self.seed_place] = seed
        data = [None, None, json.dumps(settings)]
        body = json.dumps({"data": data, "fn_index": self.fn_index, "session_hash": session})
        request = urllib.request.Request(
            f"{self.url}/gradio_api/run/predict/",
            body.encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            grid = json.load(answer)["data"][0]
        # gr.HTML may send its value alone or as the update of a component.
        grid = json.loads(grid.get("value", grid) if isinstance(grid, dict) else grid)
        asked, got = (f"{value:g}", seed), (grid.get("sigma"), grid.get("seed"))
        if asked != got:
            raise RuntimeError(f"asked for sigma and seed {asked}, got {got}")
        return dict(grid)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share (0 to 1) of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1))]


def report(name: str, figures: dict[str, Any]) -> None:
    """Print figures and machine, for people and then, on the last line, as JSON."""
    machine = {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),  # the widest that torch uses here
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    print(
        f"{name} on {machine['processor']} ({machine['instructions']}), {machine['cores']} cores, "
        f"load {machine['load']}"
    )
    for figure, value in figures.items():
        print(f"  {figure}: {value}")
    print(json.dumps({"benchmark": name, "machine": machine, "figures": figures}))


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
