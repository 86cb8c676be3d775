"""ASGI middleware: which of Gradio's routes are open, and the security headers of every answer.

It looks at HTTP alone, and knows nothing of events; what these bring along is for ``guard`` to look at.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from denoiser.ui.server.limits import answer, route_path

_API = "/gradio_api"
# What the page, its API and gradio_client ask for. All else that Gradio serves is closed: it copies the
# page into a file for whoever asks (deep_link), fetches any address (file=http://...), streams to
# developers (dev/reload), logs in, and may do more in its next release.
_OPEN = {
    "GET": re.compile(
        r"/|/config/?|/favicon\.ico|/manifest\.json|/robots\.txt|/theme\.css|/(assets|static|svelte)/.+"
        rf"|{_API}/(info/?|openapi\.json|app_id/?|theme\.css|startup-events|upload_progress"
        r"|queue/(data|status)|heartbeat/[^/]+|download/[0-9a-f]+|call/(v2/)?[^/]+/[^/]+"
        r"|file=(?![a-z][a-z0-9+.-]+:).+)",
        re.IGNORECASE | re.DOTALL,
    ),
    "POST": re.compile(
        rf"{_API}/(upload|queue/join|cancel|reset/?|(run|api)/[^/]+/?|call/(v2/)?[^/]+/?)"
    ),
}
_CLOSED = "There is nothing here."

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}
_FOR_PAGES = {"Cross-Origin-Opener-Policy": "same-origin"}
# Whatever site shows it, it has no picture to take.
_FOR_EMBEDDED = {
    "Permissions-Policy": _ALWAYS["Permissions-Policy"].replace("camera=(self)", "camera=()")
}
EMBED_PARAMETER = "embed"
"""The key under which an address asks for the page's part that stands in pages of other sites."""

_LONGEST_QUERY = 8000
# The style sheet and the scripts go by this, so that they can't decide otherwise than the headers.
_HTML, _EMBEDDED_HTML = b"<html", b'<html class="is-embedded"'
# The whole page: a Space's is a frame of huggingface.co's.
_MAY_FRAME = "'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc\s*=)[^>]*>(.*?)</script>", re.DOTALL)


class OnlyOpenRoutes:
    """ASGI middleware that answers 404 to all that the page has no use for.

    Args:
        app: The page's application.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http" and not is_open(scope["method"], route_path(scope)):
            await answer(404, _CLOSED, close=False)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class SecurityHeaders:
    """ASGI middleware that tells browsers what the page may do, and who may show it in a frame.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        body = bytearray()

        async def send_with_headers(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                is_page = Headers(raw=message["headers"]).get("content-type", "").startswith("text/html")
                _add(message, _ALWAYS)
                if is_page:  # until its scripts are known
                    held = message
                    return
                if route_path(scope).startswith(f"{_API}/file="):  # an upload
                    _add(message, {"Content-Security-Policy": "default-src 'none'; sandbox"})
            elif held is not None and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if message.get("more_body", False):
                    return
                embedded = is_embedded(scope.get("query_string", b"").decode("latin-1"))
                policy = page_policy(inline_scripts(bytes(body)), embedded)
                _add(held, _FOR_PAGES | {"Content-Security-Policy": policy})
                if embedded:
                    body = body.replace(_HTML, _EMBEDDED_HTML, 1)
                    _add(held, _FOR_EMBEDDED | {"Content-Length": str(len(body))})
                await send(held)
                message = {"type": "http.response.body", "body": bytes(body)}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_open(method: str, path: str) -> bool:
    """Tell whether the page has a use for a request."""
    pattern = _OPEN.get("GET" if method == "HEAD" else method)
    return pattern is not None and pattern.fullmatch(path) is not None


def is_embedded(query: str) -> bool:
    """Tell whether an address asks for what any site may show in a frame: ``embed=true``.

    That is the stage or a lesson, without uploads, votes and camera: nothing that another site could
    lead a visitor to do unawares. A query that is too long to be one of the page's asks for nothing.
    """
    query = query.removeprefix("?")
    fields = parse_qsl(query, keep_blank_values=True) if len(query) <= _LONGEST_QUERY else []
    return next((text for key, text in fields if key == EMBED_PARAMETER), None) == "true"


def inline_scripts(page: bytes) -> list[bytes]:
    """Return the scripts that stand in an HTML page itself, as a browser hashes them."""
    # A browser reads every line ending as one character.
    return [script.replace(b"\r\n", b"\n") for script in _INLINE_SCRIPT.findall(page)]


def page_policy(scripts: Iterable[bytes], embedded: bool = False) -> str:
    """Return the page's content security policy: everything from here, and these scripts.

    What is embedded may stand in a frame of any site, even of a file (which ``*`` would leave out).

    Gradio makes functions of text ('unsafe-eval') and writes styles into elements.
    """
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    sources = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(hashes))
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' 'unsafe-eval' {sources}".strip(),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'self'",
    }
    if not embedded:
        directives["frame-ancestors"] = _MAY_FRAME
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _add(message: Message, headers: Mapping[str, str]) -> None:
    MutableHeaders(scope=message).update(headers)
