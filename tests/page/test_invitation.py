"""The link and the QR code of a class."""

import base64

import cv2
import numpy as np
import pytest

from denoiser.ui.blind.invitation import write_invitation


def scan(qr):
    """Read a QR code as a telephone does."""
    pixels = np.frombuffer(base64.b64decode(qr["pixels"]), np.uint8).reshape(qr["side"], qr["side"])
    assert set(pixels[0]) == set(pixels[:, 0]) == {255}  # white around it, in the dark too
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(np.kron(pixels, np.ones((8, 8), np.uint8)))
    return text


@pytest.mark.parametrize(
    "address",
    ["http://192.168.1.20:7860/", "https://somebody-lab.hf.space/", "https://school.example/lab/a%20b/"],
)
def test_the_code_holds_the_link_to_the_class(address):
    invitation = write_invitation(address, "ABC234")
    assert invitation["link"] == f"{address}?class=ABC234"
    assert scan(invitation["qr"]) == invitation["link"]


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        7,
        ["http://a/"],
        "javascript:alert(1)",
        "ftp://a/",
        "//a/",
        "http://",
        "http://a/?class=ZZZZZZ",
        "http://a/#b",
        "http://a b/",
        "http://a/\n",
        "http://\N{LATIN SMALL LETTER E WITH ACUTE}/",
        "http://" + 201 * "a",
    ],
)
def test_what_is_no_page_s_address_makes_no_invitation(address):
    assert write_invitation(address, "ABC234") == {}
