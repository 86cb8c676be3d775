"""The way into a class: the link that students open, and its QR code; no Gradio in here."""

import re
from urllib.parse import urlencode

import numpy as np
import segno

from denoiser.ui.common.payload import Payload, encode_pixels
from denoiser.ui.experiment.link_format import CLASS_PARAMETER

_ADDRESS = re.compile(r"https?://((?![?#])[!-~]){1,200}")
_QUIET = 4  # modules of white around the code, as the standard asks


def write_invitation(address: object, code: str) -> Payload:
    """Return a class's link and the QR code of it; nothing where the page's address can't be one.

    OpenCV, which is here anyway, draws QR codes too, but one in six hundred can't be read.

    Args:
        address: Where the teacher's browser shows the page, which no header tells for sure. It may be
            anything; what is made of it goes back to that browser alone.
        code: The class's.
    """
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        return {}
    link = f"{address}?{urlencode({CLASS_PARAMETER: code})}"
    modules = segno.make(link, error="m", micro=False).matrix_iter(border=_QUIET)
    pixels = np.where(np.array([list(row) for row in modules]), 0, 255).astype(np.uint8)
    return {"link": link, "qr": {"pixels": encode_pixels(pixels), "side": len(pixels)}}
