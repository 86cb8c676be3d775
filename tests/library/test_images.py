"""What a person can upload, and what becomes of it."""

import base64
import io
import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from skimage.data import astronaut, grass

from denoiser.images import (
    MAX_BYTES,
    ImageError,
    Square,
    decoding,
    from_uint8,
    load_face,
    load_image,
    load_photo,
    loading,
    to_jpeg,
    to_png,
    to_uint8,
)
from denoiser.images.decoding import MAX_DEEP_PIXELS, decode
from tests.pictures import (
    linear_gray_profile,
    png_chunk,
    png_profile,
    srgb_profile,
    swapped_profile,
    two_faces,
    write_png,
    write_tiff,
)

# 32x32, red growing to the right and green downwards, blue 128.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAFQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5j"
    "bHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAACAAAAABAAAAIAAAAAH////gAAAAAv///+AAAAACAAAAEHBp"
    "eGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAFxtZGF0AAAAUCgBrwngPf66Q9TH+x36Lua137G6g8bCp1g9Uf55"
    "LmfkF6inqVUW+Nj5suRSOhF4UmDlMFLd90TPTu2Av8zI2imn6aAOtbQFFvS+dFViZR/g"
)

LUMA = np.array([0.299, 0.587, 0.114])


def encode(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def random_rgb(height=6, width=9):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_claiming(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


class TestSources:
    def test_path_bytes_pil_and_array_agree(self, tmp_path):
        pixels = random_rgb()
        picture = PIL.Image.fromarray(pixels)
        file = tmp_path / "picture.png"
        picture.save(file)
        expected = load_image(pixels)
        for source in (file, str(file), file.read_bytes(), picture):
            np.testing.assert_array_equal(load_image(source), expected)

    def test_open_files_and_buffers(self, tmp_path):
        pixels = random_rgb()
        file = tmp_path / "picture.png"
        file.write_bytes(encode(PIL.Image.fromarray(pixels)))
        expected = load_image(pixels)
        with file.open("rb") as opened:
            np.testing.assert_array_equal(load_image(opened), expected)
        for kind in (io.BytesIO, bytearray, memoryview):
            np.testing.assert_array_equal(load_image(kind(file.read_bytes())), expected)

    @pytest.mark.parametrize(
        "source",
        [None, 3, [[0.5]], io.StringIO("text"), object()],
        ids=["none", "number", "list", "text", "object"],
    )
    def test_what_is_no_source_gets_one_sentence(self, source):
        with pytest.raises(ImageError, match="must be a path, a file's bytes"):
            load_image(source)

    def test_gray_is_luma_in_float(self):
        pixels = random_rgb()
        image = load_image(pixels)
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, pixels / 255 @ LUMA, atol=1e-6)

    def test_colour_is_kept_on_request(self):
        pixels = random_rgb()
        np.testing.assert_array_equal(load_image(pixels, gray=False), from_uint8(pixels))

    def test_gray_picture_becomes_colour_on_request(self):
        image = load_image(np.full((2, 3), 51, np.uint8), gray=False)
        np.testing.assert_array_equal(image, np.full((2, 3, 3), 0.2, np.float32))

    def test_float_array_passes_unchanged_as_a_copy(self):
        pixels = np.random.default_rng(0).random((5, 4))
        image = load_image(pixels)
        np.testing.assert_array_equal(image, pixels.astype(np.float32))
        image[:] = 0
        assert pixels.any()

    def test_single_channel_axis_is_dropped(self):
        assert load_image(np.zeros((5, 4, 1), np.uint8)).shape == (5, 4)

    def test_source_picture_is_left_alone(self):
        picture = PIL.Image.new("P", (4, 4))
        load_image(picture)
        assert picture.mode == "P"


class TestModes:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "RGBA", "LA"])
    def test_white_and_black_in_every_mode(self, mode):
        picture = PIL.Image.new("RGB", (2, 1), "white")
        picture.putpixel((0, 0), (0, 0, 0))
        np.testing.assert_allclose(load_image(picture.convert(mode)), [[0, 1]], atol=1e-6)

    def test_cmyk_jpeg(self):
        data = encode(PIL.Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG")
        assert load_image(data).max() < 0.02

    def test_rgba_goes_over_white(self):
        picture = PIL.Image.new("RGBA", (1, 1), (0, 0, 0, 51))
        np.testing.assert_allclose(load_image(encode(picture)), [[0.8]], atol=1e-6)

    def test_gray_with_alpha_goes_over_white(self):
        picture = PIL.Image.new("LA", (1, 1), (0, 0))
        np.testing.assert_array_equal(load_image(encode(picture)), [[1]])

    @pytest.mark.parametrize(("mode", "kind"), [("P", "PNG"), ("P", "GIF"), ("L", "PNG")])
    def test_transparent_value_becomes_white(self, mode, kind):
        picture = PIL.Image.new(mode, (2, 1), 1)
        picture.putpixel((0, 0), 0)
        if mode == "P":
            picture.putpalette([0, 0, 0, 0, 0, 0])
        image = load_image(encode(picture, kind, transparency=0))
        assert image[0, 0] == 1
        assert image[0, 1] < 0.01

    def test_transparent_bilevel_png(self):
        picture = PIL.Image.new("1", (2, 2), 0)
        assert load_image(encode(picture, transparency=0)).shape == (2, 2)

    def test_transparent_array_goes_over_white(self):
        np.testing.assert_array_equal(load_image(np.zeros((2, 2, 4), np.uint8)), np.ones((2, 2)))


class Test16Bit:
    values = np.array([[0, 1, 255, 256, 32768, 65534, 65535]], np.uint16)

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_gray_file_keeps_all_16_bits(self, kind):
        image = load_image(encode(PIL.Image.fromarray(self.values), kind))
        np.testing.assert_array_equal(image, self.values.astype(np.float32) / np.float32(65535))

    def test_big_endian_and_32_bit_modes(self):
        big_endian = PIL.Image.frombytes("I;16B", (7, 1), self.values.astype(">u2").tobytes())
        wide = PIL.Image.fromarray(self.values.astype(np.int32))
        expected = load_image(self.values)
        np.testing.assert_array_equal(load_image(big_endian), expected)
        np.testing.assert_array_equal(load_image(wide), expected)

    def test_more_than_16_bits_are_refused(self):
        with pytest.raises(ImageError, match="between 0 and 65535"):
            load_image(PIL.Image.fromarray(np.array([[70000]], np.int32)))

    @pytest.mark.parametrize("channels", [3, 4])
    def test_colour_png_keeps_all_16_bits(self, channels):
        pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
        stored = np.dstack([pixels, np.full((4, 5), 65535, np.uint16)])[:, :, :channels]
        order = cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA
        data = cv2.imencode(".png", cv2.cvtColor(stored, order))[1].tobytes()
        np.testing.assert_allclose(load_image(data, gray=False), pixels / 65535, atol=1e-6)

    def test_cut_off_colour_png_is_refused(self):
        pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
        data = cv2.imencode(".png", pixels)[1].tobytes()
        with pytest.raises(ImageError, match="damaged or cut off"):
            load_image(data[: len(data) // 2])

    @pytest.mark.parametrize("compression", [1, 5, 8])
    def test_colour_tiff_keeps_all_16_bits(self, compression):
        pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
        options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
        data = cv2.imencode(".tiff", pixels[:, :, ::-1], options)[1].tobytes()
        np.testing.assert_allclose(load_image(data, gray=False), pixels / 65535, atol=1e-6)

    @pytest.mark.parametrize(("order", "orientation"), [("<", 1), (">", 1), ("<", 6), ("<", 3)])
    def test_colour_tiff_of_either_order_is_upright(self, order, orientation):
        pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
        body = pixels.astype(f"{order}u2").tobytes()
        tags = {258: [16] * 3, 262: [2], 274: [orientation], 277: [3]}
        data = write_tiff(5, 4, body, tags, order=order)
        upright = {1: pixels, 3: pixels[::-1, ::-1], 6: np.rot90(pixels, -1)}[orientation]
        np.testing.assert_allclose(load_image(data, gray=False), upright / 65535, atol=1e-6)
        assert load_face(data, crop_face=False).size == upright.shape[:2]

    @pytest.mark.parametrize(("kind", "expected"), [(0, 0.2), (1, 0.7), (2, 0.6)])
    def test_fourth_channel_of_a_tiff(self, kind, expected):
        """Of no meaning, premultiplied and straight alpha."""
        pixels = np.full((2, 2, 4), [13107, 13107, 13107, 32768], np.uint16)
        tags = {258: [16] * 4, 262: [2], 277: [4], 338: [kind]}
        data = write_tiff(2, 2, pixels.tobytes(), tags)
        np.testing.assert_allclose(load_image(data), np.full((2, 2), expected), atol=1e-4)

    def test_tiff_of_separate_planes_is_refused(self):
        tags = {258: [16] * 3, 262: [2], 273: [8, 16, 24], 277: [3], 279: [8] * 3, 284: [2]}
        with pytest.raises(ImageError, match="separate planes"):
            load_image(write_tiff(2, 2, bytes(24), tags))

    @pytest.mark.parametrize("magic", ["P5", "P6"])
    @pytest.mark.parametrize("levels", [100, 1000, 65535])
    def test_ppm_keeps_its_levels(self, magic, levels):
        shape = (3, 4) if magic == "P5" else (3, 4, 3)
        values = np.random.default_rng(0).integers(0, levels + 1, shape)
        body = values.astype(">u2" if levels > 255 else "u1").tobytes()
        data = f"{magic} 4 3 {levels}\n".encode() + body
        expected = values if magic == "P6" else np.repeat(values[..., None], 3, axis=2)
        np.testing.assert_allclose(load_image(data, gray=False), expected / levels, atol=1e-5)
        with pytest.raises(ImageError, match="damaged or cut off"):
            load_image(data[:-1])

    @pytest.mark.parametrize("bits", [8, 16, 32])
    def test_tiff_that_counts_from_white(self, bits):
        values = {
            8: np.array([[0, 51, 255]], np.uint8),
            16: np.array([[0, 13107, 65535]], np.uint16),
            32: np.array([[0, 0.2, 1]], np.float32),
        }[bits]
        tags = {258: [bits], 262: [0], 277: [1], 339: [3 if bits == 32 else 1]}
        image = load_image(write_tiff(3, 1, values.tobytes(), tags))
        np.testing.assert_allclose(image, [[1, 0.8, 0]], atol=1e-6)

    def test_transparent_value_of_gray_becomes_white(self):
        data = write_png(self.values, png_chunk(b"tRNS", struct.pack(">H", 256)))
        expected = self.values / 65535
        expected[self.values == 256] = 1
        np.testing.assert_allclose(load_image(data), expected, atol=1e-6)

    def test_transparent_value_of_colour_becomes_white(self):
        pixels = np.array([[[1, 2, 3], [1, 2, 4], [65535, 0, 256]]], np.uint16)
        data = write_png(pixels, png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
        expected = pixels / 65535
        expected[0, 0] = 1
        np.testing.assert_allclose(load_image(data, gray=False), expected, atol=1e-6)

    def test_colour_png_is_turned_upright(self):
        pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        data = write_png(pixels, png_chunk(b"eXIf", exif.tobytes()[6:]))
        np.testing.assert_allclose(load_image(data, gray=False), np.rot90(pixels, -1) / 65535, atol=1e-6)

    def test_float_tiff(self):
        pixels = np.array([[0, 0.1, 1]], np.float32)
        data = encode(PIL.Image.fromarray(pixels), "TIFF")
        np.testing.assert_array_equal(load_image(data), pixels)

    @pytest.mark.parametrize("bad", [-0.1, 1.1, 255, np.nan, np.inf])
    def test_float_out_of_range_is_refused(self, bad):
        pixels = np.array([[0, bad]], np.float32)
        for source in (pixels, encode(PIL.Image.fromarray(pixels), "TIFF")):
            with pytest.raises(ImageError, match="between 0 and 1"):
                load_image(source)


class TestFormats:
    def assert_ramps(self, image, tolerance):
        ramp = np.linspace(0, 1, 32)
        expected = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], 0.5), axis=-1)
        assert image.shape == (32, 32, 3)
        assert np.abs(image - expected).mean() < tolerance

    def test_heic(self):
        self.assert_ramps(load_image(HEIC, gray=False), 0.03)

    def test_avif(self):
        ramp = np.linspace(0, 255, 32)
        pixels = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], 127.5), axis=-1)
        data = encode(PIL.Image.fromarray(pixels.astype(np.uint8)), "AVIF", quality=90)
        self.assert_ramps(load_image(data, gray=False), 0.03)

    @pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
    def test_cut_off(self, kind):
        data = HEIC if kind == "HEIC" else encode(PIL.Image.fromarray(random_rgb(40, 40)), kind)
        with pytest.raises(ImageError):
            load_image(data[: len(data) // 2])


class TestColourProfiles:
    """An embedded ICC profile says what the numbers mean; ours are sRGB."""

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
    def test_colours_are_converted(self, kind):
        pixels = np.full((16, 16, 3), [200, 100, 50], np.uint8)
        options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": "4:4:4"}
        data = encode(PIL.Image.fromarray(pixels), kind, icc_profile=swapped_profile(), **options)
        image = load_image(data, gray=False)
        np.testing.assert_allclose(image, pixels[:, :, ::-1] / 255, atol=0.02)

    def test_colours_of_16_bits_are_converted(self):
        pixels = np.full((4, 4, 3), [51400, 25700, 12850], np.uint16)
        image = load_image(write_png(pixels, png_profile(swapped_profile())), gray=False)
        np.testing.assert_allclose(image, pixels[:, :, ::-1] / 65535, atol=0.01)

    @pytest.mark.parametrize("mode", ["RGBA", "P"])
    def test_transparency_is_kept(self, mode):
        picture = PIL.Image.new("RGBA", (2, 1), (200, 100, 50, 255))
        picture.putpixel((0, 0), (0, 0, 0, 0))
        options = {"transparency": picture.convert("P").getpixel((0, 0))} if mode == "P" else {}
        data = encode(picture.convert(mode), icc_profile=swapped_profile(), **options)
        image = load_image(data, gray=False)
        np.testing.assert_array_equal(image[0, 0], [1, 1, 1])
        assert image[0, 1, 2] > image[0, 1, 0] + 0.3  # the palette has few colours

    def test_gray_that_is_proportional_to_light(self):
        ramp = np.arange(0, 256, 5, dtype=np.uint8)[None]
        light = ramp / 255
        srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        data = write_png(ramp, png_profile(linear_gray_profile()))
        np.testing.assert_allclose(load_image(data), srgb, atol=1.01 / 255)
        deep = write_png(ramp.astype(np.uint16) * 257, png_profile(linear_gray_profile()))
        np.testing.assert_allclose(load_image(deep), srgb, atol=1.01 / 255)

    def test_srgb_changes_nothing(self):
        pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), dtype=np.uint16)
        data = write_png(pixels, png_profile(srgb_profile()))
        np.testing.assert_allclose(load_image(data, gray=False), pixels / 65535, atol=1e-6)

    @pytest.mark.parametrize("profile", [b"no profile", swapped_profile()[:200]])
    def test_a_broken_profile_counts_as_none(self, profile):
        pixels = random_rgb()
        data = encode(PIL.Image.fromarray(pixels), icc_profile=profile)
        np.testing.assert_array_equal(load_image(data, gray=False), from_uint8(pixels))

    def test_a_profile_of_other_colours_counts_as_none(self):
        picture = PIL.Image.new("CMYK", (8, 8), (0, 0, 0, 255))
        assert load_image(encode(picture, "JPEG", icc_profile=swapped_profile())).max() < 0.02


