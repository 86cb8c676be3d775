"""ASGI middleware: which of Gradio's routes are open, and the security headers of every answer.

It looks at HTTP alone, and knows nothing of events; what these bring along is for ``guard`` to look at.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping

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
        r"|queue/(data|status)|heartbeat/[^/]+|call/(v2/)?[^/]+/[^/]+|file=(?![a-z][a-z0-9+.-]+:).+)",
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
# A Space's page is a frame of huggingface.co's.
_MAY_EMBED = "'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"
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
            nonlocal held
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
                policy = page_policy(inline_scripts(bytes(body)))
                _add(held, _FOR_PAGES | {"Content-Security-Policy": policy})
                await send(held)
                message = {"type": "http.response.body", "body": bytes(body)}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_open(method: str, path: str) -> bool:
    """Tell whether the page has a use for a request."""
    pattern = _OPEN.get("GET" if method == "HEAD" else method)
    return pattern is not None and pattern.fullmatch(path) is not None


def inline_scripts(page: bytes) -> list[bytes]:
    """Return the scripts that stand in an HTML page itself, as a browser hashes them."""
    # A browser reads every line ending as one character.
    return [script.replace(b"\r\n", b"\n") for script in _INLINE_SCRIPT.findall(page)]


def page_policy(scripts: Iterable[bytes]) -> str:
    """Return the page's content security policy: everything from here, and these scripts.

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
        "frame-ancestors": _MAY_EMBED,
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _add(message: Message, headers: Mapping[str, str]) -> None:
    MutableHeaders(scope=message).update(headers)
