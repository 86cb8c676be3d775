"""What stands between the network and the page: how large one request may be, and how slow.

Pure ASGI middleware, and a subclass of uvicorn's protocol; parsing is left to uvicorn and Gradio.
"""

import asyncio
import logging
import traceback
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_FILE_BYTES = 40 * 2**20
"""How large an uploaded picture may be: a photo with 16 bits takes three bytes a pixel and more."""

MAX_BODY_BYTES = 2**20
"""How large any other request's body may be; the page's own stay below 10 kB."""

_UPLOAD_PATH = "/gradio_api/upload"
_FRAME_BYTES = 100_000  # of an upload, beside the picture: its name, and where it begins and ends

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long the server waits for what a client has begun to send, in seconds.

    Attributes:
        head: For the first lines of a request, and for a connection's first request.
        body: For a body.
        upload: For a picture, which may come from a phone in a train.
        rest: For what of a body is too large, before that is said: whoever is still sending might
            miss the answer otherwise.
    """

    head: float = 10
    body: float = 20
    upload: float = 120
    rest: float = 5


def create_middleware(patience: Patience = Patience()) -> list[Middleware]:
    """Return what wraps the page's ASGI application, the outermost first."""
    return [Middleware(SentenceForFailure), Middleware(BodyLimit, patience=patience)]


def close_half_sent(server: uvicorn.Server, patience: Patience = Patience()) -> None:
    """Have a running server close connections on which a request's head does not come in time.

    Uvicorn has no setting for that, and Gradio none for Uvicorn. What has connected before stays.
    """

    def create_protocol(**arguments: Any) -> H11Protocol:
        return PunctualProtocol(patience.head, **arguments)

    server.config.http_protocol_class = create_protocol  # type: ignore[assignment]


class PunctualProtocol(H11Protocol):
    """Uvicorn's protocol, which does not wait forever for a request's head.

    Uvicorn's own timer runs between two requests only, and stops at the first byte.

    Args:
        seconds: How long it waits.
        arguments: Those of uvicorn's class.
    """

    def __init__(self, seconds: float, **arguments: Any):
        super().__init__(**arguments)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop waiting if the head is complete; begin if this is the first of another one."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        # None until the first head is complete, whatever uvicorn's annotation says.
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(frozen=True)
class _Refusal:
    """Why a body is not taken: an HTTP status, and one sentence."""

    status: int
    sentence: str


class BodyLimit:
    """ASGI middleware: a body that is too large or too slow never reaches what would parse it.

    A picture is handed on as it comes, up to what an upload may have. Anything else is read here first:
    only then is it known to be small enough.

    Args:
        app: What is protected.
        patience: How long to wait.
    """

    def __init__(self, app: ASGIApp, patience: Patience = Patience()):
        self._app = app
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].rstrip("/").endswith(_UPLOAD_PATH):
            await self._hand_on(scope, receive, send)
        else:
            await self._read_first(scope, receive, send)

    async def _read_first(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        complete = False
        try:
            async with asyncio.timeout(self._patience.body):
                while not complete:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return  # the client has gone
                    body += message.get("body", b"")
                    complete = not message.get("more_body", False)
                    if len(body) > MAX_BODY_BYTES:
                        await self._refuse(_too_large(MAX_BODY_BYTES), complete, scope, receive, send)
                        return
        except TimeoutError:
            await self._refuse(_too_slow(self._patience.body), True, scope, receive, send)
            return
        await self._app(scope, _replay(bytes(body), receive), send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count and time an upload.

        MultiPartException is what makes Gradio's parser delete the files it has begun to write.
        """
        limit = MAX_FILE_BYTES + _FRAME_BYTES
        deadline = asyncio.get_running_loop().time() + self._patience.upload
        count = 0
        complete = False
        refusal: _Refusal | None = None

        async def count_bytes() -> Message:
            nonlocal count, complete, refusal
            if complete:  # what still comes says that the client has gone
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                complete = True
                refusal = _too_slow(self._patience.upload)
                raise MultiPartException(refusal.sentence) from None
            if message["type"] == "http.disconnect":
                raise MultiPartException("The upload was broken off.")
            count += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if count > limit:
                refusal = _too_large(MAX_FILE_BYTES)
                raise MultiPartException(refusal.sentence)
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] == 413:
                # Gradio counts each file and so may come first, by how the body was cut on its way.
                refusal = refusal or _too_large(MAX_FILE_BYTES)
            if refusal is None:
                await send(message)

        await self._app(scope, count_bytes, send_unless_refused)
        if refusal is not None:
            await self._refuse(refusal, complete, scope, receive, send)

    async def _refuse(
        self, refusal: _Refusal, complete: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            async with asyncio.timeout(self._patience.rest):
                while not complete:
                    message = await receive()
                    complete = not message.get("more_body", False)
        except TimeoutError:
            pass
        await answer(refusal.status, refusal.sentence)(scope, receive, send)


class SentenceForFailure:
    """ASGI middleware: an answer that tells of a failure says so in a sentence, and says nothing else.

    Gradio's own say ``{"error": null}`` where an event fails, and Starlette's ``Internal Server Error``.
    The log has where it was, in one line, and at the level ``DEBUG`` its traceback.

    Args:
        app: What may fail.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        failed: Message | None = None
        body = bytearray()

        async def replace_failure(message: Message) -> None:
            nonlocal started, failed
            if message["type"] == "http.response.start" and message["status"] == 500:
                failed = message
                return
            started = True
            if failed is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                if _has_sentence(bytes(body)):
                    await send(failed)
                    await send({"type": "http.response.body", "body": bytes(body)})
                else:
                    await answer(500, _FAILED, close=False)(scope, receive, send)

        try:
            await self._app(scope, receive, replace_failure)
        except Exception as error:
            _log.warning("%s %r failed: %s", scope["method"], scope["path"][:80], in_one_line(error))
            _log.debug("It failed here:", exc_info=True)
            if started:  # a stream; what there was to say has been sent
                await send({"type": "http.response.body", "body": b""})
            else:
                await answer(500, _FAILED, close=False)(scope, receive, send)


_FAILED = "The server can't make sense of this request; please load the page anew and try again."


def _has_sentence(body: bytes) -> bool:
    """Tell whether a failed event says why: Gradio writes ``{"error": "..."}`` then."""
    return body.startswith((b'{"error":"', b'{"detail":"'))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what receives a body that has been read already, and after it whatever still comes."""
    read = False

    async def replayed() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _too_large(limit: int) -> _Refusal:
    return _Refusal(413, f"A request may have up to {limit // 2**20} MB; this one has more.")


def _too_slow(seconds: float) -> _Refusal:
    return _Refusal(408, f"A request has to arrive within {seconds:g} seconds; this one did not.")


def route_path(scope: Scope) -> str:
    """Return a request's path, below where a proxy may have put the page."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def answer(status: int, sentence: str, *, close: bool = True) -> ASGIApp:
    """Return an answer, one sentence, in the two forms that Gradio's page reads."""
    headers = {"connection": "close"} if close else None
    return JSONResponse({"error": sentence, "detail": sentence}, status, headers)


def in_one_line(error: BaseException) -> str:
    """Name an error and where it was raised; not its message, which may hold what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
