"""Files too large for an event: who may fetch them, how often, and when they go."""

import time
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from denoiser.ui.server import uploads
from denoiser.ui.server.downloads import DOWNLOAD_PATH, DownloadDoor, DownloadError, offer_download
from denoiser.ui.server.security import is_open
from denoiser.ui.server.uploads import KEPT_ONCE_USED_SECONDS, KEPT_UNUSED_SECONDS, sweep

CONTENT = b"\x89PNG and so on"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(folder):
    return TestClient(DownloadDoor(PlainTextResponse("the page")))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_is_what_was_written(client):
    token = offer_download(lambda file: file.write(CONTENT))
    assert is_open("GET", DOWNLOAD_PATH + token)
    answer = client.get(DOWNLOAD_PATH + token)
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'attachment; filename="photo.png"'
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/").text == "the page"


def test_it_goes_soon_after_it_was_fetched_or_a_while_after_nobody_has(client, folder):
    fetched, forgotten = (offer_download(lambda file: file.write(CONTENT)) for _ in range(2))
    client.get(DOWNLOAD_PATH + fetched)
    now = time.time()
    sweep(folder, now + KEPT_ONCE_USED_SECONDS + 5)
    assert client.get(DOWNLOAD_PATH + fetched).status_code == 404
    assert (folder / forgotten).is_dir()
    sweep(folder, now + KEPT_UNUSED_SECONDS + 5)
    assert files(folder) == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        "0" * 32,
        "../secret.txt",
        "..%2fsecret.txt",
        "A" * 32,
        "0" * 31,
        "0" * 33,
        "%00" * 32,
        "0/../..",
    ],
)
def test_nothing_else_is_handed_out(client, folder, token):
    (folder / "secret.txt").write_text("secret")
    answer = client.get(DOWNLOAD_PATH + token)
    assert "secret" not in answer.text
    assert answer.status_code == 404 or answer.text == "the page"
    assert str(folder) not in answer.text


def test_an_upload_s_place_is_no_download(client, folder):
    place = folder / ("a" * 32) / ("b" * 64)
    place.mkdir(parents=True)
    (place / "download").write_bytes(b"somebody's picture")
    assert client.get(DOWNLOAD_PATH + "a" * 32).status_code == 404
    link = folder / ("c" * 32)
    link.symlink_to(place)
    assert client.get(DOWNLOAD_PATH + "c" * 32).status_code == 404


def test_a_post_fetches_nothing(client):
    token = offer_download(lambda file: file.write(CONTENT))
    assert not is_open("POST", DOWNLOAD_PATH + token)
    assert client.post(DOWNLOAD_PATH + token).status_code == 404


def test_what_can_t_be_written_leaves_nothing(folder):
    def fail(file):
        file.write(CONTENT)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        offer_download(fail)
    assert list(folder.iterdir()) == []


def test_with_too_much_waiting_there_is_a_sentence(folder, monkeypatch):
    offer_download(lambda file: file.write(CONTENT))
    monkeypatch.setattr(uploads, "_MAX_WAITING_BYTES", len(CONTENT))
    with pytest.raises(DownloadError, match="try again"):
        offer_download(lambda file: file.write(CONTENT))
