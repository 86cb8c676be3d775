"""The app with an emotion classifier from elsewhere: ``python -m tests.browser.emotion_app FOLDER``."""

import sys
from pathlib import Path

from denoiser.analysis.emotion.classifier import load_classifier
from denoiser.analysis.emotion.results import read_emotion_results
from denoiser.ui.emotion import accuracy, tab

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tab.create_classifier = lambda: load_classifier(folder)  # type: ignore[assignment]
    for module in (accuracy, tab):
        module.read_emotion_results = lambda: read_emotion_results(folder / "metrics.json")  # type: ignore

    from app import demo, faces
    from denoiser.ui.page import launch

    launch(demo, faces)
