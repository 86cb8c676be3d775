"""The package: what is in a wheel, what it asks for, and that it works where nothing else is."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

import denoiser
from train.publish.space import space_files

from .conftest import ROOT, app_environment, free_port, running
from .environments import closure, make_environment

WEIGHTS = "denoiser/shipped/"
"""Where a wheel has what the repository has in weights/."""


def requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {str(Requirement(line)) for line in lines if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what goes up to a Space, which can be installed too."""
    folder = tmp_path_factory.mktemp("source")
    for name, path in space_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    return folder


def build_wheel(what, folder):
    """Make a wheel as ``pip install`` does, with the setuptools that is here: none is downloaded."""
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, what], check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The wheel that is made of it."""
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def install(wheel, folder, names):
    """Install a wheel into an environment that has these distributions; return its Python."""
    python = make_environment(folder, names)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:  # all that pip does with a wheel without scripts
        archive.extractall(packages)
    return python


@pytest.fixture(scope="module")
def alone(wheel, metadata, tmp_path_factory):
    """A Python that has the library and what it asks for, without any extra."""
    wanted = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    return install(wheel, tmp_path_factory.mktemp("alone"), closure(wanted))


def away(environment):
    """An environment in which nothing of the repository is found."""
    kept = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    # The first, or the environment that runs the tests is written into.
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}


def run(python, *arguments, folder, code=0):
    """Run Python in a folder of its own; return what it printed."""
    said = {"capture_output": True, "text": True, "timeout": 300}
    ran = subprocess.run([python, *arguments], cwd=folder, env=away(os.environ), **said)
    assert ran.returncode == code, ran.stderr
    return ran.stderr if code else ran.stdout


# What is in it


def test_a_wheel_has_the_library_its_page_and_the_weights(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = set(space_files())
    expected = {name for name in files if name.startswith("denoiser/")}
    expected |= {
        WEIGHTS + name.removeprefix("weights/") for name in files if name.startswith("weights/")
    }
    assert names == expected
    assert "denoiser/py.typed" in names
    assert f"{WEIGHTS}attention-unet/model.safetensors" in names
    assert wheel.stat().st_size < 60_000_000  # PyPI takes 100 MB


@pytest.mark.slow
def test_a_wheel_made_of_the_sdist_is_the_same(wheel, source, tmp_path):
    code = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (sdist,) = (source / "dist").iterdir()
    other = build_wheel(sdist, tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(other) as two:
        assert sorted(one.namelist()) == sorted(two.namelist())


def test_the_version_comes_from_one_place(metadata):
    assert metadata["Version"] == denoiser.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## ([\d.]+)", changelog, re.MULTILINE)[1] == denoiser.__version__
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_what_it_asks_for(metadata):
    asked = {"": set(), "app": set(), "train": set(), "onnx": set()}
    assert set(metadata.get_all("Provides-Extra")) == asked.keys() - {""}
    for line in metadata.get_all("Requires-Dist"):
        requirement = Requirement(line)
        extra = re.search(r'extra == "(\w+)"', line)
        requirement.marker = None
        asked[extra[1] if extra else ""].add(str(requirement))
    assert asked[""] | asked["app"] == requirements("requirements.txt")  # what a Space installs
    assert {Requirement(line).name for line in asked["app"]} >= {"gradio", "plotly"}
    assert not asked[""] & asked["app"]
    assert asked["train"] == requirements("train/requirements.txt")
    assert asked["onnx"] == requirements("requirements-onnx.txt")


def test_its_description_is_the_readme_without_the_space_s_settings(metadata):
    text = metadata.get_payload()
    assert text.startswith("# Face Denoising Lab\n")
    assert "sdk_version" not in text


# Where nothing else is


def test_it_denoises_in_an_empty_folder_as_the_repository_does(alone, tmp_path, face):
    noisy = denoiser.create_noise("gaussian", sigma=25 / 255)(face, seed=0)
    np.save(tmp_path / "noisy.npy", noisy)
    code = """
import numpy as np, denoiser, importlib.util as u
assert not any(map(u.find_spec, ("gradio", "plotly", "segno", "lightning", "onnxruntime", "train")))
noisy = np.load("noisy.npy")
for name in denoiser.list_denoisers(colour=True):
    denoiser.create_denoiser(name)
np.save("denoised.npy", denoiser.create_denoiser("attention-unet")(noisy))
print(denoiser.__version__, denoiser.__file__)
"""
    version, file = run(alone, "-c", code, folder=tmp_path).split()
    assert version == denoiser.__version__
    assert not Path(file).is_relative_to(ROOT)
    expected = denoiser.create_denoiser("attention-unet")(noisy)
    np.testing.assert_allclose(np.load(tmp_path / "denoised.npy"), expected, atol=1 / 255)


def test_its_command_works_in_an_empty_folder(alone, tmp_path, face):
    Image.fromarray(np.uint8(255 * face)).save(tmp_path / "face.png")
    run(
        *(alone, "-m", "denoiser", "denoise", "face.png", "-o", "out.png", "--method", "autoencoder"),
        folder=tmp_path,
    )
    with Image.open(tmp_path / "out.png") as restored:
        assert restored.size == (48, 48)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_page_is_served_in_an_empty_folder(wheel, tmp_path):
    """With the extra ``[app]``, which together with the rest is what a Space installs."""
    python = install(wheel, tmp_path / "environment", closure(requirements("requirements.txt")))
    port = free_port()
    (tmp_path / "empty").mkdir()
    command = [str(python), "-m", "denoiser.ui"]
    with running(command, port, away(app_environment(port)), tmp_path / "empty") as url:
        config = json.load(urllib.request.urlopen(f"{url}/config"))
        assert config["title"] == "Face denoising lab"
        answer = urllib.request.urlopen(f"{url}/gradio_api/info").read()
        assert b"/compare" in answer
    assert list((tmp_path / "empty").iterdir()) == []


def test_its_page_says_what_is_missing(alone, tmp_path):
    said = run(alone, "-m", "denoiser.ui", folder=tmp_path, code=1)
    assert "the page needs more than the library" in said
    assert len(said.splitlines()) == 1


def test_nothing_but_the_page_needs_the_extra(alone, tmp_path):
    code = """
import importlib, pkgutil, denoiser
for module in pkgutil.walk_packages(denoiser.__path__, "denoiser."):
    if not module.name.startswith("denoiser.ui") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""
    names = run(alone, "-c", code, folder=tmp_path).split()
    assert {"denoiser.analysis.contact_sheet", "denoiser.faces.download", "denoiser.lessons.gan"} <= {
        *names
    }
