"""An experiment in the page's address, in Chromium, against the real app."""

from contextlib import contextmanager
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser.denoisers.registry import DEFAULT_DENOISERS
from denoiser.faces.fer2013 import COUNTS
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.images import to_png
from denoiser.noise import NoiseChain, create_noise
from denoiser.pipeline import compare
from denoiser.ui.experiment.link_format import read_link
from tests.browser.hub_app import running_hub_app
from tests.browser.lab import EACH_WIDTH, Lab, assert_fine, watched_at
from tests.browser.test_compare import assert_shows
from tests.conftest import watched_page
from tests.library.test_fer2013_hub import ID, fer2013
from tests.tiny import pictures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

LINK = (
    "?face=astronaut&noise=salt-and-pepper&amount=12.5&salt-ratio=25&second=gaussian&second-sigma=7"
    "&seed=42&round=yes&methods=autoencoder,median,wavelet"
)

# What the grid says it shows, whenever that changes, and when the address is written.
RECORD = """() => {
  window.given = [];
  window.written = [];
  const replace = history.replaceState;
  history.replaceState = function (...values) {
    window.written.push(performance.now());
    return replace.apply(this, values);
  };
  const seen = new MutationObserver(() => {
    const text = document.querySelector("#comparison .lab-given")?.textContent;
    if (text && text !== given.at(-1)) given.push(text);
  });
  seen.observe(document, { subtree: true, childList: true, characterData: true });
}"""

DRAG = """() => new Promise(resolve => {
  const slider = document.querySelector("#noise-gaussian-sigma input[type=range]");
  let value = 30;
  const timer = setInterval(() => {
    slider.value = value;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    if (++value > 60) { clearInterval(timer); resolve(); }
  }, 40);
})"""


@contextmanager
def opened(browser, url, width="desktop", script=f"({RECORD})()"):
    with watched_at(browser, width) as watched:
        watched.page.add_init_script(script)
        lab = Lab(watched.page)
        lab.open(url)
        yield lab
        assert_fine(watched)


def wait_for_address(lab, **wanted):
    """Wait until the address holds these."""

    def holds(url):
        found = parse_qs(urlparse(url).query)
        return all(found.get(name) == [str(value)] for name, value in wanted.items())

    lab.page.wait_for_url(holds)


def everything(lab):
    """All pixels and numbers on show, but for times."""
    numbers = {
        f"{method} {name}": lab.card(method).locator(f'[data-metric="{name}"]').all_inner_texts()
        for method in lab.methods()
        for name in ("psnr", "ssim", "gain", "strength")
    }
    return numbers, {method: lab.rgb(method).tolist() for method in lab.methods()}


@pytest.mark.slow
@pytest.mark.parametrize("width", EACH_WIDTH)
def test_a_link_shows_what_somebody_set_by_hand(browser, server, width):
    with opened(browser, server, width) as lab:
        assert lab.page.url.rstrip("/") == server  # an address is left alone until something changes
        lab.pick(lab.sample_ids()[5])
        lab.set_number(31.5)
        lab.set_number(7, "seed")
        lab.toggle("Wavelet shrinkage")
        lab.show("error")
        # All of it: what was changed last may still be computed while the rest is on show.
        methods = ",".join([*DEFAULT_DENOISERS, "wavelet"])
        wait_for_address(
            lab, sigma=31.5, seed=7, show="error", face=lab.sample_ids()[5], methods=methods
        )
        lab.wait_for(seed=7, sigma=31.5)
        by_hand, address, faces = everything(lab), lab.page.url, lab.sample_ids()
        assert lab.page.evaluate("history.length") == 2  # the blank page and this one
    with opened(browser, address, width) as lab:
        assert everything(lab) == by_hand
        expect(lab.root).to_have_attribute("data-view", "error")
        expect(lab.number()).to_have_value("31.5")
        assert (
            lab.page.locator('#faces button[aria-pressed="true"]').get_attribute("data-id") == faces[5]
        )
        expect(lab.page.locator("#link-note p")).to_be_hidden()
        assert lab.overflow() <= 0


@pytest.mark.parametrize("width", EACH_WIDTH)
def test_a_link_is_what_python_computes(browser, server, width):
    with opened(browser, server + LINK, width) as lab:
        noises = (
            create_noise("salt-and-pepper", amount=0.125, salt_ratio=0.25),
            create_noise("gaussian", sigma=7 / 255),
        )
        clean = get_sample(bundled_faces(), "astronaut").image
        methods = ["autoencoder", "median", "wavelet"]
        assert_shows(lab, compare(clean, NoiseChain(noises), 42, methods, round_8bit=True))
        # Nothing else was shown before, and what differs from the usual is in sight.
        assert len(lab.page.evaluate("given")) == 1
        expect(lab.page.locator("#round-8bit input")).to_be_checked()
        expect(lab.page.locator("#round-8bit")).to_be_visible()
        assert lab.sample_ids()[0] == "astronaut"
        assert lab.page.url == server + "/" + LINK