class TestEndOfJpeg:
    def picture(self, **options):
        return encode(PIL.Image.fromarray(astronaut()), "JPEG", quality=90, **options)

    @pytest.mark.parametrize("progressive", [False, True])
    def test_without_its_last_two_bytes_it_is_the_same(self, progressive):
        data = self.picture(progressive=progressive)
        assert data.endswith(b"\xff\xd9")
        np.testing.assert_array_equal(load_image(data[:-2]), load_image(data))

    @pytest.mark.parametrize("missing", [3, 20, 500])
    def test_without_its_last_bytes_what_is_there_is_shown(self, missing):
        data = self.picture()
        whole, image = load_image(data), load_image(data[:-missing])
        assert 0.95 * len(whole) <= len(image) <= len(whole)
        np.testing.assert_array_equal(image[:-1], whole[: len(image) - 1])

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    @pytest.mark.parametrize("colour", ["black", "white"])
    def test_with_much_missing_it_is_refused(self, share, colour):
        pixels = astronaut()
        pixels[256:] = 0 if colour == "black" else 255
        for picture in (pixels, pixels[::-1]):
            data = encode(PIL.Image.fromarray(picture), "JPEG")
            with pytest.raises(ImageError, match="damaged or cut off"):
                load_image(data[: int(share * len(data))])

    def test_more_scans_than_anybody_writes(self, monkeypatch):
        data = encode(PIL.Image.fromarray(random_rgb(64, 64)), "JPEG", progressive=True)
        last = data[data.rfind(b"\xff\xda") : -2]
        load_image(data[:-2] + last * 20 + data[-2:])
        monkeypatch.setattr(decoding, "_MAX_SCANNED_PIXELS", 25 * 64 * 64)
        with pytest.raises(ImageError, match="too many scans"):
            load_image(data[:-2] + last * 20 + data[-2:])

    def test_scans_of_what_is_embedded_do_not_count(self):
        exif = PIL.Image.Exif()
        exif[0x010E] = "\xff\xda" * 300
        data = encode(PIL.Image.fromarray(random_rgb()), "JPEG", exif=exif)
        load_image(data + b"\xff\xda" * 300)


