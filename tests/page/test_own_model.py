"""A model of a visitor's own on the page: where it takes part, and that no other session has it."""

import copy
import gc
import json
import weakref
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from denoiser.analysis.leaderboard import CONDITIONS, FACES, Score, pick_faces, score
from denoiser.analysis.results import NOISY
from denoiser.denoisers.confined.processes import ModelStoppedError, OwnModelError
from denoiser.denoisers.onnx_file import read_onnx
from denoiser.denoisers.own_model import OWN_MODEL, OwnModel
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment
from denoiser.ui.blind.session import BlindTestError, describe_labels, make_round_comparer
from denoiser.ui.compare.payload import live_payload, own_payload, slow_payload
from denoiser.ui.experiment import own_model as section
from denoiser.ui.experiment.costs import plan_methods
from denoiser.ui.experiment.face_source import FaceSource, Offer, first_face
from denoiser.ui.experiment.leaderboard import (
    MOST_ROWS,
    Entry,
    OurScores,
    describe_gap,
    score_beside,
    table_value,
)
from denoiser.ui.experiment.link_format import read_link, write_link
from denoiser.ui.experiment.own_model import OwnModels, connect_own, create_own_section
from denoiser.ui.experiment.run import (
    describe_methods,
    experiment_key,
    in_form,
    run_methods,
    without_own,
)
from denoiser.ui.sweep.job import create_job, parse_choice
from tests.doubles import session_request
from tests.onnx_models import mean_filter

METHODS = ("median", OWN_MODEL)


@pytest.fixture(scope="module")
def own() -> OwnModel:
    return read_onnx(mean_filter())


@pytest.fixture(scope="module")
def source() -> FaceSource:
    return FaceSource(Offer(bundled_faces(), "bundled"))


@pytest.fixture(scope="module")
def shown_face(source):
    return first_face(source.offer.faces)


@pytest.fixture
def experiment(own):
    return Experiment(methods=METHODS, own=own)


@pytest.fixture
def broken(own, monkeypatch):
    """A model whose process ends at every picture."""

    def run(recipe, picture):
        raise ModelStoppedError("The model was stopped: it broke down.")

    model = read_onnx(mean_filter())
    monkeypatch.setattr(model, "_pool", SimpleNamespace(run=run))
    return model


def cards(payload):
    return {card["id"]: card for card in payload["cards"]}


def test_it_follows_the_live_methods(shown_face, experiment):
    live = live_payload(shown_face, experiment, describe_methods(), 1)
    assert cards(live)[OWN_MODEL]["pending"]
    assert "psnr" in cards(live)["median"]
    slow = slow_payload(shown_face, experiment, describe_methods(), 2)
    assert slow["cards"] == []  # ours do not wait for it
    followed = own_payload(shown_face, experiment, 3)
    assert followed["key"] == live["key"] == slow["key"]
    (card,) = followed["cards"]
    assert card["psnr"].endswith(" dB")
    assert card["kind"] == "Brought along, 0 k weights"


def test_it_runs_at_every_size_and_in_colour(experiment):
    from denoiser.faces.samples import ASTRONAUT, get_sample
    from denoiser.ui.experiment.face_source import sample_face

    astronaut = sample_face(get_sample(bundled_faces(), ASTRONAUT))
    for size, colour in ((48, True), (96, False), (128, True)):
        large = in_form(experiment, size, colour)
        assert OWN_MODEL in large.methods
        (card,) = own_payload(astronaut, large, 1)["cards"]
        assert "error" not in card


def test_a_slow_one_is_not_run_where_it_takes_too_long(shown_face, experiment, own, monkeypatch):
    monkeypatch.setattr(own, "info", replace(own.info, milliseconds=501.0))
    live = live_payload(shown_face, experiment, describe_methods(), 1)
    assert "takes too long" in cards(live)[OWN_MODEL]["error"].lower()
    assert own_payload(shown_face, experiment, 2)["cards"] == []
    planned = plan_methods(shown_face, experiment, describe_methods() | {OWN_MODEL: own.info})
    assert OWN_MODEL in planned.refused


def test_one_that_fails_stops_no_other(shown_face, experiment, broken):
    outcome = run_methods(shown_face, replace(experiment, own=broken), METHODS)
    assert "median" in outcome.comparison
    assert "stopped" in outcome.available.failures[OWN_MODEL]
    (card,) = own_payload(shown_face, replace(experiment, own=broken), 1)["cards"]
    assert card["error"].endswith("once more.")


