"""The tab "Lessons": predict, look, explain.

All lessons share one set of components. Only the open lesson computes, and only once the reader has
committed to a prediction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import numpy as np

from denoiser.analysis.results import ResultsError, read_benchmark
from denoiser.denoisers.registry import list_denoisers
from denoiser.lessons import LESSONS
from denoiser.lessons.base import Demonstration, Group, Lesson, Picture, Results, Table
from denoiser.metrics import write_psnr, write_ssim
from denoiser.pipeline import Experiment
from denoiser.ui.common.events import RAW, SILENT
from denoiser.ui.common.html import painted, read_script
from denoiser.ui.common.payload import Payload, encode_picture
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.link_components import create_copied_note, create_copy_buttons
from denoiser.ui.experiment.link_format import COMPARE_TAB, read_link
from denoiser.ui.experiment.run import Face, describe_methods

_LIST = (
    '<nav aria-label="Lessons"><ol class="lesson-list"></ol>'
    '<p class="lesson-said" role="status"></p></nav>'
)
_DEMO = '<div class="lesson-demo"></div>'
# To the top of the lesson, when another one is opened from below.
_SCROLL = "() => { document.querySelector('#lesson').scrollIntoView({ block: 'start' }); }"
# In the browser, by the tab's button: as an event's output the tabs would make every move of a slider
# slower from then on (see experiment/link_components.py).
_LEAVE = "() => { document.dispatchEvent(new CustomEvent('leave-lesson')); }"
_TASK = (
    '<section class="task" tabindex="-1" aria-label="The lesson\'s task" hidden>'
    '<p><strong class="task-title"></strong> <span class="task-kind"></span> '
    '<span class="task-text"></span></p>'
    '<button type="button" class="task-back"></button>'
    '<button type="button" class="task-close">Close</button></section>'
)


@dataclass(frozen=True)
class Progress:
    """How far a reader has come; the browser keeps it.

    Attributes:
        lesson: The open lesson's id.
        answers: The prediction committed to, by lesson.
    """

    lesson: str = LESSONS[0].id
    answers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, browser_state: Any) -> "Progress":
        """Read what the browser has stored, which may be anything: see :attr:`browser_state`."""
        if not isinstance(browser_state, dict):
            return cls()
        answers = browser_state.get("answers")
        progress = cls()
        for lesson in LESSONS:
            choice = answers.get(lesson.id) if isinstance(answers, dict) else None
            progress = progress.open(lesson.id).commit(str(choice))
        return replace(progress, lesson=cls().lesson).open(browser_state.get("lesson"))

    @property
    def browser_state(self) -> dict[str, Any]:
        """What the browser stores of it."""
        return {"lesson": self.lesson, "answers": dict(self.answers)}

    @property
    def open_lesson(self) -> Lesson:
        """The open lesson."""
        return LESSONS[self.index]

    @property
    def index(self) -> int:
        """Its place in the list, from 0."""
        return next((i for i, lesson in enumerate(LESSONS) if lesson.id == self.lesson), 0)

    @property
    def answer(self) -> int | None:
        """The prediction for the open lesson; None if there is none yet."""
        return self.answers.get(self.open_lesson.id)

    def open(self, lesson_id: object) -> "Progress":
        """Open a lesson; an unknown id changes nothing."""
        known = [lesson.id for lesson in LESSONS]
        is_known = isinstance(lesson_id, str) and lesson_id in known
        return replace(self, lesson=str(lesson_id)) if is_known else self

    def step(self, distance: int) -> "Progress":
        """Open the lesson so many places on; there is none beyond the ends."""
        place = min(max(self.index + distance, 0), len(LESSONS) - 1)
        return replace(self, lesson=LESSONS[place].id)

    def commit(self, choice: object) -> "Progress":
        """Answer the open lesson. The first answer counts; what is no option is none."""
        options = {str(i): i for i in range(len(self.open_lesson.options))}
        if self.answer is not None or not isinstance(choice, str) or choice not in options:
            return self
        return replace(self, answers={**self.answers, self.open_lesson.id: options[choice]})


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Components of the tab."""

    contents: gr.HTML
    face: gr.Markdown
    head: gr.Markdown
    prediction: gr.Radio
    commit: gr.Button
    verdict: gr.Markdown
    look: gr.Markdown
    compare: gr.Button
    demonstration: gr.Column
    slider: gr.Slider
    pictures: gr.HTML
    chart: gr.Plot
    why: gr.Column
    explanation: gr.Markdown
    previous: gr.Button
    next: gr.Button
    progress: gr.BrowserState
    task: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What :func:`_lesson_values` sets."""
        return [
            self.progress,
            self.contents,
            self.head,
            self.prediction,
            self.commit,
            self.verdict,
            self.look,
            self.demonstration,
            self.slider,
            self.pictures,
            self.chart,
            self.why,
            self.explanation,
            self.previous,
            self.next,
        ]


def create_progress() -> gr.BrowserState:
    """Add what keeps a reader's progress in the browser, from one visit to the next.

    It has to stand outside the tab: the page does not read it before the tab is opened otherwise.
    """
    # Not private, so the key that it is stored with need not be secret; it has to stay the same.
    return gr.BrowserState(Progress().browser_state, storage_key="lessons", secret="lessons")


def create_task() -> gr.HTML:
    """Add the task of the lesson that the comparison was opened from, with the way back to it."""
    return painted("lessons/task.js", _TASK, elem_id="task")


def create_lessons_tab(
    controls: Controls,
    faces: FaceSource,
    progress: gr.BrowserState,
    task: gr.HTML,
    load: Callable[..., Any],
    opened: Callable[..., Any],
) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        faces: Where the samples come from.
        progress: See :func:`create_progress`.
        task: See :func:`create_task`.
        load: The page's event of being loaded.
        opened: The tab's event of being opened.
    """
    try:
        results = Results(read_benchmark())
    except ResultsError:  # the texts say where a number is missing
        results = Results(None)
    labels = {method: info.label for method, info in describe_methods().items()}
    tab = _create(results, labels, progress, task)
    _connect(tab, results, labels, controls, faces, load, opened)