class TestLargePictures:
    @pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("JPEG", "RGB"), ("TIFF", "P")])
    def test_shrunk_on_the_way_they_look_the_same(self, kind, mode):
        pixels = cv2.resize(astronaut(), (1931, 1931), interpolation=cv2.INTER_CUBIC)[:1500]
        options = {"compress_level": 1} if kind == "PNG" else {}
        data = encode(PIL.Image.fromarray(pixels).convert(mode), kind, **options)
        square = load_image(data)[:, 215 : 215 + 1500]
        expected = cv2.resize(square, (48, 48), interpolation=cv2.INTER_AREA)
        assert np.abs(load_image(data, size=48) - expected).max() < 0.03
        face = load_face(data)
        assert (face.face_found, face.size) == (True, (1500, 1931))

    def test_size_is_that_of_the_upright_picture(self):
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        data = encode(PIL.Image.new("L", (4000, 3000)), "JPEG", exif=exif)
        assert load_face(data).size == (4000, 3000)

    def test_both_crops_are_of_one_decoding(self, monkeypatch):
        data = encode(PIL.Image.fromarray(astronaut()))
        expected = load_face(data), load_face(data, crop_face=False)
        opened = []
        open_picture = PIL.Image.open
        monkeypatch.setattr(PIL.Image, "open", lambda *a, **b: opened.append(1) or open_picture(*a, **b))
        photo, _ = load_photo(data)
        for square, other in zip((photo.square, photo.centre), expected, strict=True):
            np.testing.assert_array_equal(photo.cut(square, 48), other.image)
        assert (len(photo.faces), photo.note, photo.size) == (
            expected[0].faces,
            expected[0].note,
            expected[0].size,
        )
        assert len(opened) == 1

    def test_no_more_than_a_band_is_converted_at_once(self, monkeypatch):
        converted = []
        convert = loading._convert
        monkeypatch.setattr(
            loading, "_convert", lambda p, gray: converted.append(p.shape) or convert(p, gray)
        )
        load_face(encode(PIL.Image.new("RGBA", (3000, 2500))), crop_face=False)
        assert sum(height for height, *_ in converted) > 2490  # the rest of a whole factor is left
        load_photo(encode(PIL.Image.new("RGBA", (4_000_000, 2))))
        assert max(height * width for height, width, _ in converted) <= loading._BAND_PIXELS

    def test_a_jpeg_is_decoded_at_an_eighth(self):
        data = encode(PIL.Image.new("RGB", (805, 403)), "JPEG")
        picture = decode(data, lambda width, height: 8)
        assert (picture.width, picture.height, picture.size) == (101, 51, (403, 805))


