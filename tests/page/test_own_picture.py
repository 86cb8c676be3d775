"""A picture of one's own: what it becomes, which squares can be cut out of it, and when it goes."""

import contextlib
import gc
import json
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from denoiser.faces.samples import bundled_faces
from denoiser.images import ImageError, Square, from_uint8, load_image, load_photo, to_png, to_uint8
from denoiser.ui.experiment.face_source import FaceSource, Offer, first_face
from denoiser.ui.experiment.faces import create_face_section
from denoiser.ui.experiment.own_picture import GONE, OwnPictures
from tests.doubles import session_request
from tests.pictures import two_faces

OUTPUTS = ("face", "strip", "upload", "crop", "note")
TWO_FACES = to_png(two_faces() / 255)


@pytest.fixture(scope="module")
def source() -> FaceSource:
    return FaceSource(Offer(bundled_faces(), "bundled"))


@pytest.fixture
def section(source) -> dict[str, Any]:
    """The section's events, by the names of their functions."""
    with gr.Blocks() as app:
        create_face_section(source, app.load)
    return {event.name: event.fn for event in app.fns.values()}


@pytest.fixture
def receive(section, monkeypatch, tmp_path):
    """Gives the section a file; returns what it makes of it, by name."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def receive(content: bytes | None) -> dict[str, Any]:
        file = tmp_path / ("a" * 32) / ("b" * 64) / "me.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content or b"")
        if content is None:
            file.unlink()
        answer = section["receive"]({"path": str(file)}, session_request())
        return dict(zip(("picture", *OUTPUTS), answer, strict=True))

    return receive


@pytest.fixture
def ask(section, source):
    """Sends what the strip's or the square's script would; returns what comes of it, by name."""

    def ask(event: str, data: object, upload: Any, face: Any = None) -> dict[str, Any]:
        face = face or first_face(source.offer.faces)
        return dict(zip(OUTPUTS, section[event](SimpleNamespace(_data=data), face, upload), strict=True))

    return ask


def square_of(upload, square: Square) -> dict[str, Any]:
    return {"id": upload.id, **asdict(square)}


# A picture comes


def test_what_comes_of_a_picture(receive):
    got = receive(TWO_FACES)
    photo, _ = load_photo(TWO_FACES)
    assert got["picture"] is None  # the box is ready for another
    np.testing.assert_array_equal(got["face"].image, photo.cut(photo.square, 48))
    assert got["face"].caption == "Your picture"  # never the file's name
    assert got["upload"].face is got["face"]
    assert got["note"] == "2 faces found, the largest was used."
    assert (got["strip"]["chosen"], got["strip"]["own"]["id"]) == ("own", "own")
    shown = json.loads(got["crop"])
    assert shown["square"] == asdict(photo.square)
    assert [choice["label"] for choice in shown["choices"]] == ["Face 1", "Face 2", "The centre"]
    assert [choice["square"] for choice in shown["choices"]] == [
        asdict(square) for square in (*photo.faces, photo.centre)
    ]


def test_sizes_are_those_of_the_picture_that_was_given(receive):
    shown = json.loads(receive(to_png(np.zeros((2500, 3000), np.float32)))["crop"])
    assert shown["scale"] * shown["width"] == pytest.approx(3000)
    assert shown["scale"] > 2


def test_a_face_of_the_right_size_is_used_exactly(receive, ask, face):
    got = receive(to_png(face))
    whole = ask("cut", square_of(got["upload"], Square(0, 0, 48)), got["upload"])
    np.testing.assert_array_equal(whole["face"].image, from_uint8(to_uint8(face)))


def test_a_bad_picture_keeps_the_old_face(receive, tmp_path):
    got = receive(b"no picture")
    assert got["picture"] is None
    assert got["strip"] == got["face"] == got["upload"] == got["crop"] == gr.skip()
    assert got["note"].endswith(".")
    assert str(tmp_path) not in got["note"]


def test_a_lost_picture_is_one_sentence(receive):
    assert receive(None)["note"] == "The picture got lost on its way; please choose it again."


def test_pictures_are_decoded_one_at_a_time(monkeypatch):
    """A large one takes up to 300 MB; all that arrive at once would take that many times."""
    inside, most = [], []

    def decode(data, size):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)  # time for the others to come in, if they can
        inside.pop()
        raise ImageError("It was only a test.")

    def receive():
        with contextlib.suppress(ImageError):
            OwnPictures().receive(b"", "here")

    monkeypatch.setattr("denoiser.ui.experiment.own_picture.load_photo", decode)
    threads = [threading.Thread(target=receive) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


# Another square


def test_another_square_is_another_face(receive, ask):
    first = receive(TWO_FACES)
    upload = first["upload"]
    got = ask("cut", square_of(upload, Square(12, 300, 96)), upload)
    expected = load_image(two_faces()[12:108, 300:396], size=48)
    np.testing.assert_array_equal(got["face"].image, expected)
    assert got["face"].id != first["face"].id  # by which results are remembered
    assert (got["upload"].face, got["upload"].square) == (got["face"], Square(12, 300, 96))
    assert got["strip"]["chosen"] == "own"
    assert got["crop"] == gr.skip()  # the script has moved it already
    assert got["note"] == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": -1},
        {"left": -1},
        {"top": 260 - 95},
        {"left": 460 - 95},
        {"side": 261},
        {"side": 31},  # smaller than the smallest, which is a tenth of 460, and above 24
        {"side": 0},
        {"side": -96},
        {"top": 10**30},
        {"top": float("nan")},
        {"side": float("inf")},
        {"top": 1.5},
        {"top": 12.0},
        {"top": True},
        {"top": None},
        {"top": "12"},
        {"side": [96]},
        {"left": {}},
    ],
    ids=str,
)
def test_what_is_no_square_within_the_picture_is_one_sentence(receive, ask, wrong):
    upload = receive(TWO_FACES)["upload"]
    got = ask("cut", square_of(upload, Square(12, 300, 96)) | wrong, upload)
    assert got["face"] == got["strip"] == got["upload"] == gr.skip()
    assert json.loads(got["crop"])["square"] == asdict(upload.square)  # where it was
    assert got["note"] == (
        "The square has to lie within the picture, and be 46 to 260 of its pixels wide."
    )


def test_squares_at_every_edge_will_do(receive, ask):
    upload = receive(TWO_FACES)["upload"]
    for square in (Square(0, 0, 260), Square(0, 200, 260), Square(214, 414, 46)):
        assert ask("cut", square_of(upload, square), upload)["face"].image.shape == (48, 48)


def test_the_square_of_another_picture_changes_nothing(receive, ask):
    before, upload = receive(TWO_FACES)["upload"], receive(TWO_FACES)["upload"]
    got = ask("cut", square_of(before, Square(0, 0, 260)), upload)
    assert all(value == gr.skip() for value in got.values())


# Back and forth


def test_the_own_face_can_be_chosen_again(receive, ask):
    upload = receive(TWO_FACES)["upload"]
    sample = ask("choose", {"id": "lfw-7"}, upload)
    assert sample["face"].id == "lfw-7"
    assert sample["upload"] == sample["strip"] == gr.skip()  # it stays among the faces
    assert ask("choose", {"id": "own"}, upload)["face"] is upload.face


def test_what_other_tabs_show_leaves_the_own_picture(source):
    """Nothing that shows a sample writes to what holds it."""
    with gr.Blocks() as app:
        controls = create_face_section(source, app.load)
    assert len(controls.show("lfw-7", source)) == len(controls.outputs) == 3
    assert "own" not in controls.show("lfw-7", source)[1]


def test_an_unknown_face_leaves_the_one_that_is_shown(ask):
    for data in ({"id": "<b>nobody</b>"}, {}, [], None, "own"):
        got = ask("choose", data, None)
        assert got["face"] == got["upload"] == gr.skip()
        assert list(got["strip"]) == ["version"]  # the outline goes to where the pictures come from
        assert got["note"].endswith(".")
        assert "nobody" not in got["note"]


@pytest.mark.parametrize(("event", "data"), [("choose", {"id": "own"}), ("cut", {"id": "x", "top": 1})])
def test_a_session_whose_state_is_gone(ask, source, event, data):
    stand_in = replace(first_face(source.offer.faces), stands_in=True)
    got = ask(event, data, None, stand_in)
    assert got["note"] == GONE
    assert got["strip"]["own"] is None
    assert "square" not in json.loads(got["crop"])
    # The grid is to show the face that the session has now, and say so.
    assert got["face"] is not stand_in
    assert got["face"].stands_in
    # One that has a face goes on with it.
    assert ask(event, data, None)["face"] == gr.skip()


# How long it is kept


def test_of_too_many_photos_those_unused_for_longest_go():
    one = load_photo(TWO_FACES)[0].nbytes
    pictures = OwnPictures(max_bytes=2 * one)
    first, second = (pictures.receive(TWO_FACES, "here")[0] for _ in range(2))
    square = asdict(Square(0, 0, 260))
    assert pictures.cut(first, square) is not None  # now the second was unused for longer
    third = pictures.receive(TWO_FACES, "here")[0]
    assert [pictures.cut(upload, square) is None for upload in (first, second, third)] == [
        False,
        True,
        False,
    ]


def test_who_has_most_photos_makes_room_and_nobody_else():
    one = load_photo(TWO_FACES)[0].nbytes
    pictures = OwnPictures(max_bytes=2 * one)
    quiet, *_ = pictures.receive(TWO_FACES, "there")
    many = [pictures.receive(TWO_FACES, "here")[0] for _ in range(3)]
    square = asdict(Square(0, 0, 260))
    assert pictures.cut(quiet, square) is not None
    assert [pictures.cut(upload, square) is None for upload in many] == [True, True, False]


def test_without_its_photo_a_picture_keeps_its_face(receive, ask, monkeypatch):
    upload = receive(TWO_FACES)["upload"]
    monkeypatch.setattr(OwnPictures, "_find", lambda *_: None)
    got = ask("cut", square_of(upload, Square(0, 0, 260)), upload)
    assert got["note"] == GONE
    assert "square" not in json.loads(got["crop"])
    assert got["face"] == got["strip"] == got["upload"] == gr.skip()
    assert ask("choose", {"id": "own"}, upload)["face"] is upload.face


def test_a_photo_goes_with_its_session():
    pictures = OwnPictures()
    upload, *_ = pictures.receive(TWO_FACES, "here")
    moved = pictures.cut(upload, asdict(Square(0, 0, 260)))
    del upload
    gc.collect()
    assert len(pictures._photos) == 1
    del moved
    gc.collect()
    assert len(pictures._photos) == 0


def test_what_a_session_holds_is_small(receive):
    held = receive(TWO_FACES)["upload"]
    assert held.face.image.nbytes < 10_000
    assert set(vars(held.place)) == {"address"}


def test_the_file_of_a_used_picture_is_not_kept_for_a_square(receive, ask, tmp_path):
    upload = receive(TWO_FACES)["upload"]
    for file in [path for path in Path(tmp_path).rglob("*") if path.is_file()]:
        file.unlink()
    assert ask("cut", square_of(upload, Square(0, 0, 260)), upload)["note"] == ""
