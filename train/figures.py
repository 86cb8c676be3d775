"""What all of training's figures have in common: an SVG that is the same for the same content."""

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#555555"
"""Of words and lines: readable on GitHub's light and dark pages."""

LINE = "#1f77b4"
"""Of what is measured."""


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG; the same figure gives the same text."""
    # "none" keeps words as words; the salt makes the ids in the file the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "figure", "font.size": 9}):
        file = io.StringIO()
        figure.savefig(
            file, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def tidy(axes: Axes, title: str) -> None:
    """Give axes a title and a grid, and take their frame away."""
    axes.set_title(title, color=INK, fontsize=9)
    axes.grid(color=INK, alpha=0.25)
    axes.tick_params(colors=INK, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
