"""What strangers send to the real app: no file is taken but what was uploaded in the same session."""

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from denoiser.ui.server import uploads
from denoiser.ui.server.guard import GuardedBlocks
from denoiser.ui.server.limits import MAX_FILE_BYTES
from denoiser.ui.server.uploads import NOT_YOURS
from tests.conftest import ROOT, app_environment, free_port, stop
from tests.doubles import run

JSON = {"content-type": "application/json"}
META = {"_type": "gradio.FileData"}


@dataclass(frozen=True)
class App:
    """The running app: where it was told to put uploads, what it offers, who asks it, what it prints."""

    temp: Path
    config: dict[str, Any]
    client: httpx.Client
    output: Path

    def log(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace")

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
        """The event that takes a picture for a face."""
        (box,) = [c["id"] for c in self.config["components"] if c["props"].get("elem_id") == "picture"]
        (event,) = [event for event in self.events() if box in event["inputs"]]
        return event


@contextlib.contextmanager
def started(temp: Path) -> Iterator[tuple[App, subprocess.Popen[bytes]]]:
    """Run the app until it is no longer needed, with its uploads below a folder."""
    port = free_port()
    environment = app_environment(port) | {"GRADIO_TEMP_DIR": str(temp)}
    output = temp / f"{port}.log"
    with (
        output.open("wb") as log,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 120
            while "To create a public link" not in output.read_text():
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield App(temp, client.get("/config").json(), client, output), process
        finally:
            stop(process)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with started(tmp_path_factory.mktemp("uploads")) as (app, _):
        yield app


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
    answer = app.send(app.picture_event(), [{"path": path}], "owner")
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
    sent = [{"path": path, "meta": META}]
    assert "error" not in app.send(event, sent, "mine").json()
    assert error_of(app.send(event, sent, "yours")) == NOT_YOURS
    assert error_of(app.send(event, [{"path": path}], "yours")) == NOT_YOURS
    assert "error" not in app.send(event, sent, "mine").json()


def test_without_a_session_nothing_is_taken(app, picture):
    answer = app.send(app.picture_event(), [{"path": app.upload(picture)}], None)
    assert error_of(answer) == NOT_YOURS


def test_the_same_picture_of_two_sessions_is_two(app, picture):
    mine, yours = app.upload(picture), app.upload(picture)
    assert mine != yours
    assert "error" not in app.send(app.picture_event(), [{"path": mine}], "a").json()
    assert "error" not in app.send(app.picture_event(), [{"path": yours}], "b").json()


def test_a_refused_upload_leaves_nothing(app):
    before = set(app.folder.iterdir())
    large = app.client.post(
        "/gradio_api/upload", files={"files": ("x.png", bytes(MAX_FILE_BYTES + 2**20))}
    )
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


class TestOpenRoutes:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/gradio_api/deep_link?session_hash=x"),
            ("GET", "/gradio_api/deep_link/?session_hash=x"),
            ("GET", "/gradio_api/file=http://127.0.0.1:9/x.png"),
            ("GET", "/gradio_api/file=HTTPS://example.org/x.png"),
            ("GET", "/gradio_api/proxy=https://example.org/"),
            ("GET", "/gradio_api/dev/reload"),
            ("GET", "/gradio_api/monitoring/summary"),
            ("GET", "/gradio_api/custom_component/a/client/b/c"),
            ("POST", "/gradio_api/component_server"),
            ("POST", "/gradio_api/stream/x"),
            ("POST", "/login"),
            ("GET", "/token"),
            ("PUT", "/gradio_api/upload"),
        ],
    )
    def test_what_the_page_has_no_use_for_is_closed(self, app, method, path):
        answer = app.client.request(method, path)
        assert answer.status_code == 404
        assert answer.json()["error"] == "There is nothing here."

    def test_nothing_is_written_by_whoever_asks_for_a_link(self, app):
        app.send(app.events()[0], [], "linked")
        before = set(app.folder.iterdir())
        app.client.get("/gradio_api/deep_link", params={"session_hash": "linked"})
        assert set(app.folder.iterdir()) <= before


def test_headers(app, picture):
    page = app.client.get("/").headers
    assert "'unsafe-inline'" not in page["content-security-policy"].split("style-src")[0]
    upload = app.client.get(f"/gradio_api/file={app.upload(picture)}")
    assert upload.content == picture
    assert "sandbox" in upload.headers["content-security-policy"]
    for headers in (page, upload.headers, app.client.get("/login").headers):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("query", "anywhere"),
    [
        ("embed=true", True),
        ("face=lfw-7&embed=true&sigma=3", True),
        ("%65mbed=tru%65", True),
        ("", False),
        ("embed", False),
        ("embed=True", False),
        ("embed=false&embed=true", False),
        ("embed=&embed=true", False),  # of two the first counts
        ("face=embed=true", False),
        ("embed=true&x=" + "y" * 9000, False),
    ],
)
def test_only_what_is_embedded_may_be_framed_anywhere(app, query, anywhere):
    answer = app.client.get(f"/?{query}")
    assert ('<html class="is-embedded"' in answer.text) == anywhere
    assert answer.text.rstrip().endswith("</html>")
    headers = answer.headers
    policy = headers["content-security-policy"]
    assert ("frame-ancestors" not in policy) == anywhere
    assert ("camera=()" in headers["permissions-policy"]) == anywhere
    assert "default-src 'none'" in policy


