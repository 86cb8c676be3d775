"""Undo and Reset of the size, the noise and the methods, in the browser alone."""

import gradio as gr

from denoiser.ui.common.events import SILENT
from denoiser.ui.common.html import painted
from denoiser.ui.experiment.controls import Controls

_TEMPLATE = (
    '<div class="history">'
    '<button type="button" title="Back to the settings before these" disabled>Undo</button>'
    '<button type="button" title="The size, noise and methods of the start" disabled>Reset</button>'
    "</div>"
)
_WANTED = "() => JSON.parse(document.querySelector('#history .history').dataset.wanted)"


def create_history() -> gr.HTML:
    """Add the two buttons; :func:`connect_history` makes them work."""
    return painted("experiment/history.js", _TEMPLATE, value={"first": "[]"}, elem_id="history")


def connect_history(history: gr.HTML, controls: Controls) -> None:
    """Have the buttons set the controls, which keep what they start with in ``written``."""
    history.value = {"first": controls.written.value}
    history.restore(None, None, controls.settings, js=_WANTED, **SILENT)
