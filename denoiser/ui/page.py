"""The whole page: its tabs, and how it is served."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from starlette.middleware import Middleware

from denoiser.analysis.emotion.classifier import CLASSIFIER_WEIGHTS
from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.denoisers.registry import (
    DEFAULT_DENOISERS,
    find_available,
    list_denoisers,
    model_of,
)
from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.ui.api.endpoints import register_api
from denoiser.ui.benchmark.tab import create_benchmark_tab
from denoiser.ui.blind.tab import create_blind_tab
from denoiser.ui.blind.voting_classes import VotingClasses
from denoiser.ui.common.html import painted, read_asset
from denoiser.ui.common.theme import create_theme, read_css
from denoiser.ui.compare.tab import create_compare_tab
from denoiser.ui.emotion.accuracy import create_accuracy_section
from denoiser.ui.emotion.tab import create_emotion_tab
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.link_components import create_link_note, create_whole_lab_link
from denoiser.ui.experiment.link_format import COMPARE_TAB, LESSONS_TAB
from denoiser.ui.inside.tab import create_inside_tab
from denoiser.ui.lessons.tab import create_lessons_tab, create_progress, create_task
from denoiser.ui.photo.tab import create_photo_tab
from denoiser.ui.server.downloads import DownloadDoor
from denoiser.ui.server.guard import GuardedBlocks
from denoiser.ui.server.limits import MAX_FILE_BYTES, close_half_sent, create_middleware
from denoiser.ui.server.queue import RUNNING, open_queue
from denoiser.ui.server.security import OnlyOpenRoutes, SecurityHeaders
from denoiser.ui.server.sessions import CAPACITY, keep_lean_sessions
from denoiser.ui.server.stopping import CountRequests, InFlight, serve_until_told
from denoiser.ui.server.uploads import UploadDoor, sweeping
from denoiser.ui.sweep.tab import create_sweep_tab

TITLE = "Face denoising lab"
_INTRODUCTION = (
    f"# {TITLE}\n"
    "Damage a face with noise you control, and see live how well a U-Net, a GAN, an autoencoder "
    "and classical filters repair it."
)


def build_app(faces: FaceSource, emotion_weights: Path = CLASSIFIER_WEIGHTS) -> gr.Blocks:
    """Build the page, with all denoisers that the registry lists at this moment.

    Args:
        faces: Where the samples come from.
        emotion_weights: Folder of the emotion classifier and its scores.
    """
    with GuardedBlocks(title=TITLE, analytics_enabled=False, fill_width=True) as app:
        painted("common/skip_link.js", read_asset("common/help.html"), elem_id="help")
        gr.Markdown(_INTRODUCTION, elem_id="introduction")
        create_whole_lab_link()
        link_note = create_link_note()
        progress = create_progress()
        with gr.Tabs(elem_id="tabs") as tabs:
            with _tab("Compare", COMPARE_TAB):
                task = create_task()
                controls = create_compare_tab(faces, tabs, link_note, app.load, app.unload)
            with _tab("Photo", "photo") as photo:
                create_photo_tab(photo.select, app.unload)
            with _tab("Lessons", LESSONS_TAB) as lessons:
                create_lessons_tab(controls, faces, progress, task, app.load, lessons.select)
            with _tab("Sweep", "sweep") as sweep:
                create_sweep_tab(controls, sweep.select)
            with _tab("Inside", "inside") as inside:
                create_inside_tab(controls, inside.select)
            with _tab("Blind test", "blind") as blind:
                create_blind_tab(controls, faces, app.load, blind.select, app.unload, VotingClasses())
            with _tab("Emotion check", "emotion") as emotion:
                create_emotion_tab(controls, faces, emotion_weights, emotion.select)
            with _tab("Benchmark", "benchmark") as benchmark:
                opened = benchmark.select
                accuracy = partial(create_accuracy_section, opened, emotion_weights)
                create_benchmark_tab(opened, accuracy)
        register_api(faces)
    return app


@contextmanager
def _tab(title: str, tab_id: str) -> Iterator[gr.Tab]:
    """Add a tab, with the heading that its sections' headings stand below for a reader of screens."""
    with gr.Tab(title, id=tab_id) as tab:
        gr.Markdown(f"## {title}", elem_classes="unseen")
        yield tab


def launch(app: gr.Blocks, faces: FaceSource) -> None:
    """Serve the page where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say, as a Space wants it.

    What takes its time starts now, in the background.
    """
    threading.Thread(target=warm_up, daemon=True).start()
    threading.Thread(target=faces.fetch, daemon=True).start()
    serve_until_told(app, serve(app))


def serve(app: gr.Blocks, **settings: Any) -> InFlight:
    """Serve the page, and return.

    Args:
        app: The page.
        **settings: More of Gradio's, such as ``server_port``.

    Returns:
        Which of its requests are being answered.
    """
    in_flight = InFlight()
    open_queue(app)
    # Or the page of a Space asks huggingface.co for the Space's likes and its author's picture.
    app.space_id = None
    app.launch(
        theme=create_theme(),
        css=read_css(),
        footer_links=["api"],
        max_file_size=MAX_FILE_BYTES,
        run_history=False,
        enable_monitoring=False,
        max_threads=RUNNING,
        ssr_mode=False,  # a Space would render on its server, with a Node.js of its own
        app_kwargs={
            "middleware": [
                Middleware(SecurityHeaders),
                Middleware(CountRequests, in_flight=in_flight),
                Middleware(OnlyOpenRoutes),
                *create_middleware(),
                Middleware(UploadDoor, max_bytes=MAX_FILE_BYTES),
                Middleware(DownloadDoor),
            ],
            "lifespan": sweeping,
        },
        state_session_capacity=CAPACITY,
        prevent_thread_lock=True,
        **settings,
    )
    close_half_sent(app.server)
    keep_lean_sessions(app)
    return in_flight


def warm_up() -> None:
    """Use the default methods and the filters once: the first time takes longer than later ones.

    Other models are loaded when they are first shown.
    """
    blank = np.zeros((FACE_SIZE, FACE_SIZE), np.float32)
    filters = [method_id for method_id in list_denoisers() if model_of(method_id) is None]
    # Starts downloads, and does not wait for them. What can't be had, the method's card will say.
    for method in find_available([*DEFAULT_DENOISERS, *filters]).denoisers.values():
        with suppress(OwnDenoiserError):  # its card will say so, too
            method(blank)