def test_one_that_is_gone_says_so(shown_face, experiment):
    lost = replace(experiment, own=None)
    live = live_payload(shown_face, lost, describe_methods(), 1)
    assert cards(live)[OWN_MODEL]["pending"]
    (card,) = own_payload(shown_face, lost, 2)["cards"]
    assert "add it again" in card["error"]


def test_results_of_one_model_are_not_taken_for_another_s(shown_face, experiment):
    other = read_onnx(mean_filter(channels=3))
    assert experiment_key(shown_face, experiment) != experiment_key(
        shown_face, replace(experiment, own=other)
    )
    assert experiment.own is not None
    same = read_onnx(mean_filter())
    assert experiment_key(shown_face, experiment) == experiment_key(
        shown_face, replace(experiment, own=same)
    )


# Links and endpoints


def test_it_is_in_no_link(experiment):
    link = write_link(replace(experiment, sample="lfw-1"))
    assert OWN_MODEL not in link
    assert "methods=median&" in link
    alone = write_link(replace(experiment, methods=(OWN_MODEL,)))
    assert "methods=none" in alone
    read = read_link(f"?methods=median,{OWN_MODEL}")
    assert read.experiment.methods == ("median",)
    assert read.problems == ("one of its methods is unknown",)


def test_no_endpoint_knows_it(source, own):
    from denoiser.ui.api.endpoints import _check_denoisers

    with pytest.raises(ValueError, match="Unknown denoiser"):
        _check_denoisers([OWN_MODEL])


def test_other_tabs_do_without_it(experiment):
    assert without_own(experiment).methods == ("median",)
    assert without_own(experiment).own is None


# The section


