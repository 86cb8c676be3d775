"""The second and third step of the page: the noise, and the methods."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from denoiser.analysis.results import ResultsError, read_benchmark
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.own_model import OWN_LABEL, OWN_MODEL
from denoiser.denoisers.registry import COLOUR_MODELS, DEFAULT_DENOISERS
from denoiser.noise import (
    NOISES,
    PRESETS,
    GaussianNoise,
    NoiseModel,
    Parameter,
    noise_kind,
    noise_stages,
)
from denoiser.pipeline import FACE_SIZES, Experiment
from denoiser.ui.common.events import LATEST, SILENT
from denoiser.ui.common.html import NOTHING, painted
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.faces import FaceControls
from denoiser.ui.experiment.more_noises import create_more_noises
from denoiser.ui.experiment.own_model import OwnControls
from denoiser.ui.experiment.parsing import (
    MAX_STAGES,
    UNREADABLE,
    ExperimentError,
    ParameterKey,
    parse_experiment,
    write_form,
    write_stages,
)
from denoiser.ui.experiment.run import Face, in_form, without_own

_PRESETS: Mapping[str, NoiseModel] = {"gaussian": GaussianNoise(), **PRESETS}
"""What one click sets: the noise that a page starts with, and the reference's three."""

_FOR_COLOUR = "Networks for colour", "see red, green and blue together"
"""The group of methods that is offered where the face is in colour."""

_OWN = OWN_LABEL, "for this page alone"
"""That which is offered where the session has a model of its own."""

_PRESETS_IN_WORDS = {noise.describe(): name for name, noise in _PRESETS.items()}

# The grid's data hold it too, for whoever undoes it.
_WRITE = """(...values) => {
  const text = JSON.stringify(values);
  const lab = document.querySelector("#comparison .lab");
  if (lab) lab.dataset.written = text;
  return text;
}"""
# Of a link's experiment each control announces its change while others are still to be set. Pictures of
# such a mixture would be seen for a moment: until the grid has what it starts with, only what is
# written on purpose counts (undefined leaves an output as it is).
_WRITE_ONCE_SHOWN = f"""(...values) =>
  document.querySelector("#comparison .lab")?.dataset.started ? ({_WRITE})(...values) : undefined"""


@dataclass(frozen=True)
class NoiseControls:
    """The controls of one noise.

    Attributes:
        kind: Which one.
        sliders: The sliders of all kinds, of which only the chosen kind's show. Each kind keeps its
            own: one that changed its meaning would, for a moment, hold another one's value.
    """

    kind: gr.Dropdown
    sliders: dict[ParameterKey, gr.Slider]

    @property
    def outputs(self) -> list[Any]:
        """All components, for ``outputs`` of an event; :meth:`show` makes their values."""
        return [self.kind, *self.sliders.values()]

    def show(self, noise: NoiseModel) -> list[Any]:
        """Make the values of :attr:`outputs` for a noise; other kinds keep their sliders."""
        values: dict[ParameterKey, Any] = dict.fromkeys(self.sliders, gr.skip())
        for parameter in noise.parameters:
            values[noise.id, parameter.name] = parameter.displayed(getattr(noise, parameter.name))
        return [noise.id, *values.values()]


@dataclass(frozen=True)
class MethodControls:
    """Which denoisers to show, and how they are set.

    Attributes:
        chosen: Their ids.
        sliders: Of their hyperparameters; only those of the chosen ones show.
        parameters: What the sliders set.
        options: Holds the sliders; closed at first.
    """

    chosen: gr.CheckboxGroup
    sliders: dict[ParameterKey, gr.Slider]
    parameters: dict[ParameterKey, Parameter]
    options: gr.Accordion

    @property
    def outputs(self) -> list[Any]:
        """All components, for ``outputs`` of an event; :meth:`show` makes their values."""
        return [self.chosen, self.options, *self.sliders.values()]

    def show(self, experiment: Experiment) -> list[Any]:
        """Make the values of :attr:`outputs`; sliders of methods that are not shown stay as they are."""
        values: dict[ParameterKey, Any] = dict.fromkeys(self.sliders, gr.skip())
        for (method_id, name), parameter in self.parameters.items():
            if method_id in experiment.methods:
                own = experiment.hyperparameters.get(method_id, {})
                values[method_id, name] = parameter.displayed(own.get(name, parameter.default))
        options = gr.Accordion(open=True) if experiment.hyperparameters else gr.skip()
        return [list(experiment.methods), options, *values.values()]


