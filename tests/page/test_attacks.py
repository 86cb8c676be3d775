"""What strangers send to the running app: nothing of the server is in any answer, and nothing is left.

The same calls every time: hypothesis draws them without chance (``derandomize``), so many of each kind.
"""

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from denoiser.denoisers.own_model import OWN_MODEL
from tests.conftest import ROOT, app_environment, free_port, running
from tests.onnx_models import mean_filter
from tests.visitors import Page, a_picture

pytestmark = pytest.mark.timeout(600)

SECRET = "the-secret-of-this-server"
SCRIPT = '<img src=x onerror=alert(1)>"><script>alert(2)</script>${alert(3)}{{alert(4)}}'
SCRIPT_MARKS = ("<img src=x", "<script>alert", "<img%20src=x")

BOUNDED = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would send many times as many
    suppress_health_check=list(HealthCheck),
)

# What a traceback, a path or a Python object looks like.
_LEAKS = re.compile(
    r"Traceback \(most recent|File \\?\"/|\.py\b|site-packages| object at 0x|/root/|/home/[a-z]|/usr/|"
    + re.escape(SECRET)
)


@dataclass(frozen=True)
class Target:
    """The running app.

    Attributes:
        page: Its configuration.
        client: Sends requests to it.
        temporary: Where it may write.
        secret: A file it could read.
    """

    page: Page
    client: httpx.Client
    temporary: Path
    secret: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that run on the server, those of the API among them."""
        return [event for event in self.page.config["dependencies"] if event["backend_fn"]]

    def send(self, event: dict[str, Any], data: Any, **others: Any) -> httpx.Response:
        """Have an event run."""
        body = {"data": data, "fn_index": event["id"], "session_hash": "stranger", **others}
        # httpx would refuse what JSON does not have: NaN, infinity, halves of characters.
        return self.client.post(
            "/gradio_api/run/predict",
            content=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )

    def files(self) -> list[Path]:
        """What uploads have left on the disk."""
        # os.walk takes no notice of what is deleted meanwhile.
        found = [Path(at, name) for at, _, names in os.walk(self.temporary) for name in names]
        return [path for path in found if path.suffix != ".lock" and path != self.secret]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    temporary = tmp_path_factory.mktemp("attacked")
    secret = temporary / "secret.txt"
    secret.write_text(SECRET)
    port = free_port()
    environment = app_environment(port) | {
        "GRADIO_TEMP_DIR": str(temporary),
        "TMPDIR": str(temporary),
    }
    with (
        running([sys.executable, "app.py"], port, environment) as url,
        httpx.Client(base_url=url, timeout=120, trust_env=False) as client,
    ):
        yield Target(Page(url), client, temporary, secret)


def assert_harmless(answer, target):
    """No traceback, no path, no object; and a failure is said in a sentence."""
    text = answer.text
    found = _LEAKS.search(text)
    assert found is None, text[max(0, found.start() - 200) : found.end() + 200]
    for folder in (str(ROOT), sys.prefix, str(target.temporary), os.path.expanduser("~/")):
        assert folder not in text
    if answer.status_code >= 500:
        said = answer.json()
        sentence = said.get("error") or said.get("detail")
        assert isinstance(sentence, str)
        assert len(sentence) > 10
    elif answer.status_code >= 400:
        assert text.strip()


# Numbers are small or absurd: one of the right size would only make the server compute.
_NUMBERS = st.sampled_from([0, -1, 1, 2**31, -(2**63), 10**400, 1.5, 1e308, float("nan"), float("-inf")])
_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "\0",
            "\ud800",
            SCRIPT,
            "../../../etc/passwd",
            "attention-unet",
            "gaussian",
            "__class__",
            "fer2013-test-0",
            "[" * 2_000,
            '{"a":' * 2_000,
            "%s%n",
            "1e999",
            "sweep",
            "none",
        ]
    ),
    st.text(max_size=20),
)
_JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["path", "meta", "url", "value", "__type__", "id"]), inner),
    ),
    max_leaves=8,
)


def event_index(data, target):
    return data.draw(st.sampled_from(range(len(target.events))))


@pytest.mark.slow
@BOUNDED
@given(data=st.data())
def test_an_event_given_anything_at_all(target, data):
    event = target.events[event_index(data, target)]
    count = len(event["inputs"])
    size = data.draw(st.sampled_from([count] * 6 + [0, count + 1]))
    given_values = data.draw(st.lists(_JUNK, min_size=size, max_size=size))
    answer = target.send(event, given_values, event_data=data.draw(_JUNK))
    assert_harmless(answer, target)


@BOUNDED
@given(data=st.data())
def test_an_event_with_one_thing_wrong(target, data):
    """What is right gets further into the app than nonsense does."""
    event = target.events[event_index(data, target)]
    values = [target.page.values.get(i) for i in event["inputs"]]
    if values:
        values[data.draw(st.sampled_from(range(len(values))))] = data.draw(_JUNK)
    answer = target.send(event, values, event_data=data.draw(st.one_of(st.none(), _JUNK)))
    assert_harmless(answer, target)


def written_event(target):
    """The event that writes the grid, and what the controls say at first."""
    event = next(
        event
        for event in target.events
        if event["outputs"] == [target.page.ids["comparison"]] and len(event["targets"]) > 1
    )
    return event, json.loads(target.page.values[event["inputs"][-1]])


@BOUNDED
@given(data=st.data())
def test_the_controls_text_with_one_thing_wrong(target, data):
    event, written = written_event(target)
    written[data.draw(st.sampled_from(range(len(written))))] = data.draw(_JUNK)
    answer = target.send(event, [None, None, json.dumps(written)])
    assert_harmless(answer, target)
    assert answer.status_code == 200  # a sentence in the grid, or a comparison
    grid = json.loads(answer.json()["data"][0])
    assert bool(grid.get("error")) != bool(grid.get("cards"))


def test_another_session_s_model_is_out_of_reach(target):
    """Whatever another session sends: the model's id, a made-up state, its file."""
    _, written = written_event(target)
    add = target.page.event("own-file", "upload")
    follow = target.page.event("comparison", "slow", "comparison-own")
    methods = next(
        i for i, value in enumerate(written) if value == target.page.values[target.page.ids["methods"]]
    )
    written[methods] = ["median", OWN_MODEL]

    def upload(session):
        answer = target.client.post("/gradio_api/upload", files={"files": ("net.onnx", mean_filter())})
        (path,) = answer.json()
        file = {"path": path, "orig_name": "net.onnx", "meta": {"_type": "gradio.FileData"}}
        return path, target.send(add, [file, ["median"]], session_hash=session)

    def card(session, state=None):
        answer = target.send(follow, [None, state, json.dumps(written)], session_hash=session)
        assert_harmless(answer, target)
        (found,) = json.loads(answer.json()["data"][0])["cards"]
        return found

    path, added = upload("owner-session")
    assert added.json()["data"][2][-1] == OWN_MODEL, added.text
    assert "pixels" in card("owner-session")
    stolen = {"session": "owner-session", "key": "0" * 64, "name": "net.onnx"}
    for state in (None, stolen, "owner-session", [stolen]):
        assert "pixels" not in card("thief-session", state)
        assert "add it again" in card("thief-session", state)["error"]
    # Nor its file, nor by the endpoints.
    answer = target.send(add, [{"path": path}, []], session_hash="thief-session")
    assert_harmless(answer, target)
    assert OWN_MODEL not in answer.text
    call = target.client.post(
        "/gradio_api/call/v2/compare", json={"sample": "lfw-1", "denoisers": [OWN_MODEL]}
    )
    events = target.client.get(f"/gradio_api/call/v2/compare/{call.json()['event_id']}")
    assert "Unknown denoiser" in events.text
    # What a thief takes away is not the owner's.
    remove = target.page.event("own-note", "remove")
    target.send(remove, [["median"]], session_hash="thief-session")
    assert "pixels" in card("owner-session")


