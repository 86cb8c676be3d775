"""What stands between the network and the page, with a real server of uvicorn's and real sockets."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from pathlib import Path

import gradio as gr
import pytest
import uvicorn
from gradio.routes import App
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from denoiser.ui.server.limits import (
    MAX_BODY_BYTES,
    MAX_FILE_BYTES,
    Patience,
    close_half_sent,
    create_middleware,
)

PATIENCE = Patience(head=0.5, body=0.5, upload=0.5, rest=2)
FOREVER = 30.0  # a test that waits so long has failed


@contextlib.contextmanager
def serving(app):
    """Serve an application as the page is served; yields the port."""
    config = uvicorn.Config(app, port=0, log_level="error", timeout_keep_alive=10 * int(FOREVER))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + FOREVER
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    close_half_sent(server, PATIENCE)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(FOREVER)


class Echo:
    """An application that says what it was sent, and remembers that."""

    def __init__(self):
        self.bodies = []
        self.left = threading.Event()
        routes = [
            Route("/echo", self.echo, methods=["GET", "POST"]),
            Route("/wait", self.wait),
            Route("/raise", self.fail),
            Route("/null", lambda r: JSONResponse({"error": None}, 500)),
            Route("/said", lambda r: JSONResponse({"error": "The face is gone."}, 500)),
        ]
        self.app = Starlette(routes=routes, middleware=create_middleware(PATIENCE))

    async def echo(self, request: Request):
        body = await request.body()
        self.bodies.append(body)
        return PlainTextResponse(str(len(body)))

    async def wait(self, request: Request):
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        self.left.set()
        return PlainTextResponse("")

    async def fail(self, request: Request):
        raise ValueError("a secret in /home/somebody")


@pytest.fixture
def echo():
    echo = Echo()
    with serving(echo.app) as echo.port:
        yield echo


def ask(port, path, body=None, headers=None):
    """Return status, connection header and what the answer holds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=FOREVER)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("connection"), answer.read()


def raw(port, sent):
    """Send bytes and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=FOREVER) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def chunks(size):
    """A body without a length."""
    return (b"x" * min(50_000, size - start) for start in range(0, size, 50_000))


def sentence(answer):
    said = json.loads(answer)
    assert said["error"] == said["detail"]
    return said["error"]


@pytest.mark.parametrize("size", [0, 1, 70_000, MAX_BODY_BYTES])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_limit_arrives_as_it_was_sent(echo, size, chunked):
    body = chunks(size) if chunked else b"x" * size
    status, _, answer = ask(echo.port, "/echo", body)
    assert (status, answer) == (200, str(size).encode())
    assert echo.bodies == [b"x" * size]


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_larger_body_is_refused_before_it_is_parsed(echo, size, chunked):
    body = chunks(size) if chunked else b"x" * size
    status, connection, answer = ask(echo.port, "/echo", body)
    assert status == 413
    assert connection == "close"
    assert sentence(answer) == "A request may have up to 1 MB; this one has more."
    assert echo.bodies == []


def test_a_get_with_a_large_body_is_refused_too(echo):
    head = b"GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    assert raw(echo.port, head + b"x" * 3_000_000).startswith(b"HTTP/1.1 413 ")
    assert echo.bodies == []


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 50\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    ids=["a length that is wrong", "a last chunk that is missing"],
)
def test_a_body_that_does_not_come_to_its_end_is_not_waited_for(echo, rest):
    answer = raw(echo.port, b"POST /echo HTTP/1.1\r\nHost: x\r\n" + rest)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert sentence(body).startswith("A request has to arrive within 0.5 seconds")
    assert echo.bodies == []


@pytest.mark.parametrize("length", [b"-1", b"many", b"1e9"])
def test_a_length_that_is_no_number_is_refused(echo, length):
    answer = raw(echo.port, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert echo.bodies == []


@pytest.mark.parametrize("begun", [b"", b"PO", b"POST /echo HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_a_head_that_is_not_completed_is_not_waited_for(echo, begun):
    assert raw(echo.port, begun) == b""


def test_nor_is_one_after_a_complete_request(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=FOREVER) as connection:
        for _ in range(2):
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            answer = b""
            while not answer.endswith(b"\r\n\r\n2"):
                answer += connection.recv(65536)
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost")
        assert connection.recv(65536) == b""
    assert echo.bodies == [b"{}"] * 2


def test_a_request_that_is_being_answered_is_not_cut_off(echo):
    """Its answer takes three times as long as a head may."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=FOREVER) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not echo.left.wait(3 * PATIENCE.head)
    assert echo.left.wait(FOREVER)  # and that the client has gone is heard of


