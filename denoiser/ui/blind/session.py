"""One person's blind test on the server, and what the page is sent of it; no Gradio in here.

Which picture is whose stays on the server until the last round is over: a round's payload holds pixels
and a token, nothing else.
"""

import math
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from denoiser.analysis.blind_test import (
    BEST,
    CHANCE,
    CONFIDENCE,
    EYE,
    MEASURES,
    PHOTOGRAPH,
    SHOWN,
    Agreement,
    Round,
    Scores,
    Setup,
    Standing,
    Tally,
    Vote,
    agree,
    favourites,
    is_more_than_luck,
    rank,
)
from denoiser.analysis.results import CLEAN
from denoiser.denoisers.base import DenoiserInfo, describe_method
from denoiser.denoisers.own_model import OWN_LABEL, OWN_MODEL
from denoiser.faces.fer2013 import FaceDataError
from denoiser.images import Image
from denoiser.metrics import sharpness, write_number, write_psnr
from denoiser.pipeline import Comparison, DenoiseResult, Experiment
from denoiser.ui.blind.voting_classes import Voter
from denoiser.ui.common.payload import Payload, encode_picture, new_version
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.run import Face, Outcome, run_methods

PHOTOGRAPH_LABEL = "The photograph"

QUESTIONS = {BEST: "Which looks best?", PHOTOGRAPH: "Which is the photograph?"}

MEASURE_LABELS = {"psnr": "PSNR", "ssim": "SSIM", "sharpness": "Sharpness"}

RoundComparer = Callable[[Round], Comparison]
"""Makes the pictures of a round; the same ones at every call."""


class BlindTestError(ValueError):
    """A test can't go on; the message is one sentence for a person."""


class BlindSession:
    """One person's test. Safe to use from several threads: a browser can click twice at once.

    Args:
        setup: The denoisers and the noise.
        rounds: What to show.
        compare_round: Makes a round's pictures.
        labels: Names of the denoisers, by id, and of the photograph.
        voter: Who has a class count the votes as well, if one does.
    """

    def __init__(
        self,
        setup: Setup,
        rounds: Sequence[Round],
        compare_round: RoundComparer,
        labels: Mapping[str, str],
        voter: Voter | None = None,
    ):
        self._setup = setup
        self._rounds = tuple(rounds)
        self._compare_round = compare_round
        self._labels = labels
        self._voter = voter
        self._lock = threading.Lock()
        self._votes: tuple[Vote, ...] = ()
        self._tally = Tally()
        self._refusal = ""  # why the class did not count the last vote
        self._token = ""  # of the round that waits for a vote; empty while none does
        self._round_payload: Payload = {}
        self._favourites: Mapping[str, str] = {}

    def view(self) -> Payload:
        """Return what the page shows now: a round, or the results.

        Raises:
            BlindTestError: The pictures can't be made.
        """
        with self._lock:
            return self._view()

    def vote(self, token: object, picture: object) -> Payload:
        """Take a vote and return what comes next.

        What does not name the round that waits for a vote, or one of its pictures, changes nothing:
        so no round is voted on twice, and none that was not shown.

        Args:
            token: The round's; this and the next come from a browser and may be anything.
            picture: 1, 2 or 3; 0 for no preference.

        Raises:
            BlindTestError: The next pictures can't be made.
        """
        with self._lock:
            valid = isinstance(token, str) and bool(token) and token == self._token
            if valid and type(picture) is int and 0 <= picture <= SHOWN:
                self._count(picture)
            return self._view()

    def look_back(self, number: object) -> Payload:
        """Return the results with one round unmasked; before the end, what :meth:`view` returns.

        Args:
            number: Which round, counted from 1; it comes from a browser and may be anything.

        Raises:
            BlindTestError: The pictures can't be made.
        """
        with self._lock:
            view = self._view()
            if self._token or type(number) is not int or not 1 <= number <= len(self._votes):
                return view
            return view | {"look": self._unmask(number)}

    def _count(self, picture: int) -> None:
        methods = self._rounds[len(self._votes)].methods
        vote = Vote(methods, methods[picture - 1] if picture else None, self._favourites)
        self._token = ""
        self._votes += (vote,)
        self._tally = self._tally.add(vote)
        if self._voter is not None:
            self._refusal = self._voter.add(vote)

    def _view(self) -> Payload:
        if len(self._votes) == len(self._rounds):
            return self._results()
        if not self._token:
            self._start_round()
        return self._round_payload | {"version": new_version(), "note": self._class_note()}

    def _start_round(self) -> None:
        number = len(self._votes)
        comparison = self._compare_round(self._rounds[number])
        methods = self._rounds[number].methods
        if self._setup.question == BEST:
            scores = [_scores(comparison, method) for method in methods]
            self._favourites = favourites(methods, scores)
        height, width = comparison.corruption.clean.shape
        self._round_payload = {
            "phase": "round",
            "question": self._setup.question,
            "asks": QUESTIONS[self._setup.question],
            "number": number + 1,
            "count": len(self._rounds),
            "given": comparison.corruption.noise.describe(),
            "width": width,
            "height": height,
            "pictures": [encode_picture(_picture(comparison, method)) for method in methods],
            "noisy": encode_picture(comparison.corruption.noisy),
            "token": (token := secrets.token_urlsafe(12)),
        }
        self._token = token  # last: nothing is waiting if the pictures could not be made

    def _results(self) -> Payload:
        return {
            "phase": "results",
            "version": new_version(),
            "note": self._class_note(),
            "rounds": [
                "Can't tell" if vote.picked is None else self._labels[vote.picked]
                for vote in self._votes
            ],
            **tally_view(self._tally, self._setup, self._labels, "You"),
        }

    def _unmask(self, number: int) -> Payload:
        this_round, vote = self._rounds[number - 1], self._votes[number - 1]
        comparison = self._compare_round(this_round)
        corruption = comparison.corruption
        height, width = corruption.clean.shape
        cards = []
        for method in vote.shown:
            scores = _scores(comparison, method)
            best = [name for name, favourite in vote.favourites.items() if favourite == method]
            cards.append(
                {
                    "label": self._labels[method],
                    "pixels": encode_picture(_picture(comparison, method)),
                    "picked": method == vote.picked,
                    "scores": [
                        {"label": MEASURE_LABELS[name], "text": text, "best": name in best}
                        for name, text in _score_texts(scores).items()
                    ],
                }
            )
        return {
            "number": number,
            "given": f"{corruption.noise.describe()}, seed {this_round.seed}",
            "width": width,
            "height": height,
            "cards": cards,
            "noisy": encode_picture(corruption.noisy),
            "clean": encode_picture(corruption.clean),
            "photograph": self._setup.question != BEST,
        }

    def _class_note(self) -> str:
        if self._voter is None:
            return ""
        if self._refusal:
            return self._refusal
        if not self._voter.voting_class.is_open:
            return "The class is over: what you pick now counts for you alone."
        if self._voter.voting_class.is_revealed:
            return "The class shows its results: what you pick now counts for you alone."
        return (
            f"Your picks are added, without a name, to those of class {self._voter.voting_class.code}."
        )