_API = ("compare", "intermediate", "milliseconds", "denoisers", "noises", "samples")


@BOUNDED
@given(
    name=st.sampled_from(_API),
    junk=st.dictionaries(
        st.sampled_from(
            [
                "face",
                "sample",
                "noise",
                "sigma",
                "amount",
                "seed",
                "denoisers",
                "clip",
                "crop_face",
                "other",
            ]
        ),
        _JUNK,
        min_size=1,
        max_size=3,
    ),
)
def test_the_api_by_names_of_parameters(target, name, junk):
    call = target.client.post(
        f"/gradio_api/call/v2/{name}",
        content=json.dumps(junk).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert_harmless(call, target)
    if call.status_code == 200:
        events = target.client.get(f"/gradio_api/call/v2/{name}/{call.json()['event_id']}")
        assert_harmless(events, target)
        assert "event: complete" in events.text or "event: error" in events.text


_POSTS = (
    "/gradio_api/run/predict",
    "/gradio_api/api/compare",
    "/gradio_api/call/compare",
    "/gradio_api/queue/join",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/component_server",
    "/gradio_api/stream/x",
    "/gradio_api/process_recording",
    "/gradio_api/upload",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-code",
    "/login",
)


@BOUNDED
@given(
    path=st.sampled_from(_POSTS),
    body=st.one_of(
        st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "fn_index",
                    "session_hash",
                    "event_id",
                    "event_data",
                    "trigger_id",
                    "fn_name",
                    "component_id",
                    "batched",
                    "username",
                    "password",
                    "simple_format",
                ]
            ),
            _JUNK,
            max_size=6,
        ).map(lambda body: json.dumps(body).encode()),
        st.binary(max_size=200),
        st.sampled_from([b"[" * 500_000, b'{"data":' * 100_000, b'{"data":[' + b"1e400," * 9 + b"1]}"]),
    ),
    kind=st.sampled_from(["application/json", "text/plain", "multipart/form-data; boundary=b", ""]),
)
def test_a_body_of_anything(target, path, body, kind):
    assert_harmless(target.client.post(path, content=body, headers={"Content-Type": kind}), target)


