"""How the server ends: what has begun gets a few seconds, and what is new is sent away."""

import signal
import threading
import time
from types import FrameType

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

from denoiser.ui.server.limits import answer, route_path

GRACE_SECONDS = 4.0
"""How long requests in flight may take once the server is to stop."""

_PAUSE_SECONDS = 0.3  # from joining Gradio's queue to listening to it
_STOPPING = "The server is being stopped; please try again in a minute."
_ENDLESS = ("/gradio_api/heartbeat/", "/gradio_api/upload_progress")


class InFlight:
    """Which requests are being answered; not those by which a page says that it is still open."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()
        self._last = 0.0
        self.stopping = False

    def add(self, number: int) -> None:
        """Count a request in (1) or out (-1)."""
        with self._lock:
            self._count += number
            self._last = time.monotonic()

    @property
    def idle(self) -> bool:
        """Whether there is none, and has been none for a moment."""
        with self._lock:
            return self._count == 0 and time.monotonic() - self._last > _PAUSE_SECONDS


class CountRequests:
    """ASGI middleware that counts requests, and refuses new ones once the server is to stop.

    Args:
        app: What answers them.
        in_flight: Where they are counted.
    """

    def __init__(self, app: ASGIApp, in_flight: InFlight):
        self._app = app
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or route_path(scope).startswith(_ENDLESS):
            await self._app(scope, receive, send)
            return
        if self._in_flight.stopping and scope["method"] == "POST":
            await answer(503, _STOPPING)(scope, receive, send)
            return
        self._in_flight.add(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight.add(-1)


def serve_until_told(app: gr.Blocks, in_flight: InFlight) -> None:
    """Let a launched page be served until the process gets SIGTERM or Ctrl+C; then end it in order.

    A second signal ends it at once. Call it in the main thread.
    """
    stop = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    while app.is_running and not stop.wait(0.5):  # on Windows, an endless wait hears no signal
        pass
    in_flight.stopping = True
    deadline = time.monotonic() + GRACE_SECONDS
    while not in_flight.idle and time.monotonic() < deadline:
        time.sleep(0.05)
    app.close(verbose=False)
