"""Train everything that ships, in order: ``python -m train all --data PATH``.

``recipe.toml`` lists the steps, each a config and its share of a time budget. A step waits for the
models that it starts from and is taught by; others may run beside it. What is finished is not trained
again, and a step that was cut off goes on from its last checkpoint.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from denoiser.analysis.inspection import find_capabilities
from denoiser.denoisers.registry import list_denoisers, model_of
from denoiser.faces.fer2013 import FACE_SIZE
from train.config import (
    ConfigError,
    TrainConfig,
    build_checked,
    read_config,
    read_toml,
    sees_colour,
)
from train.data import PREPARED, face_size, prepare_faces
from train.evaluation.score_unknown_noise import METHODS
from train.recipe.progress import State, write_progress

RECIPE = Path(__file__).parent / "recipe.toml"
"""What ships, in the order in which it is trained."""

_CONFIGS = Path(__file__).parents[1] / "configs"
_POLL_SECONDS = 0.5
_PICTURE_SECONDS = 30


@dataclass(frozen=True)
class Step:
    """One training run of the recipe.

    Attributes:
        config: File in ``configs/``, without its ending.
        share: Of a time budget, beside the others' shares.
    """

    config: str
    share: float = 1.0

    @property
    def path(self) -> Path:
        """Where the config is."""
        return _CONFIGS / f"{self.config}.toml"

    @property
    def sees_colour(self) -> bool:
        """Whether it trains on colour faces."""
        return sees_colour(read_config(self.path))


Needs = Mapping[Step, tuple[Step, ...]]
"""Which steps each one waits for."""


@dataclass(frozen=True)
class Slot:
    """When a step runs, in units of the shares.

    Attributes:
        step: Which.
        start: When it begins.
        end: When it ends.
    """

    step: Step
    start: float
    end: float


def read_recipe(path: Path = RECIPE) -> tuple[Step, ...]:
    """Read the steps.

    Raises:
        ConfigError: A key or value is wrong, or a step starts from a model that no earlier one trains.
    """
    steps = tuple(build_checked(Step, values) for values in read_toml(path).get("step", ()))
    trained: set[str] = set()
    for step in steps:
        config = read_config(step.path)
        if step.share <= 0:
            raise ConfigError(f"{path}: the share of {step.config} must be above 0")
        for how, name in _models_behind(config):
            if name not in trained:
                raise ConfigError(f"{path}: {step.config} {how} {name!r}, not yet trained")
        trained.add(config.id)
    return steps


def _models_behind(config: TrainConfig) -> list[tuple[str, str]]:
    """Return what has to be trained before a model: what that does with it, and its id."""
    models = (("starts from", config.start_from), ("is taught by", config.teacher))
    return [(how, name) for how, name in models if name]


def find_needs(steps: Sequence[Step]) -> Needs:
    """Return which steps each one waits for.

    They are the last ones before it that train what it starts from, and what it is taught by.
    """
    trainers: dict[str, Step] = {}
    needs = {}
    for step in steps:
        config = read_config(step.path)
        found = [trainers[name] for _, name in _models_behind(config) if name in trainers]
        needs[step] = tuple(dict.fromkeys(found))
        trainers[config.id] = step
    return needs


def schedule(steps: Sequence[Step], needs: Needs, jobs: int) -> list[Slot]:
    """Plan when each step runs: in order, so many at once, none before those that it waits for."""
    waiting = list(steps)
    slots: dict[Step, Slot] = {}
    lanes = [0.0] * jobs
    while waiting:
        lane = min(range(jobs), key=lanes.__getitem__)

        def ready_at(step: Step) -> float:
            return max((slots[need].end for need in needs[step]), default=0.0)

        possible = [step for step in waiting if slots.keys() >= set(needs[step])]
        now = lanes[lane]
        step = next((s for s in possible if ready_at(s) <= now), None) or min(possible, key=ready_at)
        start = max(now, ready_at(step))
        slots[step] = Slot(step, start, start + step.share)
        lanes[lane] = slots[step].end
        waiting.remove(step)
    return sorted(slots.values(), key=lambda slot: slot.start)


def train_all(
    steps: Sequence[Step],
    data: Path,
    *,
    runs: Path,
    weights: Path,
    budget: timedelta | None = None,
    jobs: int = 1,
    colour_data: Path | None = None,
    size: int | None = None,
    split_seed: int = 0,
    options: Sequence[str] = (),
) -> list[str]:
    """Run the steps, each in a process of its own, with its log in ``runs/all``, and a picture of all.

    Args:
        steps: What to train.
        data: Where FER2013 is, or a folder of own faces; see :class:`~train.data.FaceData`.
        runs: Folder of all runs.
        weights: Folder of all models; the trained ones are written there.
        budget: Time for all of it; each config's own epochs where there is none.
        jobs: How many runs at once.
        colour_data: Where colour faces are, if a step is of a network for colour.
        size: Height and width of own faces, in pixels; None for 48, or what is in a prepared file.
        split_seed: Of the random split of own faces, the same for all.
        options: Passed on to ``python -m train fit`` as they are.

    Returns:
        The configs whose training failed, or that waited for one that failed.
    """
    logs = runs / "all"
    logs.mkdir(parents=True, exist_ok=True)
    needs = find_needs(steps)
    slots = schedule(steps, needs, jobs)
    seconds = budget.total_seconds() / max(slot.end for slot in slots) if budget else 0.0
    started = time.monotonic()
    if size is not None:
        face_size(data, size)  # a prepared file of another size is refused
    ready = data.suffix == PREPARED
    pictures = logs / f"faces{PREPARED}"
    prepared = data if ready else prepare_faces(data, pictures, size or FACE_SIZE, split_seed)
    if colour_data is not None and colour_data.suffix != PREPARED:
        colour_pictures = logs / f"colour-faces{PREPARED}"
        colour_data = prepare_faces(
            colour_data, colour_pictures, size or FACE_SIZE, split_seed, colour=True
        )
    done = {step for step in steps if _is_marked(step, logs, "done")}
    failed: list[Step] = []
    running: dict[Step, subprocess.Popen] = {}
    waiting = [slot.step for slot in slots if slot.step not in done]

    def tell_progress() -> None:
        states = {step.config: _state(step, done, failed, running) for step in steps}
        write_progress(states, logs / "runs", logs)

    told = -math.inf
    while waiting or running:
        if time.monotonic() - told > _PICTURE_SECONDS:
            tell_progress()
            told = time.monotonic()
        for step in [step for step, process in running.items() if process.poll() is not None]:
            if running.pop(step).returncode == 0:
                _mark(step, logs, "done")
                done.add(step)
            else:
                failed.append(step)
            print(f"{step.config}: {'done' if step in done else 'FAILED'}", flush=True)
        for step in [step for step in waiting if not set(needs[step]).isdisjoint(failed)]:
            waiting.remove(step)
            failed.append(step)
        for step in waiting:
            if len(running) < jobs and done.issuperset(needs[step]):
                limit: tuple[str, ...] = ()
                if budget:
                    left = budget.total_seconds() - (time.monotonic() - started)
                    limit = ("--budget", f"{max(1.0, min(step.share * seconds, left)):.1f}s")
                own = colour_data if step.sees_colour and colour_data else prepared
                running[step] = _start(step, own, runs, weights, logs, (*limit, *options))
                print(f"{step.config}: started {' '.join(limit)}", flush=True)
        waiting = [step for step in waiting if step not in running]
        time.sleep(_POLL_SECONDS)
    tell_progress()
    return [step.config for step in failed]


def follow_up(model_ids: Sequence[str], data: Path, runs: Path, colour_data: Path | None = None) -> bool:
    """Score what uses models trained anew, and write what depends: cards, tables, golden outputs.

    Args:
        model_ids: Which; those that the app does not offer are left out.
        data: Where FER2013 is, with its test split.
        runs: Folder of all runs; finished scores are kept there.
        colour_data: Where colour faces are, with their test split; None leaves the tables of colour.

    Returns:
        Whether all of it went well; if not, the command that failed has said why.
    """
    offered = [name for name in list_denoisers() if model_of(name) in model_ids]
    colour = ["train", "evaluate-colour", "--data", str(colour_data)]
    colour += ["--cache", str(runs / "evaluate-colour")]
    commands = [colour] if colour_data else []
    if not offered:
        return _run_all(commands)
    draws = any(name in offered for name in find_capabilities().samples)
    scoring = ["--data", str(data), "--denoisers", *offered, "--cache"]
    drawing = ["--data", str(data), "--cache"]
    unknown = ["train", "evaluate-unknown-noise", "--data", str(data), "--colour-data", str(colour_data)]
    commands += [
        ["train", "evaluate", *scoring, str(runs / "evaluate")],
        ["train", "evaluate-emotion", *scoring, str(runs / "evaluate-emotion")],
        ["train", "evaluate-realism", *scoring, str(runs / "evaluate-realism")],
        *([["train", "evaluate-samples", *drawing, str(runs / "evaluate-samples")]] if draws else []),
        *([unknown] if colour_data and not set(METHODS).isdisjoint(offered) else []),
        ["tests.golden.make", *offered],
    ]
    return _run_all(commands)


def _run_all(commands: Sequence[Sequence[str]]) -> bool:
    """Run commands of Python one after the other, up to one that fails."""
    return all(subprocess.run([sys.executable, "-m", *c], check=False).returncode == 0 for c in commands)


def _state(
    step: Step, done: Container[Step], failed: Container[Step], running: Container[Step]
) -> State:
    groups: dict[State, Container[Step]] = {"done": done, "failed": failed, "running": running}
    return next((state for state, steps in groups.items() if step in steps), "waiting")


def _start(
    step: Step, data: Path, runs: Path, weights: Path, logs: Path, options: Sequence[str]
) -> subprocess.Popen:
    command = [sys.executable, "-m", "train", "fit", str(step.path), "--data", str(data)]
    command += ["--runs", str(runs / "all" / "runs" / step.config), "--weights", str(weights), *options]
    checkpoints = (runs / "all" / "runs" / step.config).glob("*/last.ckpt")
    if any(checkpoints) and _is_marked(step, logs, "started"):  # by another config it starts anew
        command.append("--resume")
    _mark(step, logs, "started")
    with (logs / f"{step.config.replace('/', '.')}.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ)


def _is_marked(step: Step, logs: Path, what: str) -> bool:
    """Whether the step is ``"started"`` or ``"done"``, by the config that it has now."""
    mark = _mark_path(step, logs, what)
    return mark.exists() and mark.read_text(encoding="utf-8") == repr(_config(step))


def _mark(step: Step, logs: Path, what: str) -> None:
    _mark_path(step, logs, what).write_text(repr(_config(step)), encoding="utf-8")


def _mark_path(step: Step, logs: Path, what: str) -> Path:
    return logs / f"{step.config.replace('/', '.')}.{what}"


def _config(step: Step) -> TrainConfig:
    return read_config(step.path)