def make_round_comparer(faces: FaceSource, setup: Setup) -> RoundComparer:
    """Return what makes the pictures of a round.

    Args:
        faces: Where the clean faces come from.
        setup: How to make the noisy pictures.
    """

    def compare_round(this_round: Round) -> Comparison:
        outcome = _run(faces, setup, this_round, [m for m in this_round.methods if m != CLEAN])
        for sentence in outcome.available.refusals.values():
            raise BlindTestError(f"A method of this round can't run: {sentence} Start again later.")
        return outcome.comparison

    return compare_round


def keep_usable(
    faces: FaceSource, setup: Setup, first: Round, labels: Mapping[str, str]
) -> tuple[Setup, str]:
    """Leave out the denoisers that can't run, and say in a sentence which; ``""`` if all can.

    Args:
        faces: Where the clean faces come from.
        setup: With which denoisers.
        first: A round to try them on.
        labels: Names of the denoisers, by id.

    Raises:
        BlindTestError: Too few are left, or the face is gone.
    """
    outcome = _run(faces, setup, first, setup.pool)
    missing = outcome.available.refusals
    usable = tuple(method for method in setup.pool if method not in missing)
    reasons = " ".join(f"Without {labels[method]}: {why}" for method, why in missing.items())
    if len(usable) < setup.restored:
        raise BlindTestError(f"Fewer than {setup.restored} of the methods can run. {reasons}")
    return replace(setup, pool=usable), reasons


