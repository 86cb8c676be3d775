"""The loopback Hub, asked by the real client."""

import hashlib
import json
import subprocess
import sys

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx

from tests.conftest import ROOT
from tests.hub import LoopbackHub

CONTENT = bytes(range(256)) * 40
NET = {"config.json": b'{"id": "net"}', "model.safetensors": CONTENT, "data/train.csv": b"a,b\n"}


@pytest.fixture
def api(loopback_hub):
    return HfApi(endpoint=loopback_hub.endpoint, token=loopback_hub.token)


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
def test_downloads(loopback_hub, repo_type):
    sha = loopback_hub.add_repo(repo_type, "someone/net", NET, tag="v1")
    for name, content in NET.items():
        path = hf_hub_download("someone/net", name, repo_type=repo_type, revision="v1")
        with open(path, "rb") as file:
            assert file.read() == content
        assert sha in path
    folder = HfApi().snapshot_download("someone/net", repo_type=repo_type)
    assert sha in folder
    assert HfApi().list_repo_files("someone/net", repo_type=repo_type) == sorted(NET)


def test_etags_are_the_hubs(loopback_hub):
    sha = loopback_hub.add_repo("model", "someone/net", NET)
    small, large = (get_hf_file_metadata(hf_hub_url("someone/net", name)) for name in list(NET)[:2])
    assert small.etag == hashlib.sha1(b"blob 13\0" + NET["config.json"]).hexdigest()
    assert large.etag == hashlib.sha256(CONTENT).hexdigest()
    assert large.size == len(CONTENT)
    assert small.commit_hash == large.commit_hash == sha


