"""The blind test: drawing rounds, counting votes, and what the server tells the page."""

import csv
import io
import itertools
import json
import math
import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from denoiser.analysis.blind_test import (
    EYE,
    MEASURES,
    PHOTOGRAPH,
    ROUNDS,
    Round,
    Scores,
    Setup,
    Tally,
    Vote,
    agree,
    draw_rounds,
    favourites,
    is_more_than_luck,
    rank,
    tally_csv,
)
from denoiser.analysis.results import CLEAN
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces
from denoiser.noise import GaussianNoise, PoissonNoise
from denoiser.pipeline import Experiment
from denoiser.ui.blind import voting_classes as classes_module
from denoiser.ui.blind.session import (
    PHOTOGRAPH_LABEL,
    BlindSession,
    BlindTestError,
    describe_labels,
    keep_usable,
    make_round_comparer,
    tally_view,
)
from denoiser.ui.blind.tab import parse_setup
from denoiser.ui.blind.voting_classes import VotingClass, VotingClassError, VotingClasses
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.experiment.run import describe_methods
from denoiser.weights.checkpoint import WeightsError

POOL = ("median", "gaussian-filter", "bilateral", "total-variation", "wavelet")
LABELS = {method: method.upper() for method in POOL}
FACES = tuple(f"lfw-{row}" for row in range(ROUNDS))
AS_PICKED = dict.fromkeys(MEASURES, "a")


def draw(setup=Setup(POOL), faces=FACES, seed=0, **others):  # noqa: B008 (frozen)
    return draw_rounds(setup, faces, np.random.default_rng(seed), **others)


def add_up(*votes):
    tally = Tally()
    for vote in votes:
        tally = tally.add(vote)
    return tally


HERE = "192.0.2.1"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def source():
    return FaceSource(Offer(bundled_faces(), "Faces for tests"))


@pytest.fixture
def blind_session(source):
    return create_session(source)


def create_session(source, voting_class=None, seed=0):
    setup = Setup(POOL)
    voter = None if voting_class is None else voting_class.voter(f"session-{seed}", HERE)
    return BlindSession(setup, draw(setup, seed=seed), make_round_comparer(source, setup), LABELS, voter)


@pytest.fixture
def patient(monkeypatch):
    """Lets people vote as quickly as a test does."""
    monkeypatch.setattr(classes_module, "SECONDS_EACH_PICK", 1e-9)


def finish(blind_session, picture=1):
    """Pick the same place in every round; return the results."""
    view = blind_session.view()
    while view["phase"] == "round":
        view = blind_session.vote(view["token"], picture)
    return view


# Drawing


@pytest.mark.parametrize("size", [3, 4, 5, 6, 7, 11])
@pytest.mark.parametrize("seed", range(3))
def test_every_method_is_shown_about_equally_often(size, seed):
    pool = tuple("abcdefghijk"[:size])
    rounds = draw(Setup(pool), seed=seed)
    assert len(rounds) == ROUNDS
    assert all(len(set(r.methods)) == 3 for r in rounds)
    shown = Counter(method for r in rounds for method in r.methods)
    counts = [shown[method] for method in pool]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_of_five_methods_every_three_meet_once(seed):
    rounds = draw(seed=seed)
    assert {frozenset(r.methods) for r in rounds} == set(map(frozenset, itertools.combinations(POOL, 3)))


def test_the_order_within_a_round_is_shuffled():
    places = Counter(
        draw(seed=seed)[0].methods.index("median")
        for seed in range(60)
        if "median" in draw(seed=seed)[0].methods
    )
    assert set(places) == {0, 1, 2}


def test_noise_varies_in_kind_and_strength_unless_it_is_fixed():
    varied = [r.noise for r in draw()]
    assert set(Counter(noise.id for noise in varied).values()) == {2}
    assert len(set(varied)) == ROUNDS
    fixed = GaussianNoise(0.1)
    rounds = draw(Setup(POOL, fixed))
    assert {r.noise for r in rounds} == {fixed}
    assert len({r.seed for r in rounds}) == ROUNDS


def test_faces_come_again_only_when_there_are_too_few():
    assert len({r.face for r in draw()}) == ROUNDS
    assert set(Counter(r.face for r in draw(faces=("x", "y"))).values()) == {5}


@pytest.mark.parametrize(
    ("pool", "faces"), [(("a", "b"), FACES), (("a", "b", "b"), FACES), (("a", "b", "c"), ())]
)
def test_what_makes_no_test(pool, faces):
    with pytest.raises(ValueError, match="at least"):
        draw(Setup(pool), faces)


