"""The README's line for PyTorch without CUDA: pip takes it, and what it installs does for the rest."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from urllib.parse import urlparse

import pytest
from packaging.requirements import Requirement

from .conftest import ROOT

NAME = "torch"


def read_line():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^pip install .*--index-url.*$", text, re.MULTILINE)
    return shlex.split(line)


@pytest.fixture
def index(tmp_path):
    """A folder laid out as PyTorch's index, with wheels that hold nothing."""
    folder = tmp_path / "index" / NAME
    folder.mkdir(parents=True)
    names = [f"{NAME}-{version}-py3-none-any.whl" for version in ("2.7.1+cpu", "2.9.1+cpu", "3.0.0+cpu")]
    for name in names:
        version = name.split("-")[1]
        info = f"{NAME}-{version}.dist-info"
        with zipfile.ZipFile(folder / name, "w") as wheel:
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
    links = "".join(f'<a href="{name.replace("+", "%2B")}">{name}</a>' for name in names)
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    return folder.parent


def test_pip_takes_it_and_chooses_a_build_without_cuda(index, tmp_path):
    pip, *arguments = read_line()
    assert pip == "pip"
    (url,) = [word for word in arguments if "://" in word]
    assert urlparse(url)[:2] == ("https", "download.pytorch.org")
    assert url.endswith("/whl/cpu")
    arguments = [index.as_uri() if word == url else word for word in arguments]
    # What this machine sets for pip would find other wheels too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    report = tmp_path / "report.json"
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", report]
    subprocess.run([sys.executable, "-m", "pip", *arguments, *options], env=environment, check=True)
    (chosen,) = json.loads(report.read_text())["install"]
    assert chosen["metadata"]["version"] == "2.9.1+cpu"


def test_what_it_installs_is_left_alone_by_the_next_line():
    (named,) = [Requirement(word) for word in read_line() if word.startswith(NAME)]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (wanted,) = [Requirement(line) for line in lines if line.startswith(NAME)]
    assert named == wanted
    assert "2.9.1+cpu" in wanted.specifier
