"""Bring committed models and results to the present form, by what is on file: nothing is measured."""

import json
from collections.abc import Callable
from pathlib import Path

from denoiser.results import BENCHMARK_NAME
from denoiser.weights import CONFIG_NAME, MODEL_NAME, WEIGHTS

from .files import METRICS_NAME, WEIGHTS_HASH, file_hash, write_json


def migrate(weights: Path = WEIGHTS, tell: Callable[[str], None] = print) -> None:
    """Write what older versions of this code left out. What is complete stays as it is.

    A ``metrics.json`` gets the hash of its weights, if the benchmark says that its scores are of those.

    Args:
        weights: Folder of all models and the benchmark.
        tell: Gets a line for each file that was changed.
    """
    benchmark = json.loads((weights / BENCHMARK_NAME).read_text(encoding="utf-8"))
    versions = {method["id"]: method["weights"] for method in benchmark["denoisers"]}
    scores = {(s["denoiser"], s["noise"]): s for s in benchmark["scores"]}
    for path in sorted(weights.glob(f"*/{METRICS_NAME}")):
        folder = path.parent
        if not (folder / CONFIG_NAME).is_file():  # the emotion classifier's
            continue
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found = file_hash(folder / MODEL_NAME)
        scored = all(scores.get((s["denoiser"], s["noise"])) == s for s in metrics["scores"])
        if WEIGHTS_HASH in metrics or not scored or versions.get(folder.name) != found[:12]:
            continue
        own = metrics.pop("scores")  # last, as they are many
        write_json(path, {**metrics, WEIGHTS_HASH: found, "scores": own})
        tell(str(path))