# Counting


def test_measures_pick_the_best_and_sharpness_the_nearest_to_one():
    picked = favourites(
        ["a", "b", "c"], [Scores(30, 0.8, 0.5), Scores(28, 0.9, 1.6), Scores(20, math.nan, 3.0)]
    )
    # 1.6 is nearer to 1 than 0.5 on a scale where half and twice are equally far.
    assert picked == {"psnr": "a", "ssim": "b", "sharpness": "b"}
    blurred = favourites(["a", "b"], [Scores(1, 1, 0.0), Scores(1, 1, 9.0)])
    assert blurred["sharpness"] == "b"


def test_votes_are_counted_for_all_judges_alike():
    tally = add_up(
        Vote(("a", "b", "c"), "a", {"psnr": "a", "ssim": "b", "sharpness": "c"}),
        Vote(("a", "b", "d"), "b", {"psnr": "b", "ssim": "b", "sharpness": "d"}),
        Vote(("a", "b", "c"), None, AS_PICKED),
    )
    assert (tally.decided, tally.undecided, tally.votes) == (2, 1, 3)
    assert tally.shown == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert tally.agreed == {"psnr": 2, "ssim": 1}
    assert tally.picks[EYE, "a"] == tally.picks[EYE, "b"] == 1
    assert tally.picks["ssim", "b"] == 2
    assert tally.preferred == {("a", "b"): 1, ("a", "c"): 1, ("b", "a"): 1, ("b", "d"): 1}


def test_ranking_by_share_with_shared_ranks_and_wilson_intervals():
    tally = Tally(
        {"a": 10, "b": 4, "c": 4, "d": 6}, {(EYE, "a"): 4, (EYE, "b"): 3, (EYE, "c"): 3}, {}, 10
    )
    standings = rank(tally, ["a", "b", "c", "d", "never"])
    assert [(s.method, s.rank) for s in standings] == [("b", 1), ("c", 1), ("a", 3), ("d", 4)]
    # Wilson's formula for 4 of 10, worked out by hand: 0.1682 to 0.6873.
    assert (standings[2].low, standings[2].high) == pytest.approx((0.1682, 0.6873), abs=1e-4)
    assert standings[3].low == 0 < standings[3].high


def test_agreement_with_the_measures():
    same = [Vote(("a", "b", "c"), "a", AS_PICKED)] * 3 + [Vote(("a", "b", "c"), "b", {"psnr": "b"})]
    agreement = agree(add_up(*same), ["a", "b", "c"], "psnr")
    assert (agreement.same, agreement.decided) == (4, 4)
    assert agreement.luck == pytest.approx(1 / 81)
    assert agreement.tau == pytest.approx(1)
    opposite = add_up(*[Vote(("a", "b", "c"), "a", {"psnr": "c"})] * 4)
    assert agree(opposite, ["a", "b", "c"], "psnr").luck == 1
    assert agree(opposite, ["a", "b", "c"], "psnr").tau == pytest.approx(-0.5)
    alike = add_up(*(Vote(("a", "b", "c"), method, AS_PICKED) for method in "abc"))
    assert math.isnan(agree(alike, ["a", "b", "c"], "psnr").tau)


@pytest.mark.parametrize(
    ("picks", "rounds", "chance", "among", "is_more"),
    [
        (17, 20, 1 / 2, 2, True),
        (14, 20, 1 / 2, 2, False),  # 5.8 % by luck
        (15, 20, 1 / 2, 2, True),  # 2.1 %, twice
        (15, 20, 1 / 2, 5, False),
        (5, 6, 1 / 3, 1, True),  # 1.8 %
        (5, 6, 1 / 3, 5, False),  # as the first of five
        (0, 10, 1 / 3, 1, False),
    ],
)
def test_what_is_more_than_luck(picks, rounds, chance, among, is_more):
    assert is_more_than_luck(picks, rounds, chance, among) is is_more