@pytest.mark.parametrize("path", ["/raise", "/null"])
def test_a_failure_is_told_in_one_sentence(echo, path, caplog):
    status, _, answer = ask(echo.port, path)
    assert status == 500
    assert sentence(answer).endswith("please load the page anew and try again.")
    assert b"secret" not in answer
    lines = caplog.messages  # for who runs it: where, in one line, but not what somebody sent
    assert len(lines) == (path == "/raise")
    assert all("Error at " in line and "a secret" not in line for line in lines)


def test_a_failure_that_has_a_sentence_keeps_it(echo):
    assert json.loads(ask(echo.port, "/said")[2]) == {"error": "The face is gone."}


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """The port of a Gradio app that takes uploads, and where they lie."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with gr.Blocks() as page:
        gr.Image()
    page.max_file_size = MAX_FILE_BYTES
    app = App.create_app(page, app_kwargs={"middleware": create_middleware(PATIENCE)})
    with serving(app) as port:
        yield port, tmp_path


def multipart(*files):
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="%d.png"\r\n\r\n%b\r\n' % given
        for given in enumerate(files)
    )
    return b"".join(parts) + b"--b--\r\n"


UPLOAD = {"Content-Type": "multipart/form-data; boundary=b"}


def files_in(folder: Path):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/upload?upload_id=1"])
def test_a_picture_may_be_as_large_as_a_file_may_be(uploads, path):
    port, folder = uploads
    status, _, answer = ask(port, path, multipart(b"x" * MAX_FILE_BYTES), UPLOAD)
    assert status == 200
    assert files_in(folder) == [Path(name) for name in json.loads(answer)]


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([MAX_FILE_BYTES + 20_000], id="Gradio's limit"),
        pytest.param([MAX_FILE_BYTES + 200_000], id="whichever comes first"),
        pytest.param([MAX_FILE_BYTES // 2] * 3, id="ours: Gradio's is of each file"),
    ],
)
def test_more_is_refused_and_leaves_nothing(uploads, sizes):
    """A thousand files, each within Gradio's limit, fit into one request."""
    port, folder = uploads
    body = multipart(*[b"x" * size for size in sizes])
    status, _, answer = ask(port, "/gradio_api/upload", body, UPLOAD)
    assert status == 413
    assert sentence(answer) == "A request may have up to 40 MB; this one has more."
    assert files_in(folder) == []


HALF_A_PICTURE = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: 300000\r\n\r\n" + multipart(b"x" * 100_000)[:90_000]
)


def test_a_picture_that_stops_halfway_is_not_waited_for_and_leaves_nothing(uploads):
    port, folder = uploads
    assert raw(port, HALF_A_PICTURE).startswith(b"HTTP/1.1 408 ")
    assert files_in(folder) == []


def test_a_picture_that_is_broken_off_leaves_nothing(uploads):
    port, folder = uploads
    with socket.create_connection(("127.0.0.1", port), timeout=FOREVER) as connection:
        connection.sendall(HALF_A_PICTURE)
        deadline = time.monotonic() + FOREVER
        while not files_in(folder):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    while files_in(folder):
        assert time.monotonic() < deadline
        time.sleep(0.01)
