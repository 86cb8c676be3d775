"""The first step of the page: choose a sample face, or bring one."""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import is_offline_mode

from denoiser.faces.download import Dataset, DownloadError, cached_fer2013, fetch_fer2013, find_dataset
from denoiser.faces.fer2013 import FACE_SIZE, FaceDataError, FaceSet, find_fer2013
from denoiser.faces.samples import (
    Sample,
    bundled_faces,
    get_sample,
    load_samples,
    pick_samples,
    sample_emotions,
)
from denoiser.images import ImageError, LoadedFace, load_crops
from denoiser.ui.events import SILENT
from denoiser.ui.grid import create_face_strip
from denoiser.ui.payload import Face, encode_picture, new_version
from denoiser.ui.uploads import read_upload

STRIP_LENGTH = 12
_FIRST_SEED = 10  # FER2013 has pictures without a face; this strip of it has none
ANY_EMOTION = "any"

_GET_FER2013 = (
    "For FER2013, set FER2013_PATH to where it lies, or put it into data/fer2013, "
    "and start the app again."
)
_BUNDLED = "the faces that ship with scikit-image"
_PAUSES = (10, 60, 600)
_ASK_SECONDS = 2  # how often an open page asks whether FER2013 has come
_NO_SUCH_FACE = "That sample face is not here; the face stays as it is."
_UPLOAD = "upload-"  # how the id of an uploaded face begins


ONE_PICTURE = threading.Lock()
"""Held while a picture that somebody sent is decoded: a large one takes up to 300 MB."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Upload:
    """An uploaded face, both ways; the file itself is not kept.

    Attributes:
        cropped: Cropped to the largest face.
        centred: Cropped to the centre.
    """

    cropped: LoadedFace
    centred: LoadedFace


@dataclass(frozen=True)
class Offer:
    """The sample faces on offer.

    Attributes:
        faces: What to choose from.
        about: What they are, in words.
        coming: Whether FER2013 is still on its way, to take their place.
    """

    faces: FaceSet
    about: str
    coming: bool = False


@dataclass(frozen=True)
class FaceControls:
    """What holds and shows the session's face.

    Attributes:
        face: The session's :class:`~denoiser.ui.payload.Face`.
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

        None leaves the face as it is; so does an id that nobody knows, and the note says so.
        """
        if sample_id is None:
            return [gr.skip()] * 4
        try:
            sample = source.get(sample_id)
        except FaceDataError:
            return [gr.skip(), gr.skip(), gr.skip(), _NO_SUCH_FACE]
        return [_sample_face(sample), _chosen_value(sample), None, ""]


class FaceSource:
    """Where the page's sample faces come from; they change once at most, when FER2013 has come.

    Args:
        offer: What there is from the start.
        dataset: What :meth:`fetch` fetches where ``offer`` says that FER2013 is coming.
        pauses: Seconds before each further try, where the Hub gives nothing.
    """

    def __init__(self, offer: Offer, dataset: Dataset | None = None, pauses: Sequence[float] = _PAUSES):
        self.first = offer
        self.offer = offer  # replaced as a whole: pages read it from other threads
        self._dataset = dataset
        self.pauses = pauses

    @property
    def has_changed(self) -> bool:
        """Whether other faces are on offer than at first."""
        return self.offer.faces is not self.first.faces

    def get(self, sample_id: str) -> Sample:
        """Return a face by its id: one on offer, or one of the bundled, which every machine has.

        Raises:
            FaceDataError: There is none.
        """
        try:
            return get_sample(self.offer.faces, sample_id)
        except FaceDataError:
            with contextlib.suppress(FaceDataError):
                return get_sample(self._bundled, sample_id)
            raise

    @cached_property
    def _bundled(self) -> FaceSet:
        """The bundled faces; they take half a second, which most pages can do without."""
        return self.first.faces if self.first.faces.split == "bundled" else bundled_faces()

    def fetch(self) -> None:
        """Fetch FER2013, if it is coming, and offer it; until then the offer says how far it is.

        That takes as long as the Hub does: it belongs in a thread of its own.
        """
        if self._dataset is None or not self.offer.coming:
            return
        for pause in (*self.pauses, None):
            try:
                folder = fetch_fer2013(self._dataset, ["test"], self._note_progress)
                self.offer = _hub_offer(self._dataset, folder)
                return
            except FaceDataError as error:
                if pause is None or not isinstance(error, DownloadError):
                    self.offer = Offer(self.first.faces, _failed_about(str(error)))
                    return
                about = _failed_about(f"{error} Another try follows.")
                self.offer = replace(self.first, about=about)
            except Exception:  # nobody else would hear of it, and the page would wait forever
                _log.exception("FER2013 can't be read.")
                self.offer = Offer(self.first.faces, f"FER2013 can't be read. {_GET_FER2013}")
                return
            time.sleep(pause)

    def _note_progress(self, done: int, total: int) -> None:
        share = f" ({done / 1e6:.1f} of {total / 1e6:.1f} MB)"
        self.offer = replace(self.first, about=_coming_about(share))


def find_faces() -> FaceSource:
    """Return the faces to offer: FER2013 where it is here, else others until it has come."""
    try:
        path = find_fer2013()
        if path is not None:
            faces = load_samples(path)
            return FaceSource(Offer(faces, f"{faces.source}: {len(faces):,} faces."))
    except FaceDataError as error:
        return FaceSource(Offer(bundled_faces(), f"{error} Until then: {_BUNDLED}."))
    return _find_on_hub()


def _find_on_hub() -> FaceSource:
    faces = bundled_faces()
    try:
        dataset = find_dataset()
        folder = None if dataset is None else cached_fer2013(dataset, ["test"])
        if dataset is not None and folder is not None:
            return FaceSource(_hub_offer(dataset, folder))
    except FaceDataError as error:
        return FaceSource(Offer(faces, _failed_about(str(error))))
    if dataset is None or is_offline_mode():
        return FaceSource(Offer(faces, f"{faces.source}. {_GET_FER2013}"))
    return FaceSource(Offer(faces, _coming_about(), coming=True), dataset)


def _hub_offer(dataset: Dataset, folder: Path) -> Offer:
    faces = load_samples(folder)
    where = f"{dataset.repo_id} on the Hugging Face Hub"
    return Offer(faces, f"{faces.source}: {len(faces):,} faces, from {where}.")


def _coming_about(progress: str = "") -> str:
    return f"FER2013 is being downloaded{progress}. Until then: {_BUNDLED}."


def _failed_about(why: str) -> str:
    return f"FER2013 can't be downloaded: {why} Until then: {_BUNDLED}. {_GET_FER2013}"


def first_face(faces: FaceSet) -> Face:
    """Return the face a new session starts with."""
    return _sample_face(pick_samples(faces, None, _FIRST_SEED, 1)[0])


def load_upload(data: bytes) -> Upload:
    """Load a face from what is in an uploaded file.

    Raises:
        ImageError: It can't be used; one sentence.
    """
    with ONE_PICTURE:
        return Upload(*load_crops(data, FACE_SIZE))


def upload_face(upload: Upload, crop: bool) -> tuple[Face, str]:
    """Return an uploaded face as the session's face, and what there is to say about it."""
    loaded = upload.cropped if crop else upload.centred
    height, width = loaded.size
    note = loaded.note or ("Cropped to the face." if crop else "The centre was cropped.")
    if height == width == FACE_SIZE and not loaded.note and not crop:
        note = "Used as it is."
    return Face(f"{_UPLOAD}{secrets.token_hex(8)}", "Your picture", loaded.image), note


