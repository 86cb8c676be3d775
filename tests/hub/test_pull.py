"""Weights from the Hub, over real HTTP: what is good arrives, whatever goes wrong is one sentence."""

import hashlib
import json
import socket
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import httpx
from safetensors.torch import load_file, save_file

import denoiser
from denoiser.architectures import AttentionUNet, Autoencoder, build_network
from denoiser.architectures.loading import load_from_hub
from denoiser.denoisers import background, registry
from denoiser.denoisers import network as networks
from denoiser.denoisers.background import BackgroundLoader, LoadingError
from denoiser.denoisers.registry import create_denoiser, ensure_loaded, find_available
from denoiser.faces.samples import bundled_faces
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment
from denoiser.ui.api import endpoints as api
from denoiser.ui.compare.payload import live_payload, slow_payload
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.experiment.run import Face, describe_methods
from denoiser.ui.page import build_app, warm_up
from denoiser.weights import checkpoint as weights
from denoiser.weights import hub
from denoiser.weights.checkpoint import (
    CONFIG_NAME,
    MODEL_NAME,
    HubSource,
    ModelConfig,
    WeightsError,
)
from denoiser.weights.hub import cached_file, cap_timeouts, fetch_file
from denoiser.weights.hub_errors import HubError
from tests.conftest import free_port
from tests.weights import save_model

REPO = "tester/net"
MODEL_REPO = "tester/fer2013-attention-unet"
SOURCE = HubSource(MODEL_REPO, "v1")
DATA = np.random.default_rng(0).bytes(300_000)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    for name, seconds in (("PROBE_SECONDS", 0.5), ("STALL_SECONDS", 0.5), ("PAUSE_SECONDS", 0.0)):
        monkeypatch.setattr(hub, name, seconds)


@pytest.fixture
def remote(loopback_hub):
    """A Hub with one repo that has a large file and a small one."""
    loopback_hub.add_repo("model", REPO, {"w.safetensors": DATA, "config.json": b"{}"}, tag="v1")
    return loopback_hub


def fetch(filename="w.safetensors", revision="v1", **options):
    return fetch_file(REPO, filename, revision=revision, **options)


def refusal(function, *arguments, **options):
    """Return the message of a HubError or WeightsError, after checking that it is fit to be shown."""
    with pytest.raises((HubError, WeightsError)) as caught:
        function(*arguments, **options)
    check_sentence(str(caught.value))
    # No other error's traceback is shown before it.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def check_sentence(message):
    assert message
    assert "\n" not in message
    assert ". " not in message
    for secret in ("hf_", "http:", "127.0.0.1", "/tmp", "Traceback", "Error", constants.HF_HUB_CACHE):
        assert secret not in message


def cached_contents():
    """Every file in the Hub's cache with content: no name of one that is not there, or half there."""
    cache = constants.HF_HUB_CACHE
    files = [path for path in hub.Path(cache).rglob("*") if path.is_file() or path.is_symlink()]
    return {path.relative_to(cache).as_posix(): path.read_bytes() for path in files}


def methods_of(remote):
    return [request.method for request in remote.requests]


# What is good


def test_a_file_arrives_and_is_then_at_hand_without_a_request(remote):
    path = fetch()
    assert path.read_bytes() == DATA
    assert methods_of(remote)[-1] == "GET"
    remote.requests.clear()
    remote.fault("", 503)
    assert fetch() == path
    assert cached_file(REPO, "w.safetensors", revision="v1") == path
    assert fetch(revision=path.parent.name) == path
    assert not remote.requests


def test_small_files_are_kept_by_git_s_hash(remote):
    assert fetch("config.json").read_bytes() == b"{}"
    remote.requests.clear()
    assert fetch("config.json").read_bytes() == b"{}"
    assert not remote.requests


def test_the_client_finds_what_was_fetched(remote):
    path = fetch()
    found = huggingface_hub.try_to_load_from_cache(REPO, "w.safetensors", revision="v1")
    assert hub.Path(found) == path
    [repo] = huggingface_hub.scan_cache_dir().repos
    assert repo.repo_id == REPO


def test_what_the_client_fetched_is_used(remote):
    path = huggingface_hub.hf_hub_download(
        REPO, "w.safetensors", revision="v1", endpoint=remote.endpoint
    )
    remote.requests.clear()
    assert fetch() == hub.Path(path)
    assert not remote.requests


