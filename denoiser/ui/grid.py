"""The painted components of the page: templates that never change, filled by scripts.

No value is ever named in a template: Gradio's templates execute what they are given. The scripts
write text with ``textContent`` only. A value is JSON.

They are plain ``gr.HTML``: for each subclass of a component, Gradio writes a stub file next to the
source.
"""

from pathlib import Path
from typing import Any

import gradio as gr

ASSETS = Path(__file__).parent / "assets"

_NOTHING = "<span hidden></span>"


def create_grid() -> gr.HTML:
    """Add the live grid, which shows :func:`~denoiser.ui.payload.live_payload`.

    Its script announces ``slow`` when slow methods have to be run, and ``settle`` once nothing has
    changed for a moment.
    """
    return _painted("grid.js", read_asset("grid.html"), elem_id="comparison")


def create_slow_results() -> gr.HTML:
    """Add what hands :func:`~denoiser.ui.payload.slow_payload` on to the grid; it shows nothing.

    A component of its own: two values that reach one component together would become one.
    """
    return _painted("slow.js", _NOTHING, elem_classes="unseen")


def create_face_strip(value: dict[str, Any]) -> gr.HTML:
    """Add a strip of small faces to click; it announces ``select`` with the face's ``id``."""
    template = '<div class="faces" role="group" aria-label="Sample faces"></div>'
    return _painted("faces.js", template, value=value, elem_id="faces")


def create_download() -> gr.HTML:
    """Add what saves a file (name, type, base64 data) in the browser; none lies on the server."""
    return _painted("download.js", _NOTHING, elem_classes="unseen")


def read_asset(name: str) -> str:
    """Return the text of a file in ``assets``."""
    return (ASSETS / name).read_text(encoding="utf-8")


def _painted(script: str, template: str, **settings: Any) -> gr.HTML:
    return gr.HTML(
        html_template=template, js_on_load=read_asset(script), apply_default_css=False, **settings
    )
