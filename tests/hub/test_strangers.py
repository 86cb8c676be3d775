"""What strangers may have of the Hub through this server: public networks of ours at a commit."""

import json
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load, save

import denoiser
from denoiser.denoisers import hub_model
from denoiser.denoisers.confined.processes import OwnModelError
from denoiser.denoisers.hub_model import read_hub_model
from denoiser.denoisers.own_model import MAX_BYTES
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS
from denoiser.weights.hub import fetch_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no such models")

MODEL = "single-autoencoder-separable"


def files(**changes) -> dict[str, bytes]:
    """What ``train push`` uploads, with changes to its config."""
    folder = WEIGHTS / MODEL
    config = json.loads((folder / CONFIG_NAME).read_text()) | changes
    return {
        CONFIG_NAME: json.dumps(config).encode(),
        MODEL_NAME: (folder / MODEL_NAME).read_bytes(),
    }


def refusal(address: str) -> str:
    with pytest.raises(OwnModelError) as caught:
        read_hub_model(address)
    said = str(caught.value)
    assert said.endswith(".")
    assert "tmp" not in said
    return said


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files; nothing is to stay there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def asked(hub) -> list[str]:
    return [request.path for request in hub.requests]


def test_a_network_that_was_pushed_denoises_as_here(hub, temporary, face):
    sha = hub.add_repo("model", "tester/net", files(), tag="v1")
    ours, own = denoiser.create_denoiser(MODEL), read_hub_model(f"tester/net@{sha}")
    for picture in (face, np.stack([face] * 3, axis=-1), face[:40, :30]):
        assert np.abs(own(picture) - ours(picture)).max() < 1e-5
    assert own.info.parameters == ours.info.parameters
    read_hub_model(f"  https://huggingface.co/tester/net/tree/{sha}  ")


def test_it_has_no_token_and_touches_no_cache(hub, temporary):
    sha = hub.add_repo("model", "tester/net", files())
    read_hub_model(f"tester/net@{sha}")
    assert hub.requests
    assert {request.token for request in hub.requests} == {None}
    assert not Path(constants.HF_HUB_CACHE).exists()


def test_what_is_private_stays_private_also_where_it_is_in_the_cache(hub, temporary):
    sha = hub.add_repo("model", "tester/secret", files(), private=True)
    for name in (CONFIG_NAME, MODEL_NAME):  # as the server's owner may
        fetch_file("tester/secret", name, revision=sha)
    assert "no such repository" in refusal(f"tester/secret@{sha}")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tester/net",
        "tester/net@v1",
        "tester/net@main",
        "tester/net@refs/pr/1",
        f"tester/net@{'a' * 39}",
        f"tester/net@{'A' * 40}",
        f"tester/net@{'a' * 64}",
        f"net@{'a' * 40}",
        f"../net@{'a' * 40}",
        f"tester/..@{'a' * 40}",
        f"tester/net/other@{'a' * 40}",
        f"/etc/passwd@{'a' * 40}",
        f"datasets/tester/net@{'a' * 40}",
        f"tester/net@{'a' * 40}/../..",
        f"tester/net@{'a' * 40}?x=1",
        f"tester/net\n@{'a' * 40}",
        f"tester/net%2f..@{'a' * 40}",
        f"tester/n\N{CYRILLIC SMALL LETTER IE}t@{'a' * 40}",
        f"http://huggingface.co/tester/net/tree/{'a' * 40}",
        f"https://huggingface.co.evil.example/tester/net/tree/{'a' * 40}",
        f"https://evil.example/tester/net/tree/{'a' * 40}",
        f"https://huggingface.co@evil.example/tester/net/tree/{'a' * 40}",
        f"https://huggingface.co/spaces/tester/net/tree/{'a' * 40}",
        f"file:///etc/passwd@{'a' * 40}",
        "x" * 100_000,
    ],
)
def test_other_addresses_are_refused_unasked(hub, address):
    refusal(address)
    assert hub.requests == []


def test_a_name_that_the_hub_would_not_have_is_refused(hub):
    for name in ("tester/a..b", "tester/a--b", "-tester/net", "tester/net.git"):
        assert "can't be had" in refusal(f"{name}@{'a' * 40}")
    assert hub.requests == []