@pytest.mark.parametrize(
    "climb",
    [
        "../" * 12,
        "..%2f" * 12,
        "%2e%2e/" * 12,
        "..%252f" * 12,
        "....//" * 12,
        "/",
        "//",
        "%2f",
        "file:///",
    ],
)
@pytest.mark.parametrize(
    "door",
    [
        "/gradio_api/file=",
        "/gradio_api/file/",
        "/gradio_api/proxy=",
        "/static/",
        "/assets/",
        "/svelte/",
        "/gradio_api/custom_component/0/client/component/",
        "/gradio_api/stream/s/0/0/",
        "/",
    ],
)
def test_no_file_of_the_server_is_served(target, door, climb):
    for wanted in (str(target.secret).lstrip("/"), "etc/passwd", str(ROOT / "app.py").lstrip("/")):
        # Raw, or the client would tidy the address up.
        url = httpx.URL(str(target.client.base_url)).copy_with(
            raw_path=f"{door}{climb}{wanted}".encode()
        )
        answer = target.client.get(url)
        assert SECRET not in answer.text
        assert "root:" not in answer.text
        assert "What a Space runs" not in answer.text
        assert answer.status_code in {200, 307, 400, 403, 404, 405, 422}
        if answer.status_code == 200:  # the page itself, whose tabs have addresses of their own
            assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "parameter", ["noise", "sample", "methods", "seed", "tab", "view", "class", "x"]
)
def test_a_link_that_brings_a_script_is_not_repeated(target, parameter):
    """Neither by the page nor by what reads its address."""
    query = str(httpx.QueryParams({parameter: SCRIPT}))
    page = target.client.get("/", params={parameter: SCRIPT})
    assert page.status_code == 200
    restore = next(
        event
        for event in target.events
        if target.page.ids["link-note"] in event["outputs"] and event["js"] and not event["queue"]
    )
    answers = [page]
    for text in (f"?{query}", f"?{parameter}={SCRIPT}"):
        values = [text, *[None] * (len(restore["inputs"]) - 1)]
        answers.append(target.send(restore, values))
        assert answers[-1].status_code == 200
    for answer in answers:
        assert not any(mark in answer.text.replace("\\", "") for mark in SCRIPT_MARKS)


def test_a_label_that_is_a_script_is_not_repeated(target):
    """Class codes, ids of faces, names of tabs: what the page shows where markup works.

    Gradio's own errors quote what was sent; tests/browser/test_compare.py sees that those are harmless.
    """
    for event in target.events:
        if event["api_visibility"] == "public":
            continue  # its answer is data, for programs
        values = [SCRIPT for _ in event["inputs"]]
        data = dict.fromkeys(("id", "tab", "token", "round", "picture"), SCRIPT)
        answer = target.send(event, values, event_data=data)
        assert_harmless(answer, target)
        if answer.status_code == 200:
            assert not any(mark in answer.text.replace("\\", "") for mark in SCRIPT_MARKS)


_DISPOSITION = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n%b'
_NAMES = (
    b"../../../up.png",
    b"/etc/cron.d/up",
    b"..\\up.png",
    b"\xff\xfe.png",
    b"a" * 300,
    b"owner",
    b"",
)


