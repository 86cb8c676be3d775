"""What the server keeps for each open page, and for how many of them."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

CAPACITY = 1_000
"""So many pages keep their face and whatever else is theirs; of more, those unused for longest lose it.

A page that has lost it goes on with the first sample face, and says so.
"""


def keep_lean_sessions(app: gr.Blocks) -> None:
    """Have a launched page keep of each session only what is the session's own.

    Gradio also copies every component's configuration for every session, and the last value each was
    sent: 0.6 MB and 35 ms of processor time for a page that was just opened, and more with each chart.
    Only its deep links, which this page does not have, are made of them.
    """
    holder = _LeanHolder()
    holder.set_blocks(app)
    app.app.state_holder = holder


class _LeanHolder(StateHolder):
    """Gradio's sessions, by their ids."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = _LeanSession(self.blocks)
        return super().__getitem__(session_id)


class _LeanSession(SessionState):
    """One session: its ``gr.State`` values, and the components that events have replaced."""

    def __init__(self, blocks: gr.Blocks):
        # Of no components, it copies none.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]
        self.config_values: dict[int, Any] = _Nothing()

    def __setitem__(self, key: int, value: Any) -> None:
        # What an event leaves as it is, Gradio constructs anew, and most events leave most as they are.
        before = self.blocks_config.blocks.get(key)
        if before is None or before.stateful or _arguments(before) != _arguments(value):
            super().__setitem__(key, value)

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


def _arguments(block: Any) -> dict[str, Any]:
    """Return what a component was made with, but its value, which the browser has."""
    return {k: v for k, v in block.constructor_args.items() if k not in ("value", "render")}


class _Nothing(dict[int, Any]):
    """Stays empty."""

    def __setitem__(self, key: int, value: Any) -> None:
        pass
