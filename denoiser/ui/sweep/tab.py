"""The tab "Sweep": one experiment at many strengths, settings, seeds or assumed strengths.

The chart grows while it computes. One listener computes whatever is chosen, with schedulers of its
own: it does nothing where that is on show already, so that opening the tab again costs nothing. What
has a visitor's own model, which may be slow, has a scheduler for itself.
"""

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from denoiser.analysis.results import NOISY, NOISY_LABEL
from denoiser.analysis.sweeps import SEED, points_csv
from denoiser.denoisers.base import OwnDenoiserError
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import DEFAULT_DENOISERS
from denoiser.pipeline import Experiment, SweepPoint
from denoiser.ui.common.events import RAW, SILENT
from denoiser.ui.common.html import create_download, create_progress, read_asset, read_script
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.common.width import WITH_WIDTH, chart_width
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face, describe_methods, experiment_key, with_own
from denoiser.ui.experiment.summary import create_summary
from denoiser.ui.server.queue import JOB_PLACES, JOB_PLACES_EACH, scheduled
from denoiser.ui.server.scheduler import FairScheduler
from denoiser.ui.sweep.job import (
    DRAWS,
    PLACES,
    SEEDS,
    VIEWS,
    Job,
    axis_choices,
    create_job,
    parse_choice,
)
from denoiser.ui.sweep.payload import (
    METRICS,
    Shown,
    default_pair,
    frames,
    judge,
    map_frame,
    pictures_payload,
    without_pictures,
)

# Between two states of the chart, at first and in a long run: each is drawn anew, which takes the
# browser 0.1 s, and a slow one has to find time for Cancel.
_SEND_SECONDS, _SEND_SECONDS_LATER = 0.3, 2.0

_TEXTS = {
    "sweep": """How well each method does as the noise grows, or one as its own setting changes. Point at
the chart, tap it, or move the slider below it, for the pictures of that place. Below the curves, a bar
shows the strengths that a network was trained on, where they are known: look at what it does beyond.
*Sharpness against PSNR* draws the way that this face takes, such as that of a flow's setting *From
closest to most real*.""",
    "assumed": """Some filters have to be told how strong the noise is. Here they are told a wrong
strength, from a quarter to three times the true one: too little leaves noise behind, too much blurs.
Networks take no strength, but for the one in steps; they judge it from the picture.""",
    "redraw": """One draw of the noise misleads: here is the same experiment with other seeds. *Bias* is
what a method does wrong in every draw, *spread* is what the noise makes of it by chance; their squares
add up to the mean squared error
([Geman et al. 1992](https://doi.org/10.1162/neco.1992.4.1.1)).""",
}


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Controls and outputs of the tab."""

    view: gr.Radio
    text: gr.Markdown
    methods: gr.Dropdown
    axis: gr.Dropdown
    places: gr.Radio
    draws: gr.Radio
    seeds: gr.Radio
    run: gr.Button
    cancel: gr.Button
    save: gr.Button
    progress: gr.HTML
    metric: gr.Radio
    chart: gr.Plot
    pair: gr.Column
    first: gr.Dropdown
    second: gr.Dropdown
    verdict: gr.Markdown
    pictures: gr.HTML
    download: gr.HTML
    shown: gr.State
    width: gr.Number

    @property
    def choices(self) -> list[Any]:
        """What decides what is computed."""
        return [self.view, self.methods, self.axis, self.places, self.draws, self.seeds]

    @property
    def outputs(self) -> list[Any]:
        """What a computation changes, in the order of :class:`_Update`."""
        return [
            self.shown,
            self.progress,
            self.chart,
            self.pictures,
            self.methods,
            self.axis,
            self.first,
            self.second,
            self.verdict,
        ]


def create_sweep_tab(controls: Controls, opened: Callable[..., Any]) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        opened: The tab's event of being opened.
    """
    with gr.Column(elem_id="sweep"):
        create_summary(controls, opened)
        tab = _create()
    _connect(tab, controls, opened)


