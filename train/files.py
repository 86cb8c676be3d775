"""What the commands write: whole files, and models without another model's figures beside them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from denoiser.analysis.results import METRICS_NAME
from denoiser.weights.files import write_together

CARD_NAME = "README.md"
"""A model's card, in its folder."""

WEIGHTS_HASH = "weights_sha256"
"""In a ``metrics.json``: the SHA-256 of the weight file that was scored."""


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: a command that is stopped leaves no half of one."""
    write_together(path.parent, {path.name: text.encode()})


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people to read, whole or not at all."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def write_model(folder: Path, contents: Mapping[str, bytes | None], weights_name: str) -> None:
    """Write a trained model's files, and take the figures and the card of other weights away.

    Args:
        folder: The model's.
        contents: Its files by name, the weights among them; None takes a file away.
        weights_name: Which of them are the weights.
    """
    weights = folder / weights_name
    same = weights.is_file() and weights.read_bytes() == contents[weights_name]
    stale: dict[str, bytes | None] = {} if same else {METRICS_NAME: None, CARD_NAME: None}
    write_together(folder, stale | dict(contents))


def file_hash(path: Path) -> str:
    """Return a file's SHA-256, as the Hub and ``sha256sum`` write it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
