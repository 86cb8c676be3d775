"""Bring committed models and results to the present form, by what is on file: nothing is measured."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from denoiser.analysis.emotion.classifier import CLASSIFIER
from denoiser.analysis.results import BENCHMARK_NAME
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS
from denoiser.weights.training_noise import point
from train.config import clipped_input, noise_name, read_config, trained_on, validation_noise
from train.evaluation.readme import update_emotion
from train.evaluation.score import CONDITIONS
from train.files import METRICS_NAME, WEIGHTS_HASH, file_hash, write_json, write_whole
from train.publish.cards import write_card

CONFIGS = Path(__file__).parent / "configs"


def migrate(
    weights: Path = WEIGHTS, configs: Path = CONFIGS, tell: Callable[[str], None] = print
) -> None:
    """Write what older versions of this code left out. What is complete stays as it is.

    A ``config.json`` gets its training and validation noise as data, from the training config of its id;
    a ``metrics.json`` the hash of its weights, if the benchmark says that its scores are of those; the
    results their noises as data, where they are in words, and lose the scores of weights that are gone.
    Cards and the table of emotions in ``docs/results.md`` follow.

    Args:
        weights: Folder of all models and the benchmark.
        configs: Folder of training configs.
        tell: Gets a line for each file that was changed.
    """
    benchmark = _read(weights / BENCHMARK_NAME)
    models = sorted(path.parent for path in weights.glob(f"*/{CONFIG_NAME}"))
    changed = [
        path
        for folder in models
        for path in (
            _config(folder / CONFIG_NAME, configs / f"{folder.name}.toml"),
            _metrics(folder, benchmark),
        )
        if path is not None
    ]
    training_noises = {folder.name: _read(folder / CONFIG_NAME)["trained_on"] for folder in models}
    for method in benchmark["denoisers"]:
        if isinstance(method["trained_on"], str):
            method["trained_on"] = training_noises[method["id"]]
    for path, results in (
        (weights / BENCHMARK_NAME, benchmark),
        (weights / CLASSIFIER / METRICS_NAME, _read(weights / CLASSIFIER / METRICS_NAME)),
    ):
        results["noises"] = _conditions(results["noises"])
        _drop_void(results, weights)
        if results != _read(path):
            write_json(path, results)
            changed.append(path)
            if path.parent.name == CLASSIFIER and weights == WEIGHTS:
                update_emotion(results)
    scored = [folder for folder in models if (folder / METRICS_NAME).is_file()]
    changed += [write_card(folder.name, weights) for folder in scored if changed]
    for path in changed:
        tell(str(path))


def _config(path: Path, training: Path) -> Path | None:
    content = _read(path)
    if not isinstance(content["trained_on"], str) or not training.is_file():
        return None
    config = read_config(training)
    content["trained_on"] = [asdict(part) for part in trained_on(config)]
    content["clipped_input"] = clipped_input(config)
    content["validation"] = {noise_name(n): point(validation_noise(n)) for n in config.validation}
    write_whole(path, json.dumps(content, indent=2) + "\n")
    return path


def _metrics(folder: Path, benchmark: Mapping[str, Any]) -> Path | None:
    path = folder / METRICS_NAME
    if not path.is_file():  # not yet scored
        return None
    metrics = _read(path)
    versions = {method["id"]: method["weights"] for method in benchmark["denoisers"]}
    scores = {(s["denoiser"], s["noise"]): s for s in benchmark["scores"]}
    weights_hash = file_hash(folder / MODEL_NAME)
    is_current = all(scores.get((s["denoiser"], s["noise"])) == s for s in metrics["scores"])
    if WEIGHTS_HASH in metrics and metrics[WEIGHTS_HASH] != weights_hash:
        path.unlink()
        return path
    if WEIGHTS_HASH in metrics or not is_current or versions.get(folder.name) != weights_hash[:12]:
        return None
    own = metrics.pop("scores")  # last, as they are many
    write_json(path, {**metrics, WEIGHTS_HASH: weights_hash, "scores": own})
    return path


def _drop_void(results: dict[str, Any], weights: Path) -> None:
    """Take the scores of models out whose weights are others now; what scores those again adds them."""
    void = {
        method["id"]
        for method in results["denoisers"]
        if (weights / method["id"] / MODEL_NAME).is_file()
        and method["weights"] != file_hash(weights / method["id"] / MODEL_NAME)[:12]
    }
    for name, key in (("denoisers", "id"), ("scores", "denoiser")):
        results[name] = [entry for entry in results[name] if entry[key] not in void]


def _conditions(noises: Mapping[str, Any]) -> dict[str, Any]:
    """Return noises as data; one in words has to be what this code's condition of that name is."""
    for name, noise in noises.items():
        if isinstance(noise, str) and CONDITIONS[name].describe() != noise:
            raise ValueError(f"{name} is another noise now")
    return {n: point(CONDITIONS[n]) if isinstance(v, str) else v for n, v in noises.items()}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
