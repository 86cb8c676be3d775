"""One line that says what a tab works on: the face and the noise chosen in the tab "Compare"."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from denoiser.denoisers.base import describe_values
from denoiser.denoisers.registry import describe_denoiser
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import SILENT
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face, describe_form

_SMALL = ". Compare shows this face at {}; here it is 48x48 and gray."


def describe_experiment(face: Face, experiment: Experiment) -> str:
    """Name the face, the noise with its strength, the seed, and how methods are set otherwise."""
    parts = [face.caption, experiment.noise.describe(), f"seed {experiment.seed}"]
    for method_id, values in experiment.hyperparameters.items():
        info = describe_denoiser(method_id)
        parts.append(f"{info.label}: {describe_values(info, values)}")
    return " · ".join(parts)


def create_summary(controls: Controls, opened: Callable[..., Any]) -> gr.Markdown:
    """Add the line to the page; it is brought up to date when the tab is opened.

    Args:
        controls: The controls of the tab "Compare".
        opened: The tab's event of being opened.
    """
    line = gr.Markdown(elem_classes="experiment")

    def describe(*values: Any) -> str:
        try:
            experiment = describe_experiment(*controls.read_small(values))
            shown = describe_form(controls.read(values)[1])
        except ExperimentError as error:
            return f"{error} Change it under *Compare*."
        return f"**{experiment}** (change it under *Compare*)" + (_SMALL.format(shown) if shown else "")

    opened(
        describe,
        controls.inputs,
        line,
        queue=False,
        preprocess=False,
        **SILENT,
    )
    return line