@pytest.fixture
def page(monkeypatch, tmp_path) -> SimpleNamespace:
    """The section's events by the names of their functions, and its models."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with gr.Blocks() as app:
        own = create_own_section(app.unload)
        connect_own(own, gr.CheckboxGroup(["median"]), gr.Column())
    events = {event.name: event.fn for event in app.fns.values()}

    def upload(content: bytes, session: str = "mine", name: str = "net.onnx", shown: Any = None):
        file = tmp_path / ("a" * 32) / ("b" * 64) / "net.onnx"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        (tmp_path / ("a" * 32) / "owner").unlink(missing_ok=True)
        sent = {"path": str(file), "orig_name": name}
        request = session_request(session)
        answer = events["add_file"](sent, ["median"] if shown is None else shown, request)
        return dict(zip(("file", "handle", "chosen", "board", "note"), answer, strict=True))

    return SimpleNamespace(events=events, models=own.models, upload=upload, folder=tmp_path)


def test_a_file_is_added_and_chosen(page):
    made = page.upload(mean_filter())
    assert made["file"] is None
    assert made["chosen"] == ["median", OWN_MODEL]
    assert made["note"]["present"]
    assert "net.onnx" in made["note"]["text"]
    assert isinstance(page.models.find(made["handle"]), OwnModel)
    again = page.upload(mean_filter(3), shown=made["chosen"])
    assert again["chosen"] == ["median", OWN_MODEL]
    assert page.models.find(made["handle"]) is None  # the newer one is in its place


def test_a_file_that_is_refused_changes_nothing(page):
    before = page.upload(mean_filter())
    made = page.upload(b"no model")
    assert made["note"]["error"] == "The file is no ONNX model."
    assert made["handle"] == made["chosen"] == gr.skip()
    assert page.models.find(before["handle"]) is not None


def test_a_slow_one_is_refused_when_it_is_added(page, own, monkeypatch):
    slow = copy.copy(own)
    slow.info = replace(own.info, milliseconds=501.0)
    monkeypatch.setattr(section, "read_onnx", lambda data: slow)
    made = page.upload(mean_filter())
    assert made["note"]["error"] == "The model takes 501 ms for 48x48 pixels, and may take 500."
    assert made["handle"] == made["chosen"] == gr.skip()
    slow.info = replace(own.info, milliseconds=499.0)
    assert page.upload(mean_filter())["note"]["present"]


def test_removing_it_forgets_it(page):
    handle = page.upload(mean_filter())["handle"]
    state, chosen, _, note = page.events["remove"](["median", OWN_MODEL], session_request("mine"))
    assert state is None
    assert chosen == ["median"]
    assert not note.get("present")
    assert page.models.find(handle) is None


def test_a_session_has_its_own_model_only(page):
    mine = page.upload(mean_filter(), "mine")["handle"]
    other = page.upload(mean_filter(3), "other")["handle"]
    assert page.models.find(mine).info.colour is False
    assert page.models.find(other).info.colour is True
    # Whoever guesses the id of another's session has no handle, and a handle comes from no browser.
    assert page.models.find(None) is None
    assert page.models.find(section.OwnHandle("mine", "guessed", "x")) is None
    page.events["remove"]([], session_request("other"))
    assert page.models.find(mine) is not None


def test_another_session_s_file_is_refused(page):
    page.upload(mean_filter(), "mine")
    file = next(page.folder.glob("*/*/net.onnx"))
    answer = page.events["add_file"]({"path": str(file)}, [], session_request("other"))
    assert answer[-1]["error"] == section._LOST
    for path in ("/etc/passwd", str(page.folder / "x.onnx"), "../x", None, 3):
        answer = page.events["add_file"]({"path": path}, [], session_request("mine"))
        assert answer[-1]["error"] == section._LOST


@pytest.mark.parametrize("shown", [None, 3, "median", [None, {"a": 1}, ["b"], "median"]])
def test_what_else_a_browser_sends_does_no_harm(page, shown):
    request = session_request("mine")
    for address in (None, 3, [], "x" * 10**6, "a/b@c"):
        assert "COMMIT" in page.events["add_network"](address, shown, request)[-1]["error"]
    _, chosen, *_ = page.events["remove"](shown, request)
    assert set(chosen) <= {"median"}
    name = "../" * 50 + "<img src=x>" + "y" * 100
    assert len(page.upload(mean_filter(), name=name)["handle"].name) <= 40
    assert page.upload(mean_filter(), name=3)["handle"].name == "Your file"


def test_few_bytes_are_kept_of_all_sessions(monkeypatch, own):
    monkeypatch.setattr(section, "KEPT_BYTES", 2 * own.nbytes)
    models = OwnModels()
    handles = [models.keep(f"session {n}", "here", "x", own) for n in range(3)]
    assert [models.find(handle) is None for handle in handles] == [True, False, False]


def test_no_state_of_a_session_keeps_more(source, shown_face):
    """A sweep and a blind test that are on show hold the model, and not its 32 MB."""
    models = OwnModels()
    handle = models.keep("mine", "here", "x", read_onnx(mean_filter()))
    lent = models.find(handle)
    experiment = Experiment(methods=METHODS, own=lent)
    choice = parse_choice("sweep", list(METHODS), "0:sigma", 9, 1, 8, experiment)
    job = create_job(shown_face, experiment, choice)
    recipe = weakref.ref(lent._find())
    lent._pool.close()  # which keeps it for a minute
    models.forget("mine")
    gc.collect()
    assert recipe() is None
    with pytest.raises(OwnModelError, match="add it again"):
        list(job.run())
    (card,) = own_payload(shown_face, experiment, 1)["cards"]
    assert "add it again" in card["error"]
    assert lent.lend()._find() is None


# Sweep and blind test


def test_a_sweep_draws_it(shown_face, experiment):
    choice = parse_choice("sweep", list(METHODS), "0:sigma", 9, 1, 8, experiment)
    assert choice.methods == METHODS
    job = create_job(shown_face, experiment, choice)
    point = next(iter(job.run()))
    assert set(point.psnr) == {NOISY, *METHODS}
    assert job.labels[OWN_MODEL] == "Your own model"


def test_a_sweep_without_it_says_why(shown_face, experiment):
    lost = replace(experiment, own=None)
    job = create_job(shown_face, lost, parse_choice("sweep", list(METHODS), "0:sigma", 9, 1, 8, lost))
    assert OWN_MODEL not in job.labels
    assert any("add it again" in note for note in job.notes)


def test_a_sweep_ends_where_it_fails(shown_face, experiment, broken):
    failing = replace(experiment, own=broken)
    choice = parse_choice("sweep", list(METHODS), "0:sigma", 9, 1, 8, failing)
    job = create_job(shown_face, failing, choice)
    with pytest.raises(OwnModelError, match="stopped"):
        list(job.run())


def test_an_assumed_strength_needs_filters_beside_it(shown_face, experiment):
    choice = parse_choice("assumed", [OWN_MODEL], "0:sigma", 9, 1, 8, experiment)
    job = create_job(shown_face, experiment, choice)
    assert OWN_MODEL in job.flat
    assert "nl-means" in job.labels


def test_a_blind_test_shows_it(source, own):
    from denoiser.analysis.blind_test import Round, Setup

    setup = Setup(("median", "nl-means", OWN_MODEL), own=own)
    one = Round(setup.pool, "lfw-3", GaussianNoise(), 1)
    assert OWN_MODEL in make_round_comparer(source, setup)(one)
    with pytest.raises(BlindTestError, match="add it again"):
        make_round_comparer(source, replace(setup, own=None))(one)
    assert describe_labels(describe_methods(), setup)[OWN_MODEL] == "Your own model"


# The leaderboard


def test_it_is_scored_as_the_benchmark_scores(source):
    from train.evaluation import score as evaluation

    assert dict(CONDITIONS) == {name: evaluation.CONDITIONS[name] for name in CONDITIONS}
    faces = pick_faces(source.offer.faces)
    assert len(faces) == FACES
    assert len({seed for _, seed in faces}) == FACES
    for face, row in faces:
        index = list(source.offer.faces.rows).index(row)
        assert np.array_equal(np.rint(face * 255), source.offer.faces.images[index])


def last(steps):
    return [step for step in steps if step is not None][-1]


@pytest.fixture
def quick(monkeypatch):
    """Few faces and methods."""
    monkeypatch.setattr("denoiser.analysis.leaderboard.FACES", 3)
    monkeypatch.setattr("denoiser.ui.experiment.leaderboard.RIVALS", ("median", "nl-means"))


def test_it_stands_beside_ours(source, own, quick):
    ours = OurScores()
    steps = list(score_beside(own, "net.onnx", source.offer.faces, ours, ()))
    end = last(steps)
    assert end.done == end.total == 3 * 5 * 4
    assert set(end.ours) == {NOISY, "median", "nl-means"}
    table = table_value(end.entries, end.ours)
    names = [row[0]["text"] for row in table["rows"]]
    assert set(names) == {"Your own: net.onnx", "Median 3x3", "Non-local means", "Noisy picture"}
    means = [row[1]["sort"] for row in table["rows"]]
    assert means == sorted(means, reverse=True)
    assert all(len(row) == len(table["columns"]) == 8 for row in table["rows"])
    expected = last(score(create_denoiser("median"), pick_faces(source.offer.faces)))
    assert end.ours["median"] == expected
    json.dumps(table)
    assert describe_gap(end.entries[-1], end.ours).startswith("net.onnx ")
    # Ours are scored once.
    again = last(score_beside(own, "again.onnx", source.offer.faces, ours, end.entries))
    assert again.total == 3 * 5
    assert [entry.name for entry in again.entries] == ["again.onnx"]  # the same model


def test_a_session_keeps_its_last_rows(source, own, quick):
    which = last(score_beside(own, "x", source.offer.faces, OurScores(), ())).entries[0]
    older = tuple(replace(which, key=str(n), name=str(n)) for n in range(MOST_ROWS + 3))
    elsewhere = replace(which, key="y", faces="other faces")
    end = last(score_beside(own, "new", source.offer.faces, OurScores(), (elsewhere, *older)))
    assert len(end.entries) == MOST_ROWS
    assert end.entries[-1].name == "new"
    assert "other faces" not in {entry.faces for entry in end.entries}


def test_one_that_fails_is_not_scored(source, broken, quick):
    with pytest.raises(OwnModelError, match="stopped"):
        list(score_beside(broken, "x", source.offer.faces, OurScores(), ()))


def test_scoring_ends_where_it_takes_too_long_in_all(source, own, quick, monkeypatch):
    runs = []

    def run(recipe, picture):
        runs.append(recipe)
        return picture, 400.0

    model = own.lend()
    monkeypatch.setattr(model, "_pool", SimpleNamespace(run=run))
    monkeypatch.setattr("denoiser.ui.experiment.leaderboard.LONGEST_SECONDS", 3)
    with pytest.raises(OwnModelError, match="3 s in all") as caught:
        list(score_beside(model, "x", source.offer.faces, OurScores(), ()))
    assert str(caught.value).count(".") == 1
    assert len(runs) == 8  # of 15
    monkeypatch.setattr("denoiser.ui.experiment.leaderboard.LONGEST_SECONDS", 7)
    last(score_beside(model, "x", source.offer.faces, OurScores(), ()))  # counted anew


def test_a_gap_is_said_in_a_sentence():
    one = Score({"a": (20.0, 21.0, 22.0), "b": (30.0, 31.0, 33.0)}, {})
    other = Score({"a": (19.0, 20.0, 21.0), "b": (29.0, 30.0, 31.0)}, {})
    entry = Entry("k", "net", "faces", one)
    assert "net is 1.17 dB ahead of Median 3x3" in describe_gap(entry, {"median": other})
    behind = describe_gap(replace(entry, score=other), {NOISY: one, "median": one})
    assert "net is 1.17 dB behind Median 3x3" in behind
    equal = replace(one, psnr={**one.psnr, "a": (21.0, 20.0, 22.0)})
    assert "luck" in describe_gap(entry, {"median": equal})
    assert describe_gap(entry, {"median": one}).endswith("score the same.")
    assert describe_gap(entry, {NOISY: one}) == "Scored."