@dataclass(frozen=True)
class Controls:
    """Everything a comparison depends on.

    Events are given three values: the face, the session's own model, and what all other controls say, as
    one text. The browser keeps that text in step with the controls. With every event, Gradio's page goes
    through all inputs of all events that ever ran, three times, each with a search of the whole page; of
    the thirty controls themselves, that would be felt in every move of a slider.

    Attributes:
        faces: What holds and shows the session's face.
        form: Its size, and whether it is in colour, as text.
        first: The noise.
        more: The noises on top of it, as text.
        seed: Seed of the noise.
        clip: Clip the noisy picture.
        round_8bit: Round it to 8 bits.
        options: Holds the two boxes; closed at first.
        methods: Which denoisers to show, and how they are set.
        own: What holds and adds the session's own model.
        written: What they all say but the face and the model, as JSON.
    """

    faces: FaceControls
    form: gr.HTML
    first: NoiseControls
    more: gr.HTML
    seed: gr.Number
    clip: gr.Checkbox
    round_8bit: gr.Checkbox
    options: gr.Accordion
    methods: MethodControls
    own: OwnControls
    written: gr.Textbox

    @property
    def inputs(self) -> list[Any]:
        """What depends on all components, for ``inputs`` of an event; the values go to :meth:`read`."""
        return [self.faces.face, self.own.handle, self.written]

    @property
    def settings(self) -> list[Any]:
        """All components but the face and the model, in the order in which they are written down."""
        return [
            self.first.kind,
            self.more,
            self.seed,
            self.clip,
            self.round_8bit,
            self.methods.chosen,
            self.form,
            *self.first.sliders.values(),
            *self.methods.sliders.values(),
        ]

    @property
    def outputs(self) -> list[Any]:
        """All components that :meth:`show` sets, for ``outputs`` of an event.

        The event has to be queued: after an unqueued one Gradio does not announce the new face.
        """
        return [
            *self.faces.outputs,
            self.form,
            *self.first.outputs,
            self.more,
            self.seed,
            self.clip,
            self.round_8bit,
            self.options,
            *self.methods.outputs,
        ]

    @property
    def changes(self) -> list[Any]:
        """The events that announce that any component has changed."""
        return [component.change for component in self.inputs]

    def keep_written(self) -> None:
        """Have the browser write down all settings whenever one of them changes.

        Not before the grid has what it starts with: whoever starts it has :meth:`write_after` write
        before and after it.
        """
        self.written.value = json.dumps([component.value for component in self.settings])
        # An event for each: of one event for all, Gradio's page looks up all thirty each time.
        for component in self.settings:
            self._write(component.change, _WRITE_ONCE_SHOWN)

    def write_after(self, event: Callable[..., Any]) -> Callable[..., Any]:
        """Have the browser write down all settings after an event, without the server.

        Returns:
            The event that follows.
        """
        return self._write(event, _WRITE).then  # type: ignore[no-any-return]

    def _write(self, event: Callable[..., Any], js: str) -> Any:
        return event(None, self.settings, self.written, js=js, api_visibility="private")

    def read(self, values: Sequence[Any]) -> tuple[Face, Experiment]:
        """Make sense of the values of :attr:`inputs`, as they came from the browser.

        Events use ``preprocess=False``: Gradio answers an emptied number box, or a number out of
        range, with an HTTP 500 that the page does not show.

        Raises:
            ExperimentError: Something is missing or out of range.
        """
        face, handle, written = values
        count = len(self.first.sliders)
        try:
            first, more, seed, clip, round_8bit, methods, form, *numbers = json.loads(written)
            if len(numbers) != count + len(self.methods.sliders):
                raise ValueError("too few or too many numbers")
        except (TypeError, ValueError, RecursionError):  # it comes from a browser
            raise ExperimentError(UNREADABLE) from None
        experiment = parse_experiment(
            first,
            dict(zip(self.first.sliders, numbers[:count], strict=True)),
            more,
            seed=seed,
            form=form,
            clip=clip,
            round_8bit=round_8bit,
            methods=methods,
            hyperparameters=[
                (method_id, parameter, shown)
                for ((method_id, _), parameter), shown in zip(
                    self.methods.parameters.items(), numbers[count:], strict=True
                )
            ],
        )
        return face, face.fit(replace(experiment, own=self.own.models.find(handle)))

    def read_small(self, values: Sequence[Any], own: bool = False) -> tuple[Face, Experiment]:
        """Make sense of the values of :attr:`inputs` for the other tabs, whose faces are 48x48 and gray.

        Args:
            values: As for :meth:`read`.
            own: Whether a model of the session's own takes part.

        Raises:
            ExperimentError: As for :meth:`read`.
        """
        face, experiment = self.read(values)
        small = in_form(experiment, FACE_SIZES[0], colour=False)
        return face, small if own else without_own(small)

    def show(self, experiment: Experiment, faces: FaceSource) -> list[Any]:
        """Make the values of :attr:`outputs` that put an experiment into the controls.

        A sample that is not here leaves the face as it is, and the note below the faces says so.

        Args:
            experiment: One noise or a chain of up to four; its strengths within the sliders' ranges.
            faces: Where the sample comes from.

        Raises:
            ValueError: The controls can't hold this noise.
        """
        stages = noise_stages(experiment.noise)
        if not 1 <= len(stages) <= MAX_STAGES:
            raise ValueError(f"the page has room for one to {MAX_STAGES} noises, not {len(stages)}")
        for stage in stages:
            _check_fits(stage)
        has_options = not experiment.clip or experiment.round_8bit
        return [
            *self.faces.show(experiment.sample, faces),
            write_form(experiment),
            *self.first.show(stages[0]),
            write_stages(stages[1:]),
            experiment.seed,
            experiment.clip,
            experiment.round_8bit,
            gr.Accordion(open=True) if has_options else gr.skip(),  # nothing chosen stays out of sight
            *self.methods.show(experiment),
        ]


