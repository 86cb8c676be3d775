"""The noises on top of the first: one component, whose script has a row for each."""

from typing import Any

import gradio as gr

from denoiser.noise import NOISES, NoiseModel
from denoiser.ui.common.html import painted, read_asset
from denoiser.ui.experiment.parsing import MAX_STAGES, write_stages


def create_more_noises() -> gr.HTML:
    """Add the rows, none at first, and the button that adds one.

    The value is what :func:`~denoiser.ui.experiment.parsing.write_stages` writes, and is announced as a
    change, whoever changes it. As Gradio's components three rows would be seventy.
    """
    return painted(
        "experiment/more_noises.js",
        read_asset("experiment/more_noises.html"),
        value=write_stages([]),
        elem_id="more-noises",
        most=MAX_STAGES - 1,
        kinds=[_describe_kind(kind) for kind in NOISES],
    )


def _describe_kind(kind: type[NoiseModel]) -> dict[str, Any]:
    """Say what a row of a kind has, in the units of the page's sliders."""
    return {
        "id": kind.id,
        "label": kind.label,
        "parameters": [
            {
                "name": parameter.name,
                "title": parameter.title,
                "range": parameter.slider_range,
                "step": parameter.step,
                "integer": parameter.integer,
                "value": parameter.displayed(parameter.default),
            }
            for parameter in kind.parameters
        ],
    }