def sample_id(face: Face) -> str | None:
    """Return which sample a face is; None for an uploaded one."""
    return None if face.id.startswith(_UPLOAD) else face.id


def create_face_section(source: FaceSource, load: Callable[..., Any]) -> FaceControls:
    """Add the section to the page.

    Args:
        source: Where the samples come from.
        load: The page's load event.
    """
    at_first = source.offer
    faces = at_first.faces
    strip_start = pick_samples(faces, None, _FIRST_SEED, STRIP_LENGTH)
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
        wanted = None if emotion_name == ANY_EMOTION else emotion_name
        samples = pick_samples(source.offer.faces, wanted, seed, STRIP_LENGTH)
        return _strip_value(samples), _sample_face(samples[0]), None, ""

    def choose(event: gr.EventData) -> tuple[Face, None, str]:
        try:
            return _sample_face(source.get(str(event.id))), None, ""
        except FaceDataError as error:
            raise gr.Error(str(error)) from error

    chosen = [face, upload, note]
    emotion.change(lambda name: show_strip(name, _FIRST_SEED), emotion, [strip, *chosen], **SILENT)
    shuffle.click(
        lambda name: show_strip(name, secrets.randbelow(2**31)),
        emotion,
        [strip, *chosen],
        **SILENT,
    )
    # Queued: after an unqueued event Gradio tells nobody that the session's face has changed.
    strip.select(choose, None, chosen, trigger_mode="always_last", **SILENT)
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
    shown = [strip, emotion, about, timer]

    def show(chosen: Face) -> list[Any]:
        offer = source.offer
        if offer.coming:
            return [gr.skip(), gr.skip(), offer.about, gr.skip()]
        if not source.has_changed:
            return [gr.skip(), gr.skip(), offer.about, gr.Timer(active=False)]
        samples = pick_samples(offer.faces, None, _FIRST_SEED, STRIP_LENGTH)
        return [
            _strip_value(samples, chosen.id),
            gr.Dropdown(**_emotion_choices(offer.faces)),
            offer.about,
            gr.Timer(active=False),
        ]

    def begin() -> list[Any]:
        first = first_face(source.offer.faces)
        return [*show(first), first if source.has_changed else gr.skip()]

    timer.tick(show, face, shown, queue=False, **SILENT)
    started = load(begin, None, [*shown, face], **SILENT)
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


def _sample_face(sample: Sample) -> Face:
    return Face(sample.id, _caption(sample), sample.image)


def _caption(sample: Sample) -> str:
    return f"{sample.label}, {sample.emotion}" if sample.emotion else sample.label


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
        "label": _caption(sample),
        "side": sample.image.shape[0],
        "pixels": encode_picture(sample.image),
    }