def test_a_tally_as_csv():
    vote = Vote(("a", "b", "c"), "a", {"psnr": "a", "ssim": "a", "sharpness": "b"})
    tally = add_up(*[vote] * 3, replace(vote, picked="b"), replace(vote, picked=None))
    labels = {"a": "A, the first", "b": "B", "c": "C"}
    rows = list(csv.DictReader(io.StringIO(tally_csv(tally, ["a", "b", "c"], labels))))
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    first = rows[0]
    assert (first["label"], first["rank"], first["shown"], first["picked"]) == (
        "A, the first",
        "1",
        "4",
        "3",
    )
    assert float(first["share"]) == 0.75
    assert float(first["low"]) < 0.75 < float(first["high"])
    assert (first["psnr_picked"], first["sharpness_picked"]) == ("4", "0")
    assert {(row["decided"], row["undecided"], row["psnr_agreed"]) for row in rows} == {("4", "1", "3")}
    assert list(csv.DictReader(io.StringIO(tally_csv(Tally(), ["a"], labels)))) == []


def test_where_no_measure_took_part_its_columns_are_empty():
    tally = add_up(Vote(("a", "b", CLEAN), CLEAN, {}))
    row, *_ = csv.DictReader(
        io.StringIO(tally_csv(tally, ["a", "b", CLEAN], dict.fromkeys("ab", "") | {CLEAN: "C"}))
    )
    assert (row["id"], row["picked"], row["psnr_picked"], row["psnr_agreed"]) == (CLEAN, "1", "", "")


# In plain words


def say(tally, whose="The class"):
    shown = tally_view(tally, Setup(("a", "b", "c")), {name: name.upper() for name in "abc"}, whose)
    return [shown["headline"], *shown["plain"]]


def picks(**counts):
    """So many votes for each of a, b and c, all shown; PSNR always takes a."""
    shown = ("a", "b", "c")
    measures = dict.fromkeys(MEASURES, "a")
    return add_up(*(Vote(shown, name, measures) for name, count in counts.items() for _ in range(count)))


def test_a_clear_favourite_is_told_first_and_in_plain_words():
    assert say(picks(a=17, b=3)) == [
        "The class picked A most often: 17 of the 20 times it was shown. "
        "That is more than chance: guessing comes to about 7.",
        "Where both were shown, the class preferred A to B: 17 votes to 3; that is more than chance.",
        "PSNR, the usual measure, takes the same picture as the class in 17 of 20 rounds. "
        "That is more than chance: guessing comes to about 7.",
    ]


def test_what_may_be_chance_is_said_to_be():
    assert say(picks(a=2, b=4, c=1), "You") == [
        "You picked B most often: 4 of the 7 times it was shown. "
        "That may be chance: guessing comes to about 2.",
        "Where both were shown, you preferred B to A: 4 votes to 2; that may be chance.",
        "PSNR, the usual measure, takes the same picture as you in 2 of 7 rounds. "
        "That may be chance: guessing comes to about 2.",
    ]


def test_equals_are_no_favourite():
    headline, side_by_side, _ = say(picks(a=2, b=2, c=2))
    assert headline == (
        "The class picked A, B and C equally often, and none more often: "
        "33 % of the times that each was shown."
    )
    assert side_by_side.endswith("preferred A to B as often as the other way round.")


def test_the_second_may_be_ahead_side_by_side():
    """By its share the first is, as it met the third more often."""
    votes = [Vote(("a", "b", "c"), "b", AS_PICKED)] * 2 + [Vote(("a", "c", "d"), "a", AS_PICKED)] * 8
    votes += [Vote(("b", "c", "d"), "c", AS_PICKED)] * 2
    setup, labels = Setup(tuple("abcd")), {name: name.upper() for name in "abcd"}
    first, *_ = tally_view(add_up(*votes), setup, labels, "The class")["plain"]
    assert (
        first == "Where both were shown, the class preferred B to A: 2 votes to 0; that may be chance."
    )


# A blind_session


def test_a_round_does_not_say_which_picture_is_whose(blind_session, source):
    view = blind_session.view()
    assert set(view) == {
        "phase", "question", "asks", "number", "count", "given", "width", "height", "pictures", "noisy",
        "token", "version", "note",
    }  # fmt: skip
    sent = json.dumps({key: value for key, value in view.items() if key not in ("pictures", "noisy")})
    for method in POOL:
        assert method not in sent.lower()
        assert LABELS[method] not in sent
    assert len(set(view["pictures"])) == 3


def test_rounds_follow_each_other_to_the_results(blind_session):
    tokens = []
    view = blind_session.view()
    for number in range(1, ROUNDS + 1):
        assert (view["phase"], view["number"]) == ("round", number)
        assert blind_session.view()["token"] == view["token"]  # looking again deals nothing new
        tokens.append(view["token"])
        view = blind_session.vote(view["token"], number % 4)
    assert len(set(tokens)) == ROUNDS
    assert view["phase"] == "results"
    assert [text == "Can't tell" for text in view["rounds"]] == [n % 4 == 0 for n in range(1, 11)]
    assert any("2 rounds in which you could not tell" in sentence for sentence in view["plain"])


