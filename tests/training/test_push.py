"""Publishing, with the real client, to a Hub on this machine."""

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard, constants
from huggingface_hub.utils import httpx
from safetensors.torch import load_file, save_file

from denoiser.architectures import AttentionUNet, build_network
from denoiser.architectures.loading import load_discriminator_from_hub
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.weights.checkpoint import MODEL_NAME, HubSource, ModelConfig, WeightsError
from denoiser.weights.hub import WEIGHTS_VERSION
from tests.conftest import ROOT, free_port, sentence
from tests.weights import save_discriminator, save_model
from train.__main__ import main
from train.export import export_onnx
from train.files import file_hash
from train.publish import models as pushing
from train.publish.cards import ONNX_NAME, make_card
from train.publish.models import COLLECTION, DESCRIPTION
from train.publish.sample import NOISY_NAME, SAMPLE_NAME

MODELS = ("blind", "blind.gaussian-low")
REPOS = tuple(f"tester/fer2013-{model_id}" for model_id in MODELS)
COPIED = {"config.json", "history.csv", "metrics.json", MODEL_NAME}
FILES = COPIED | {"README.md", ONNX_NAME, NOISY_NAME, SAMPLE_NAME}


def score(denoiser, noise, psnr):
    values = {"psnr": psnr, "psnr_std": 0.5, "ssim": 0.9, "ssim_std": 0.01, "sharpness": 1.0}
    return {"denoiser": denoiser, "noise": noise, **values}


def save(folder, model_id, seed):
    """Write a small model with all that is published beside it."""
    torch.manual_seed(seed)
    settings = {"widths": [4, 8]}
    network = build_network("attention-unet", settings)
    config = ModelConfig(
        model_id, "Small", "network", "attention-unet", settings, "Gaussian noise", 1234, "Nobody 2026"
    )
    target = save_model(network, config, folder)
    noises = {"gaussian-low": (34.0, 36.5), "blur-1": (26.0, 25.5)}
    scores = [
        score(name, noise, psnr)
        for noise, psnrs in noises.items()
        for name, psnr in zip(("noisy", model_id), psnrs, strict=True)
    ]
    found = file_hash(target / MODEL_NAME)
    metrics = {"command": "python -m train evaluate", "pictures": 3573, "weights_sha256": found}
    metrics["scores"] = scores
    (target / "metrics.json").write_text(json.dumps(metrics))
    with (target / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["epoch", "step", "val_psnr"], ["0", "10", "28.5"]])
    (target / "README.md").write_text(make_card(model_id, folder), encoding="utf-8")


@pytest.fixture(scope="module")
def exported_weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for seed, model_id in enumerate(MODELS):
        save(folder, model_id, seed)
    return folder


@pytest.fixture
def weights(exported_weights, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(exported_weights, tmp_path / "weights")


@pytest.fixture
def exported(monkeypatch):
    """What was exported, in order: by a stand-in, as the real one takes seconds for each model."""
    ids = []

    def export(model_id, weights):
        ids.append(model_id)
        return b"exported from " + file_hash(weights / model_id / MODEL_NAME).encode()

    monkeypatch.setattr(pushing, "export_onnx", export)
    return ids


@pytest.fixture
def push(weights, exported, capsys):
    """Run the command; returns its exit code and what it printed."""

    def run(*options, namespace="tester"):
        code = main(["push", "--namespace", namespace, "--weights", str(weights), *options])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_first_push(hub, push, weights):
    code, out, _ = push()
    assert code == 0
    assert hub.repos() == [("model", repo) for repo in REPOS]
    for model_id, repo in zip(MODELS, REPOS, strict=True):
        assert hub.commits("model", repo) == ["initial commit", f"Version {WEIGHTS_VERSION}"]
        refs = hub.refs("model", repo)
        assert refs[WEIGHTS_VERSION] == refs["main"]
        files = hub.files("model", repo, WEIGHTS_VERSION)
        assert set(files) == FILES | {".gitattributes"}
        for name in COPIED:  # the layout of the folder, so one loader does for both
            assert files[name] == (weights / model_id / name).read_bytes()
        assert not hub.is_private("model", repo)
        assert repo in out
    (collection,) = hub.collections.values()
    assert collection["title"] == COLLECTION
    assert [(item["type"], item["id"]) for item in collection["items"]] == [("model", r) for r in REPOS]
    assert collection["slug"] in out


def test_what_was_pushed_can_be_loaded(hub, push, weights):
    push()
    network = AttentionUNet.from_pretrained(REPOS[1])
    wanted = load_file(weights / MODELS[1] / MODEL_NAME)
    found = network.state_dict()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in wanted.items())