def test_a_tag_is_looked_up_once(remote):
    before = fetch()
    remote.add_repo("model", REPO, {"w.safetensors": DATA[::-1], "more.json": b"[]"}, tag="v1")
    assert fetch() == before
    assert "no such file" in refusal(fetch, "more.json")  # not from another commit than the weights
    after = fetch(revision="main")
    assert after.read_bytes() == DATA[::-1]
    assert after.parent != before.parent


def test_progress_ends_with_the_whole_file(remote):
    seen = []
    fetch(on_progress=lambda *progress: seen.append(progress))
    assert seen[-1] == (len(DATA), len(DATA))
    assert len(seen) > 2
    assert seen == sorted(seen)


def test_datasets_are_found_where_datasets_are(remote):
    remote.add_repo("dataset", REPO, {"data/a.parquet": b"faces"})
    path = fetch("data/a.parquet", revision="main", repo_type="dataset")
    assert path.read_bytes() == b"faces"
    assert hub.list_files(REPO, revision="main", repo_type="dataset") == ["data/a.parquet"]
    folder = hub.cached_folder(REPO, revision="main", repo_type="dataset")
    assert folder / "data" / "a.parquet" == path


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "drop"])
def test_a_download_that_breaks_off_goes_on(remote, fault):
    remote.fault("w.safetensors", fault, times=1, method="GET")
    seen = []
    assert fetch(on_progress=lambda done, _: seen.append(done)).read_bytes() == DATA
    assert seen == sorted(seen)  # nothing was fetched twice


def test_a_download_that_always_breaks_off_gains_nothing(remote):
    # Half of what is left arrives with each attempt.
    remote.fault("w.safetensors", "cut")
    assert "broke off" in refusal(fetch)
    assert methods_of(remote).count("GET") >= hub.ATTEMPTS
    assert not cached_contents()


def test_damage_on_the_way_is_repaired(remote):
    remote.fault("/lfs/download/", "flip", times=1)
    assert fetch().read_bytes() == DATA


@pytest.mark.parametrize("filename", ["w.safetensors", "config.json"])
def test_a_damaged_file_in_the_cache_is_fetched_again(remote, filename):
    path = fetch(filename)
    content = path.read_bytes()
    path.resolve().write_bytes(bytes(len(content)))
    assert fetch(filename).read_bytes() == content


def test_a_damaged_file_in_the_cache_is_not_used_offline(remote):
    path = fetch()
    path.resolve().write_bytes(bytes(len(DATA)))
    remote.fault("", 503)
    assert "HTTP 503" in refusal(fetch)
    assert cached_file(REPO, "w.safetensors", revision="v1") is None
    assert not any(name.endswith("w.safetensors") for name in cached_contents())


def test_a_tag_whose_commit_is_gone_is_looked_up_again(remote):
    fetch("config.json")
    [ref] = [name for name in cached_contents() if "/refs/" in name]
    (hub.Path(constants.HF_HUB_CACHE) / ref).write_text("0" * 40)
    assert fetch().read_bytes() == DATA


@pytest.mark.parametrize("token", ["hf_stale", "hf_fresh"])
def test_a_token_that_has_run_out_does_not_matter(remote, monkeypatch, token):
    remote.add_token("hf_fresh", "tester")
    monkeypatch.setenv("HF_TOKEN", token)
    assert fetch().read_bytes() == DATA
    assert remote.requests[0].token == token
    [asked] = [r for r in remote.requests if r.method == "GET" and "/resolve/" in r.path]
    assert asked.token == (None if token == "hf_stale" else token)
    assert remote.requests[-1].token is None  # another host keeps large files: it gets no token


def test_a_private_repository_is_read_with_a_good_token(remote, monkeypatch):
    remote.add_repo("model", "tester/secret", {"w.safetensors": DATA}, tag="v1", private=True)
    assert "private" in refusal(fetch_file, "tester/secret", "w.safetensors", revision="v1")
    monkeypatch.setenv("HF_TOKEN", "hf_stale")
    assert "private" in refusal(fetch_file, "tester/secret", "w.safetensors", revision="v1")
    monkeypatch.setenv("HF_TOKEN", remote.token)
    path = fetch_file("tester/secret", "w.safetensors", revision="v1")
    assert path.read_bytes() == DATA


