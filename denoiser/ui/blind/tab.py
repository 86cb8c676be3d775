"""The tab "Blind test": which unlabelled picture looks best, or is real; alone, or with a class."""

import base64
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from denoiser.analysis.blind_test import BEST, PHOTOGRAPH, ROUNDS, SHOWN, Setup, draw_rounds, tally_csv
from denoiser.analysis.results import CLEAN
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import list_denoisers
from denoiser.faces.samples import pick_samples
from denoiser.ui.blind.invitation import write_invitation
from denoiser.ui.blind.session import (
    QUESTIONS,
    BlindSession,
    BlindTestError,
    describe_labels,
    keep_usable,
    make_round_comparer,
    tally_view,
)
from denoiser.ui.blind.voting_classes import Voter, VotingClass, VotingClassError, VotingClasses
from denoiser.ui.common.events import SILENT
from denoiser.ui.common.html import create_download, painted
from denoiser.ui.common.payload import Payload, new_version
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.face_source import FaceSource
from denoiser.ui.experiment.link_format import CLASS_PARAMETER
from denoiser.ui.experiment.own_model import OwnHandle
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import describe_methods
from denoiser.ui.server.address import address_of

DEFAULT_POOL = ("attention-unet", "patchgan", "autoencoder", "median", "nl-means")
"""Methods that look different. Of five, ten rounds show every three together once."""

_NOT_WITH_CLASS = "A model of your own is for this page alone; choose the class's methods without it."
_VARIED, _COMPARE = "varied", "compare"
_TEACHER_SECONDS, _STUDENT_SECONDS = 3, 10  # from one look at the class to the next
_ADDRESS_JS = "location.origin + location.pathname"
_NO_CLASS: Payload = {"phase": "idle", "text": ""}

_INTRODUCTION = f"""### Trust your eyes?
Three pictures of one face, and nothing says which is which. *Which looks best?* All three were restored
from the same noisy face: pick the one you like best, {ROUNDS} times; then see how your eye ranks the
methods, and whether PSNR and SSIM agree. *Which is the photograph?* One was never noisy: find it."""
_COUNTING = f"""- **Picked** counts how often a method was picked when it was shown, with its 95 %
  [Wilson interval](https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval). At random it
  would be one in three. Rounds are drawn so that each method is shown about equally often, and meets
  the others about equally often.
- **PSNR, SSIM and sharpness choose too**, in the same rounds: each always takes the picture it scores
  best. So eye and measure are counted alike.
- **Sharpness** is the perceptual measure here: the energy of the picture's gradients, relative to the
  clean one's; it takes the picture nearest to 1. The benchmark's other one, the spectral distance,
  compares sets of pictures, not single ones. Asked for the photograph, no measure takes part: all
  would find it, as it is what they compare with.
- **By luck** is the chance to agree with a measure as often, or more often, by picking at random.
- **τ** is Kendall's rank correlation of two rankings: 1 the same, 0 unrelated, &minus;1 the reverse.
- Why eye and PSNR may differ: [Blau and Michaeli 2018](https://doi.org/10.1109/CVPR.2018.00652). Past a
  point, closer to the clean picture means less natural to look at.
- The faces are samples of this page, {ROUNDS} at random. The clean one is not shown while you pick,
  unless it is what you look for."""
_CLASS_TEXT = """A teacher starts a class with the methods and the noise chosen above, and gives its code
to the students. Nobody sees what is picked until the teacher reveals it, and no pick counts from then
on. Picks are added up without names, in this server's memory only; they are gone when it restarts, or
three hours after the last one. Of each person ten picks count, one a second at most."""


@dataclass(frozen=True, eq=False)
class Member:
    """A session's place in a class.

    Attributes:
        voter: Who votes, and in which class.
        is_teacher: Whether it may reveal the results, save them, and close the class.
        invitation: The class's link and QR code, for its teacher.
    """

    voter: Voter
    is_teacher: bool
    invitation: Payload

    @property
    def voting_class(self) -> VotingClass:
        """Which class."""
        return self.voter.voting_class


@dataclass(frozen=True)
class _Tab:
    """Components of the tab."""

    pool: gr.CheckboxGroup
    noise: gr.Radio
    question: gr.Radio
    start: gr.Button
    board: gr.HTML
    class_section: gr.Accordion
    entry: gr.Column
    code: gr.Textbox
    join: gr.Button
    teach: gr.Button
    message: gr.Markdown
    class_box: gr.Column
    panel: gr.HTML
    close: gr.Button
    leave: gr.Button
    timer: gr.Timer
    address: gr.Textbox
    download: gr.HTML
    blind_session: gr.State
    member: gr.State

    @property
    def class_shown(self) -> list[Any]:
        """What :func:`_class_values` sets."""
        return [self.entry, self.class_box, self.panel, self.close, self.leave, self.timer]

    @property
    def class_outputs(self) -> list[Any]:
        """Everything that joining or leaving a class changes."""
        return [*self.class_shown, self.message, self.member, self.blind_session, self.board]


