"""What a Space runs, and ``python app.py``: builds the page and serves it."""

import os
import sys

# Read when NumPy and PyTorch are imported, so they are set before.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from denoiser.ui.start import prepare  # noqa: E402

page = prepare("app.py", sys.argv[1:] if __name__ == "__main__" else ())
demo, faces = page.demo, page.faces

if __name__ == "__main__":
    page.serve()
