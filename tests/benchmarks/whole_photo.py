"""A whole photograph of 12 megapixels in colour, in tiles: seconds and memory.

Aim: under a minute with the U-Net on two cores, and under 1 GB in all. Every method runs in a process of
its own, on a made-up photograph; memory is the most that the process had (VmHWM), and what it had before
the photo was read. ``python -m tests.benchmarks.whole_photo [NAME ...]``
"""

import json
import os
import subprocess
import sys

from tests.conftest import ROOT

from ._server import report

METHODS = ("attention-unet", "residual-unet", "median", "nl-means", "wavelet", "total-variation")
HEIGHT, WIDTH = 3000, 4000
THREADS = 2

_RUN = f"""
import json, re, sys, time
import cv2
import numpy as np
import denoiser

def memory(kind):
    text = open("/proc/self/status").read()
    return int(re.search(kind + r":\\s+(\\d+)", text)[1]) * 1024 / 1e6

cv2.setNumThreads(1)
method = denoiser.create_denoiser(sys.argv[1])
before = memory("VmRSS")
rng = np.random.default_rng(0)
small = rng.integers(0, 256, ({HEIGHT} // 100, {WIDTH} // 100, 3), np.uint8)
pixels = cv2.resize(small, ({WIDTH}, {HEIGHT}), interpolation=cv2.INTER_CUBIC)
for top in range(0, {HEIGHT}, 100):
    noise = rng.normal(0, 10, (100, {WIDTH}, 3))
    pixels[top : top + 100] = np.clip(pixels[top : top + 100] + noise, 0, 255)
readings = []
start, cpu = time.perf_counter(), time.process_time()
photo = denoiser.Photo(pixels)
denoiser.denoise(
    photo, method, threads={THREADS}, progress=lambda share: readings.append((share, memory("VmHWM")))
)
early = next(megabytes for share, megabytes in readings if share > 0.1)
print(json.dumps({{
    "seconds": round(time.perf_counter() - start, 1),
    "processor_seconds": round(time.process_time() - cpu, 1),
    "before_mb": round(before),
    "after_a_tenth_mb": round(early),
    "most_mb": round(memory("VmHWM")),
}}))
"""


def main(names: list[str]) -> None:
    figures = {}
    for name in names or METHODS:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", _RUN, name],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        figures[name] = json.loads(ran.stdout)
        print(name, figures[name], flush=True)
    report("whole_photo", {"megapixels": HEIGHT * WIDTH / 1e6, "threads": THREADS, **figures})


if __name__ == "__main__":
    main(sys.argv[1:])