def create_blind_tab(
    controls: Controls,
    faces: FaceSource,
    load: Callable[..., Any],
    opened: Callable[..., Any],
    closed: Callable[..., Any],
    voting_classes: VotingClasses,
) -> None:
    """Add the tab's content to the page.

    Args:
        controls: The controls of the tab "Compare".
        faces: Where the samples come from.
        load: The page's load event.
        opened: The event of this tab being opened.
        closed: The event of the page being closed.
        voting_classes: The page's classes.
    """
    tab = _create(describe_labels(describe_methods()))
    _connect_test(tab, controls, faces, opened)
    _connect_class(tab, controls, faces, voting_classes, load)

    def forget(request: gr.Request) -> None:
        voting_classes.leave(request.session_hash or "")

    closed(forget)


def parse_setup(
    pool: Any, noise: Any, question: Any, controls: Controls, values: Sequence[Any]
) -> Setup:
    """Turn what the controls hold into a setup. It comes from a browser and may be anything.

    Args:
        pool: Ids of denoisers.
        noise: Whether the noise is varied, or the one under "Compare".
        question: What is asked.
        controls: The controls of the tab "Compare".
        values: The values of its inputs.

    Raises:
        ExperimentError: Something is missing or out of range.
    """
    known = [*list_denoisers(), OWN_MODEL]
    if not isinstance(pool, list) or any(method not in known for method in pool):
        raise ExperimentError("One of the methods is unknown.")
    chosen = tuple(method for method in known if method in pool)
    setup = Setup(chosen, question=PHOTOGRAPH if question == PHOTOGRAPH else BEST)
    if len(chosen) < setup.restored:
        raise ExperimentError(f"Choose at least {setup.restored} methods.")
    _, experiment = controls.read_small(values, own=True)
    own = {name: set_ for name, set_ in experiment.hyperparameters.items() if name in chosen}
    model = experiment.own if OWN_MODEL in chosen else None
    setup = replace(setup, hyperparameters=own, own=model)
    if noise != _COMPARE:
        return setup
    return replace(setup, noise=experiment.noise, clip=experiment.clip, round_8bit=experiment.round_8bit)


def _pool_choices(labels: Mapping[str, str], with_own: bool) -> list[tuple[str, str]]:
    """Return the methods that can take part, names and ids."""
    left_out = {CLEAN} if with_own else {CLEAN, OWN_MODEL}
    return [(label, method_id) for method_id, label in labels.items() if method_id not in left_out]


def _create(labels: Mapping[str, str]) -> _Tab:
    with gr.Row(elem_id="blind"):
        with gr.Column(scale=1, min_width=300, elem_id="blind-controls"):
            gr.Markdown(_INTRODUCTION)
            question = gr.Radio(
                [(text, question) for question, text in QUESTIONS.items()],
                value=BEST,
                label="Question",
                elem_id="blind-question",
            )
            start = gr.Button("New test", elem_id="blind-start")
            with gr.Accordion("Methods and noise", open=False, elem_id="blind-options"):
                gr.Markdown("Methods that are shown under *Compare* take part as they are set there.")
                pool = gr.CheckboxGroup(
                    _pool_choices(labels, with_own=False),
                    value=[method_id for method_id in DEFAULT_POOL if method_id in labels],
                    label=f"Methods (at least {SHOWN}, or {SHOWN - 1} beside the photograph)",
                    elem_id="blind-pool",
                )
                noise = gr.Radio(
                    [
                        ("A new kind and strength each round", _VARIED),
                        ("The one under Compare", _COMPARE),
                    ],
                    value=_VARIED,
                    label="Noise",
                    elem_id="blind-noise",
                )
            with gr.Accordion("With a class", open=False, elem_id="blind-class") as class_section:
                gr.Markdown(_CLASS_TEXT, elem_classes="small")
                with gr.Column(elem_classes="tight") as entry:
                    with gr.Row():
                        code = gr.Textbox(
                            label="Code of your class",
                            max_length=20,
                            min_width=120,
                            elem_id="class-code",
                        )
                        join = gr.Button("Join", size="md", min_width=80, elem_id="class-join")
                    teach = gr.Button("Start a class", size="md", elem_id="class-start")
                message = gr.Markdown(elem_id="class-said")
            with gr.Accordion("How it is counted", open=False, elem_id="blind-counting"):
                gr.Markdown(_COUNTING)
        with gr.Column(scale=3, min_width=300, elem_id="blind-results"):
            with gr.Column(visible=False, elem_id="class-box") as class_box:
                panel = create_blind_panel("class-panel", _NO_CLASS)
                with gr.Row():
                    close = gr.Button("Close the class", size="sm", visible=False, elem_id="class-close")
                    leave = gr.Button("Leave the class", size="sm", visible=False, elem_id="class-leave")
            board = create_blind_panel("blind-board", _idle("Press New test to begin."))
    return _Tab(
        pool,
        noise,
        question,
        start,
        board,
        class_section,
        entry,
        code,
        join,
        teach,
        message,
        class_box,
        panel,
        close,
        leave,
        gr.Timer(_TEACHER_SECONDS, active=False),
        gr.Textbox(visible=False),
        create_download(),
        gr.State(None),
        gr.State(None),
    )


