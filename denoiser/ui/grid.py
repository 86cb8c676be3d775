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


def create_blind_panel(elem_id: str, value: dict[str, Any]) -> gr.HTML:
    """Add what paints the blind test, or a class that takes it.

    It announces ``vote`` with the round's ``token`` and the ``picture``, ``unmask`` with the ``round``
    to look back at, and ``again``.
    """
    template = (
        '<section class="blind"><p class="blind-status" role="status" hidden></p>'
        '<div class="blind-body"></div></section>'
    )
    return _painted("blind.js", template, value=value, elem_id=elem_id)


def create_address(value: dict[str, Any]) -> gr.HTML:
    """Add what keeps the page's address in step with the grid, copies it, and says so."""
    template = (
        '<div class="share"><p class="share-said" role="status"></p>'
        '<label class="share-box" hidden>Link <input type="text" readonly></label></div>'
    )
    return _painted("share.js", template, value=value, elem_id="share")


def read_asset(name: str) -> str:
    """Return the text of a file in ``assets``."""
    return (ASSETS / name).read_text(encoding="utf-8")


def read_script(name: str) -> str:
    """Return a script of ``assets``, after what all scripts share."""
    return read_asset("common.js") + read_asset(name)


def _painted(script: str, template: str, **settings: Any) -> gr.HTML:
    return gr.HTML(
        html_template=template, js_on_load=read_script(script), apply_default_css=False, **settings
    )
