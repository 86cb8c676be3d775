"""A search among sample faces for one whose expression denoisers change."""

import time
from collections.abc import Sequence

from denoiser.analysis.emotion.classifier import CLASSES, EmotionClassifier
from denoiser.faces.samples import Sample
from denoiser.pipeline import Experiment
from denoiser.ui.experiment.face_source import sample_face
from denoiser.ui.experiment.run import run_methods

SEARCHED = 40
"""How many faces a search goes through at most."""

PATIENCE = 8.0
"""Seconds after which it gives up, as with the slowest methods each face takes half of one."""


def find_changed(
    samples: Sequence[Sample],
    experiment: Experiment,
    classifier: EmotionClassifier,
    patience: float = PATIENCE,
) -> Sample | None:
    """Return a face that most methods change: their pictures are read otherwise than the clean one.

    Faces whose clean picture is not read as most of the crowd named it are passed over: what is lost in
    them was not there.

    Args:
        samples: The faces.
        experiment: The noise, and the methods.
        classifier: Who reads.
        patience: Seconds after which no further face is tried.

    Returns:
        The first that all methods change, else the first of those that most of them change; None where
        no method changes any of the faces tried.
    """
    start, found, most = time.monotonic(), None, 0
    clean = classifier.predict([sample.image for sample in samples])
    for sample, read in zip(samples, clean, strict=True):
        if time.monotonic() - start > patience:
            break
        if sample.emotion in CLASSES and read.emotion != sample.emotion:
            continue
        results = run_methods(sample_face(sample), experiment, experiment.methods).comparison
        denoised = classifier.predict([result.image for result in results.values()])
        changed = sum(other.emotion != read.emotion for other in denoised)
        if changed > most:
            found, most = sample, changed
        if found and changed == len(denoised):
            break
    return found
