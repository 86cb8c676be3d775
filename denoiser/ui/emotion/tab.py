"""The tab "Emotion check": what a classifier reads in the clean, the noisy and each denoised face."""

import html
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from denoiser.analysis.emotion.classifier import create_classifier
from denoiser.analysis.emotion.results import ACCURACY, read_emotion_results
from denoiser.analysis.results import METRICS_NAME, ResultsError
from denoiser.faces.fer2013 import FaceDataError
from denoiser.faces.samples import pick_samples
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import RAW
from denoiser.ui.common.html import read_script
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.emotion.accuracy import _create_table, _heading, describe_scores
from denoiser.ui.emotion.payload import emotion_payload, table_value
from denoiser.ui.emotion.search import SEARCHED, find_changed
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.face_source import FaceSource, sample_face, sample_id
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face
from denoiser.ui.experiment.summary import create_summary
from denoiser.weights.checkpoint import WeightsError

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
_NONE_FOUND = (
    "In none of the faces tried does a chosen method change what is read. Under *Compare*, raise the "
    "noise or choose other methods, and search again: each time it goes through other faces."
)
_PANEL = (
    '<section class="emotion"><p class="emotion-error" role="alert" hidden></p>'
    '<div class="emotion-summary" role="status"></div><ul class="emotion-cards"></ul></section>'
)


def create_emotion_tab(
    controls: Controls, faces: FaceSource, weights: Path, opened: Callable[..., Any]
) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        faces: Where the samples come from, with their emotions.
        weights: The classifier's folder.
        opened: The tab's event of being opened.
    """
    with gr.Column(elem_id="emotion"):
        create_summary(controls, opened)
        with gr.Column(elem_classes="emotion-panel"):
            gr.Markdown(_INTRODUCTION)
            search = gr.Button(
                "Find a face whose expression is lost",
                size="md",
                scale=0,
                min_width=260,
                elem_id="emotion-search",
            )
            found = gr.Markdown(visible=False, elem_id="emotion-found")
            panel = gr.HTML(
                html_template=_PANEL,
                js_on_load=read_script("emotion/emotion.js"),
                apply_default_css=False,
                elem_id="emotion-pictures",
            )
        with gr.Column(elem_classes="emotion-panel"):
            scores_text = gr.Markdown(elem_id="emotion-scores-text")
            with gr.Column(visible=False) as scores:
                table = _create_table("emotion-table")
        with gr.Column(elem_classes="emotion-panel", elem_id="emotion-limits"):
            gr.Markdown(_LIMITS)

    def read_face(face: Face, experiment: Experiment) -> Payload:
        return emotion_payload(face, experiment, create_classifier(weights), crowd_label(face, faces))

    def read(*values: Any) -> Any:
        try:
            return read_face(*controls.read_small(values)), gr.Markdown(visible=False)
        except (ExperimentError, WeightsError) as error:
            return _error(error), gr.Markdown(visible=False)

    def find(*values: Any) -> Any:
        same_face = controls.faces.show(None, faces)
        try:
            _, experiment = controls.read_small(values)
            samples = pick_samples(faces.offer.faces, None, secrets.randbelow(2**31), SEARCHED)
            sample = find_changed(samples, experiment, create_classifier(weights))
        except (ExperimentError, WeightsError) as error:
            return [*same_face, _error(error), gr.Markdown(visible=False)]
        if sample is None:
            return [*same_face, gr.skip(), gr.Markdown(_NONE_FOUND, visible=True)]
        payload = read_face(sample_face(sample), experiment)
        return [*controls.faces.show(sample.id, faces), payload, gr.Markdown(visible=False)]

    def show_scores(*values: Any) -> Any:
        try:
            results = read_emotion_results(weights / METRICS_NAME)
        except ResultsError as error:
            return _heading(html.escape(str(error))), gr.Column(visible=False), gr.skip()
        try:
            methods = controls.read_small(values)[1].methods
        except ExperimentError:
            methods = ()
        return (
            _heading(describe_scores(results, "the methods chosen under *Compare*")),
            gr.Column(visible=bool(results.scores)),
            table_value(results, ACCURACY, methods),
        )

    slowly: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "slow"} | RAW
    slowly |= {"show_progress": "minimal", "show_progress_on": panel}
    opened(read, controls.inputs, [panel, found], **slowly)
    search.click(find, controls.inputs, [*controls.faces.outputs, panel, found], **slowly)
    opened(show_scores, controls.inputs, [scores_text, scores, table], queue=False, **RAW)


def _error(error: Exception) -> Payload:
    return {"version": new_version(), "error": str(error)}


def crowd_label(face: Face, faces: FaceSource) -> str:
    """Return what most of the crowd named in a sample face; ``""`` for an upload."""
    sample = sample_id(face)
    if sample is None:
        return ""
    try:
        return faces.get(sample).emotion
    except FaceDataError:
        return ""
