"""A model of the visitor's own: where a page adds it, and how long the server keeps it.

A session holds a handle; the model itself is found by the session that holds it, so that no id, link or
endpoint leads to another's. It runs in a process of its own: see :mod:`~denoiser.denoisers.confined`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import gradio as gr

from denoiser.denoisers.confined.processes import OwnModelError
from denoiser.denoisers.hub_model import read_hub_model
from denoiser.denoisers.onnx_file import read_onnx, why_no_onnx
from denoiser.denoisers.own_model import MAX_BYTES, OWN_MODEL, OwnModel
from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.images import ImageError
from denoiser.ui.common.events import SILENT
from denoiser.ui.common.html import painted
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.experiment.costs import LONGEST_MS, cost
from denoiser.ui.server.address import address_of
from denoiser.ui.server.kept import Kept
from denoiser.ui.server.uploads import read_upload

KEPT_BYTES = 256 * 2**20
"""So much of all sessions' models is kept."""

_TEXT = f"""An ONNX file of up to {MAX_BYTES // 2**20} MB that takes and returns float32 from 0 to 1 in
the shape (batch, 1 or 3, height, width); or a network that `python -m train push` has put on the Hub. It
runs on this server in a process of its own, for this page alone, and is in no link."""
_TEMPLATE = (
    '<div class="own-model"><p role="status"></p><button type="button" hidden>Remove it</button></div>'
)
_LOST = "The file got lost on its way; please choose it again."
_LONGEST_NAME, _LONGEST_ADDRESS = 40, 300  # characters


@dataclass(frozen=True, eq=False)
class OwnHandle:
    """What a session holds of its model.

    Attributes:
        session: Whose it is.
        key: The model's.
        name: What the visitor calls it.
    """

    session: str
    key: str
    name: str


class OwnModels:
    """The models of all sessions, one each; they go with their pages, or when others need the room."""

    def __init__(self) -> None:
        self._kept: Kept[OwnModel] = Kept(KEPT_BYTES)

    def keep(self, session: str, address: str, name: str, model: OwnModel) -> OwnHandle:
        """Keep a model in place of the session's older one; see :meth:`Kept.keep`."""
        self._kept.keep(session, model, address)
        return OwnHandle(session, model.key, name)

    def find(self, handle: OwnHandle | None) -> OwnModel | None:
        """Return a model, lent: no state of a session keeps its files; None where it is gone."""
        model = None if handle is None else self._kept.find(handle.session)
        if model is None or handle is None or model.key != handle.key:
            return None
        return model.lend()

    def forget(self, session: str) -> None:
        """Drop a session's model, if it has one."""
        self._kept.forget(session)

    def close(self, session: str) -> None:
        """Drop it soon, as the page was closed."""
        self._kept.close(session)


@dataclass(frozen=True)
class OwnControls:
    """What holds and adds the session's model.

    Attributes:
        handle: The session's :class:`OwnHandle`, or None.
        models: Where the models are.
        file: Takes an ONNX file.
        address: Names a network on the Hub.
        add: Adds that.
        note: Says what became of it, and removes it.
    """

    handle: gr.State
    models: OwnModels
    file: gr.UploadButton
    address: gr.Textbox
    add: gr.Button
    note: gr.HTML


def create_own_section(closed: Callable[..., Any]) -> OwnControls:
    """Add the section to the page.

    Args:
        closed: The event of the page being closed.
    """
    models = OwnModels()
    why_not = why_no_onnx()
    with gr.Accordion("Add a model of your own", open=False, elem_id="own-model"):
        gr.Markdown(_TEXT, elem_classes="small")
        if why_not:
            gr.Markdown(why_not, elem_classes="small")
        file = gr.UploadButton(
            "Choose an ONNX file",
            file_types=[".onnx"],
            size="sm",
            interactive=not why_not,
            elem_id="own-file",
        )
        with gr.Row():
            address = gr.Textbox(
                label="Or a network on the Hub",
                placeholder="NAME/REPOSITORY@COMMIT",
                lines=1,
                max_lines=1,
                max_length=_LONGEST_ADDRESS,
                min_width=160,
                elem_id="own-address",
            )
            add = gr.Button("Add", size="md", min_width=60, elem_id="own-add")
        note = painted("experiment/own_model.js", _TEMPLATE, elem_id="own-note")

    def forget(request: gr.Request) -> None:
        models.close(request.session_hash or "")

    closed(forget)
    return OwnControls(gr.State(None), models, file, address, add, note)