def _check_fits(noise: NoiseModel) -> None:
    """Raise ValueError where a noise is no kind of the menu, or stronger than its sliders go."""
    for parameter in noise_kind(noise.id).parameters:
        value = parameter.displayed(getattr(noise, parameter.name))
        low, high = parameter.slider_range
        if not low <= value <= high:
            raise ValueError(
                f"{parameter.title} goes from {low:g} to {high:g} on the page, not to {value:g}"
            )


def preset_of(experiment: Experiment) -> str:
    """Return which preset's button would set an experiment's noise; empty if none."""
    if not experiment.clip or experiment.round_8bit:
        return ""
    # In words: a slider's number, divided by 255, is not to the last digit what a preset has.
    return _PRESETS_IN_WORDS.get(experiment.noise.describe(), "")


def create_noise_section() -> tuple[
    NoiseControls, gr.HTML, gr.Number, gr.Checkbox, gr.Checkbox, gr.Accordion
]:
    """Add the noise's controls to the page.

    Returns:
        The noise, those on top of it, seed, the boxes for clipping and rounding, and what holds these
        two.
    """
    gr.Markdown("### 2. Noise")
    painted("experiment/presets.js", NOTHING, elem_classes="unseen")
    with gr.Row(elem_classes="presets", elem_id="presets"):
        presets = {
            name: gr.Button(_preset_label(noise), size="sm", min_width=0, elem_id=f"preset-{name}")
            for name, noise in _PRESETS.items()
        }
    first = create_noise_controls()
    more = create_more_noises()
    with gr.Row():
        seed = gr.Number(0, label="Seed", min_width=120, elem_id="seed")
        reroll = gr.Button("Other noise", size="md", min_width=110, elem_id="reroll")
    with gr.Accordion("More noise options", open=False, elem_id="more-noise") as options:
        clip = gr.Checkbox(True, label="Clip to black and white", elem_id="clip")
        round_8bit = gr.Checkbox(False, label="Round to 8 bits", elem_id="round-8bit")

    # In the browser: a new seed needs no server.
    reroll.click(
        None,
        None,
        seed,
        js="() => Math.floor(Math.random() * 10000)",
        api_visibility="private",
    )
    for name, button in presets.items():
        _connect_preset(button, _PRESETS[name], first, more, clip, round_8bit)
    return first, more, seed, clip, round_8bit, options


