"""The tab "Photo": a whole photo, clean or noisy already; a region of it live, all of it on demand."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from denoiser.denoisers.registry import find_available
from denoiser.images import ImageError, to_jpeg
from denoiser.images.photo import write_photo
from denoiser.metrics import write_number, write_psnr
from denoiser.pipeline import psnr_gain
from denoiser.ui.common.events import RAW, SILENT
from denoiser.ui.common.html import NOTHING, painted, read_asset, with_stage
from denoiser.ui.common.payload import error_payload, new_version, write_payload
from denoiser.ui.experiment.controls import NoiseControls, create_noise_controls
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.photo.payload import (
    others_payload,
    photo_payload,
    question_payload,
    region_payload,
)
from denoiser.ui.photo.request import (
    CLEAN,
    MOST_METHODS,
    NOISY,
    SIDES,
    PhotoRequest,
    default_methods,
    parse_method,
    parse_request,
    photo_methods,
)
from denoiser.ui.photo.session import Held, Photos, portrait, shrink
from denoiser.ui.photo.whole import Result, Room, compute_whole, wait_for_room
from denoiser.ui.server.address import address_of
from denoiser.ui.server.downloads import DownloadError, offer_download
from denoiser.ui.server.limits import MAX_FILE_BYTES
from denoiser.ui.server.queue import JOB_PLACES, JOB_PLACES_EACH, Visitor, scheduled
from denoiser.ui.server.scheduler import FairScheduler
from denoiser.ui.server.uploads import read_upload

_ABOUT = (
    "Up to 25 megapixels and {} MB, 8 or 16 bits. It stays in this session: not stored, not logged, not "
    "sent to anyone else. Where it was taken is thrown away."
)
_WHOLE = """### The whole photo
Computed in tiles with the method on the stage, for a download as PNG with the photo's own colour
profile, and without the place where it was taken."""

# What decides what is shown but is no component: the region, which the map's data hold.
_WRITE = """(...values) => {
  const { region } = document.querySelector("#photo-map .photo-map").dataset;
  return region ? JSON.stringify({ ...JSON.parse(region), settings: values }) : undefined;
}"""
# The last input is the method on the stage, which the view's data hold.
_WITH_METHOD = """(...values) =>
  [...values.slice(0, -1), document.querySelector("#photo-view .photo").dataset.method || ""]"""
_BEGIN = """() => [document.querySelector("#photo-map .photo-map").dataset.photo || ""]"""

_NO_PSNR = "There is no PSNR: it is measured against the clean picture, and of this photo there is none."
_NOT_COMPUTED = "The whole photo is no longer on the server; please compute it again."
_NO_METHOD = "Choose a method first."
_SEND_SECONDS = 0.5  # between two states of the progress
_GUESS_SECONDS = 2.0  # before that, nobody can tell how much time is left


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Controls and outputs of the tab."""

    picture: gr.Image
    use_portrait: gr.Button
    note: gr.Markdown
    map: gr.HTML
    answer: gr.Radio
    noise: NoiseControls
    seed: gr.Number
    methods: gr.Dropdown
    view: gr.HTML
    others: gr.HTML
    run: gr.Button
    cancel: gr.Button
    save_8: gr.Button
    save_16: gr.Button
    whole: gr.HTML
    written: gr.Textbox
    method: gr.Textbox

    @property
    def settings(self) -> list[Any]:
        """What the browser writes down, in the order in which it does."""
        return [self.answer, self.methods, self.noise.kind, self.seed, *self.noise.sliders.values()]


def create_photo_tab(opened: Callable[..., Any], closed: Callable[..., Any]) -> None:
    """Add the tab's content to the page.

    Args:
        opened: The tab's event of being opened.
        closed: The page's event of being closed.
    """
    with gr.Row(elem_id="photo"):
        tab = _create()
    photos, wholes = Photos(), FairScheduler(JOB_PLACES, JOB_PLACES_EACH)
    _connect_choice(tab, photos, wholes, opened)
    _connect_view(tab, photos)
    _connect_whole(tab, photos, wholes)

    def close(request: gr.Request) -> None:
        photos.close(request.session_hash or "")

    closed(close)