def connect_own(own: OwnControls, chosen: gr.CheckboxGroup, board: gr.Column) -> None:
    """Let a visitor add and remove a model.

    Args:
        own: The section.
        chosen: Which methods are shown; what is added is.
        board: Is there as long as there is a model.
    """
    outputs = [own.handle, chosen, board, own.note]
    models = own.models

    def keep(request: gr.Request, name: str, shown: Any, read: Callable[[], OwnModel]) -> list[Any]:
        session = request.session_hash or ""
        try:
            handle = models.keep(session, address_of(request), name, _quick_enough(read()))
        except (OwnModelError, ImageError) as error:
            said = _LOST if isinstance(error, ImageError) else str(error)
            return [gr.skip()] * 3 + [{"version": new_version(), "error": said}]
        methods = [*_without_own(shown), OWN_MODEL]
        return [handle, methods, gr.Column(visible=True), _added(name)]

    def add_file(sent: Any, shown: Any, request: gr.Request) -> list[Any]:
        if sent is None:  # the button was emptied, by this function for one
            return [gr.skip()] * (1 + len(outputs))
        session = request.session_hash or ""
        return [
            None,
            *keep(request, _file_name(sent), shown, lambda: read_onnx(read_upload(sent, session))),
        ]

    def add_network(address: Any, shown: Any, request: gr.Request) -> list[Any]:
        text = address[:_LONGEST_ADDRESS] if isinstance(address, str) else ""
        name = text.partition("@")[0].removeprefix("https://huggingface.co/").strip()
        return keep(request, name[:_LONGEST_NAME], shown, lambda: read_hub_model(text))

    def remove(shown: Any, request: gr.Request) -> list[Any]:
        models.forget(request.session_hash or "")
        said = {"version": new_version(), "text": "Removed."}
        return [None, _without_own(shown), gr.Column(visible=False), said]

    # Queued: after an unqueued event Gradio does not announce that the session's model has changed.
    settings: dict[str, Any] = {
        **SILENT,
        "preprocess": False,
        "concurrency_limit": 2,
        "concurrency_id": "own-model",
    }
    busy = """(...values) => {
      document.querySelector("#own-note .own-model").dispatchEvent(new Event("busy"));
      return values;
    }"""
    own.file.upload(
        add_file, [own.file, chosen], [own.file, *outputs], js=busy, trigger_mode="once", **settings
    )
    gr.on(
        [own.add.click, own.address.submit],
        add_network,
        [own.address, chosen],
        outputs,
        js=busy,
        trigger_mode="once",
        **settings,
    )
    own.note.remove(remove, chosen, outputs, trigger_mode="once", **settings)


def _quick_enough(model: OwnModel) -> OwnModel:
    """Return a model that can be waited for where it runs, which is in every tab."""
    if cost(model.info, (FACE_SIZE, FACE_SIZE)) > LONGEST_MS:
        raise OwnModelError(
            f"The model takes {model.info.milliseconds:.0f} ms for {FACE_SIZE}x{FACE_SIZE} pixels, and "
            f"may take {LONGEST_MS:.0f}."
        )
    return model


def _added(name: str) -> Payload:
    return {"version": new_version(), "text": f"{name} is among the methods.", "present": True}


def _file_name(sent: Any) -> str:
    name = sent.get("orig_name") if isinstance(sent, dict) else None
    return PurePath(name).name[:_LONGEST_NAME] if isinstance(name, str) else "Your file"


def _without_own(shown: Any) -> list[str]:
    methods = shown if isinstance(shown, list) else []
    return [name for name in methods if isinstance(name, str) and name != OWN_MODEL]