_QUEUED: dict[str, Any] = {
    **SILENT,
    "trigger_mode": "once",
    "preprocess": False,  # see Controls.read
    "concurrency_limit": 2,
    "concurrency_id": "blind",
}


def _connect_test(
    tab: _Tab,
    controls: Controls,
    faces: FaceSource,
    opened: Callable[..., Any],
) -> None:
    def start(
        pool: Any, noise: Any, question: Any, member: Member | None, *values: Any
    ) -> Iterator[Any]:
        voter = member.voter if member is not None and member.voting_class.is_open else None
        try:
            setup = (
                parse_setup(pool, noise, question, controls, values)
                if voter is None
                else voter.voting_class.setup
            )
        except ExperimentError as error:
            yield gr.skip(), _error(str(error))
            return
        yield from _begin(setup, faces, voter)

    def invite(request: gr.Request, blind_session: BlindSession | None, *rest: Any) -> Iterator[Any]:
        """Begin without being asked, unless a test is under way or the address brings one."""
        if blind_session is not None or CLASS_PARAMETER in request.query_params:
            yield gr.skip(), gr.skip()
            return
        for begun, payload in start(*rest):
            yield begun, payload | {"invited": True}

    def vote(blind_session: BlindSession | None, event: gr.EventData) -> Payload:
        return _answer(
            blind_session, lambda s: s.vote(_event_value(event, "token"), _event_value(event, "picture"))
        )

    def look_back(blind_session: BlindSession | None, event: gr.EventData) -> Payload:
        return _answer(blind_session, lambda s: s.look_back(_event_value(event, "round")))

    def offer_own(handle: OwnHandle | None, pool: Any) -> Any:
        """Let the session's own model take part once there is one, and no longer once it is gone."""
        others = [name for name in pool if name != OWN_MODEL] if isinstance(pool, list) else []
        chosen = others if handle is None else [*others, OWN_MODEL]
        labels = describe_labels(describe_methods())
        return gr.update(choices=_pool_choices(labels, with_own=handle is not None), value=chosen)

    own = controls.own.handle
    own.change(offer_own, [own, tab.pool], tab.pool, preprocess=False, **SILENT)
    begin = [tab.pool, tab.noise, tab.question, tab.member, *controls.inputs]
    for listen in (tab.start.click, tab.board.again):  # gr.on takes no events of a script's own
        listen(start, begin, [tab.blind_session, tab.board], **_QUEUED)
    opened(invite, [tab.blind_session, *begin], [tab.blind_session, tab.board], **_QUEUED)
    tab.board.vote(vote, tab.blind_session, tab.board, **_QUEUED)
    tab.board.unmask(
        look_back, tab.blind_session, tab.board, **(_QUEUED | {"trigger_mode": "always_last"})
    )


