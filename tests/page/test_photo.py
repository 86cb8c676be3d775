"""The tab "Photo" without a browser: noise in blocks, what is asked for and sent, the whole photo."""

import base64
import gc
import io
import json
import math
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import PIL.Image
import pytest

from denoiser.analysis.unknown_noise import NoiseEstimate, PsnrEstimate
from denoiser.denoisers import registry
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.registry import create_denoiser
from denoiser.images import ImageError, Square, from_uint8, to_uint8
from denoiser.images.photo import Photo, to_bits
from denoiser.images.values import to_unit
from denoiser.metrics import psnr
from denoiser.noise import NOISES, GaussianBlur, GaussianNoise, JpegArtifacts, NoiseModel, create_noise
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.photo.noise_blocks import BLOCK, noisy_part, noisy_strips, to_deep
from denoiser.ui.photo.payload import (
    find_region,
    find_sigma,
    others_payload,
    photo_payload,
    region_payload,
)
from denoiser.ui.photo.request import (
    GONE,
    MOST_METHODS,
    PhotoRequest,
    default_methods,
    parse_method,
    parse_request,
    photo_methods,
)
from denoiser.ui.photo.session import PORTRAIT, Held, Photos, is_lossy, portrait, samples_of
from denoiser.ui.photo.tab import create_photo_tab
from denoiser.ui.photo.unknown import describe_noise, estimate_psnr
from denoiser.ui.photo.whole import Result, Room, compute_whole, in_steps
from denoiser.weights.checkpoint import WeightsError
from tests.doubles import run, session_request

SLIDERS = [(kind.id, parameter.name) for kind in NOISES for parameter in kind.parameters]


