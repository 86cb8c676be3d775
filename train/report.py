"""The README's tables, made from ``benchmark.json`` and put between markers."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"

# Where the reference's published figures and what they mean come from: its loss is a plain mean
# squared error on a scale of width 4, so the true PSNR is 10 log10(16 / loss).
REFERENCE: tuple[tuple[str, str, float, float], ...] = (
    ("Attention U-Net", "gaussian-low", 30.15, 0.0039),
    ("PatchGAN", "gaussian-low", 21.97, 0.0064),
    ("Attention U-Net", "gaussian-high", 23.95, 0.0161),
    ("PatchGAN", "gaussian-high", 15.68, 0.0270),
    ("Attention U-Net", "salt-and-pepper-10", 30.40, 0.0037),
)
"""Model, task, published PSNR, published loss."""

# What answers the reference's row for a model and task.
_OURS: Mapping[str, Sequence[str]] = {
    "Attention U-Net": ("attention-unet.{task}", "attention-unet"),
    "PatchGAN": ("patchgan",),
}

_SHOWN = (
    "gaussian-low",
    "gaussian-high",
    "gaussian-25",
    "gaussian-50",
    "salt-and-pepper-10",
    "salt-and-pepper-30",
    "impulse-30",
    "poisson-30",
    "speckle-36",
    "pixel-shuffle-15",
)


def update_readme(benchmark: Mapping[str, Any], readme: Path | None = None) -> None:
    """Put the tables made from a benchmark between the README's markers."""
    path = readme or README
    text = path.read_text(encoding="utf-8")
    for name, table in tables(benchmark).items():
        text = replace_between(text, name, table)
    path.write_text(text, encoding="utf-8")


def tables(benchmark: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown tables by the name of their markers."""
    return {
        "results": results_table(benchmark),
        "reference": reference_table(benchmark),
        "sharpness": sharpness_table(benchmark),
    }


def replace_between(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``.

    Raises:
        ValueError: The markers are not there.
    """
    pattern = re.compile(rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the README has no markers <!-- {name}:start --> and <!-- {name}:end -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def results_table(benchmark: Mapping[str, Any]) -> str:
    """PSNR / SSIM of every denoiser under the main noises; the best PSNR of a noise is bold."""
    scores = _scores(benchmark)
    noises = [name for name in _SHOWN if ("noisy", name) in scores]
    details = {d["id"]: d for d in benchmark["denoisers"]}
    methods = ["noisy", *(d for d in details if any((d, noise) in scores for noise in noises))]
    best = {
        noise: max(scores[d, noise]["psnr"] for d in methods if (d, noise) in scores) for noise in noises
    }
    rows = []
    for method in methods:
        cells = []
        for noise in noises:
            score = scores.get((method, noise))
            if score is None:
                cells.append("-")
                continue
            text = f"{score['psnr']:.2f} / {score['ssim']:.3f}"
            cells.append(f"**{text}**" if score["psnr"] == best[noise] else text)
        milliseconds = f"{details[method]['milliseconds']:.2f}" if method in details else ""
        rows.append([f"`{method}`", milliseconds, *cells])
    return _table(["denoiser", "ms", *noises], rows)


def sharpness_table(benchmark: Mapping[str, Any]) -> str:
    """What the GAN is for: PSNR beside sharpness and spectral distance, for the blind networks."""
    scores = _scores(benchmark)
    rows = []
    for noise in ("gaussian-low", "gaussian-high", "gaussian-25", "gaussian-50"):
        for method in ("attention-unet", "patchgan", "autoencoder"):
            score = scores.get((method, noise))
            if score is not None:
                figures = [
                    f"{score['psnr']:.2f}",
                    f"{score['sharpness']:.3f}",
                    f"{score['spectral_distance']:.2f}",
                ]
                rows.append([noise, f"`{method}`", *figures])
    headers = ["noise", "denoiser", "PSNR, dB", "sharpness (clean: 1)", "spectral distance, dB"]
    return _table(headers, rows)


def reference_table(benchmark: Mapping[str, Any]) -> str:
    """The reference's published figures, their true values, and ours."""
    scores = _scores(benchmark)
    rows = []
    for model, task, published, loss in REFERENCE:
        ours = [
            f"{scores[denoiser, task]['psnr']:.2f} (`{denoiser}`)"
            for denoiser in (pattern.format(task=task) for pattern in _OURS[model])
            if (denoiser, task) in scores
        ]
        rows.append([model, task, f"{published:.2f}", f"{true_psnr(loss):.1f}", ", ".join(ours) or "-"])
    return _table(["model", "task", "published PSNR", "its true PSNR", "ours, PSNR"], rows)


def true_psnr(loss: float) -> float:
    """PSNR in dB that a mean squared error on the reference's scale, of width 4, stands for."""
    return 10 * math.log10(16 / loss)


def _scores(benchmark: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(score["denoiser"], score["noise"]): score for score in benchmark["scores"]}


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
