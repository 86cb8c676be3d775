"""Files are written whole or not at all, and a model never keeps another model's figures."""

import errno
from pathlib import Path

import pytest

from denoiser.weights.files import write_together
from train.files import write_model


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_files_are_written_and_taken_away(tmp_path):
    folder = tmp_path / "new" / "folder"
    write_together(folder, {"a": b"1", "b": b"2", "c": None})
    write_together(folder, {"a": b"3", "b": None})
    assert names(folder) == ["a"]
    assert (folder / "a").read_bytes() == b"3"


def test_a_full_disk_leaves_everything_as_it_was(tmp_path, monkeypatch):
    write_together(tmp_path, {"a": b"old", "b": b"old", "c": b"old"})
    written = []

    def full(number):
        written.append(number)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("denoiser.weights.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_together(tmp_path, {"a": b"new", "b": b"new", "c": None})
    assert len(written) == 2
    assert names(tmp_path) == ["a", "b", "c"]
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"old"}


def test_what_cannot_be_replaced_is_no_half_of_a_file(tmp_path, monkeypatch):
    """Killed between two files: each is the old or the new one, and no figures are left for either."""
    write_together(tmp_path, {"model": b"old", "config": b"old", "metrics.json": b"{}"})
    replace = Path.replace

    def killed(path, target):
        if target.name == "config":
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path, {"model": b"new", "config": b"new"}, "model")
    assert names(tmp_path) == ["config", "model"]
    assert ((tmp_path / "model").read_bytes(), (tmp_path / "config").read_bytes()) == (b"new", b"old")


@pytest.mark.parametrize(("weights", "kept"), [(b"other", False), (b"same", True)])
def test_figures_stay_only_beside_their_own_weights(tmp_path, weights, kept):
    write_together(tmp_path, {"model": b"same", "metrics.json": b"{}", "README.md": b"card", "x": b""})
    write_model(tmp_path, {"model": weights, "history.csv": b""}, "model")
    figures = ["README.md", "metrics.json"] if kept else []
    assert names(tmp_path) == sorted(["model", "history.csv", "x", *figures])
