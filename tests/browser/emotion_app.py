"""The app with an emotion classifier from elsewhere: ``python -m tests.browser.emotion_app FOLDER``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    from app import faces
    from denoiser.ui.page import build_app, launch

    launch(build_app(faces, Path(sys.argv[1])), faces)
