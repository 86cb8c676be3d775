"""How often the classifier reads a face right, noisy or denoised: a table."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from denoiser.analysis.emotion.results import (
    ACCURACY,
    AGREEMENT,
    EmotionResults,
    read_emotion_results,
)
from denoiser.analysis.results import METRICS_NAME, ResultsError
from denoiser.ui.common.events import RAW
from denoiser.ui.common.html import create_table
from denoiser.ui.emotion.payload import table_value


def create_accuracy_section(opened: Callable[..., Any], weights: Path) -> None:
    """Add the classifier's accuracy under every noise and denoiser to the tab "Benchmark".

    Args:
        opened: The tab's event of being opened.
        weights: The classifier's folder.
    """
    try:
        results = read_emotion_results(weights / METRICS_NAME)
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
        f"same for all. Differences below two points may be chance. {counted}{_describe_first(results)}"
    )


def _describe_first(results: EmotionResults) -> str:
    if results.first is None:
        return ""
    count, clean = results.first
    return (
        f" † Scored on the first {count:,} pictures only, which are not the same to read: of the clean "
        f"ones it reads {100 * clean:.1f} %."
    )


def _heading(text: str) -> str:
    return f"### How well it reads\n{text}"


def _create_table(elem_id: str) -> gr.HTML:
    return create_table(elem_id, "Accuracy of the classifier")
