"""Denoisers of one's own on the page: ``python app.py --plugin FILE.py:FUNCTION``."""

import subprocess
import sys
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client

from denoiser.denoisers.callables import OwnDenoiserError, probe_picture, wrap
from denoiser.denoisers.plugins import register
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.pipeline import Experiment
from denoiser.ui import command_line
from denoiser.ui.command_line import register_plugins
from denoiser.ui.compare.payload import live_payload
from denoiser.ui.experiment.costs import cost, plan
from denoiser.ui.experiment.face_source import FaceSource, Offer, sample_face
from denoiser.ui.experiment.run import describe_methods
from denoiser.ui.page import build_app, warm_up
from denoiser.ui.server.guard import GuardedBlocks
from tests.conftest import ROOT, app_environment, free_port, running
from tests.doubles import run

MINE = """
def denoise(noisy):
    return noisy / 2

def bad(noisy):
    return None
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def choosy(noisy):
    if not np.array_equal(noisy, probe_picture()):
        raise ValueError("I know no such pictures")
    return noisy / 2


def cards(*methods):
    face = sample_face(get_sample(bundled_faces(), "astronaut"))
    payload = live_payload(face, Experiment(methods=methods), describe_methods(), 1)
    return {card["id"]: card for card in payload["cards"]}


@pytest.mark.usefixtures("own_registry")
class TestOnThePage:
    def test_has_a_card(self, mine):
        register_plugins(["--plugin", str(mine)], is_space=False)
        card = cards("median", "denoise")["denoise"]
        assert (card["label"], card["kind"]) == ("Denoise", "Brought along")
        assert card["psnr"].endswith(" dB")

    def test_its_card_says_where_it_fails_and_the_others_are_there(self):
        register(choosy)
        shown = cards("choosy", "median")
        assert shown["choosy"]["error"].startswith("choosy failed in line ")
        assert "I know no such pictures" in shown["choosy"]["error"]
        assert "psnr" in shown["median"]

    def test_is_chosen_from_the_start_in_a_group_of_its_own(self, mine):
        register_plugins(["--plugin", str(mine)], is_space=False)
        faces = bundled_faces()
        app = build_app(FaceSource(Offer(faces, "")))
        (chosen,) = (
            block for block in app.blocks.values() if getattr(block, "elem_id", None) == "methods"
        )
        assert chosen.value == ["attention-unet", "patchgan", "autoencoder", "median", "denoise"]
        titles = (str(block.value) for block in app.blocks.values() if hasattr(block, "value"))
        assert any("what you brought along" in title for title in titles)

    def test_where_there_is_no_card_the_event_says_it(self):
        with GuardedBlocks() as page:
            gr.Button().click(lambda: wrap(choosy)(np.zeros((48, 48), np.float32)))
        with pytest.raises(gr.Error, match="I know no such pictures"):
            run(page.process_api(page.fns[0], []))

    def test_one_that_fails_does_not_end_the_warm_up(self):
        used = []

        def fails(noisy):
            used.append(noisy)
            if noisy.std() == 0:
                raise ValueError
            return noisy

        register(fails)
        warm_up()
        assert used[-1].std() == 0

    def test_what_it_costs_was_measured_when_it_was_tried_out(self):
        info = wrap(choosy).info
        assert cost(info, (48, 48)) == pytest.approx(info.milliseconds)
        slow = {"slow": replace(info, milliseconds=100.0)}
        assert plan(["slow"], slow, (48, 48)).later == ("slow",)
        assert set(plan(["slow"], slow, (128, 128, 3)).refused) == {"slow"}


@pytest.mark.usefixtures("own_registry")
class TestRefused:
    def test_on_a_space_no_file_is_run(self, mine):
        mine.write_text("raise SystemExit('it was run')")
        with pytest.raises(OwnDenoiserError, match="not for a Space"):
            register_plugins(["--plugin", str(mine)], is_space=True)
        register_plugins([], is_space=True)

    def test_what_is_no_denoiser(self, mine):
        with pytest.raises(OwnDenoiserError, match="bad returned nothing"):
            register_plugins(["--plugin", f"{mine}:bad"], is_space=False)

    def test_a_package_that_fails_is_a_warning(self, monkeypatch, caplog):
        monkeypatch.setattr(command_line, "register_packages", lambda: ("It can't be loaded.",))
        register_plugins([], is_space=False)
        assert "It can't be loaded." in caplog.text


def test_the_app_serves_it_beside_the_others(mine):
    port = free_port()
    command = [sys.executable, "app.py", "--plugin", str(mine)]
    with running(command, port, app_environment(port)) as url:
        client = Client(url, verbose=False)
        listed = client.predict(api_name="/denoisers")
        assert [d["id"] for d in listed["denoisers"]][-1] == "denoise"
        answer = client.predict(
            sample="lfw-7", noise="gaussian", denoisers=["denoise"], api_name="/compare"
        )
        assert answer["methods"]["denoise"]["psnr"] < answer["noisy"]["psnr"]


def test_the_app_says_in_one_line_what_is_wrong(mine):
    ran = subprocess.run(
        [sys.executable, "app.py", "--plugin", str(mine.with_name("nope.py"))],
        cwd=ROOT,
        env=app_environment(free_port()),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr == f"app.py: There is no file {mine.with_name('nope.py')}.\n"
