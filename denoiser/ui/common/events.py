"""How the page's events run: arguments that all of them share."""

from typing import Any

SILENT: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
}
"""Arguments of an event that shows no progress and is no part of the API.

The empty list matters for speed. Without it Gradio's script keeps a status for every output of every
event that ever ran, hidden or not, and before and after every further event it goes through them all,
each with a search of the whole page.
"""

LATEST: dict[str, Any] = {**SILENT, "trigger_mode": "always_last"}
"""Arguments of a silent event that follows a control: of several, the last one counts."""

RAW: dict[str, Any] = {**LATEST, "preprocess": False}
"""Arguments of such an event that is given what the browser sends; see ``Controls.read``."""