class TestBombs:
    def test_png_that_says_its_size_twice(self):
        small = write_png(np.zeros((4, 4, 3), np.uint16))
        large = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 16, 2, 0, 0, 0))
        for data in (small[:8] + large + small[8:], small[:33] + large + small[33:]):
            with pytest.raises(ImageError):
                load_image(data)

    @pytest.mark.parametrize("bits", [8, 16])
    def test_tiff_that_says_its_size_twice(self, bits):
        tags = {258: [bits] * 3, 262: [2], 277: [3]}
        data = write_tiff(30_000, 30_000, bytes(96), tags, repeated=((256, 4), (257, 4)))
        with pytest.raises(ImageError):
            load_image(data)

    @pytest.mark.parametrize("bits", [8, 16])
    def test_tiff_of_tiles_larger_than_any_picture(self, bits):
        tags = {258: [bits] * 3, 259: [8], 262: [2], 277: [3], 322: [16384], 323: [16384]}
        body = zlib.compress(bytes(96))
        data = write_tiff(4, 4, body, tags | {324: [8], 325: [len(body)]})
        with pytest.raises(ImageError, match="damaged"):
            load_image(data)

    def test_tiff_of_more_strips_than_anybody_writes(self):
        rows = 60_000
        tags = {258: [8], 262: [1], 273: [8] * rows, 277: [1], 278: [1], 279: [1] * rows}
        with pytest.raises(ImageError, match="more than 50,000 strips"):
            load_image(write_tiff(1, rows, bytes(8), tags))

    @pytest.mark.parametrize("data", [b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II+\0\x08\0\0\0" + bytes(8)])
    def test_tiff_that_ends_before_its_tags(self, data):
        with pytest.raises(ImageError):
            load_image(data)

    def test_webp_takes_more_memory_than_others(self):
        data = encode(PIL.Image.new("L", (4001, 4000)), "WEBP", method=0)
        with pytest.raises(ImageError, match="more than 16 megapixels"):
            load_image(data)

    def test_files_that_are_slow_to_decode(self):
        data = b"P2\n1000 1000\n255\n" + b"255 " * 1_000_000
        assert len(data) > 4_000_000
        with pytest.raises(ImageError, match="may have 4 MB at most"):
            load_image(data)

    def test_large_picture_of_16_bits(self):
        height = MAX_DEEP_PIXELS // 4000 + 1
        data = write_png(np.zeros((height, 4000, 3), np.uint16))
        with pytest.raises(ImageError, match="16 bits in each colour and more than 12 megapixels"):
            load_image(data)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    def test_turns_as_pillow_does(self, orientation, kind):
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(PIL.Image.fromarray(random_rgb()), kind, exif=exif, **options)
        with PIL.Image.open(io.BytesIO(data)) as picture:
            picture.load()
            expected = np.asarray(PIL.ImageOps.exif_transpose(picture))
        np.testing.assert_array_equal(to_uint8(load_image(data, gray=False)), expected)

    def test_size_is_that_of_the_upright_picture(self):
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        data = encode(PIL.Image.new("L", (40, 30)), "JPEG", exif=exif)
        assert load_face(data).size == (40, 30)

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_broken_exif_counts_as_none(self):
        data = encode(PIL.Image.new("L", (4, 3)), "JPEG", exif=b"Exif\0\0MM\0\x2agarbage")
        assert load_image(data).shape == (3, 4)


class TestAnimation:
    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
    def test_first_frame_is_taken(self, kind):
        frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("white", "black")]
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert load_image(data).min() > 0.98


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"Hello, I am a text file.", "isn't a picture"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "isn't a picture"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "isn't a picture"),
            (b"\x89PNG\r\n\x1a\n", "isn't a picture"),
            (b"\0" * (MAX_BYTES + 1), "larger than 10 MB"),
            (png_claiming(50_000, 50_000), "more than 25 megapixels"),
            (png_claiming(10_000, 10_000), "more than 25 megapixels"),
            (png_claiming(20_000, 20_000), "more than 25 megapixels"),
            (png_claiming(5_001, 5_000), "more than 25 megapixels"),
            (png_claiming(1_000, 1_000), "damaged or cut off"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_file_gets_one_sentence(self, data, message, tmp_path):
        file = tmp_path / "upload.png"
        file.write_bytes(data)
        for source in (data, file):
            with pytest.raises(ImageError, match=message) as caught:
                load_image(source)
            assert str(tmp_path) not in str(caught.value)
            assert str(caught.value).endswith(".")

    @pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
    def test_bomb_where_warnings_are_errors(self):
        with pytest.raises(ImageError, match="25 megapixels"):
            load_image(png_claiming(10_000, 10_000))

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
    def test_cut_off_file(self, kind):
        data = encode(PIL.Image.fromarray(random_rgb(40, 40)), kind)
        with pytest.raises(ImageError):
            load_image(data[: len(data) // 2])

    @pytest.mark.parametrize("name", ["missing.png", ".", "nul\0byte.png", "x" * 5000])
    def test_no_such_file(self, name, tmp_path):
        with pytest.raises(ImageError) as caught:
            load_image(str(tmp_path / name))
        assert str(tmp_path) not in str(caught.value)

    def test_pil_picture_that_is_too_large(self):
        with pytest.raises(ImageError, match="25 megapixels"):
            load_image(PIL.Image.new("1", (5001, 5000)))

    @pytest.mark.parametrize("shape", [(5,), (5, 4, 2), (5, 4, 5), (1, 5, 4, 3), (0, 4), (4, 0, 3)])
    def test_array_of_another_shape(self, shape):
        with pytest.raises(ImageError):
            load_image(np.zeros(shape, np.uint8))

    def test_array_of_another_type(self):
        for kind in (np.int16, np.int64, np.uint32, bool):  # 255 in int64 may be white, or 16-bit black
            with pytest.raises(ImageError, match="uint8, uint16 or floats"):
                load_image(np.zeros((4, 4), kind))

    def test_numpy_s_numbers_are_sizes(self):
        assert load_image(np.zeros((9, 9), np.uint8), size=np.int64(4)).shape == (4, 4)
        assert load_face(np.zeros((9, 9), np.uint8), size=np.uint8(4)).image.shape == (4, 4)

    @pytest.mark.parametrize("size", [0, -1, 5001, 48.0, "48", True, np.int64(0)])
    def test_size_that_is_not_allowed(self, size):
        with pytest.raises(ImageError, match="from 1 to 5000"):
            load_image(np.zeros((4, 4), np.uint8), size=size)


class TestSize:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1), (20_000, 100), (48, 48)])
    def test_any_shape_becomes_a_square(self, shape):
        data = encode(PIL.Image.fromarray(np.full(shape, 102, np.uint8)))
        assert load_image(data).shape == shape
        for crop_face in (False, True):
            image = load_image(data, size=48, crop_face=crop_face)
            np.testing.assert_allclose(image, np.full((48, 48), 0.4), atol=1e-6)

    def test_centre_is_cropped_not_squeezed(self):
        pixels = np.zeros((10, 30), np.uint8)
        pixels[:, 10:20] = 255
        np.testing.assert_array_equal(load_image(pixels, size=10), np.ones((10, 10)))

    def test_shrinking_does_not_alias(self):
        checkerboard = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
        np.testing.assert_allclose(load_image(checkerboard, size=48), np.full((48, 48), 0.5))

    def test_enlarging_stays_in_range(self):
        pixels = np.random.default_rng(0).integers(0, 2, (25, 25), dtype=np.uint8) * 255
        image = load_image(pixels, size=48)
        assert image.min() == 0
        assert image.max() == 1

    def test_same_size_is_exact(self):
        pixels = random_rgb(48, 48)[:, :, 0]
        np.testing.assert_array_equal(load_image(pixels, size=48), from_uint8(pixels))