def test_what_is_not_there(loopback_hub, api):
    loopback_hub.add_repo("model", "tester/net", NET)
    loopback_hub.add_repo("model", "someone/secret", NET, private=True)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("tester/net", "other.json")
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download("tester/net", "config.json", revision="v9")
    for repo_id in ("tester/other", "someone/secret"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(repo_id)


def test_a_commit_with_a_file_in_lfs(loopback_hub, api):
    assert api.whoami()["name"] == "tester"
    api.create_repo("tester/net", private=True)
    operations = [CommitOperationAdd(name, content) for name, content in NET.items()]
    commit = api.create_commit("tester/net", operations, commit_message="All of it")
    assert commit.oid == loopback_hub.refs("model", "tester/net")["main"]
    assert loopback_hub.commits("model", "tester/net") == ["initial commit", "All of it"]
    assert NET.items() <= loopback_hub.files("model", "tester/net").items()
    assert loopback_hub.is_private("model", "tester/net")
    uploads = [request for request in loopback_hub.requests if request.method == "PUT"]
    assert [request.size for request in uploads] == [len(CONTENT)]

    again = [CommitOperationAdd(name, content) for name, content in NET.items()]
    api.create_commit("tester/net", again, commit_message="Nothing new")
    assert len(loopback_hub.commits("model", "tester/net")) == 2
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo("tester/net")


def test_tags(loopback_hub, api):
    sha = loopback_hub.add_repo("model", "tester/net", NET)
    api.create_tag("tester/net", tag="v1")
    refs = api.list_repo_refs("tester/net")
    assert [(tag.name, tag.target_commit) for tag in refs.tags] == [("v1", sha)]
    assert [branch.name for branch in refs.branches] == ["main"]
    with pytest.raises(HfHubHTTPError, match="exists already"):
        api.create_tag("tester/net", tag="v1")


def test_collections(loopback_hub, api):
    loopback_hub.add_repo("model", "tester/net", NET)
    made = api.create_collection("My Nets", namespace="tester", description="Some")
    api.add_collection_item(made.slug, "tester/net", "model", note="the first")
    api.add_collection_item(made.slug, "tester/net", "model", exists_ok=True)
    assert api.create_collection("My Nets", namespace="tester", exists_ok=True).slug == made.slug
    (found,) = api.list_collections(owner="tester")
    assert found.title == "My Nets"
    (item,) = api.get_collection(made.slug).items
    assert (item.item_id, item.item_type, item.note) == ("tester/net", "model", "the first")


def test_who_may_write(loopback_hub, api):
    loopback_hub.add_token("hf_reader", "tester", write=False)
    stranger = HfApi(endpoint=loopback_hub.endpoint, token="hf_unknown")
    for caller, repo_id, status in (
        (api, "someone/net", 403),
        (HfApi(endpoint=loopback_hub.endpoint, token="hf_reader"), "tester/net", 403),
        (stranger, "tester/net", 401),
        (HfApi(endpoint=loopback_hub.endpoint, token=False), "tester/net", 401),
    ):
        with pytest.raises(HfHubHTTPError) as caught:
            caller.create_repo(repo_id)
        assert caught.value.response.status_code == status
    assert loopback_hub.repos() == []
    assert {request.token for request in loopback_hub.writes} == {
        loopback_hub.token,
        "hf_reader",
        "hf_unknown",
        None,
    }
    loopback_hub.add_repo("model", "someone/net", NET)
    with pytest.raises(HfHubHTTPError):  # a stale token spoils public files, too
        stranger.model_info("someone/net")


def test_bad_cards_are_refused(loopback_hub, api):
    loopback_hub.add_repo("model", "tester/net", {})
    card = "---\nmodel-index:\n- name: net\n  results:\n  - task: {type: x}\n---\n"
    with pytest.raises(ValueError, match=r"dataset\.type"):
        api.create_commit(
            "tester/net", [CommitOperationAdd("README.md", card.encode())], commit_message="A card"
        )
    assert len(loopback_hub.commits("model", "tester/net")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_refusals(loopback_hub, api, status):
    loopback_hub.add_repo("model", "tester/net", NET)
    loopback_hub.fault("/api/models/tester/net", status, times=1, retry_after=7)
    with pytest.raises(HfHubHTTPError) as caught:
        api.model_info("tester/net")
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["Retry-After"] == "7"
    api.model_info("tester/net")


def test_gated(loopback_hub, api):
    loopback_hub.add_repo("model", "tester/net", NET)
    loopback_hub.fault("config.json", "gated")
    with pytest.raises(GatedRepoError):
        api.hf_hub_download("tester/net", "config.json")
    loopback_hub.mend()
    api.hf_hub_download("tester/net", "config.json")


def get(hub, path, **options):
    with httpx.Client(follow_redirects=True) as client:
        return client.get(hub.endpoint + path, **options)


def test_broken_bodies(loopback_hub):
    loopback_hub.add_repo("model", "tester/net", NET)
    path = "/tester/net/resolve/main/model.safetensors"
    assert get(loopback_hub, path).content == CONTENT
    for kind, error in (
        ("cut", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("stall", httpx.ReadTimeout),
        ("drop", httpx.RemoteProtocolError),
        ("silent", httpx.ReadTimeout),
    ):
        loopback_hub.fault("model.safetensors", kind, times=1)
        with pytest.raises(error):
            get(loopback_hub, path, timeout=0.5)
    loopback_hub.fault("model.safetensors", "flip", times=1)
    flipped = get(loopback_hub, path).content
    assert sum(a != b for a, b in zip(flipped, CONTENT, strict=True)) == 1
    rest = get(loopback_hub, path, headers={"Range": "bytes=10000-"})
    assert (rest.status_code, rest.content) == (206, CONTENT[10000:])


def test_a_cut_upload_is_not_kept(loopback_hub, api):
    loopback_hub.add_repo("model", "tester/net", {})
    loopback_hub.fault("/lfs/upload/", "cut", times=1, method="PUT")
    operation = CommitOperationAdd("model.safetensors", CONTENT)
    api.create_commit("tester/net", [operation], commit_message="Weights")  # the client tries again
    assert [request.method for request in loopback_hub.requests].count("PUT") == 2
    assert loopback_hub.files("model", "tester/net")["model.safetensors"] == CONTENT


def test_a_client_in_a_process_of_its_own(tmp_path):
    with LoopbackHub() as hub:
        hub.add_repo("model", "someone/net", NET)
        code = (
            "import json, huggingface_hub as h; api = h.HfApi();"
            "print(json.dumps([api.endpoint, api.list_repo_files('someone/net')]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=hub.environment(tmp_path),
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout) == [hub.endpoint, sorted(NET)]
        assert {request.token for request in hub.requests} == {None}
