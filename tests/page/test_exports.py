"""What can be downloaded: valid files that hold the very numbers and pixels of the comparison."""

import csv
import io
import math
import zipfile

import numpy as np
import PIL.Image
import pytest

from denoiser.analysis.contact_sheet import ERROR_GAIN, contact_sheet_png
from denoiser.images import load_image, to_uint8
from denoiser.noise import GaussianNoise
from denoiser.pipeline import compare
from denoiser.ui.compare.exports import CSV_COLUMNS, numbers_csv, pictures_zip
from tests.doubles import Fixed

METHODS = ("median", "wavelet")


@pytest.fixture(scope="module")
def comparison(face):
    return compare(face, GaussianNoise(0.1), 3, METHODS)


def rows(comparison, labels=None):
    return list(csv.DictReader(io.StringIO(numbers_csv(comparison, labels))))


class TestNumbers:
    def test_noisy_first_then_methods_in_order(self, comparison):
        assert numbers_csv(comparison).splitlines()[0] == ",".join(CSV_COLUMNS)
        assert [row["id"] for row in rows(comparison)] == ["noisy", *METHODS]

    def test_all_digits(self, comparison):
        for row in rows(comparison)[1:]:
            result = comparison[row["id"]]
            assert float(row["psnr"]) == result.psnr
            assert float(row["ssim"]) == result.ssim
            assert float(row["gain"]) == comparison.gain(row["id"])
            assert float(row["milliseconds"]) == result.milliseconds
            assert row["sigma_source"] == result.sigma.source

    def test_sigma_only_where_one_was_used(self, comparison):
        noisy, median, wavelet = rows(comparison)
        assert noisy["sigma"] == median["sigma"] == ""
        assert float(wavelet["sigma"]) == pytest.approx(0.1)
        assert wavelet["sigma_source"] == "known"

    def test_noisy_row_gains_nothing(self, comparison):
        assert float(rows(comparison)[0]["gain"]) == 0
        assert float(rows(comparison)[0]["psnr"]) == comparison.noisy.psnr

    def test_infinity_can_be_read_back(self, face):
        _, row = rows(compare(face, GaussianNoise(0.1), 0, [Fixed(face)]))
        assert row["psnr"] == row["gain"] == "inf"
        assert float(row["psnr"]) == math.inf

    def test_no_noise_no_gain(self, face):
        """What isn't there can't be scored against: no gain of minus infinity."""
        for answer in (face, 1 - face):
            made = compare(face, GaussianNoise(0), 0, [Fixed(answer)])
            assert [row["gain"] for row in rows(made)] == ["", ""]

    def test_what_is_not_defined_is_empty(self):
        small = np.full((5, 5), 0.5, np.float32)
        assert {row["ssim"] for row in rows(compare(small, GaussianNoise(), 0, ["median"]))} == {""}

    def test_labels(self, comparison):
        assert [row["label"] for row in rows(comparison, {"median": 'My, "median"'})] == [
            "Noisy picture",
            'My, "median"',
            "Wavelet shrinkage",
        ]


class TestZip:
    def test_pictures_are_lossless(self, comparison):
        archive = zipfile.ZipFile(io.BytesIO(pictures_zip(comparison)))
        assert archive.testzip() is None
        pictures = {"clean": comparison.corruption.clean, "noisy": comparison.corruption.noisy}
        pictures |= {name: result.image for name, result in comparison.items()}
        assert archive.namelist() == [*(f"{name}.png" for name in pictures), "numbers.csv"]
        for name, image in pictures.items():
            stored = np.asarray(PIL.Image.open(archive.open(f"{name}.png")))
            np.testing.assert_array_equal(stored, to_uint8(image))

    def test_holds_the_numbers(self, comparison):
        archive = zipfile.ZipFile(io.BytesIO(pictures_zip(comparison)))
        assert archive.read("numbers.csv").decode() == numbers_csv(comparison)

    def test_says_nothing_about_when(self, comparison):
        archive = zipfile.ZipFile(io.BytesIO(pictures_zip(comparison)))
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        assert pictures_zip(comparison) == pictures_zip(comparison)

    def test_colour(self, face):
        clean = np.stack([face, face.T, face], axis=-1)
        archive = zipfile.ZipFile(
            io.BytesIO(pictures_zip(compare(clean, GaussianNoise(), 0, ["median"])))
        )
        stored = np.asarray(PIL.Image.open(archive.open("clean.png")))
        np.testing.assert_array_equal(stored, to_uint8(clean))