def malformed(app: App) -> Iterator[tuple[str, str, Any]]:
    """Requests that nothing can be made of: method, path, and what is sent as JSON."""
    picture, plain = app.picture_event()["id"], {"fn_index": 0, "session_hash": "x"}
    for path in ("run/x", "run/compare", "api/compare", "queue/join", "call/compare", "call/v2/compare"):
        for body in (
            None,
            [],
            "text",
            {},
            {"data": None},
            {"data": []},
            {"data": [1] * 50},
            {**plain, "data": []},
            {**plain, "data": {}},
            {**plain, "fn_index": 10**9, "data": []},
            {**plain, "fn_index": -1, "data": []},
            {**plain, "fn_index": picture, "data": ["text", {}]},
            {**plain, "fn_index": picture, "data": [{"url": []}, {}]},
            {**plain, "fn_index": picture, "data": [[], None]},
            {**plain, "session_hash": 7, "data": []},
            {**plain, "event_data": [[]], "data": []},
            {**plain, "trigger_id": "x", "data": []},
            {**plain, "trigger_id": 10**9, "data": []},
        ):
            yield "POST", path, body
    for path in ("call/nothing", "call/v2/nothing", "run/nothing", "cancel", "reset", "upload"):
        yield "POST", path, {"data": []}
    for path in ("queue/data", "queue/data?session_hash=nobody", "call/compare/nothing", "file=%00"):
        yield "GET", path, None


@pytest.mark.slow
def test_a_malformed_request_is_no_traceback_in_the_log(app):
    for method, path, body in malformed(app):
        try:
            answer = app.client.request(
                method, f"/gradio_api/{path}", content=json.dumps(body), headers=JSON
            )
        except httpx.RemoteProtocolError:  # a stream that was ended
            continue
        assert answer.status_code in (200, 400, 403, 404, 405, 413, 422, 500), (path, body)
        assert "Traceback" not in answer.text
        if answer.status_code == 500:
            assert answer.json().get("error"), (path, body)
    for event in app.events():
        for junk in (None, 7, "x", [], {}, [{"a": 1}]):
            app.send(event, [junk] * len(event["inputs"]), "junk")
    assert "Traceback" not in app.log()


@pytest.mark.slow
class TestTheEnd:
    """What the process leaves behind, and what it still does, once it is told to stop."""

    @pytest.mark.slow
    def test_what_was_uploaded_is_gone_at_the_latest_at_the_next_start(self, tmp_path, picture):
        with started(tmp_path) as (app, process):
            unread = Path(app.upload(picture))
            process.kill()  # as when the machine has no memory left
            process.wait()
            assert unread.exists()
        with started(tmp_path) as (app, process):
            assert not unread.exists()
            unread = Path(app.upload(picture))
            process.terminate()
            assert process.wait(timeout=30) == 0
        assert not unread.exists()
        assert [path.name for path in tmp_path.glob("*/*")] in ([], ["starting.lock"])

    @pytest.mark.slow
    def test_what_is_being_computed_is_answered_and_nothing_new_begun(self, tmp_path):
        with started(tmp_path) as (app, process):
            methods = [method["id"] for method in self.call(app, "denoisers")["denoisers"]]
            sample = self.call(app, "samples", None, 0, 1)["samples"][0]["id"]
            arguments = [None, sample, "gaussian", *[None] * 8, 0, methods, True, False, True]
            joined = app.client.post("/gradio_api/call/compare", json={"data": arguments}).json()
            with app.client.stream("GET", f"/gradio_api/call/compare/{joined['event_id']}") as answer:
                process.terminate()
                assert "event: complete" in answer.read().decode()
            assert process.wait(timeout=30) == 0
            assert "Traceback" not in app.log()

    @staticmethod
    def call(app: App, name: str, *arguments: Any) -> Any:
        answer = app.client.post(f"/gradio_api/run/{name}", json={"data": arguments})
        return answer.json()["data"][0]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    async def write(upload: Any, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", upload.file.name)

    monkeypatch.setattr("gradio.route_utils.GradioUploadFile.write", write)
    client = TestClient(uploads.UploadDoor(lambda *_: None, max_bytes=10))
    answer = client.post(uploads.UPLOAD_PATH, files={"files": ("x.png", b"x")})
    assert (answer.status_code, answer.text) == (507, uploads.DISK_FULL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_event_that_finds_the_disk_full_says_so(number):
    def fails() -> None:
        raise OSError(number, "No space left on device", "/somewhere/secret")

    with GuardedBlocks() as page:
        gr.Button().click(fails)
    with pytest.raises(gr.Error) as refusal:
        run(page.process_api(page.fns[0], []))
    assert refusal.value.message == uploads.DISK_FULL


def test_too_many_that_wait_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(uploads, "_MAX_WAITING", 3)
    client = TestClient(uploads.UploadDoor(lambda *_: None, max_bytes=10))
    answers = [client.post(uploads.UPLOAD_PATH, files={"files": ("x", b"x")}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
    assert answers[-1].text.startswith("Too many pictures")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_for_uploads_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "as it was")
    (tmp_path / "file").write_text("")
    with pytest.raises(uploads.UploadFolderError, match="set GRADIO_TEMP_DIR"):
        uploads.UploadFolder(tmp_path / "file")
    (tmp_path / uploads._FOLDER).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(uploads.UploadFolderError, match="set GRADIO_TEMP_DIR"):
        uploads.UploadFolder(tmp_path)


@pytest.mark.slow
def test_two_runs_leave_each_other_s_uploads_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "as it was")
    first = uploads.UploadFolder(tmp_path)
    second = uploads.UploadFolder(tmp_path)
    assert first.path.is_dir()
    assert first.path != second.path
    second.close()
    assert first.path.is_dir()
    first.close()
    assert not first.path.exists()
