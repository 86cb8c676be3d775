"""One picture of a whole recipe: how far every step is, and what it has learned by now."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from train.figures import INK, LINE, tidy, to_svg
from train.files import write_whole
from train.fit import history_rows

State = Literal["waiting", "running", "done", "failed"]

PROGRESS_NAME = "progress.svg"
"""The picture's name, in the folder of the recipe's logs."""

_COLUMNS = 4
_COLOURS: Mapping[State, str] = {"waiting": INK, "running": LINE, "done": LINE, "failed": "#d62728"}


def write_progress(states: Mapping[str, State], runs: Path, folder: Path) -> None:
    """Write the picture: a panel for each step, with its validation PSNR so far.

    Args:
        states: How far each step is, by its config, in the recipe's order.
        runs: Folder with a folder of runs for each config.
        folder: Where to write it.
    """
    curves = {config: read_curve(runs / config) for config in states}
    write_whole(folder / PROGRESS_NAME, draw_progress(states, curves))


def read_curve(folder: Path) -> list[tuple[int, float]]:
    """Return a run's mean validation PSNR in dB by training step; empty before its first validation.

    Args:
        folder: With the folder of one run.
    """
    try:
        rows = [
            row
            for run in sorted(path.parent for path in folder.glob("*/log"))
            for row in history_rows(run)
        ]
        points = [(int(row["step"]), float(row["val_psnr"])) for row in rows if "val_psnr" in row]
    except (KeyError, ValueError):  # a row is half written: the next picture has it
        return []
    return [point for point in points if math.isfinite(point[1])]


def draw_progress(states: Mapping[str, State], curves: Mapping[str, list[tuple[int, float]]]) -> str:
    """Draw the picture, as SVG.

    Args:
        states: How far each step is.
        curves: (training step, validation PSNR in dB) of each.
    """
    columns = min(_COLUMNS, len(states))
    rows = math.ceil(len(states) / columns)
    figure = Figure(figsize=(3 * columns, 2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for (config, state), axes in zip(states.items(), panels, strict=False):
        curve = curves[config]
        last = f", {curve[-1][1]:.2f} dB" if curve else ""
        tidy(axes, f"{config}\n{state}{last}")
        axes.title.set_color(_COLOURS[state])
        if curve:
            axes.plot(*zip(*curve, strict=True), color=_COLOURS[state], marker=".", linewidth=1)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
    for axes in list(figure.axes)[len(states) :]:
        axes.set_visible(False)
    figure.supylabel("validation PSNR in dB", color=INK, fontsize=9)
    figure.supxlabel("training steps", color=INK, fontsize=9)
    return to_svg(figure)