def _connect_class(
    tab: _Tab,
    controls: Controls,
    faces: FaceSource,
    voting_classes: VotingClasses,
    load: Callable[..., Any],
) -> None:
    def enter(member: Member | None) -> list[Any]:
        """Values for ``class_outputs``; a test begun before ends, as its picks would not count."""
        where = "" if member is None else f" with class {member.voting_class.code}"
        board = _idle(f"Press New test to take the test{where}.")
        return [*_class_values(member), "", member, None, board]

    def refuse(error: Exception) -> list[Any]:
        values = [gr.skip()] * len(tab.class_outputs)
        values[tab.class_outputs.index(tab.message)] = str(error)
        return values

    def make_member(
        voting_class: VotingClass, is_teacher: bool, request: gr.Request, address: Any
    ) -> Member:
        session = request.session_hash or ""
        voter = voting_class.voter(session, address_of(request))
        voting_classes.leave(session)  # whichever it was in before
        if is_teacher:
            return Member(voter, True, write_invitation(address, voting_class.code))
        voting_class.join(voter)
        return Member(voter, False, {})

    def join(request: gr.Request, code: Any, address: Any) -> Iterator[list[Any]]:
        try:
            member = make_member(*voting_classes.find(code, address_of(request)), request, address)
        except VotingClassError as error:
            yield refuse(error)
            return
        values = enter(member)
        yield values
        if not member.is_teacher:
            # No gr.skip(): in a tab that has never been open, Gradio makes it the panel's value.
            joined = values[: tab.class_outputs.index(tab.blind_session)]
            for blind_session, payload in _begin(member.voting_class.setup, faces, member.voter):
                yield [*joined, blind_session, payload]

    def teach(
        request: gr.Request,
        address: Any,
        member: Member | None,
        pool: Any,
        noise: Any,
        question: Any,
        *values: Any,
    ) -> list[Any]:
        try:
            setup = parse_setup(pool, noise, question, controls, values)
            if OWN_MODEL in setup.pool:
                raise ExperimentError(_NOT_WITH_CLASS)
            if member is not None and member.is_teacher:
                member.voting_class.close()  # one class for each teacher
            voting_class = voting_classes.open(setup, address_of(request))
            return enter(make_member(voting_class, True, request, address))
        except (ExperimentError, VotingClassError) as error:
            return refuse(error)

    def close(member: Member | None) -> list[Any]:
        if member is None or not member.is_teacher:
            return [gr.skip()] * len(tab.class_shown)
        member.voting_class.close()
        return _class_values(member)

    def leave(request: gr.Request) -> list[Any]:
        voting_classes.leave(request.session_hash or "")
        return enter(None)

    def refresh(member: Member | None) -> list[Any]:
        if member is None:
            return [gr.skip(), gr.Timer(active=False)]
        go_on = gr.skip() if member.voting_class.is_open else gr.Timer(active=False)
        return [_panel(member), go_on]

    def reveal(member: Member | None, event: gr.EventData) -> Any:
        if member is None or not member.is_teacher:
            return gr.skip()
        member.voting_class.reveal(_event_value(event, "reveal") is True)
        return _panel(member)

    def save(member: Member | None) -> Any:
        """Hand the teacher the results as a file, once they are revealed."""
        if member is None or not member.is_teacher or not member.voting_class.is_revealed:
            return gr.skip()
        voting_class = member.voting_class
        text = tally_csv(voting_class.tally, voting_class.setup.shown, _labels(voting_class.setup))
        return {
            "version": new_version(),  # makes a second click a change
            "name": f"class-{voting_class.code}.csv",
            "type": "text/csv",
            "data": base64.b64encode(text.encode()).decode(),
        }

    def resume(request: gr.Request, event: gr.EventData) -> Iterator[list[Any]]:
        """Take a teacher who has loaded the page anew back into the class, if there still is one."""
        key = _event_value(event, "key")
        try:
            voting_classes.find(key, address_of(request))
        except VotingClassError:
            yield [gr.skip()] * len(tab.class_outputs)
            return
        yield from join(request, key, _event_value(event, "address"))

    def follow_link(request: gr.Request, address: Any) -> Iterator[list[Any]]:
        code = request.query_params.get(CLASS_PARAMETER)
        if code is None:
            yield [gr.skip()] * (1 + len(tab.class_outputs))
            return
        opened: Any = gr.Accordion(open=True)
        for values in join(request, code, address):
            yield [opened, *values]
            opened = gr.skip()

    light: dict[str, Any] = {
        **SILENT,
        "queue": False,
        "preprocess": False,
    }
    gr.on(
        [tab.join.click, tab.code.submit],
        join,
        [tab.code, tab.address],
        tab.class_outputs,
        js=f"(code) => [code, {_ADDRESS_JS}]",
        **_QUEUED,
    )
    setup_inputs = [tab.address, tab.member, tab.pool, tab.noise, tab.question, *controls.inputs]
    tab.teach.click(
        teach,
        setup_inputs,
        tab.class_outputs,
        js=f"(address, ...rest) => [{_ADDRESS_JS}, ...rest]",
        **light,
    )
    tab.close.click(close, tab.member, tab.class_shown, **light)
    tab.leave.click(leave, None, tab.class_outputs, **light)
    tab.timer.tick(refresh, tab.member, [tab.panel, tab.timer], **light)
    tab.panel.reveal(reveal, tab.member, tab.panel, **light)
    tab.panel.save(save, tab.member, tab.download, **light)
    tab.board.resume(resume, None, tab.class_outputs, **_QUEUED)
    load(
        follow_link,
        tab.address,
        [tab.class_section, *tab.class_outputs],
        js=f"() => [{_ADDRESS_JS}]",
        **_QUEUED,
    )


