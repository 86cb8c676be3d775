"""The painted components of the page: templates that never change, filled by scripts.

No value is ever named in a template: Gradio's templates execute what they are given. The scripts
write text with ``textContent`` only. A value is JSON.

They are plain ``gr.HTML``: for each subclass of a component, Gradio writes a stub file next to the
source.
"""

from pathlib import Path
from typing import Any

import gradio as gr

_UI = Path(__file__).parents[1]

NOTHING = "<span hidden></span>"
"""The template of what shows nothing."""


def create_download() -> gr.HTML:
    """Add what saves a file (name, type, base64 data) in the browser; none lies on the server."""
    return painted("common/download.js", NOTHING, elem_classes="unseen")


def read_asset(name: str) -> str:
    """Return the text of a file, such as ``"compare/grid.js"``."""
    return (_UI / name).read_text(encoding="utf-8")


def read_script(name: str) -> str:
    """Return a script, after what all scripts share."""
    return read_asset("common/common.js") + read_asset(name)


def painted(script: str, template: str, **settings: Any) -> gr.HTML:
    """Add a component that a script paints.

    Args:
        script: Its file, such as ``"compare/grid.js"``.
        template: Its HTML, in which no value is named.
        **settings: More of ``gr.HTML``'s.
    """
    return gr.HTML(
        html_template=template, js_on_load=read_script(script), apply_default_css=False, **settings
    )
