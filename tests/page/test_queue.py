"""Who waits for whom: the running page, with sweeps that take as long as the test lets them."""

import contextlib
import sys
import threading
import time
import urllib.error
from types import SimpleNamespace

import pytest

from denoiser.denoisers.own_model import OWN_MODEL, OwnModel
from denoiser.faces.samples import bundled_faces
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.page import build_app
from denoiser.ui.server import queue as queue_module
from denoiser.ui.server.queue import JOB_PLACES_EACH, in_turn
from denoiser.ui.sweep import job as sweep_job
from tests.onnx_models import mean_filter
from tests.visitors import Page, Visitor, served

pytestmark = pytest.mark.timeout(300)


def wait_until(is_so, seconds=60):
    """Wait until something is so; the test fails if it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


class Sweeps:
    """Counts the points that the page's sweeps compute, and holds them back."""

    def __init__(self, original):
        self.points = 0
        self.free = threading.Event()
        self.free.set()
        self._original = original

    def __call__(self, *arguments, **options):
        for point in self._original(*arguments, **options):
            assert self.free.wait(120)
            time.sleep(0.02)
            self.points += 1
            yield point

    def stand_still(self, seconds=3):
        """Whether none is computed for so long."""
        before = self.points
        time.sleep(seconds)
        return self.points == before


@pytest.fixture(scope="module")
def lab():
    """The page, served by this process."""
    with pytest.MonkeyPatch.context() as patch:
        sweeps = Sweeps(sweep_job.sweep_noises)
        patch.setattr(sweep_job, "sweep_noises", sweeps)
        app = build_app(FaceSource(Offer(bundled_faces(), "Faces for tests")))
        with served(app) as url:
            yield SimpleNamespace(page=Page(url), sweeps=sweeps, queue=app._queue)
            sweeps.free.set()


@pytest.fixture
def sweeps(lab):
    """Its sweeps; at the end, none is left."""
    lab.sweeps.free.set()
    yield lab.sweeps
    lab.sweeps.free.set()
    wait_until(lambda: lab.sweeps.stand_still(1))


class Following:
    """What the server says to a session about its sweeps, in its order."""

    def __init__(self, visitor):
        self.said = []  # event's id, state and sentence
        self._visitor = visitor
        self.over = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def of(self, event_id):
        return [said for event, *said in self.said if event == event_id]

    def _read(self):
        for message in self._visitor.listen():
            for output in (message.get("output") or {}).get("data") or []:
                if isinstance(output, dict) and "state" in output.get("value", output):
                    value = output.get("value", output)
                    self.said.append((message["event_id"], value["state"], value["text"]))
        self.over.set()


@pytest.mark.slow
def test_others_do_not_wait_for_sweeps(lab, sweeps):
    sweeps.free.clear()  # none of them gets anywhere
    for _ in range(64):
        visitor = Visitor(lab.page)
        with contextlib.suppress(urllib.error.HTTPError):
            visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    before = sweeps.points
    for other in [Visitor(lab.page) for _ in range(3)]:
        other.pick_face()
        assert "cropped" in other.upload_face()[-1].lower()
        assert any(other.look_inside())
    assert sweeps.points == before


@pytest.mark.slow
def test_nobody_computes_for_a_visitor_who_never_listened(lab, sweeps):
    visitor = Visitor(lab.page)
    visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    wait_until(lambda: sweeps.points > 0)
    wait_until(sweeps.stand_still, 60)
    assert sweeps.points < 33 * 8


def test_nobody_computes_for_a_visitor_who_has_left(lab, sweeps):
    visitor = Visitor(lab.page)
    visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    messages = visitor.listen()
    start = sweeps.points
    while sweeps.points < start + 3:
        next(messages)
    messages.close()
    wait_until(sweeps.stand_still, 60)
    assert sweeps.points - start < 33 * 8


def test_cancel_stops_it_and_says_so(lab, sweeps):
    visitor = Visitor(lab.page)
    event = visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    following = Following(visitor)
    wait_until(lambda: ["running", "Computing."] in following.of(event))
    visitor.run(lab.page.event("sweep-cancel", "click"))
    assert following.over.wait(60)
    assert following.of(event)[-1][0] == "stopped"
    wait_until(lambda: sweeps.stand_still(1))


