"""A sweep's results as a picture: one panel for each noise, one row for each variant."""

import statistics
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from train.figures import INK, LINE, tidy, to_svg

_PUBLISHED = "#d95f02"
_MEAN = "mean"


def svg(report: Mapping[str, Any]) -> str:
    """Draw PSNR in dB of every variant under every noise, and the mean over the noises.

    Of a sweep with test figures those are drawn. The noisy pictures are far to the left of all variants
    and therefore left out. Hollow diamonds are published figures, where the sweep names any. The same
    report gives the same text.

    Args:
        report: What :func:`train.ablation.run.run_sweep` returns.
    """
    return to_svg(_figure(report))


def _figure(report: Mapping[str, Any]) -> Figure:
    variants = {v["name"]: _psnrs(v.get("test_scores", v["scores"])) for v in report["variants"]}
    published = {row["name"]: row["psnr"] for row in report["published"]}
    rows = [*variants, *(name for name in published if name not in variants)]
    panels = [*report["noises"], _MEAN]
    figure = Figure(figsize=(1.4 + 1.75 * len(panels), 0.9 + 0.3 * len(rows)))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, axis in zip(panels, axes, strict=True):
        for figures, marker, fill in ((variants, "o", LINE), (published, "D", "none")):
            points = [(row[panel], rows.index(name)) for name, row in figures.items() if panel in row]
            if points:
                colour = LINE if marker == "o" else _PUBLISHED
                axis.scatter(*zip(*points, strict=True), s=36, c=fill, marker=marker, edgecolors=colour)
        tidy(axis, panel)
        axis.set_xlabel("PSNR in dB", color=INK)
        axis.margins(x=0.15)
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _psnrs(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    psnrs = {noise: figures["psnr"] for noise, figures in scores.items()}
    return psnrs | {_MEAN: statistics.fmean(psnrs.values())}
