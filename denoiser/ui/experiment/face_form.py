"""The size of the face, and whether it is in colour: one component of the page."""

from typing import Any

import gradio as gr

from denoiser.faces.samples import ASTRONAUT
from denoiser.pipeline import FACE_SIZES, Experiment
from denoiser.ui.common.html import painted, read_asset
from denoiser.ui.common.payload import Payload
from denoiser.ui.experiment.own_picture import is_own
from denoiser.ui.experiment.parsing import write_form
from denoiser.ui.experiment.run import Face

_SMALL = "This sample is 48x48 and gray. The astronaut or your own picture can be larger, in colour."
_ONLY_GRAY = "{} is gray."


def create_face_form() -> gr.HTML:
    """Add the choice. Its script offers what the grid's payload says that the face can be had in.

    The value is what :func:`~denoiser.ui.experiment.parsing.write_form` writes, and is announced as a
    change, whoever changes it. ``select`` is announced where somebody asks for the sample that has more.
    """
    return painted(
        "experiment/face_form.js",
        read_asset("experiment/face_form.html"),
        value=write_form(Experiment()),
        elem_id="face-form",
        sizes=FACE_SIZES,
    )


def describe_offer(face: Face, experiment: Experiment) -> Payload:
    """Say what the face is shown in, and can be had in, for the grid's payload.

    Args:
        face: The face.
        experiment: What is shown of it.
    """
    why, is_small = "", face.detail is None
    if is_small:
        why = _SMALL
    elif not face.has_colour:
        why = _ONLY_GRAY.format(face.caption)
    form: dict[str, Any] = {"size": experiment.face_size, "colour": experiment.colour}
    return form | {
        "sizes": not is_small,
        "colours": face.has_colour,
        "why": why,
        "other": ASTRONAUT if is_small and not is_own(face) else "",
    }