def test_a_discriminator_is_published_with_its_model(hub, push, weights):
    torch.manual_seed(0)
    judge = PatchDiscriminator(PatchDiscriminatorConfig(width=4))
    save_discriminator(judge, weights / MODELS[0])
    assert push()[0] == 0
    names = {"discriminator.json", "discriminator.safetensors"}
    assert set(hub.files("model", REPOS[0])) == FILES | names | {".gitattributes"}
    assert not names & set(hub.files("model", REPOS[1]))
    loaded = load_discriminator_from_hub(HubSource(REPOS[0], WEIGHTS_VERSION))
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, judge.state_dict()[name].half().float())
    with pytest.raises(WeightsError, match="comes without the discriminator"):
        load_discriminator_from_hub(HubSource(REPOS[1], WEIGHTS_VERSION))
    assert push()[0] == 0  # nothing is new


def test_half_a_discriminator_is_not_published(hub, push, weights):
    save_discriminator(PatchDiscriminator(PatchDiscriminatorConfig(width=4)), weights / MODELS[0])
    (weights / MODELS[0] / "discriminator.safetensors").unlink()
    code, _, err = push()
    assert code == 1
    assert "discriminator" in sentence(err)
    assert hub.repos() == []


def test_second_push_changes_nothing(hub, push):
    push()
    hub.requests.clear()
    before = [hub.refs("model", repo) for repo in REPOS]
    code, out, _ = push()
    assert code == 0
    assert hub.writes == []
    assert [hub.refs("model", repo) for repo in REPOS] == before
    assert out.count("nothing to do") == 3


def test_a_published_version_is_never_changed(hub, push, weights):
    push()
    before = {repo: (hub.refs("model", repo), hub.files("model", repo)) for repo in REPOS}
    save(weights, MODELS[1], seed=7)
    (weights / MODELS[0] / "history.csv").write_text("epoch,step,val_psnr\n0,10,29.5\n")
    hub.requests.clear()
    code, _, err = push()
    assert code == 1
    assert f"{REPOS[1]} is published as v1 with another {MODEL_NAME}" in sentence(err)
    assert "raise WEIGHTS_VERSION in denoiser/weights/hub.py" in sentence(err)
    assert hub.writes == []  # nor was the other model touched
    assert {repo: (hub.refs("model", repo), hub.files("model", repo)) for repo in REPOS} == before


def test_a_new_version_gets_a_tag_of_its_own(hub, push, weights, monkeypatch):
    push()
    first = hub.refs("model", REPOS[1])[WEIGHTS_VERSION]
    old = hub.files("model", REPOS[1])[MODEL_NAME]
    save(weights, MODELS[1], seed=7)
    monkeypatch.setattr(pushing, "WEIGHTS_VERSION", "v2")
    code, _, _ = push()
    assert code == 0
    assert hub.refs("model", REPOS[1])[WEIGHTS_VERSION] == first
    assert hub.files("model", REPOS[1], WEIGHTS_VERSION)[MODEL_NAME] == old
    assert hub.files("model", REPOS[1], "v2")[MODEL_NAME] != old


def test_a_better_card_goes_on_main_and_leaves_the_tag(hub, push, weights):
    push()
    first = hub.refs("model", REPOS[0])[WEIGHTS_VERSION]
    (weights / MODELS[0] / "history.csv").write_text("epoch,step,val_psnr\n0,10,29.5\n")
    hub.requests.clear()
    code, _, _ = push()
    assert code == 0
    assert hub.commits("model", REPOS[0])[2:] == ["Update README.md, history.csv"]
    assert hub.refs("model", REPOS[0])[WEIGHTS_VERSION] == first
    assert len(hub.commits("model", REPOS[1])) == 2
    assert not [request for request in hub.requests if request.method == "PUT"]


def test_only_new_weights_are_exported(hub, push, weights, exported):
    push()
    assert exported == list(MODELS)
    push()
    (weights / MODELS[0] / "history.csv").write_text("epoch,step,val_psnr\n0,10,29.5\n")
    push()
    assert exported == list(MODELS)


