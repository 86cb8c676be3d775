"""The tab "Emotion check": what a classifier reads in the clean, the noisy and each denoised face."""

import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from denoiser.analysis.emotion.classifier import create_classifier
from denoiser.analysis.emotion.results import ACCURACY, AGREEMENT, EmotionResults, read_emotion_results
from denoiser.analysis.results import ResultsError
from denoiser.faces.fer2013 import FaceDataError
from denoiser.ui.controls import Controls
from denoiser.ui.emotion_payload import emotion_payload, table_value
from denoiser.ui.events import RAW
from denoiser.ui.faces import FaceSource, sample_id
from denoiser.ui.grid import read_script
from denoiser.ui.payload import Face, Payload, new_version
from denoiser.ui.settings import SettingsError
from denoiser.ui.summary import create_summary
from denoiser.weights.checkpoint import WeightsError
from denoiser.weights.hub_errors import as_sentence

_INTRODUCTION = """### Does the expression survive?
Faces are denoised for a reason; a common one is to read their expression. A small network, trained on
*clean* faces only, reads each picture below. Look for noise that changes its mind, and for methods that
change it back. A result may look fine to you and still be read otherwise, or the other way round."""
_LIMITS = """### What this can tell, and what not
- **It reads a face as a crowd named it, not a feeling.** Ten people voted on each picture
  ([FER+, Barsoum et al. 2016](https://doi.org/10.1145/2993148.2993165)), and often disagreed. How
  someone feels can't be read off a face reliably
  ([Barrett et al. 2019](https://doi.org/10.1177/1529100619832930)).
- **Whose faces:** found on the web by search words for emotions, many of them posed. Who is rare among
  them may be read worse; FER2013 does not say who is shown, so nobody can check that here.
- **Percentages are the network's own**, not how often it is right. On noise and on artefacts, which it
  has never seen, it can be sure and wrong.
- **Here it measures denoisers. It is not for decisions about people**: the EU, for one, prohibits
  inferring emotions at work and at school, with few exceptions
  ([Regulation 2024/1689, Article 5(1)(f)](https://eur-lex.europa.eu/eli/reg/2024/1689/oj))."""
_TABLE = (
    '<div class="results-scroll" role="region" tabindex="0" aria-label="Accuracy of the classifier">'
    "<table></table></div>"
)
_PANEL = (
    '<section class="emotion"><p class="emotion-error" role="alert" hidden></p>'
    '<div class="emotion-summary" role="status"></div><ul class="emotion-cards"></ul></section>'
)


def create_emotion_tab(controls: Controls, faces: FaceSource, opened: Callable[..., Any]) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        faces: Where the samples come from, with their emotions.
        opened: The tab's event of being opened.
    """
    with gr.Column(elem_id="emotion"):
        create_summary(controls, opened)
        with gr.Column(elem_classes="emotion-panel"):
            gr.Markdown(_INTRODUCTION)
            panel = gr.HTML(
                html_template=_PANEL,
                js_on_load=read_script("emotion.js"),
                apply_default_css=False,
                elem_id="emotion-pictures",
            )
        with gr.Column(elem_classes="emotion-panel"):
            scores_text = gr.Markdown(elem_id="emotion-scores-text")
            with gr.Column(visible=False) as scores:
                table = _create_table("emotion-table")
        with gr.Column(elem_classes="emotion-panel", elem_id="emotion-limits"):
            gr.Markdown(_LIMITS)

    def read(*values: Any) -> Payload:
        try:
            face, settings = controls.read(values)
            return emotion_payload(face, settings, create_classifier(), crowd_label(face, faces))
        except (SettingsError, WeightsError) as error:
            return {"version": new_version(), "error": as_sentence(error)}

    def show_scores(*values: Any) -> Any:
        try:
            results = read_emotion_results()
        except ResultsError as error:
            return _heading(html.escape(str(error))), gr.Column(visible=False), gr.skip()
        try:
            methods = controls.read(values)[1].methods
        except SettingsError:
            methods = ()
        return (
            _heading(describe_scores(results, "the methods chosen under *Compare*")),
            gr.Column(visible=bool(results.scores)),
            table_value(results, ACCURACY, methods),
        )

    opened(
        read,
        controls.inputs,
        panel,
        concurrency_limit=1,
        concurrency_id="slow",
        **(RAW | {"show_progress": "minimal", "show_progress_on": panel}),
    )
    opened(show_scores, controls.inputs, [scores_text, scores, table], queue=False, **RAW)


def create_accuracy_section(opened: Callable[..., Any]) -> None:
    """Add the classifier's accuracy under every noise and denoiser to the tab "Benchmark".

    Args:
        opened: The tab's event of being opened.
    """
    try:
        results = read_emotion_results()
    except ResultsError as error:
        gr.Markdown(_heading(html.escape(str(error))))
        return
    gr.Markdown(_heading(describe_scores(results, "every denoiser")))
    if not results.scores:
        return
    metric = gr.Radio(
        [("Read as the crowd did", ACCURACY), ("Read as in the clean picture", AGREEMENT)],
        value=ACCURACY,
        label="Share of pictures, in %",
        elem_id="benchmark-emotion-metric",
    )
    table = _create_table("benchmark-emotion-table")

    def draw(metric: Any) -> Any:
        return table_value(results, AGREEMENT if metric == AGREEMENT else ACCURACY)

    gr.on([opened, metric.change], draw, metric, table, queue=False, **RAW)


def describe_scores(results: EmotionResults, whose: str) -> str:
    """Say in Markdown how good the classifier is, and what the table shows.

    Args:
        results: What it scores.
        whose: Which denoisers the table lists, in words.
    """
    clean = (
        f"It reads {100 * results.clean_accuracy:.1f} % (± {100 * results.margin:.1f}) of "
        f"{results.pictures:,} *clean* test pictures as the crowd did; always saying the most frequent "
        f"emotion would score {100 * results.most_frequent:.1f} %."
    )
    if results.recall:
        ranked = sorted(results.recall.items(), key=lambda item: item[1])
        (worst, low), (best, high) = ranked[0], ranked[-1]
        clean += f" It is best at {best} ({100 * high:.0f} %) and worst at {worst} ({100 * low:.0f} %)."
    counted = f"Counted are pictures with a clear label: {html.escape(results.labels, quote=False)}."
    if not results.scores:
        return f"{clean} {counted} Denoisers were not scored yet: `python -m train evaluate-emotion`."
    return (
        f"{clean} Below: the same share, in %, for noisy pictures and after {whose}, each noise the "
        f"same for all. Differences below two points may be chance. {counted}"
    )


def crowd_label(face: Face, faces: FaceSource) -> str:
    """Return what most of the crowd named in a sample face; ``""`` for one of somebody's own."""
    sample = sample_id(face)
    if sample is None:
        return ""
    try:
        return faces.get(sample).emotion
    except FaceDataError:
        return ""


def _heading(text: str) -> str:
    return f"### How well it reads\n{text}"


def _create_table(elem_id: str) -> gr.HTML:
    return gr.HTML(
        html_template=_TABLE,
        js_on_load=read_script("table.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )
