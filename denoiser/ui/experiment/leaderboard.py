"""What the session's own models score beside ours: the same few faces, noises of the benchmark."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import gradio as gr

from denoiser.analysis.leaderboard import (
    CONDITIONS,
    FACES,
    Score,
    pick_faces,
    score,
)
from denoiser.analysis.repeats import paired_difference
from denoiser.analysis.results import NOISY, NOISY_LABEL
from denoiser.analysis.scoring import RIVALS
from denoiser.denoisers.confined.processes import OwnModelError
from denoiser.denoisers.own_model import GONE, OwnModel
from denoiser.denoisers.registry import describe_denoiser, find_available
from denoiser.faces.fer2013 import FaceSet
from denoiser.ui.common.events import RAW
from denoiser.ui.common.html import create_progress, create_table
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.own_model import OwnControls, OwnHandle
from denoiser.ui.server.queue import JOB_PLACES, JOB_PLACES_EACH, scheduled
from denoiser.ui.server.scheduler import FairScheduler

MOST_ROWS = 8
"""So many of its models' scores a session keeps; the last ones."""

LONGEST_SECONDS = 60
"""So long a model may compute in all while it is scored."""

_TEXT = f"""Mean PSNR in dB on {FACES} of the sample faces, the same for all methods, under five noises
of the benchmark with its seeds. The page keeps the scores of its last {MOST_ROWS} models."""


@dataclass(frozen=True)
class Entry:
    """What one model of the session scored.

    Attributes:
        key: The model's.
        name: What the visitor calls it.
        faces: Which faces it was scored on.
        score: What it scored.
    """

    key: str
    name: str
    faces: str
    score: Score


class OurScores:
    """What our methods score on the faces; computed once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scores: dict[tuple[str, str], Score] = {}

    def find(self, faces: str, method_id: str) -> Score | None:
        """Return a method's score on some faces, if it is known."""
        with self._lock:
            return self._scores.get((faces, method_id))

    def keep(self, faces: str, method_id: str, found: Score) -> None:
        """Keep a method's score; those on other faces, which are no longer on offer, go."""
        with self._lock:
            self._scores = {k: v for k, v in self._scores.items() if k[0] == faces}
            self._scores[faces, method_id] = found


def create_leaderboard(own: OwnControls, source: FaceSource) -> gr.Column:
    """Add the section to the page.

    Args:
        own: Where the session's model is.
        source: Where the faces come from.

    Returns:
        The section, which is not visible at first.
    """
    ours = OurScores()
    scheduler = FairScheduler(JOB_PLACES, JOB_PLACES_EACH)
    with gr.Column(visible=False, elem_id="own-board") as board:
        gr.Markdown(f"### Your own, scored beside ours\n{_TEXT}")
        with gr.Row():
            run = gr.Button("Score my model", size="sm", min_width=140, elem_id="own-score")
            progress = create_progress("own-progress")
        table = create_table("own-table", "Scores of your own models and ours")
    entries = gr.State(())
    nothing = [gr.skip()] * 3

    def compute(handle: OwnHandle | None, before: tuple[Entry, ...]) -> Iterator[Any]:
        model = own.models.find(handle)
        if handle is None or model is None:
            yield say("error", GONE)
            return
        faces = source.offer.faces
        try:
            for step in score_beside(model, handle.name, faces, ours, before):
                yield None if step is None else _outputs(step)
        except OwnModelError as error:
            yield say("error", str(error))

    def say(state: str, text: str) -> list[Any]:
        return [_progress(state, text), *nothing[1:]]

    run.click(
        scheduled(scheduler, compute, lambda handle, _: handle and handle.key, nothing, say),
        [own.handle, entries],
        [progress, table, entries],
        concurrency_limit=None,  # the scheduler has its own
        concurrency_id="own-board",
        **(RAW | {"trigger_mode": "multiple"}),
    )
    return board


@dataclass(frozen=True)
class Step:
    """How far the scoring is.

    Attributes:
        done: Pictures that were scored.
        total: Of how many.
        entries: The session's models, at the end.
        ours: What ours score, likewise.
    """

    done: int
    total: int
    entries: tuple[Entry, ...] = ()
    ours: Mapping[str, Score] | None = None


def score_beside(
    model: OwnModel,
    name: str,
    faces: FaceSet,
    ours: OurScores,
    before: Sequence[Entry],
) -> Iterator[Step | None]:
    """Score a model and, once for all sessions, ours.

    Args:
        model: The session's.
        name: What the visitor calls it.
        faces: Those on offer.
        ours: What is known of ours.
        before: What the session's models scored before.

    Yields:
        Now and then how far it is, else None; at the end the scores.

    Raises:
        OwnModelError: The model failed, or took too long in all.
    """
    which = f"{faces.source} {faces.split} {len(faces)}"
    pictures = pick_faces(faces)
    found = find_available(RIVALS)
    methods = {NOISY: None, **found.denoisers}
    missing = [name for name in methods if ours.find(which, name) is None]
    each = len(pictures) * len(CONDITIONS)
    done, total = 0, each * (1 + len(missing))
    begun = model.seconds
    own_score = None
    for method_id in (None, *missing):
        for result in score(model if method_id is None else methods[method_id], pictures):
            if result is None:
                done += 1
                if model.seconds - begun > LONGEST_SECONDS:
                    raise OwnModelError(
                        f"The scoring was stopped: a model may compute for {LONGEST_SECONDS} s in all, "
                        "and took longer."
                    )
                yield Step(done, total) if done % 25 == 0 and done < total else None
            elif method_id is None:
                own_score = result
            else:
                ours.keep(which, method_id, result)
    assert own_score is not None
    older = [entry for entry in before if entry.faces == which and entry.key != model.key]
    entries = (*older, Entry(model.key, name, which, own_score))[-MOST_ROWS:]
    known = {method_id: ours.find(which, method_id) for method_id in methods}
    yield Step(total, total, entries, {k: v for k, v in known.items() if v is not None})


def table_value(entries: Sequence[Entry], ours: Mapping[str, Score]) -> Payload:
    """Return the scores as ``table.js`` takes them, the best mean first."""
    labels = {name: NOISY_LABEL if name == NOISY else describe_denoiser(name).label for name in ours}
    rows = [(labels[name], found) for name, found in ours.items()]
    rows += [(f"Your own: {entry.name}", entry.score) for entry in entries]
    rows.sort(key=lambda row: -row[1].mean)
    titles = {name: noise.describe() for name, noise in CONDITIONS.items()}
    columns = [_column("Method", "Method", number=False), _column("Mean", "Mean PSNR over the noises")]
    columns += [_column(name, title) for name, title in titles.items()]
    columns.append(_column("SSIM", "Mean SSIM over the noises"))
    best = {
        name: max(_means(found)[name] for _, found in rows) for name in ("Mean", *CONDITIONS, "SSIM")
    }
    return {
        "columns": columns,
        "rows": [
            [
                {"sort": label, "text": label},
                *(
                    {
                        "sort": value,
                        "text": f"{value:.3f}" if name == "SSIM" else f"{value:.2f}",
                        "best": value == best[name],
                    }
                    for name, value in _means(found).items()
                ),
            ]
            for label, found in rows
        ],
    }


def describe_gap(entry: Entry, ours: Mapping[str, Score]) -> str:
    """Say in a sentence how far a model is from the best of ours."""
    best = max((name for name in ours if name != NOISY), key=lambda name: ours[name].mean, default=None)
    if best is None:
        return "Scored."
    found = paired_difference(entry.score.per_face, ours[best].per_face)
    other = f"{describe_denoiser(best).label}, the best of ours here"
    apart, share = f"{abs(found.mean):.2f} dB", "95\N{NO-BREAK SPACE}%"
    if max(abs(found.low), abs(found.high)) < 0.005:  # which would be written as 0.00
        return f"{entry.name} and {other}, score the same."
    if not found.is_real:
        ends = f"{share}: {found.low:+.2f} to {found.high:+.2f}"
        return f"{entry.name} and {other}, are {apart} apart, which may be luck ({ends})."
    low, high = sorted((abs(found.low), abs(found.high)))
    where = "ahead of" if found.mean > 0 else "behind"
    return f"{entry.name} is {apart} {where} {other} ({share}: {low:.2f} to {high:.2f})."


def _means(found: Score) -> dict[str, float]:
    by_noise = {name: fmean(values) for name, values in found.psnr.items()}
    return {"Mean": found.mean, **by_noise, "SSIM": fmean(found.ssim.values())}


def _column(label: str, title: str, number: bool = True) -> Payload:
    first = "descending" if number else "ascending"
    return {"label": label, "title": title, "number": number, "first": first}


def _outputs(step: Step) -> list[Any]:
    if step.ours is None:
        return [_progress("running", "Scoring.", step.done, step.total), gr.skip(), gr.skip()]
    said = describe_gap(step.entries[-1], step.ours)
    return [_progress("done", said), table_value(step.entries, step.ours), step.entries]


def _progress(state: str, text: str, done: int = 0, total: int = 0) -> Payload:
    return {"version": new_version(), "state": state, "text": text, "done": done, "total": total}