class TestFaces:
    def test_one_face_is_found_and_fills_the_crop(self):
        face = load_face(astronaut())
        assert (face.face_found, face.faces, face.note) == (True, 1, "")
        assert face.size == (512, 512)
        # The face lies around row 120, column 225; most of it has to be in the crop.
        expected = load_image(astronaut()[60:180, 165:285], size=48)
        assert np.corrcoef(face.image.ravel(), expected.ravel())[0, 1] > 0.7

    def test_the_crop_stays_where_it_was(self):
        """The astronaut is one of the bundled faces: another crop would change every example of it."""
        expected = load_image(astronaut()[59:176, 164:281], size=48)
        for source in (astronaut(), astronaut() / 255):
            np.testing.assert_allclose(load_face(source).image, expected, atol=1e-6)

    def test_load_image_crops_alike(self):
        np.testing.assert_array_equal(
            load_image(astronaut(), size=48, crop_face=True), load_face(astronaut()).image
        )
        cropped = load_image(astronaut(), crop_face=True, gray=False)
        assert cropped.shape[0] == cropped.shape[1] < 200
        assert cropped.shape[2] == 3

    def test_largest_of_several_faces_is_used(self):
        face = load_face(two_faces())
        assert face.note == "2 faces found, the largest was used."
        alone = load_face(two_faces()[:, 200:]).image
        assert np.corrcoef(face.image.ravel(), alone.ravel())[0, 1] > 0.7

    def test_no_face_falls_back_to_the_centre(self):
        pixels = grass()[:300, :400]
        face = load_face(pixels)
        assert (face.face_found, face.faces) == (False, 0)
        assert face.note == "No face found, so the centre was cropped."
        np.testing.assert_array_equal(face.image, load_image(pixels, size=48))

    def test_no_face_in_a_square_picture_uses_all_of_it(self):
        pixels = np.zeros((48, 48), np.uint8)
        assert load_face(pixels).note == "No face found, so the whole picture was used."

    def test_no_face_is_looked_for_unless_asked(self):
        face = load_face(astronaut(), crop_face=False)
        assert (face.face_found, face.faces, face.note) == (False, 0, "")
        np.testing.assert_array_equal(face.image, load_image(astronaut(), size=48))

    def test_face_at_the_border_is_cropped_within_the_picture(self):
        face = load_face(astronaut()[65:170, 170:290])
        assert face.image.shape == (48, 48)

    @pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
    def test_face_is_found_in_other_modes(self, mode):
        gray = PIL.Image.fromarray(to_uint8(load_image(astronaut())))
        if mode == "I;16":
            picture = PIL.Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
        else:
            picture = gray.convert(mode)
        assert load_face(picture).face_found