def test_a_model_that_is_there_without_its_export_gets_it(hub, push, weights, exported):
    there = {name: (weights / MODELS[0] / name).read_bytes() for name in COPIED}
    hub.add_repo("model", REPOS[0], there, tag=WEIGHTS_VERSION)
    tagged = hub.refs("model", REPOS[0])[WEIGHTS_VERSION]
    code, _, _ = push("--models", MODELS[0])
    assert code == 0
    assert exported == [MODELS[0]]
    assert hub.files("model", REPOS[0])[ONNX_NAME].startswith(b"exported from")
    assert hub.refs("model", REPOS[0])[WEIGHTS_VERSION] == tagged


def test_nothing_is_pushed_without_what_exports(hub, push, monkeypatch):
    monkeypatch.setattr(pushing, "export_onnx", export_onnx)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = push()
    assert code == 1
    assert "pip install -r requirements-onnx.txt" in sentence(err)
    assert hub.writes == []


def test_dry_run_sends_no_writes(hub, push):
    code, out, _ = push("--dry-run")
    assert code == 0
    assert hub.writes == []
    for repo in REPOS:
        assert f"{repo}: create it, public, upload README.md, config.json" in out
    assert COLLECTION in out
    assert "nothing was changed" in out
    told = [line for line in out.splitlines() if line.startswith("[")]
    _, out, _ = push()
    assert [line for line in out.splitlines() if line.startswith("[")] == told


def test_some_models_first_and_the_others_later(hub, push):
    push("--models", MODELS[1])
    assert hub.repos() == [("model", REPOS[1])]
    push()
    (collection,) = hub.collections.values()
    assert [item["id"] for item in collection["items"]] == [REPOS[1], REPOS[0]]
    assert len(hub.commits("model", REPOS[1])) == 2


def test_private(hub, push):
    assert push("--private")[0] == 0
    assert all(hub.is_private("model", repo) for repo in REPOS)
    (collection,) = hub.collections.values()
    assert collection["private"]
    assert push()[0] == 0
    assert all(hub.is_private("model", repo) for repo in REPOS)  # nobody said to publish them


def test_private_refuses_what_is_public_already(hub, push):
    push("--models", MODELS[1])
    hub.requests.clear()
    code, _, err = push("--private")
    assert code == 1
    assert f"{REPOS[1]} exists and is public" in sentence(err)
    assert hub.writes == []


def test_a_collection_of_more_than_four(hub, push):
    """The Hub lists four items of a collection and no more."""
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    slug = api.create_collection(COLLECTION, namespace="tester").slug
    for number in range(4):
        hub.add_repo("model", f"tester/other-{number}", {})
        api.add_collection_item(slug, f"tester/other-{number}", "model")
    push()
    hub.requests.clear()
    assert push()[0] == 0
    assert hub.writes == []
    assert len(hub.collections[slug]["items"]) == 4 + len(REPOS)


def test_description_is_as_short_as_the_hub_wants():
    assert len(DESCRIPTION) <= 150
    assert len(COLLECTION) <= 60


# Failures: one sentence, exit code 1, the command to go on


