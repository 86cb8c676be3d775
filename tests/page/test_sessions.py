"""What the server keeps of each session, and for how many of them."""

import copy
import gc
import json
import tracemalloc

import gradio as gr
import pytest

from denoiser.faces.samples import bundled_faces
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.experiment.run import Face
from denoiser.ui.page import build_app
from denoiser.ui.server.sessions import CAPACITY, keep_lean_sessions
from tests.benchmarks.visitors import loading_event
from tests.visitors import Page, Visitor


def test_a_face_is_the_same_for_all_sessions_that_begin_with_it(face):
    one = Face("a", "A", face)
    assert copy.deepcopy(one) is one


@pytest.fixture(scope="module")
def page():
    """A small page with room for three sessions, which counts and offers choices."""
    with gr.Blocks(analytics_enabled=False) as app:
        count = gr.State(0)
        shown = gr.Number(elem_id="shown")
        menu = gr.Dropdown(["a"], elem_id="menu")
        button = gr.Button(elem_id="button")
        idle = gr.Button(elem_id="idle")

        def add(count, choice):
            return count + 1, count + 1, gr.Dropdown(choices=["a", "b"], value="b")

        idle.click(lambda: [gr.skip(), 5, gr.update(value="a")], None, [count, shown, menu], queue=False)
        button.click(add, [count, menu], [count, shown, menu], queue=False)
    _, url, _ = app.launch(
        server_name="127.0.0.1", quiet=True, prevent_thread_lock=True, state_session_capacity=3
    )
    keep_lean_sessions(app)
    yield app, Page(url.rstrip("/"))
    app.close()


def click(visitor, choice="a"):
    return visitor.run(visitor.page.event("button", "click"), menu=choice)[1]


def test_each_session_has_values_of_its_own(page):
    one, other = Visitor(page[1]), Visitor(page[1])
    assert [click(one), click(one), click(other), click(one)] == [1, 2, 1, 3]


def test_a_component_that_an_event_has_changed_stays_so_for_its_session(page):
    """Gradio checks a value against the choices that this session was offered."""
    visitor = Visitor(page[1])
    click(visitor)
    assert click(visitor, "b") == 2
    with pytest.raises(OSError, match="500"):
        click(Visitor(page[1]), "b")


def test_what_an_event_leaves_as_it_is_costs_a_session_nothing(page):
    app, shared = page
    visitor = Visitor(shared)
    visitor.run(shared.event("idle", "click"))
    blocks = app.app.state_holder[visitor.session].blocks_config.blocks
    assert all(blocks[key] is block for key, block in app.blocks.items())


def test_of_too_many_sessions_those_unused_for_longest_begin_anew(page):
    app, shared = page
    visitors = [Visitor(shared) for _ in range(4)]
    for visitor in visitors[:3]:
        click(visitor)
    click(visitors[0])  # so the second is the one unused for longest
    click(visitors[3])
    assert len(app.app.state_holder.session_data) == 3
    assert [click(visitors[0]), click(visitors[3]), click(visitors[1])] == [3, 2, 1]


def test_a_session_costs_no_copy_of_the_page():
    app = build_app(FaceSource(Offer(bundled_faces(), "Faces.")))
    app.state_session_capacity = CAPACITY
    app.app = gr.routes.App.create_app(app)
    keep_lean_sessions(app)
    sessions = app.app.state_holder
    sessions["first"]
    gc.collect()
    tracemalloc.start()
    try:
        for index in range(50):
            session = sessions[f"session-{index}"]
            for block in app.blocks.values():
                session[block._id]  # the values that a session begins with
        size = tracemalloc.get_traced_memory()[0] / 50
    finally:
        tracemalloc.stop()
    assert size < 60_000  # bytes; Gradio's own take 600,000


@pytest.mark.slow
def test_a_page_whose_face_is_forgotten_says_so_and_goes_on(server):
    page = Page(server)
    change = next(
        d
        for d in page.config["dependencies"]
        if d["outputs"] == [page.ids["comparison"]]
        and d["queue"] is False
        and d["backend_fn"]
        and len(d["targets"]) > 1
    )
    known, unknown = Visitor(page), Visitor(page)
    known.run(loading_event(page))
    grids = [read(visitor.run(change)) for visitor in (known, unknown)]
    assert "notice" not in grids[0]
    assert grids[1]["notice"].startswith("The server no longer has this page's face")
    assert grids[1]["notice"].endswith("this is a sample face.")
    assert grids[1]["cards"][0]["pixels"] == grids[0]["cards"][0]["pixels"]
    unknown.pick_face()
    assert "notice" not in read(unknown.run(change))


def read(outputs):
    grid = outputs[0]
    return json.loads(grid.get("value", grid) if isinstance(grid, dict) else grid)
