"""The Dockerfile: what it is made of, as whom it runs, and how its health is told."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from huggingface_hub import ModelCard

from tests.conftest import ROOT, free_port


def instructions():
    """(word, the rest of the line) of every instruction."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def of(word):
    return [rest for name, rest in instructions() if name == word]


def test_it_is_made_of_what_a_space_runs_on():
    version = ModelCard.load(ROOT / "README.md").data.to_dict()["python_version"]
    assert of("FROM") == [f"python:{version}-slim"]
    (line,) = re.findall(
        r"^pip install .*--index-url.*$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    *_, wanted, _, index = shlex.split(line)
    assert of("ARG") == [f"TORCH_INDEX={index}"]
    (_, pip) = of("RUN")
    first, second = pip.split("&&")
    assert shlex.split(first)[-3:] == [wanted, "--index-url", "$TORCH_INDEX"]
    assert shlex.split(second)[-2:] == ["-r", "requirements.txt"]


def test_what_it_copies_is_there_and_nothing_else_is_sent_to_docker():
    copied = {rest.split()[0] for rest in of("COPY")}
    ignored, *let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored == "*"
    assert {line.removeprefix("!") for line in let_through if line.startswith("!")} == copied
    assert copied == {"app.py", "requirements.txt", "denoiser", "weights"}
    assert all((ROOT / name).exists() for name in copied)


def test_it_runs_as_a_user_with_no_rights():
    words = [word for word, _ in instructions()]
    (user,) = of("USER")
    assert user != "root"
    assert f"useradd --create-home {user}" in of("RUN")
    # Nothing is copied or run after it: what it could change, belongs to root.
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in ("COPY", "RUN"))
    assert "--chown" not in " ".join(of("COPY"))
    assert json.loads(of("CMD")[0]) == ["python", "app.py"]


def test_it_serves_the_port_that_it_says_to_all_outside():
    settings = dict(setting.split("=") for rest in of("ENV") for setting in rest.split())
    assert settings["GRADIO_SERVER_NAME"] == "0.0.0.0"
    assert of("EXPOSE") == [settings["GRADIO_SERVER_PORT"]]
    text = (ROOT / "docs" / "publish.md").read_text(encoding="utf-8")
    assert f"-p {settings['GRADIO_SERVER_PORT']}:{settings['GRADIO_SERVER_PORT']}" in text


@pytest.mark.parametrize("is_well", [True, False])
def test_the_health_check(server, is_well):
    (rest,) = of("HEALTHCHECK")
    python, *arguments = json.loads(rest.partition("CMD ")[2])
    assert python == "python"
    there = "http://127.0.0.1:" + of("EXPOSE")[0]
    assert there in arguments[-1]
    here = server if is_well else f"http://127.0.0.1:{free_port()}"
    arguments[-1] = arguments[-1].replace(there, here)
    ran = subprocess.run([sys.executable, *arguments], capture_output=True)
    assert (ran.returncode == 0) == is_well
