"""What a Space runs, and ``python app.py``: builds the page and serves it."""

import os
import sys

# Read when Gradio, NumPy and PyTorch are imported, so they are set before.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# After each event, Gradio makes a table of so many past ones, for a page that is not served.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from denoiser.ui.server.proxies import ProxyError, settle_proxies  # noqa: E402

try:
    settle_proxies()  # before Gradio is imported, which makes clients that read them
except ProxyError as error:
    sys.exit(f"app.py: {error}")

import torch  # noqa: E402

from denoiser.denoisers.callables import OwnDenoiserError  # noqa: E402
from denoiser.ui.command_line import register_plugins  # noqa: E402
from denoiser.ui.experiment.face_source import find_faces  # noqa: E402
from denoiser.ui.page import build_app, launch  # noqa: E402
from denoiser.ui.server.uploads import UploadFolder, UploadFolderError  # noqa: E402

torch.set_num_threads(1)

try:
    register_plugins(
        sys.argv[1:] if __name__ == "__main__" else (), is_space=bool(os.environ.get("SPACE_ID"))
    )
except OwnDenoiserError as error:
    sys.exit(f"app.py: {error}")

try:
    uploads = UploadFolder()  # before the page is built, whose components ask where it is
except UploadFolderError as error:
    sys.exit(f"app.py: {error}")
faces = find_faces()
demo = build_app(faces)

if __name__ == "__main__":
    launch(demo, faces)
    uploads.close()