def compute(
    face: Face, experiment: Experiment, own: tuple[Any, ...], shown: Shown
) -> Iterator[dict[str, Any] | None]:
    """Compute what is chosen, and say every now and then how far it is.

    Args:
        face: The session's face.
        experiment: What is chosen under "Compare".
        own: What the tab's own controls hold: view, methods, axis, places, draws, seeds.
        shown: What the tab shows.

    Yields:
        What has changed: ``shown``, ``progress``, ``frames`` (all so far) and, the first time,
        ``taken`` with the methods taken over from "Compare", or None. Between these, after each point,
        ``progress`` alone or None. Nothing at all where what is chosen is on show already.

    Raises:
        ExperimentError: Something is not among what is offered, or can't be computed.
    """
    view, _, axis, places, draws, seeds = own
    new_offer = experiment.methods != shown.offered
    methods = _methods_of(own, experiment, shown)
    choice = parse_choice(view, methods, axis, places, draws, seeds, experiment)
    job = create_job(face, experiment, choice)
    if shown.job is not None and shown.job.key == job.key and shown.complete:
        return
    points: list[SweepPoint] = []
    all_frames: list[Payload] = []

    def update(state: str, text: str) -> dict[str, Any]:
        return {
            "shown": Shown(experiment.methods, job, without_pictures(points)),
            "progress": _progress(state, text, len(points), job.total),
            "frames": all_frames,
            "taken": choice.methods if new_offer else None,
        }

    yield update("running", "Computing.")
    fresh: list[SweepPoint] = []
    spent = sent = 0.0  # seconds that this computation has taken, also when it was last shown
    resumed = last_told = time.monotonic()
    for point in job.run():
        points.append(point)
        fresh.append(point)
        done, now = len(points) == job.total, time.monotonic()
        spent += now - resumed
        # Not by the clock: beside others it would be drawn after each point, which costs as much as one.
        if not done and spent - sent < min(max(spent / 10, _SEND_SECONDS), _SEND_SECONDS_LATER):
            if now - last_told < _SEND_SECONDS_LATER:
                yield None
            else:
                last_told = now
                yield {"progress": _progress("running", "Computing.", len(points), job.total)}
            resumed = time.monotonic()
            continue
        if job.choice.view != "redraw":
            places_drawn = {frame["place"] for frame in all_frames}
            new = frames([p for p in fresh if p.value not in places_drawn], job, face.image)
            all_frames = [*all_frames, *new]
        elif len(points) > 1:
            all_frames = [map_frame(points, job, face.image)]
        fresh = []
        yield update("done", "Done.") if done else update("running", "Computing.")
        sent, resumed = spent, time.monotonic()
        last_told = resumed


def _methods_of(choices: Sequence[Any], experiment: Experiment, shown: Shown) -> Any:
    """Return the methods that are computed: those chosen, or new ones of "Compare", see `compute`."""
    return choices[1] if experiment.methods == shown.offered else list(experiment.methods)


def _choices(experiment: Experiment) -> list[tuple[str, str]]:
    """Return the methods that can be chosen, names and ids: the session's own too if it has one."""
    methods = describe_methods()
    if experiment.own is not None or OWN_MODEL in experiment.methods:
        methods = with_own(methods, experiment)
    return [(info.label, method_id) for method_id, info in methods.items()]


