"""What the tab "Emotion check" is sent: pictures, and what is read in them; no Gradio in here."""

from collections.abc import Sequence
from typing import Any

from denoiser.analysis.emotion.classifier import CLASSES, EmotionClassifier, Prediction
from denoiser.analysis.emotion.results import EmotionResults
from denoiser.analysis.results import CLEAN, NOISY, NOISY_LABEL
from denoiser.images import Image
from denoiser.pipeline import Experiment
from denoiser.ui.common.payload import Payload, encode_picture, new_version
from denoiser.ui.experiment.run import Face, describe_methods, run_methods


def emotion_payload(
    face: Face, experiment: Experiment, classifier: EmotionClassifier, label: str = ""
) -> Payload:
    """Read the clean, the noisy and every denoised picture.

    Args:
        face: The session's face.
        experiment: What is chosen under "Compare".
        classifier: Who reads.
        label: What the crowd named; ``""`` where it is unknown.

    Returns:
        ``version``; ``summary`` in words; ``cards`` with the bars. A method that could not run has a
        card with a ``note`` instead.
    """
    outcome = run_methods(face, experiment, experiment.methods)
    comparison, names = outcome.comparison, describe_methods()
    pictures: dict[str, tuple[str, Image]] = {
        CLEAN: ("Clean picture", comparison.corruption.clean),
        NOISY: (NOISY_LABEL, comparison.noisy.image),
    }
    pictures |= {
        name: (names[name].label, comparison[name].image)
        for name in experiment.methods
        if name in comparison
    }
    read = dict(
        zip(pictures, classifier.predict([picture for _, picture in pictures.values()]), strict=True)
    )
    cards = [
        _card(name, text, picture, read[name], read[CLEAN], label)
        for name, (text, picture) in pictures.items()
    ]
    notes = outcome.available.refusals
    cards += [
        {"id": name, "label": names[name].label, "note": notes[name]}
        for name in experiment.methods
        if name in notes
    ]
    return {
        "version": new_version(),
        "summary": summary(read, {name: text for name, (text, _) in pictures.items()}, label),
        "cards": cards,
    }


def summary(read: dict[str, Prediction], names: dict[str, str], label: str) -> list[str]:
    """Say in sentences what noise and denoising changed.

    Args:
        read: What was read, by id; ``"clean"`` and ``"noisy"`` among them.
        names: Names of the pictures by id.
        label: What the crowd named; ``""`` where it is unknown.
    """
    clean, noisy = read[CLEAN], read[NOISY]
    crowd = _crowd(clean, label)
    lines = [f"Clean, it reads {_quote(clean)}{crowd}."]
    if noisy.emotion == clean.emotion:
        lines.append(f"The noise does not change that: {_quote(noisy)}.")
    else:
        lines.append(f"The noise turns that into {_quote(noisy)}.")
    methods = [name for name in read if name not in (CLEAN, NOISY)]
    same = [names[name] for name in methods if read[name].emotion == clean.emotion]
    other = [names[name] for name in methods if read[name].emotion != clean.emotion]
    if same:
        lines.append(f"As in the clean picture after: {', '.join(same)}.")
    if other:
        lines.append(f"Something else after: {', '.join(other)}.")
    return lines


def table_value(
    results: EmotionResults, metric: str, methods: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the results as ``table.js`` takes them: a row for each picture, a column for each noise.

    Args:
        results: What the classifier scores.
        metric: ``"accuracy"`` or ``"agreement"``.
        methods: Ids to list; None lists all. The noisy picture always is.
    """
    listed = [name for name in results.methods if name == NOISY or methods is None or name in methods]
    columns: list[dict[str, Any]] = [
        {"label": "Picture", "title": "Picture", "number": False, "first": "ascending"}
    ]
    rows: list[list[dict[str, Any]]] = [
        [{"sort": results.methods[name], "text": _method_text(results, name)}] for name in listed
    ]
    whole = [name not in results.partial for name in listed]
    for condition in results.conditions:
        columns.append(
            {
                "label": condition.label,
                "title": condition.description,
                "number": True,
                "first": "descending",
            }
        )
        values = [results.value(name, condition.id, metric) for name in listed]
        texts = ["" if value is None else f"{100 * value:.1f}" for value in values]
        best = max((v for v, w in zip(values, whole, strict=True) if v is not None and w), default=None)
        best_text = "" if best is None else f"{100 * best:.1f}"
        for row, value, text, is_whole in zip(rows, values, texts, whole, strict=True):
            is_best = bool(text) and is_whole and text == best_text
            row.append(
                {"sort": value, "text": f"★ {text}" if is_best else text}
                | ({"best": True} if is_best else {})
            )
    return {"columns": columns, "rows": rows}


def _method_text(results: EmotionResults, method_id: str) -> str:
    return results.methods[method_id] + (" †" if method_id in results.partial else "")


def _card(
    name: str, text: str, picture: Image, read: Prediction, clean: Prediction, label: str
) -> Payload:
    if name == CLEAN:
        verdict = (
            ""
            if label not in CLASSES
            else "as the crowd"
            if read.emotion == label
            else "not as the crowd"
        )
    else:
        verdict = "same as clean" if read.emotion == clean.emotion else "changed"
    return {
        "id": name,
        "label": text,
        "pixels": encode_picture(picture),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "alt": f"{text}: read as {_quote(read)}",
        "read": read.emotion.capitalize(),
        "share": _percent(read.confidence),
        "verdict": verdict,
        "changed": verdict in ("changed", "not as the crowd"),
        "bars": [
            {
                "name": emotion,
                "share": share,
                "text": _percent(share),
                "top": emotion == read.emotion,
                "crowd": emotion == label,
            }
            for emotion, share in zip(CLASSES, read.probabilities, strict=True)
        ],
    }


def _crowd(clean: Prediction, label: str) -> str:
    if not label:
        return ""
    if label == clean.emotion:
        return ", as most of the crowd did"
    return f"; most of the crowd said {label}"


def _quote(read: Prediction) -> str:
    return f"{read.emotion} ({_percent(read.confidence)})"


def _percent(share: float) -> str:
    """Write a probability; one that is not 0 or 1 never looks as if it were."""
    if 0 < share < 0.005:
        return "< 1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"
