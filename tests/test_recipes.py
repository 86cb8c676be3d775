"""The three recipes of CONTRIBUTING.md, followed word for word in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .tiny import write_fer2013

ROOT = Path(__file__).resolve().parent.parent
KEPT_OUT = shutil.ignore_patterns(".git", ".*_cache", "__pycache__", "runs", "data", ".venv", "venv")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# A code block, and the paragraph before it, which says where it goes.
STEP = re.compile(r"([^\n]+(?:\n[^\n]+)*)\n\n```(\w+)\n(.*?)```\n", re.DOTALL)

# What is green after each, before anything is scored; it runs over the lists.
GREEN = {
    "noise": [
        *("library/test_noise", "library/test_training_noise", "analysis/test_results"),
        *("analysis/test_sweeps", "analysis/test_blind_test"),
        *("page/test_share", "page/test_api", "page/test_page"),
    ],
    "filter": [
        *("library/test_filters", "library/test_registry", "analysis/test_results"),
        *("analysis/test_sweeps", "analysis/test_inspection"),
    ],
    "network": [
        *("library/test_architectures", "library/test_registry", "analysis/test_inspection"),
        *("training/test_config", "training/test_recipe"),
    ],
}


def section(name: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split(f"## Add a {name}\n")[1].split("\n## ")[0]


class Recipe:
    """Does what a recipe's steps say.

    Args:
        folder: The copy of the repository.
        pictures: What stands for FER2013, for ``PATH``.
    """

    def __init__(self, folder: Path, pictures: Path):
        self.folder = folder
        self.pictures = pictures
        self.file = folder

    def follow(self, name: str) -> None:
        for said, language, code in STEP.findall(section(name)):
            if language == "sh":
                for line in code.splitlines():
                    self.run(line)
            else:
                self.write(" ".join(said.split()), code)

    def write(self, said: str, code: str) -> None:
        """Put code where the words before it say: above a name, in a list, or into a file of its own."""
        files = re.findall(r"`([\w/]+\.\w+)`", said)
        if files:
            self.file = self.folder / files[-1]
        if place := re.search(r"above `([A-Z_]+)`", said):
            self.insert(code + "\n\n", rf"^{place[1]}\b")
        elif place := re.search(r"one (?:line|entry) in `([A-Z_]+)`", said):
            self.insert(code, rf"^{place[1]}\b(?s:.*?)\n(?= *\)\n)", after=True)
        elif "its import" in said:  # in order, as the linter wants it
            later = next(
                line
                for line in self.file.read_text().splitlines()
                if line.startswith("from denoiser") and line > code
            )
            self.insert(code, f"^{re.escape(later)}")
        elif "at the end of the file" in said:
            self.file.write_text(self.file.read_text() + code)
        else:
            assert "file" in said, said
            assert not self.file.exists()
            self.file.write_text(code)

    def insert(self, code: str, place: str, after: bool = False) -> None:
        """Put code before what a pattern finds, or after it."""
        text = self.file.read_text(encoding="utf-8")
        found = re.search(place, text, re.MULTILINE)
        assert found, f"there is no {place} in {self.file}"
        at = found.end() if after else found.start()
        self.file.write_text(text[:at] + code + text[at:], encoding="utf-8")

    def run(self, line: str) -> None:
        """Run a command, on few pictures; scoring a method takes hours, and is not tried."""
        if "evaluate" in line:
            return
        words = line.replace("PATH", str(self.pictures)).split()
        if "fit" in words:
            words += ["--weights", "weights", "--limit", "32", "--accelerator", "cpu", "--devices", "1"]
        assert words[0] == "python"
        self.python(*words[1:])

    def python(self, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


@pytest.fixture
def recipe(tmp_path):
    shutil.copytree(ROOT, tmp_path / "copy", ignore=KEPT_OUT, symlinks=True)
    return Recipe(tmp_path / "copy", write_fer2013(tmp_path / "pictures"))


@pytest.mark.parametrize("name", GREEN)
def test_a_recipe_works_word_for_word(recipe, name):
    recipe.follow(name)
    tests = [f"tests/{test}.py" for test in GREEN[name]]
    recipe.python("-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *tests)
    recipe.python("-m", "ruff", "check", "denoiser")
    recipe.python("-m", "ruff", "format", "--check", "denoiser")