def tally_view(tally: Tally, setup: Setup, labels: Mapping[str, str], whose: str) -> Payload:
    """Write down a tally for the page: what it comes to in plain sentences, then the statistics.

    Args:
        tally: The votes.
        setup: What was asked, of which denoisers.
        labels: Their names, by id, and the photograph's.
        whose: ``"You"``, or ``"The class"``.
    """
    asked = {"question": setup.question}
    if not tally.decided:
        nothing = "No picture was picked yet: there is nothing to rank."
        return asked | {
            "headline": nothing,
            "plain": [],
            "standings": [],
            "agreements": [],
            "notes": [],
        }
    standings = rank(tally, setup.shown)
    measures = tuple(MEASURES) if setup.question == BEST else ()
    agreements = [agree(tally, setup.pool, measure) for measure in measures]
    headline = _headline if setup.question == BEST else _found_headline
    return asked | {
        "headline": headline(standings, labels, whose),
        "plain": _plain_sentences(tally, standings, agreements, labels, whose),
        "standings": [
            {
                "rank": standing.rank,
                "label": labels[standing.method],
                "share": standing.share,
                "low": standing.low,
                "high": standing.high,
                "picks": f"{standing.picks[EYE]} of {standing.shown}",
                "range": f"{100 * standing.low:.0f} to {100 * standing.high:.0f} %",
                "measures": [f"{standing.picks[measure]} of {standing.shown}" for measure in measures],
            }
            for standing in standings
        ],
        "agreements": [_agreement_texts(agreement) for agreement in agreements],
        "whose": whose,
        "notes": _notes(tally, standings, labels, whose, setup.question),
    }


def describe_labels(methods: Mapping[str, DenoiserInfo], setup: Setup | None = None) -> dict[str, str]:
    """Return the denoisers' names by id, with what a test has set of them, and the photograph's.

    A model of the session's own has a name, whether there is one or not.
    """
    values = {} if setup is None else setup.hyperparameters
    names = {name: describe_method(info, values.get(name, {})) for name, info in methods.items()}
    return names | {OWN_MODEL: OWN_LABEL, CLEAN: PHOTOGRAPH_LABEL}


def _run(faces: FaceSource, setup: Setup, this_round: Round, method_ids: Sequence[str]) -> Outcome:
    try:
        sample = faces.get(this_round.face)
    except FaceDataError as error:
        raise BlindTestError(f"{error} Start again.") from error
    experiment = Experiment(
        noise=this_round.noise,
        seed=this_round.seed,
        clip=setup.clip,
        round_8bit=setup.round_8bit,
        methods=tuple(method_ids),
        hyperparameters=setup.hyperparameters,
        own=setup.own,
    )
    return run_methods(Face(sample.id, sample.label, sample.image), experiment, method_ids)


def _picture(comparison: Comparison, method: str) -> Image:
    return comparison.corruption.clean if method == CLEAN else comparison[method].image


def _scores(comparison: Comparison, method: str) -> Scores:
    if method == CLEAN:
        return Scores(psnr=math.inf, ssim=1.0, sharpness=1.0)
    result: DenoiseResult = comparison[method]
    return Scores(
        psnr=math.nan if result.psnr is None else result.psnr,
        ssim=math.nan if result.ssim is None else result.ssim,
        sharpness=sharpness(result.image, comparison.corruption.clean),
    )


def _score_texts(scores: Scores) -> dict[str, str]:
    return {
        "psnr": write_psnr(scores.psnr),
        "ssim": f"{scores.ssim:.3f}",
        "sharpness": f"{scores.sharpness:.2f}",
    }


def _headline(standings: Sequence[Standing], labels: Mapping[str, str], whose: str) -> str:
    first = [standing for standing in standings if standing.rank == 1]
    names = _listed([labels[standing.method] for standing in first])
    best = first[0]
    if len(first) > 1:
        often = f"{100 * best.share:.0f} % of the times that each was shown"
        return f"{whose} picked {names} equally often, and none more often: {often}."
    picks, shown = best.picks[EYE], best.shown
    verdict = _verdict(is_more_than_luck(picks, shown, among=len(standings)), shown)
    return f"{whose} picked {names} most often: {picks} of the {shown} times it was shown. {verdict}"


def _found_headline(standings: Sequence[Standing], labels: Mapping[str, str], whose: str) -> str:
    (found,) = (standing for standing in standings if standing.method == CLEAN)
    others = [standing for standing in standings if standing.method != CLEAN]
    most = max(standing.share for standing in others)
    picks, shown = found.picks[EYE], found.shown
    verdict = _verdict(is_more_than_luck(picks, shown), shown)
    text = f"{whose} found the photograph in {picks} of {shown} rounds. {verdict}"
    if not most:
        return text
    names = _listed([labels[standing.method] for standing in others if standing.share == most])
    return f"{text} Most often taken for it: {names}."


