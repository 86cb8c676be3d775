"""Class mode over HTTP, as a script would use it: what one address can take, and what a school can."""

import base64
import os
import time

import pytest

from denoiser.analysis.blind_test import ROUNDS
from denoiser.faces.samples import bundled_faces
from denoiser.ui.blind import voting_classes as classes_module
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.page import build_app
from tests.visitors import PATIENCE, Page, Visitor, served

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


def test_results_are_nobody_s_before_the_teacher_reveals_them(page):
    teacher = Visitor(page, at(30))
    own = teacher.open_class()
    assert (own["joined"], own["answered"], own["votes"]) == (0, 0, 0)
    pupil, silent = Visitor(page, at(31)), Visitor(page, at(32))
    pupil.vote(pupil.join_class(own["code"])["board"]["token"])
    silent.join_class(own["code"])
    own = teacher.look_at_class()
    assert (own["joined"], own["answered"], own["votes"]) == (2, 1, 1)

    # Nor by who asks for them without being the teacher, in no class or as a pupil.
    outcome = {"headline", "plain", "standings", "agreements", "notes"}
    for visitor in (Visitor(page, at(33)), pupil):
        assert visitor.reveal_class(True) == {}
        assert visitor.save_class() == {}
    assert teacher.save_class() == {}
    assert not own["revealed"]
    for visitor in (teacher, pupil):
        assert outcome.isdisjoint(visitor.look_at_class())
    assert {"joined", "votes", "key", "link"}.isdisjoint(pupil.look_at_class())

    shown = teacher.reveal_class(True)
    assert shown["standings"]
    assert pupil.look_at_class()["headline"] == shown["headline"]
    assert pupil.save_class() == {}
    file = teacher.save_class()
    assert file["name"] == f"class-{own['code']}.csv"
    assert base64.b64decode(file["data"]).decode().startswith("id,label,rank")
    assert "key" not in pupil.look_at_class()
    assert pupil.reveal_class(False) == {}

    for said in (False, "yes", None, {}):  # only a plain yes reveals
        assert outcome.isdisjoint(teacher.reveal_class(said))
    assert outcome.isdisjoint(pupil.look_at_class())


def test_a_teacher_who_comes_back_finds_the_class_as_it_was(page):
    teacher = Visitor(page, at(40))
    own = teacher.open_class()
    teacher.reveal_class(True)
    back = Visitor(page, at(41)).join_class(own["key"])
    assert (back["code"], back["revealed"]) == (own["code"], True)


def test_who_is_gone_without_a_vote_is_no_longer_counted(page):
    teacher = Visitor(page, at(50))
    own = teacher.open_class()
    voter, closes, leaves = (Visitor(page, at(51)) for _ in range(3))
    with voter.open_page():
        voter.vote(voter.join_class(own["code"])["board"]["token"])
    with closes.open_page():
        closes.join_class(own["code"])
        assert teacher.look_at_class()["joined"] == 2
    deadline = time.monotonic() + PATIENCE
    while teacher.look_at_class()["joined"] > 1:  # the server hears of it a moment later
        assert time.monotonic() < deadline
        time.sleep(0.1)
    leaves.join_class(own["code"])
    assert teacher.look_at_class()["joined"] == 2
    leaves.run(page.event("class-leave", "click"))
    assert (teacher.look_at_class()["joined"], teacher.look_at_class()["answered"]) == (1, 1)
