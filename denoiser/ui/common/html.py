"""The painted components of the page: templates that never change, filled by scripts.

No value is ever named in a template: Gradio's templates execute what they are given. The scripts
write text with ``textContent`` only. A value is JSON.

They are plain ``gr.HTML``: for each subclass of a component, Gradio writes a stub file next to the
source.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

_UI = Path(__file__).parents[1]

NOTHING = "<span hidden></span>"
"""The template of what shows nothing."""


def create_download() -> gr.HTML:
    """Add what saves a file (name, type, base64 data) in the browser; none lies on the server."""
    return painted("common/download.js", NOTHING, elem_classes="unseen")


def create_progress(elem_id: str, elem_classes: str = "") -> gr.HTML:
    """Add what shows how far a computation is: its state, a sentence, and how much of it is done."""
    return painted(
        "common/progress.js",
        f'<div class="lab-progress {elem_classes}"><progress aria-label="Progress" hidden></progress>'
        '<span aria-hidden="true" hidden></span><span role="status"></span></div>',
        elem_id=elem_id,
    )


def create_table(elem_id: str, label: str) -> gr.HTML:
    """Add a table that can be sorted.

    Args:
        elem_id: Of the component.
        label: What it holds, for a reader of screens.
    """
    return painted(
        "common/table.js",
        f'<div class="results-scroll scroller" role="region" aria-label="{label}"><table></table></div>',
        elem_id=elem_id,
    )


def read_asset(name: str) -> str:
    """Return the text of a file, such as ``"compare/grid.js"``."""
    return (_UI / name).read_text(encoding="utf-8")


def with_stage(name: str, radios: str) -> str:
    """Return a template with the stage of ``common/stage.js`` where it says ``<!-- stage -->``.

    Args:
        name: The template's file.
        radios: How the stage's radio buttons are called: those of one name exclude each other.
    """
    stage = read_asset("common/stage.html").replace('name="stage-mode"', f'name="{radios}-mode"')
    return read_asset(name).replace("<!-- stage -->", stage)


def read_script(*names: str) -> str:
    """Return scripts as one, after what all scripts share."""
    return "".join(map(read_asset, ("common/common.js", *names)))


def painted(scripts: str | Sequence[str], template: str, **settings: Any) -> gr.HTML:
    """Add a component that a script paints.

    Args:
        scripts: Its file, such as ``"compare/grid.js"``; or several, the one that uses the others last.
        template: Its HTML, in which no value is named.
        **settings: More of ``gr.HTML``'s.
    """
    names = [scripts] if isinstance(scripts, str) else scripts
    return gr.HTML(
        html_template=template, js_on_load=read_script(*names), apply_default_css=False, **settings
    )
