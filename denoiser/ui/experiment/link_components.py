"""The experiment in the page's address: set from it on loading, and a button that copies it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from denoiser.faces.fer2013 import FaceDataError
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import SILENT
from denoiser.ui.common.html import painted
from denoiser.ui.common.payload import Payload
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.face_source import FaceSource, sample_id
from denoiser.ui.experiment.link_format import (
    Link,
    describe_problems,
    link_keys,
    names_class,
    read_link,
    write_link,
)
from denoiser.ui.experiment.run import Face
from denoiser.ui.server.security import is_embedded

_ASK_SECONDS = 2  # how often a page whose link names a face of FER2013 asks whether it has come
_OWN_FACE = "it was made with someone's own picture, which no link holds, so this is a sample face"
_NO_SUCH_FACE = "its face is not among the sample faces here"
_NO_FER2013 = "its face is one of FER2013, which is not here"
_COMING = "The link's face, one of FER2013, is still being downloaded; it is shown once it has come."
_WHOLE_LAB = '<a class="whole-lab" target="_blank" rel="noopener" hidden>Open the whole lab</a>'
_SHARE = (
    '<div class="share"><p class="share-said" role="status"></p>'
    '<label class="share-box" hidden><span></span> <input type="text" readonly></label></div>'
)


@dataclass(frozen=True)
class _Awaited:
    """A link's face that is still on its way.

    Attributes:
        sample: Its id.
        instead_of: Id of the face shown meanwhile; another one was chosen since.
    """

    sample: str
    instead_of: str


def describe_link(face: Face, experiment: Experiment) -> Payload:
    """Say what the page's address is to hold, for the grid's payload."""
    sample = sample_id(face)
    return {"link": write_link(replace(experiment, sample=sample)), "ownFace": sample is None}


def create_link_note() -> gr.Markdown:
    """Add the place that says what of an opened link can't be used."""
    return gr.Markdown(elem_id="link-note")


def create_whole_lab_link() -> None:
    """Add the way from what is embedded to the whole page; what writes the address shows it there."""
    gr.HTML(html_template=_WHOLE_LAB, apply_default_css=False, elem_id="whole-lab")


def create_copy_buttons(prefix: str = "") -> None:
    """Add the buttons that copy a link to what is open, and the frame for another page.

    Args:
        prefix: Comes before their ids.
    """
    for label, name in (("Copy link", "copy-link"), ("Copy embed code", "copy-frame")):
        button = gr.Button(label, size="sm", min_width=90, elem_id=prefix + name)
        # In the browser, within the click: a clipboard is open to nothing else.
        button.click(
            None,
            None,
            None,
            js=f"() => document.dispatchEvent(new CustomEvent('{name}'))",
            api_visibility="private",
        )


def create_link_box() -> gr.HTML:
    """Add what writes the address, and copies the link and says so."""
    return create_address(_address())


def create_copied_note() -> None:
    """Add another place, in another tab, for what there is to say about a copied link."""
    gr.HTML(html_template=_SHARE, apply_default_css=False)