def demonstration_value(lesson: Lesson, demonstration: Demonstration) -> Payload:
    """Write a demonstration down as ``demonstration.js`` takes it."""
    return {
        "lesson": lesson.id,
        "groups": [_group_value(group) for group in demonstration.groups],
        "tables": [_table_value(table) for table in demonstration.tables],
        "remarks": list(demonstration.remarks),
    }


def list_value(progress: Progress, turned: bool = False) -> Payload:
    """Write the list of lessons down as ``list.js`` takes it.

    Args:
        progress: Which one is open, and how each went.
        turned: Whether somebody has just turned to the open one: then Back leads to the one before.
    """
    answers = [(lesson, progress.answers.get(lesson.id)) for lesson in LESSONS]
    done = sum(answer is not None for _, answer in answers)
    right = sum(answer == lesson.answer for lesson, answer in answers)
    summary = f"{done} of {len(LESSONS)} done, {right} predicted right" if done else "None done yet"
    return {
        "said": f"{summary}. Kept in this browser.",
        "turned": turned,
        "lessons": [
            {
                "id": lesson.id,
                "number": f"{index + 1}",
                "title": lesson.title,
                "minutes": lesson.minutes,
                "mark": "" if answer is None else "✓" if answer == lesson.answer else "●",
                "spoken": ""
                if answer is None
                else "done, predicted right"
                if answer == lesson.answer
                else "done",
                "open": lesson is progress.open_lesson,
            }
            for index, (lesson, answer) in enumerate(answers)
        ],
    }


def task_value(progress: Progress, lesson_id: object) -> Payload:
    """Write a lesson's task down as ``task.js`` takes it; no lesson's for an unknown id.

    Before the lesson is answered that is its question: what to look at would give the answer away.
    """
    opened = progress.open(lesson_id)
    lesson = opened.open_lesson
    if lesson.id != lesson_id:
        return {}
    return {
        "lesson": lesson.id,
        "number": opened.index + 1,
        "title": lesson.title,
        "kind": "The question:" if opened.answer is None else "What to look at:",
        "text": lesson.question if opened.answer is None else lesson.look,
    }


def lesson_experiment(lesson: Lesson) -> Experiment:
    """Return what "Open under Compare" sets: a method that is not here is left out."""
    known = list_denoisers()
    methods = tuple(m for m in lesson.experiment.methods if m in known)
    return replace(lesson.experiment, methods=methods)