def create_method_section(methods: dict[str, DenoiserInfo], noise_kind: gr.Dropdown) -> MethodControls:
    """Add the choice of methods, and their hyperparameters, to the page.

    Args:
        methods: All there are.
        noise_kind: The kind of noise, by which the best are chosen.
    """
    gr.Markdown("### 3. Methods")
    sets = _method_sets(methods)
    with gr.Row(elem_classes="presets"):
        default, best, *others = (
            gr.Button(name, size="sm", min_width=0, elem_id=f"methods-{name.split()[0].lower()}")
            for name in ("Default", "Best of each kind", *sets)
        )
    in_groups = _method_groups(methods) | {_OWN: [OWN_MODEL]}
    names = {name: info.label for name, info in methods.items()} | {OWN_MODEL: OWN_LABEL}
    offered = {_FOR_COLOUR: "colour", _OWN: "own"}
    painted(
        "experiment/method_groups.js",
        NOTHING,
        value=[[*group, offered.get(group, "always"), len(ids)] for group, ids in in_groups.items()],
        elem_classes="unseen",
    )
    chosen = gr.CheckboxGroup(
        [(names[method_id], method_id) for ids in in_groups.values() for method_id in ids],
        value=[m for m, info in methods.items() if m in DEFAULT_DENOISERS or info.family == "own"],
        label="Shown side by side",
        elem_id="methods",
    )
    sliders: dict[ParameterKey, gr.Slider] = {}
    parameters: dict[ParameterKey, Parameter] = {}
    groups = {}
    with gr.Accordion("Settings of the methods", open=False, elem_id="method-settings") as options:
        for method_id, info in methods.items():
            if not info.hyperparameters:
                continue
            with gr.Column(visible=method_id in chosen.value) as groups[method_id]:
                for parameter in info.hyperparameters:
                    key = method_id, parameter.name
                    elem_id = f"method-{method_id}-{parameter.name}".replace("_", "-")
                    parameters[key] = parameter
                    sliders[key] = _create_slider(parameter, f"{info.label}: ", elem_id)
    for button, ids in zip([default, *others], [list(chosen.value), *sets.values()], strict=True):
        button.click(partial(list, ids), None, chosen, queue=False, **SILENT)
    best.click(partial(_best_of_each_kind, methods), noise_kind, chosen, queue=False, **SILENT)
    chosen.change(
        lambda ids: [gr.Column(visible=method_id in ids) for method_id in groups],
        chosen,
        list(groups.values()),
        queue=False,
        **LATEST,
    )
    return MethodControls(chosen, sliders, parameters, options)


