"""The emotion classifier's committed results: how well it reads clean, noisy and denoised faces.

``weights/emotion/metrics.json`` is written by ``python -m train emotion`` and ``evaluate-emotion``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denoiser.analysis.emotion.classifier import CLASSIFIER_WEIGHTS
from denoiser.analysis.results import (
    METRICS_NAME,
    NOISY,
    NOISY_LABEL,
    Condition,
    ResultsError,
    read_condition,
)

ACCURACY, AGREEMENT = "accuracy", "agreement"

Scores = Mapping[tuple[str, str], Mapping[str, float]]


@dataclass(frozen=True)
class EmotionResults:
    """What the classifier scores on FER2013's test pictures.

    Attributes:
        clean_accuracy: Share of the clean pictures that it reads as the crowd does.
        most_frequent: What always naming the most frequent emotion would score.
        pictures: How many were counted.
        labels: What was counted, in words.
        recall: The same share for each emotion; only where pictures have that emotion.
        conditions: The noises that denoisers were scored under.
        methods: Names by id, ``"noisy"`` first; empty before denoisers were scored.
        scores: :data:`ACCURACY` and :data:`AGREEMENT` by (method, condition).
        facts: Where the numbers are from.
        partial: Ids of methods that were scored on the first pictures only.
        first: How many these are, and the share of clean ones that is read right; None without any.
    """

    clean_accuracy: float
    most_frequent: float
    pictures: int
    labels: str
    recall: Mapping[str, float]
    conditions: tuple[Condition, ...]
    methods: Mapping[str, str]
    scores: Scores
    facts: Mapping[str, str]
    partial: frozenset[str] = frozenset()
    first: tuple[int, float] | None = None

    @property
    def margin(self) -> float:
        """Half the width of the 95 % interval of :attr:`clean_accuracy`, by its standard error."""
        share = self.clean_accuracy
        return 1.96 * math.sqrt(share * (1 - share) / self.pictures)

    def value(self, method: str, condition: str, metric: str) -> float | None:
        """Return a share, None where it was not measured."""
        return self.scores.get((method, condition), {}).get(metric)


def read_emotion_results(path: Path = CLASSIFIER_WEIGHTS / METRICS_NAME) -> EmotionResults:
    """Read the results.

    Raises:
        ResultsError: They are missing or damaged.
    """
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ResultsError(
            "The emotion classifier was not scored yet: `python -m train emotion --data PATH` trains "
            "and tests it."
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(
            "The emotion classifier's results can't be shown: its metrics.json is damaged; "
            "`python -m train evaluate-emotion --data PATH` writes it anew."
        ) from error


def _parse(content: Mapping[str, Any]) -> EmotionResults:
    conditions = tuple(read_condition(name, noise) for name, noise in content.get("noises", {}).items())
    scores = {
        (str(score["denoiser"]), str(score["noise"])): {
            metric: _share(score[metric]) for metric in (ACCURACY, AGREEMENT)
        }
        for score in content.get("scores", ())
    }
    counts = {str(score["denoiser"]): int(score["pictures"]) for score in content.get("scores", ())}
    most = max(counts.values(), default=0)
    first = content.get("first")
    methods = {str(method["id"]): str(method["label"]) for method in content.get("denoisers", ())}
    scored = {method for method, _ in scores}
    recall = zip(content["classes"], content["recall"], strict=True)
    pictures = content["pictures"]
    if not isinstance(pictures, int) or pictures < 1:
        raise ValueError("no pictures")
    return EmotionResults(
        clean_accuracy=_share(content["clean_accuracy"]),
        most_frequent=_share(content["most_frequent_class"]),
        pictures=pictures,
        labels=str(content["labels"]),
        recall={str(name): _share(share) for name, share in recall if share is not None},
        conditions=conditions,
        methods={k: v for k, v in ({NOISY: NOISY_LABEL} | methods).items() if k in scored},
        scores=scores,
        facts={key: str(content.get(key, "?")) for key in ("command", "split", "versions")},
        partial=frozenset(name for name, count in counts.items() if count < most),
        first=None if first is None else (int(first["pictures"]), _share(first["clean_accuracy"])),
    )


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("a share must be a number from 0 to 1")
    return float(value)