@pytest.mark.parametrize(
    "body",
    [
        *(_DISPOSITION % (b"files", name, a_picture(), b"--b--\r\n") for name in _NAMES),
        _DISPOSITION % (b"other", b"a.png", b"x" * 1000, b"--b--\r\n"),
        _DISPOSITION % (b"files", b"a.png", b"x" * 1000, b""),
        b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nno file\r\n--b--\r\n',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--b--\r\n",
        b"--b\r\n" + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n\r\n--b--\r\n",
        b"--b--\r\n",
        b"",
    ],
)
def test_an_upload_of_anything_stays_where_uploads_lie(target, body):
    before = set(ROOT.rglob("up.png"))
    answer = target.client.post(
        "/gradio_api/upload", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    if answer.status_code == 200:
        for path in answer.json():
            assert Path(path).resolve().is_relative_to(target.temporary.resolve())
    else:
        assert_harmless(answer, target)
    assert set(ROOT.rglob("up.png")) == before


@pytest.mark.slow
def test_used_uploads_leave_nothing(target):
    """Each is deleted soon after it was used, whether it was a picture or not."""
    event = target.page.event("picture", "change")
    unread = set(target.files())
    for index in range(40):
        content = a_picture() if index % 2 else b"no picture, number %d" % index
        (path,) = target.client.post(
            "/gradio_api/upload", files={"files": (f"{index}.png", content)}
        ).json()
        values = [{"path": path, "meta": {"_type": "gradio.FileData"}}]
        answer = target.send(event, values, session_hash=f"uploader-{index}")
        assert answer.status_code == 200
        assert_harmless(answer, target)
    assert set(target.files()) - unread
    deadline = time.monotonic() + 120
    while set(target.files()) - unread:
        assert time.monotonic() < deadline, sorted(set(target.files()) - unread)[:3]
        time.sleep(1)


def give_photo(target, session):
    """Give a session a photo, and return the photo's id."""
    (path,) = target.client.post("/gradio_api/upload", files={"files": ("my.png", a_picture())}).json()
    event = target.page.event("photo-picture", "change")
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = target.send(event, [file], session_hash=session)
    assert_harmless(answer, target)
    assert "my.png" not in answer.text
    return json.loads(answer.json()["data"][1])["id"]


def look_at_photo(target, session, **wrong):
    """Ask for a region of a photo, and return what is sent."""
    event = next(event for event in target.events if event["outputs"] == [target.page.ids["photo-view"]])
    settings = [target.page.values[target.page.ids[name]] for name in ("photo-methods", "photo-seed")]
    sliders = [
        component["props"]["value"]
        for component in target.page.config["components"]
        if component["type"] == "slider"
        and str(component["props"].get("elem_id")).startswith("photo-noise-")
    ]
    written = {
        "photo": "portrait",
        "top": 0,
        "left": 0,
        "side": 128,
        "settings": ["clean", settings[0][:1], "gaussian", settings[1], *sliders],
    }
    answer = target.send(event, [json.dumps(written | wrong), ""], session_hash=session)
    assert_harmless(answer, target)
    assert answer.status_code == 200
    return json.loads(answer.json()["data"][0])


def test_a_photo_is_seen_by_its_session_alone(target):
    mine = give_photo(target, "photographer")
    small = {"photo": mine, "side": 128}
    assert look_at_photo(target, "photographer", **small)["cards"]
    for session in ("somebody-else", ""):
        assert set(look_at_photo(target, session, **small)) == {"version", "error"}


@BOUNDED
@given(data=st.data())
def test_a_region_of_a_photo_with_one_thing_wrong(target, data):
    name = data.draw(st.sampled_from(["photo", "top", "left", "side", "settings"]))
    payload = look_at_photo(target, "stranger", **{name: data.draw(_JUNK)})
    assert "error" in payload or "cards" in payload


def test_after_all_that_the_app_still_works(target):
    """Last in this file: every attack above has been made."""
    event, written = written_event(target)
    answer = target.send(event, [None, None, json.dumps(written)], session_hash="afterwards")
    grid = json.loads(answer.json()["data"][0])
    assert [card["id"] for card in grid["cards"]][:2] == ["clean", "noisy"]
    assert not any(card.get("error") for card in grid["cards"])
    call = target.client.post("/gradio_api/call/v2/noises", json={})
    events = target.client.get(f"/gradio_api/call/v2/noises/{call.json()['event_id']}")
    assert "event: complete" in events.text
