"""Whole photographs: every kind of file in, PNG out, and what goes along with the pixels."""

import io
import struct

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from PIL import ExifTags

from denoiser.images import ImageError, Photo, decoding, load_image, read_photo, write_photo
from tests.pictures import (
    linear_gray_profile,
    png_chunk,
    png_profile,
    srgb_profile,
    swapped_profile,
    write_png,
    write_tiff,
)

HEIGHT, WIDTH = 5, 7
EXIF, GPS, INTEROP = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop


def pixels(bits=8, *, colour=True, height=HEIGHT, width=WIDTH):
    shape = (height, width, 3) if colour else (height, width)
    values = np.random.default_rng(0).integers(0, 2**bits, shape)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def encode(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def written(photo, bits=None):
    buffer = io.BytesIO()
    write_photo(photo, buffer, bits)
    return buffer.getvalue()


def deep_tiff(values):
    return cv2.imencode(".tiff", values if values.ndim == 2 else values[:, :, ::-1])[1].tobytes()


def chunks(png):
    """List a PNG's chunks, names and bodies, after checking what each says of itself."""
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert png[at : at + 12 + length] == png_chunk(name, body)
        found.append((name, body))
        at += 12 + length
    return found


def secret_exif(orientation=1):
    """EXIF data as a telephone writes it: with much that is nobody else's concern."""
    exif = PIL.Image.Exif()
    exif[0x010E] = "SECRET description"
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Model 1", orientation
    exif[0x013C], exif[0x8298] = "SECRET computer", "(c) somebody"
    exif[700], exif[0x9C9D] = b"SECRET xmp", "SECRET author".encode("utf-16-le")
    own = exif.get_ifd(EXIF)
    own[0x829A], own[0x8827], own[0x9003] = 0.004, 200, "2020:01:02 03:04:05"
    own[0x927C], own[0x9286] = b"SECRET maker note", b"SECRET comment"
    own[0x9011] = "+05:45"  # the time zone
    own[0xA002], own[0xA003] = WIDTH, HEIGHT
    own[0xA420], own[0xA430] = "SECRET unique id", "SECRET owner"
    own[0xA431], own[0xA435] = "SECRET body serial", "SECRET lens serial"
    own[0xA434], own[INTEROP] = "Lens 50 mm", {1: "SECRET interoperability"}
    place = exif.get_ifd(GPS)
    place[1], place[2], place[29] = "N", (47.0, 22.0, 1.0), "SECRET date"
    return with_thumbnail(exif.tobytes())


def with_thumbnail(exif):
    """Add the second directory, in which the thumbnail is."""
    tiff = bytearray(exif[6:])
    order = "<" if tiff.startswith(b"II") else ">"
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    struct.pack_into(f"{order}I", tiff, first + 2 + 12 * count, len(tiff))
    picture = b"SECRET thumbnail"
    at = len(tiff) + 2 + 2 * 12 + 4
    entries = struct.pack(f"{order}HHII", 0x0201, 4, 1, at)
    entries += struct.pack(f"{order}HHII", 0x0202, 4, 1, len(picture))
    return exif[:6] + bytes(tiff) + struct.pack(f"{order}H", 2) + entries + bytes(4) + picture


class TestPixels:
    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("colour", [False, True], ids=["gray", "colour"])
    @pytest.mark.parametrize("write", [write_png, deep_tiff], ids=["PNG", "TIFF"])
    def test_every_value_is_kept(self, bits, colour, write):
        values = pixels(bits, colour=colour)
        photo = read_photo(write(values))
        assert photo.bits == bits
        assert photo.pixels.dtype == values.dtype
        np.testing.assert_array_equal(photo.pixels, values)

    def test_all_sources(self, tmp_path):
        data = write_png(pixels())
        path = tmp_path / "photo.png"
        path.write_bytes(data)
        for source in (path, str(path), data, io.BytesIO(data), PIL.Image.open(path), pixels()):
            np.testing.assert_array_equal(read_photo(source).pixels, pixels())

    @pytest.mark.parametrize("kind", ["WEBP", "BMP", "GIF", "PPM"])
    def test_other_lossless_kinds(self, kind):
        picture = PIL.Image.fromarray(pixels() // 64 * 64)
        options = {"lossless": True} if kind == "WEBP" else {}
        expected = picture.quantize() if kind == "GIF" else picture
        photo = read_photo(encode(expected, kind, **options))
        np.testing.assert_array_equal(photo.pixels, np.asarray(expected.convert("RGB")))

    def test_jpeg(self):
        even = PIL.Image.new("RGB", (40, 24), (200, 100, 50))
        photo = read_photo(encode(even, "JPEG", quality=95))
        assert photo.pixels.shape == (24, 40, 3)
        np.testing.assert_allclose(photo.pixels.reshape(-1, 3), [[200, 100, 50]] * 960, atol=3)

    @pytest.mark.parametrize("height", [1, 3, 50])
    def test_bands_join(self, monkeypatch, height):
        monkeypatch.setattr("denoiser.images.photo._BAND_PIXELS", 3 * WIDTH)
        values = pixels(height=height)
        np.testing.assert_array_equal(read_photo(write_png(values)).pixels, values)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 300), (300, 1, 3)])
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_the_smallest(self, shape, kind):
        values = np.full(shape, 77, kind)
        again = read_photo(written(Photo(values)))
        assert again.pixels.dtype == kind
        np.testing.assert_array_equal(again.pixels, values)

    def test_bilevel_and_gray_stay_gray(self):
        assert read_photo(PIL.Image.new("1", (3, 2), 1)).pixels.tolist() == [[255] * 3] * 2
        assert read_photo(PIL.Image.new("L", (3, 2), 9)).pixels.tolist() == [[9] * 3] * 2

    @pytest.mark.parametrize("levels", [1, 15, 255, 1000, 65535])
    def test_pgm_of_any_levels(self, levels):
        size = ">u1" if levels < 256 else ">u2"
        values = np.array([[0, levels // 2, levels]])
        photo = read_photo(b"P5 3 1 %d\n" % levels + values.astype(size).tobytes())
        highest = 255 if levels == 255 else 65535
        np.testing.assert_array_equal(photo.pixels, np.rint(values / levels * highest))

    def test_floats_become_16_bits(self):
        values = np.array([[0, 0.5, 1]], np.float32)
        for source in (values, encode(PIL.Image.fromarray(values), "TIFF")):
            np.testing.assert_array_equal(read_photo(source).pixels, [[0, 32768, 65535]])

    def test_transparency_goes_over_white_and_gray_stays_gray(self):
        gray = PIL.Image.fromarray(np.array([[[0, 255], [0, 0], [100, 51]]], np.uint8), "LA")
        assert read_photo(encode(gray)).pixels.tolist() == [[0, 255, 224]]
        colour = PIL.Image.new("RGBA", (1, 1), (100, 0, 255, 51))
        assert read_photo(encode(colour)).pixels.tolist() == [[[224, 204, 255]]]

    def test_transparency_of_16_bits(self):
        values = np.dstack([pixels(16), np.full((HEIGHT, WIDTH), 13107, np.uint16)])  # a fifth
        data = cv2.imencode(".png", values[:, :, [2, 1, 0, 3]])[1].tobytes()
        expected = values[:, :, :3] * 0.2 + 0.8 * 65535
        photo = read_photo(data)
        assert photo.bits == 16
        np.testing.assert_allclose(photo.pixels, expected, atol=0.51)

    def test_transparent_value_of_16_bit_gray(self):
        values = np.array([[5, 700, 60000]], np.uint16)
        photo = read_photo(write_png(values, png_chunk(b"tRNS", struct.pack(">H", 700))))
        assert photo.pixels.tolist() == [[5, 65535, 60000]]

    def test_palette_becomes_colour(self):
        picture = PIL.Image.fromarray(pixels()).quantize(8)
        expected = np.asarray(picture.convert("RGB"))
        np.testing.assert_array_equal(read_photo(encode(picture)).pixels, expected)

    def test_what_is_seen_is_what_a_face_is_cut_out_of(self):
        """One decision for both: see the many kinds of :mod:`tests.library.test_images`."""
        for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "RGBA", "LA"):
            picture = PIL.Image.fromarray(pixels()).convert(mode)
            photo = read_photo(picture)
            expected = load_image(picture, gray=photo.pixels.ndim == 2)
            np.testing.assert_allclose(photo.pixels / 255, expected, atol=0.51 / 255)

    def test_first_frame(self):
        frames = [PIL.Image.new("L", (2, 2), value) for value in (10, 200)]
        data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
        assert read_photo(data).pixels.tolist() == [[10, 10], [10, 10]]


class TestUpright:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("bits", [8, 16])
    def test_png_is_turned_and_says_so_no_more(self, orientation, bits):
        exif = secret_exif(orientation)
        values = pixels(bits)
        photo = read_photo(write_png(values, png_chunk(b"eXIf", exif[6:])))
        expected = load_image(write_png(values, png_chunk(b"eXIf", exif[6:])), gray=False)
        np.testing.assert_allclose(photo.pixels / (2**bits - 1), expected, atol=1e-6)
        assert photo.pixels.flags.c_contiguous
        again = read_photo(written(photo))
        np.testing.assert_array_equal(again.pixels, photo.pixels)
        with PIL.Image.open(io.BytesIO(written(photo))) as picture:
            assert 0x0112 not in picture.getexif()

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
    def test_other_kinds(self, kind):
        picture = PIL.Image.new("RGB", (40, 20))
        picture.paste((255, 255, 255), (0, 0, 40, 5))  # the top
        photo = read_photo(encode(picture, kind, exif=secret_exif(6)))
        assert photo.pixels.shape == (40, 20, 3)
        assert photo.pixels[20, -2].min() > 240  # now at the right
        assert photo.pixels[20, 2].max() < 15

    @pytest.mark.parametrize("order", "<>")
    def test_deep_tiff_is_turned_once(self, order):
        values = pixels(16)
        body = values.astype(f"{order}u2").tobytes()
        tags = {258: [16] * 3, 262: [2], 277: [3], 274: [6]}
        photo = read_photo(write_tiff(WIDTH, HEIGHT, body, tags, order=order))
        np.testing.assert_array_equal(photo.pixels, np.rot90(values, -1))


class TestProfile:
    @pytest.mark.parametrize("profile", [srgb_profile(), swapped_profile()], ids=["srgb", "other"])
    @pytest.mark.parametrize("bits", [8, 16])
    def test_colours_are_left_in_theirs(self, profile, bits):
        values = pixels(bits)
        photo = read_photo(write_png(values, png_profile(profile)))
        np.testing.assert_array_equal(photo.pixels, values)
        assert photo.icc_profile == profile

    @pytest.mark.parametrize("bits", [8, 16])
    def test_gray_in_its_own(self, bits):
        values, profile = pixels(bits, colour=False), linear_gray_profile()
        photo = read_photo(write_png(values, png_profile(profile)))
        np.testing.assert_array_equal(photo.pixels, values)
        assert photo.icc_profile == profile

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
    def test_other_kinds(self, kind):
        picture = PIL.Image.fromarray(pixels())
        profile = swapped_profile()
        photo = read_photo(encode(picture, kind, icc_profile=profile))
        assert photo.icc_profile == profile

    def test_transparency_leaves_it_alone(self):
        picture = PIL.Image.new("RGBA", (2, 2), (200, 0, 0, 255))
        photo = read_photo(encode(picture, icc_profile=swapped_profile()))
        assert photo.pixels[0, 0].tolist() == [200, 0, 0]
        assert photo.icc_profile == swapped_profile()

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("colour", [False, True], ids=["gray", "colour"])
    def test_it_is_written_byte_for_byte_before_the_pixels(self, bits, colour):
        profile = swapped_profile() if colour else linear_gray_profile()
        png = written(Photo(pixels(bits, colour=colour), profile))
        names = [name for name, _ in chunks(png)]
        assert names[:2] == [b"IHDR", b"iCCP"]
        assert names[-1] == b"IEND"
        with PIL.Image.open(io.BytesIO(png)) as picture:
            picture.load()
            assert picture.info["icc_profile"] == profile
        assert read_photo(png).icc_profile == profile

    def test_gray_with_a_profile_of_colours_becomes_srgb(self):
        photo = read_photo(write_png(pixels(colour=False), png_profile(srgb_profile())))
        assert photo.icc_profile is None
        np.testing.assert_array_equal(photo.pixels, pixels(colour=False))

    def test_cmyk_becomes_srgb(self):
        photo = read_photo(encode(PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
        assert photo.icc_profile is None
        assert photo.pixels[4, 4, 0] > 200
        assert photo.pixels[4, 4, 1] < 50

    @pytest.mark.parametrize("profile", [b"nonsense", srgb_profile()[:200]])
    def test_a_broken_one_is_left_out(self, profile):
        photo = read_photo(write_png(pixels(), png_profile(profile)))
        assert photo.icc_profile is None
        np.testing.assert_array_equal(photo.pixels, pixels())

    def test_without_one_none_is_written(self):
        assert [name for name, _ in chunks(written(Photo(pixels())))][1] == b"IDAT"


class TestExif:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
    def test_only_camera_exposure_time_and_author_are_kept(self, kind):
        photo = read_photo(encode(PIL.Image.fromarray(pixels()), kind, exif=secret_exif()))
        png = written(photo)
        assert b"SECRET" not in photo.exif
        assert b"SECRET" not in png
        with PIL.Image.open(io.BytesIO(png)) as picture:
            exif = picture.getexif()
        assert {0x010F: "Maker", 0x0110: "Model 1", 0x8298: "(c) somebody"}.items() <= exif.items()
        assert {*exif} <= {0x010F, 0x0110, 0x8298, EXIF}
        own = exif.get_ifd(EXIF)
        assert own[0x829A] == pytest.approx(0.004)
        assert (own[0x8827], own[0x9003]) == (200, "2020:01:02 03:04:05")
        assert own[0xA434] == "Lens 50 mm"
        assert {*own} == {0x829A, 0x8827, 0x9003, 0xA434}
        assert not exif.get_ifd(GPS)
        assert not exif.get_ifd(ExifTags.IFD.IFD1)

    @pytest.mark.parametrize("bits", [8, 16])
    def test_it_is_one_chunk_before_the_pixels(self, bits):
        photo = read_photo(write_png(pixels(bits), png_chunk(b"eXIf", secret_exif()[6:])))
        names = [name for name, _ in chunks(written(Photo(photo.pixels, srgb_profile(), photo.exif)))]
        assert names[:4] == [b"IHDR", b"iCCP", b"eXIf", b"IDAT"]

    def test_none_where_nothing_is_left(self):
        exif = PIL.Image.Exif()
        exif.get_ifd(GPS)[1] = "N"
        exif[0x0112] = 3
        assert read_photo(encode(PIL.Image.fromarray(pixels()), "JPEG", exif=exif)).exif is None
        assert read_photo(write_png(pixels())).exif is None

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("exif", [b"", b"II*\0\xff\xff\xff\xff", bytes(40)])
    def test_broken_data_counts_as_none(self, exif):
        exif = b"Exif\0\0" + exif
        assert read_photo(encode(PIL.Image.fromarray(pixels()), "JPEG", exif=exif)).exif is None

    def test_values_of_other_types_do_no_harm(self):
        exif = PIL.Image.Exif()
        exif[0x010F] = b"\xff\xfe bytes"
        exif.get_ifd(EXIF)[0x829A] = (1, 2, 3)
        exif.get_ifd(EXIF)[0x8827] = "many"
        photo = read_photo(encode(PIL.Image.fromarray(pixels()), "JPEG", exif=exif))
        assert read_photo(written(photo)).pixels.shape == (HEIGHT, WIDTH, 3)


class TestBits:
    def test_8_bits_become_16_and_come_back(self):
        values = np.arange(256, dtype=np.uint8).reshape(16, 16)
        deep = read_photo(written(Photo(values), 16))
        np.testing.assert_array_equal(deep.pixels, values * np.uint16(257))
        np.testing.assert_array_equal(read_photo(written(deep, 8)).pixels, values)

    def test_16_bits_are_rounded_to_the_nearest_of_8(self):
        values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        shallow = read_photo(written(Photo(values), 8))
        np.testing.assert_array_equal(shallow.pixels, np.rint(values / 257))

    @pytest.mark.parametrize("bits", [0, 1, 12, 32, "8"])
    def test_others_are_refused(self, bits):
        with pytest.raises(ValueError, match="bits must be 8 or 16"):
            written(Photo(pixels()), bits)


class TestWriting:
    def test_a_path_is_written_whole_or_not_at_all(self, tmp_path, monkeypatch):
        path = tmp_path / "out.png"
        write_photo(Photo(pixels()), path)
        np.testing.assert_array_equal(read_photo(path).pixels, pixels())
        monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            write_photo(Photo(pixels(colour=False)), str(path))
        assert [file.name for file in tmp_path.iterdir()] == ["out.png"]
        np.testing.assert_array_equal(read_photo(path).pixels, pixels())

    def test_there_is_no_such_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            write_photo(Photo(pixels()), tmp_path / "none" / "out.png")

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros((2, 2), np.float32),
            np.zeros((2, 2, 4), np.uint8),
            np.zeros((2, 2, 1), np.uint8),
            np.zeros((0, 2), np.uint8),
            np.zeros(3, np.uint8),
            None,
        ],
        ids=["floats", "alpha", "one channel", "empty", "row", "nothing"],
    )
    def test_what_is_no_photo(self, bad):
        with pytest.raises(ImageError, match="A photo's"):
            Photo(bad)


class TestLimits:
    @pytest.mark.parametrize("mode", ["L", "1"])
    def test_25_megapixels(self, mode):
        photo = read_photo(encode(PIL.Image.new(mode, (5000, 5000), 1), compress_level=1))
        assert photo.pixels.shape == (5000, 5000)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
    def test_one_row_more(self, kind):
        data = encode(PIL.Image.new("1" if kind != "JPEG" else "L", (5000, 5001)), kind)
        with pytest.raises(ImageError, match="more than 25 megapixels"):
            read_photo(data)

    def test_16_bits_in_colour_may_have_as_many(self):
        side = 3500  # more than are allowed where a face is cut out
        assert side**2 > decoding.MAX_DEEP_PIXELS
        photo = read_photo(write_png(np.zeros((side, side, 3), np.uint16)))
        assert photo.pixels.shape == (side, side, 3)

    def test_files_above_10_mb(self):
        noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
        data = write_tiff(2000, 2000, noise.tobytes(), {258: [8] * 3, 262: [2], 277: [3]})
        assert len(data) > decoding.MAX_BYTES
        np.testing.assert_array_equal(read_photo(data).pixels, noise)
        with pytest.raises(ImageError, match="larger than 10 MB"):
            load_image(data)

    def test_the_largest_file(self, monkeypatch):
        purpose = decoding.Purpose(3 * 1024**2, {}, decoding.MAX_PIXELS, True)
        monkeypatch.setattr("denoiser.images.photo.WHOLE_PHOTOS", purpose)
        with pytest.raises(ImageError, match="larger than 3 MB"):
            read_photo(bytes(3 * 1024**2 + 1))

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"no picture", "isn't a picture"),
            (write_png(pixels())[:60], "damaged or cut off"),
            (write_png(pixels(16))[:60], "damaged or cut off"),
        ],
    )
    def test_one_sentence(self, data, message, tmp_path):
        path = tmp_path / "photo.png"
        path.write_bytes(data)
        with pytest.raises(ImageError, match=message) as error:
            read_photo(path)
        assert str(tmp_path) not in str(error.value)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(ImageError, match="no file of this name"):
            read_photo(tmp_path / "none.png")
