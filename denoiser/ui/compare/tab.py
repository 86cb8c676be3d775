"""The tab "Compare": one face, one noise, many denoisers, live."""

import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from denoiser.analysis.contact_sheet import contact_sheet_png
from denoiser.denoisers.base import DenoiserInfo, describe_method
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.faces.samples import ASTRONAUT
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import RAW, SILENT
from denoiser.ui.common.html import NOTHING, create_download, painted, with_stage
from denoiser.ui.common.payload import Payload, error_payload, new_version, write_payload
from denoiser.ui.compare.exports import numbers_csv, pictures_zip
from denoiser.ui.compare.payload import forgotten_payload, live_payload, own_payload, slow_payload
from denoiser.ui.experiment.controls import Controls, create_method_section, create_noise_section
from denoiser.ui.experiment.costs import plan_methods
from denoiser.ui.experiment.face_form import create_face_form
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.faces import create_face_section
from denoiser.ui.experiment.history import connect_history, create_history
from denoiser.ui.experiment.leaderboard import create_leaderboard
from denoiser.ui.experiment.link_components import (
    create_copy_buttons,
    create_link_box,
    describe_link,
    restore_on_load,
)
from denoiser.ui.experiment.own_model import connect_own, create_own_section
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import (
    Face,
    Outcome,
    describe_methods,
    name_face,
    run_methods,
    with_own,
)

_OWN_AT_ONCE = 8  # they wait for their turn in ``denoisers/confined``
_MODELS_AT_ONCE = 2  # unqueued events ignore Gradio's own limit


def create_compare_tab(
    faces: FaceSource,
    tabs: gr.Tabs,
    link_note: gr.Markdown,
    load: Callable[..., Any],
    closed: Callable[..., Any],
) -> Controls:
    """Add the tab's content to the page.

    Args:
        faces: Where the samples come from.
        tabs: The page's tabs, of which a link may open another.
        link_note: Says what of the link can't be used, above all tabs.
        load: The page's load event.
        closed: The event of the page being closed.

    Returns:
        What other tabs read the experiment from.
    """
    methods = describe_methods(colour=True)
    painted("compare/folding.js", NOTHING, elem_classes="unseen")
    with gr.Row(elem_id="compare"):
        with gr.Column(scale=1, min_width=300, elem_id="controls"):
            with gr.Column(elem_id="face-panel"):
                face_controls = create_face_section(faces, load)
                form = create_face_form()
            with gr.Column(elem_id="noise-panel"):
                history = create_history()
                noise_controls = create_noise_section()
            with gr.Column(elem_id="methods-panel"):
                shown = create_method_section(methods, noise_controls[0].kind)
                own = create_own_section(closed)
        with gr.Column(scale=3, min_width=300, elem_id="results"):
            grid = create_grid()
            slow, slow_own = (
                create_slow_results(elem_id) for elem_id in ("comparison-slow", "comparison-own")
            )
            with gr.Row(elem_classes="downloads"):
                buttons = {
                    "sheet": gr.Button("Contact sheet (PNG)", size="sm", min_width=120),
                    "pictures": gr.Button("Pictures (zip)", size="sm", min_width=120),
                    "numbers": gr.Button("Numbers (CSV)", size="sm", min_width=120),
                }
                create_copy_buttons()
            link_box = create_link_box()
            download = create_download()
            with (
                gr.Accordion("Charts of this comparison", open=True, elem_id="charts") as charts,
                gr.Row(),
            ):
                bars = gr.Plot(show_label=False, min_width=300, elem_id="metric-bars")
                histogram = gr.Plot(show_label=False, min_width=300, elem_id="noise-histogram")
            board = create_leaderboard(own, faces)

    written = gr.Textbox(visible=False)
    controls = Controls(face_controls, form, *noise_controls, shown, own, written)
    controls.keep_written()
    connect_own(own, shown.chosen, board)
    # Queued, as all that changes the session's face.
    form.select(lambda: face_controls.show(ASTRONAUT, faces), None, face_controls.outputs, **SILENT)
    connect_history(history, controls)
    restored = restore_on_load(link_note, link_box, controls, faces, tabs, face_controls.begin)
    _connect_grid(controls, methods, grid, slow, slow_own, restored)
    _connect_charts(controls, methods, grid, charts, [bars, histogram])
    _connect_downloads(controls, methods, buttons, download)
    return controls