def made_up(height=600, width=700, colour=True, deep=False) -> np.ndarray:
    """A photo of smooth colours, which nobody needs to keep private."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [np.sin(rows / (31 + 9 * c)) * np.cos(columns / (47 - 7 * c)) for c in range(3)]
    image = 0.5 + 0.4 * (np.stack(channels, axis=-1) if colour else channels[0])
    return np.rint(image * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)


NOISE = GaussianNoise()


def request(pixels=None, noise: NoiseModel | None = NOISE, **others: Any) -> PhotoRequest:
    held = portrait() if pixels is None else Held("mine", Photo(pixels))
    values = {"seed": 5, "region": Square(100, 120, 128), "methods": ("median",)} | others
    return PhotoRequest(held, noise, **values)


def settings_of(answer="clean", methods=("median",), noise="gaussian", seed=5, **values) -> list[Any]:
    defaults = {(k.id, p.name): p.displayed(p.default) for k in NOISES for p in k.parameters}
    numbers = [values.get(name, defaults[noise_id, name]) for noise_id, name in SLIDERS]
    return [answer, list(methods), noise, seed, *numbers]


def written(settings=None, **others) -> str:
    region = {"photo": PORTRAIT, "top": 100, "left": 120, "side": 128} | others
    return json.dumps(region | {"settings": settings_of() if settings is None else settings})


def parse(text: Any) -> PhotoRequest | None:
    return parse_request(text, SLIDERS, lambda photo_id: Photos().find(photo_id, "mine"))


# Noise in blocks


@pytest.mark.parametrize("noise", [kind() for kind in NOISES], ids=lambda noise: noise.id)
@pytest.mark.parametrize("colour", [True, False])
def test_a_region_has_the_noise_that_the_whole_photo_has_there(noise, colour):
    pixels = made_up(colour=colour)
    whole = np.concatenate([strip for _, strip in noisy_strips(pixels, noise, 7)])
    assert whole.shape == pixels.shape
    assert whole.dtype == np.uint16
    for top, left, height, width in ((0, 0, 128, 128), (200, 190, 256, 256), (472, 572, 128, 128)):
        part = noisy_part(pixels, noise, 7, top, left, height, width)
        np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])


def test_another_seed_is_other_noise_and_the_same_seed_the_same():
    pixels = made_up(300, 300)
    one, same, other = (noisy_part(pixels, GaussianNoise(), seed, 0, 0, 300, 300) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.9


def test_no_two_blocks_have_the_same_noise():
    """Not even those of neighbouring seeds, of which one could be derived from the other."""
    pixels = np.full((2 * BLOCK, 2 * BLOCK), 128, np.uint8)
    noises = []
    for seed in (0, 1):
        whole = noisy_part(pixels, GaussianNoise(), seed, 0, 0, 2 * BLOCK, 2 * BLOCK)
        noises += [whole[t : t + BLOCK, s : s + BLOCK].ravel() for t in (0, BLOCK) for s in (0, BLOCK)]
    correlations = np.corrcoef(np.array(noises, np.float64)) - np.eye(len(noises))
    assert np.abs(correlations).max() < 0.02


@pytest.mark.parametrize("noise", [GaussianBlur(3.0), JpegArtifacts(20)], ids=lambda noise: noise.id)
def test_what_looks_beyond_a_pixel_makes_no_seam_between_blocks(noise):
    pixels = made_up(400, 600)
    whole = to_unit(noisy_part(pixels, noise, 0, 0, 0, 400, 600))
    in_one_piece = noise(to_unit(pixels), 0)
    # JPEG's colours are finer than its blocks by a pixel, and so may differ at a block's edge.
    differing = np.abs(whole - in_one_piece) > 1 / 255
    assert differing.mean() < 0.001
    assert np.abs(whole - in_one_piece).max() < 0.06


def test_noise_is_as_strong_as_it_says():
    pixels = np.full((500, 500, 3), 128, np.uint8)
    noisy = noisy_part(pixels, GaussianNoise(0.1), 0, 0, 0, 500, 500)
    assert (to_unit(noisy) - 128 / 255).std() == pytest.approx(0.1, rel=0.01)


def test_a_photo_smaller_than_a_block_will_do():
    for shape in ((1, 1), (3, 700), (48, 48, 3)):
        pixels = np.full(shape, 100, np.uint8)
        for kind in NOISES:
            assert noisy_part(pixels, kind(), 0, 0, 0, *shape[:2]).shape == shape


# What is asked for


def test_what_the_page_writes_is_understood():
    asked = parse(
        written(settings_of(noise="impulse", amount=35, seed=9, methods=["nl-means", "median"]))
    )
    assert asked is not None
    assert asked.noise == create_noise("impulse", amount=0.35)
    assert (asked.seed, asked.region) == (9, Square(100, 120, 128))
    assert asked.methods == ("median", "nl-means")  # not in the order of the clicks
    assert asked.held.id == PORTRAIT
    assert parse(written(settings_of("noisy"))).noise is None
    assert parse(written(settings_of(None))) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": -1},
        {"left": -1},
        {"top": 512 - 127},
        {"left": 512 - 127},
        {"top": 10**30},
        {"top": float("nan")},
        {"left": float("inf")},
        {"top": 1.5},
        {"top": True},
        {"left": None},
        {"left": "12"},
        {"top": [1]},
        {"left": {}},
        {"side": 129},
        {"side": 0},
        {"side": -128},
        {"side": True},
        {"side": 1e400},
        {"side": "128"},
        {"side": 10_000},
        {"photo": "somebody's"},
        {"photo": None},
        {"photo": ["portrait"]},
        {"photo": {"path": "/etc/passwd"}},
        {"settings": settings_of("both")},
        {"settings": settings_of(["clean"])},
        {"settings": settings_of({})},
        {"settings": settings_of(seed=-1)},
        {"settings": settings_of(seed=None)},
        {"settings": settings_of(noise="rain")},
        {"settings": settings_of(noise=["gaussian"])},
        {"settings": settings_of(methods=["nobody"])},
        {"settings": settings_of(methods=["residual-unet-flow"])},
        {"settings": settings_of(methods=[["median"]])},
        {"settings": settings_of(methods="median")},
        {"settings": [*settings_of(), 1]},
        {"settings": settings_of()[:-1]},
        {"settings": []},
        {"settings": 1},
        {"settings": {}},
    ],
    ids=str,
)
def test_what_can_t_be_used_is_one_sentence(wrong):
    with pytest.raises(ExperimentError) as caught:
        parse(written(**wrong))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [None, "", 5, [], {}, "null", "[]", '"portrait"', "{", "[" * 100_000, b"{}", "1e999"],
    ids=repr,
)
def test_what_is_no_request_at_all_is_one_sentence(text):
    with pytest.raises(ExperimentError):
        parse(text)


def test_too_many_methods_are_one_sentence():
    many = list(photo_methods())
    assert len(many) > MOST_METHODS
    with pytest.raises(ExperimentError, match=str(MOST_METHODS)):
        parse(written(settings_of(methods=many)))


def test_networks_for_colour_are_left_out_of_a_gray_photo():
    colour = next(name for name, info in photo_methods().items() if info.colour)
    settings = settings_of(methods=(colour, "median"))
    gray = Held("mine", Photo(made_up(colour=False)))
    for held, expected in ((gray, ("median",)), (portrait(), (colour, "median"))):
        found = parse_request(written(settings), SLIDERS, lambda photo_id, held=held: held)
        assert found is not None
        assert found.methods == expected
    assert "networks for colour are left out" in photo_payload(gray)["about"]
    assert "left out" not in photo_payload(portrait())["about"]


def test_the_region_of_a_photo_that_is_smaller_than_it_is_all_of_it():
    held = Held("mine", Photo(made_up(100, 140)))
    text = written(photo="mine", top=0, left=40, side=256)
    asked = parse_request(text, SLIDERS, lambda _: held)
    assert asked.region == Square(0, 40, 100)
    assert region_payload(asked, "median", 1)["side"] == 100


def test_the_methods_offered_are_all_but_flows():
    assert {info.family for info in photo_methods().values()}.isdisjoint({"flow"})
    assert set(default_methods()) <= set(photo_methods())
    assert len(default_methods()) < MOST_METHODS
    asked = request(methods=("median", "nl-means"))
    assert [parse_method(asked, name) for name in ("nl-means", "x", None, [], "residual-unet")] == [
        "nl-means",
        *["median"] * 4,
    ]
    assert parse_method(request(methods=()), "median") is None


# What is sent


def pixels_of(card, side=128) -> np.ndarray:
    return np.frombuffer(base64.b64decode(card["pixels"]), np.uint8).reshape(side, side, -1)


def cards_of(payload) -> dict[str, Any]:
    return {card["id"]: card for card in payload["cards"]}


def test_of_a_clean_photo_the_region_has_every_score():
    asked = request(methods=("residual-unet", "median"))
    payload = json.loads(json.dumps(region_payload(asked, "median", 7), allow_nan=False))
    cards = cards_of(payload)
    assert list(cards) == ["clean", "noisy", "residual-unet", "median"]
    np.testing.assert_array_equal(pixels_of(cards["clean"]), asked.held.photo.pixels[100:228, 120:248])
    noisy = noisy_part(asked.held.photo.pixels, asked.noise, 5, 100, 120, 128, 128)
    np.testing.assert_array_equal(pixels_of(cards["noisy"]), to_uint8(to_unit(noisy)))
    assert cards["residual-unet"].get("pending")  # only the one on the stage is computed at once
    assert cards["median"]["gain"].endswith(" dB")
    own, before = (float(cards[name]["psnr"].split()[0]) for name in ("median", "noisy"))
    assert float(cards["median"]["gain"].split()[0]) == pytest.approx(own - before, abs=0.06)
    assert (payload["version"], payload["clean"]) == (7, True)
    (others,) = [p for p in others_payload(asked, "median") if p is not None]
    assert others["key"] == payload["key"]
    assert [card["id"] for card in others["cards"]] == ["residual-unet"]
    assert others["cards"][0]["gain"].endswith(" dB")


def test_of_a_noisy_photo_there_is_no_score():
    asked = request(noise=None, methods=("median", "nl-means"))
    payload = region_payload(asked, "nl-means", 1)
    cards = cards_of(payload)
    assert list(cards) == ["noisy", "median", "nl-means"]
    np.testing.assert_array_equal(pixels_of(cards["noisy"]), asked.held.photo.pixels[100:228, 120:248])
    assert not {"psnr", "ssim", "gain", "psnrRank"} & set(cards["nl-means"])
    assert cards["nl-means"]["strength"].endswith(", estimated")


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("deep", [True, False])
def test_gray_and_colour_and_both_depths(colour, deep):
    pixels = made_up(300, 320, colour=colour, deep=deep)
    asked = request(pixels, region=Square(50, 60, 128))
    cards = cards_of(region_payload(asked, "median", 1))
    expected = to_uint8(to_unit(pixels[50:178, 60:188])).reshape(128, 128, -1)
    np.testing.assert_array_equal(pixels_of(cards["clean"]), expected)
    described = photo_payload(asked.held)
    assert f"{'colour' if colour else 'gray'}, {16 if deep else 8} bits" in described["about"]


def test_nothing_to_remove_is_said():
    asked = request(noise=GaussianNoise(0), methods=("median",))
    cards = cards_of(region_payload(asked, "median", 1))
    assert cards["noisy"]["psnr"] == "∞ dB"
    assert cards["median"]["gain"].startswith("destroys")
    json.dumps(cards, allow_nan=False)


def test_strength_is_known_or_estimated_from_the_whole_photo():
    assert find_sigma(request(noise=GaussianNoise(0.1))).value == pytest.approx(0.1)
    assert find_sigma(request(noise=GaussianNoise(0.1))).source == "known"
    assert find_sigma(request(noise=create_noise("salt-and-pepper"))).source == "estimated"
    clean = np.full((700, 800), 128, np.uint8)
    noisy = to_uint8(to_unit(noisy_part(clean, GaussianNoise(0.08), 0, 0, 0, 700, 800)))
    found = find_sigma(request(noisy, noise=None))
    assert found.source == "estimated"
    assert found.value == pytest.approx(0.08, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (48, 3000), (256, 257), (700, 900), (3000, 2000)])
def test_samples_are_places_of_the_photo_from_where_jpeg_s_blocks_begin(shape):
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    samples = samples_of(np.stack([rows, columns], axis=-1))
    assert samples.shape[:2] == tuple(min(side, 768) for side in shape)
    # Where a place begins in the photo and among the samples is the same within a block of 8.
    np.testing.assert_array_equal(samples[:, 0, 0] % 8, np.arange(len(samples)) % 8)
    assert samples[-1, -1].tolist()[0] >= shape[0] - 8
    assert samples[0, 0].tolist() == [0, 0]


def noisy_photo(sigma=20 / 255, is_lossy=False) -> Held:
    clean = made_up(400, 420)
    noisy = noisy_part(clean, GaussianNoise(sigma), 1, 0, 0, 400, 420)
    return Held("mine", Photo(to_uint8(to_unit(noisy))), is_lossy)


def follow_up(held, methods=("median", "bilateral")):
    asked = PhotoRequest(held, None, 0, Square(100, 120, 128), methods)
    live = region_payload(asked, methods[0], 1)
    (others,) = [payload for payload in others_payload(asked, methods[0]) if payload is not None]
    return live, cards_of(others)


def test_of_a_noisy_photo_kind_and_strength_are_estimated_and_psnr_by_stein_s_method():
    held = noisy_photo()
    live, others = follow_up(held)
    assert "Gaussian" in live["about"]
    assert "Stein's estimate" in live["about"]
    assert find_sigma(PhotoRequest(held, None, 0, Square(0, 0, 128), ())).value == pytest.approx(
        20 / 255, rel=0.1
    )
    assert list(others) == ["median", "bilateral"]  # the one on the stage, too: its estimate follows
    clean = to_unit(made_up(400, 420))[100:228, 120:248]
    for card in others.values():
        truth = psnr(pixels_of(card).astype(np.float32) / 255, clean)
        assert float(card["stein"].split()[1]) == pytest.approx(truth, abs=1.5)
        low, high = card["steinRange"].removesuffix(" dB").split(" to ")
        assert float(low) < float(high)


def test_of_a_lossy_file_and_of_other_noise_no_psnr_is_estimated():
    live, others = follow_up(noisy_photo(is_lossy=True))
    assert "compressed with losses" in live["about"]
    impulses = noisy_part(made_up(400, 420), create_noise("salt-and-pepper"), 1, 0, 0, 400, 420)
    salty, others_of_salty = follow_up(Held("mine", Photo(to_uint8(to_unit(impulses)))))
    assert "Salt and pepper" in salty["about"]
    assert "left out" in salty["about"]
    for card in (*others.values(), *others_of_salty.values()):
        assert "stein" not in card


@pytest.mark.parametrize(
    ("kind", "noise", "says"),
    [
        (
            "gaussian",
            GaussianNoise(0.08),
            "Gaussian, sigma 20.4 of 255 (18.9 to 22.9 in 95 of 100 test pictures)",
        ),
        ("jpeg", None, "JPEG compression, with a strength of 20.4 of 255"),
        ("clean", None, "Hardly any noise"),
        ("unknown", None, "no kind that can be told"),
    ],
)
def test_how_sure_an_estimate_is_is_said(kind, noise, says):
    held = noisy_photo()
    found = NoiseEstimate(kind, 0.08, noise, confidence=0.93, low=0.0743, high=0.0897)
    vars(held)["noise"] = found  # as if it had been estimated
    assert says in describe_noise(held)
    assert ("93 % were it" in describe_noise(held)) is (kind in ("gaussian", "jpeg"))
    assert describe_noise(held).endswith(".")


@pytest.mark.parametrize(
    ("estimate", "stein", "interval"),
    [
        (PsnrEstimate(31.24, 0.3, 30.61, 31.93, 0.0), "about 31.2 dB", "30.6 to 31.9 dB"),
        (PsnrEstimate(38.0, 3.0, 33.04, math.inf, 0.0), "about 38.0 dB", "33.0 or more dB"),
        (PsnrEstimate(math.nan, math.nan, 44.7, math.inf, 0.0), "above 44.7 dB", None),
        (PsnrEstimate(math.nan, math.nan, math.nan, math.inf, 0.0), "PSNR can't be told", None),
        (PsnrEstimate(20.0, math.inf, -math.inf, math.inf, 0.0), "PSNR can't be told", None),
    ],
)
def test_an_estimate_of_psnr_in_words(monkeypatch, estimate, stein, interval):
    monkeypatch.setattr("denoiser.ui.photo.unknown.stein_psnr", lambda *_, **__: estimate)
    held = noisy_photo()
    vars(held)["noise"] = NoiseEstimate("gaussian", 0.08, GaussianNoise(0.08))
    written_down = estimate_psnr(to_unit(held.photo.pixels), Halving(), held)
    assert (written_down["stein"], written_down.get("steinRange")) == (stein, interval)


def test_without_what_tells_kinds_the_noise_is_of_no_kind(monkeypatch):
    def fail(method_id):
        raise WeightsError("The weights are missing.")

    monkeypatch.setattr(registry, "create_denoiser", fail)
    asked = PhotoRequest(noisy_photo(), None, 0, Square(100, 120, 128), ("median",))
    assert "no kind that can be told" in region_payload(asked, None, 1)["about"]
    assert find_sigma(asked).value == pytest.approx(20 / 255, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "options", "lossy"),
    [
        ("PNG", {}, False),
        ("TIFF", {}, False),
        ("BMP", {}, False),
        ("WEBP", {"lossless": True}, False),
        ("WEBP", {"quality": 80}, True),
        ("JPEG", {}, True),
        ("AVIF", {}, True),
    ],
)
def test_files_with_losses_are_told(kind, options, lossy):
    buffer = io.BytesIO()
    PIL.Image.fromarray(made_up(64, 64)).save(buffer, kind, **options)
    assert is_lossy(buffer.getvalue()) is lossy


def test_a_region_is_denoised_as_part_of_the_whole():
    """What lies around a region counts at its edge."""
    asked = request(methods=("median",), region=Square(200, 200, 128))
    region = find_region(asked)
    whole = noisy_part(asked.held.photo.pixels, asked.noise, 5, 0, 0, 512, 512)
    np.testing.assert_array_equal(region.cut(region.noisy), to_unit(whole[200:328, 200:328]))
    corner = find_region(request(region=Square(0, 384, 128)))
    assert corner.cut(corner.noisy).shape == (128, 128, 3)


def test_nothing_of_a_file_is_in_what_is_sent():
    """Neither its name, which nobody is told, nor what else it says of itself."""
    exif = PIL.Image.Exif()
    exif[0x010F] = "Somebody's camera"
    buffer = io.BytesIO()
    PIL.Image.fromarray(made_up(60, 80)).save(buffer, "JPEG", exif=exif)
    held = Photos().receive(buffer.getvalue(), "mine", "here")
    assert "camera" not in json.dumps(photo_payload(held))
    asked = PhotoRequest(held, None, 0, Square(0, 0, 60), ("median",))
    assert "camera" not in json.dumps(region_payload(asked, None, 1))


# A session's photo


def encoded(pixels) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_photo_is_its_session_s_alone():
    photos = Photos()
    held = photos.receive(encoded(made_up(60, 80)), "mine", "here")
    assert photos.find(held.id, "mine") is held
    assert photos.find(held.id, "another's") is None
    assert photos.find(held.id, "") is None
    assert photos.find(PORTRAIT, "another's") is portrait()
    newer = photos.receive(encoded(made_up(80, 60)), "mine", "here")
    assert photos.find(held.id, "mine") is None
    assert photos.find(newer.id, "mine") is newer


def test_a_bad_file_leaves_the_photo_that_was_there():
    photos = Photos()
    held = photos.receive(encoded(made_up(60, 80)), "mine", "here")
    with pytest.raises(ImageError):
        photos.receive(b"no picture", "mine", "here")
    assert photos.find(held.id, "mine") is held


def test_a_photo_goes_when_others_need_the_room(monkeypatch):
    monkeypatch.setattr("denoiser.ui.photo.session.PHOTOS_BYTES", 2 * made_up(60, 80).nbytes)
    photos = Photos()
    first, second, third = (photos.receive(encoded(made_up(60, 80)), str(i), "here") for i in range(3))
    assert photos.find(first.id, "0") is None
    assert photos.find(third.id, "2") is third
    reference = weakref.ref(second)
    photos.close("1")
    del second
    photos._photos.forget("1")
    gc.collect()
    assert reference() is None


# The whole photo


class Halving(Denoiser):
    """Halves the distance to mid-gray: what becomes of a pixel tells what it was given."""

    info = DenoiserInfo("halving", "Halving", "classical", False, None, 0, "-")

    def _denoise(self, noisy, sigma):
        return 0.5 + (noisy - 0.5) / 2


def run_whole(asked, denoiser=None) -> tuple[list[float], Result]:
    *shares, result = compute_whole(asked, denoiser or Halving())
    assert isinstance(result, Result)
    return shares, result


def test_the_whole_photo_has_the_noise_of_its_regions():
    pixels = made_up(300, 350)
    asked = request(pixels, region=Square(130, 200, 128))
    shares, result = run_whole(asked)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1
    assert shares[-1] == pytest.approx(1)
    region = find_region(asked)
    expected = to_deep(Halving()(region.cut(region.noisy)))
    part = result.whole.photo.pixels[130:258, 200:328]
    np.testing.assert_allclose(part.astype(int), expected.astype(int), atol=1)
    noisy = to_unit(noisy_part(pixels, asked.noise, 5, 0, 0, 300, 350))
    error = np.square(noisy - to_unit(pixels), dtype=np.float64).mean()
    assert result.noisy_psnr == pytest.approx(-10 * math.log10(error), abs=0.01)


def test_a_noisy_photo_is_repaired_as_it_is():
    pixels = made_up(90, 110, colour=False, deep=True)
    _, result = run_whole(request(pixels, noise=None, region=Square(0, 0, 64)))
    assert (result.psnr, result.noisy_psnr) == (None, None)
    assert result.whole.photo.pixels.dtype == np.uint16
    expected = to_deep(Halving()(to_unit(pixels)))
    np.testing.assert_allclose(result.whole.photo.pixels.astype(int), expected.astype(int), atol=1)


def test_the_whole_photo_keeps_profile_and_exif():
    source = Photo(made_up(60, 60), b"a profile", b"Exif data")
    asked = PhotoRequest(Held("mine", source), None, 0, Square(0, 0, 60), ("median",))
    photo = run_whole(asked)[1].whole.photo
    assert (photo.icc_profile, photo.exif) == (b"a profile", b"Exif data")


@pytest.mark.parametrize("method", ["attention-unet", "residual-unet", "nl-means"])
def test_a_region_looks_as_it_will_in_the_whole_photo(method):
    """To what a screen can show, though networks look further than there are pixels around a region."""
    asked = request(methods=(method,), region=Square(192, 150, 128))
    _, result = run_whole(asked, create_denoiser(method))
    card = cards_of(region_payload(asked, method, 1))[method]
    part = to_uint8(to_unit(result.whole.photo.pixels[192:320, 150:278]))
    differences = np.abs(pixels_of(card).astype(int) - part)
    assert differences.mean() < 0.2
    assert np.percentile(differences, 99) <= 2


def test_a_computation_in_steps_runs_only_while_somebody_waits():
    seen = []

    def work(progress, stop):
        for number in range(3):
            seen.append(number)
            progress(number / 3)
        return "the result"

    steps = in_steps(work)
    assert seen == []
    assert next(steps) == 0
    assert seen == [0]
    assert list(steps) == [1 / 3, 2 / 3, "the result"]


def test_a_computation_in_steps_fails_where_it_fails():
    def work(progress, stop):
        progress(0.5)
        raise ValueError("in the middle")

    steps = in_steps(work)
    next(steps)
    with pytest.raises(ValueError, match="in the middle"):
        next(steps)


def test_a_computation_nobody_waits_for_is_told_to_stop():
    told = threading.Event()

    def work(progress, stop):
        while not stop():
            progress(0.1)
        told.set()
        raise RuntimeError("stopped")

    steps = in_steps(work)
    next(steps)
    assert not told.is_set()
    steps.close()
    assert told.wait(60)


def test_room_is_given_in_turn_and_given_back():
    room = Room(10)
    with room.queue_for(6) as first, room.queue_for(6) as second, room.queue_for(4) as third:
        assert first()
        assert not second()
        assert not third()  # there would be room, but it is not its turn
    with room.queue_for(100) as huge, room.queue_for(1) as small:
        assert huge()  # alone
        assert not small()


def test_one_that_gives_up_waiting_makes_way():
    room = Room(10)
    with room.queue_for(10) as first:
        assert first()
        with room.queue_for(10) as second:
            assert not second()
        with room.queue_for(1) as third:
            assert not third()
    with room.queue_for(10) as fourth:
        assert fourth()


# How the tab is wired


@pytest.fixture(scope="module")
def tab() -> dict[str, Any]:
    """The tab's events, by the names of their functions."""
    with gr.Blocks() as app:
        with gr.Tabs(), gr.Tab("Photo") as photo:
            create_photo_tab(photo.select, app.unload)
        assert all(e.api_visibility == "private" or not e.outputs for e in app.fns.values())
    return {event.name: event.fn for event in app.fns.values() if event.fn is not None}


