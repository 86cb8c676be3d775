"""What a method costs on a picture, and so whether it answers at once, follows, or is not run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from denoiser.analysis.results import ResultsError, read_benchmark
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.pipeline import Experiment
from denoiser.ui.experiment.run import Face

LIVE_MS = 36.0
"""So many milliseconds, by the benchmark, may be spent while a slider moves; what comes after follows.

With six networks and all filters at 48x48 in gray they are used up; so they are with the four default
methods at 96x96. See ``tests/benchmarks/slider_to_pixels.py``.
"""

LONGEST_MS = 500.0
"""A method that takes longer is not run: others would wait for it."""

# Of what a method takes at 48x48 in gray, this part is the same for any size, and the rest grows with
# the numbers in the picture: at 12 times as many, the networks take 7 to 8 times as long.
_FIXED = 0.45

_UNMEASURED = {"classical": 1.0}  # milliseconds, where the benchmark has none
_UNMEASURED_OTHERS = 10.0


@dataclass(frozen=True)
class Plan:
    """What becomes of the methods chosen, each in one of the lists, in their order.

    Attributes:
        live: They answer while a slider moves.
        later: They follow.
        refused: They would take too long at this size: a sentence for each.
    """

    live: tuple[str, ...]
    later: tuple[str, ...]
    refused: Mapping[str, str]


def plan_methods(face: Face, experiment: Experiment, methods: Mapping[str, DenoiserInfo]) -> Plan:
    """Decide when each method of an experiment is run on a face; see :func:`plan`."""
    shape = face.at(experiment.face_size, experiment.colour).shape
    return plan(experiment.methods, methods, shape)


def plan(chosen: Iterable[str], methods: Mapping[str, DenoiserInfo], shape: tuple[int, ...]) -> Plan:
    """Decide when each method is run.

    Filters come before networks, and those before the others in the order of the list. A model of the
    visitor's own always follows: nobody is to wait for it.

    Args:
        chosen: Ids of methods.
        methods: All there are.
        shape: The picture's, (H, W) or (H, W, 3).
    """
    ids = list(chosen)
    costs = {method_id: cost(methods[method_id], shape) for method_id in ids}
    refused = {name: _refuse(shape) for name, needed in costs.items() if needed > LONGEST_MS}
    left = LIVE_MS
    live = set()
    for method_id in sorted(ids, key=lambda name: methods[name].family != "classical"):
        if method_id != OWN_MODEL and costs[method_id] <= left:
            live.add(method_id)
            left -= costs[method_id]
    return Plan(
        tuple(name for name in ids if name in live),
        tuple(name for name in ids if name not in live and name not in refused),
        refused,
    )


def cost(info: DenoiserInfo, shape: tuple[int, ...]) -> float:
    """Return about how many milliseconds a method takes on a picture, on the benchmark's machine."""
    small = info.milliseconds or _milliseconds().get(
        info.id, _UNMEASURED.get(info.family, _UNMEASURED_OTHERS)
    )
    # A network for colour takes three channels as it takes one.
    numbers = float(np.prod(shape[:2] if info.colour else shape))
    return small * (_FIXED + (1 - _FIXED) * numbers / FACE_SIZE**2)


@cache
def _milliseconds() -> dict[str, float]:
    """Return what each method took at 48x48 in gray."""
    try:
        measured = {method.id: method.milliseconds for method in read_benchmark().methods}
    except ResultsError:  # the tab "Benchmark" says so
        return {}
    return {name: needed for name, needed in measured.items() if needed is not None}


def _refuse(shape: tuple[int, ...]) -> str:
    colour = " in colour" if len(shape) == 3 else ""
    return f"Takes too long at {shape[1]}x{shape[0]}{colour}; choose a smaller size."