def test_no_token(hub, push, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    code, _, err = push()
    assert code == 1
    assert "set HF_TOKEN, or run `hf auth login`" in sentence(err)
    assert hub.requests == []


def test_stored_token(hub, push, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    path = Path(constants.HF_TOKEN_PATH)
    path.parent.mkdir(parents=True)
    path.write_text(hub.token + "\n")
    assert push()[0] == 0
    assert {request.token for request in hub.writes if request.method == "POST"} == {hub.token}


def test_wrong_token(hub, push, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_thisOneIsWrong")
    code, out, err = push()
    assert code == 1
    assert "doesn't accept the token (401): the one in HF_TOKEN" in sentence(err)
    assert "hf_thisOneIsWrong" not in out + err
    assert hub.writes == []


def test_a_token_that_may_only_read(hub, push, monkeypatch):
    hub.add_token("hf_reader", "tester", write=False)
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    code, out, err = push()
    assert code == 1
    assert "may only read" in sentence(err)
    assert "hf_reader" not in out + err
    assert hub.writes == []


def test_somebody_elses_namespace(hub, push):
    code, _, err = push(namespace="someone")
    assert code == 1
    assert "The token is for tester, not for someone" in sentence(err)
    assert hub.writes == []


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/api/whoami-v2", 500, "trouble of its own (500"),
        ("/api/whoami-v2", "drop", "broke off"),
        ("/api/models/", 403, "may not write to tester (403"),
        ("/api/repos/create", 403, "may not write to tester (403"),
        ("/api/repos/create", 409, "Somebody else"),
        ("/api/repos/create", 503, "trouble of its own (503"),
        ("/api/validate-yaml", 500, "trouble of its own (500"),
        ("/preupload/", 500, "trouble of its own (500"),
        ("/objects/batch", 401, "doesn't accept the token (401)"),
        ("/lfs/upload/", "cut", "broke off"),
        ("/lfs/upload/", 503, "trouble of its own (503"),
        ("/commit/", "drop", "broke off"),
        ("/commit/", 500, "trouble of its own (500"),
        ("/tag/", 500, "trouble of its own (500"),
        ("/api/collections", 500, "trouble of its own (500"),
        ("/items", "reset", "broke off"),
    ],
)
def test_failures_can_be_gone_on_from(hub, push, path, kind, said):
    hub.fault(path, kind)
    code, out, err = push()
    assert code == 1
    assert said in sentence(err)
    assert "To go on: python -m train push --namespace tester" in sentence(err)
    assert hub.token not in out + err
    hub.mend()
    assert push()[0] == 0
    for repo in REPOS:
        assert hub.commits("model", repo) == ["initial commit", f"Version {WEIGHTS_VERSION}"]
        assert set(hub.files("model", repo, WEIGHTS_VERSION)) >= FILES
    (collection,) = hub.collections.values()
    assert {item["id"] for item in collection["items"]} == set(REPOS)


def test_a_passing_trouble_is_overcome(hub, push):
    hub.fault("/lfs/upload/", 503, times=2)
    hub.fault("/preupload/", "drop", times=1)
    assert push()[0] == 0
    assert all(set(hub.files("model", repo)) >= FILES for repo in REPOS)


@pytest.mark.parametrize("path", ["/api/whoami-v2", "/preupload/", "/lfs/upload/", "/commit/"])
def test_too_many_requests(hub, push, path, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    hub.fault(path, 429, retry_after=3600)
    code, _, err = push()
    assert code == 1
    assert "(429): try again in 3600 seconds" in sentence(err)
    assert waited == []  # nobody sits there for an hour


@pytest.mark.parametrize("kind", ["silent", "stall"])
@pytest.mark.parametrize("path", ["/api/whoami-v2", "/api/repos/create", "/lfs/upload/", "/commit/"])
def test_a_hub_that_falls_silent(hub, push, path, kind, monkeypatch):
    monkeypatch.setattr("train.publish.hub.PATIENCE_SECONDS", 0.3)
    hub.fault(path, kind)
    code, _, err = push()
    assert code == 1
    assert "did not answer within" in sentence(err)


def test_no_hub(hub, push, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    code, _, err = push()
    assert code == 1
    assert "can't be reached: the connection is refused" in sentence(err)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    code, _, err = push()
    assert code == 1
    assert "can't be reached" in sentence(err)
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    code, _, err = push()
    assert code == 1
    assert "HF_ENDPOINT is not the address of a Hub" in sentence(err)


def test_offline(hub, push, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, _, err = push()
    assert code == 1
    assert "HF_HUB_OFFLINE is set" in sentence(err)
    assert hub.requests == []


def test_somebody_commits_in_between(hub, push, weights, monkeypatch):
    push()
    (weights / MODELS[0] / "history.csv").write_text("epoch,step,val_psnr\n0,10,29.5\n")
    commit = HfApi.create_commit

    def late(api, *arguments, **options):
        hub.add_repo("model", REPOS[0], {"notes.txt": b"from the web page"})
        return commit(api, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_commit", late)
    code, _, err = push()
    assert code == 1
    assert "Somebody else changed the repository" in sentence(err)
    assert hub.files("model", REPOS[0])["notes.txt"] == b"from the web page"


def test_a_damaged_model_is_not_published(hub, push, weights):
    state = load_file(weights / MODELS[1] / MODEL_NAME)
    save_file({name: tensor[:1] for name, tensor in state.items()}, weights / MODELS[1] / MODEL_NAME)
    code, _, err = push()
    assert code == 1
    assert "doesn't fit its config.json" in sentence(err)
    assert hub.requests == []


def test_an_incomplete_model_is_not_published(hub, push, weights):
    (weights / MODELS[0] / "metrics.json").unlink()
    code, _, err = push()
    assert code == 1
    assert "has no metrics.json" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["metrics.json", "history.csv"])
def test_a_model_with_damaged_results_is_not_published(hub, push, weights, name):
    (weights / MODELS[0] / name).write_text("nothing of use")
    code, _, err = push()
    assert code == 1
    assert "is damaged" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize("figures", ["of other weights", "of nobody knows which weights"])
def test_a_model_with_another_model_s_figures_is_not_published(hub, push, weights, figures):
    file = weights / MODELS[0] / "metrics.json"
    metrics = json.loads(file.read_text())
    others = json.loads((weights / MODELS[1] / "metrics.json").read_text())
    del metrics["weights_sha256"]
    if figures == "of other weights":
        metrics["weights_sha256"] = others["weights_sha256"]
    file.write_text(json.dumps(metrics))
    code, _, err = push()
    assert code == 1
    assert "is of other weights than its model.safetensors" in sentence(err)
    assert f"--denoisers {MODELS[0]}" in err
    assert hub.requests == []
    assert main(["cards", "--weights", str(weights)]) == 1


def test_a_folder_under_another_name_is_not_published(hub, push, weights):
    (weights / MODELS[0]).rename(weights / "renamed")
    code, _, err = push("--models", "renamed")
    assert code == 1
    assert "is another model's" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("options", "namespace", "said"),
    [
        (["--models", "other"], "tester", "no model other"),
        ([], "some/one", "can't be a repository's id"),
        ([], "two words", "can't be a repository's id"),
    ],
)
def test_names_that_make_no_sense(hub, push, options, namespace, said):
    code, _, err = push(*options, namespace=namespace)
    assert code == 1
    assert said in sentence(err)
    assert hub.requests == []


def test_no_models(hub, push, weights):
    shutil.rmtree(weights)
    code, _, err = push()
    assert code == 1
    assert "There are no models" in sentence(err)


def test_the_command_quotes_what_has_to_be(hub, push, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    _, _, err = push("--models", *MODELS, "--private", "--dry-run")
    assert f"--namespace tester --models {' '.join(MODELS)} --private --dry-run" in sentence(err)


@pytest.mark.slow
def test_as_anybody_would_run_it(loopback_hub, weights, tmp_path):
    command = [sys.executable, "-m", "train", "push", "--namespace", "tester", "--weights", str(weights)]
    environment = loopback_hub.environment(tmp_path / "home") | {"HF_HUB_DISABLE_XET": "0"}
    environment |= {"HF_TOKEN": loopback_hub.token}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(loopback_hub.repos()) == {("model", repo) for repo in REPOS}
    assert loopback_hub.token not in done.stdout + done.stderr
    assert not any(
        loopback_hub.token in file.read_text(errors="replace")
        for file in (tmp_path / "home").rglob("*")
        if file.is_file()
    )


# The card on the Hub


def test_card_on_the_hub(hub, push):
    push()
    card = ModelCard.load(REPOS[1])
    index = {(r.dataset_config, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert index == {
        ("gaussian-low", "psnr"): 36.5,
        ("gaussian-low", "ssim"): 0.9,
        ("blur-1", "psnr"): 25.5,
        ("blur-1", "ssim"): 0.9,
    }
    assert card.data.model_name == "fer2013-blind.gaussian-low"
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()
    assert card.text.count(f'repo_id = "{REPOS[1]}"') == 3
    assert "(https://huggingface.co/spaces/tester/face-denoising-lab)" in card.text
    assert f"({SAMPLE_NAME})" in card.text
    assert "it does harm, under `blur-1`" in card.text
    assert "NAME/" not in str(card)


def test_code_in_the_card_runs(hub, push, weights):
    push()
    text = ModelCard.load(REPOS[0]).text
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    _, by_code, _, by_hand = blocks  # the first has a test of its own; the third reads a variable
    names: dict[str, object] = {}
    exec(by_code, names)
    exec(by_hand, names)
    wanted = names["network"].state_dict()
    assert {name: tensor.float() for name, tensor in names["state"].items()}.keys() == wanted.keys()
    assert all(torch.equal(names["state"][name].float(), wanted[name]) for name in wanted)


def test_cards_command_writes_the_committed_cards(weights, capsys):
    for model_id in MODELS:
        (weights / model_id / "README.md").unlink()
    assert main(["cards", "--weights", str(weights)]) == 0
    for model_id in MODELS:
        card = (weights / model_id / "README.md").read_text(encoding="utf-8")
        assert card == make_card(model_id, weights)
        assert f'repo_id = "NAME/fer2013-{model_id}"' in card


def test_client_is_the_one_that_was_measured():
    """What is caught here are httpx2's errors, or httpx's with an older client."""
    assert issubclass(httpx.ReadTimeout, httpx.HTTPError)
