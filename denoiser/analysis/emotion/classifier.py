"""What a small classifier reads in a face: the expression that a crowd named, not a feeling.

It was trained on clean FER2013 faces with FER+ votes, and shows what noise and denoising do to a reader
that knows neither. No gradio, no plotly.

References:
    E. Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced
    label distribution" (FER+), ICMI 2016, doi:10.1145/2993148.2993165.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from denoiser.analysis.emotion.network import EmotionNet, EmotionNetConfig
from denoiser.faces.fer2013 import EMOTIONS, FACE_SIZE
from denoiser.images import Image, check_image
from denoiser.weights.checkpoint import (
    WEIGHTS,
    WeightsError,
    config_bytes,
    fill,
    read_json,
    weight_bytes,
)

CLASSIFIER = "emotion"
"""Name of the classifier's folder in weights/."""

CLASSIFIER_WEIGHTS = WEIGHTS / CLASSIFIER
"""The shipped classifier's folder, with its scores."""

CLASSIFIER_CONFIG_NAME = "classifier.json"
CLASSIFIER_NAME = "classifier.safetensors"

CLASSES = EMOTIONS[:8]
"""What it chooses from: FER+'s eight emotions, without "unknown" and "not a face"."""

_BATCH = 128


@dataclass(frozen=True)
class Prediction:
    """What the classifier reads in one picture.

    Attributes:
        probabilities: One for each of :data:`CLASSES`; they add up to 1.
    """

    probabilities: tuple[float, ...]

    @property
    def emotion(self) -> str:
        """The most probable class, the first of them on a tie."""
        return CLASSES[self.probabilities.index(max(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return max(self.probabilities)

    def of(self, emotion: str) -> float:
        """Return the probability of one of :data:`CLASSES`."""
        return self.probabilities[CLASSES.index(emotion)]


class EmotionClassifier:
    """A trained network as a reader of faces; the same for the same picture.

    Args:
        network: In eval mode, with a logit for each of :data:`CLASSES`.
    """

    def __init__(self, network: EmotionNet):
        self.network = network

    def predict(self, faces: Sequence[Image]) -> list[Prediction]:
        """Read pictures of any size, gray or RGB; they are brought to 48x48 gray first.

        Raises:
            ValueError: One is no finite picture.
        """
        if not faces:
            return []
        rows = self.probabilities(np.stack([as_face(face) for face in faces]))
        return [Prediction(tuple(row.tolist())) for row in rows]

    def probabilities(self, faces: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return (N, classes) for gray pictures (N, H, W) in [0, 1], in batches."""
        return torch.softmax(_in_batches(self.network, faces).double(), dim=1).numpy()

    def features(self, faces: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return (N, features), what the probabilities are made of, likewise."""
        return _in_batches(self.network.features, faces).double().numpy()


def _in_batches(
    part: Callable[[torch.Tensor], torch.Tensor], faces: npt.NDArray[np.float32]
) -> torch.Tensor:
    with torch.inference_mode():
        batches = torch.from_numpy(np.ascontiguousarray(faces))[:, None].split(_BATCH)
        return torch.cat([part(batch) for batch in batches])


def as_face(picture: Image) -> Image:
    """Bring a picture to what the classifier was trained on: (48, 48), gray, in [0, 1]."""
    gray: np.ndarray = check_image(picture)
    if gray.ndim == 3:
        gray = cv2.cvtColor(gray, cv2.COLOR_RGB2GRAY)
    if gray.shape != (FACE_SIZE, FACE_SIZE):
        shrinks = min(gray.shape) >= FACE_SIZE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        gray = cv2.resize(gray, (FACE_SIZE, FACE_SIZE), interpolation=how)
    return np.clip(gray, 0.0, 1.0).astype(np.float32)


def load_classifier(folder: Path = CLASSIFIER_WEIGHTS) -> EmotionClassifier:
    """Load the classifier.

    Raises:
        WeightsError: Its files are missing or damaged.
    """
    network = load_emotion_net(folder)
    if network.config.classes != len(CLASSES):
        raise WeightsError(f"The emotion classifier must tell {len(CLASSES)} emotions apart.")
    return EmotionClassifier(network)


@cache
def create_classifier(folder: Path = CLASSIFIER_WEIGHTS) -> EmotionClassifier:
    """Return a classifier, the shipped one unless told otherwise, loaded once; it keeps no state.

    Raises:
        WeightsError: As for :func:`load_classifier`.
    """
    return load_classifier(folder)


def load_emotion_net(folder: Path) -> EmotionNet:
    """Load the emotion classifier from its folder, in float32, ready to run.

    Raises:
        WeightsError: A file is missing or damaged, or they don't fit each other.
    """
    name = "emotion classifier"
    try:
        values = read_json(folder / CLASSIFIER_CONFIG_NAME)
        values["widths"] = tuple(values["widths"])
        config = EmotionNetConfig(**values)
    except FileNotFoundError:
        raise WeightsError(
            f"The {name} has no weights here; `python -m train emotion --data PATH` makes them."
        ) from None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        raise WeightsError(f"The {CLASSIFIER_CONFIG_NAME} of the {name} can't be read.") from None
    with torch.device("meta"):
        network = EmotionNet(config)
    return fill(network, folder / CLASSIFIER_NAME, name, CLASSIFIER_CONFIG_NAME)


def emotion_files(network: EmotionNet) -> dict[str, bytes]:
    """Return what the emotion classifier's folder holds, by file name.

    Raises:
        WeightsError: See :func:`~denoiser.weights.checkpoint.model_files`.
    """
    return {
        CLASSIFIER_CONFIG_NAME: config_bytes(network.config),
        CLASSIFIER_NAME: weight_bytes(network, "emotion classifier"),
    }