def _begin(
    setup: Setup, faces: FaceSource, voter: Voter | None
) -> Iterator[tuple[BlindSession | None, Payload]]:
    """Begin a test: the values of the session's test and of the board, step by step."""
    yield None, _idle("Making the pictures\N{HORIZONTAL ELLIPSIS}")  # a model's first use takes seconds
    try:
        blind_session, note = _prepare(setup, faces, voter)
        yield blind_session, blind_session.view() | {"warning": note}
    except BlindTestError as error:
        yield None, _idle("") | {"warning": str(error)}


def _prepare(setup: Setup, faces: FaceSource, voter: Voter | None) -> tuple[BlindSession, str]:
    """Make a test, and say which methods it does without.

    Raises:
        BlindTestError: Too few methods can run.
    """
    labels = _labels(setup)
    samples = pick_samples(faces.offer.faces, None, secrets.randbelow(2**31), ROUNDS)
    names = [sample.id for sample in samples]
    generator = np.random.default_rng()
    first = draw_rounds(setup, names, generator, count=1)[0]
    usable, note = keep_usable(faces, setup, first, labels)
    rounds = draw_rounds(usable, names, generator)
    return BlindSession(usable, rounds, make_round_comparer(faces, usable), labels, voter), note


def _labels(setup: Setup) -> dict[str, str]:
    return describe_labels(describe_methods(), setup)


def _answer(blind_session: BlindSession | None, ask: Callable[[BlindSession], Payload]) -> Payload:
    if blind_session is None:  # the server was restarted meanwhile
        return _error("This test is gone; start again.")
    try:
        return ask(blind_session)
    except BlindTestError as error:
        return _error(str(error))


def _class_values(member: Member | None) -> list[Any]:
    """Values for ``class_shown``."""
    panel = _NO_CLASS | {"version": new_version()} if member is None else _panel(member)
    is_open = member is not None and member.voting_class.is_open
    teaches = member is not None and member.is_teacher and is_open
    return [
        gr.Column(visible=member is None),
        gr.Column(visible=member is not None),
        panel,
        gr.Button(visible=teaches),
        gr.Button(visible=member is not None and not teaches),
        gr.Timer(_TEACHER_SECONDS if teaches else _STUDENT_SECONDS, active=is_open),
    ]


def _panel(member: Member) -> Payload:
    voting_class = member.voting_class
    labels = _labels(voting_class.setup)
    noise = voting_class.setup.noise
    payload: Payload = {
        "phase": "class",
        "version": new_version(),
        "code": voting_class.code,
        "open": voting_class.is_open,
        "revealed": voting_class.is_revealed,
        "about": f"{QUESTIONS[voting_class.setup.question]} "
        f"Methods: {', '.join(labels[method] for method in voting_class.setup.pool)}. "
        f"Noise: {'varied' if noise is None else noise.describe()}.",
    }
    if member.is_teacher:
        payload |= member.invitation | {
            "key": voting_class.key,
            "joined": voting_class.joined,
            "answered": voting_class.answered,
            "votes": voting_class.tally.votes,
        }
    if voting_class.is_revealed:
        payload |= tally_view(voting_class.tally, voting_class.setup, labels, "The class")
    return payload


def _idle(text: str) -> Payload:
    return {"phase": "idle", "text": text, "version": new_version()}


def _error(sentence: str) -> Payload:
    return {"error": sentence, "version": new_version()}


def _event_value(event: gr.EventData, name: str) -> Any:
    """Return what the page's script said with an event; it may have said anything."""
    data = event._data
    return data.get(name) if isinstance(data, dict) else None


def create_blind_panel(elem_id: str, value: dict[str, Any]) -> gr.HTML:
    """Add what paints the blind test, or a class that takes it.

    It announces ``vote`` with the round's ``token`` and the ``picture``, ``unmask`` with the ``round``
    to look back at, and ``again``; of a class, ``reveal`` with whether to ``reveal`` the results,
    ``save``, and ``resume`` with the teacher's ``key`` and the page's ``address``.
    """
    template = (
        '<section class="blind"><p class="blind-status" role="status" hidden></p>'
        '<div class="blind-body"></div></section>'
    )
    return painted("blind/blind.js", template, value=value, elem_id=elem_id)
