"""Putting the page together, in the order that it takes: ``python app.py``, ``python -m denoiser.ui``.

Gradio is imported inside, once what it reads is settled.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from denoiser.ui.server.proxies import ProxyError, settle_proxies

if TYPE_CHECKING:
    import gradio as gr

    from denoiser.ui.experiment.face_source import FaceSource
    from denoiser.ui.server.uploads import UploadFolder


@dataclass(frozen=True)
class Page:
    """The page, not served yet.

    Attributes:
        demo: What Gradio serves.
        faces: The sample faces that it offers.
        uploads: Where visitors' pictures are kept as long as they are needed.
    """

    demo: "gr.Blocks"
    faces: "FaceSource"
    uploads: "UploadFolder"

    def serve(self) -> None:
        """Serve it until this process is told to stop."""
        from denoiser.ui.page import launch

        launch(self.demo, self.faces)
        self.uploads.close()


def prepare(program: str, arguments: Sequence[str] = ()) -> Page:
    """Build the page.

    Args:
        program: What was started, to be named in errors.
        arguments: Of its command line.

    Raises:
        SystemExit: It can't be built, in one sentence; or help was asked for.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # After each event, Gradio makes a table of so many past ones, for a page that is not served.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    try:
        settle_proxies()  # before Gradio is imported, which makes clients that read them
    except ProxyError as error:
        sys.exit(f"{program}: {error}")

    import torch

    from denoiser.denoisers.callables import OwnDenoiserError
    from denoiser.ui.command_line import register_plugins
    from denoiser.ui.experiment.face_source import find_faces
    from denoiser.ui.page import build_app
    from denoiser.ui.server.uploads import UploadFolder, UploadFolderError

    torch.set_num_threads(1)
    try:
        register_plugins(arguments, bool(os.environ.get("SPACE_ID")), program)
        uploads = UploadFolder()  # before the page is built, whose components ask where it is
    except (OwnDenoiserError, UploadFolderError) as error:
        sys.exit(f"{program}: {error}")
    faces = find_faces()
    return Page(build_app(faces), faces, uploads)