def test_what_somebody_sets_before_a_link_is_shown_counts(browser, server):
    def compares(request):
        return '[\\"salt-and-pepper\\"' in (request.post_data or "")

    held, holding = [], True
    with watched_page(browser, 1440, 900) as watched:
        page, lab = watched.page, Lab(watched.page)
        page.route(
            "**/gradio_api/**",
            lambda route: (
                held.append(route) if holding and compares(route.request) else route.continue_()
            ),
        )
        with page.expect_request(compares):
            page.goto(server + LINK)
        lab.set_number(7, "seed")
        holding = False
        for route in held:
            route.continue_()
        lab.wait_for(seed=7)
        assert lab.methods()[2:] == ["autoencoder", "median", "wavelet"]
        assert watched.errors == []


@pytest.mark.slow
def test_dragging_writes_the_address_once(browser, server):
    with opened(browser, f"{server}?__theme=dark") as lab:
        lab.page.evaluate(DRAG)
        wait_for_address(lab, sigma=60, __theme="dark")
        # How often depends on the machine, which makes pauses; but never faster than browsers allow.
        written = lab.page.evaluate("written")
        assert all(np.diff(written) >= 390)
        assert lab.page.evaluate("history.length") == 2
        wait_for_address(lab, noise="gaussian", seed=0)


HOSTILE = (
    "?face=<img src=x onerror=alert(1)>&noise=${alert(2)}&methods={{value}}",
    "?sigma=1e999&seed=-1&second='\"><script>alert(1)</script>&show=<b>&tab=<i>",
    "?noise=poisson&peak=%00&methods=" + "median," * 400 + "&seed=5",
    "?" + "&".join(f"k{i}=v" for i in range(300)) + "&seed=5;DROP&face=../../etc/passwd",
)


@pytest.mark.parametrize(
    "query", [HOSTILE[0], *(pytest.param(query, marks=pytest.mark.slow) for query in HOSTILE[1:])]
)
def test_hostile_addresses(browser, server, query):
    dialogs = []
    with opened(browser, server + query) as lab:
        lab.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        note = lab.page.locator("#link-note")
        note.get_by_text("shown as far as it can be").wait_for()
        expect(note.locator("p")).to_have_count(1)
        assert not set("<>${}'\"") & set(note.inner_text())
        assert note.locator("img, script, b, i").count() == 0
        assert len(lab.methods()) >= 2
        # It is about the link, and goes when the experiment is another.
        lab.set_number(9, "seed")
        wait_for_address(lab, seed=9)
        note.wait_for(state="hidden")
        assert read_link(urlparse(lab.page.url).query).problems == ()
    assert dialogs == []


def test_an_uploaded_face_is_in_no_address(browser, server, tmp_path):
    file = tmp_path / "my-secret-name.png"
    file.write_bytes(to_png(get_sample(bundled_faces(), "astronaut").image))
    with opened(browser, server) as lab:
        lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        before = lab.version()
        lab.upload(file)
        lab.wait_for(before)
        lab.set_number(40)
        wait_for_address(lab, face="own", sigma=40)
        lab.page.locator("#copy-link").click()
        lab.page.get_by_text("Your own picture is not in the link").wait_for()
        link = lab.page.evaluate("navigator.clipboard.readText()")
        assert "upload" not in link
        assert "secret" not in link
    with opened(browser, link) as lab:
        lab.page.locator("#link-note").get_by_text("someone's own picture").wait_for()
        expect(lab.root).to_have_attribute("data-sigma", "40")
        assert lab.sample_ids()[0] in lab.page.evaluate(
            "[...document.querySelectorAll('#faces [aria-pressed=true]')].map(face => face.dataset.id)"
        )


@pytest.mark.slow
@pytest.mark.parametrize("start", ["compare", "blind"])
def test_back_is_the_tab_before(browser, server, start):
    with opened(browser, f"{server}?tab={start}") as lab:
        page = lab.page

        def is_open(name):
            expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute(
                "aria-selected", "true"
            )

        first = {"compare": "Compare", "blind": "Blind test"}[start]
        is_open(first)
        at_first = page.evaluate("history.length")
        for name in ("Sweep", "Inside"):
            page.get_by_role("tab", name=name, exact=True).click()
            wait_for_address(lab, tab=name.lower())
        assert page.evaluate("history.length") == at_first + 2
        for go, name in (
            (page.go_back, "Sweep"),
            (page.go_back, first),
            (page.go_forward, "Sweep"),
            (page.go_forward, "Inside"),
        ):
            go(wait_until="commit")
            is_open(name)
        wait_for_address(lab, tab="inside")


