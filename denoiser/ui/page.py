"""The whole page: its tabs, and how it is served."""

import threading

import gradio as gr
import numpy as np

from denoiser.registry import DEFAULT_DENOISERS, MODELS, create_denoiser, list_denoisers
from denoiser.samples import FACE_SIZE, FaceSet
from denoiser.ui.api import register_api
from denoiser.ui.benchmark import create_benchmark_tab
from denoiser.ui.compare import create_compare_tab
from denoiser.ui.faces import find_faces
from denoiser.ui.theme import create_theme, read_css
from denoiser.weights import WeightsError

TITLE = "Face denoising lab"
_INTRODUCTION = (
    f"# {TITLE}\n"
    "Damage a face with noise you control, and see live how well a U-Net, a GAN, an autoencoder "
    "and classical filters repair it."
)
_CACHE_SECONDS = 300  # uploads are deleted once read; this is for those that never were


def build_app(faces: FaceSet | None = None, about_faces: str = "") -> gr.Blocks:
    """Build the page.

    Args:
        faces: The samples to offer; None looks for FER2013, and falls back on the bundled faces.
        about_faces: What ``faces`` are, in words.
    """
    if faces is None:
        faces, about_faces = find_faces()
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_CACHE_SECONDS, _CACHE_SECONDS),
    ) as app:
        gr.Markdown(_INTRODUCTION, elem_id="introduction")
        with gr.Tabs():
            with gr.Tab("Compare"):
                create_compare_tab(faces, about_faces, app.load)
            with gr.Tab("Benchmark") as benchmark:
                create_benchmark_tab(benchmark.select)
        register_api(faces)
    return app


def launch(app: gr.Blocks) -> None:
    """Serve the page where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say, as a Space wants it."""
    threading.Thread(target=warm_up, daemon=True).start()
    app.queue(max_size=64, default_concurrency_limit=2)
    app.launch(
        theme=create_theme(),
        css=read_css(),
        footer_links=["api"],
        max_file_size="10mb",
        run_history=False,
        enable_monitoring=False,
    )


def warm_up() -> None:
    """Use the default methods and the filters once: the first time takes longer than later ones.

    Other models are loaded when they are first shown.
    """
    blank = np.zeros((FACE_SIZE, FACE_SIZE), np.float32)
    filters = [method_id for method_id in list_denoisers() if method_id not in MODELS]
    for method_id in dict.fromkeys([*DEFAULT_DENOISERS, *filters]):
        try:
            create_denoiser(method_id)(blank)
        except WeightsError:  # the method's card will say so
            continue
