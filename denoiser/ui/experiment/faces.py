"""The first step of the page: choose a sample face, or bring one."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from denoiser.faces.fer2013 import FaceDataError, FaceSet
from denoiser.faces.samples import (
    Sample,
    pick_samples,
    sample_emotions,
)
from denoiser.images import Image, ImageError
from denoiser.ui.common.events import LATEST, SILENT
from denoiser.ui.common.html import painted, read_asset
from denoiser.ui.common.payload import Payload, encode_picture, new_version, write_payload
from denoiser.ui.experiment.face_source import (
    FIRST_SEED,
    STRIP_LENGTH,
    FaceSource,
    caption,
    first_face,
    sample_face,
)
from denoiser.ui.experiment.link_format import OWN_FACE
from denoiser.ui.experiment.own_picture import GONE, OwnPictures, Upload
from denoiser.ui.experiment.run import Face
from denoiser.ui.server.address import address_of
from denoiser.ui.server.uploads import read_upload

ANY_EMOTION = "any"

_ASK_SECONDS = 2  # how often an open page asks whether FER2013 has come
_NO_SUCH_FACE = "That sample face is not here; the face stays as it is."


@dataclass(frozen=True)
class FaceControls:
    """What holds and shows the session's face.

    Attributes:
        face: The session's :class:`~denoiser.ui.experiment.run.Face`.
        strip: The faces to click: samples, and the visitor's own once there is one.
        note: What there is to say about the face.
        begin: The event after which a loaded page has the face it starts with.
    """

    face: gr.State
    strip: gr.HTML
    note: gr.Markdown
    begin: Callable[..., Any]

    @property
    def outputs(self) -> list[Any]:
        """All of them, for ``outputs`` of an event; :meth:`show` makes their values."""
        return [self.face, self.strip, self.note]

    def settle(self, face: Face) -> Any:
        """Make the value of :attr:`face` for a page that loads: from now on the face is its own."""
        return replace(face, stands_in=False) if face.stands_in else gr.skip()

    def show(self, sample_id: str | None, source: "FaceSource") -> list[Any]:
        """Make the values of :attr:`outputs` that show a sample face.

        None leaves the face as it is; so does an unknown id, and the note says so.
        """
        if sample_id is None:
            return [gr.skip()] * 3
        try:
            sample = source.get(sample_id)
        except FaceDataError:
            return [gr.skip(), gr.skip(), _NO_SUCH_FACE]
        return [sample_face(sample), _chosen_value(sample), ""]


def create_face_section(source: FaceSource, load: Callable[..., Any]) -> FaceControls:
    """Add the section to the page.

    Args:
        source: Where the samples come from.
        load: The page's load event.
    """
    at_first = source.offer
    faces = at_first.faces
    strip_start = pick_samples(faces, None, FIRST_SEED, STRIP_LENGTH)
    # What a session has that the server has never heard of; a page that loads is given another.
    face = gr.State(replace(first_face(faces), stands_in=True))
    gr.Markdown("### 1. Face")
    with gr.Row():
        emotion = gr.Dropdown(
            **_emotion_choices(faces),
            value=ANY_EMOTION,
            label="Emotion",
            min_width=120,
            elem_id="emotion",
        )
        shuffle = gr.Button("Other faces", size="md", min_width=110, elem_id="shuffle")
    strip = create_face_strip(_strip_value(strip_start))
    about = gr.Markdown(at_first.about, elem_classes="small", elem_id="about-faces")
    with gr.Accordion("Use your own picture", open=False, elem_id="own-picture"):
        picture = gr.Image(
            sources=["upload", "clipboard", "webcam"],
            type="filepath",
            format="png",
            image_mode=None,
            label="Upload, paste or take a picture",
            show_label=False,
            alt_text="The picture you gave",
            height=190,
            buttons=[],
            elem_id="picture",
        )
        crop = painted("experiment/crop.js", read_asset("experiment/crop.html"), elem_id="crop")
        gr.Markdown(
            "It stays in this session: not stored, not logged, not sent to anyone else.",
            elem_classes="small",
        )
    note = gr.Markdown("", elem_id="face-note")

    def show_strip(emotion_name: str, seed: int) -> tuple[Any, Face, str]:
        emotion_or_any = None if emotion_name == ANY_EMOTION else emotion_name
        samples = pick_samples(source.offer.faces, emotion_or_any, seed, STRIP_LENGTH)
        return _strip_value(samples), sample_face(samples[0]), ""

    emotion.change(lambda name: show_strip(name, FIRST_SEED), emotion, [strip, face, note], **SILENT)
    shuffle.click(
        lambda name: show_strip(name, secrets.randbelow(2**31)),
        emotion,
        [strip, face, note],
        **SILENT,
    )
    _connect_choice(source, face, strip, note, picture, crop)
    if at_first.coming:
        load = _follow(source, load, face, strip, emotion, about)
    return FaceControls(face, strip, note, load)


def _connect_choice(
    source: FaceSource,
    face: gr.State,
    strip: gr.HTML,
    note: gr.Markdown,
    picture: gr.Image,
    crop: gr.HTML,
) -> None:
    """Let a visitor choose a face of the strip, give a picture, and choose the square of it."""
    pictures = OwnPictures()
    upload = gr.State(None)
    outputs = [face, strip, upload, crop, note]

    def forget(shown: Face) -> list[Any]:
        """Make the values of ``outputs`` for a session whose picture the server no longer has."""
        # One that has lost its face, too, is to see the one that stands in.
        face_or_same = replace(shown) if shown.stands_in else gr.skip()
        return [face_or_same, _own_value(None), None, write_payload({"version": new_version()}), GONE]

    def choose(event: gr.EventData, shown: Face, own: Upload | None) -> list[Any]:
        chosen = str(_data_of(event).get("id"))
        if chosen == OWN_FACE:
            return forget(shown) if own is None else [own.face, *[gr.skip()] * 3, ""]
        try:
            return [sample_face(source.get(chosen)), *[gr.skip()] * 3, ""]
        except FaceDataError as error:
            return [gr.skip(), {"version": new_version()}, gr.skip(), gr.skip(), str(error)]

    def receive(sent: dict[str, Any] | None, request: gr.Request) -> list[Any]:
        if sent is None:  # the box was emptied, by this function for one
            return [gr.skip()] * 6
        try:
            data = read_upload(sent, request.session_hash)
            own, photo, said = pictures.receive(data, address_of(request))
        except ImageError as error:
            return [None, *[gr.skip()] * 4, str(error)]
        return [None, own.face, _own_value(own), own, write_payload(photo), said]

    def cut(event: gr.EventData, shown: Face, own: Upload | None) -> list[Any]:
        sent = _data_of(event)
        if own is None:
            return forget(shown)
        if sent.get("id") != own.id:  # another picture has come meanwhile
            return [gr.skip()] * 5
        try:
            new = pictures.cut(own, sent)
        except ImageError as error:
            was = {"version": new_version(), "square": asdict(own.square)}
            return [*[gr.skip()] * 3, write_payload(was), str(error)]
        if new is None:  # the face that was cut out of it stays
            return [*[gr.skip()] * 3, write_payload({"version": new_version()}), GONE]
        return [new.face, _own_value(new), new, gr.skip(), ""]

    # Queued: after an unqueued event Gradio does not announce that the session's face has changed.
    latest: dict[str, Any] = {**LATEST, "inputs": [face, upload], "outputs": outputs}
    strip.select(choose, **latest)
    crop.cut(cut, **latest)
    # Without Gradio's preprocessing, which decodes and converts: 16 bits and transparency would be
    # lost before denoiser.images sees them, and a damaged file would end in an HTTP 500.
    picture.change(
        receive,
        picture,
        [picture, *outputs],
        preprocess=False,
        trigger_mode="multiple",  # a second picture is not dropped while the first is read
        show_progress="minimal",
        show_progress_on=note,
        api_visibility="private",
    )


def _data_of(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}


def _own_value(upload: Upload | None) -> Payload:
    """Put the visitor's own face into the strip and choose it, or take it out."""
    value = {"version": new_version()}
    if upload is None:
        return value | {"own": None}
    own = _strip_face(OWN_FACE, upload.face.caption, upload.face.image)
    return value | {"own": own, "chosen": OWN_FACE}


