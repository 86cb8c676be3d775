"""Visitors of the running app without a browser: they send what its page sends, and read the answers.

Events are found in the page's configuration, by the elements that they start from and write to.
"""

import contextlib
import io
import json
import secrets
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np
from gradio_client.utils import apply_diff
from PIL import Image

from denoiser.ui.page import serve
from tests.conftest import free_port

PATIENCE = 60.0
"""Seconds that a visitor waits for an answer."""


class Page:
    """The page's configuration, which all visitors share.

    Args:
        url: The app's address.
    """

    def __init__(self, url: str):
        self.url = url
        with urllib.request.urlopen(f"{url}/config", timeout=PATIENCE) as answer:
            self.config = json.load(answer)
        self.values = {c["id"]: c["props"].get("value") for c in self.config["components"]}
        self.ids = {c["props"].get("elem_id"): c["id"] for c in self.config["components"]}

    def event(self, elem_id: str, name: str, writes: str | None = None) -> dict[str, Any]:
        """Return the first event on the server that starts from an element.

        Args:
            elem_id: The element's.
            name: Of the event, such as ``click``.
            writes: elem_id of an element that it writes to.
        """
        return next(
            dependency
            for dependency in self.config["dependencies"]
            if dependency["backend_fn"]
            and [self.ids[elem_id], name] in dependency["targets"]
            and (writes is None or self.ids[writes] in dependency["outputs"])
        )


