"""The Space: what goes up, publishing it to a Hub on this machine, and running it as a Space does."""

import hashlib
import os
import posixpath
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard
from packaging.requirements import Requirement

from denoiser.denoisers.registry import DEFAULT_DENOISERS, MODELS
from denoiser.weights.checkpoint import read_config
from tests.browser.lab import Lab
from tests.conftest import ROOT, free_port, running, sentence, watched_page
from tests.environments import closure, make_environment
from train.__main__ import main
from train.publish import space as publishing
from train.publish.space import HARDWARE, space_files

SPACE = "tester/lab"
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


# What goes up


def test_what_a_space_needs_and_nothing_else():
    names = set(space_files())
    assert {"app.py", "requirements.txt", "README.md", "LICENSE", "weights/benchmark.json"} <= names
    for model_id in MODELS:
        folder = f"weights/{model_id}/"
        found = {name.removeprefix(folder) for name in names if name.startswith(folder)}
        wanted = {"config.json", "history.csv", "model.safetensors"}
        if read_config(model_id).family == "GAN":
            wanted |= {"discriminator.json", "discriminator.safetensors"}
        assert found == wanted
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "denoiser").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("denoiser/")} == package
    tops = {name.partition("/")[0] for name in names}
    needed = {"app.py", "requirements.txt", "README.md", "LICENSE", "denoiser", "weights"}
    package = {"pyproject.toml", "setup.py", "MANIFEST.in", "requirements-onnx.txt"}
    pages = {"CHANGELOG.md", "CONTRIBUTING.md", "docs", "notebooks", "train", "tests"}
    assert tops == needed | package | pages  # pages: what the README links to
    assert not [name for name in names if name.startswith(("train/", "tests/")) and name.endswith(".py")]