def _create() -> Tab:
    labels = _choices(Experiment())
    with gr.Column(elem_classes="sweep-panel"):
        view = gr.Radio(
            [(name, key) for key, name in VIEWS.items()],
            value="sweep",
            label="View",
            elem_id="sweep-view",
        )
        text = gr.Markdown(_TEXTS["sweep"], elem_classes="sweep-text")
        with gr.Row():
            axis = gr.Dropdown(
                axis_choices(Experiment()),
                value="0:sigma",
                label="Along",
                min_width=240,
                elem_id="sweep-axis",
            )
            places = gr.Radio(
                list(PLACES), value=9, label="Places", min_width=170, elem_id="sweep-places"
            )
            draws = gr.Radio(
                list(DRAWS), value=1, label="Draws at each", min_width=150, elem_id="sweep-draws"
            )
            seeds = gr.Radio(
                list(SEEDS), value=16, label="Seeds", min_width=220, visible=False, elem_id="sweep-seeds"
            )
        methods = gr.Dropdown(
            labels,
            value=list(DEFAULT_DENOISERS),
            multiselect=True,
            label="Methods",
            elem_id="sweep-methods",
        )
        with gr.Row(elem_classes="sweep-actions"):
            run = gr.Button("Run", size="sm", variant="primary", min_width=90, elem_id="sweep-run")
            cancel = gr.Button("Cancel", size="sm", min_width=90, elem_id="sweep-cancel")
            save = gr.Button("Numbers (CSV)", size="sm", min_width=120, elem_id="sweep-save")
            progress = create_progress("sweep-progress", "sweep-progress")
    with gr.Column(elem_classes="sweep-panel"):
        metric = gr.Radio(
            [(name, key) for key, name in METRICS.items()],
            value="psnr",
            label="Metric",
            elem_id="sweep-metric",
        )
        chart = gr.Plot(show_label=False, min_width=300, elem_id="sweep-chart")
        with gr.Column(visible=False, elem_id="sweep-pair") as pair:
            with gr.Row():
                options = [*labels, (NOISY_LABEL, NOISY)]
                first, second = (
                    gr.Dropdown(options, value=value, label=label, min_width=220, elem_id=elem_id)
                    for value, label, elem_id in (
                        (DEFAULT_DENOISERS[0], "Is the gap real? Compare", "sweep-first"),
                        (DEFAULT_DENOISERS[1], "with", "sweep-second"),
                    )
                )
            verdict = gr.Markdown(elem_id="sweep-verdict")
        pictures = gr.HTML(
            html_template=read_asset("sweep/pictures.html"),
            js_on_load=read_script("sweep/pictures.js"),
            apply_default_css=False,
            elem_id="sweep-pictures",
        )
    return Tab(
        view=view,
        text=text,
        methods=methods,
        axis=axis,
        places=places,
        draws=draws,
        seeds=seeds,
        run=run,
        cancel=cancel,
        save=save,
        progress=progress,
        metric=metric,
        chart=chart,
        pair=pair,
        first=first,
        second=second,
        verdict=verdict,
        pictures=pictures,
        download=create_download(),
        shown=gr.State(Shown()),
        width=gr.Number(visible=False),
    )