class Visitor:
    """One session.

    Args:
        page: The page.
        headers: What its requests carry.
    """

    def __init__(self, page: Page, headers: Mapping[str, str] | None = None):
        self.page = page
        self.session = secrets.token_hex(8)
        self.headers = dict(headers or {})

    def join(self, event: dict[str, Any], data: Any = None, **values: Any) -> str:
        """Send an event to the queue, and don't wait; return its id.

        Args:
            event: Of :meth:`Page.event`.
            data: What the event itself says.
            **values: By elem_id, with ``_`` for ``-``: what components hold; others are as at first.

        Raises:
            urllib.error.HTTPError: The server refuses it.
        """
        return str(json.loads(self._post("queue/join", self._body(event, data, values)))["event_id"])

    def run(self, event: dict[str, Any], data: Any = None, **values: Any) -> list[Any]:
        """Send an event that is not queued, and return its outputs."""
        return list(json.loads(self._post("run/predict", self._body(event, data, values)))["data"])

    def listen(self) -> Iterator[dict[str, Any]]:
        """Yield what the server says to this session, until no event of it is left.

        Outputs are whole: the server says only what has changed since it last said something.
        """
        outputs: dict[str, list[Any]] = {}
        request = urllib.request.Request(
            f"{self.page.url}/gradio_api/queue/data?session_hash={self.session}", headers=self.headers
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                message = json.loads(line[6:])
                if message["msg"] == "process_generating" and message["success"]:
                    said, known = message["output"]["data"], outputs.get(message["event_id"])
                    if known is not None:
                        said = [apply_diff(*pair) for pair in zip(known, said, strict=True)]
                    message["output"]["data"] = outputs[message["event_id"]] = said
                yield message

    def ask(self, event: dict[str, Any], data: Any = None, **values: Any) -> list[Any]:
        """Send an event to the queue and return its last outputs.

        Raises:
            RuntimeError: It failed.
            TimeoutError: It took too long.
        """
        deadline = time.monotonic() + PATIENCE
        event_id = self.join(event, data, **values)
        outputs: list[Any] = []
        for message in self.listen():
            if time.monotonic() > deadline:  # the server says that it is alive every 15 s
                raise TimeoutError("the event took too long")
            if message.get("event_id") != event_id:
                continue
            if message["msg"] in ("process_generating", "process_completed"):
                if not message["success"]:
                    raise RuntimeError(f"the event failed: {message['output']}")
                outputs = message["output"].get("data") or outputs
            if message["msg"] == "process_completed":
                return outputs
        raise RuntimeError("the server said nothing more")

    def cancel(self, event: dict[str, Any], event_id: str) -> None:
        """Cancel an event, as the page's Cancel does."""
        body = {"session_hash": self.session, "fn_index": event["id"], "event_id": event_id}
        self._post("cancel", body)

    def upload(self, data: bytes, name: str = "face.png") -> dict[str, Any]:
        """Upload a picture or another file, and return what names it in an event."""
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        (path,) = json.loads(self._send("upload", body, kind))
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def pick_face(self) -> list[Any]:
        """Click on the first sample face; return the event's outputs."""
        first = self.page.values[self.page.ids["faces"]]["faces"][0]
        return self.ask(self.page.event("faces", "select"), {"id": first["id"]})

    def upload_face(self) -> list[Any]:
        """Give a picture of one's own; return the event's outputs, of which the last is the note."""
        return self.ask(self.page.event("picture", "change"), picture=self.upload(a_picture()))

    def look_inside(self) -> list[Any]:
        """Open the tab "Inside"; return the event's outputs."""
        return self.ask(self.page.event("inside-part", "change", writes="inside-gates-panels"))

    def sweep_event(self) -> dict[str, Any]:
        """Return the event of the tab "Sweep" that computes."""
        return self.page.event("sweep-run", "click", writes="sweep-chart")

    def full_sweep(self) -> dict[str, Any]:
        """Return the values that ask for the longest sweep there is."""
        menu = self.page.ids["sweep-methods"]
        (choices,) = (c["props"]["choices"] for c in self.page.config["components"] if c["id"] == menu)
        methods = [value for _, value in choices]
        return {**self.sweep_of(methods), "sweep_places": 33, "sweep_draws": 8}

    def sweep_of(self, methods: list[str]) -> dict[str, Any]:
        """Return the values that ask for a sweep of some methods."""
        # The tab takes over the methods of "Compare" where they have changed.
        written = next(
            d
            for d in self.page.config["dependencies"]
            if self.page.ids["methods"] in d["inputs"]
            and set(d["outputs"]) & set(self.sweep_event()["inputs"])
        )
        settings = [self.page.values[i] for i in written["inputs"]]
        settings[written["inputs"].index(self.page.ids["methods"])] = methods
        return {
            "sweep_methods": methods,
            str(written["outputs"][0]): json.dumps(settings),
        }

    def open_class(self) -> dict[str, Any]:
        """Start a class; return what its panel is sent, or ``{"said": ...}`` where it is refused."""
        return self._class_answer(self.page.event("class-start", "click"), self.run)

    def join_class(self, code: str) -> dict[str, Any]:
        """Enter a code; likewise."""
        return self._class_answer(self.page.event("class-join", "click"), self.ask, class_code=code)

    def look_at_class(self) -> dict[str, Any]:
        """Return what the panel of the visitor's class is sent every few seconds."""
        timer = next(
            d
            for d in self.page.config["dependencies"]
            if d["targets"][0][1] == "tick" and self.page.ids["class-panel"] in d["outputs"]
        )
        return _value(self.run(timer)[0])

    def reveal_class(self, said: Any) -> dict[str, Any]:
        """Ask for the results to be revealed, or hidden; return what the panel is sent, if anything."""
        return _value(self.run(self.page.event("class-panel", "reveal"), {"reveal": said})[0])

    def save_class(self) -> dict[str, Any]:
        """Ask for the results as a file; return it, if there is one."""
        return _value(self.run(self.page.event("class-panel", "save"))[0])

    @contextlib.contextmanager
    def open_page(self) -> Iterator[None]:
        """Be there, as a browser is as long as it shows the page."""
        request = urllib.request.Request(
            f"{self.page.url}/gradio_api/heartbeat/{self.session}", headers=self.headers
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            stream.readline()
            yield

    def _class_answer(self, event: dict[str, Any], send: Any, **values: Any) -> dict[str, Any]:
        outputs = dict(zip(event["outputs"], send(event, **values), strict=True))
        panel, said = outputs[self.page.ids["class-panel"]], outputs[self.page.ids["class-said"]]
        panel = panel.get("value", panel)
        board = outputs[self.page.ids["blind-board"]]
        board = board.get("value", board)
        return {"board": board, **panel} if panel.get("phase") == "class" else {"said": said}

    def vote(self, token: str, picture: int = 1) -> dict[str, Any]:
        """Pick a picture of the round that is shown; return the next one."""
        event = self.page.event("blind-board", "vote")
        (board,) = self.ask(event, {"token": token, "picture": picture})
        return dict(board.get("value", board))

    def _body(self, event: dict[str, Any], data: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {
            int(name) if name.isdigit() else self.page.ids[name.replace("_", "-")]: value
            for name, value in values.items()
        }
        return {
            "data": [given.get(i, self.page.values.get(i)) for i in event["inputs"]],
            "event_data": data,
            "fn_index": event["id"],
            "trigger_id": event["targets"][0][0],
            "session_hash": self.session,
        }

    def _post(self, path: str, body: dict[str, Any]) -> bytes:
        return self._send(path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        request = urllib.request.Request(
            f"{self.page.url}/gradio_api/{path}", body, {**self.headers, **headers}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return bytes(answer.read())


def _value(output: Any) -> dict[str, Any]:
    """Return a component's new value; ``{}`` where the event leaves it as it is."""
    value = output.get("value", output)
    return {} if value.get("__type__") == "update" else dict(value)


@contextlib.contextmanager
def served(app: gr.Blocks) -> Iterator[str]:
    """Serve a page from this process, as ``python app.py`` does from its own; yield its address."""
    serve(app, server_name="127.0.0.1", server_port=free_port(), quiet=True)
    try:
        yield app.local_url.rstrip("/")
    finally:
        app.close()


def a_picture() -> bytes:
    """Return a PNG of noise, which nobody needs to keep private."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 160), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
