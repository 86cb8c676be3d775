"""What the live grid is sent: a comparison as JSON, with everything written out; no Gradio in here.

The browser only paints. Two payloads make one grid: the live one with what answers while a slider
moves, and one that follows, with the rest and those that were still being downloaded. They belong
together when their keys are equal; of two payloads of a kind, the one with the smaller version is
outdated.
"""

import base64
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from denoiser.images import Image, to_uint8

Payload = dict[str, Any]


def new_version() -> int:
    """Return a number larger than all before, also after a restart of the server."""
    return time.time_ns() // 1000


def write_payload(payload: Payload) -> str:
    """Write a payload as text, which ``readPayload`` in ``common.js`` reads.

    A component whose value is an object costs the browser more: Gradio's page makes every leaf of it
    reactive and copies it more than once.
    """
    return json.dumps(payload)


def error_payload(sentence: str, version: int) -> Payload:
    """Say what is wrong; the grid keeps its pictures."""
    return {"version": version, "error": sentence}


def encode_picture(image: Image) -> str:
    """Write a picture for a script to paint: its 8-bit pixels as text."""
    return encode_pixels(to_uint8(image))


def encode_pixels(pixels: npt.NDArray[np.uint8]) -> str:
    """Write 8-bit pixels, gray (H, W) or coloured (H, W, 3), as text."""
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