class TestContactSheet:
    def tile_corners(self, sheet, image):
        """Where the picture stands on the sheet, enlarged by repeating its pixels."""
        factor = 192 // image.shape[0]
        tile = to_uint8(image).repeat(factor, 0).repeat(factor, 1)
        height, width = tile.shape
        rows, columns = sheet.shape[0] - height + 1, sheet.shape[1] - width + 1
        candidates = np.argwhere(
            (sheet[:rows, :columns] == tile[0, 0])
            & (sheet[height - 1 :, width - 1 :] == tile[-1, -1])
            & (sheet[height - 1 :, :columns] == tile[-1, 0])
        )
        return [
            (top, left)
            for top, left in candidates.tolist()
            if np.array_equal(sheet[top : top + height, left : left + width], tile)
        ]

    def test_every_picture_is_on_it_once_pixel_by_pixel(self, comparison):
        sheet = np.asarray(PIL.Image.open(io.BytesIO(contact_sheet_png(comparison, "A"))))
        np.testing.assert_array_equal(np.ptp(sheet, axis=-1), 0)
        shown = [comparison.corruption.clean, comparison.corruption.noisy]
        shown += [result.image for result in comparison.values()]
        corners = [self.tile_corners(sheet[..., 0], image) for image in shown]
        assert [len(found) for found in corners] == [1, 1, 1, 1]
        assert len({corner for found in corners for corner in found}) == 4

    def test_no_metadata(self, comparison):
        picture = PIL.Image.open(io.BytesIO(contact_sheet_png(comparison, "Somebody's name")))
        picture.load()
        assert picture.format == "PNG"
        assert picture.info == {}

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 4},
            {"noise": GaussianNoise(0.1001)},
            {"title": "B"},
            {"labels": {"median": "Other"}},
        ],
    )
    def test_title_noise_strength_seed_and_labels_are_written(self, face, comparison, change):
        noise = change.get("noise", GaussianNoise(26 / 255))
        base = compare(face, GaussianNoise(26 / 255), 3, METHODS)
        other = compare(face, noise, change.get("seed", 3), METHODS)
        one = contact_sheet_png(base, "A")
        two = contact_sheet_png(other, change.get("title", "A"), change.get("labels"))
        band = slice(0, 60) if "labels" not in change else slice(None)
        first, second = (np.asarray(PIL.Image.open(io.BytesIO(png)))[band] for png in (one, two))
        assert not np.array_equal(first, second)

    @pytest.mark.parametrize("title", ["", "x" * 3000, "Zoë 脸 😀\n\n<b>", "${alert(1)}"])
    def test_any_title(self, comparison, title):
        plain = PIL.Image.open(io.BytesIO(contact_sheet_png(comparison, "A")))
        sheet = PIL.Image.open(io.BytesIO(contact_sheet_png(comparison, title)))
        assert sheet.width == plain.width

    @pytest.mark.parametrize("shape", [(1, 1), (7, 300), (48, 48, 3), (500, 20)])
    def test_any_size(self, shape):
        clean = np.random.default_rng(0).random(shape, dtype=np.float32)
        sheet = load_image(contact_sheet_png(compare(clean, GaussianNoise(), 0, ["median"]), "A"))
        assert sheet.shape[0] > shape[0]
        assert sheet.shape[1] > 3 * max(192, shape[1])

    def test_many_methods_go_into_rows(self, face, comparison):
        more = compare(face, GaussianNoise(0.1), 3, [*METHODS, "median-5", "bilateral"])
        few, many = (PIL.Image.open(io.BytesIO(contact_sheet_png(c, "A"))) for c in (comparison, more))
        assert few.width == many.width
        assert many.height > few.height

    def test_errors_below_the_pictures(self, comparison):
        plain, drawn = (
            np.asarray(PIL.Image.open(io.BytesIO(contact_sheet_png(comparison, "A", errors=errors))))
            for errors in (False, True)
        )
        side = 192
        top = 3 * 20 + 2 * 16  # title, seed and what is below
        clean = comparison.corruption.clean
        for column, image in enumerate((clean, comparison.noisy.image, comparison["median"].image)):
            left = 16 + column * (side + 16)
            tile = drawn[top : top + 2 * side : 4, left : left + side : 4, 0]
            np.testing.assert_array_equal(tile[:48], to_uint8(image))
            np.testing.assert_array_equal(tile[48:], to_uint8(ERROR_GAIN * np.abs(image - clean)))
        assert len(drawn) > len(plain)