def _create() -> Tab:
    with gr.Column(scale=1, min_width=300, elem_id="photo-controls"):
        with gr.Column(elem_id="photo-source", elem_classes="photo-panel"):
            gr.Markdown("### 1. Photo")
            picture = gr.Image(
                sources=["upload", "clipboard", "webcam"],
                type="filepath",
                format="png",
                image_mode=None,
                label="Upload, paste or take a photo",
                show_label=False,
                alt_text="The photo you gave",
                height=120,
                buttons=[],
                elem_id="photo-picture",
            )
            use_portrait = gr.Button("Use the portrait", size="sm", elem_id="photo-portrait")
            note = gr.Markdown("", elem_id="photo-note")
            gr.Markdown(_ABOUT.format(MAX_FILE_BYTES // 2**20), elem_classes="small")
        with gr.Column(elem_id="photo-question", elem_classes="photo-panel"):
            answer = gr.Radio(
                [
                    ("It is clean: add noise and compare", CLEAN),
                    ("It is already noisy: repair it", NOISY),
                ],
                label="2. What is it?",
                elem_id="photo-answer",
            )
            gr.Markdown(_NO_PSNR, elem_classes="small", elem_id="photo-no-psnr")
            with gr.Column(elem_id="photo-noise"):
                noise = create_noise_controls("photo-noise")
                seed = gr.Number(0, label="Seed", min_width=90, elem_id="photo-seed")
        with gr.Column(elem_id="photo-region", elem_classes="photo-panel"):
            shown_map = painted("photo/map.js", read_asset("photo/map.html"), elem_id="photo-map")
            # Only the map's script reads it.
            gr.Radio(
                list(SIDES),
                value=SIDES[0],
                label="Region, pixels a side",
                interactive=True,
                elem_id="photo-side",
            )
        with gr.Column(elem_id="photo-methods-panel", elem_classes="photo-panel"):
            methods = gr.Dropdown(
                [(info.label, method_id) for method_id, info in photo_methods().items()],
                value=default_methods(),
                multiselect=True,
                max_choices=MOST_METHODS,
                label="3. Methods",
                elem_id="photo-methods",
            )
    with gr.Column(scale=3, min_width=300, elem_id="photo-results"):
        scripts = ("common/stage.js", "photo/view.js")
        view = painted(scripts, with_stage("photo/view.html", "photo"), elem_id="photo-view")
        others = painted("photo/forward_others.js", NOTHING, elem_classes="unseen")
        with gr.Column(elem_id="photo-whole-panel", elem_classes="photo-panel"):
            gr.Markdown(_WHOLE)
            with gr.Row(elem_classes="photo-actions"):
                run = gr.Button("Whole photo", variant="primary", size="sm", elem_id="photo-run")
                cancel = gr.Button("Cancel", size="sm", elem_id="photo-cancel")
                save_8, save_16 = (
                    gr.Button(f"PNG, {bits} bits", size="sm", elem_id=f"photo-save-{bits}")
                    for bits in (8, 16)
                )
            whole = painted("photo/whole.js", read_asset("photo/whole.html"), elem_id="photo-whole")
    return Tab(
        picture=picture,
        use_portrait=use_portrait,
        note=note,
        map=shown_map,
        answer=answer,
        noise=noise,
        seed=seed,
        methods=methods,
        view=view,
        others=others,
        run=run,
        cancel=cancel,
        save_8=save_8,
        save_16=save_16,
        whole=whole,
        written=gr.Textbox(visible=False),
        method=gr.Textbox(visible=False),
    )


def _connect_choice(tab: Tab, photos: Photos, wholes: FairScheduler, opened: Callable[..., Any]) -> None:
    """Let a visitor give a photo, or take the portrait, which is there when the tab opens."""
    outputs = [tab.map, tab.answer, tab.whole, tab.note]

    def begin(shown: Any) -> list[Any]:
        return [gr.skip()] * len(outputs) if shown else show(portrait(), CLEAN)

    def show(held: Held, answer: str | None) -> list[Any]:
        return [write_payload(photo_payload(held)), answer, _idle(), ""]

    def use_portrait(request: gr.Request) -> list[Any]:
        forget_whole(request.session_hash or "")
        return show(portrait(), CLEAN)

    def forget_whole(session: str) -> None:
        wholes.stop_session(session, "replaced")  # whose words might come after what this answers
        photos.results.forget(session)

    def receive(sent: dict[str, Any] | None, request: gr.Request) -> list[Any]:
        nothing = [gr.skip()] * len(outputs)
        if sent is None:  # the box was emptied, by this function for one
            return [gr.skip(), *nothing]
        session = request.session_hash or ""
        try:
            held = photos.receive(read_upload(sent, session), session, address_of(request))
        except ImageError as error:
            return [None, *nothing[:-1], str(error)]
        forget_whole(session)
        return [None, *show(held, None)]

    photo_id = gr.Textbox(visible=False)
    opened(begin, photo_id, outputs, js=_BEGIN, queue=False, **RAW)
    tab.use_portrait.click(use_portrait, None, outputs, queue=False, **SILENT)
    # Without Gradio's preprocessing, which decodes and converts; see the tab "Compare".
    tab.picture.change(
        receive,
        tab.picture,
        [tab.picture, *outputs],
        preprocess=False,
        trigger_mode="multiple",
        show_progress="minimal",
        show_progress_on=tab.note,
        api_visibility="private",
    )


def _connect_view(tab: Tab, photos: Photos) -> None:
    sliders = list(tab.noise.sliders)
    models = threading.BoundedSemaphore(1)
    scheduler = FairScheduler(JOB_PLACES, JOB_PLACES_EACH)

    def read(session: str, written: Any) -> PhotoRequest | None:
        return parse_request(written, sliders, lambda photo_id: photos.find(photo_id, session))

    def look(request: gr.Request, written: Any, method: Any) -> str:
        version = new_version()
        try:
            wanted = read(request.session_hash or "", written)
        except ExperimentError as error:
            return write_payload(error_payload(str(error), version))
        if wanted is None:
            return write_payload(question_payload(version))
        with models:
            return write_payload(region_payload(wanted, method, version))

    def compute_others(visitor: Visitor, written: Any, method: Any) -> Iterator[str | None]:
        try:
            wanted = read(visitor.session, written)
        except ExperimentError:  # the view says so
            return
        if wanted is not None:
            for payload in others_payload(wanted, method):
                yield None if payload is None else write_payload(payload)

    def key_of(*values: Any) -> str:
        return repr(values)

    def say(_: str, sentence: str) -> str:
        return write_payload(error_payload(sentence, new_version()))

    # An event for each: of one event for all, Gradio's page looks up all of them each time.
    for component in tab.settings:
        component.change(None, tab.settings, tab.written, js=_WRITE, api_visibility="private")
    tab.map.moved(None, tab.settings, tab.written, js=_WRITE, api_visibility="private")
    asked = [tab.written, tab.method]
    tab.written.change(look, asked, tab.view, js=_WITH_METHOD, queue=False, **RAW)
    tab.view.others(
        scheduled(scheduler, compute_others, key_of, gr.skip(), say, with_visitor=True),
        asked,
        tab.others,
        js=_WITH_METHOD,
        concurrency_limit=None,  # the scheduler has its own
        concurrency_id="photo",
        **(RAW | {"trigger_mode": "multiple"}),
    )


def _connect_whole(tab: Tab, photos: Photos, scheduler: FairScheduler) -> None:
    sliders = list(tab.noise.sliders)
    room = Room()

    def read(session: str, written: Any) -> PhotoRequest:
        wanted = parse_request(written, sliders, lambda photo_id: photos.find(photo_id, session))
        if wanted is None:
            raise ExperimentError("Say first whether the photo is clean or already noisy.")
        return wanted

    def compute(visitor: Visitor, written: Any, method: Any) -> Iterator[str | None]:
        try:
            height, width = read(visitor.session, written).held.size
            yield _progress("Waiting for its turn.")
            # What waits holds no photo.
            with room.queue_for(height * width) as is_in:
                yield from wait_for_room(is_in)
                yield from _compute(read(visitor.session, written), method, photos, visitor)
        except ExperimentError as error:
            yield _write_whole("error", str(error))

    def stop(request: gr.Request) -> None:
        scheduler.stop_session(request.session_hash or "")

    def connect(button: gr.Button, bits: Literal[8, 16]) -> None:
        def save(request: gr.Request) -> str:
            whole = photos.results.find(request.session_hash or "")
            if whole is None:
                raise gr.Error(_NOT_COMPUTED)
            try:
                token = offer_download(lambda file: write_photo(whole.photo, file, bits))
            except DownloadError as error:
                raise gr.Error(str(error)) from error
            return write_payload({"version": new_version(), "state": "saved", "token": token})

        button.click(save, None, tab.whole, concurrency_limit=1, concurrency_id="photo-save", **SILENT)

    tab.run.click(
        scheduled(scheduler, compute, lambda *values: repr(values), gr.skip(), _say, with_visitor=True),
        [tab.written, tab.method],
        tab.whole,
        js=_WITH_METHOD,
        concurrency_limit=None,
        concurrency_id="whole-photo",
        **(RAW | {"trigger_mode": "multiple"}),
    )
    tab.cancel.click(stop, None, None, queue=False, **SILENT)
    connect(tab.save_8, 8)
    connect(tab.save_16, 16)


def _compute(
    request: PhotoRequest, method: Any, photos: Photos, visitor: Visitor
) -> Iterator[str | None]:
    """Compute a whole photo, keep it for its session, and say every now and then how far it is."""
    method_id = parse_method(request, method)
    if method_id is None:
        raise ExperimentError(_NO_METHOD)
    available = find_available([method_id])
    if available.refusals:
        raise ExperimentError(" ".join(available.refusals.values()))
    denoiser = available.denoisers[method_id]
    label = denoiser.info.label
    begun = told = time.monotonic()
    for step in compute_whole(request, denoiser):
        now = time.monotonic()
        if isinstance(step, Result):
            photos.results.keep(visitor.session, step.whole, visitor.address)
            yield _done(step, label, now - begun)
        elif now - told < _SEND_SECONDS:
            yield None
        else:
            told = now
            can_tell = step > 0 and now - begun > _GUESS_SECONDS
            left = (now - begun) * (1 - step) / step if can_tell else None
            yield _progress(f"{label} is at work.", step, left)


def _done(result: Result, label: str, seconds: float) -> str:
    height, width = result.whole.photo.pixels.shape[:2]
    text = f"Done: {width:,} x {height:,} pixels by {label} in {seconds:.0f} s."
    if result.psnr is not None and result.noisy_psnr is not None:
        gain = psnr_gain(result.psnr, result.noisy_psnr)
        over = "" if gain is None else f", {write_number(gain, 1, signed=True)} dB over noisy"
        text += f" PSNR of the whole photo: {write_psnr(result.psnr)}{over}."
    preview = base64.b64encode(to_jpeg(shrink(result.whole.photo.pixels))).decode()
    return _write_whole("done", text, preview=preview)


def _progress(text: str, share: float = 0.0, left: float | None = None) -> str:
    words = f"{100 * share:.0f} %"
    if left is not None:
        minutes = round(left / 60)
        words += f", about {minutes} min left" if left >= 90 else f", about {max(1, round(left))} s left"
    return _write_whole("running", text, share=share, left=words)


def _write_whole(state: str, text: str, **more: Any) -> str:
    """Write what the script of the whole photo shows; ``more`` is its share, time left or preview."""
    return write_payload({"version": new_version(), "state": state, "text": text, **more})


def _say(state: str, sentence: str) -> str:
    return _write_whole(state, "Stopped." if state == "stopped" else sentence)


def _idle() -> str:
    return _write_whole("idle", "")
