"""The first step of the page: choose a sample face, or bring one."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from denoiser.faces.fer2013 import FaceDataError, FaceSet
from denoiser.faces.samples import (
    Sample,
    pick_samples,
    sample_emotions,
)
from denoiser.images import ImageError
from denoiser.ui.common.events import SILENT
from denoiser.ui.common.html import painted
from denoiser.ui.common.payload import encode_picture, new_version
from denoiser.ui.experiment.face_source import (
    FIRST_SEED,
    STRIP_LENGTH,
    FaceSource,
    Upload,
    caption,
    first_face,
    load_upload,
    sample_face,
    upload_face,
)
from denoiser.ui.experiment.run import Face
from denoiser.ui.server.uploads import read_upload

ANY_EMOTION = "any"

_ASK_SECONDS = 2  # how often an open page asks whether FER2013 has come
_NO_SUCH_FACE = "That sample face is not here; the face stays as it is."


@dataclass(frozen=True)
class FaceControls:
    """What holds and shows the session's face.

    Attributes:
        face: The session's :class:`~denoiser.ui.experiment.run.Face`.
        strip: The sample faces to click.
        upload: The session's upload, which can be cropped anew; None for a sample.
        note: What there is to say about the face.
        begin: The event after which a loaded page has the face it starts with.
    """

    face: gr.State
    strip: gr.HTML
    upload: gr.State
    note: gr.Markdown
    begin: Callable[..., Any]

    @property
    def outputs(self) -> list[Any]:
        """All of them, for ``outputs`` of an event; :meth:`show` makes their values."""
        return [self.face, self.strip, self.upload, self.note]

    def settle(self, face: Face) -> Any:
        """Make the value of :attr:`face` for a page that loads: from now on the face is its own."""
        return replace(face, stands_in=False) if face.stands_in else gr.skip()

    def show(self, sample_id: str | None, source: "FaceSource") -> list[Any]:
        """Make the values of :attr:`outputs` that show a sample face.

        None leaves the face as it is; so does an unknown id, and the note says so.
        """
        if sample_id is None:
            return [gr.skip()] * 4
        try:
            sample = source.get(sample_id)
        except FaceDataError:
            return [gr.skip(), gr.skip(), gr.skip(), _NO_SUCH_FACE]
        return [sample_face(sample), _chosen_value(sample), None, ""]


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
    upload = gr.State(None)
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
        crop = gr.Checkbox(True, label="Crop to the face", elem_id="crop")
        gr.Markdown(
            "It stays in this session: not stored, not logged, not sent to anyone else.",
            elem_classes="small",
        )
    note = gr.Markdown("", elem_id="face-note")

    def show_strip(emotion_name: str, seed: int) -> tuple[Any, Face, None, str]:
        emotion_or_any = None if emotion_name == ANY_EMOTION else emotion_name
        samples = pick_samples(source.offer.faces, emotion_or_any, seed, STRIP_LENGTH)
        return _strip_value(samples), sample_face(samples[0]), None, ""

    def choose(event: gr.EventData) -> tuple[Face, None, str]:
        try:
            return sample_face(source.get(str(event.id))), None, ""
        except FaceDataError as error:
            raise gr.Error(str(error)) from error

    face_outputs = [face, upload, note]
    emotion.change(lambda name: show_strip(name, FIRST_SEED), emotion, [strip, *face_outputs], **SILENT)
    shuffle.click(
        lambda name: show_strip(name, secrets.randbelow(2**31)),
        emotion,
        [strip, *face_outputs],
        **SILENT,
    )
    # Queued: after an unqueued event Gradio does not announce that the session's face has changed.
    strip.select(choose, None, face_outputs, trigger_mode="always_last", **SILENT)
    # Without Gradio's preprocessing, which decodes and converts: 16 bits and transparency would be
    # lost before denoiser.images sees them, and a damaged file would end in an HTTP 500.
    picture.change(
        _receive_picture,
        [picture, crop],
        [picture, strip, *face_outputs],
        preprocess=False,
        trigger_mode="multiple",  # a second picture is not dropped while the first is read
        show_progress="minimal",
        show_progress_on=note,
        api_visibility="private",
    )
    crop.change(_crop_again, [upload, crop], [face, note], **SILENT)
    if at_first.coming:
        load = _follow(source, load, face, strip, emotion, about)
    return FaceControls(face, strip, upload, note, load)


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


def _receive_picture(picture: dict[str, Any] | None, crop: bool, request: gr.Request) -> Any:
    """Values for the picture's box, the strip, the face, the upload and the note."""
    if picture is None:  # the box was emptied, by this function for one
        return [gr.skip()] * 5
    try:
        upload = load_upload(read_upload(picture, request.session_hash))
    except ImageError as error:
        return [None, gr.skip(), gr.skip(), gr.skip(), str(error)]
    face, note = upload_face(upload, crop)
    return [None, {"chosen": None}, face, upload, note]


def _crop_again(upload: Upload | None, crop: bool) -> Any:
    if upload is None:
        return [gr.skip()] * 2
    return upload_face(upload, crop)


def _emotion_choices(faces: FaceSet) -> dict[str, Any]:
    emotions = sample_emotions(faces)
    return {"choices": [ANY_EMOTION, *emotions], "visible": bool(emotions)}


def _strip_value(samples: Sequence[Sample], chosen: str | None = None) -> dict[str, Any]:
    return {"chosen": chosen or samples[0].id, "faces": [_strip_face(sample) for sample in samples]}


def _chosen_value(sample: Sample) -> dict[str, Any]:
    """Choose one of the strip's faces, or put it first where it is none of them."""
    # The version makes choosing the same face again, after a click on another, a change.
    return {"version": new_version(), "chosen": sample.id, "face": _strip_face(sample)}


def _strip_face(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "label": caption(sample),
        "side": sample.image.shape[0],
        "pixels": encode_picture(sample.image),
    }


def create_face_strip(value: dict[str, Any]) -> gr.HTML:
    """Add a strip of small faces to click; it announces ``select`` with the face's ``id``."""
    template = '<div class="faces" role="group" aria-label="Sample faces"></div>'
    return painted("experiment/faces.js", template, value=value, elem_id="faces")