def test_repositories_of_other_layouts_are_refused(hub, temporary):
    unsafe = {"pytorch_model.bin": pickle.dumps(1), "model.onnx": b"x", "evil.py": b"raise SystemExit"}
    sha = hub.add_repo("model", "tester/other", unsafe)
    assert "no such file" in refusal(f"tester/other@{sha}")
    sha = hub.add_repo("model", "tester/half", {CONFIG_NAME: files()[CONFIG_NAME], **unsafe})
    assert "no such file" in refusal(f"tester/half@{sha}")
    bert = {CONFIG_NAME: b'{"architectures": ["BertModel"], "auto_map": {"AutoModel": "evil.Evil"}}'}
    sha = hub.add_repo("model", "tester/bert", {**bert, MODEL_NAME: files()[MODEL_NAME], **unsafe})
    assert "can't be read" in refusal(f"tester/bert@{sha}")
    assert not [path for path in asked(hub) if ".bin" in path or ".py" in path or ".onnx" in path]


def test_a_commit_of_another_repository_is_none(hub, temporary):
    sha = hub.add_repo("model", "tester/net", files())
    hub.add_repo("model", "tester/empty", {"README.md": b"x"})
    assert "can't be had" in refusal(f"tester/empty@{sha}")


def test_huge_files_are_not_fetched(hub, temporary, monkeypatch):
    sha = hub.add_repo("model", "tester/big", files() | {MODEL_NAME: bytes(MAX_BYTES + 1)})
    assert "too large" in refusal(f"tester/big@{sha}")
    sha = hub.add_repo("model", "tester/long", files() | {CONFIG_NAME: b" " * 200_000})
    assert "too large" in refusal(f"tester/long@{sha}")
    gets = [r.path for r in hub.requests if r.method == "GET" and "/resolve/" in r.path]
    assert not [path for path in gets if "tester/long" in path]
    assert not [path for path in gets if "tester/big" in path and MODEL_NAME in path]


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "../evil"},
        {"settings": {"widths": [4096] * 8}},
        *(
            pytest.param(changes, marks=pytest.mark.slow)  # each starts a process with PyTorch
            for changes in (
                {"architecture": ["a"]},
                {"settings": {"widths": [10**9]}},
                {"settings": {"__class__": 1}},
                {"settings": 3},
                {"label": ["<script>"]},
                {"family": "evil"},
                {"trained_on": {"a": 1}},
                {"parameters": "many"},
            )
        ),
    ],
)
def test_configs_with_tricks_are_refused(hub, temporary, changes):
    sha = hub.add_repo("model", "tester/trick", files(**changes))
    said = refusal(f"tester/trick@{sha}")
    assert "<" not in said
    assert "evil" not in said


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"a": 1}),
        *(
            pytest.param(content, marks=pytest.mark.slow)
            for content in (b"", b"\xff" * 100, b"\xff" * 8 + b"{}", b"PK\x03\x04" + bytes(100))
        ),
    ],
    ids=["pickle", "empty", "ones", "header", "zip"],
)
def test_weights_that_are_no_safetensors_are_refused(hub, temporary, content):
    sha = hub.add_repo("model", "tester/trick", files() | {MODEL_NAME: content})
    assert "weight file" in refusal(f"tester/trick@{sha}")


def test_other_weights_are_refused(hub, temporary):
    state = load(files()[MODEL_NAME])
    nan = {name: torch.full_like(tensor, torch.nan) for name, tensor in state.items()}
    sha = hub.add_repo("model", "tester/nan", files() | {MODEL_NAME: save(nan)})
    assert "NaN" in refusal(f"tester/nan@{sha}")
    fewer = dict(list(state.items())[1:])
    sha = hub.add_repo("model", "tester/few", files() | {MODEL_NAME: save(fewer)})
    assert "doesn't fit" in refusal(f"tester/few@{sha}")


def test_elsewhere_there_are_none(monkeypatch):
    monkeypatch.setattr(hub_model, "why_no_processes", lambda: "Linux only.")
    assert refusal(f"tester/net@{'a' * 40}") == "Linux only."
