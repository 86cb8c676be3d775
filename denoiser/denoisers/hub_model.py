"""Strangers' networks on the Hugging Face Hub as denoisers."""

import re
import tempfile
from pathlib import Path

from denoiser.denoisers.confined.processes import OwnModelError, Recipe
from denoiser.denoisers.own_model import MAX_BYTES, OwnModel, why_no_processes
from denoiser.weights.checkpoint import CONFIG_NAME, MAX_CONFIG_BYTES, MODEL_NAME
from denoiser.weights.hub import fetch_file
from denoiser.weights.hub_errors import HubError

_NAME = r"[\w-][\w.-]{0,95}"
_ADDRESS = re.compile(
    rf"(?:https://huggingface\.co/)?({_NAME}/{_NAME})(?:@|/tree/|/commit/)([0-9a-f]{{40}})/?", re.ASCII
)


def read_hub_model(address: str) -> OwnModel:
    """Make a denoiser of a network on the Hub, of the layout that ``train push`` writes.

    No token is sent, and what the Hub's cache has is not looked at: strangers are to have nothing that
    is not public.

    Args:
        address: ``NAME/REPOSITORY@COMMIT``, or the address of such a commit on huggingface.co.

    Raises:
        OwnModelError: It can't be had or used; one sentence.
    """
    why_not = why_no_processes()
    if why_not:
        raise OwnModelError(why_not)
    match = _ADDRESS.fullmatch(address.strip())
    if match is None:
        raise OwnModelError(
            "Write NAME/REPOSITORY@COMMIT, with all 40 digits of the commit: branches and tags "
            "may change."
        )
    repo_id, commit = match.groups()
    limits = {CONFIG_NAME: MAX_CONFIG_BYTES, MODEL_NAME: MAX_BYTES}
    try:
        with tempfile.TemporaryDirectory() as folder:
            files = {
                name: fetch_file(
                    repo_id, name, revision=commit, max_bytes=most, stranger_cache=Path(folder)
                ).read_bytes()
                for name, most in limits.items()
            }
    except HubError as error:
        raise OwnModelError(str(error)) from None
    return OwnModel(Recipe("network", files))
