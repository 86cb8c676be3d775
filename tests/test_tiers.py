"""Which tests run: without the slow ones, unless ``--all`` or a name asks for them."""

import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from .conftest import ROOT

FILES = {
    "pytest.ini": '[pytest]\ntestpaths = tests\nmarkers =\n  slow: ""\n',
    "tests/test_many.py": """import pytest

@pytest.mark.parametrize("letter", "abcde")
def test_many(letter): pass
""",
    "tests/browser/test_few.py": """import pytest

def test_fast(): pass

@pytest.mark.slow
def test_slow(): pass

@pytest.mark.parametrize("width", ["desktop", pytest.param("phone", marks=pytest.mark.slow)])
def test_each(width): pass
""",
}
PYTEST = [sys.executable, "-m", "pytest", "-p", "xdist.plugin", "-p", "tests.tiers"]
MANY = [f"test_many[{letter}]" for letter in "abcde"]
FIRST = ["test_fast", "test_each[desktop]", *MANY]
ALL = ["test_fast", "test_slow", "test_each[desktop]", "test_each[phone]", *MANY]


@pytest.fixture
def names_run(tmp_path):
    """Runs these tests in one of xdist's processes; returns their names in the order they ran in."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]

    def names_run(*options):
        outside = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [*PYTEST, *shlex.split(ours["addopts"]), "-v", "-n", "1", *options],
            cwd=tmp_path,
            env=outside | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return re.findall(r"PASSED \S+::(\S+)", done.stdout)

    return names_run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], FIRST),
        (["--all"], ALL),
        (["tests"], ALL),
        (["tests/browser/test_few.py::test_slow"], ["test_slow"]),
        (["-k", "fast or phone"], ["test_fast", "test_each[phone]"]),
        (["-m", "slow"], ["test_slow", "test_each[phone]"]),
    ],
    ids=["default", "all", "folder", "test", "k", "m"],
)
def test_what_runs_and_in_which_order(names_run, options, expected):
    assert names_run(*options) == expected