def _create(
    results: Results, labels: Mapping[str, str], progress: gr.BrowserState, task: gr.HTML
) -> Tab:
    first = Progress()
    values = _lesson_values(first, results, labels)[1:]
    listed, head, prediction, _, verdict, look, demonstration, slider, _, _, why, *_ = values
    with gr.Row(elem_id="lessons"):
        with gr.Column(scale=1, min_width=260, elem_id="lesson-nav"):
            gr.Markdown(
                "### Lessons\nPredict first, then look, then read why. Every picture is computed here "
                "and now, from the face chosen under *Compare*, at 48x48 and in gray.",
                elem_classes="small",
            )
            contents = gr.HTML(
                html_template=_LIST,
                js_on_load=read_script("lessons/list.js"),
                apply_default_css=False,
                value=listed,
                elem_id="lesson-list",
            )
            face = gr.Markdown(elem_classes="small", elem_id="lesson-face")
            with gr.Row(elem_classes="downloads"):
                create_copy_buttons("lesson-")
            create_copied_note()
        with gr.Column(scale=4, min_width=300, elem_id="lesson"):
            with gr.Column(elem_classes="lesson-section"):
                tab_head = gr.Markdown(head, elem_id="lesson-head")
                tab_prediction = gr.Radio(
                    **_settings(prediction), label="Your prediction", elem_id="lesson-prediction"
                )
                tab_commit = gr.Button(
                    "Commit to this prediction", variant="primary", size="md", elem_id="lesson-commit"
                )
                tab_verdict = gr.Markdown(**_settings(verdict), elem_id="lesson-verdict")
            with gr.Column(elem_classes="lesson-section"):
                tab_look = gr.Markdown(look, elem_id="lesson-look")
                compare = gr.Button("Open under Compare", size="md", elem_id="lesson-compare")
                with gr.Column(**_settings(demonstration), elem_id="lesson-demonstration") as shown:
                    tab_slider = gr.Slider(**_settings(slider), buttons=[], elem_id="lesson-slider")
                    pictures = gr.HTML(
                        html_template=_DEMO,
                        js_on_load=read_script("lessons/demonstration.js"),
                        apply_default_css=False,
                        elem_id="lesson-pictures",
                    )
                    chart = gr.Plot(visible=False, show_label=False, elem_id="lesson-chart")
            with gr.Column(**_settings(why), elem_classes="lesson-section") as tab_why:
                explanation = gr.Markdown(elem_id="lesson-explanation")
            with gr.Row(elem_classes="lesson-steps"):
                before = gr.Button(
                    "← Previous", size="md", min_width=110, interactive=False, elem_id="lesson-previous"
                )
                after = gr.Button("Next →", size="md", min_width=110, elem_id="lesson-next")
    return Tab(
        contents=contents,
        face=face,
        head=tab_head,
        prediction=tab_prediction,
        commit=tab_commit,
        verdict=tab_verdict,
        look=tab_look,
        compare=compare,
        demonstration=shown,
        slider=tab_slider,
        pictures=pictures,
        chart=chart,
        why=tab_why,
        explanation=explanation,
        previous=before,
        next=after,
        progress=progress,
        task=task,
    )


