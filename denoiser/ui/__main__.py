"""``python -m denoiser.ui``: the page where the package is installed, as ``python app.py`` here."""

import importlib.util
import sys

PROGRAM = "python -m denoiser.ui"

if __name__ == "__main__":
    if importlib.util.find_spec("gradio") is None:
        sys.exit(f'{PROGRAM}: the page needs more than the library: `pip install ".[app]"` installs it')
    from denoiser.ui.start import prepare

    prepare(PROGRAM, sys.argv[1:]).serve()
