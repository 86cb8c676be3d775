"""The first step of the page: choose a sample face, or bring one."""

import base64
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from denoiser.images import ImageError, LoadedFace, load_face, to_uint8
from denoiser.samples import (
    FACE_SIZE,
    FaceDataError,
    FaceSet,
    Sample,
    bundled_faces,
    find_fer2013,
    get_sample,
    load_samples,
    pick_samples,
    sample_emotions,
)
from denoiser.ui.grid import create_face_strip
from denoiser.ui.payload import Face

STRIP_LENGTH = 12
_FIRST_SEED = 10  # FER2013 has pictures without a face; this strip of it has none
ANY_EMOTION = "any"

_GET_FER2013 = (
    "For FER2013, set FER2013_PATH to where it lies, or put it into data/fer2013, "
    "and start the app again."
)
# The browser may still be fetching the picture it has just sent, to show it for a moment.
_DELETE_AFTER_SECONDS = 10
_FILE_GONE = "The picture got lost on its way; please choose it again."


@dataclass(frozen=True, eq=False)
class Upload:
    """An uploaded face, both ways; the file itself is not kept.

    Attributes:
        cropped: Cropped to the largest face.
        centred: Cropped to the centre.
    """

    cropped: LoadedFace
    centred: LoadedFace


def find_faces() -> tuple[FaceSet, str]:
    """Return the faces to offer, and a sentence or two that says what they are."""
    try:
        path = find_fer2013()
        faces = load_samples(path)
    except FaceDataError as error:
        return bundled_faces(), f"{error} Until then: the faces that ship with scikit-image."
    if path is None:
        return faces, f"{faces.source}. {_GET_FER2013}"
    return faces, f"{faces.source}: {len(faces):,} faces."


def first_face(faces: FaceSet) -> Face:
    """Return the face a new session starts with."""
    return _sample_face(pick_samples(faces, None, _FIRST_SEED, 1)[0])


def read_upload(path: str) -> Upload:
    """Read an uploaded file, and have it deleted.

    Raises:
        ImageError: It can't be used; one sentence.
    """
    file = Path(path)
    try:
        modified = file.stat().st_mtime_ns
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(_FILE_GONE) from error
    timer = threading.Timer(_DELETE_AFTER_SECONDS, _delete, (file, modified))
    timer.daemon = True
    timer.start()
    return Upload(load_face(data, FACE_SIZE), load_face(data, FACE_SIZE, crop_face=False))


def upload_face(upload: Upload, crop: bool) -> tuple[Face, str]:
    """Return an uploaded face as the session's face, and what there is to say about it."""
    loaded = upload.cropped if crop else upload.centred
    height, width = loaded.size
    note = loaded.note or ("Cropped to the face." if crop else "The centre was cropped.")
    if height == width == FACE_SIZE and not loaded.note and not crop:
        note = "Used as it is."
    return Face(f"upload-{secrets.token_hex(8)}", "Your picture", loaded.image), note


def create_face_section(faces: FaceSet, about: str) -> gr.State:
    """Add the section to the page.

    Args:
        faces: The samples.
        about: What they are, in words.

    Returns:
        The session's :class:`~denoiser.ui.payload.Face`.
    """
    strip_start = pick_samples(faces, None, _FIRST_SEED, STRIP_LENGTH)
    face = gr.State(first_face(faces))
    upload = gr.State(None)
    gr.Markdown("### 1. Face")
    with gr.Row():
        emotions = [ANY_EMOTION, *sample_emotions(faces)]
        emotion = gr.Dropdown(
            emotions,
            value=ANY_EMOTION,
            label="Emotion",
            visible=len(emotions) > 1,
            min_width=120,
            elem_id="emotion",
        )
        shuffle = gr.Button("Other faces", size="md", min_width=110, elem_id="shuffle")
    strip = create_face_strip(_strip_value(strip_start))
    gr.Markdown(about, elem_classes="small", elem_id="about-faces")
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
        wanted = None if emotion_name == ANY_EMOTION else emotion_name
        samples = pick_samples(faces, wanted, seed, STRIP_LENGTH)
        return _strip_value(samples), _sample_face(samples[0]), None, ""

    def choose(event: gr.EventData) -> tuple[Face, None, str]:
        try:
            return _sample_face(get_sample(faces, str(event.id))), None, ""
        except FaceDataError as error:
            raise gr.Error(str(error)) from error

    private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    chosen = [face, upload, note]
    emotion.change(lambda name: show_strip(name, _FIRST_SEED), emotion, [strip, *chosen], **private)
    shuffle.click(
        lambda name: show_strip(name, secrets.randbelow(2**31)),
        emotion,
        [strip, *chosen],
        **private,
    )
    # Queued: after an unqueued event Gradio tells nobody that the session's face has changed.
    strip.select(choose, None, chosen, trigger_mode="always_last", **private)
    # Without Gradio's preprocessing, which decodes and converts: 16 bits and transparency would be
    # lost before denoiser.images sees them, and a damaged file would end in an HTTP 500.
    picture.change(
        _receive_picture,
        [picture, crop],
        [picture, strip, *chosen],
        preprocess=False,
        trigger_mode="multiple",  # a second picture is not dropped while the first is read
        show_progress="minimal",
        show_progress_on=note,
        api_visibility="private",
    )
    crop.change(_crop_again, [upload, crop], [face, note], **private)
    return face


def _receive_picture(picture: dict[str, Any] | None, crop: bool) -> Any:
    """Values for the picture's box, the strip, the face, the upload and the note."""
    if picture is None:  # the box was emptied, by this function for one
        return [gr.skip()] * 5
    try:
        upload = read_upload(picture["path"])
    except ImageError as error:
        return [None, gr.skip(), gr.skip(), gr.skip(), str(error)]
    face, note = upload_face(upload, crop)
    return [None, {"chosen": None}, face, upload, note]


def _crop_again(upload: Upload | None, crop: bool) -> Any:
    if upload is None:
        return [gr.skip()] * 2
    return upload_face(upload, crop)


def _sample_face(sample: Sample) -> Face:
    return Face(sample.id, _caption(sample), sample.image)


def _caption(sample: Sample) -> str:
    return f"{sample.label}, {sample.emotion}" if sample.emotion else sample.label


def _strip_value(samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "chosen": samples[0].id,
        "faces": [
            {
                "id": sample.id,
                "label": _caption(sample),
                "side": sample.image.shape[0],
                "pixels": base64.b64encode(to_uint8(sample.image).tobytes()).decode(),
            }
            for sample in samples
        ],
    }


def _delete(file: Path, modified: int) -> None:
    """Delete an upload and the folder Gradio made for it.

    The same file from somebody else lies in the same place: if it came since, it is left to them.
    """
    try:
        if file.stat().st_mtime_ns == modified:
            file.unlink()
            file.parent.rmdir()
    except OSError:  # gone already
        pass