def _connect(
    tab: Tab,
    results: Results,
    labels: Mapping[str, str],
    controls: Controls,
    faces: FaceSource,
    load: Callable[..., Any],
    opened: Callable[..., Any],
) -> None:
    def demonstrate(browser_state: Any, face: Face, position: Any) -> Any:
        progress = Progress.read(browser_state)
        lesson = progress.open_lesson
        if progress.answer is None:
            return gr.skip(), gr.skip()
        strength = lesson.slider.read(position) if lesson.slider else 0.0
        demonstration = lesson.demonstrate(face.image, strength, results)
        value = demonstration_value(lesson, demonstration)
        if demonstration.chart is None:
            return value, gr.update(visible=False)
        # Plotly takes a second to import, which a page that shows no chart need not wait for.
        from denoiser.ui.lessons.charts import draw_chart

        return value, gr.update(value=draw_chart(demonstration.chart), visible=True)

    def restore(query: Any, browser_state: Any) -> Any:
        kept = Progress.read(browser_state)
        link = read_link(query) if isinstance(query, str) else None
        is_task = link is not None and link.tab == COMPARE_TAB
        progress = kept if link is None or is_task else kept.open(link.lesson)
        task = task_value(kept, link.lesson) if link is not None and is_task else gr.skip()
        if progress == kept == Progress():  # as the page is built
            return [*[gr.skip()] * len(tab.outputs), task]
        return [*_lesson_values(progress, results, labels), task]

    def turn_to(progress: Progress) -> Any:
        return _lesson_values(progress, results, labels, turned=True)

    def select(browser_state: Any, event: gr.EventData) -> Any:
        return turn_to(Progress.read(browser_state).open(event.id))

    def go_back(browser_state: Any, event: gr.EventData) -> Any:
        return _lesson_values(Progress.read(browser_state).open(event.id), results, labels)

    def step(distance: int) -> Callable[[Any], Any]:
        return lambda browser_state: turn_to(Progress.read(browser_state).step(distance))

    def assign(browser_state: Any, event: gr.EventData) -> Any:
        return task_value(Progress.read(browser_state), event.id)

    def commit(browser_state: Any, choice: Any) -> Any:
        progress = Progress.read(browser_state)
        committed = progress.commit(choice)
        if committed is progress and progress.answer is None:
            reminder = _say("Choose one of the answers first.")
            return [reminder if output is tab.verdict else gr.skip() for output in tab.outputs]
        return _lesson_values(committed, results, labels)

    def open_compare(browser_state: Any) -> Any:
        progress = Progress.read(browser_state)
        experiment = lesson_experiment(progress.open_lesson)
        return [*controls.show(experiment, faces), task_value(progress, progress.lesson)]

    fast: dict[str, Any] = {**RAW, "queue": False}
    slow: dict[str, Any] = {
        "trigger_mode": "always_last",
        "show_progress": "minimal",
        "show_progress_on": tab.pictures,
        "api_visibility": "private",
        "preprocess": False,  # what comes from a browser may be anything
        "concurrency_limit": 1,
        "concurrency_id": "slow",
    }
    demonstration_inputs: list[Any] = [tab.progress, controls.faces.face, tab.slider]
    demonstration_outputs: list[Any] = [tab.pictures, tab.chart]
    events: list[tuple[Callable[..., Any], Callable[..., Any], list[Any]]] = [
        (tab.contents.select, select, [tab.progress]),
        (tab.task.open, go_back, [tab.progress]),
        (tab.previous.click, step(-1), [tab.progress]),
        (tab.next.click, step(1), [tab.progress]),
        (tab.commit.click, commit, [tab.progress, tab.prediction]),
    ]
    for event, handler, inputs in events:
        event(handler, inputs, tab.outputs, **fast).then(
            demonstrate, demonstration_inputs, demonstration_outputs, **slow
        )
    # The browser's own address, as in experiment/link_components.py.
    load(
        restore,
        [gr.Textbox(visible=False), tab.progress],
        [*tab.outputs, tab.task],
        js="(query, progress) => [window.location.search, progress]",
        **fast,
    )
    tab.task.assign(assign, tab.progress, tab.task, **fast)
    for button in (tab.previous, tab.next):
        button.click(None, js=_SCROLL, api_visibility="private")
    # Not change: it would announce the position that another lesson starts with, too.
    tab.slider.input(demonstrate, demonstration_inputs, demonstration_outputs, **slow)
    opened(demonstrate, demonstration_inputs, demonstration_outputs, **slow)
    opened(
        lambda face: f"Face: **{face.caption}** (change it under *Compare*)",
        controls.faces.face,
        tab.face,
        **fast,
    )
    # Queued: see Controls.outputs.
    tab.compare.click(
        open_compare,
        tab.progress,
        [*controls.outputs, tab.task],
        **SILENT,
    ).then(None, js=_LEAVE, api_visibility="private")


