"""What strangers send to the real app: no file is taken but what was uploaded in the same session."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from denoiser.ui import uploads
from denoiser.ui.uploads import NOT_YOURS

from .conftest import app_environment, free_port, running

JSON = {"content-type": "application/json"}
META = {"_type": "gradio.FileData"}


@dataclass(frozen=True)
class App:
    """The running app: its address, the folder it was told to use for uploads, what it offers."""

    url: str
    temp: Path
    config: dict[str, Any]
    client: httpx.Client

    @property
    def folder(self) -> Path:
        """Where this run's uploads lie."""
        (lock,) = [path for path in self.temp.glob("*/*.lock") if path.name != "starting.lock"]
        return lock.with_suffix("")

    def upload(self, content: bytes, name: str = "me.png") -> str:
        """Upload a file as the page does; returns its path."""
        answer = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        answer.raise_for_status()
        (path,) = answer.json()
        return path

    def send(
        self, event: dict[str, Any], data: list[Any], session: str, **others: Any
    ) -> httpx.Response:
        """Have an event run, as the page or a script would."""
        body = {"data": data, "fn_index": event["id"], "session_hash": session, **others}
        return self.client.post("/gradio_api/run/x", content=json.dumps(body), headers=JSON)

    def events(self) -> list[dict[str, Any]]:
        """All of the page's events that run on the server, the API's among them."""
        return [event for event in self.config["dependencies"] if event["backend_fn"]]

    def picture_event(self) -> dict[str, Any]:
        """The event that takes a picture."""
        (box,) = [c["id"] for c in self.config["components"] if c["type"] == "image"]
        (event,) = [event for event in self.events() if box in event["inputs"]]
        return event


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    temp = tmp_path_factory.mktemp("uploads")
    port = free_port()
    environment = app_environment(port) | {"GRADIO_TEMP_DIR": str(temp)}
    with (
        running([sys.executable, "app.py"], port, environment) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield App(url, temp, client.get("/config").json(), client)


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A PNG file."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def secret(tmp_path: Path, picture: bytes) -> Path:
    """A picture of the server's that nobody has uploaded."""
    file = tmp_path / "secret.png"
    file.write_bytes(picture)
    return file


def in_place(app: App, make: Callable[[Path], None]) -> str:
    """Put something into the upload folder that looks like an upload; returns its path."""
    place = app.folder / os.urandom(16).hex()
    file = place / ("0" * 64) / "me.png"
    file.parent.mkdir(parents=True)
    make(file)
    return str(file)


def taken(app: App, picture: bytes) -> str:
    """Upload a picture, and have it used by a session that isn't the attacker's."""
    path = app.upload(picture)
    answer = app.send(app.picture_event(), [{"path": path}, True], "owner")
    assert answer.status_code == 200, answer.text
    return path


def linked_folder(app: App, secret: Path) -> str:
    """A place whose inner folder is a link to where a secret lies."""
    place = app.folder / os.urandom(16).hex()
    place.mkdir()
    (place / ("0" * 64)).symlink_to(secret.parent)
    return str(place / ("0" * 64) / secret.name)


def linked_place(app: App, secret: Path) -> str:
    """A place that is a link itself."""
    elsewhere = secret.parent / "elsewhere" / ("0" * 64)
    elsewhere.mkdir(parents=True)
    (elsewhere / "me.png").write_bytes(secret.read_bytes())
    place = app.folder / os.urandom(16).hex()
    place.symlink_to(elsewhere.parent)
    return str(place / ("0" * 64) / "me.png")


def attacks(app: App, secret: Path, picture: bytes) -> dict[str, str]:
    """Paths that must not be taken from the session ``attacker``, by what is wrong with them."""
    unused = Path(app.upload(picture))
    others = taken(app, picture)
    return {
        "a file of the server": str(secret),
        "two dots": str(unused.parents[2] / ".." / ".." / "x" / ".." / secret.name),
        "two dots within": str(unused.parent / ".." / unused.parent.name / unused.name),
        "relative": os.path.relpath(secret),
        "relative to nothing": secret.name,
        "a link": in_place(app, lambda file: file.symlink_to(secret)),
        "a linked folder": linked_folder(app, secret),
        "a linked place": linked_place(app, secret),
        "a folder": in_place(app, lambda file: file.mkdir()),
        "a pipe": in_place(app, lambda file: os.mkfifo(file)),
        "a device": "/dev/zero",
        "the upload folder": str(app.folder),
        "the place of an upload": str(unused.parents[1]),
        "the owner of an upload": str(Path(others).parents[1] / "owner"),
        "another session's upload": others,
        "the same, as a link": in_place(app, lambda file: file.symlink_to(others)),
        "nothing": "",
        "a NUL byte": str(secret) + "\0",
        "half a character": "/\ud800",
        "half a character in a place": str(unused.with_name("\ud800")),
        "a long name": "/" + "a" * 5000,
        "a URL": "http://127.0.0.1:9/secret.png",
        "a file URL": secret.as_uri(),
    }


def error_of(answer: httpx.Response) -> str:
    return str(answer.json().get("error"))


@pytest.mark.slow
def test_no_event_takes_a_file_that_is_not_the_session_s(app, secret, picture):
    before = {path: path.read_bytes() for path in secret.parent.rglob("*") if path.is_file()}
    events = [event for event in app.events() if event["inputs"]]
    assert len(events) > 20
    assert app.picture_event() in events
    named = attacks(app, secret, picture)
    before |= {path: path.read_bytes() for path in secret.parent.rglob("*") if path.is_file()}
    wrong = []
    # Each event with the plainest of them, alone and hidden; all of them with those that take files.
    takers = [
        e for e in events if e == app.picture_event() or e["api_name"] in ("compare", "intermediate")
    ]
    assert len(takers) == 3
    cases = [(event, "a file of the server", str(secret)) for event in events]
    cases += [(event, what, path) for event in takers for what, path in named.items()]
    for event, what, path in cases:
        for file in ({"path": path}, {"path": path, "meta": META}, [{"x": [{"path": path}]}]):
            data = [file] * len(event["inputs"])
            answer = app.send(event, data, "attacker")
            if error_of(answer) != NOT_YOURS:
                wrong.append((event["id"], event["api_name"], what, file, answer.text[:200]))
    assert wrong == []
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_what_an_event_was_caused_by_may_not_be_a_file_either(app, secret):
    for event in app.events():
        answer = app.send(event, [None] * len(event["inputs"]), "x", event_data={"path": str(secret)})
        assert error_of(answer) == NOT_YOURS, event


def test_an_upload_is_its_first_session_s(app, picture):
    path = app.upload(picture)
    event = app.picture_event()
    sent = [{"path": path, "meta": META}, True]
    assert "error" not in app.send(event, sent, "mine").json()
    assert error_of(app.send(event, sent, "yours")) == NOT_YOURS
    assert error_of(app.send(event, [{"path": path}, True], "yours")) == NOT_YOURS
    assert "error" not in app.send(event, sent, "mine").json()


def test_without_a_session_nothing_is_taken(app, picture):
    answer = app.send(app.picture_event(), [{"path": app.upload(picture)}, True], None)
    assert error_of(answer) == NOT_YOURS


def test_the_same_picture_of_two_sessions_is_two(app, picture):
    mine, yours = app.upload(picture), app.upload(picture)
    assert mine != yours
    assert "error" not in app.send(app.picture_event(), [{"path": mine}, True], "a").json()
    assert "error" not in app.send(app.picture_event(), [{"path": yours}, True], "b").json()


def test_a_refused_upload_leaves_nothing(app):
    before = set(app.folder.iterdir())
    large = app.client.post("/gradio_api/upload", files={"files": ("x.png", bytes(11 * 2**20))})
    assert large.status_code == 413
    damaged = app.client.post(
        "/gradio_api/upload",
        content=b"--x\r\nnothing",
        headers={"content-type": "multipart/form-data; boundary=y"},
    )
    assert damaged.status_code == 400
    assert set(app.folder.iterdir()) <= before


class TestFolder:
    """The upload folder without a server; everything lies in the test's own folder."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        folder = tmp_path / "uploads"
        folder.mkdir()
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
        return folder

    @staticmethod
    def put(folder: Path, age: float, owner: str | None = None, now: float = 1e9) -> Path:
        place = folder / os.urandom(16).hex()
        (place / ("0" * 64)).mkdir(parents=True)
        (place / ("0" * 64) / "me.png").write_bytes(b"")
        if owner is not None:
            (place / "owner").write_text(owner)
            os.utime(place / "owner", (now - age, now - age))
        os.utime(place, (now - age, now - age))
        return place

    def test_what_was_used_goes_first(self, folder):
        stays = [self.put(folder, 200), self.put(folder, 10, "me")]
        goes = [self.put(folder, 301), self.put(folder, 21, "me")]
        uploads.sweep(folder, 1e9)
        assert set(folder.iterdir()) == set(stays)
        assert not any(place.exists() for place in goes)

    def test_only_uploads_are_deleted(self, folder, tmp_path):
        kept = tmp_path / "kept"
        kept.mkdir()
        (kept / "file").write_text("mine")
        os.utime(kept, (0, 0))
        (folder / "notes.txt").write_text("mine")
        (folder / ("g" * 32)).mkdir()
        (folder / ("a" * 32)).symlink_to(kept)
        place = self.put(folder, 400)
        (place / "link").symlink_to(kept)
        os.utime(place, (0, 0))
        os.utime(folder / "notes.txt", (0, 0))
        uploads.sweep(folder, 1e9)
        assert not place.exists()
        assert (kept / "file").read_text() == "mine"
        assert {path.name for path in folder.iterdir()} == {"notes.txt", "g" * 32, "a" * 32}

    def test_nothing_to_sweep(self, tmp_path):
        uploads.sweep(tmp_path / "not there", 1e9)


def test_find_files_at_any_depth():
    deep: Any = {"path": "x"}
    for _ in range(5000):
        deep = [{"a": deep}]
    assert [found["path"] for found in uploads.find_files([1, None, "path", deep])] == ["x"]
    assert list(uploads.find_files(json.loads('{"a": [1, {"b": null, "path": null}]}'))) == []