class TestPhotos:
    def test_each_face_from_left_to_right_and_the_largest_is_chosen(self):
        photo, _ = load_photo(two_faces())
        first, second = photo.faces
        assert first.left < 200 < second.left
        assert photo.square == second
        assert photo.note == "2 faces found, the largest was used."
        np.testing.assert_array_equal(photo.cut(second, 48), load_face(two_faces()).image)

    @pytest.mark.parametrize("height", [1, 23, 40, 300, 2400])
    @pytest.mark.parametrize("width", [1, 50, 1300])
    def test_the_smallest_square_fits_and_is_no_larger_than_a_face_may_be(self, height, width):
        photo, _ = load_photo(np.zeros((height, width), np.uint8))
        rows, columns = photo.image.shape
        assert 1 <= photo.smallest_side <= min(rows, columns)
        assert photo.smallest_side <= max(loading._SMALLEST_SIDE, max(rows, columns) / 10)
        assert photo.cut(Square(0, 0, photo.smallest_side), 48).shape == (48, 48)

    def test_in_colour_where_there_is_any(self):
        pixels = random_rgb(80, 100)
        photo, _ = load_photo(pixels)
        np.testing.assert_array_equal(photo.colour, pixels)
        assert photo.nbytes == photo.image.nbytes + pixels.nbytes
        for gray in (pixels[..., 0], np.repeat(pixels[..., :1], 3, axis=2)):
            assert load_photo(gray)[0].colour is None

    def test_a_large_picture_is_as_small_in_colour_as_in_gray(self):
        pixels = random_rgb(2000, 2400)
        photo, _ = load_photo(pixels)
        assert photo.colour.shape == (*photo.image.shape, 3)
        assert photo.image.shape < (2000, 2400)
        assert np.abs(photo.colour @ LUMA / 255 - photo.image).max() < 2 / 255

    def test_a_square_with_all_there_is_of_it(self):
        pixels = random_rgb(80, 100)
        photo, _ = load_photo(pixels)
        square = Square(7, 40, 48)
        np.testing.assert_array_equal(photo.cut_detail(square, 128), pixels[7:55, 40:88])
        smaller = photo.cut_detail(square, 24)
        expected = pixels[7:55, 40:88].reshape(24, 2, 24, 2, 3).mean(axis=(1, 3))
        assert np.abs(smaller - expected).max() <= 0.51
        gray, _ = load_photo(pixels[..., 0])
        np.testing.assert_array_equal(gray.cut_detail(square, 128), pixels[7:55, 40:88, 0])

    def test_any_square_can_be_cut(self):
        pixels = random_rgb(80, 100)
        photo, _ = load_photo(pixels)
        expected = load_image(pixels[7:55, 40:88])
        np.testing.assert_array_equal(photo.cut(Square(7, 40, 48), 48), expected)

    @pytest.mark.parametrize("orientation", [1, 6])
    def test_the_overview_is_small_upright_and_in_colour_over_white(self, orientation):
        pixels = np.dstack([cv2.resize(astronaut(), (2000, 1600)), np.full((1600, 2000), 255, np.uint8)])
        pixels[:400, :400, 3] = 0
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        data = encode(PIL.Image.fromarray(pixels), exif=exif, compress_level=1)
        _, overview = load_photo(data)
        whole = load_image(data, gray=False)
        height, width, _ = overview.shape
        assert 100_000 < height * width <= 500_000
        expected = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        assert np.abs(overview - expected).mean() < 0.01
        corner = overview[5, 5] if orientation == 1 else overview[5, -5]
        np.testing.assert_array_equal(corner, 1)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 70_000), (70_000, 1), (100, 20_000)])
    def test_of_any_picture_there_is_an_overview_that_a_jpeg_can_hold(self, shape):
        _, overview = load_photo(encode(PIL.Image.new("L", shape[::-1], 200)))
        assert max(overview.shape) <= 16_000
        with PIL.Image.open(io.BytesIO(to_jpeg(overview))) as picture:
            assert picture.size == overview.shape[1::-1]
            assert np.abs(np.asarray(picture).astype(int) - 200).max() <= 2


class TestEightBit:
    def test_all_256_values_survive_the_round_trip(self):
        values = np.arange(256, dtype=np.uint8).reshape(16, 16)
        assert from_uint8(values).dtype == np.float32
        np.testing.assert_array_equal(to_uint8(from_uint8(values)), values)
        np.testing.assert_array_equal(to_uint8(load_image(to_png(from_uint8(values)))), values)

    def test_png_is_lossless_in_colour(self):
        pixels = random_rgb()
        data = to_png(from_uint8(pixels))
        np.testing.assert_array_equal(load_image(data, gray=False), from_uint8(pixels))

    def test_floats_are_rounded_and_clipped(self):
        image = np.array([-1, 0.4 / 255, 0.6 / 255, 2], np.float32)
        np.testing.assert_array_equal(to_uint8(image), [0, 0, 1, 255])