def _follow(
    source: FaceSource,
    load: Callable[..., Any],
    face: gr.State,
    strip: gr.HTML,
    emotion: gr.Dropdown,
    about: gr.Markdown,
) -> Callable[..., Any]:
    """Let the page show FER2013 as soon as it has come; a page loaded after that starts with it.

    Returns:
        The event that follows on its loading.
    """
    timer = gr.Timer(_ASK_SECONDS)
    strip_outputs = [strip, emotion, about, timer]

    def show(new_face: Face) -> list[Any]:
        offer = source.offer
        if offer.coming:
            return [gr.skip(), gr.skip(), offer.about, gr.skip()]
        if not source.has_changed:
            return [gr.skip(), gr.skip(), offer.about, gr.Timer(active=False)]
        samples = pick_samples(offer.faces, None, FIRST_SEED, STRIP_LENGTH)
        return [
            _strip_value(samples, new_face.id),
            gr.Dropdown(**_emotion_choices(offer.faces)),
            offer.about,
            gr.Timer(active=False),
        ]

    def begin() -> list[Any]:
        first = first_face(source.offer.faces)
        return [*show(first), first if source.has_changed else gr.skip()]

    timer.tick(show, face, strip_outputs, queue=False, **SILENT)
    started = load(begin, None, [*strip_outputs, face], **SILENT)
    return started.then  # type: ignore[no-any-return]


def _emotion_choices(faces: FaceSet) -> dict[str, Any]:
    emotions = sample_emotions(faces)
    return {"choices": [ANY_EMOTION, *emotions], "visible": bool(emotions)}


def _strip_value(samples: Sequence[Sample], chosen: str | None = None) -> dict[str, Any]:
    return {"chosen": chosen or samples[0].id, "faces": [_sample_value(sample) for sample in samples]}


def _chosen_value(sample: Sample) -> dict[str, Any]:
    """Choose one of the strip's faces, or put it first where it is none of them."""
    # The version makes choosing the same face again, after a click on another, a change.
    return {"version": new_version(), "chosen": sample.id, "face": _sample_value(sample)}


def _sample_value(sample: Sample) -> Payload:
    return _strip_face(sample.id, caption(sample), sample.image)


def _strip_face(face_id: str, label: str, image: Image) -> Payload:
    return {"id": face_id, "label": label, "side": image.shape[0], "pixels": encode_picture(image)}


def create_face_strip(value: dict[str, Any]) -> gr.HTML:
    """Add a strip of small faces to click; it announces ``select`` with the face's ``id``."""
    template = '<div class="faces" role="group" aria-label="Faces"></div>'
    return painted("experiment/faces.js", template, value=value, elem_id="faces")