@pytest.mark.slow
@pytest.mark.parametrize("width", EACH_WIDTH)
def test_copy_link(browser, server, width):
    with opened(browser, f"{server}?__theme=light&seed=3", width) as lab:
        lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        lab.show("residual")
        lab.page.locator("#copy-link").click()
        said = lab.page.locator("#share .share-said")
        expect(said).not_to_be_empty()
        assert said.inner_text() == "Copied."
        link = lab.page.evaluate("navigator.clipboard.readText()")
        # Complete, though the address it was made from was not; what others put there is left out.
        assert link.startswith(f"{server}/?face=lfw-")
        assert "__theme" not in link
        assert link.endswith("&show=residual")
        shown = everything(lab)
        lab.show("error")  # which is another link
        expect(said).to_be_hidden()
    with opened(browser, link, width) as lab:
        assert everything(lab) == shown


def test_copy_link_without_a_clipboard(browser, server):
    script = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
    with opened(browser, server + LINK, script=script) as lab:
        lab.page.locator("#copy-link").click()
        lab.page.get_by_text("copy the selected link").wait_for()
        selected = "[document.activeElement.value, getSelection().toString()]"
        value, selection = lab.page.evaluate(selected)
        assert value == selection
        link = read_link(urlparse(value).query)
        assert link == read_link(LINK)


def test_the_note_about_a_link_stands_above_whatever_tab_it_opens(browser, server):
    with opened(browser, f"{server}?tab=blind&seed=-1") as lab:
        note = lab.page.locator("#link-note")
        note.get_by_text("the seed has to be").wait_for()
        lab.page.get_by_role("heading", name="Round 1 of").wait_for()
        wait_for_address(lab, tab="blind", seed=0)
        expect(note).to_be_visible()


@pytest.mark.slow
def test_a_link_to_another_tab(browser, server):
    with opened(browser, f"{server}?tab=benchmark&seed=3") as lab:
        lab.page.locator("#benchmark table").first.wait_for()
        lab.page.get_by_role("tab", name="Compare").click()
        lab.root.wait_for(state="visible")
        expect(lab.root).to_have_attribute("data-seed", "3")
        lab.page.get_by_role("tab", name="Benchmark").click()
        wait_for_address(lab, tab="benchmark", seed=3)
        lab.page.get_by_role("tab", name="Compare").click()
        lab.page.wait_for_url(lambda url: "tab=" not in url)


@pytest.mark.slow
def test_the_address_names_the_tab_that_is_open(browser, server):
    with opened(browser, server) as lab:
        # Who is back before the tab has loaded its tables.
        lab.page.get_by_role("tab", name="Benchmark").click()
        lab.page.get_by_role("tab", name="Compare").click()
        lab.page.locator("#benchmark table").first.wait_for(state="attached")
        lab.set_number(9, "seed")
        wait_for_address(lab, seed=9)
        assert "tab=" not in lab.page.url


COUNT = COUNTS["test"][0]


@pytest.mark.slow
def test_a_face_of_fer2013_that_is_still_on_its_way(browser, loopback_hub, tmp_path):
    loopback_hub.add_repo("dataset", ID, fer2013((1, 1, COUNT)))
    loopback_hub.fault("", "silent")
    query = "?face=fer2013-test-32340&noise=gaussian&sigma=12&seed=3&methods=median"
    with (
        running_hub_app(loopback_hub, ID, tmp_path / "home") as url,
        opened(browser, url + query) as lab,
        opened(browser, url + query) as impatient,
    ):
        for waiting in (lab, impatient):
            waiting.page.locator("#link-note").get_by_text("still being downloaded").wait_for()
            expect(waiting.root).to_have_attribute("data-sigma", "12")
        before = impatient.version()
        impatient.pick(impatient.sample_ids()[3])
        impatient.wait_for(before)
        chosen = impatient.gray("clean")

        before = lab.version()
        loopback_hub.mend()
        lab.wait_for(before)
        np.testing.assert_array_equal(lab.gray("clean"), pictures(COUNT, 2)[32_340 - 32_298])
        lab.page.locator("#link-note p").wait_for(state="hidden")
        wait_for_address(lab, face="fer2013-test-32340", sigma=12)
        # Who has chosen another face meanwhile keeps it.
        impatient.page.locator("#link-note p").wait_for(state="hidden")
        np.testing.assert_array_equal(impatient.gray("clean"), chosen)


def test_a_face_of_fer2013_where_there_is_none(browser, server):
    with opened(browser, f"{server}?face=fer2013-test-32340&sigma=12") as lab:
        lab.page.locator("#link-note").get_by_text("FER2013, which is not here").wait_for()
        expect(lab.root).to_have_attribute("data-sigma", "12")