def test_it_works_where_the_cache_can_t_have_links(remote, monkeypatch):
    def refuse(self, target):
        raise OSError

    monkeypatch.setattr(hub.Path, "symlink_to", refuse)
    path = fetch()
    assert not path.is_symlink()
    remote.requests.clear()
    assert fetch() == path
    assert not remote.requests
    path.write_bytes(bytes(len(DATA)))
    assert fetch().read_bytes() == DATA


# What goes wrong

FAULTS = {
    401: "private",
    403: "forbidden",
    "gated": "grant access",
    404: "no such repository",
    418: "HTTP 418",
    429: "too many requests",
    500: "HTTP 500",
    503: "HTTP 503",
    "cut": "broke off",
    "reset": "broke off",
    "stall": "in time",
    "flip": "damaged twice",
    "drop": "broke off",
    "silent": "in time",
}


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        (fault, method)
        for fault in FAULTS
        for method in ("HEAD", "GET")
        # An answer to HEAD has no body.
        if method == "GET" or fault not in ("cut", "reset", "stall", "flip")
    ],
)
def test_faults_are_one_sentence_and_leave_nothing_behind(remote, fault, method):
    remote.fault("w.safetensors", fault, method=method)
    message = refusal(fetch)
    assert FAULTS[fault] in message
    assert REPO in message
    assert not cached_contents()
    remote.mend()
    assert fetch().read_bytes() == DATA


def test_too_many_requests_say_when_to_come_back(remote):
    remote.fault("w.safetensors", 429, retry_after=120)
    with pytest.raises(HubError, match="120 seconds") as caught:
        fetch()
    assert caught.value.retry_after == 120
    assert len(remote.requests) == 1  # and it does not wait by itself


