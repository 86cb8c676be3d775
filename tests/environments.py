"""Virtual environments that see some of what is installed here, and nothing else."""

import sys
import venv
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of the installed distributions that these requirements bring along."""
    todo = [(Requirement(line), "") for line in requirements]
    found, seen = set(), set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # and these tests run without it
            continue
        found.add(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                todo += [(Requirement(need), wanted) for need in needs]
    return found


def make_environment(folder: Path, names: Iterable[str]) -> Path:
    """Make a virtual environment in which these distributions can be imported, and no others.

    Returns:
        Its Python.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    for name in names:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(installed.locate_file(top)))
    return folder / "bin" / "python"
