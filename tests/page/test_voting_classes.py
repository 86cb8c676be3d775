"""Class mode over HTTP, as a script would use it: what one address can take, and what a school can."""

import os

import pytest

from denoiser.analysis.blind_test import ROUNDS
from denoiser.faces.samples import bundled_faces
from denoiser.ui.blind import voting_classes as classes_module
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.page import build_app
from tests.visitors import Page, Visitor, served

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def page():
    """A page that takes itself for a Space's, so that a test can say where a visitor is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes_module, "SECONDS_EACH_GUESS", 3600)  # none comes back during a test
        app = build_app(FaceSource(Offer(bundled_faces(), "Faces for tests")))
        with served(app) as url:
            patch.setitem(os.environ, "SPACE_ID", "somebody/lab")
            yield Page(url)


def at(last):
    return {"X-Forwarded-For": f"192.0.2.{last}"}


def test_a_script_does_not_take_all_classes(page):
    own = Visitor(page, at(1)).open_class()
    made = [
        Visitor(page, {"X-Forwarded-For": f"10.0.0.{n}, 192.0.2.66"}).open_class() for n in range(12)
    ]
    assert all(len(panel["code"]) == 6 for panel in made)
    # Joined from elsewhere, as guesses of the same script would be slowed.
    alive = [Visitor(page, at(2)).join_class(panel["code"]).get("code") for panel in made]
    assert [code for code in alive if code] == [p["code"] for p in made[-3:]]
    assert Visitor(page, at(3)).join_class(own["code"])["code"] == own["code"]
    assert Visitor(page, at(4)).open_class()["code"]


def test_a_script_guesses_no_more_than_a_class_mistypes(page):
    own = Visitor(page, at(10)).open_class()
    script = Visitor(page, at(11))
    said = [script.join_class("NOSUCH")["said"] for _ in range(classes_module.GUESSES_AT_ONCE + 5)]
    assert ["wait a minute" in sentence for sentence in said[-6:]] == [False, *[True] * 5]
    assert "wait a minute" in script.join_class(own["code"])["said"]  # a right guess would tell
    assert Visitor(page, at(12)).join_class(own["code"])["code"] == own["code"]


def test_one_session_s_votes_count_once_in_each_round(page):
    teacher = Visitor(page, at(20))
    own = teacher.open_class()
    pupil = Visitor(page, at(21))
    board = pupil.join_class(own["code"])["board"]
    notes = []
    while board["phase"] == "round":
        board = pupil.vote(board["token"])
        notes.append(board["note"])
    assert len(notes) == ROUNDS
    panel = teacher.join_class(own["key"])
    quick = sum("Too quick" in note for note in notes)
    assert panel["votes"] == ROUNDS - quick
