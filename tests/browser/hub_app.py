"""The app, which asks an unwilling Hub again at once: ``python -m tests.browser.hub_app``."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import app_environment, free_port, running
from tests.hub import LoopbackHub


@contextlib.contextmanager
def running_hub_app(hub: LoopbackHub, dataset: str, home: Path) -> Iterator[str]:
    """Run the app, which fetches a dataset from this Hub: as many pictures as FER2013 has.

    Args:
        hub: The Hub.
        dataset: Id of the dataset.
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
    command = [sys.executable, "-m", "tests.browser.hub_app"]
    with running(command, port, environment) as url:
        yield url


if __name__ == "__main__":
    from app import demo, faces
    from denoiser.ui.page import launch

    faces.pauses = [0.2] * 1000
    launch(demo, faces)
