"""What setuptools can't read from pyproject.toml: which requirements are the page's, and the README.

A Space installs ``requirements.txt`` and nothing else, so that names all that the app needs. The library
without the page needs less: what is left of it without :data:`PAGE`.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

PAGE = {"filelock", "gradio", "httpx", "plotly", "segno"}
"""Distributions that only ``denoiser/ui/`` imports: the extra ``[app]``."""

_HERE = Path(__file__).parent


def _requirements(name: str) -> list[str]:
    lines = (line.strip() for line in (_HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _is_of_the_page(requirement: str) -> bool:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0] in PAGE


def _description() -> str:
    """Return the README without its first lines, which configure the Space."""
    return (_HERE / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2].lstrip()


_ALL = _requirements("requirements.txt")

setup(
    long_description=_description(),
    long_description_content_type="text/markdown",
    install_requires=[line for line in _ALL if not _is_of_the_page(line)],
    extras_require={
        "app": [line for line in _ALL if _is_of_the_page(line)],
        "train": _requirements("train/requirements.txt"),
        "onnx": _requirements("requirements-onnx.txt"),
    },
    # The weights lie in the package where that is installed, see denoiser/weights/checkpoint.py.
    packages=[*find_packages(include=["denoiser", "denoiser.*"]), "denoiser.shipped"],
    package_dir={"denoiser.shipped": "weights"},
)
