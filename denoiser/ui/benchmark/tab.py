"""The tab "Benchmark": the committed results as a sortable table and as charts.

Nothing is drawn before the tab is opened. The page's width comes along with every event, because a
chart for a phone is another chart.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr

from denoiser.analysis.published import PUBLISHED, PublishedDenoiser
from denoiser.analysis.results import (
    METRICS,
    NOISY,
    NOISY_LABEL,
    Benchmark,
    Method,
    Metric,
    ResultsError,
    list_histories,
    read_benchmark,
    read_history,
)
from denoiser.denoisers.registry import DEFAULT_DENOISERS
from denoiser.pipeline import SSIM_TIE, TIE
from denoiser.ui.common.events import LATEST
from denoiser.ui.common.html import create_table
from denoiser.ui.common.width import WITH_WIDTH, chart_width

_QUALITY = (("PSNR", "psnr"), ("SSIM", "ssim"))
_PERCEPTION = (
    ("Spectral distance", "spectral_distance"),
    ("Sharpness", "sharpness"),
    ("Fréchet distance", "frechet_distance"),
    ("Detectability", "detectability"),
)
_STRENGTH = (*_QUALITY, ("Gain in dB", "gain"))
_PUBLISHED = "published"
"""Stands among the families for :data:`PUBLISHED`."""

_TIES = {"psnr": TIE, "ssim": SSIM_TIE}

_TABLE_TEXT = """### Every denoiser under every noise
Means over the whole test split. Click a column's name to sort by it, again to turn the order round. The
best of the denoisers listed is bold with a ★ if it beats the noisy picture; an empty cell was not
measured. *Noisy picture* is what doing nothing scores. *Published* ones are here to compare with:
others' networks, trained on photographs of all sorts, and BM3D, on up to 1,000 of these faces; some are
told the noise's sigma, as filters are and of our networks only the one in steps. No star is theirs.
Flows are scored on the first 1,000 faces, too."""
_STRENGTH_TEXT = """### The stronger the noise
What is left of the quality as the noise grows, to the right. A denoiser below the gray line does harm:
the noisy picture was closer to the clean one. *Gain in dB* puts the gray line at zero, which shows small
differences better."""
_TIME_TEXT = """### Quality against time
Up is better, left is faster. Whatever lies below the line is beaten: something else is both faster and
better."""
_PERCEPTION_TEXT = """### Distortion against perceptual quality
Close to the clean picture and natural to look at are two goals, and past a point one costs the other
([Blau and Michaeli 2018](https://doi.org/10.1109/CVPR.2018.00652)). Right is closer. *Spectral
distance*: how unlike the clean ones' the detail of the pictures is; lower looks more natural.
*Sharpness*: below 1 is blurred, above 1 is noise left over. *Fréchet distance*: how differently a
network that reads faces sees the results and clean faces
([Heusel et al. 2017](https://arxiv.org/abs/1706.08500)); the dashed line is what other clean faces get.
*Detectability*: how often a small network, trained for just that, tells results from clean faces; at 0.5
it can only guess."""
_UNMEASURED = "Measuring this takes long. It was done under {}, and not yet under {}."
_MATRIX_TEXT = """### Trained on one noise, tested on another
Every network under every noise: blue gains over the noisy picture, brown does harm. A frame marks the
noise a specialist was trained for: look at what it does outside of it. Point at a cell, or tap it, for
its gain (in dB for PSNR)."""
_TRAINING_TEXT = """### How a model was trained
PSNR on noise held back for validation, and the loss that training lowers. A GAN has two more losses:
the discriminator learns to tell denoised from clean, the generator to fool it; in a fair fight neither
goes to zero."""


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Controls and charts of the tab."""

    table_metric: gr.Radio
    families: gr.CheckboxGroup
    table: gr.HTML
    curve: gr.Dropdown
    curve_metric: gr.Radio
    methods: gr.Dropdown
    strength: gr.Plot
    condition: gr.Dropdown
    time_metric: gr.Radio
    perception: gr.Radio
    time: gr.Plot
    trade_off: gr.Plot
    trade_off_note: gr.Markdown
    matrix_metric: gr.Radio
    matrix: gr.Plot
    model: gr.Dropdown
    training: gr.Plot
    training_note: gr.Markdown
    width: gr.Number


def create_benchmark_tab(opened: Callable[..., Any], create_accuracy: Callable[[], None]) -> None:
    """Add the tab's content to the page.

    Args:
        opened: The tab's event of being opened.
        create_accuracy: Adds the section on the emotion classifier's accuracy.
    """
    try:
        benchmark = _benchmark()
    except ResultsError as error:
        gr.Markdown(html.escape(str(error)), elem_id="benchmark-error")
        return
    with gr.Column(elem_id="benchmark"):
        tab = _create(benchmark, create_accuracy)
    _connect(benchmark, tab, opened)


def table_value(benchmark: Benchmark, metric: Metric, families: Sequence[str]) -> dict[str, Any]:
    """Return the table as ``table.js`` takes it: what to sort by, and what to show.

    Args:
        benchmark: The results.
        metric: What the columns of the noises hold.
        families: Which denoisers to list; the noisy picture always is.
    """
    methods = [method for method in benchmark.methods if method.family in families]
    names = [NOISY, *(method.id for method in methods)]
    rows = [[_cell(NOISY_LABEL), _cell(""), _cell(None), _cell(None)], *map(_facts, methods)]
    shown = PUBLISHED if _PUBLISHED in families and metric.id == "psnr" else ()
    published_rows = [[_cell(p.label), _cell(_told(p)), _cell(None), _cell(None)] for p in shown]
    columns = [_column("Denoiser"), _column("Family"), _column("Parameters", 1), _column("ms", 1)]
    columns[-1]["title"] = "Milliseconds for one 48x48 face on one thread"
    for condition in benchmark.conditions:
        columns.append(_column(condition.label, -1, condition.description))
        values = [benchmark.value(name, condition.id, metric.id) for name in names]
        noisy, *others = values
        best = max((value for value in others if value is not None), default=None)
        if best is not None and noisy is not None and best <= noisy + _TIES.get(metric.id, 0.0):
            best = None  # nothing is best that doesn't beat doing nothing
        for row, value in zip(rows, values, strict=True):
            text = "" if value is None else metric.format(value)
            is_best = value is not None and value == best
            row.append(_cell(value, f"★ {text}" if is_best else text, best=is_best))
        for row, denoiser in zip(published_rows, shown, strict=True):
            value = denoiser.psnr.get(condition.id)
            row.append(_cell(value, "" if value is None else metric.format(value)))
    return {"columns": columns, "rows": rows + published_rows}


def provenance(benchmark: Benchmark) -> str:
    """Say in Markdown where every number is from."""
    facts = benchmark.facts
    sources = {
        "Made by": f"`{facts.get('command', '?')}`",
        "Pictures": f"{facts.get('split', '?')}, {facts.get('pictures', '?')} of them",
        "Noise": facts.get("seed", "?"),
        "Metrics": facts.get("metrics", "?"),
        "Machine": facts.get("machine", "?"),
        "Versions": facts.get("versions", "?"),
        "Scores": "`weights/benchmark.json`; one model's own in `weights/ID/metrics.json`",
        "Fréchet distance, detectability": "`weights/realism.json`, of fewer pictures, written by "
        "`python -m train evaluate-realism`",
        "Published": "; ".join(f"{p.label}: {p.reference}" for p in PUBLISHED) + ". Measured once, with "
        "the authors' weights and code that is not part of this repository",
        "Training": "`weights/ID/history.csv`, written by `python -m train fit train/configs/ID.toml`",
    }
    lines = [f"- **{name}**: {html.escape(text, quote=False)}" for name, text in sources.items()]
    return "\n".join(["### Where every number is from", *lines])


@cache
def _benchmark() -> Benchmark:
    return read_benchmark()


def _create(benchmark: Benchmark, create_accuracy: Callable[[], None]) -> Tab:
    labels = {method.id: method.label for method in benchmark.methods}
    names = [(method.label, method.id) for method in benchmark.methods]
    default = [m for m in DEFAULT_DENOISERS if m in labels] or [value for _, value in names[:4]]
    noises = [(f"{c.description} ({c.id})", c.id) for c in benchmark.conditions]
    curves = [(curve.label, curve.id) for curve in benchmark.curves]
    measured = {name for values in benchmark.scores.values() for name in values}
    perceptions = [(name, metric) for name, metric in _PERCEPTION if metric in measured]
    trained = [*(m for m in labels if m in list_histories()), *(set(list_histories()) - set(labels))]
    with _section("table"):
        gr.Markdown(_TABLE_TEXT)
        with gr.Row():
            table_metric = _radio("Metric", _QUALITY)
            rows = [*benchmark.families, _PUBLISHED]
            families = gr.CheckboxGroup(rows, value=rows, label="Families", scale=3)
        # Gradio's own table sorts through a menu only and does not keep its first column in sight.
        table = create_table("benchmark-table", "Scores")
    with _section("strength"):
        gr.Markdown(_STRENGTH_TEXT)
        with gr.Row():
            curve = _menu("Kind of noise", curves, "benchmark-curve")
            curve_metric = _radio("Metric", _STRENGTH, min_width=280)
            methods = gr.Dropdown(
                names, value=default, multiselect=True, label="Denoisers", scale=3, min_width=240
            )
        strength = _plot("benchmark-strength")
    with _section("trade-offs"):
        condition = _menu("Noise of the next two charts", noises, "benchmark-condition")
        with gr.Row():
            with gr.Column(min_width=300):
                gr.Markdown(_TIME_TEXT)
                time_metric = _radio("Metric", _QUALITY)
                time = _plot("benchmark-time")
            with gr.Column(min_width=300):
                gr.Markdown(_PERCEPTION_TEXT)
                perception = _radio("Perceptual quality", perceptions)
                trade_off_note = gr.Markdown(visible=False)
                trade_off = _plot("benchmark-perception")
    with _section("matrix"):
        gr.Markdown(_MATRIX_TEXT)
        matrix_metric = _radio("Metric", _QUALITY)
        matrix = _plot("benchmark-matrix")
    with _section("training"):
        gr.Markdown(_TRAINING_TEXT)
        choices = [(labels.get(model, model), model) for model in trained]
        model = _menu("Model", choices, "benchmark-model")
        training_note = gr.Markdown(visible=False)
        training = _plot("benchmark-training")
    with _section("emotion"):
        create_accuracy()
    with _section("provenance"):
        gr.Markdown(provenance(benchmark))
    width = gr.Number(visible=False)
    return Tab(
        table_metric=table_metric,
        families=families,
        table=table,
        curve=curve,
        curve_metric=curve_metric,
        methods=methods,
        strength=strength,
        condition=condition,
        time_metric=time_metric,
        perception=perception,
        time=time,
        trade_off=trade_off,
        trade_off_note=trade_off_note,
        matrix_metric=matrix_metric,
        matrix=matrix,
        model=model,
        training=training,
        training_note=training_note,
        width=width,
    )


def _connect(benchmark: Benchmark, tab: Tab, opened: Callable[..., Any]) -> None:
    conditions = {condition.id: condition for condition in benchmark.conditions}
    curves = {curve.id: curve for curve in benchmark.curves}

    # Plotly takes a second to import, which a page that shows no chart need not wait for.
    def draw_table(metric: str, families: list[str]) -> Any:
        return table_value(benchmark, METRICS[metric], families)

    def draw_strength(curve: str | None, metric: str, methods: list[str], width: float | None) -> Any:
        from denoiser.ui.benchmark.charts import strength_curves

        if curve is None:
            return gr.skip()
        is_gain = metric == "gain"
        quantity = METRICS["psnr" if is_gain else metric]
        return strength_curves(
            benchmark, curves[curve], quantity, methods, chart_width(width), gain=is_gain
        )

    def draw_time(condition: str | None, metric: str, width: float | None) -> Any:
        from denoiser.ui.benchmark.charts import quality_against_time

        if condition is None:
            return gr.skip()
        chosen = conditions[condition]
        return quality_against_time(benchmark, chosen, METRICS[metric], chart_width(width, columns=2))

    def draw_trade_off(condition: str | None, perception: str, width: float | None) -> Any:
        from denoiser.ui.benchmark.charts import distortion_against_perception

        if condition is None:
            return gr.skip(), gr.skip()
        chosen, metric = conditions[condition], METRICS[perception]
        measured = benchmark.measured(metric.id)
        if chosen not in measured:
            note = _UNMEASURED.format(", ".join(c.label for c in measured), chosen.label)
            return gr.Plot(visible=False), gr.Markdown(html.escape(note), visible=True)
        chart = distortion_against_perception(benchmark, chosen, metric, chart_width(width, columns=2))
        return gr.Plot(chart, visible=True), gr.Markdown(visible=False)

    def draw_matrix(metric: str, width: float | None) -> Any:
        from denoiser.ui.benchmark.charts import train_test_matrix

        return train_test_matrix(benchmark, METRICS[metric], chart_width(width))

    def draw_training(model: str | None, width: float | None) -> Any:
        from denoiser.ui.benchmark.charts import training_curves

        if model is None:
            return gr.skip(), gr.skip()
        try:
            history = read_history(model)
        except ResultsError as error:
            return gr.Plot(visible=False), gr.Markdown(html.escape(str(error)), visible=True)
        return gr.Plot(training_curves(history, chart_width(width)), visible=True), gr.Markdown(
            visible=False
        )

    def draw_all(
        curve: str | None,
        curve_metric: str,
        methods: list[str],
        condition: str | None,
        time_metric: str,
        perception: str,
        matrix_metric: str,
        model: str | None,
        width: float | None,
    ) -> Any:
        return (
            draw_strength(curve, curve_metric, methods, width),
            draw_time(condition, time_metric, width),
            *draw_trade_off(condition, perception, width),
            draw_matrix(matrix_metric, width),
            *draw_training(model, width),
        )

    def connect(
        events: Sequence[Any], draw: Callable[..., Any], inputs: list[Any], outputs: Any
    ) -> None:
        js = WITH_WIDTH if tab.width in inputs else None
        gr.on(events, draw, inputs, outputs, js=js, queue=False, **LATEST)

    strength: list[Any] = [tab.curve, tab.curve_metric, tab.methods]
    trade_off: list[Any] = [tab.trade_off, tab.trade_off_note]
    trained: list[Any] = [tab.training, tab.training_note]
    parts: list[tuple[Callable[..., Any], list[Any], Any]] = [
        (draw_strength, strength, tab.strength),
        (draw_time, [tab.condition, tab.time_metric], tab.time),
        (draw_trade_off, [tab.condition, tab.perception], trade_off),
        (draw_matrix, [tab.matrix_metric], tab.matrix),
        (draw_training, [tab.model], trained),
    ]
    for draw, controls, outputs in parts:
        connect([control.change for control in controls], draw, [*controls, tab.width], outputs)
    about_table: list[Any] = [tab.table_metric, tab.families]
    connect([opened, *(control.change for control in about_table)], draw_table, about_table, tab.table)
    connect(  # all at once: five answers would each hold the browser up
        [opened],
        draw_all,
        [
            *strength,
            tab.condition,
            tab.time_metric,
            tab.perception,
            tab.matrix_metric,
            tab.model,
            tab.width,
        ],
        [tab.strength, tab.time, *trade_off, tab.matrix, *trained],
    )


def _section(name: str) -> gr.Column:
    return gr.Column(elem_id=f"benchmark-{name}-section", elem_classes="benchmark-section")


def _radio(label: str, choices: Sequence[tuple[str, str]], min_width: int = 150) -> gr.Radio:
    return gr.Radio(choices, value=choices[0][1], label=label, min_width=min_width)


def _menu(label: str, choices: Sequence[tuple[str, str]], elem_id: str) -> gr.Dropdown:
    value = choices[0][1] if choices else None
    return gr.Dropdown(choices, value=value, label=label, elem_id=elem_id, min_width=220)


def _plot(elem_id: str) -> gr.Plot:
    return gr.Plot(show_label=False, min_width=300, elem_id=elem_id)


def _column(label: str, order: int = 0, title: str = "") -> dict[str, Any]:
    """A column of text, or of numbers whose first sorting is upwards (1) or downwards (-1)."""
    first = "descending" if order < 0 else "ascending"
    return {"label": label, "title": title or label, "number": order != 0, "first": first}


def _cell(value: float | str | None, text: str | None = None, best: bool = False) -> dict[str, Any]:
    content = str(value or "") if text is None else text
    return {"sort": value, "text": content} | ({"best": True} if best else {})


def _told(denoiser: PublishedDenoiser) -> str:
    return f"{_PUBLISHED}, told sigma" if denoiser.told_sigma else _PUBLISHED


def _facts(method: Method) -> list[dict[str, Any]]:
    """The first four cells of a denoiser's row."""
    time = "" if method.milliseconds is None else f"{method.milliseconds:.3g}"
    return [
        _cell(method.label),
        _cell(method.family),
        _cell(method.parameters, f"{method.parameters:,}"),
        _cell(method.milliseconds, time),
    ]
