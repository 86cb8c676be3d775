"""What people upload: where it is put, who may use it, and when it goes.

An upload lies at ``<upload folder>/<place>/<digest>/<name>``. The place is a random name that only the
uploader's page is told, so a session never comes across another's picture. The first session that uses
it has it from then on, as a file ``owner`` in there says. Nothing else that a browser names is ever
opened, and only whole places are deleted.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from denoiser.images import ImageError
from denoiser.ui.server.limits import route_path

UPLOAD_PATH = "/gradio_api/upload"
NOT_YOURS = "A file must be an uploaded picture, and from this very session; please choose it again."
FILE_GONE = "The picture got lost on its way; please choose it again."
TOO_MANY_WAITING = "Too many pictures are on their way; please try again in a few minutes."
DISK_FULL = "The server has no room left on its disk; please try again later."

KEPT_ONCE_USED_SECONDS = 20  # the browser may still be fetching what it has just sent, to show it
KEPT_UNUSED_SECONDS = 300
_SWEEP_SECONDS = 5
_MAX_WAITING = 2_000  # places; beside the bytes, what a disk has a bounded number of
_MAX_WAITING_BYTES = 2**30

_OWNER = "owner"
_FOLDER = f"face-denoising-lab-{os.getuid() if hasattr(os, 'getuid') else 'uploads'}"
_PLACE = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Upload:
    """One uploaded file, known to lie where uploads lie.

    Attributes:
        place: The folder that it has for itself.
        file: The file.
    """

    place: Path
    file: Path


def find_upload(reference: object, session: str | None) -> Upload:
    """Return the upload that a browser names, for the session that asks.

    Args:
        reference: What came from the browser; ``{"path": ...}`` if it is a file.
        session: Gradio's ``session_hash``.

    Raises:
        ImageError: It is none, or another session's; one sentence that doesn't tell which.
    """
    upload = _locate(reference.get("path") if isinstance(reference, Mapping) else None)
    if not session or not _claim(upload.place, session):
        raise ImageError(NOT_YOURS)
    return upload


def read_upload(reference: object, session: str | None) -> bytes:
    """Return what is in an uploaded file; soon after, it is deleted.

    Args:
        reference: As for :func:`find_upload`.
        session: As for :func:`find_upload`.

    Raises:
        ImageError: It is none, another session's, or gone; one sentence.
    """
    upload = find_upload(reference, session)
    try:
        return upload.file.read_bytes()
    except OSError as error:
        raise ImageError(FILE_GONE) from error


def find_files(data: Any) -> Iterator[Mapping[str, Any]]:
    """Yield whatever in a request could be taken for a file, at any depth, with or without ``meta``."""
    stack = [data]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            if value.get("path") is not None or "meta" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)


def is_full(error: OSError) -> bool:
    """Tell whether there was no room left on a disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def has_room(folder: Path) -> bool:
    """Tell whether what waits in the upload folder leaves room for one more."""
    places = _places(folder)
    return len(places) < _MAX_WAITING and sum(map(_bytes_in, places)) < _MAX_WAITING_BYTES


def mark_used(place: Path, name: str) -> bool:
    """Start the time after which a place's file goes, and tell whether it is there."""
    if place.is_symlink() or not (place / name).is_file():
        return False
    with contextlib.suppress(OSError):  # it is used for the second time, or being deleted
        (place / _OWNER).touch(exist_ok=False)
    return True


def sweep(folder: Path, now: float) -> None:
    """Delete the uploads whose time is over.

    Args:
        folder: The upload folder.
        now: Seconds since 1970.
    """
    for place in _places(folder):
        with contextlib.suppress(OSError):  # another sweep's, or an upload that is just being refused
            owner = place / _OWNER
            used = owner.is_file()
            since = (owner if used else place).lstat().st_mtime
            if now - since > (KEPT_ONCE_USED_SECONDS if used else KEPT_UNUSED_SECONDS):
                _delete(place)


@contextlib.asynccontextmanager
async def sweeping(_: object) -> AsyncIterator[None]:
    """Sweep the upload folder while the server runs; for Starlette's ``lifespan``."""

    async def sweep_on() -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await asyncio.to_thread(sweep, Path(get_upload_folder()), time.time())

    task = asyncio.create_task(sweep_on())
    try:
        yield
    finally:
        task.cancel()


class UploadDoor:
    """ASGI middleware that takes uploads in Gradio's stead, each into a place of its own.

    Gradio puts them where a client with the same file would look.

    Args:
        app: The page's application, which gets everything else.
        max_bytes: How large a file may be.
    """

    def __init__(self, app: ASGIApp, max_bytes: int):
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http" and (scope["method"], route_path(scope)) == ("POST", UPLOAD_PATH):
            response = await self._take(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, request: Request) -> Response:
        folder = Path(get_upload_folder())
        upload_id = request.query_params.get("upload_id")
        place = folder / secrets.token_hex(16)
        try:
            if not await asyncio.to_thread(has_room, folder):
                return PlainTextResponse(TOO_MANY_WAITING, 503)
            files, _, _ = await upload_fn(
                request,
                str(place),
                self._max_bytes,
                upload_id,
                force_move=True,
                upload_progress=file_upload_statuses if upload_id else None,
            )
        except BaseException as error:
            # Gradio's parser still holds the file open, and an open file keeps its room on the disk.
            traceback.clear_frames(error.__traceback__)
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
            return _refusal(error)
        return JSONResponse(files)