def test_links_of_every_page_lead_to_what_goes_up():
    names = set(space_files())
    pages = {name for name in names if name.endswith(".md")}
    assert {"README.md", "docs/results.md", "CONTRIBUTING.md"} <= pages
    found = set()
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path = link.partition("#")[0]
            if path and not link.startswith("http"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
                assert target in names, f"{page} links to {link}"
                found.add(target)
    assert {"docs/screenshot.png", "docs/training.md", "LICENSE"} <= found


def test_the_weights_are_the_only_files_that_need_lfs():
    for name, path in space_files().items():
        assert path.stat().st_size <= 10_000_000, name
        assert name.endswith(".safetensors") or path.stat().st_size < 1_000_000, name


def test_what_lies_about_stays_here(small):
    before = set(space_files(small))
    for name in (
        "tests/test_x.py",
        "train/fit.py",
        ".git/config",
        "data/fer2013/test.parquet",
        "denoiser/__pycache__/noise.pyc",
        "denoiser/.ipynb_checkpoints/noise.py",
        "denoiser/ui/compare/.DS_Store",
        "weights/autoencoder/notes.txt",
        "runs/last.ckpt",
        ".env",
    ):
        (small / name).parent.mkdir(parents=True, exist_ok=True)
        (small / name).write_text("nobody's business")
    assert set(space_files(small)) == before


def test_front_matter():
    data = ModelCard.load(ROOT / "README.md").data.to_dict()
    requirements = map(Requirement, (ROOT / "requirements.txt").read_text().splitlines())
    wanted = {requirement.name: requirement.specifier for requirement in requirements}
    assert data["sdk"] == "gradio"
    assert data["sdk_version"] in wanted["gradio"]
    assert data["python_version"] == "3.12"  # the Hub's default is 3.10, too old
    assert (ROOT / data["app_file"]).is_file()
    assert {data["colorFrom"], data["colorTo"]} <= COLOURS
    assert data["license"] == "mit"
    assert data["title"]
    assert data["emoji"]
    assert len(data["short_description"]) <= 60
    assert "AutumnQiu/fer2013" in data["datasets"]
    # Of the versions that ZeroGPU has, at least one has to do.
    assert any(version in wanted["torch"] for version in ("2.8.0", "2.9.1", "2.10.0", "2.11.0"))
    assert "spaces" not in wanted  # a Space brings its own


# Publishing


@pytest.fixture
def small(tmp_path):
    """An app that is small, and not one."""
    root = tmp_path / "repository"
    contents = {
        "app.py": "print('hello')\n",
        "requirements.txt": "gradio\n",
        "README.md": "---\ntitle: Lab\nsdk: gradio\n---\n# Lab\n",
        "LICENSE": "MIT\n",
        "denoiser/__init__.py": "",
        "denoiser/noise.py": "SIGMA = 25 / 255\n",
        "denoiser/ui/compare/grid.js": "let grid;\n",
        "weights/benchmark.json": "{}",
        "weights/autoencoder/config.json": "{}",
        "weights/autoencoder/history.csv": "epoch\n",
        "weights/autoencoder/model.safetensors": "weights " * 100,
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def publish(small, capsys):
    """Run the command; returns its exit code and what it printed."""

    def run(*options, repo=SPACE):
        code = main(["publish-space", "--repo", repo, "--root", str(small), *options])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def published(hub):
    return {k: v for k, v in hub.files("space", SPACE).items() if k != ".gitattributes"}


def contents(root):
    return {name: path.read_bytes() for name, path in space_files(root).items()}


def test_first_time(hub, publish, small):
    code, out, _ = publish()
    assert code == 0
    assert hub.repos() == [("space", SPACE)]
    assert hub.space(SPACE) == {"sdk": "gradio", "hardware": "zero-a10g"}
    assert hub.commits("space", SPACE) == ["initial commit", "Publish the app"]
    assert published(hub) == contents(small)
    assert not hub.is_private("space", SPACE)
    assert f"{hub.endpoint}/spaces/{SPACE}" in out


def test_second_time_changes_nothing(hub, publish):
    publish()
    hub.requests.clear()
    code, out, _ = publish()
    assert code == 0
    assert hub.writes == []
    assert "nothing to do" in out


def test_only_what_changed_goes_up_and_what_is_gone_disappears(hub, publish, small):
    publish()
    (small / "denoiser/noise.py").write_text("SIGMA = 50 / 255\n")
    (small / "denoiser/ui/compare/grid.js").unlink()
    shutil.rmtree(small / "weights/autoencoder")
    (small / "weights/patchgan").mkdir()
    (small / "weights/patchgan/model.safetensors").write_text("other weights")
    hub.requests.clear()
    code, _, _ = publish()
    assert code == 0
    assert published(hub) == contents(small)
    assert ".gitattributes" in hub.files("space", SPACE)
    assert len([request for request in hub.writes if request.path.endswith("/commit/main")]) == 1
    assert hub.commits("space", SPACE)[2:] == [
        "Update denoiser/noise.py, weights/patchgan/model.safetensors, Delete "
        "denoiser/ui/compare/grid.js, weights/autoencoder/config.json, "
        "weights/autoencoder/history.csv, weights/autoencoder/model.safetensors"
    ]


def test_dry_run_sends_no_writes(hub, publish, small):
    code, out, _ = publish("--dry-run", "--hardware", "cpu-basic")
    assert code == 0
    assert f"{SPACE}: create it, public, on cpu-basic, upload {len(space_files(small))} files" in out
    assert all(f"      upload {name}\n" in out for name in space_files(small))
    assert "nothing was changed" in out
    assert hub.writes == []
    assert hub.repos() == []
    publish()
    (small / "LICENSE").write_text("MIT, 2026\n")
    hub.requests.clear()
    _, out, _ = publish("--dry-run")
    assert f"{SPACE}: upload LICENSE" in out
    assert hub.writes == []


@pytest.mark.parametrize("hardware", HARDWARE)
def test_hardware(hub, publish, hardware):
    publish("--hardware", hardware)
    assert hub.space(SPACE)["hardware"] == hardware


def test_private(hub, publish):
    assert publish("--private")[0] == 0
    assert hub.is_private("space", SPACE)
    assert publish()[0] == 0
    assert hub.is_private("space", SPACE)


def test_private_refuses_what_is_public_already(hub, publish):
    publish()
    hub.requests.clear()
    code, _, err = publish("--private")
    assert code == 1
    assert f"{SPACE} exists and is public" in sentence(err)
    assert hub.writes == []


def test_another_app_is_left_alone(hub, publish):
    hub.add_repo("space", SPACE, {"README.md": b"Mine", "app.py": b"print('somebody else')"})
    code, _, err = publish()
    assert code == 1
    assert f"{SPACE} holds another app" in sentence(err)
    assert hub.writes == []


def test_a_file_too_large(hub, publish, small, monkeypatch):
    monkeypatch.setattr(publishing, "MAX_BYTES", 500)
    (small / "denoiser/noise.py").write_text("#" * 501)
    code, _, err = publish()  # the weights are larger, and go to LFS
    assert code == 1
    assert "denoiser/noise.py: larger than" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["app.py", "requirements.txt", "README.md", "LICENSE"])
def test_a_file_missing(hub, publish, small, name):
    (small / name).unlink()
    code, _, err = publish()
    assert code == 1
    assert f"There is no {name} in {small}" in sentence(err)
    assert hub.requests == []


def test_no_models(hub, publish, small):
    shutil.rmtree(small / "weights")
    code, _, err = publish()
    assert code == 1
    assert "There are no models" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize("repo", ["lab", "tester/", "/lab", "tester/a/b", "tester/a b", "a--b/c"])
def test_a_name_that_cannot_be(hub, publish, repo):
    code, _, err = publish(repo=repo)
    assert code == 1
    assert "can't be a Space's id" in sentence(err)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/api/whoami-v2", 401, "doesn't accept the token (401)"),
        ("/api/repos/create", 402, "The Hub refuses (402: The test wants a 402"),  # not a subscriber
        ("/api/repos/create", 403, "may not write to tester (403"),
        ("/preupload/", 500, "trouble of its own (500"),
        ("/lfs/upload/", "cut", "broke off"),
        ("/commit/", "drop", "broke off"),
        ("/commit/", 429, "(429): try again"),
    ],
)
def test_failures_can_be_gone_on_from(hub, publish, small, path, kind, said):
    hub.fault(path, kind)
    code, out, err = publish()
    assert code == 1
    assert said in sentence(err)
    assert f"To go on: python -m train publish-space --repo {SPACE} --root {small}" in sentence(err)
    assert hub.token not in out + err
    hub.mend()
    assert publish()[0] == 0
    assert published(hub) == contents(small)
    assert len(hub.commits("space", SPACE)) == 2