def _connect(tab: Tab, controls: Controls, opened: Callable[..., Any]) -> None:
    own = len(tab.choices)
    scheduler, apart = (FairScheduler(JOB_PLACES, JOB_PLACES_EACH) for _ in range(2))
    nothing = [gr.skip()] * len(tab.outputs)

    def split(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """The tab's own choices, how they are shown, and what is chosen under "Compare"."""
        return values[:own], values[own : own + 4], values[own + 4 :]

    def progress_alone(progress: Payload) -> list[Any]:
        return [nothing[0], progress, *nothing[2:]]

    def say(state: str, text: str) -> list[Any]:
        return progress_alone(_progress(state, text, 0, 0))

    def key_of(*values: Any) -> str:
        choices, (*_, shown), (*rest, _) = split(values)
        try:
            face, experiment = controls.read_small(rest, own=True)
        except ExperimentError:  # the computation will say so
            return ""
        view, _, *others = choices
        try:
            methods = _methods_of(choices, experiment, shown)
            return repr((view, methods, others, experiment_key(face, experiment)))
        except RecursionError:  # it comes from a browser
            return ""

    def takes_own(*values: Any) -> bool:
        choices, (*_, shown), (*rest, _) = split(values)
        try:
            _, experiment = controls.read_small(rest, own=True)
        except ExperimentError:
            return False
        methods = _methods_of(choices, experiment, shown)
        return isinstance(methods, list) and OWN_MODEL in methods

    def run(*values: Any) -> Iterator[Any]:
        choices, (metric, first, second, shown), (*rest, width) = split(values)
        is_first = True
        try:
            face, experiment = controls.read_small(rest, own=True)
            for update in compute(face, experiment, tuple(choices), shown):
                if update is None:
                    yield None
                    continue
                if "shown" not in update:
                    yield progress_alone(update["progress"])
                    continue
                state: Shown = update["shown"]
                assert state.job is not None
                offers = [gr.skip()] * 4
                if is_first:
                    is_first = False
                    offers = _offers(state.job, experiment, update["taken"], first, second)
                    first, second = (offer["value"] for offer in offers[2:])
                yield (
                    state,
                    update["progress"],
                    _figure(state, metric, width),
                    pictures_payload(update["frames"], state.job, face.image),
                    *offers,
                    judge(state, first, second, metric),
                )
        except (ExperimentError, OwnDenoiserError) as error:
            yield say("error", str(error))

    inputs = [*tab.choices, tab.metric, tab.first, tab.second, tab.shown, *controls.inputs, tab.width]
    chosen = [component.input for component in tab.choices]
    gr.on(
        [opened, *chosen, tab.run.click],
        scheduled(scheduler, run, key_of, nothing, say, apart=(apart, takes_own)),
        inputs,
        tab.outputs,
        js=WITH_WIDTH,
        concurrency_limit=None,  # the scheduler has its own
        concurrency_id="sweep",
        **(RAW | {"trigger_mode": "multiple"}),
    )

    def stop(request: gr.Request) -> None:
        for each in (scheduler, apart):
            each.stop_session(request.session_hash or "")

    # Not Gradio's "cancels": it knows of one event at a time, and an older one may be the one that runs.
    tab.cancel.click(stop, None, None, queue=False, **SILENT)

    def redraw(shown: Shown, metric: Any, first: Any, second: Any, width: Any) -> Any:
        if shown.job is None:
            return gr.skip(), gr.skip()
        return _figure(shown, metric, width), judge(shown, first, second, metric)

    gr.on(
        [tab.metric.input],
        redraw,
        [tab.shown, tab.metric, tab.first, tab.second, tab.width],
        [tab.chart, tab.verdict],
        js=WITH_WIDTH,
        queue=False,
        **RAW,
    )
    gr.on(
        [tab.first.input, tab.second.input],
        judge,
        [tab.shown, tab.first, tab.second, tab.metric],
        tab.verdict,
        queue=False,
        **RAW,
    )
    gr.on(
        [tab.view.input, tab.axis.input],
        _arrange,
        [tab.view, tab.axis],
        [tab.text, tab.axis, tab.places, tab.draws, tab.seeds, tab.pair],
        queue=False,
        **RAW,
    )
    tab.save.click(_save, tab.shown, tab.download, **RAW)


def _arrange(view: Any, axis: Any) -> list[Any]:
    """Show the controls that a view has."""
    sweeps, redraws = view == "sweep", view == "redraw"
    return [
        gr.Markdown(_TEXTS[view if sweeps or redraws else "assumed"]),
        gr.Dropdown(visible=sweeps),
        *[gr.Radio(visible=sweeps and axis != SEED)] * 2,
        gr.Radio(visible=redraws or (sweeps and axis == SEED)),
        gr.Column(visible=redraws),
    ]


def _offers(
    job: Job, experiment: Experiment, taken: tuple[str, ...] | None, first: Any, second: Any
) -> list[Any]:
    """Bring the menus up to date: methods taken over, what this noise has, what can be compared."""
    pair = (first, second)
    if not all(isinstance(name, str) and name in job.labels for name in pair):
        pair = default_pair(job.labels)
    options = [(label, name) for name, label in job.labels.items()]
    return [
        gr.skip() if taken is None else gr.update(choices=_choices(experiment), value=list(taken)),
        gr.update(choices=axis_choices(experiment), value=job.choice.axis),
        *(gr.update(choices=options, value=name) for name in pair),
    ]


def _figure(shown: Shown, metric: Any, width: Any) -> Any:
    # Plotly takes a second to import, which a page that shows no chart need not wait for.
    from denoiser.ui.sweep.charts import PATH, path_chart, repeats_chart, sweep_chart

    job = shown.job
    assert job is not None
    metric = metric if isinstance(metric, str) and metric in METRICS else "psnr"
    pixels = chart_width(width if isinstance(width, int | float) else None)
    if metric == PATH:
        return path_chart(job.axis, shown.points, job.labels, pixels, flat=job.flat)
    if job.choice.view == "redraw":
        return repeats_chart(shown.points, job.labels, metric, pixels)
    return sweep_chart(job.axis, shown.points, job.labels, metric, pixels, trained=job.trained)


def _progress(state: str, text: str, done: int, total: int) -> Payload:
    return {"version": new_version(), "state": state, "text": text, "done": done, "total": total}


def _save(shown: Shown) -> Any:
    if shown.job is None or not shown.points:
        return gr.skip()
    text = points_csv(shown.job.axis, shown.points, shown.job.labels)
    data = base64.b64encode(text.encode()).decode()
    # The version makes a second click on the same file a change.
    return {"version": new_version(), "name": "sweep.csv", "type": "text/csv", "data": data}