@pytest.fixture
def receive(tab, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def receive(content: bytes, session="mine") -> dict[str, Any]:
        place = tmp_path / f"{len(list(tmp_path.iterdir())):032x}" / ("b" * 64)
        place.mkdir(parents=True)
        (place / "my secret name.png").write_bytes(content)
        answer = tab["receive"]({"path": str(place / "my secret name.png")}, session_request(session))
        return dict(zip(("picture", "map", "answer", "whole", "note"), answer, strict=True))

    return receive


def test_a_photo_that_comes_has_to_be_said_what_it_is(tab, receive):
    got = receive(encoded(made_up(200, 300)))
    assert got["picture"] is None  # the box is ready for another
    assert got["answer"] is None
    shown = json.loads(got["map"])
    assert (shown["width"], shown["height"]) == (300, 200)
    assert "secret" not in json.dumps(got)
    region = {"photo": shown["id"], "top": 10, "left": 20}
    assert json.loads(tab["look"](session_request(), written(settings_of(None), **region), ""))[
        "question"
    ]
    seen = json.loads(tab["look"](session_request(), written(**region), "median"))
    assert [card["id"] for card in seen["cards"]] == ["clean", "noisy", "median"]


def test_another_session_sees_nothing_of_it(tab, receive):
    shown = json.loads(receive(encoded(made_up(200, 300)))["map"])
    region = {"photo": shown["id"], "top": 10, "left": 20}
    for session in ("another's", "", None):
        assert json.loads(tab["look"](session_request(session), written(**region), ""))["error"] == GONE


def test_a_bad_photo_is_one_sentence_and_changes_nothing(receive, tmp_path):
    for content in (b"", b"no picture", encoded(made_up(60, 80))[:200]):
        got = receive(content)
        assert got["picture"] is None
        assert got["map"] == got["answer"] == got["whole"] == gr.skip()
        assert got["note"].endswith(".")
        assert str(tmp_path) not in got["note"]


def test_a_file_that_was_not_uploaded_is_not_read(tab, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    answer = tab["receive"]({"path": "/etc/passwd"}, session_request())
    assert answer[1] == gr.skip()
    assert "passwd" not in answer[-1]


def test_what_can_t_be_read_keeps_the_pictures(tab):
    for text in ("", None, "[" * 100_000, written(top=-5), written(settings_of(seed=None))):
        payload = json.loads(tab["look"](session_request(), text, []))
        assert set(payload) == {"version", "error"}


def test_what_another_photo_ends_says_nothing(tab, monkeypatch):
    # What it said, newer than the other photo, would keep the page from showing that there is no result.
    going_on = threading.Event()

    def compute_whole(*_):
        while not going_on.wait(0.01):
            yield 0.5

    monkeypatch.setattr("denoiser.ui.photo.tab.compute_whole", compute_whole)
    monkeypatch.setattr("denoiser.ui.photo.tab._SEND_SECONDS", 0.0)
    queue = SimpleNamespace(pending_messages_per_session={})
    visitor = session_request()
    visitor.app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(_queue=queue))

    async def states() -> list[str]:
        found = []
        async for output in tab["event"](visitor, written(), "median"):
            if not isinstance(output, str):
                continue
            found.append(json.loads(output)["state"])
            if found.count("running") == 3:
                assert json.loads(tab["use_portrait"](visitor)[2])["state"] == "idle"
        return found

    try:
        assert set(run(states())) == {"running"}
    finally:
        going_on.set()


def test_a_whole_photo_that_is_gone_is_one_sentence(tab):
    with pytest.raises(gr.Error, match="compute it again"):
        tab["save"](session_request("nobody's"))


def test_a_photo_in_floats_and_back_is_the_same():
    for pixels in (made_up(50, 60), made_up(50, 60, deep=True)):
        np.testing.assert_array_equal(to_deep(to_unit(pixels)), to_bits(pixels, 16))
    np.testing.assert_array_equal(to_unit(made_up(5, 6)), from_uint8(made_up(5, 6)))