class UploadFolderError(Exception):
    """There is no folder for uploads; one sentence that says what to do."""


class UploadFolder:
    """A folder of this run's own for uploads, which becomes Gradio's; it goes with the run.

    What earlier runs had to leave behind goes first. Runs at the same time leave each other's alone.

    Args:
        base: Where to make it; by default in ``GRADIO_TEMP_DIR``, or else in the system's own folder for
            temporary files.

    Raises:
        UploadFolderError: It can't be made.
    """

    def __init__(self, base: Path | None = None):
        base = (base or _default_base()).resolve() / _FOLDER
        name = secrets.token_hex(8)
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_ours(base)
            with FileLock(base / "starting.lock", timeout=30):
                _delete_leftovers(base)
                self._lock = FileLock(base / f"{name}.lock", timeout=0)
                self._lock.acquire()
                self.path = base / name
                self.path.mkdir(mode=0o700)
        except (OSError, Timeout) as error:
            raise UploadFolderError(
                "There is no place for uploads: the folder for temporary files can't be written to. "
                "Make room there, or set GRADIO_TEMP_DIR to a folder of your own."
            ) from error
        os.environ["GRADIO_TEMP_DIR"] = str(self.path)

    def close(self) -> None:
        """Delete it, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        with contextlib.suppress(OSError):
            Path(self._lock.lock_file).unlink()


def _default_base() -> Path:
    return Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())


def _check_ours(base: Path) -> None:
    """Refuse a folder that another user of this machine has put in the way."""
    status = base.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise PermissionError(errno.EPERM, "not a folder of this user's")


def _delete_leftovers(base: Path) -> None:
    for lock_file in base.glob("*.lock"):
        if not re.fullmatch(r"[0-9a-f]{16}", lock_file.stem):
            continue
        with contextlib.suppress(Timeout), FileLock(lock_file, timeout=0):
            shutil.rmtree(base / lock_file.stem, ignore_errors=True)
            with contextlib.suppress(OSError):
                lock_file.unlink()


def _locate(name: object) -> Upload:
    """Return the upload at a path; refuse whatever isn't exactly one.

    Nothing is resolved: a path that would need it is refused, and so is a link on the way.
    """
    if not isinstance(name, str) or "\0" in name:
        raise ImageError(NOT_YOURS)
    folder = Path(os.path.abspath(get_upload_folder()))
    path = Path(name)
    if os.path.normpath(name) != name or not path.is_relative_to(folder):
        raise ImageError(NOT_YOURS)
    parts = path.relative_to(folder).parts
    if len(parts) != 3 or not _PLACE.fullmatch(parts[0]) or not _DIGEST.fullmatch(parts[1]):
        raise ImageError(NOT_YOURS)
    place = folder / parts[0]
    try:
        modes = [step.lstat().st_mode for step in (place, place / parts[1], path)]
    except ValueError as error:  # half a character
        raise ImageError(NOT_YOURS) from error
    except OSError as error:
        raise ImageError(FILE_GONE) from error
    if not (stat.S_ISDIR(modes[0]) and stat.S_ISDIR(modes[1]) and stat.S_ISREG(modes[2])):
        raise ImageError(NOT_YOURS)
    return Upload(place, path)


def _claim(place: Path, session: str) -> bool:
    """Give a place to a session if no other has it; tell whether the session has it now."""
    owner = place / _OWNER
    digest = hashlib.sha256(session.encode(errors="replace")).hexdigest()
    claim = place / f".{secrets.token_hex(8)}"
    try:
        if not owner.exists():
            claim.write_text(digest)
            with contextlib.suppress(FileExistsError):
                os.link(claim, owner)  # all of it or nothing, and once only
        return owner.read_text() == digest
    except OSError as error:
        raise ImageError(DISK_FULL if is_full(error) else FILE_GONE) from error
    finally:
        claim.unlink(missing_ok=True)


def _places(folder: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(folder) if _PLACE.fullmatch(entry.name)]
    except OSError:  # nothing was uploaded yet
        return []


def _bytes_in(place: Path) -> int:
    try:
        return sum(file.lstat().st_size for file in place.rglob("*"))
    except OSError:  # it is being deleted
        return 0


def _delete(place: Path) -> None:
    """Delete a place; links are deleted, never followed."""
    if not _PLACE.fullmatch(place.name) or place.is_symlink():
        return
    shutil.rmtree(place, ignore_errors=True)


def _refusal(error: BaseException) -> Response:
    """Return what to say about an upload that failed; raises what it has nothing to say about."""
    if isinstance(error, MultiPartException):
        return PlainTextResponse(error.message, 413 if "maximum allowed size" in error.message else 400)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # the client has gone
    if isinstance(error, HTTPException):
        return PlainTextResponse(str(error.detail), error.status_code)
    if isinstance(error, OSError) and is_full(error):
        return PlainTextResponse(DISK_FULL, 507)
    raise error