def test_the_newest_replaces_the_older(lab, sweeps):
    visitor = Visitor(lab.page)
    older = visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    following = Following(visitor)
    wait_until(lambda: following.of(older))
    newer = visitor.join(visitor.sweep_event())
    assert following.over.wait(60)
    assert following.of(newer)[-1] == ["done", "Done."]
    assert following.said[-1][0] == newer  # the older one is silent
    assert "done" not in [state for state, _ in following.of(older)]


def test_the_same_again_lets_it_go_on(lab, sweeps):
    visitor = Visitor(lab.page)
    chosen = {"sweep_places": 17}
    first = visitor.join(visitor.sweep_event(), **chosen)
    following = Following(visitor)
    wait_until(lambda: following.of(first))
    again = visitor.join(visitor.sweep_event(), **chosen)
    assert following.over.wait(60)
    assert following.of(first)[-1] == ["done", "Done."]
    assert following.of(again) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no such models")
def test_nobody_waits_for_another_s_own_model(lab, sweeps, monkeypatch):
    asked, free = threading.Event(), threading.Event()
    owner, other = Visitor(lab.page), Visitor(lab.page)
    file = owner.upload(mean_filter(), "net.onnx")
    added = owner.ask(lab.page.event("own-file", "upload"), own_file=file)
    assert added[2][-1] == OWN_MODEL

    def hang(self, noisy, sigma):
        asked.set()
        assert free.wait(120)
        return noisy

    monkeypatch.setattr(OwnModel, "_denoise", hang)
    try:
        with_own = owner.join(owner.sweep_event(), **owner.sweep_of(["median", OWN_MODEL]))
        following = Following(owner)
        assert asked.wait(60)
        others = other.join(other.sweep_event(), **other.sweep_of(["median"]))
        beside = Following(other)
        assert beside.over.wait(60)
        assert beside.of(others)[-1] == ["done", "Done."]
        # The session's next one takes its place, though they are computed apart.
        without = owner.join(owner.sweep_event(), **owner.sweep_of(["median"]))
        assert following.over.wait(60)
        assert following.said[-1] == (without, "done", "Done.")
        assert {state for state, _ in following.of(with_own)} == {"running"}
    finally:
        free.set()


def test_a_full_scheduler_is_one_sentence_in_the_page(lab, sweeps, monkeypatch):
    monkeypatch.setattr(queue_module, "NOBODY_SECONDS", 1_000)  # those that nobody listens to stay
    sweeps.free.clear()
    for _ in range(JOB_PLACES_EACH):
        visitor = Visitor(lab.page)
        visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    visitor = Visitor(lab.page)
    event = visitor.join(visitor.sweep_event(), **visitor.full_sweep())
    following = Following(visitor)
    assert following.over.wait(60)
    state, text = following.of(event)[-1]
    assert (state, text.count(".")) == ("error", 1)
    assert "try again" in text


def test_what_waits_is_in_turn_between_senders():
    waiting = ["a1", "a2", "a3", "b1", "a4", "b2", "c1"]
    assert in_turn(waiting, lambda name: name[0]) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_one_address_cannot_fill_the_queue(lab, sweeps, monkeypatch):
    """What waits from one address is limited, and another address has room, and the next turn."""
    monkeypatch.setenv("SPACE_ID", "somebody/lab")  # so that the test can say where it comes from
    event = lab.page.event("faces", "select")
    taken = lab.queue.event_queue_per_concurrency_id
    refused = []
    monkeypatch.setattr(queue_module, "WAITING_EACH", 5)
    monkeypatch.setattr(lab.queue, "active_jobs", [])  # nothing is begun
    greedy = [Visitor(lab.page, {"X-Forwarded-For": "192.0.2.1"}) for _ in range(8)]
    for visitor in greedy:
        try:
            visitor.join(event, {"id": "none"})
        except urllib.error.HTTPError as error:
            refused.append((error.code, error.read()))
    assert len(refused) == 3
    assert all(code == 503 and b"try again in a minute" in said for code, said in refused)
    other = Visitor(lab.page, {"X-Forwarded-For": "192.0.2.2"})
    mine = other.join(event, {"id": "none"})
    (waiting,) = (queue.queue for queue in taken.values() if queue.queue)
    assert [e._id for e in waiting].index(mine) == 1
    waiting.clear()
