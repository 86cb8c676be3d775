"""What the tab "Photo" is sent: a photo to look at, and a region of it as methods repair it; no Gradio.

Two payloads make one region, as under "Compare": the live one has the method that is on the stage, and
one that follows has the others. They belong together when their keys are equal.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

from denoiser.analysis.gain_labels import gain_flag, write_loss
from denoiser.denoisers.base import DenoiserInfo, SigmaUsed, estimate_noise
from denoiser.denoisers.purpose import is_made_for
from denoiser.denoisers.registry import Available, comes_from_hub, find_available
from denoiser.images import Image, to_jpeg
from denoiser.images.values import to_unit
from denoiser.metrics import psnr, ssim, write_number, write_psnr, write_ssim
from denoiser.noise import NoiseModel
from denoiser.pipeline import TIE, psnr_gain
from denoiser.ui.common.payload import Payload, encode_picture, new_version
from denoiser.ui.photo.noise_blocks import BLOCK, noisy_part
from denoiser.ui.photo.request import PhotoRequest, parse_method, photo_methods
from denoiser.ui.photo.session import PORTRAIT, Held
from denoiser.ui.photo.unknown import describe_noise, estimate_psnr, noise_of

CONTEXT = 32
"""So many pixels around a region are denoised with it: methods look beyond its edge, as in the whole."""

_GRID = 32  # where that begins: on a multiple of what U-Nets shrink a picture by, as the whole does

_FACE_OF_PORTRAIT = [110, 224]  # row and column
_PORTRAIT_CREDIT = "Eileen Collins, NASA, in the public domain."


@dataclass(frozen=True)
class Region:
    """A region of a photo, with what of the photo lies around it.

    Attributes:
        clean: The clean picture, (H, W) or (H, W, 3) in [0, 1]; None where the photo is noisy already.
        noisy: The noisy one, of the same shape.
        rows: Which of its rows are the region itself.
        columns: Likewise.
        sigma: Standard deviation of the noise, as filters are told it.
    """

    clean: Image | None
    noisy: Image
    rows: slice
    columns: slice
    sigma: SigmaUsed

    def cut(self, image: Image) -> Image:
        """Return the region itself of a picture that has what lies around it, too."""
        return image[self.rows, self.columns]


def photo_payload(held: Held) -> Payload:
    """Write down a photo to choose regions from."""
    height, width = held.size
    channels = "colour" if held.in_colour else "gray"
    about = f"{width:,} x {height:,} pixels, {channels}, {held.photo.bits} bits."
    about += "" if held.in_colour else " The networks for colour are left out."
    return {
        "version": new_version(),
        "id": held.id,
        "width": width,
        "height": height,
        "middle": _FACE_OF_PORTRAIT if held.id == PORTRAIT else [height // 2, width // 2],
        "overview": base64.b64encode(to_jpeg(held.overview)).decode(),
        "about": f"{_PORTRAIT_CREDIT} {about}" if held.id == PORTRAIT else about,
    }


def find_region(request: PhotoRequest) -> Region:
    """Cut out the region, with what lies around it; the same pixels as in the whole picture."""
    top, left, side = astuple(request.region)
    height, width = request.held.size
    outer_top, outer_left = (max(0, start - CONTEXT) // _GRID * _GRID for start in (top, left))
    outer_height = min(height, top + side + CONTEXT) - outer_top
    outer_width = min(width, left + side + CONTEXT) - outer_left
    pixels = request.held.photo.pixels
    part = pixels[outer_top : outer_top + outer_height, outer_left : outer_left + outer_width]
    clean, noisy = None, to_unit(part)
    if request.noise is not None:
        corner = outer_top, outer_left, outer_height, outer_width
        clean, noisy = noisy, to_unit(noisy_part(pixels, request.noise, request.seed, *corner))
    rows = slice(top - outer_top, top - outer_top + side)
    columns = slice(left - outer_left, left - outer_left + side)
    return Region(clean, noisy, rows, columns, find_sigma(request))


def find_sigma(request: PhotoRequest) -> SigmaUsed:
    """Return how strong the noise of the whole photo is: known, or estimated."""
    held, noise = request.held, request.noise
    if noise is None:
        return SigmaUsed(noise_of(held).sigma, "estimated")
    known = noise.known_sigma(held.overview)
    if known is not None:
        return SigmaUsed(min(known, 1.0), "known")
    height, width = held.size
    rows, columns = min(BLOCK, height), min(BLOCK, width)
    middle = (height - rows) // 2, (width - columns) // 2, rows, columns
    noisy = noisy_part(held.photo.pixels, noise, request.seed, *middle)
    return SigmaUsed(estimate_noise(to_unit(noisy)), "estimated")


def region_payload(request: PhotoRequest, method: Any, version: int) -> Payload:
    """Write down the region, with the method that is on the stage; others are announced only."""
    region = find_region(request)
    chosen = parse_method(request, method)
    methods = photo_methods()
    available = find_available([] if chosen is None else [chosen])
    return {
        "version": version,
        "key": _key(request),
        "photo": request.held.id,
        "clean": region.clean is not None,
        "side": request.region.side,
        "place": f"{request.region.top}, {request.region.left}",
        "caption": _caption(request),
        "about": describe_noise(request.held) if request.noise is None else "",
        "cards": [
            *_reference_cards(region),
            *(
                _card(methods[method_id], region, available, request.noise)
                if method_id == chosen
                else _pending(methods[method_id])
                for method_id in request.methods
            ),
        ],
    }


def others_payload(request: PhotoRequest, method: Any) -> Iterator[Payload | None]:
    """Write down the methods that are not on the stage; None after each, and all of them at the end."""
    region = find_region(request)
    chosen = parse_method(request, method)
    methods = photo_methods()
    cards = []
    for method_id in request.methods:
        is_live = method_id == chosen and not comes_from_hub(method_id)
        if is_live and request.noise is not None:
            continue  # the live payload has all of it
        available = find_available([method_id])
        card = _card(methods[method_id], region, available, request.noise)
        yield None
        if request.noise is None and method_id in available.denoisers:
            noisy = region.cut(region.noisy)
            card |= estimate_psnr(noisy, available.denoisers[method_id], request.held)
            yield None
        cards.append(card)
    yield {"version": new_version(), "key": _key(request), "cards": cards}


def question_payload(version: int) -> Payload:
    """Say that nobody has said yet what the photo is."""
    return {"version": version, "question": True}


def _key(request: PhotoRequest) -> str:
    """Name what the methods are given; equal for equal results of a method."""
    inputs = (request.held.id, request.noise, request.seed, request.region)
    return hashlib.blake2b(repr(inputs).encode(), digest_size=8).hexdigest()


def _caption(request: PhotoRequest) -> str:
    return "" if request.noise is None else f"{request.noise.describe()}, seed {request.seed}"


def _reference_cards(region: Region) -> Iterator[Payload]:
    noisy = region.cut(region.noisy)
    if region.clean is None:
        yield {"id": "noisy", "label": "Your photo", "pixels": encode_picture(noisy)}
        return
    clean = region.cut(region.clean)
    yield {"id": "clean", "label": "Clean", "pixels": encode_picture(clean)}
    yield {"id": "noisy", "label": "Noisy", "pixels": encode_picture(noisy)} | _scores(noisy, clean)


def _card(info: DenoiserInfo, region: Region, available: Available, noise: NoiseModel | None) -> Payload:
    if info.id in available.loading:
        return _pending(info) | {"note": available.loading[info.id]}
    card = {"id": info.id, "label": info.label}
    if info.id in available.failures:
        return card | {"error": available.failures[info.id]}
    sigma = region.sigma
    image = region.cut(available.denoisers[info.id](region.noisy, sigma.value))
    card["pixels"] = encode_picture(image)
    if info.uses_sigma:
        card["strength"] = f"strength {255 * (sigma.value or 0):.1f}, {sigma.source}"
    if region.clean is not None and noise is not None:
        clean = region.cut(region.clean)
        card["purpose"] = "" if is_made_for(info, noise) else "made for other noise"
        card |= _scores(image, clean) | _gain(psnr(image, clean), psnr(region.cut(region.noisy), clean))
    return card


def _gain(own: float, noisy: float) -> Payload:
    """Say what a PSNR gains over the noisy picture's, or destroys where there is nothing to remove."""
    gain = psnr_gain(own, noisy)
    flag = {"flag": gain_flag(gain, own)}
    if gain is None:
        return flag | {"gain": write_loss(own)}
    return flag | {"gain": "±0.0 dB" if abs(gain) <= TIE else f"{write_number(gain, 1, signed=True)} dB"}


def _pending(info: DenoiserInfo) -> Payload:
    return {"id": info.id, "label": info.label, "pending": True}


def _scores(image: Image, clean: Image) -> Payload:
    value = psnr(image, clean)
    return {
        "psnr": write_psnr(value),
        "ssim": write_ssim(ssim(image, clean)),
        "psnrRank": min(value, 1e9),  # JSON has no infinity
    }
