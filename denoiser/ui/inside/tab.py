"""The tab "Inside": what networks look at, and what methods take away, destroy and make up.

It has parts, of which one is on show; only that one is computed, by one queued listener, when the tab
is opened and when one of its controls changes.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from denoiser.analysis.inspection import find_capabilities
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.registry import DEFAULT_DENOISERS
from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import RAW
from denoiser.ui.common.html import read_asset, read_script
from denoiser.ui.common.width import WITH_WIDTH, chart_width
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.parsing import ExperimentError, parse_seed
from denoiser.ui.experiment.run import Face, describe_methods
from denoiser.ui.experiment.summary import create_summary
from denoiser.ui.inside.payload import (
    bias_payload,
    experts_payload,
    find_profiles,
    gates_payload,
    intermediate_payload,
    invention_payload,
    line_payload,
    patches_payload,
    residual_payload,
    samples_payload,
    sentence_payload,
)

MAX_SIGMA = 100
"""Of 255: the strongest pure noise."""

_FIRST_LINE = (19, 6, 19, 41)  # rows and columns of both ends: across the eyes of a cropped face
_FIRST_SIGMA = 50  # of 255

_MINUS = "\N{MINUS SIGN}"
_OVER, _ALONE = "over", "alone"
_OWN, _SAME = "own", "same"
_DIFFERENCE, _RESULT = "difference", "result"

_LABELS = {
    "gates": "Attention gates",
    "experts": "Experts",
    "intermediate": "Intermediate image",
    "samples": "Samples",
    "patches": "Discriminator",
    "residual": "Residual",
    "profile": "Edge profile",
    "bias": "Bias",
    "invention": "Invention",
}
_TEXTS = {
    "gates": """### Attention gates: what the U-Net lets pass