def _lesson_values(
    progress: Progress, results: Results, labels: Mapping[str, str], *, turned: bool = False
) -> list[Any]:
    """Make the values of :attr:`Tab.outputs`; dicts, which make no components."""
    lesson, answer = progress.open_lesson, progress.answer
    committed = answer is not None
    number = f"Lesson {progress.index + 1} of {len(LESSONS)} · {lesson.minutes} min"
    slider = lesson.slider
    return [
        progress.browser_state,
        list_value(progress, turned),
        f"### {lesson.title}\n{number}\n\n{lesson.question}",
        gr.update(
            choices=[
                (_marked(lesson, index, answer), str(index)) for index in range(len(lesson.options))
            ],
            value=None if answer is None else str(answer),
            interactive=not committed,
        ),
        gr.update(visible=not committed),
        _say(_verdict(lesson, answer)),
        _experiment_text(lesson, committed, labels),
        gr.update(visible=committed),
        gr.update(visible=False)
        if slider is None
        else gr.update(
            minimum=slider.minimum,
            maximum=slider.maximum,
            value=slider.default,
            step=slider.step,
            label=slider.label,
            visible=True,
        ),
        {"pending": committed},
        gr.update(visible=False),
        gr.update(visible=committed),
        _explanation(lesson, results) if committed else "",
        gr.update(interactive=progress.index > 0),
        gr.update(interactive=progress.index < len(LESSONS) - 1),
    ]


def _experiment_text(lesson: Lesson, committed: bool, labels: Mapping[str, str]) -> str:
    """Name the experiment; what to look at would give the answer away."""
    experiment = lesson_experiment(lesson)
    methods = ", ".join(labels[method] for method in experiment.methods)
    text = f"### The experiment\nUnder *Compare*: {_describe_noise(experiment)}; {methods}."
    return f"{text}\n\n**What to look at.** {lesson.look}" if committed else text


def _describe_noise(experiment: Experiment) -> str:
    return experiment.noise.describe() + ("" if experiment.clip else ", not clipped")


def _marked(lesson: Lesson, index: int, answer: int | None) -> str:
    """Mark the right option, and the one chosen if it is another, once the lesson is answered."""
    mark = ""
    if answer is not None:
        mark = "✓ " if index == lesson.answer else "✗ " if index == answer else ""
    return f"{mark}{lesson.options[index]}"


def _verdict(lesson: Lesson, answer: int | None) -> str:
    if answer is None:
        return ""
    if answer == lesson.answer:
        return "**✓ As you predicted.** See it below, and why."
    return f"**● Not this time.** It is: *{lesson.options[lesson.answer]}.* See below why."


def _say(text: str) -> dict[str, Any]:
    return gr.update(value=text, visible=bool(text))


def _explanation(lesson: Lesson, results: Results) -> str:
    sources = "\n".join(f"- [{source.text}]({source.url})" for source in lesson.sources)
    about = (
        "Scores of FER2013's test split are read from `weights/benchmark.json`; see the tab *Benchmark*."
    )
    return f"### Why\n{lesson.explain(results)}\n\n#### Sources\n{sources}\n\n{about}"


def _settings(update: dict[str, Any]) -> dict[str, Any]:
    """Return what an update sets, for a component that is made with it."""
    return {name: value for name, value in update.items() if name != "__type__"}


def _group_value(group: Group) -> Payload:
    # What can't be told apart in the numbers shown has no best.
    scores = [_finite(picture.psnr) for picture in group.pictures]
    shown = sorted({round(score, 2) for score in scores if score is not None})
    best = shown[-1] if len(shown) > 1 and group.has_best else None
    return {
        "title": group.title,
        "pictures": [
            _picture_value(picture)
            | {"best": best is not None and score is not None and round(score, 2) == best}
            for picture, score in zip(group.pictures, scores, strict=True)
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _picture_value(picture: Picture) -> Payload:
    height, width = picture.image.shape
    lines = []
    if picture.psnr is not None:
        lines = [write_psnr(picture.psnr), f"SSIM {write_ssim(picture.ssim)}"]
    return {
        "label": picture.label,
        "width": width,
        "height": height,
        "pixels": encode_picture(picture.image),
        "lines": [*lines, *([picture.note] if picture.note else [])],
    }


def _table_value(table: Table) -> Payload:
    rows: Sequence[Sequence[str]] = table.rows
    return {
        "caption": table.caption,
        "columns": list(table.columns),
        "rows": [list(row) for row in rows],
    }