def restore_on_load(
    note: gr.Markdown,
    box: gr.HTML,
    controls: Controls,
    faces: FaceSource,
    tabs: gr.Tabs,
    load: Callable[..., Any],
) -> Callable[..., Any]:
    """Put the experiment of the page's address into the controls when the page is loaded.

    Args:
        note: Says what of the link can't be used.
        box: Writes the address.
        controls: The controls.
        faces: Where the sample comes from.
        tabs: The page's tabs, each with an id.
        load: The page's load event, or what follows on it.

    Returns:
        The event that follows: the controls are as they are to be, and that is written down.
    """
    # The browser's own address: with it, it does not matter how Gradio hands on the page's query.
    query = gr.Textbox(visible=False)
    awaited = gr.State(None)
    timer = gr.Timer(_ASK_SECONDS, active=False)

    def restore(text: Any, face: Face) -> list[Any]:
        query = text if isinstance(text, str) else ""
        invites = names_class(query) and not is_embedded(query)  # which shows no votes
        invited = {"openTab": "blind"} if invites else {}
        link = read_link(query)
        if link is None:
            box_value = _address() | invited if invited else gr.skip()
            rest = [gr.skip()] * (len(controls.outputs) - 1)
            return [controls.faces.settle(face), *rest, box_value, *[gr.skip()] * 3]
        problems = list(link.problems)
        tab_update = {"openTab": link.tab}
        if link.tab is not None and link.tab not in [tab.id for tab in _list_tabs(tabs)]:
            problems.append("its tab is unknown")
            tab_update = {}
        problem, waiting = _find_face(link, faces)
        problems += [problem] if problem else []
        experiment = replace(link.experiment, sample=None) if problem or waiting else link.experiment
        message = " ".join(filter(None, [describe_problems(problems), _COMING if waiting else ""]))
        new_face, *others = controls.show(experiment, faces)
        return [
            new_face if isinstance(new_face, Face) else controls.faces.settle(face),
            *others,
            _address() | {"view": link.view, "waiting": waiting} | tab_update | invited,
            message,
            _Awaited(str(link.experiment.sample), face.id) if waiting else None,
            gr.Timer(active=waiting),
        ]

    def open_tab(event: gr.EventData) -> Any:
        tab_id = event._data.get("tab") if isinstance(event._data, dict) else None
        tab_ids = [tab.id for tab in _list_tabs(tabs)]
        return gr.Tabs(selected=tab_id) if tab_id in tab_ids else gr.skip()

    def bring(pending: _Awaited | None, face: Face) -> list[Any]:
        """Show a link's face once it has come, unless another was chosen meanwhile."""
        if pending is not None and faces.offer.coming:
            return [gr.skip()] * (len(controls.faces.outputs) + 3)
        done = [_address(), gr.Timer(active=False)]
        if pending is None or face.id != pending.instead_of:
            return [*[gr.skip()] * len(controls.faces.outputs), "", *done]
        message = describe_problems(_missing(pending.sample, faces))
        return [
            *controls.faces.show(None if message else pending.sample, faces),
            message,
            *done,
        ]

    restored = load(
        restore,
        [query, controls.faces.face],
        [*controls.outputs, box, note, awaited, timer],
        js="(query, face) => [window.location.search, face]",
        # The face's change is not announced then; what follows on this event does not need that.
        queue=False,
        preprocess=False,
        **SILENT,
    )
    # An event of its own, which most pages never see: Gradio goes through everything in the outputs of
    # all events that ever ran, with every move of a slider, and everything is in the tabs.
    box.open_tab(open_tab, None, tabs, queue=False, **SILENT)
    timer.tick(
        bring,
        [awaited, controls.faces.face],
        [*controls.faces.outputs, note, box, timer],
        **SILENT,
    )
    return controls.write_after(restored.then)


def _list_tabs(tabs: gr.Tabs) -> list[gr.Tab]:
    return [child for child in tabs.children if isinstance(child, gr.Tab)]


def _address() -> dict[str, Any]:
    """What the address's script has to know: which keys of an address are its own."""
    return {"keys": link_keys()}


def _find_face(link: Link, faces: FaceSource) -> tuple[str, bool]:
    """Say what is wrong with the link's face, and whether it is on its way."""
    if link.own_face:
        return _OWN_FACE, False
    if link.experiment.sample is None:
        return "", False
    missing = _missing(link.experiment.sample, faces)
    if missing and faces.offer.coming and _is_fer2013(link.experiment.sample):
        return "", True
    return " ".join(missing), False


def _missing(sample: str, faces: FaceSource) -> Sequence[str]:
    """Say why a sample face can't be had; nothing if it can."""
    try:
        faces.get(sample)
    except FaceDataError:
        here = faces.offer.faces.split == "test"
        return [_NO_FER2013 if _is_fer2013(sample) and not here else _NO_SUCH_FACE]
    return []


def _is_fer2013(sample: str) -> bool:
    return sample.startswith("fer2013-test-")


def create_address(value: dict[str, Any]) -> gr.HTML:
    """Add what keeps the page's address in step with the grid, copies it, and says so."""
    return painted("experiment/link_components.js", _SHARE, value=value, elem_id="share")
