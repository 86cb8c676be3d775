"""Denoisers from files and packages: what is run, what is added to the list, what is refused."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import denoiser
from denoiser.denoisers import plugins
from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.plugins import FileFunction, parse_file_function, register, register_packages
from tests.doubles import Fixed

GRAY = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)

FILTERS = """
from beside import FACTOR
import numpy as np

def denoise(noisy):
    return FACTOR * noisy

def other(noisy, sigma):
    return np.clip(noisy, sigma, 1)
"""


@pytest.fixture(autouse=True)
def same(own_registry, monkeypatch):
    """Take away what a test has added."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    register_packages.cache_clear()
    yield
    register_packages.cache_clear()


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("FACTOR = 0.5\n")
    path = tmp_path / "my_filters.py"
    path.write_text(FILTERS)
    yield path
    sys.modules.pop("beside", None)


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "path", "name"),
        [
            ("a/b.py:median", "a/b.py", "median"),
            ("b.py", "b.py", "denoise"),
            (r"C:\own\b.py", r"C:\own\b.py", "denoise"),
            (r"C:\own\b.py:f", r"C:\own\b.py", "f"),
        ],
    )
    def test_how_they_are_named(self, text, path, name):
        assert parse_file_function(text) == FileFunction(Path(path), name)

    @pytest.mark.parametrize("text", ["", "b", "b.txt", "b.py:", "b.py:a b", "b.py:a.b", "b.ipynb:f"])
    def test_what_names_none(self, text):
        with pytest.raises(OwnDenoiserError, match=r"FILE\.py:FUNCTION"):
            parse_file_function(text)

    def test_are_run_once_and_see_what_lies_beside_them(self, file):
        first, second = (FileFunction(file, name).load() for name in ("denoise", "other"))
        np.testing.assert_array_equal(first(GRAY), GRAY / 2)
        assert first.__globals__ is second.__globals__

    def test_say_which_functions_there_are(self, file):
        with pytest.raises(OwnDenoiserError, match="no function 'nope'; it has: denoise, other"):
            FileFunction(file, "nope").load()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("def denoise(noisy:\n    pass", r"broken.py can't be run: SyntaxError in line 1: .*"),
            ("\n\n1 / 0", "can't be run: ZeroDivisionError in line 3: division by zero"),
            ("import no_such_module_at_all", "ModuleNotFoundError in line 1: No module named"),
            ("exit(3)", "can't be run: SystemExit in line 1: 3"),
        ],
    )
    def test_what_fails_says_where(self, tmp_path, content, words):
        path = tmp_path / "broken.py"
        path.write_text(content)
        with pytest.raises(OwnDenoiserError, match=words) as caught:
            FileFunction(path, "denoise").load()
        assert "\n" not in str(caught.value)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(OwnDenoiserError, match="There is no file"):
            FileFunction(tmp_path / "nope.py", "denoise").load()

    def test_can_be_sent_to_another_process(self, file):
        function = FileFunction(file, "denoise")
        assert pickle.loads(pickle.dumps(function)) == function


class TestRegister:
    def test_puts_a_function_behind_all_others(self, file):
        before = denoiser.list_denoisers(colour=True)
        method = register(FileFunction(file, "other").load())
        assert denoiser.list_denoisers(colour=True) == [*before, "other"]
        assert denoiser.create_denoiser("other") is method

    def test_no_two_of_one_id(self, file):
        function = FileFunction(file, "denoise").load()
        register(function)
        with pytest.raises(OwnDenoiserError, match="already a denoiser with the id 'denoise'"):
            register(function)
        assert denoiser.list_denoisers().count("denoise") == 1

    @pytest.mark.parametrize("name", [OWN_MODEL, "noisy", "clean"])
    def test_no_id_that_means_something_else(self, name):
        method = Fixed(GRAY)
        method.info = replace(method.info, id=name)
        with pytest.raises(OwnDenoiserError, match="already a denoiser"):
            register(method)
        assert register(lambda noisy: noisy, "Own model").info.id != OWN_MODEL

    @pytest.mark.parametrize("name", ["a,b", "median:radius", "unet.mine", "Mine", ""])
    def test_no_id_that_a_link_would_take_for_something_else(self, name):
        method = Fixed(GRAY)
        method.info = replace(method.info, id=name)
        with pytest.raises(OwnDenoiserError, match="id may have small letters"):
            register(method)


def install(folder, name, code, entry_points):
    """Put a package into a folder as pip does, with entry points."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(entry_points)
    (info / "entry_points.txt").write_text(f"[{plugins.ENTRY_POINTS}]\n{lines}\n")


def test_packages_bring_denoisers_along_and_one_that_fails_stops_no_other(tmp_path, monkeypatch):
    code = """
import denoiser
def halve(noisy):
    return noisy / 2
def bad(noisy):
    return None
wide = denoiser.create_denoiser("median")
"""
    points = ["Halving = halving_package:halve", "bad = halving_package:bad", "gone = halving_package:x"]
    install(tmp_path, "halving_package", code, [*points, "twice = halving_package:wide"])
    monkeypatch.syspath_prepend(str(tmp_path))
    failures = register_packages()
    assert "halving" in denoiser.list_denoisers()
    assert denoiser.create_denoiser("halving").info.label == "Halving"
    np.testing.assert_array_equal(denoiser.create_denoiser("halving")(GRAY), GRAY / 2)
    said = "\n".join(failures)
    assert len(failures) == 3
    assert "bad returned nothing" in said
    assert "entry point 'gone' (halving_package:x) can't be loaded: AttributeError" in said
    assert "already a denoiser with the id 'median'" in said
    assert register_packages() == failures  # and not added twice
