"""Files that the page makes for a download and that are too large for an event: each is fetched once.

A file lies where uploads do, in a place of its own, and goes as they do. Its address is the place's
name, which is random and which only the session that asked for the file is told.
"""

import asyncio
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gradio.utils import get_upload_folder
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from denoiser.ui.server.limits import answer, route_path
from denoiser.ui.server.uploads import TOO_MANY_WAITING, has_room, mark_used

DOWNLOAD_PATH = "/gradio_api/download/"
"""Where downloads are fetched, below the page's own address."""

_TOKEN = re.compile(r"[0-9a-f]{32}")
_FILE = "download"
_GONE = "This download is no longer there; please make it again."


class DownloadError(ValueError):
    """There is no room for a download; one sentence."""


def offer_download(write: Callable[[BinaryIO], object]) -> str:
    """Write a file for one download, and return its token: it is at :data:`DOWNLOAD_PATH` plus that.

    Args:
        write: Writes into the file that it is given.

    Raises:
        DownloadError: Too much is waiting already.
    """
    folder = Path(get_upload_folder())
    if not has_room(folder):
        raise DownloadError(TOO_MANY_WAITING)
    token = secrets.token_hex(16)
    place = folder / token
    place.mkdir(mode=0o700, parents=True)
    try:
        with (place / _FILE).open("wb") as file:
            write(file)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return token


class DownloadDoor:
    """ASGI middleware that hands out what :func:`offer_download` has made, each as ``image/png``.

    Args:
        app: The page's application, which gets everything else.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        path = route_path(scope) if scope["type"] == "http" else ""
        if not path.startswith(DOWNLOAD_PATH):
            await self._app(scope, receive, send)
            return
        token = path.removeprefix(DOWNLOAD_PATH)
        place = Path(get_upload_folder()) / token
        found = scope["method"] == "GET" and _TOKEN.fullmatch(token) is not None
        if not found or not await asyncio.to_thread(mark_used, place, _FILE):
            await answer(404, _GONE, close=False)(scope, receive, send)
            return
        headers = {"Cache-Control": "no-store"}
        file = FileResponse(place / _FILE, media_type="image/png", filename="photo.png", headers=headers)
        await file(scope, receive, send)
