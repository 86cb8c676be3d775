"""What several tests share: a face, FER2013 where there is one, the running app, and browsers."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import numpy as np
import pytest
from skimage.data import astronaut

import denoiser
from denoiser.denoisers.registry import REGISTRY, create_denoiser

from .hub import LoopbackHub
from .tiers import (  # noqa: F401 - pytest looks for hooks in here
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_report_header,
    pytest_xdist_auto_num_workers,
)

ROOT = Path(__file__).resolve().parent.parent

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium's own calls home would drown the page's, which the tests look at.
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # The address bar's suggestions are two pages of their own, loaded beside each of ours. (Playwright
    # has such a list too, which this one replaces: the first three are from there.)
    "--disable-features=HttpsUpgrades,MediaRouter,OptimizationHints,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    """A clean gray face, (48, 48) float32 in [0, 1], that nobody needs to keep private."""
    image = denoiser.load_image(astronaut(), size=48, crop_face=True)
    image.setflags(write=False)  # shared by all tests
    return image


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test add denoisers to the list, from which they are gone after it."""
    monkeypatch.setattr(REGISTRY, "_factories", dict(REGISTRY._factories))
    yield
    create_denoiser.cache_clear()


@pytest.fixture(scope="session")
def fer2013() -> Path:
    """Where FER2013 lies; skips where it is not at hand."""
    named = os.environ.get("FER2013_PATH")
    places = [Path(named)] if named else []
    places += [ROOT / "data" / "fer2013", ROOT.parent / "shared" / "data" / "fer2013"]
    for place in places:
        if place.exists():
            return place
    pytest.skip("FER2013 is not at hand: set FER2013_PATH or put it into data/fer2013")


@pytest.fixture(scope="session")
def usual_client() -> Callable[[], Any]:
    """Makes what huggingface_hub talks HTTP with where nobody set something else."""
    from huggingface_hub import close_session, get_session
    from huggingface_hub.utils import httpx

    # What makes it there has no public name; what it made has.
    made = get_session()
    options = {name: getattr(made, name) for name in ("event_hooks", "follow_redirects", "timeout")}
    close_session()
    return partial(httpx.Client, **options)


@pytest.fixture
def loopback_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, usual_client: Callable[[], Any]
) -> Iterator[LoopbackHub]:
    """A Hub of the test's own, to which this process's client talks, logged out, with an empty cache."""
    import huggingface_hub.hf_api
    from huggingface_hub import constants
    from huggingface_hub.utils import logging, set_client_factory

    verbosity = logging.get_verbosity()
    home = tmp_path / "hf-home"
    with LoopbackHub() as hub:
        for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_"))]:
            monkeypatch.delenv(name)
        for name, value in hub.environment(home).items():
            monkeypatch.setenv(name, value)
        # The client has read its environment when it was imported.
        changed = {
            "ENDPOINT": hub.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_ASSETS_CACHE": str(home / "assets"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
        }
        for name, value in changed.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.endpoint)
        yield hub
    # The next test gets neither this Hub's half-closed connections nor what the code set.
    set_client_factory(usual_client)
    logging.set_verbosity(verbosity)


@pytest.fixture
def hub(loopback_hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """That Hub; whoever runs the test is logged in, and the client doesn't wait between two tries."""
    monkeypatch.setenv("HF_TOKEN", loopback_hub.token)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return loopback_hub


def sentence(err: str) -> str:
    """Return the one line that ``python -m train`` says, without the client's progress bars."""
    (line,) = [line for line in err.splitlines() if line.startswith("train: ")]
    assert "Traceback" not in err
    assert "Warning" not in err
    return line


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        return named
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def free_port() -> int:
    """Return a port of this machine that nobody listens on.

    Below those that systems give to connections: what runs beside this test opens hundreds of them
    before a server that is only starting has taken its port.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.closing(socket.socket()) as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running(
    command: list[str],
    port: int,
    environment: dict[str, str],
    folder: Path = ROOT,
    seconds: float = 300,
) -> Iterator[str]:
    """Run a server until it is no longer needed.

    Args:
        command: What to run.
        port: Where it will listen.
        environment: Its environment variables, all of them.
        folder: Where to run it.
        seconds: How long it may take to serve a page.

    Yields:
        The server's address.
    """
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:  # not a pipe: a full one would stop the server
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(url, process, log, seconds)
            yield url
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, gently if it lets itself."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def app_environment(port: int) -> dict[str, str]:
    """Return the environment in which the app offers the bundled faces at ``port``."""
    environment = {k: v for k, v in os.environ.items() if k != "FER2013_PATH"}
    return environment | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "DENOISER_FER2013_DATASET": "",  # nothing is fetched from the internet
        "GRADIO_ANALYTICS_ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
    }


def _wait_for(url: str, process: subprocess.Popen[bytes], log: IO[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            output = log.read().decode(errors="replace")[-3000:]
            pytest.fail(f"the server ended before it served a page:\n{output}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.2)
    pytest.fail(f"no page after {seconds:.0f} s")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the real app, run as anybody would, on the faces that it brings along."""
    if not (ROOT / "app.py").is_file():
        pytest.fail("there is no app.py to run")
    port = free_port()
    with running([sys.executable, "app.py"], port, app_environment(port)) as url:
        yield url


@dataclass
class Watched:
    """A page and what went on in it.

    Attributes:
        page: The Playwright page.
        errors: What it wrote to the console as errors, and exceptions that nobody caught, but for those
            of a page that was being left.
        hosts: Every host it made a request to.
    """

    page: Any
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self._note_console)
        self.page.on("pageerror", self._note_error)
        self.page.on("request", self._note_request)

    def _note_error(self, error: Any) -> None:
        # Of a page that is left, Gradio's client closes its stream, which may not have begun by then.
        text = str(error)
        if not (text.startswith("AbortError: signal is aborted without reason") and ".close " in text):
            self.errors.append(text)

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _note_request(self, request: Any) -> None:
        parsed = urlparse(request.url)
        if parsed.scheme not in ("data", "blob"):
            self.hosts.add(parsed.hostname or "")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium. Without one, skips, or fails where CI is set."""
    path = find_chromium()
    if path is None:
        reason = "no Chromium: install Debian's `chromium` or set CHROMIUM_PATH"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # the machine may have other things to do
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@contextlib.contextmanager
def watched_page(browser: Any, width: int, height: int, **options: Any) -> Iterator[Watched]:
    """Open a page of its own, with nothing kept from other pages."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(120_000)  # the machine may have other things to do
    try:
        yield Watched(context.new_page())
    finally:
        context.close()


@pytest.fixture
def desktop(browser: Any) -> Iterator[Watched]:
    """A page 1440 pixels wide."""
    with watched_page(browser, 1440, 900) as watched:
        yield watched


@pytest.fixture
def phone(browser: Any) -> Iterator[Watched]:
    """A page 390 pixels wide, with touch."""
    with watched_page(browser, 390, 844, has_touch=True, is_mobile=True) as watched:
        yield watched
