"""The custom components of the page: templates that never change, painted by scripts.

No value is ever named in a template: Gradio's templates execute what they are given. The scripts
write text with ``textContent`` only.
"""

from pathlib import Path
from typing import Any

import gradio as gr

ASSETS = Path(__file__).parent / "assets"


class Painted(gr.HTML):
    """A component whose value is JSON, and whose look is up to a script.

    Args:
        script: File in ``assets`` that runs when the component is mounted.
        template: HTML that stays as it is.
        value: First value.
        **settings: See ``gr.HTML``.
    """

    def __init__(self, script: str, template: str, value: Any = None, **settings: Any):
        super().__init__(
            value=value,
            html_template=template,
            js_on_load=(ASSETS / script).read_text(encoding="utf-8"),
            apply_default_css=False,
            **settings,
        )

    def postprocess(self, value: Any) -> Any:
        """Pass JSON on as it is."""
        return value

    def api_info(self) -> dict[str, Any]:
        """Describe the value: an object."""
        return {"type": "object"}


class ComparisonGrid(Painted):
    """The live grid. Shows :func:`~denoiser.ui.payload.live_payload`.

    Its script announces ``slow`` when slow methods have to be run, and ``settle`` once nothing has
    changed for a moment.
    """

    def __init__(self, **settings: Any):
        template = (ASSETS / "grid.html").read_text(encoding="utf-8")
        super().__init__("grid.js", template, elem_id="comparison", **settings)


class SlowResults(Painted):
    """Hands :func:`~denoiser.ui.payload.slow_payload` on to the grid; shows nothing itself.

    A component of its own: two values that reach one component together would become one.
    """

    def __init__(self, **settings: Any):
        super().__init__("slow.js", "<span hidden></span>", elem_classes="unseen", **settings)


class FaceStrip(Painted):
    """A strip of small faces to click; announces ``select`` with the face's ``id``."""

    def __init__(self, **settings: Any):
        template = '<div class="faces" role="group" aria-label="Sample faces"></div>'
        super().__init__("faces.js", template, elem_id="faces", **settings)


class Download(Painted):
    """Saves the file it is given (name, type, base64 data) in the browser; none lies on the server."""

    def __init__(self, **settings: Any):
        super().__init__("download.js", "<span hidden></span>", elem_classes="unseen", **settings)