def _plain_sentences(
    tally: Tally,
    standings: Sequence[Standing],
    agreements: Sequence[Agreement],
    labels: Mapping[str, str],
    whose: str,
) -> list[str]:
    """Say what follows on the headline: the first two side by side, PSNR's picks, what was left out."""
    them, somebody = ("you", "you") if whose == "You" else ("the class", "somebody")
    sentences = []
    if agreements and len(standings) > 1:
        sentences.append(_side_by_side(tally, standings[0].method, standings[1].method, labels, them))
    for agreement in agreements:
        if agreement.measure == "psnr":
            same, of = agreement.same, agreement.decided
            verdict = _verdict(agreement.luck < 1 - CONFIDENCE, of)
            sentences.append(
                f"PSNR, the usual measure, takes the same picture as {them} in {same} of {of} rounds. "
                f"{verdict}"
            )
    if tally.undecided:
        verb = "was" if tally.undecided == 1 else "were"
        sentences.append(
            f"{_count_rounds(tally.undecided)} in which {somebody} could not tell {verb} left out"
            + (", for the measures too." if agreements else ".")
        )
    return [sentence for sentence in sentences if sentence]


def _side_by_side(tally: Tally, one: str, other: str, labels: Mapping[str, str], whose: str) -> str:
    """Say which of two is picked where both are shown; nothing where neither ever was."""
    wins, losses = tally.preferred.get((one, other), 0), tally.preferred.get((other, one), 0)
    if not wins + losses:
        return ""
    if losses > wins:
        return _side_by_side(tally, other, one, labels, whose)
    preferred = f"Where both were shown, {whose} preferred {labels[one]} to {labels[other]}"
    if losses == wins:
        return f"{preferred} as often as the other way round."
    is_more = is_more_than_luck(wins, wins + losses, chance=1 / 2, among=2)
    verdict = "that is more than chance" if is_more else "that may be chance"
    return f"{preferred}: {wins} votes to {losses}; {verdict}."


def _verdict(is_more: bool, rounds: int) -> str:
    chance = "That is more than chance" if is_more else "That may be chance"
    return f"{chance}: guessing comes to about {rounds * CHANCE:.0f}."


def _listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _agreement_texts(agreement: Agreement) -> dict[str, Any]:
    luck = 100 * agreement.luck
    return {
        "label": MEASURE_LABELS[agreement.measure],
        "same": f"{agreement.same} of {agreement.decided}",
        "luck": "< 1 %" if luck < 1 else f"{luck:.0f} %",
        "tau": write_number(agreement.tau, 2, signed=True),
    }


def _notes(
    tally: Tally,
    standings: Sequence[Standing],
    labels: Mapping[str, str],
    whose: str,
    question: str,
) -> list[str]:
    restored = [standing for standing in standings if standing.method != CLEAN]
    fewest, most = (chosen(s.shown for s in restored) for chosen in (min, max))
    times = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    notes = [
        f"{_count_rounds(tally.decided)} of three pictures showed each method {times} times. That pins "
        "its share down no better than to the range given: the thin line in its bar, a 95 % Wilson "
        "interval, which holds the true share in 95 of 100 such tests."
    ]
    if len(standings) > 1:
        notes.append(_compare_first_two(standings, labels, whose))
    orders = math.factorial(len(standings))
    if question == BEST:
        notes.append(
            "\N{GREEK SMALL LETTER TAU}, Kendall's rank correlation, compares two rankings of the "
            "methods: 1 the same, 0 unrelated, \N{MINUS SIGN}1 the reverse. As often by luck is the "
            "chance to agree with a measure as often, or more often, by guessing."
        )
        notes.append(
            f"Two rankings of {len(standings)} methods are the same by luck once in {orders:,} times; "
            "with so few methods, a high rank correlation \N{GREEK SMALL LETTER TAU} is weak evidence. "
            "The rounds with the same pick are stronger."
        )
    else:
        notes.append(
            "Of two pictures that look equally real, the photograph is picked no more often. What then "
            "differs from it was invented: never take such detail for evidence."
        )
    return notes


def _compare_first_two(standings: Sequence[Standing], labels: Mapping[str, str], whose: str) -> str:
    first, second = standings[:2]
    names = f"{labels[first.method]} and {labels[second.method]}"
    if first.low <= second.high:
        more = "another ten rounds" if whose == "You" else "more votes"
        return f"The ranges of {names} overlap: {more} may well swap them."
    return f"The ranges of {names} do not overlap: luck alone rarely does that."


def _count_rounds(count: int) -> str:
    return f"{count} round" if count == 1 else f"{count:,} rounds"