def test_no_token(hub, publish, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    code, _, err = publish()
    assert code == 1
    assert "set HF_TOKEN, or run `hf auth login`" in sentence(err)
    assert hub.requests == []


def test_a_hub_that_falls_silent(hub, publish, monkeypatch):
    monkeypatch.setattr("train.publish.hub.PATIENCE_SECONDS", 0.3)
    hub.fault("/commit/", "silent")
    code, _, err = publish()
    assert code == 1
    assert "did not answer within" in sentence(err)


def test_somebody_commits_in_between(hub, publish, small, monkeypatch):
    publish()
    (small / "LICENSE").write_text("MIT, 2026\n")
    commit = HfApi.create_commit

    def late(api, *arguments, **options):
        hub.add_repo("space", SPACE, {"notes.txt": b"from the web page"})
        return commit(api, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_commit", late)
    code, _, err = publish()
    assert code == 1
    assert "Somebody else changed the repository" in sentence(err)
    assert hub.files("space", SPACE)["notes.txt"] == b"from the web page"


# Running

_NOTE_WRITES = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_EVENTS = {{"open": 0, "os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}}

def _note(event, arguments):
    if event not in _EVENTS:
        return
    path = arguments[_EVENTS[event]]
    if event == "open" and (isinstance(path, int) or not (arguments[2] or 0) & _WRITING):
        return
    os.write(_log, os.fsencode(os.path.abspath(os.fsdecode(path))) + b"\\n")

sys.addaudithook(_note)
"""


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_as_on_a_space(browser, tmp_path):
    """In a folder of its own, with requirements.txt and no more, a home that can't be written to, two
    cores, and a Hub that is out of reach."""
    app, scratch = tmp_path / "app", tmp_path / "tmp"
    for name, path in space_files().items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, app / name)
    scratch.mkdir()
    lines = (app / "requirements.txt").read_text().splitlines()
    python = make_environment(tmp_path / "environment", closure(lines))
    for absent in ("lightning", "torchmetrics", "matplotlib", "playwright", "pytest", "train.fit"):
        code = f"import importlib.util as u; raise SystemExit(u.find_spec({absent!r}) is not None)"
        assert subprocess.run([python, "-c", code], cwd=app).returncode == 0, absent
    (tmp_path / "hook").mkdir()
    writes = tmp_path / "writes.txt"
    (tmp_path / "hook" / "sitecustomize.py").write_text(_NOTE_WRITES.format(log=str(writes)))
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/dev/null/home",  # nobody can write there, nor can root
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "SYSTEM": "spaces",
        "SPACE_ID": SPACE,
        "SPACE_HOST": "tester-lab.hf.space",
        "SPACE_AUTHOR_NAME": "tester",
        "SPACE_REPO_NAME": "lab",
        "SPACE_TITLE": "Face Denoising Lab",
        "CPU_CORES": "2",
        "ACCELERATOR": "none",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SSR_MODE": "True",
        "HF_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "PYTHONPATH": str(tmp_path / "hook"),
        "PYTHONDONTWRITEBYTECODE": "1",  # or it writes into the environment that runs the tests
        "PYTHONNOUSERSITE": "1",
    }
    command = [str(python), "app.py"]
    if taskset := shutil.which("taskset"):
        cores = sorted(os.sched_getaffinity(0))[:2]
        command = [taskset, "-c", ",".join(map(str, cores)), *command]
    before = hashes(app)
    serve = running(command, port, environment, app, seconds=300)
    with serve as url, watched_page(browser, 1440, 900) as watched:
        lab = Lab(watched.page)
        lab.open(url)
        assert lab.methods() == ["clean", "noisy", *DEFAULT_DENOISERS]
        clean = lab.gray("clean")
        for method in DEFAULT_DENOISERS:
            assert lab.gray(method).shape == clean.shape
            assert lab.gray(method).std() > 0
            assert lab.metric(method, "psnr") > lab.metric("noisy", "psnr") > 10
        watched.page.get_by_role("tab", name="Benchmark").click()
        watched.page.locator("#benchmark-table tbody tr").first.wait_for(timeout=90_000)
        assert watched.hosts == {"127.0.0.1"}
        assert watched.errors == []
    assert hashes(app) == before
    written = {line for line in writes.read_text().splitlines() if not re.match("/(dev|proc)/", line)}
    assert written
    assert {line for line in written if not Path(line).is_relative_to(scratch)} == set()
