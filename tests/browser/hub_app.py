"""The app, for which some made-up pictures are FER2013: ``python -m tests.browser.hub_app COUNT``."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from denoiser.faces import fer2013
from tests.conftest import app_environment, free_port, running
from tests.hub import LoopbackHub


@contextlib.contextmanager
def running_hub_app(hub: LoopbackHub, dataset: str, count: int, home: Path) -> Iterator[str]:
    """Run the app, which fetches a dataset from this Hub.

    Args:
        hub: The Hub.
        dataset: Id of the dataset.
        count: How many pictures its test split has to have.
        home: Folder for the Hub's cache.

    Yields:
        The app's address.
    """
    port = free_port()
    client = hub.environment(home)
    environment = app_environment(port) | {
        k: v for k, v in client.items() if k.startswith(("HF_", "NO_"))
    }
    environment["DENOISER_FER2013_DATASET"] = dataset
    command = [sys.executable, "-m", "tests.browser.hub_app", str(count)]
    with running(command, port, environment) as url:
        yield url


if __name__ == "__main__":
    fer2013.COUNTS["test"] = (int(sys.argv[1]), int(sys.argv[1]))

    from app import demo, faces
    from denoiser.ui.page import launch

    faces.pauses = [0.2] * 1000
    launch(demo, faces)