def _method_groups(methods: dict[str, DenoiserInfo]) -> dict[tuple[str, str], list[str]]:
    """Sort methods into groups for people, by title and a line; none is empty.

    A specialist is its own kind.
    """
    unets = "U-Nets", "on average closest to the clean face"
    inventors = "GAN and flows", "sharper, as they invent detail"
    titles = {
        "network": unets,
        "hybrid": unets,
        "GAN": inventors,
        "flow": inventors,
        "autoencoder": ("Autoencoders", "squeeze the face through a narrow middle"),
        "classical": ("Filters", "never learned from any face"),
        "own": ("Your own", "what you brought along"),
    }
    specialists = "Specialists", "made for one noise, of little use for others"
    order = (*titles.values(), specialists, _FOR_COLOUR)
    groups: dict[tuple[str, str], list[str]] = {title: [] for title in order}
    for method_id, info in methods.items():
        if method_id in COLOUR_MODELS:
            group = _FOR_COLOUR
        else:
            group = specialists if "." in method_id else titles[info.family]
        groups[group].append(method_id)
    return {title: ids for title, ids in groups.items() if ids}


def _method_sets(methods: dict[str, DenoiserInfo]) -> dict[str, tuple[str, ...]]:
    """Return the choices that one click makes, by name."""
    return {
        "Filters": tuple(m for m, info in methods.items() if info.family == "classical"),
        "All": tuple(methods),
        "None": (),
    }


def _best_of_each_kind(methods: dict[str, DenoiserInfo], noise: str) -> list[str]:
    """Return the best method of each family for a kind of noise, by the committed benchmark.

    Where that knows nothing of it, the first of each family.
    """
    try:
        best = read_benchmark().best_of_families(noise)
    except ResultsError:  # the tab "Benchmark" says so
        best = {}
    one_of_each = {info.family: method_id for method_id, info in reversed(methods.items())} | best
    return [method_id for method_id in methods if method_id in one_of_each.values()]


def _preset_label(noise: NoiseModel) -> str:
    """Name a preset by what it sets: its kind, and the strength that its first slider shows."""
    strength = noise.parameters[0]
    value = f"{strength.displayed(getattr(noise, strength.name)):.3g}"
    return f"{noise.label} {value}{' %' if strength.unit.startswith('%') else ''}"


def create_noise_controls(name: str = "noise") -> NoiseControls:
    """Add the controls of one noise to the page.

    Args:
        name: How the ids of their elements begin.
    """
    choices = [(noise.label, noise.id) for noise in NOISES]
    kind = gr.Dropdown(choices, value=NOISES[0].id, label="Kind of noise", elem_id=f"{name}-kind")
    sliders: dict[ParameterKey, gr.Slider] = {}
    groups = {}
    for noise in NOISES:
        with gr.Column(visible=noise.id == kind.value) as groups[noise.id]:
            for parameter in noise.parameters:
                elem_id = f"{name}-{noise.id}-{parameter.name}".replace("_", "-")
                slider = _create_slider(parameter, "", elem_id)
                sliders[noise.id, parameter.name] = slider
    kind.change(
        lambda chosen: [gr.Column(visible=noise_id == chosen) for noise_id in groups],
        kind,
        list(groups.values()),
        queue=False,
        **LATEST,
    )
    return NoiseControls(kind, sliders)


def _create_slider(parameter: Parameter, prefix: str, elem_id: str) -> gr.Slider:
    low, high = parameter.slider_range
    return gr.Slider(
        low,
        high,
        value=parameter.displayed(parameter.default),
        step=parameter.step,
        label=f"{prefix}{parameter.title}",
        buttons=[],
        elem_id=elem_id,
    )


def _connect_preset(
    button: gr.Button,
    preset: NoiseModel,
    first: NoiseControls,
    more: gr.HTML,
    clip: gr.Checkbox,
    round_8bit: gr.Checkbox,
) -> None:
    """Make a button set everything that belongs to the noise, but not the seed."""
    values = [p.displayed(getattr(preset, p.name)) for p in preset.parameters]
    sliders = [first.sliders[preset.id, p.name] for p in preset.parameters]
    button.click(
        lambda: [preset.id, write_stages([]), True, False, *values],
        None,
        [first.kind, more, clip, round_8bit, *sliders],
        queue=False,
        **SILENT,
    )