@pytest.mark.parametrize("picture", [-1, 4, True, 1.0, "1", None, [1], {}])
def test_a_picture_that_was_not_shown_is_no_vote(blind_session, picture):
    view = blind_session.view()
    after = blind_session.vote(view["token"], picture)
    assert (after["number"], after["token"]) == (1, view["token"])


@pytest.mark.parametrize("token", ["", "guessed", None, 5, ["x"], {}])
def test_a_round_that_was_not_shown_is_no_vote(blind_session, token):
    assert blind_session.vote(token, 1)["number"] == 1


def test_a_round_is_voted_on_once(blind_session):
    first = blind_session.view()["token"]
    assert blind_session.vote(first, 1)["number"] == 2
    assert blind_session.vote(first, 2)["number"] == 2


def test_clicks_at_once_count_once(source):
    voting_class = VotingClass(Setup(POOL))
    blind_session = create_session(source, voting_class)
    token = blind_session.view()["token"]
    threads = [threading.Thread(target=blind_session.vote, args=(token, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blind_session.view()["number"] == 2
    assert voting_class.tally.votes == 1


def test_results_stay_when_further_votes_come(blind_session):
    results = finish(blind_session)
    again = blind_session.vote("", 1)
    assert {**again, "version": 0} == {**results, "version": 0}


def test_a_round_is_unmasked_only_after_the_last(blind_session):
    view = blind_session.view()
    blind_session.vote(view["token"], 1)
    early = blind_session.look_back(1)
    assert early["phase"] == "round"
    assert "look" not in early


def test_a_round_unmasked_shows_what_was_shown(blind_session):
    shown = []
    view = blind_session.view()
    while view["phase"] == "round":
        shown.append((view["pictures"], view["noisy"]))
        view = blind_session.vote(view["token"], 2)
    look = blind_session.look_back(4)["look"]
    assert ([card["pixels"] for card in look["cards"]], look["noisy"]) == shown[3]
    assert [card["picked"] for card in look["cards"]] == [False, True, False]
    assert look["cards"][1]["label"] == view["rounds"][3]
    for place in range(3):  # each measure has one favourite
        assert sum(card["scores"][place]["best"] for card in look["cards"]) == 1
    psnrs = [float(card["scores"][0]["text"].split()[0]) for card in look["cards"]]
    assert look["cards"][int(np.argmax(psnrs))]["scores"][0]["best"]


@pytest.mark.parametrize("number", [0, 11, True, 1.5, "1", None, []])
def test_there_are_no_other_rounds_to_unmask(blind_session, number):
    finish(blind_session)
    assert "look" not in blind_session.look_back(number)


def test_who_picks_as_psnr_does_agrees_with_psnr(source):
    setup = Setup(POOL)
    compare_round = make_round_comparer(source, setup)
    rounds = draw(setup)
    blind_session = BlindSession(setup, rounds, compare_round, LABELS)
    for this_round in rounds:
        psnrs = [compare_round(this_round)[method].psnr for method in this_round.methods]
        results = blind_session.vote(blind_session.view()["token"], 1 + int(np.argmax(psnrs)))
    psnr = results["agreements"][0]
    assert (psnr["same"], psnr["luck"], psnr["tau"]) == ("10 of 10", "< 1 %", "+1.00")


def test_results_are_json_and_say_how_little_they_prove(blind_session):
    results = finish(blind_session)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    notes = " ".join(results["notes"])
    assert "10 rounds" in notes
    assert "6 times" in notes
    assert "once in 120 times" in notes
    undecided = finish(create_session_like(blind_session), 0)
    assert undecided["standings"] == []


def create_session_like(blind_session):
    return BlindSession(
        blind_session._setup, blind_session._rounds, blind_session._compare_round, LABELS
    )


def test_a_method_without_weights_is_left_out_and_named(source, monkeypatch):
    refuse(monkeypatch, "wavelet")
    setup, note = keep_usable(source, Setup(POOL), draw()[0], LABELS)
    assert setup.pool == POOL[:4]
    assert note == "Without WAVELET: Gone missing."
    with pytest.raises(BlindTestError, match="Fewer than 3"):
        keep_usable(source, Setup(POOL[2:]), draw()[0], LABELS)


def test_a_method_that_fails_midway_stops_nothing_for_good(source, monkeypatch):
    this_round = Round(("median", "wavelet", "bilateral"), "lfw-1", GaussianNoise(0.1), 0)
    setup = Setup(POOL)
    blind_session = BlindSession(setup, [this_round], make_round_comparer(source, setup), LABELS)
    with monkeypatch.context() as broken:
        refuse(broken, "wavelet")
        with pytest.raises(BlindTestError, match="Gone missing"):
            blind_session.view()
    assert blind_session.view()["phase"] == "round"


def refuse(monkeypatch, denoiser_id):
    def ensure_loaded(wanted, wait=0.0):
        if wanted == denoiser_id:
            raise WeightsError("Gone missing.")

    monkeypatch.setattr("denoiser.denoisers.registry.ensure_loaded", ensure_loaded)


def test_a_face_that_is_gone_is_one_sentence(source):
    this_round = Round(POOL[:3], "fer2013-test-1", GaussianNoise(), 0)
    with pytest.raises(BlindTestError, match="Start again"):
        make_round_comparer(source, Setup(POOL))(this_round)


# Settings


WIDE = Setup(POOL, hyperparameters={"median": {"radius": 3}})


def test_methods_work_as_they_are_set_in_every_round_and_when_tried(source):
    this_round = Round(("median", "bilateral", "wavelet"), "lfw-1", GaussianNoise(0.1), 0)
    plain, wide = (make_round_comparer(source, setup)(this_round) for setup in (Setup(POOL), WIDE))
    noisy = wide.corruption.noisy
    method = create_denoiser("median").with_hyperparameters(radius=3)
    assert np.array_equal(wide["median"].image, method(noisy))
    assert not np.array_equal(wide["median"].image, plain["median"].image)
    assert np.array_equal(wide["bilateral"].image, plain["bilateral"].image)
    usable, note = keep_usable(source, WIDE, this_round, LABELS)
    assert (usable, note) == (WIDE, "")


def test_results_say_how_methods_were_set():
    labels = describe_labels(describe_methods(), WIDE)
    assert labels["median"] == "Median 3x3, radius 3 pixels"
    assert labels["bilateral"] == "Bilateral filter"
    assert describe_labels(describe_methods())["median"] == "Median 3x3"


@pytest.mark.parametrize("noise", ["varied", "compare"])
def test_settings_are_those_under_compare_of_methods_that_take_part(noise):
    below = Experiment(
        PoissonNoise(20), hyperparameters={"median": {"radius": 3}, "nl-means": {"strength": 2.0}}
    )
    controls = SimpleNamespace(read_small=lambda values, own: (None, below))
    setup = parse_setup(["median", "bilateral", "wavelet"], noise, "best", controls, [])
    assert setup.hyperparameters == {"median": {"radius": 3}}
    assert setup.noise == (PoissonNoise(20) if noise == "compare" else None)


# Which is the photograph?


HIDDEN = Setup(POOL, question=PHOTOGRAPH)
WITH_PHOTOGRAPH = LABELS | {CLEAN: PHOTOGRAPH_LABEL}


def seek(source, find):
    """Take a test for the photograph, picking the place that ``find`` says of a round's methods."""
    rounds = draw(HIDDEN)
    hidden = BlindSession(HIDDEN, rounds, make_round_comparer(source, HIDDEN), WITH_PHOTOGRAPH)
    view = hidden.view()
    for this_round in rounds:
        assert view["question"] == PHOTOGRAPH
        view = hidden.vote(view["token"], 1 + find(this_round.methods))
    return hidden, view


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_photograph_is_in_every_round_at_any_place(size):
    rounds = draw(replace(HIDDEN, pool=POOL[:size]), count=60)
    assert {r.methods.count(CLEAN) for r in rounds} == {1}
    assert all(len(set(r.methods)) == 3 for r in rounds)
    assert set(Counter(r.methods.index(CLEAN) for r in rounds)) == {0, 1, 2}
    counts = Counter(method for r in rounds for method in r.methods if method != CLEAN)
    assert max(counts.values()) - min(counts.values()) <= 1
    with pytest.raises(ValueError, match="at least 2"):
        draw(replace(HIDDEN, pool=POOL[:1]))


def test_who_finds_the_photograph_every_time_is_told_so(source):
    hidden, results = seek(source, lambda methods: methods.index(CLEAN))
    assert results["headline"].startswith("You found the photograph in 10 of 10 rounds.")
    first, *others = results["standings"]
    assert (first["label"], first["picks"]) == (PHOTOGRAPH_LABEL, "10 of 10")
    assert {row["picks"].split()[0] for row in others} == {"0"}
    assert results["agreements"] == []
    assert all(row["measures"] == [] for row in results["standings"])
    assert set(results["rounds"]) == {PHOTOGRAPH_LABEL}
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    look = hidden.look_back(1)["look"]
    (card,) = (card for card in look["cards"] if card["label"] == PHOTOGRAPH_LABEL)
    assert card["picked"]
    assert card["pixels"] == look["clean"]
    assert not any(score["best"] for card in look["cards"] for score in card["scores"])


def test_who_is_fooled_is_told_by_what(source):
    _, results = seek(source, lambda methods: next(i for i, m in enumerate(methods) if m != CLEAN))
    assert results["headline"].startswith("You found the photograph in 0 of 10 rounds.")
    restored = [row for row in results["standings"] if row["label"] != PHOTOGRAPH_LABEL]
    names = " and ".join(row["label"] for row in restored if row["rank"] == 1)
    assert results["headline"].endswith(f"Most often taken for it: {names}.")
    assert results["standings"][-1]["label"] == PHOTOGRAPH_LABEL


def test_two_methods_are_enough_beside_the_photograph(source, monkeypatch):
    refuse(monkeypatch, "wavelet")
    setup, _ = keep_usable(source, replace(HIDDEN, pool=POOL[2:]), draw()[0], LABELS)
    assert setup == replace(HIDDEN, pool=POOL[2:4])
    with pytest.raises(BlindTestError, match="Fewer than 2"):
        keep_usable(source, replace(HIDDEN, pool=POOL[3:]), draw()[0], LABELS)


# A class


def test_a_class_adds_up_the_votes_of_several_people(source, patient):
    voting_class = VotingClasses().open(Setup(POOL), HERE)
    results = [finish(create_session(source, voting_class, seed), picture=1 + seed) for seed in range(2)]
    tally = voting_class.tally
    assert tally.votes == 2 * ROUNDS
    assert sum(tally.picks.get((EYE, method), 0) for method in POOL) == 2 * ROUNDS
    assert all(voting_class.code in result["note"] for result in results)
    shown = tally_view(tally, Setup(POOL), LABELS, "The class")
    assert shown["headline"].startswith("The class picked")


def test_a_class_is_found_by_its_code_and_by_its_teacher_s(source):
    voting_classes = VotingClasses()
    voting_class, other = voting_classes.open(Setup(POOL), HERE), voting_classes.open(Setup(POOL), HERE)
    code = voting_class.code
    assert voting_classes.find(f" {code[:3].lower()}-{code[3:]} ", HERE) == (voting_class, False)
    assert voting_classes.find(other.key, HERE) == (other, True)


@pytest.mark.parametrize("entered", ["", "NOSUCH", None, 7, ["a"], {"code": 1}, "ÄÖÜ", "x" * 10**6])
def test_there_is_no_other_class(entered):
    voting_classes = VotingClasses()
    voting_classes.open(Setup(POOL), HERE)
    with pytest.raises(VotingClassError, match="no class with this code"):
        voting_classes.find(entered, HERE)


def test_codes_are_hard_to_guess_and_all_different():
    voting_classes = VotingClasses()
    opened = [
        voting_classes.open(Setup(POOL), f"address-{n}") for n in range(classes_module.MAX_CLASSES)
    ]
    assert len({c.code for c in opened} | {c.key for c in opened}) == 2 * len(opened)
    letters = set("".join(c.code for c in opened))
    assert len(letters) >= 25
    assert not letters & set("0O1IL") - {"L"}
    assert {len(c.code) for c in opened} == {6}


def test_classes_are_bounded_in_number():
    voting_classes = VotingClasses()
    opened = [
        voting_classes.open(Setup(POOL), f"address-{n}") for n in range(classes_module.MAX_CLASSES)
    ]
    with pytest.raises(VotingClassError, match="too many"):
        voting_classes.open(Setup(POOL), HERE)
    opened[0].close()
    voting_classes.open(Setup(POOL), HERE)


def test_one_address_cannot_take_all_classes():
    voting_classes = VotingClasses()
    opened = [voting_classes.open(Setup(POOL), HERE) for _ in range(10)]
    still = [voting_class for voting_class in opened if voting_class.is_open]
    assert still == opened[-classes_module.CLASSES_EACH :]
    other = voting_classes.open(Setup(POOL), "192.0.2.2")
    for voting_class in still:
        voting_class.add(VOTE)
    with pytest.raises(VotingClassError, match="close one of them"):
        voting_classes.open(Setup(POOL), HERE)
    assert all(voting_class.is_open for voting_class in [*still, other])
    still[0].close()
    assert voting_classes.open(Setup(POOL), HERE).is_open


def test_guesses_are_slowed_by_address():
    clock = Clock()
    voting_classes = VotingClasses(clock)
    voting_class = voting_classes.open(Setup(POOL), HERE)
    for _ in range(classes_module.GUESSES_AT_ONCE):
        with pytest.raises(VotingClassError, match="no class with this code"):
            voting_classes.find("NOSUCH", HERE)
    for entered in ("NOSUCH", voting_class.code):  # a right guess would tell
        with pytest.raises(VotingClassError, match="wait a minute"):
            voting_classes.find(entered, HERE)
    assert voting_classes.find(voting_class.code, "192.0.2.2") == (voting_class, False)
    clock.now += 60
    assert voting_classes.find(voting_class.code, HERE) == (voting_class, False)


def test_thirty_pupils_of_one_address_join_and_vote():
    """Each mistypes the code once; then all vote ten times, one pick every two seconds."""
    clock = Clock()
    voting_classes = VotingClasses(clock)
    voting_class = voting_classes.open(Setup(POOL), HERE)
    voters = []
    for pupil in range(30):
        with pytest.raises(VotingClassError, match="no class with this code"):
            voting_classes.find("NOSUCH", HERE)
        found, _ = voting_classes.find(voting_class.code, HERE)
        voters.append(found.voter(f"pupil-{pupil}", HERE))
    for _ in range(ROUNDS):
        clock.now += 2
        assert [voter.add(VOTE) for voter in voters] == [""] * 30
    assert voting_class.tally.votes == 30 * ROUNDS


def test_a_voter_votes_once_in_each_round(patient):
    voting_class = VotingClass(Setup(POOL))
    voter = voting_class.voter("a session", HERE)
    said = [voter.add(VOTE) for _ in range(ROUNDS + 1)]
    assert said[:-1] == [""] * ROUNDS
    assert "counts for you alone" in said[-1]
    assert "counts for you alone" in voting_class.voter("a session", HERE).add(VOTE)  # come in again
    assert voting_class.tally.votes == ROUNDS


def test_voters_of_one_session_count_as_one(patient):
    voting_class = VotingClass(Setup(POOL))
    voters = [voting_class.voter("a session", HERE) for _ in range(5)]
    for voter in voters:
        for _ in range(ROUNDS):
            voter.add(VOTE)
    assert voting_class.tally.votes == ROUNDS


def test_a_pick_too_quick_to_have_looked_is_not_counted():
    clock = Clock()
    voter = VotingClass(Setup(POOL), clock).voter("a session", HERE)
    said = [voter.add(VOTE) for _ in range(classes_module.PICKS_AT_ONCE + 1)]
    assert said[:-1] == [""] * classes_module.PICKS_AT_ONCE
    assert "Too quick" in said[-1]
    clock.now += 1
    assert voter.add(VOTE) == ""
    assert voter.voting_class.tally.votes == classes_module.PICKS_AT_ONCE + 1


def test_one_address_cannot_have_all_voters(monkeypatch):
    monkeypatch.setattr(classes_module, "VOTERS_EACH", 3)
    voting_class = VotingClass(Setup(POOL))
    said = [voting_class.voter(f"session-{n}", HERE).add(VOTE) for n in range(5)]
    assert said[:3] == [""] * 3
    assert all("no seat left" in sentence for sentence in said[3:])
    assert voting_class.voter("elsewhere", "192.0.2.2").add(VOTE) == ""


def test_nobody_keeps_a_class_for_ever():
    clock = Clock()
    voting_class = VotingClass(Setup(POOL), clock)
    for _ in range(12):
        assert voting_class.add(VOTE)
        clock.now += 3600
    assert not voting_class.add(VOTE)


VOTE = Vote(("median", "wavelet", "bilateral"), "median", dict.fromkeys(MEASURES, "median"))


def test_a_class_is_bounded_in_votes(monkeypatch):
    monkeypatch.setattr(classes_module, "MAX_VOTES", 2)
    voting_class = VotingClass(Setup(POOL))
    assert [voting_class.add(VOTE) for _ in range(3)] == [True, True, False]
    assert voting_class.tally.votes == 2


def test_a_class_ends_when_it_is_closed(source):
    voting_classes = VotingClasses()
    voting_class = voting_classes.open(Setup(POOL), HERE)
    blind_session = create_session(source, voting_class)
    blind_session.vote(blind_session.view()["token"], 1)
    voting_class.close()
    view = blind_session.vote(blind_session.view()["token"], 1)
    assert view["number"] == 3  # the test goes on
    assert "counts for you alone" in view["note"]
    assert voting_class.tally.votes == 1
    with pytest.raises(VotingClassError):
        voting_classes.find(voting_class.code, HERE)


def test_a_class_knows_how_many_have_joined_and_voted():
    voting_class = VotingClass(Setup(POOL))
    voters = [voting_class.voter(f"session-{n}", HERE) for n in range(3)]
    for voter in [*voters, voters[0]]:
        voting_class.join(voter)
    assert (voting_class.joined, voting_class.answered) == (3, 0)
    voters[0].add(VOTE)
    voters[0].add(VOTE)
    assert (voting_class.joined, voting_class.answered) == (3, 1)
    for voter in voters[:2]:
        voting_class.leave(voter.session)
    assert (voting_class.joined, voting_class.answered) == (2, 1)  # a vote is never forgotten
    voters[1].add(VOTE)  # a telephone that was asleep
    assert (voting_class.joined, voting_class.answered) == (3, 2)
    voting_class.join(voters[1])
    assert voting_class.joined == 3


def test_joining_takes_no_seat_from_who_votes(monkeypatch):
    monkeypatch.setattr(classes_module, "VOTERS_EACH", 3)
    voting_class = VotingClass(Setup(POOL))
    for n in range(5):
        voting_class.join(voting_class.voter(f"script-{n}", HERE))
    assert voting_class.joined == 3
    assert [voting_class.voter(f"pupil-{n}", HERE).add(VOTE) for n in range(3)] == [""] * 3
    assert voting_class.joined == 6
    monkeypatch.setattr(classes_module, "MAX_VOTERS", 3)
    voting_class.join(voting_class.voter("elsewhere", "192.0.2.2"))
    assert voting_class.joined == 6


def test_a_page_that_is_closed_leaves_its_class():
    voting_classes = VotingClasses()
    opened = [voting_classes.open(Setup(POOL), f"teacher-{n}") for n in range(2)]
    for voting_class in opened:
        voting_class.join(voting_class.voter("a session", HERE))
    voting_classes.leave("a session")
    voting_classes.leave("nobody's")
    assert [voting_class.joined for voting_class in opened] == [0, 0]


def test_while_results_are_shown_no_vote_counts(source, patient):
    voting_classes = VotingClasses()
    voting_class = voting_classes.open(Setup(POOL), HERE)
    blind_session = create_session(source, voting_class)
    blind_session.vote(blind_session.view()["token"], 1)
    voting_class.reveal(True)
    assert "shows its results" in blind_session.view()["note"]
    view = blind_session.vote(blind_session.view()["token"], 1)
    assert view["number"] == 3  # the test goes on
    assert "counts for you alone" in view["note"]
    assert not voting_class.add(VOTE)
    assert voting_class.tally.votes == 1
    assert voting_classes.find(voting_class.code, HERE) == (voting_class, False)  # who is late sees them
    voting_class.reveal(False)
    assert voting_class.code in blind_session.vote(view["token"], 1)["note"]
    assert voting_class.tally.votes == 2


def test_a_class_ends_three_hours_after_its_last_vote():
    clock = Clock()
    voting_classes = VotingClasses(clock)
    voting_class = voting_classes.open(Setup(POOL), HERE)
    for _ in range(3):
        clock.now += 29 * 60
        assert voting_class.add(VOTE)
    clock.now += 3 * 3600 - 1
    assert voting_classes.find(voting_class.code, HERE)[0] is voting_class
    clock.now += 1
    assert not voting_class.add(VOTE)
    with pytest.raises(VotingClassError):
        voting_classes.find(voting_class.code, HERE)


def test_a_class_that_nobody_uses_ends_after_half_an_hour():
    clock = Clock()
    voting_class = VotingClasses(clock).open(Setup(POOL), HERE)
    clock.now += 30 * 60
    assert not voting_class.is_open


def test_votes_from_many_threads_are_all_counted():
    voting_class = VotingClass(Setup(POOL))
    threads = [
        threading.Thread(target=lambda: [voting_class.add(VOTE) for _ in range(200)]) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert voting_class.tally.votes == voting_class.tally.shown["median"] == 1200