A U-Net carries fine detail past its coarse middle, noise included. An attention gate weighs that
detail, place by place, by what the coarser scale knows: 1 lets it pass, 0 blocks it
([Oktay et al. 2018](https://arxiv.org/abs/1804.03999)). The coarsest gate comes first; the finest scale
has none. Compare places within a map: the layers after a gate can make up for what is common to them
all. A map shows where detail passes, not why.""",
    "experts": """### Experts: many networks in one
The residual U-Net holds networks of one size, each trained for one sort of noise, and a small *router*
that looks at the noisy picture and asks one of them
([Jacobs et al. 1991](https://doi.org/10.1162/neco.1991.3.1.79)). Here they all answer. *Faint*,
*medium*, *strong* and *extreme* are for Gaussian noise, *signal-dependent* is for Poisson and speckle,
*restoration* for blur and JPEG, *occlusion* for covered squares, *general* for mixtures and all that is
left. The router never sees the clean picture, so it may
miss the best expert; change the noise under Compare and see where it hesitates.""",
    "intermediate": """### Intermediate image: half-way through a dual autoencoder
It denoises twice: its second half starts from the picture that the first half made
([Solovyeva and Abdullah 2022](https://doi.org/10.3390/jimaging8090250)). The last picture shows what
the second half still changed: mid-gray is nothing.""",
    "samples": """### Samples: faces that the noisy one may have been
Many clean faces could have become this noisy one. A flow draws one of them, and another one each time
([Lipman et al. 2023](https://arxiv.org/abs/2210.02747)); a denoiser that minimises the error returns
something near the mean of them all, which is why it is smooth. *What all draws share was in the noisy
picture; what differs from draw to draw was invented*: look at eyes, teeth and hair, and never take such
detail for evidence. A perfect draw costs at most 3 dB
([Blau and Michaeli 2018](https://doi.org/10.1109/CVPR.2018.00652)): its error is the mean's, and once
more as much by chance.""",
    "patches": """### Discriminator: what the GAN had to fool
The discriminator sees the noisy picture beside another one, and judges that one patch by patch, from 0,
denoised, to 1, clean ([Isola et al. 2017](https://doi.org/10.1109/CVPR.2017.632)); it learned to say
which of two is the clean one. A coloured square is the middle of a patch, which is much larger: 34x34
pixels. Under Gaussian noise *PatchGAN*'s
discriminator mostly gives the clean picture more than the GAN's, and that one more than the U-Net's:
the GAN comes closer, and still is told apart. The noisy picture gets least of all, though in training it
never stood in that place.""",
    "residual": f"""### Residual: what a method took away
Noisy {_MINUS} denoised should look like the noise and like nothing else: a face in it is detail lost
([Buades, Coll and Morel 2005](https://doi.org/10.1137/040616024) call it *method noise*). White noise is
correlated with nothing, up to about ±0.04 by chance in so small a picture, and equally strong at all
scales: its whiteness is about 0.96 here. Noise that was clipped depends on the picture a little.""",
    "profile": """### Edge profile: gray values along a line
Draw a line on the face, drag its ends, or use the sliders. A blurred edge climbs slowly, a sharp one in
one or two pixels, and what wobbles in flat places is noise left over or detail made up. A click on a
name below the chart hides its line.""",
    "bias": """### Bias: what a method destroys in a clean picture
Each method gets the *clean* picture, and works as strongly as on the noisy one. What it changes is
detail lost, without any noise to blame: a 3x3 median scores about 29 dB on clean FER2013 faces. A
network that takes no strength sees that there is no noise, and hardly touches the picture; that does not
say what it does to detail under noise.""",
    "invention": """### Invention: what a method sees in nothing
Even gray with Gaussian noise, and no face. Whatever structure comes out was made up; a perfect answer is
even gray, with a standard deviation of 0. Black and white are 32 of 255 away from that gray.""",
}
_PANELS = (
    '<section class="panels"><p class="panels-status" role="status" hidden></p>'
    '<ul class="panels-list"></ul><p class="panels-said unseen" role="status"></p></section>'
)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Controls and outputs of the tab.

    Attributes:
        part: Which part is on show.
        sections: The parts, by id.
        panels: Their pictures, by id.
        choices: What decides what they show, by name.
        line: The face with a line across it.
        ends: Sliders of the line: row and column of its start, then of its end.
        profile: Chart of the edge profile.
        charts: Histogram, spectrum and autocorrelation of the residual.
        seed: Seed of the pure noise.
        width: Width of the window.
    """

    part: gr.Radio
    sections: Mapping[str, gr.Column]
    panels: Mapping[str, gr.HTML]
    choices: Mapping[str, Any]
    line: gr.HTML
    ends: Sequence[gr.Slider]
    profile: gr.Plot
    charts: Sequence[gr.Plot]
    seed: gr.Number
    width: gr.Number

    @property
    def controls(self) -> list[Any]:
        """What decides what is shown, in the order in which handlers get the values."""
        return [self.part, *self.ends, self.seed, *self.choices.values()]

    @property
    def outputs(self) -> list[Any]:
        """Everything that is computed."""
        return [*self.panels.values(), self.line, self.profile, *self.charts]


def create_inside_tab(controls: Controls, opened: Callable[..., Any]) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        opened: The tab's event of being opened.
    """
    methods = describe_methods()
    with gr.Column(elem_id="inside"):
        create_summary(controls, opened)
        tab = _create(methods)
    _connect(tab, methods, controls, opened)


def _create(methods: Mapping[str, DenoiserInfo]) -> Tab:
    capabilities = find_capabilities()
    with_part = {
        "gates": capabilities.attention,
        "experts": capabilities.experts,
        "intermediate": [  # a flow's is where its draws start
            m for m in capabilities.intermediate_image if m not in capabilities.samples
        ],
        "samples": capabilities.samples,
        "patches": capabilities.discriminator,
    }
    # Gates, experts, intermediate images, samples and discriminators: only where a listed model has one.
    parts = [part for part in _LABELS if with_part.get(part, True)]
    part = gr.Radio(
        [(_LABELS[name], name) for name in parts],
        value=parts[0],
        label="Look at",
        elem_id="inside-part",
    )
    sections: dict[str, gr.Column] = {}
    panels: dict[str, gr.HTML] = {}
    choices: dict[str, Any] = {}

    def section(name: str) -> gr.Column:
        sections[name] = gr.Column(
            visible=name == parts[0], elem_id=f"inside-{name}", elem_classes="inside-part"
        )
        return sections[name]

    def menu(label: str, ids: Sequence[str]) -> gr.Dropdown:
        options = [(methods[method_id].label, method_id) for method_id in ids]
        return gr.Dropdown(
            options, value=options[0][1], label=label, min_width=220, elem_classes="inside-menu"
        )

    if "gates" in parts:
        with section("gates"):
            gr.Markdown(_TEXTS["gates"])
            with gr.Row():
                choices["attention"] = menu("Network", with_part["gates"])
                choices["gate_view"] = _radio("Maps", [("Over the face", _OVER), ("Alone", _ALONE)])
                choices["gate_scale"] = _radio(
                    "Colours span", [("Each map's own range", _OWN), ("0 to 1 in all", _SAME)]
                )
            panels["gates"] = _panels("gates")
    if "experts" in parts:
        with section("experts"):
            gr.Markdown(_TEXTS["experts"])
            choices["experts"] = menu("Network", with_part["experts"])
            panels["experts"] = _panels("experts")
    if "intermediate" in parts:
        with section("intermediate"):
            gr.Markdown(_TEXTS["intermediate"])
            choices["intermediate"] = menu("Network", with_part["intermediate"])
            panels["intermediate"] = _panels("intermediate")
    if "samples" in parts:
        with section("samples"):
            gr.Markdown(_TEXTS["samples"])
            choices["samples"] = menu("Method", with_part["samples"])
            panels["samples"] = _panels("samples")
    if "patches" in parts:
        with section("patches"):
            gr.Markdown(_TEXTS["patches"])
            choices["judge"] = menu("Discriminator of", with_part["patches"])
            panels["patches"] = _panels("patches")
    with section("residual"):
        gr.Markdown(_TEXTS["residual"])
        choices["method"] = menu("Method", [*DEFAULT_DENOISERS[:1], *_others(methods)])
        panels["residual"] = _panels("residual")
        with gr.Row():
            charts = [_plot(f"inside-{name}") for name in ("histogram", "spectrum", "autocorrelation")]
    with section("profile"):
        gr.Markdown(_TEXTS["profile"])
        with gr.Row():
            with gr.Column(scale=1, min_width=280, elem_id="inside-line-column"):
                line = gr.HTML(
                    html_template=read_asset("inside/line.html"),
                    js_on_load=read_script("inside/line.js"),
                    apply_default_css=False,
                    elem_id="inside-line",
                )
            with gr.Column(scale=2, min_width=300):
                profile = _plot("inside-profile-chart")
                with gr.Row():
                    ends = [
                        _end_slider(*label_and_place)
                        for label_and_place in zip(
                            ("Start row", "Start column", "End row", "End column"),
                            _FIRST_LINE,
                            strict=True,
                        )
                    ]
    with section("bias"):
        gr.Markdown(_TEXTS["bias"])
        view_options = [(f"What is lost: clean {_MINUS} result", _DIFFERENCE), ("The result", _RESULT)]
        choices["bias_view"] = _radio("Pictures show", view_options)
        panels["bias"] = _panels("bias")
    with section("invention"):
        gr.Markdown(_TEXTS["invention"])
        with gr.Row():
            choices["sigma"] = gr.Slider(
                1,
                MAX_SIGMA,
                value=_FIRST_SIGMA,
                step=1,
                label="Standard deviation of the noise (of 255)",
                buttons=[],
                min_width=260,
                elem_id="inside-sigma",
            )
            seed = gr.Number(0, label="Seed", min_width=120, elem_id="inside-seed")
            reroll = gr.Button("Other noise", size="md", min_width=110, elem_id="inside-reroll")
        panels["invention"] = _panels("invention")
    # In the browser: a new seed needs no server.
    reroll.click(
        None, None, seed, js="() => Math.floor(Math.random() * 10000)", api_visibility="private"
    )
    width = gr.Number(visible=False)
    return Tab(
        part=part,
        sections=sections,
        panels=panels,
        choices=choices,
        line=line,
        ends=ends,
        profile=profile,
        charts=charts,
        seed=seed,
        width=width,
    )


def _connect(
    tab: Tab, methods: Mapping[str, DenoiserInfo], controls: Controls, opened: Callable[..., Any]
) -> None:
    count = len(tab.controls)

    def show(*values: Any) -> Any:
        part, *own = values[:count]
        ends, seed = own[: len(tab.ends)], own[len(tab.ends)]
        choices = dict(zip(tab.choices, own[len(tab.ends) + 1 :], strict=True))
        if part not in list(tab.sections):  # a list: it may be anything, also unhashable
            return gr.skip()
        try:
            _check_choices(tab, choices)
            face, experiment = controls.read_small(values[count:-1])
            return compute(
                part, ends, seed, choices, face, experiment, chart_width(values[-1], columns=1.5)
            )
        except ExperimentError as error:
            target = tab.line if part == "profile" else tab.panels[part]
            return {target: sentence_payload(str(error)) | {"keep": True}}

    def compute(
        part: str,
        ends: Sequence[Any],
        seed: Any,
        choices: Mapping[str, Any],
        face: Face,
        experiment: Experiment,
        width: int,
    ) -> dict[Any, Any]:
        if part == "profile":
            return _show_profile(tab, methods, face, experiment, _parse_ends(ends), width)
        if part == "residual":
            return _show_residual(tab, methods[choices["method"]], face, experiment)
        if part == "gates":
            payload = gates_payload(
                face,
                experiment,
                methods[choices["attention"]],
                over_face=choices["gate_view"] == _OVER,
                own_range=choices["gate_scale"] == _OWN,
            )
        elif part == "experts":
            payload = experts_payload(face, experiment, methods[choices["experts"]])
        elif part == "intermediate":
            payload = intermediate_payload(face, experiment, methods[choices["intermediate"]])
        elif part == "samples":
            payload = samples_payload(face, experiment, methods[choices["samples"]])
        elif part == "patches":
            payload = patches_payload(face, experiment, methods, choices["judge"])
        elif part == "bias":
            is_result = choices["bias_view"] == _RESULT
            payload = bias_payload(face, experiment, methods, show_result=is_result)
        else:
            sigma = _parse_sigma(choices["sigma"]) / 255
            payload = invention_payload(face, experiment, methods, sigma, parse_seed(seed))
        return {tab.panels[part]: payload}

    def turn_to(part: Any) -> list[Any]:
        return [gr.Column(visible=name == part) for name in tab.sections]

    def take_line(event: gr.EventData) -> list[Any]:
        try:
            ends = _parse_ends([*event.start, *event.end])
        except (ExperimentError, TypeError, AttributeError):  # it comes from a browser
            return [gr.skip()] * len(tab.ends)
        return list(ends)

    tab.part.change(turn_to, tab.part, list(tab.sections.values()), queue=False, **RAW)
    tab.line.pick(take_line, None, list(tab.ends), queue=False, **RAW)
    retries = [panels.retry for panels in tab.panels.values()]
    gr.on(
        [opened, *(control.change for control in tab.controls), *retries, tab.line.retry],
        show,
        [*tab.controls, *controls.inputs, tab.width],
        tab.outputs,
        js=WITH_WIDTH,
        concurrency_limit=1,
        concurrency_id="slow",
        **RAW,
    )


def _show_profile(
    tab: Tab,
    methods: Mapping[str, DenoiserInfo],
    face: Face,
    experiment: Experiment,
    ends: tuple[int, int, int, int],
    width: int,
) -> dict[Any, Any]:
    # Plotly takes a second to import, which a page that shows no chart need not wait for.
    from denoiser.ui.inside.charts import profile_chart

    profiles = find_profiles(face, experiment, methods, ends[:2], ends[2:])
    return {
        tab.line: line_payload(profiles, methods),
        tab.profile: profile_chart(profiles.values, profiles.labels, width),
    }


def _show_residual(tab: Tab, method: DenoiserInfo, face: Face, experiment: Experiment) -> dict[Any, Any]:
    from denoiser.ui.inside.charts import autocorrelation_maps, power_spectra, residual_histogram

    payload, residual = residual_payload(face, experiment, method)
    updates: dict[Any, Any] = {tab.panels["residual"]: payload}
    if residual is None:
        return updates | dict.fromkeys(tab.charts)  # those of another method would mislead
    figures = [
        residual_histogram(residual, method.id),
        power_spectra(residual, method.id),
        autocorrelation_maps(residual),
    ]
    return updates | dict(zip(tab.charts, figures, strict=True))


def _check_choices(tab: Tab, choices: Mapping[str, Any]) -> None:
    """Raise ExperimentError where a menu holds what it does not offer: it comes from a browser."""
    for name, control in tab.choices.items():
        if isinstance(control, gr.Dropdown | gr.Radio):
            offered = [value for _, value in control.choices]
            if choices[name] not in offered:
                raise ExperimentError(f"{html.escape(str(control.label))}: choose one of those listed.")


def _parse_ends(values: Sequence[Any]) -> tuple[int, int, int, int]:
    last = FACE_SIZE - 1
    if len(values) != 4 or not all(_is_number(value) and 0 <= value <= last for value in values):
        raise ExperimentError(f"Rows and columns have to be whole numbers from 0 to {last}.")
    start_row, start_column, end_row, end_column = (round(value) for value in values)
    return start_row, start_column, end_row, end_column


def _parse_sigma(value: Any) -> float:
    if not _is_number(value) or not 1 <= value <= MAX_SIGMA:
        raise ExperimentError(f"The standard deviation has to be a number from 1 to {MAX_SIGMA}.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _others(methods: Mapping[str, DenoiserInfo]) -> list[str]:
    return [method_id for method_id in methods if method_id not in DEFAULT_DENOISERS[:1]]


def _radio(label: str, choices: Sequence[tuple[str, str]]) -> gr.Radio:
    return gr.Radio(list(choices), value=choices[0][1], label=label, min_width=220)


def _end_slider(label: str, value: int) -> gr.Slider:
    return gr.Slider(
        0,
        FACE_SIZE - 1,
        value=value,
        step=1,
        label=label,
        buttons=[],
        min_width=150,
        elem_id=f"inside-{label.lower().replace(' ', '-')}",
    )


def _panels(part: str) -> gr.HTML:
    return gr.HTML(
        html_template=_PANELS,
        js_on_load=read_script("inside/pictures.js"),
        apply_default_css=False,
        elem_id=f"inside-{part}-panels",
    )


def _plot(elem_id: str) -> gr.Plot:
    return gr.Plot(show_label=False, min_width=300, elem_id=elem_id)