def _connect_grid(
    controls: Controls,
    methods: Mapping[str, DenoiserInfo],
    grid: gr.HTML,
    slow: gr.HTML,
    slow_own: gr.HTML,
    restored: Callable[..., Any],
) -> None:
    models = threading.BoundedSemaphore(_MODELS_AT_ONCE)

    def compare(*values: Any) -> Payload:
        version = new_version()
        try:
            face, experiment = controls.read(values)
        except ExperimentError as error:
            return error_payload(str(error), version)
        with models:
            payload = live_payload(face, experiment, methods, version)
        return payload | describe_link(face, experiment) | forgotten_payload(face)

    def begin(*values: Any) -> str:
        # What was asked for before the address was read is not shown.
        return write_payload(compare(*values) | {"first": True})

    def update(*values: Any) -> str:
        return write_payload(compare(*values))

    def update_slow(*values: Any) -> Any:
        version = new_version()
        try:
            face, experiment = controls.read(values)
        except ExperimentError:  # the grid already says so
            return gr.skip()
        with models:
            return write_payload(slow_payload(face, experiment, methods, version))

    def update_own(*values: Any) -> Any:
        version = new_version()
        try:
            face, experiment = controls.read(values)
        except ExperimentError:  # the grid already says so
            return gr.skip()
        if OWN_MODEL not in experiment.methods:
            return gr.skip()
        return write_payload(own_payload(face, experiment, version))

    begun = restored(begin, controls.inputs, grid, queue=False, **RAW)
    controls.write_after(begun.then)  # what was moved meanwhile
    gr.on(controls.changes, update, controls.inputs, grid, queue=False, **RAW)
    grid.slow(update_slow, controls.inputs, slow, concurrency_limit=1, **RAW)
    # On its own: a stranger's model may take its time, and ours don't wait for it.
    grid.slow(update_own, controls.inputs, slow_own, concurrency_limit=_OWN_AT_ONCE, **RAW)


def _connect_charts(
    controls: Controls,
    methods: Mapping[str, DenoiserInfo],
    grid: gr.HTML,
    charts: gr.Accordion,
    plots: list[gr.Plot],
) -> None:
    """Draw the charts when they are opened, and anew when the grid rests and they are in view."""
    is_open = gr.State(True)

    def draw(*values: Any) -> Any:
        # Plotly takes a second to import, which a page that shows no chart need not wait for.
        from denoiser.ui.compare.charts import metric_bars, noise_histogram

        try:
            _, _, outcome = _compare(controls, methods, values)
        except ExperimentError:
            return gr.skip(), gr.skip()
        bars = metric_bars(outcome.comparison, describe_settings(outcome))
        return bars, noise_histogram(outcome.comparison)

    def draw_if_open(opened: bool, *values: Any) -> Any:
        return draw(*values) if opened else (gr.skip(), gr.skip())

    charts.expand(lambda: True, None, is_open, queue=False, **RAW)
    charts.collapse(lambda: False, None, is_open, queue=False, **RAW)
    charts.expand(draw, controls.inputs, plots, **RAW)
    grid.settle(draw_if_open, [is_open, *controls.inputs], plots, **RAW)


def _connect_downloads(
    controls: Controls,
    methods: Mapping[str, DenoiserInfo],
    buttons: Mapping[str, gr.Button],
    download: gr.HTML,
) -> None:
    def connect(button: gr.Button, name: str, kind: str, make: Callable[..., bytes]) -> None:
        def save(*values: Any) -> Payload:
            try:
                face, experiment, outcome = _compare(controls, methods, values)
            except ExperimentError as error:
                raise gr.Error(str(error)) from error
            made = make(outcome.comparison, name_face(face, experiment), describe_settings(outcome))
            data = base64.b64encode(made).decode()
            # The version makes a second click on the same file a change.
            return {"version": new_version(), "name": name, "type": kind, "data": data}

        button.click(save, controls.inputs, download, api_visibility="private", preprocess=False)

    connect(buttons["sheet"], "comparison.png", "image/png", contact_sheet_png)
    connect(
        buttons["pictures"],
        "pictures.zip",
        "application/zip",
        lambda comparison, _, labels: pictures_zip(comparison, labels),
    )
    connect(
        buttons["numbers"],
        "numbers.csv",
        "text/csv",
        lambda comparison, _, labels: numbers_csv(comparison, labels).encode(),
    )


def _compare(
    controls: Controls, methods: Mapping[str, DenoiserInfo], values: tuple[Any, ...]
) -> tuple[Face, Experiment, Outcome]:
    """Compare all methods shown that can run, at once or later.

    Raises:
        ExperimentError: A number is missing or out of range.
    """
    face, experiment = controls.read(values)
    refused = plan_methods(face, experiment, with_own(methods, experiment)).refused
    run = [method_id for method_id in experiment.methods if method_id not in refused]
    return face, experiment, run_methods(face, experiment, run)


def describe_settings(outcome: Outcome) -> dict[str, str]:
    """Name by id what the registry doesn't: methods that are set otherwise, and the session's own."""
    return {
        method_id: describe_method(method.info, method.values)
        for method_id, method in outcome.available.denoisers.items()
        if method.values or method_id == OWN_MODEL
    }


def create_grid() -> gr.HTML:
    """Add the live grid, which shows :func:`~denoiser.ui.compare.payload.live_payload`.

    Its script announces ``slow`` when slow methods have to be run, and ``settle`` once nothing has
    changed for a moment and the charts are in view.
    """
    scripts = ("common/stage.js", "compare/presenting.js", "compare/grid.js")
    return painted(scripts, with_stage("compare/grid.html", "stage"), elem_id="comparison")


def create_slow_results(elem_id: str) -> gr.HTML:
    """Add what hands :func:`~denoiser.ui.compare.payload.slow_payload` on to the grid; it shows nothing.

    A component of its own: two values that reach one component together would become one.
    """
    return painted("compare/forward_slow_results.js", NOTHING, elem_classes="unseen", elem_id=elem_id)
