"""What a person can upload, and what becomes of it."""

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
    from_uint8,
    load_face,
    load_image,
    to_png,
    to_uint8,
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
        with pytest.raises(ImageError, match="uint8, uint16 or floats"):
            load_image(np.zeros((4, 4), np.int16))

    @pytest.mark.parametrize("size", [0, -1, 5001, 48.0, "48"])
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

    def test_load_image_crops_alike(self):
        np.testing.assert_array_equal(
            load_image(astronaut(), size=48, crop_face=True), load_face(astronaut()).image
        )
        cropped = load_image(astronaut(), crop_face=True, gray=False)
        assert cropped.shape[0] == cropped.shape[1] < 200
        assert cropped.shape[2] == 3

    def test_largest_of_several_faces_is_used(self):
        large = astronaut()[:260, 100:360]
        pixels = np.zeros((260, 460, 3), np.uint8)
        pixels[30:230, :200] = cv2.resize(large, (200, 200), interpolation=cv2.INTER_AREA)
        pixels[:, 200:] = large
        face = load_face(pixels)
        assert face.note == "2 faces found, the largest was used."
        alone = load_face(large).image
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
