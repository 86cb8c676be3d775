"""Denoisers that come from elsewhere: a Python file at hand, or an installed package's entry points.

Both are programs, which may do whatever the user may: only files and packages that the user chose are
run, and nothing that a browser sent.
"""

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np

from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.callables import TAKEN, OwnDenoiserError, wrap
from denoiser.denoisers.registry import REGISTRY

ENTRY_POINTS = "face_denoising_lab.denoisers"
"""The group of entry points by which a package brings along functions or denoisers."""

DEFAULT_FUNCTION = "denoise"
"""What a file's function is called where none is named."""

_ID = re.compile(r"[a-z0-9_-]+", re.ASCII)  # dots, commas and colons mean something in links


@dataclass(frozen=True)
class FileFunction:
    """A function in a Python file, which any process can load.

    Attributes:
        path: The file.
        name: The function.
    """

    path: Path
    name: str

    def load(self) -> Callable[..., np.ndarray]:
        """Run the file, once in this process, and return the function.

        Raises:
            OwnDenoiserError: The file can't be read or run, or has no such function.
        """
        functions = _run_file(self.path.resolve())
        if self.name not in functions:
            there = ", ".join(name for name in functions if not name.startswith("_")) or "none"
            raise OwnDenoiserError(f"{self.path.name} has no function {self.name!r}; it has: {there}.")
        return functions[self.name]


def parse_file_function(text: str) -> FileFunction:
    """Read ``FILE.py:FUNCTION``; without the function's name it is :data:`DEFAULT_FUNCTION`.

    Raises:
        OwnDenoiserError: It names no Python file.
    """
    path, colon, name = text.rpartition(":")
    if not colon or text.endswith(".py"):  # a colon may be a drive's, too
        path, name = text, DEFAULT_FUNCTION
    if not path.endswith(".py") or not name.isidentifier():
        raise OwnDenoiserError(f"A function is named as FILE.py:FUNCTION, not {text!r}.")
    return FileFunction(Path(path), name)


def register(function: Callable[..., np.ndarray] | Denoiser, label: str | None = None) -> Denoiser:
    """Add a denoiser to the list of all, behind the others; before the page is built.

    Args:
        function: A denoiser, or what :func:`~denoiser.denoisers.callables.wrap` makes one of.
        label: Of a function, see there.

    Raises:
        OwnDenoiserError: It is none, has an id that can't be in a link, or one that is there already.
    """
    method = function if isinstance(function, Denoiser) else wrap(function, label)
    if not _ID.fullmatch(method.info.id):
        raise OwnDenoiserError(
            f"A denoiser's id may have small letters, digits, - and _, unlike {method.info.id!r}."
        )
    if method.info.id in TAKEN or method.info.id in REGISTRY.ids():
        raise OwnDenoiserError(f"There is already a denoiser with the id {method.info.id!r}.")
    REGISTRY.add(method.info.id, lambda: method)
    return method


@cache
def register_packages() -> tuple[str, ...]:
    """Add the denoisers of all installed packages that bring some, once; one that fails stops no other.

    Returns:
        A sentence for each that could not be added.
    """
    failures = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            register(_load(point), point.name)
        except OwnDenoiserError as error:
            failures.append(str(error))
    return tuple(failures)


def _load(point: EntryPoint) -> Callable[..., np.ndarray] | Denoiser:
    try:
        return point.load()
    except Exception as error:  # whatever a package does when it is imported
        raise OwnDenoiserError(
            f"The entry point {point.name!r} ({point.value}) can't be loaded: {_say(error)}."
        ) from error


@cache
def _run_file(path: Path) -> dict[str, Callable[..., np.ndarray]]:
    """Run a file as a module of its own; return its callables by name, those it imported too."""
    if not path.is_file():
        raise OwnDenoiserError(f"There is no file {path}.")
    name = f"own_denoisers_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for the module that they are in
    sys.path.append(str(path.parent))  # for what lies beside it; last, so that it hides nothing
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise OwnDenoiserError(f"{path.name} can't be run: {_say(error, path)}.") from error
    return {key: value for key, value in vars(module).items() if callable(value)}


def _say(error: BaseException, path: Path | None = None) -> str:
    """Say what went wrong in one line, and where in a file."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    where = f" in line {line}" if line else ""
    return " ".join(f"{type(error).__name__}{where}: {message}".split()).rstrip(": .")