def test_a_host_that_does_not_exist(remote, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    assert "resolved" in refusal(fetch)


def test_a_port_that_refuses(remote, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    assert "refused" in refusal(fetch)


def test_a_black_hole(remote, monkeypatch):
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Once its queue is full, the kernel drops whatever knocks.
        queue = [socket.socket() for _ in range(4)]
        for knocking in queue:
            knocking.setblocking(False)
            knocking.connect_ex(address)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{address[1]}")
        assert "in time" in refusal(fetch)
        for knocking in queue:
            knocking.close()


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1", "http://127.0.0.1:x"])
def test_an_address_that_is_none(remote, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert "HF_ENDPOINT" in refusal(fetch)


def test_offline_mode(remote, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal(fetch)
    assert not remote.requests


def test_a_revision_that_is_not_there(remote):
    assert "no revision 'v9'" in refusal(fetch, revision="v9")


def test_a_file_that_is_not_there(remote):
    assert "no such file" in refusal(fetch, "nowhere.json")


@pytest.mark.parametrize("repo_id", ["a b/c", "../x", "a/b/c", ""])
def test_a_repository_s_name_that_is_none(remote, repo_id):
    assert "not a valid name" in refusal(fetch_file, repo_id, "config.json", revision="v1")
    assert not remote.requests


@pytest.mark.parametrize("filename", ["../../x", "/etc/passwd", ""])
def test_names_do_not_lead_out_of_the_cache(remote, filename):
    refusal(fetch, filename)
    refusal(fetch, revision=filename)
    assert not remote.requests


def test_a_hash_that_is_asked_for(remote):
    good = hashlib.sha256(DATA).hexdigest()
    assert fetch(sha256=good).read_bytes() == DATA
    assert "another" in refusal(fetch, sha256="0" * 64)
    small = hashlib.sha256(b"{}").hexdigest()
    assert fetch("config.json", sha256=small).read_bytes() == b"{}"
    assert "damaged" in refusal(fetch, "config.json", sha256="0" * 64)


def test_a_file_that_is_too_large_is_not_fetched(remote):
    assert "too large" in refusal(fetch, max_bytes=len(DATA) - 1)
    assert "GET" not in methods_of(remote)
    assert fetch(max_bytes=len(DATA)).read_bytes() == DATA


def test_a_download_that_takes_forever(remote, monkeypatch):
    times = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(hub.time, "monotonic", lambda: next(times))
    assert "too slow" in refusal(fetch)
    assert not cached_contents()


def test_a_full_disk(remote, monkeypatch):
    blobs = hub.Path(constants.HF_HUB_CACHE) / "models--tester--net" / "blobs"
    blobs.mkdir(parents=True)
    monkeypatch.setattr(hub.secrets, "token_hex", lambda _: "full")
    # Every write to this device fails with "no space left".
    (blobs / f"{hashlib.sha256(DATA).hexdigest()}.full.incomplete").symlink_to("/dev/full")
    assert "full" in refusal(fetch)
    assert not cached_contents()
    assert fetch().read_bytes() == DATA


def test_a_cache_that_can_t_be_written(remote, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    assert "can't be written" in refusal(fetch)


def test_something_else_at_the_hub_s_address(remote, monkeypatch):
    class Portal(BaseHTTPRequestHandler):
        """Answers everything, as the network of a hotel does."""

        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as portal:
        threading.Thread(target=portal.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{portal.server_address[1]}")
        assert "not a Hugging Face Hub" in refusal(fetch)
        portal.shutdown()


def test_calls_without_a_timeout_get_one(loopback_hub):
    loopback_hub.fault("whoami", "silent")
    cap_timeouts(0.2)
    with pytest.raises(httpx.TimeoutException):
        huggingface_hub.HfApi(endpoint=loopback_hub.endpoint, token="hf_x").whoami()


# Models


def model_config(**changes):
    values = {
        "id": "attention-unet",
        "label": "Tiny",
        "family": "network",
        "architecture": "attention-unet",
        "settings": {"widths": [4, 8]},
        "trained_on": "nothing",
        "parameters": 1643,
        "reference": "-",
    }
    return ModelConfig(**values | changes)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("attention-unet", {"widths": [4, 8]}).eval()


@pytest.fixture
def folder(network, tmp_path):
    return save_model(network, model_config(), tmp_path / "weights")


@pytest.fixture
def models(loopback_hub, folder, monkeypatch):
    """A Hub with one model, which the app is told to use; nothing has been loaded yet."""
    loopback_hub.add_repo("model", MODEL_REPO, folder, tag="v1")
    monkeypatch.setenv("DENOISER_HUB_NAMESPACE", "tester")
    monkeypatch.delenv("DENOISER_HUB_REVISION", raising=False)
    monkeypatch.setattr(registry, "_BACKGROUND", BackgroundLoader(create_denoiser))
    create_denoiser.cache_clear()
    yield loopback_hub
    create_denoiser.cache_clear()


def rewrite_config(models, **changes):
    config = json.loads(models.files("model", MODEL_REPO)[CONFIG_NAME]) | changes
    models.add_repo("model", MODEL_REPO, {CONFIG_NAME: json.dumps(config).encode()}, tag="v1")


def rewrite_weights(models, folder, change):
    state = load_file(folder / MODEL_NAME)
    change(state)
    save_file(state, folder / MODEL_NAME)
    models.add_repo("model", MODEL_REPO, folder, tag="v1")


def test_a_model_comes_from_the_hub(models, network):
    method = denoiser.create_denoiser("attention-unet")
    assert method.info.label == "Tiny"
    batch = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(method.network(batch), network(batch), atol=5e-3, rtol=0)
    models.requests.clear()
    create_denoiser.cache_clear()
    models.fault("", 503)
    assert denoiser.create_denoiser("attention-unet").info == method.info
    assert not models.requests


def test_weights_here_are_not_used_where_the_hub_is_asked_for(models):
    assert (weights.WEIGHTS / "patchgan").is_dir()
    assert "fer2013-patchgan" in refusal(create_denoiser, "patchgan")
    assert create_denoiser("median").info.id == "median"


def test_without_the_variable_the_hub_is_asked_for_nothing(models, monkeypatch, face):
    monkeypatch.delenv("DENOISER_HUB_NAMESPACE")
    warm_up()
    denoiser.compare(face, GaussianNoise())
    assert not models.requests


def test_missing_weights_name_the_variable(models, monkeypatch, tmp_path):
    monkeypatch.delenv("DENOISER_HUB_NAMESPACE")
    with pytest.raises(WeightsError, match="DENOISER_HUB_NAMESPACE"):
        weights.read_config("attention-unet", tmp_path)


def test_the_revision_can_be_chosen(models, monkeypatch):
    commit = models.refs("model", MODEL_REPO)["v1"]
    rewrite_config(models, label="Later")
    monkeypatch.setenv("DENOISER_HUB_REVISION", commit)
    assert create_denoiser("attention-unet").info.label == "Tiny"
    create_denoiser.cache_clear()
    monkeypatch.setenv("DENOISER_HUB_REVISION", "main")
    assert create_denoiser("attention-unet").info.label == "Later"


def test_another_model_in_its_place(models):
    rewrite_config(models, id="patchgan")
    assert "another model" in refusal(create_denoiser, "attention-unet")


def test_an_unknown_architecture_is_not_even_fetched(models):
    rewrite_config(models, architecture="u-net-of-tomorrow")
    assert "architecture" in refusal(load_from_hub, SOURCE)
    assert not any(MODEL_NAME in request.path for request in models.requests)


@pytest.mark.parametrize("settings", [{"widths": [4, 16]}, {"widths": [4, 8, 16]}], ids=str)
def test_weights_of_another_architecture(models, settings):
    rewrite_config(models, settings=settings)
    assert "doesn't fit" in refusal(load_from_hub, SOURCE)


@pytest.mark.parametrize("settings", [{"widths": [2**20, 2**21]}, {"widths": [4] * 99}], ids=str)
def test_absurd_sizes_are_refused_before_their_weights_are_fetched(models, settings):
    rewrite_config(models, settings=settings)
    assert "asks for too much" in refusal(load_from_hub, SOURCE)
    assert not any(MODEL_NAME in request.path for request in models.requests)


def test_a_cached_config_of_another_model_describes_nothing(models):
    rewrite_config(models, id="patchgan")
    for function in (create_denoiser, networks.read_info):  # the first fills the cache
        with pytest.raises(WeightsError, match="holds another model"):
            function("attention-unet")


def test_a_tensor_too_many_or_too_few(models, folder):
    rewrite_weights(models, folder, lambda state: state.update(more=torch.zeros(1)))
    assert "doesn't fit" in refusal(load_from_hub, SOURCE)


def test_weights_that_are_no_numbers(models, folder):
    rewrite_weights(models, folder, lambda state: next(iter(state.values())).fill_(float("nan")))
    assert "NaN" in refusal(load_from_hub, SOURCE)


def test_a_repository_without_a_config(models):
    models.add_repo("model", "tester/bare", {MODEL_NAME: b"x"}, tag="v1")
    assert "no such file" in refusal(load_from_hub, HubSource("tester/bare", "v1"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 3}'])
def test_a_broken_config(models, text):
    models.add_repo("model", MODEL_REPO, {CONFIG_NAME: text.encode()}, tag="v1")
    assert "config.json" in refusal(load_from_hub, SOURCE)


def test_a_pickle_in_the_weights_place(models):
    models.add_repo("model", MODEL_REPO, {MODEL_NAME: b"PK\x03\x04" + b"\x80\x02" * 999}, tag="v1")
    assert "damaged" in refusal(load_from_hub, SOURCE)


def test_a_network_class_loads_from_the_hub_and_from_a_folder(models, folder, network):
    batch = torch.rand(1, 1, 16, 16)
    for one in (
        AttentionUNet.from_pretrained(MODEL_REPO),
        AttentionUNet.from_pretrained(folder),
        AttentionUNet.from_pretrained(MODEL_REPO, revision="main"),
    ):
        assert type(one) is AttentionUNet
        assert not one.training
        with torch.inference_mode():
            torch.testing.assert_close(one(batch), network(batch), atol=5e-3, rtol=0)


def test_a_network_of_another_class_is_refused(models, folder):
    for place in (folder, MODEL_REPO):
        assert "'attention-unet', not 'autoencoder'" in refusal(Autoencoder.from_pretrained, place)


# The page


def parse(*methods):
    return Experiment(GaussianNoise(), methods=methods)


@pytest.fixture
def shown_face(face):
    return Face("test", "A face", face)


def loaded(denoiser_id="attention-unet"):
    """Wait for the end of a try to load a model."""
    try:
        ensure_loaded(denoiser_id, wait=60)
    except LoadingError:
        pytest.fail("it is still being downloaded")
    except WeightsError:
        pass


def cards_of(payload):
    return {card["id"]: card for card in payload["cards"]}


@pytest.mark.slow
def test_a_silent_hub_holds_up_neither_start_nor_page(models, shown_face, monkeypatch):
    models.fault("", "silent")
    monkeypatch.setattr(hub, "PROBE_SECONDS", 60)  # it is still waiting when this test is over
    build_app(FaceSource(Offer(bundled_faces(), "Faces for tests")))
    assert not models.requests
    warm_up()
    cards = cards_of(live_payload(shown_face, parse("attention-unet", "median"), describe_methods(), 1))
    assert cards["median"]["gain"]
    waiting = cards["attention-unet"]
    assert waiting["pending"]
    assert "being downloaded" in waiting["note"]
    assert waiting["label"] == "Attention U-Net"
    slow = slow_payload(shown_face, parse("attention-unet", "median"), describe_methods(), 2)
    assert cards_of(slow) == {"attention-unet": waiting}


def test_a_model_s_card_follows_when_it_has_come(models, shown_face):
    settings = parse("attention-unet", "median")
    methods = describe_methods()
    live = live_payload(shown_face, settings, methods, 1)
    assert cards_of(live)["attention-unet"]["pending"]
    loaded()
    slow = slow_payload(shown_face, settings, methods, 2)
    [card] = slow["cards"]
    assert slow["key"] == live["key"]
    assert card["gain"]
    assert (card["label"], card["kind"]) == ("Tiny", "Network, 2 k weights")
    again = live_payload(shown_face, settings, methods, 3)
    assert cards_of(again)["attention-unet"]["pixels"] == card["pixels"]


@pytest.mark.parametrize("fault", [401, "gated", 404, 429, 500, "cut", "stall", "flip", "silent"])
def test_a_failure_is_a_sentence_on_one_card_and_in_the_terminal(models, shown_face, caplog, fault):
    models.fault("attention-unet", fault)
    settings = parse("attention-unet", "median", "wavelet")
    live_payload(shown_face, settings, describe_methods(), 1)
    loaded()
    cards = cards_of(live_payload(shown_face, settings, describe_methods(), 2))
    sentence = cards["attention-unet"]["error"]
    check_sentence(sentence)
    assert sentence.endswith(".")
    assert FAULTS[fault] in sentence
    assert "pixels" not in cards["attention-unet"]
    assert cards["median"]["gain"]
    assert cards["wavelet"]["gain"]
    assert caplog.messages == [sentence]


def test_a_failure_is_tried_again_after_a_while(models, shown_face):
    models.fault("", 503)
    settings = parse("attention-unet")
    loaded()
    models.requests.clear()
    models.mend()
    live = live_payload(shown_face, settings, describe_methods(), 1)
    assert cards_of(live)["attention-unet"]["error"]
    assert not models.requests
    job = registry._BACKGROUND._jobs["attention-unet"]
    assert job.retry_at > time.monotonic() + background.RETRY_SECONDS / 2
    job.retry_at = 0.0
    live = live_payload(shown_face, settings, describe_methods(), 2)
    assert cards_of(live)["attention-unet"]["pending"]
    loaded()
    live = live_payload(shown_face, settings, describe_methods(), 3)
    assert cards_of(live)["attention-unet"]["gain"]


def test_the_hub_s_own_wait_counts(models):
    models.fault("", 429, retry_after=10_000)
    loaded()
    job = registry._BACKGROUND._jobs["attention-unet"]
    assert job.retry_at > time.monotonic() + 5_000


def test_one_try_at_a_time(models):
    starts, release = [], threading.Event()

    def load(model_id):
        starts.append(model_id)
        release.wait(60)

    loader = BackgroundLoader(load)
    for _ in range(5):
        with pytest.raises(LoadingError):
            loader.ensure("x")
    release.set()
    loader.ensure("x", wait=60)
    loader.ensure("x")
    assert starts == ["x"]


def test_whatever_else_goes_wrong_is_a_sentence_too():
    def load(model_id):
        raise MemoryError

    with pytest.raises(WeightsError, match="can't be loaded"):
        BackgroundLoader(load).ensure("x", wait=60)


def test_the_api_names_models_on_their_way(models, monkeypatch):
    monkeypatch.setattr(hub, "PROBE_SECONDS", 60)
    models.fault("", "silent")
    available = find_available(["attention-unet", "median"], wait=0.1)
    assert list(available.denoisers) == ["median"]
    assert "being downloaded" in available.refusals["attention-unet"]
    [described] = [d for d in api.denoisers_endpoint()["denoisers"] if d["id"] == "attention-unet"]
    assert not described["available"]


def test_the_api_waits_a_moment_for_a_download(models):
    available = find_available(["attention-unet"], api.HUB_SECONDS)
    assert [method.info.label for method in available.denoisers.values()] == ["Tiny"]
    assert not available.refusals


def test_a_model_is_described_without_a_request(models):
    assert networks.read_info("attention-unet").label == "Attention U-Net"
    assert not models.requests
    create_denoiser("attention-unet")
    models.requests.clear()
    assert networks.read_info("attention-unet").label == "Tiny"
    assert not models.requests
