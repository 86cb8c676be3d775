"""FER2013 comes from a Hub while a page is open. What is FER2013 here are made-up pictures."""

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser.faces.fer2013 import COUNTS
from denoiser.faces.samples import bundled_faces, get_sample
from tests.browser.hub_app import running_hub_app
from tests.browser.lab import Lab
from tests.conftest import watched_page
from tests.library.test_fer2013_hub import ID, fer2013
from tests.tiny import pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

COUNT = COUNTS["test"][0]


@pytest.fixture
def remote(loopback_hub):
    loopback_hub.add_repo("dataset", ID, fer2013((1, 1, COUNT)))
    return loopback_hub


@pytest.fixture
def app(remote, tmp_path):
    """The address of an app whose Hub does not answer until the test mends it."""
    remote.fault("", "silent")
    with running_hub_app(remote, ID, tmp_path / "home") as url:
        yield url


def about(lab, text):
    lab.page.locator("#about-faces").get_by_text(text).wait_for()


@pytest.mark.slow
def test_faces_appear_without_a_reload(browser, remote, app):
    with watched_page(browser, 1440, 900) as watched, watched_page(browser, 390, 844) as later:
        lab = Lab(watched.page)
        lab.open(app)
        about(lab, "FER2013")
        bundled = lab.sample_ids()
        assert bundled[0].startswith("lfw-")
        expect(lab.page.locator("#emotion")).to_be_hidden()
        before = lab.version()
        lab.pick(bundled[3])
        lab.wait_for(before)
        before = lab.version()

        remote.mend()
        about(lab, f"{COUNT:,} faces, from {ID}")
        lab.page.locator('#faces button[data-id^="fer2013-test-"]').first.wait_for()
        assert len([face for face in lab.sample_ids() if face.startswith("fer2013-")]) == 12
        # The face that somebody is looking at stays, and is none of the strip's.
        lab.page.wait_for_timeout(1500)
        assert lab.version() == before
        chosen = get_sample(bundled_faces(), bundled[3])
        np.testing.assert_array_equal(lab.gray("clean"), (chosen.image * 255).round())
        assert lab.page.locator('#faces button[aria-pressed="true"]').count() == 0

        before = lab.version()
        lab.page.get_by_label("Emotion", exact=True).click()
        lab.page.get_by_role("option", name="disgust").click()
        lab.wait_for(before)
        # Made-up labels go round the seven emotions.
        rows = [int(face.rpartition("-")[2]) - 32_298 for face in lab.sample_ids()]
        assert {row % 7 for row in rows} == {1}
        np.testing.assert_array_equal(lab.gray("clean"), pictures(COUNT, 2)[rows[0]])

        new = Lab(later.page)
        new.open(app)
        first = new.sample_ids()[0]
        assert first.startswith("fer2013-test-")
        row = int(first.rpartition("-")[2]) - 32_298
        np.testing.assert_array_equal(new.gray("clean"), pictures(COUNT, 2)[row])
        new.unfold("face-panel")
        expect(new.page.locator("#emotion")).to_be_visible()
        for page in (watched, later):
            assert page.errors == []
            assert page.hosts == {"127.0.0.1"}


@pytest.mark.slow
def test_a_page_stops_asking_once_the_faces_are_there(browser, remote, app):
    with watched_page(browser, 1440, 900) as watched:
        lab = Lab(watched.page)
        lab.open(app)
        remote.mend()
        about(lab, f"{COUNT:,} faces, from {ID}")
        asked = []
        lab.page.wait_for_timeout(2500)
        lab.page.on("request", lambda request: asked.append(request.url))
        lab.page.wait_for_timeout(5000)
        assert [url for url in asked if "/gradio_api/" in url and "heartbeat" not in url] == []
