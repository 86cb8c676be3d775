"""Corrupt, denoise, compare and sweep, and how a network meets sizes it was not built for."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import denoiser
from denoiser.denoisers.base import Denoiser, DenoiserInfo, SigmaUsed
from denoiser.denoisers.network import denoise_padded
from denoiser.denoisers.registry import create_denoiser
from denoiser.images import Photo
from denoiser.images.values import from_unit, to_unit
from denoiser.noise import GaussianNoise, PoissonNoise, SaltAndPepperNoise, create_noise
from denoiser.pipeline import compare, corrupt, denoise, score_noisy, sweep


class Spy(Denoiser):
    """Remembers what it was given; answers with ``answer``, or with what it was given."""

    def __init__(self, name="spy", answer=None, uses_sigma=False):
        self.info = DenoiserInfo(name, name.title(), "classical", uses_sigma, None, 0, "none")
        self.answer = answer
        self.seen = []
        self.sigmas = []

    def _denoise(self, noisy, sigma):
        self.seen.append(noisy.copy())
        self.sigmas.append(sigma)
        return noisy if self.answer is None else self.answer


class Network16:
    """Stands in for a network whose sides must be multiples of 16; remembers its batches."""

    def __init__(self, function=lambda batch: batch):
        self.function = function
        self.shapes = []
        self.batches = []

    def __call__(self, batch):
        assert batch.ndim == 4
        assert batch.shape[1] == 1
        assert batch.shape[2] % 16 == batch.shape[3] % 16 == 0
        self.shapes.append(batch.shape)
        self.batches.append(batch.copy())
        return self.function(batch)


def picture(*shape):
    return np.random.default_rng(1).random(shape, dtype=np.float32)


class TestCorrupt:
    def test_holds_all_that_is_needed_to_do_it_again(self, face):
        noise = create_noise("gaussian", sigma=0.1)
        corruption = corrupt(face, noise, seed=5)
        np.testing.assert_array_equal(corruption.clean, face)
        np.testing.assert_array_equal(corruption.noisy, noise(face, 5))
        assert corruption.noise == noise
        assert corruption.seed == 5
        assert corruption.sigma == pytest.approx(0.1)

    def test_options_are_passed_on(self, face):
        noise = create_noise("gaussian", sigma=0.3)
        free = corrupt(face, noise, clip=False)
        np.testing.assert_array_equal(free.noisy, noise(face, clip=False))
        rounded = corrupt(face, noise, round_8bit=True)
        np.testing.assert_array_equal(rounded.noisy, noise(face, round_8bit=True))

    def test_sigma_only_where_one_describes_the_noise(self, face):
        assert corrupt(face, SaltAndPepperNoise()).sigma is None
        expected = math.sqrt(face.mean() / 30)
        assert corrupt(face, PoissonNoise(30)).sigma == pytest.approx(expected)

    def test_results_are_frozen(self, face):
        corruption = corrupt(face, GaussianNoise())
        with pytest.raises(FrozenInstanceError):
            corruption.seed = 3


class TestDenoise:
    def test_scores_against_the_clean_picture(self, face):
        noisy = GaussianNoise(0.1)(face)
        result = denoise(noisy, "median", clean=face)
        assert result.id == "median"
        assert result.psnr == denoiser.psnr(result.image, face)
        assert result.ssim == denoiser.ssim(result.image, face)
        assert result.milliseconds > 0

    def test_no_clean_picture_no_scores(self, face):
        result = denoise(face, "median")
        assert result.psnr is None
        assert result.ssim is None

    def test_known_sigma_is_handed_over(self, face):
        spy = Spy(uses_sigma=True)
        result = denoise(face, spy, sigma=0.2)
        assert spy.sigmas == [0.2]
        assert result.sigma == SigmaUsed(0.2, "known")

    def test_unknown_sigma_is_estimated_and_says_so(self):
        spy = Spy(uses_sigma=True)
        flat = np.full((64, 64), 0.5, np.float32)
        result = denoise(GaussianNoise(0.1)(flat, clip=False), spy)
        assert result.sigma.source == "estimated"
        assert result.sigma.value == pytest.approx(0.1, rel=0.1)
        assert spy.sigmas == [result.sigma.value]

    def test_blind_methods_get_none_and_say_so(self, face):
        spy = Spy()
        assert denoise(face, spy, sigma=0.2).sigma == SigmaUsed(None, "unused")

    def test_answer_is_clipped(self, face):
        result = denoise(face, Spy(answer=face * 4 - 1), clean=face)
        assert result.image.min() >= 0
        assert result.image.max() <= 1

    @pytest.mark.parametrize("sigma", [-0.1, 1.1, math.nan, "0.1"])
    def test_bad_sigma(self, face, sigma):
        with pytest.raises(ValueError, match="between 0 and 1"):
            denoise(face, "median", sigma=sigma)

    def test_unknown_id(self, face):
        with pytest.raises(ValueError, match=r"Unknown denoiser 'magic'.*median"):
            denoise(face, "magic")


class TestCompare:
    def test_a_denoiser_twice_is_refused_however_it_is_set(self, face):
        wide = create_denoiser("median").with_hyperparameters(radius=2)
        with pytest.raises(ValueError, match="each denoiser can be compared once"):
            compare(face, GaussianNoise(), denoisers=["median", wide])

    def test_every_method_sees_the_same_noisy_picture(self, face):
        spies = [Spy("one"), Spy("two", answer=np.zeros_like(face)), Spy("three")]
        noise = GaussianNoise(0.1)
        comparison = compare(face, noise, 3, spies)
        for spy in spies:
            (seen,) = spy.seen
            np.testing.assert_array_equal(seen, noise(face, 3))
        assert not np.array_equal(spies[0].seen[0], face)
        np.testing.assert_array_equal(comparison.corruption.noisy, noise(face, 3))

    def test_doing_nothing_scores_like_the_noisy_picture(self, face):
        comparison = compare(face, GaussianNoise(0.1), 3, [Spy()])
        assert comparison["spy"].psnr == comparison.noisy.psnr
        assert comparison["spy"].ssim == comparison.noisy.ssim
        assert comparison.gain("spy") == 0

    def test_perfect_answer(self, face):
        comparison = compare(face, GaussianNoise(0.1), 3, [Spy(answer=face)])
        assert comparison["spy"].psnr == math.inf
        assert comparison["spy"].ssim == pytest.approx(1)
        assert comparison.gain("spy") == math.inf

    def test_nothing_damaged_nothing_gained(self, face):
        comparison = compare(face, GaussianNoise(0), 3, [Spy(), Spy("worse", answer=face * 0)])
        assert comparison.noisy.psnr == math.inf
        assert comparison.nothing_to_remove
        assert comparison.gain("spy") is comparison.gain("worse") is None
        assert not compare(face, GaussianNoise(0.1), 3, [Spy()]).nothing_to_remove

    def test_gain_is_the_difference(self, face):
        comparison = compare(face, GaussianNoise(0.2), 3, ["median", "gaussian-filter"])
        for name, result in comparison.items():
            assert comparison.gain(name) == result.psnr - comparison.noisy.psnr
            assert comparison.gain(name) > 0  # at this strength every filter helps

    def test_order_is_kept(self, face):
        names = ["wavelet", "median", "bilateral", "median-5"]
        comparison = compare(face, GaussianNoise(), denoisers=names)
        assert list(comparison) == names
        assert [result.id for result in comparison.values()] == names
        assert len(comparison) == 4

    def test_same_seed_same_result(self, face):
        one, same, other = (compare(face, GaussianNoise(), s, ["median"]) for s in (4, 4, 5))
        np.testing.assert_array_equal(one["median"].image, same["median"].image)
        assert one["median"].psnr == same["median"].psnr
        assert one["median"].psnr != other["median"].psnr

    def test_unclipped_noise_is_scored_as_it_is(self, face):
        noise = GaussianNoise(0.3)
        comparison = compare(face, noise, 1, ["median"], clip=False)
        noisy = noise(face, 1, clip=False).astype(np.float64)
        assert noisy.max() > 1
        expected = -10 * math.log10(np.mean((noisy - face) ** 2))
        assert comparison.noisy.psnr == pytest.approx(expected)
        clipped = compare(face, noise, 1, ["median"])
        assert clipped.noisy.psnr > comparison.noisy.psnr

    def test_true_sigma_goes_to_those_who_want_it(self, face):
        wants, blind = Spy("wants", uses_sigma=True), Spy("blind")
        comparison = compare(face, GaussianNoise(0.1), 0, [wants, blind])
        assert comparison["wants"].sigma == SigmaUsed(pytest.approx(0.1), "known")
        assert comparison["blind"].sigma.source == "unused"
        comparison = compare(face, SaltAndPepperNoise(), 0, [wants])
        assert comparison["wants"].sigma.source == "estimated"

    def test_colour(self, face):
        clean = np.stack([face, face[::-1], face.T], axis=-1)
        comparison = compare(clean, GaussianNoise(0.2), 0, ["median", "attention-unet"])
        for result in comparison.values():
            assert result.image.shape == clean.shape
        # Median, channel by channel: colours that mix would not equal the gray result.
        gray = denoise(comparison.corruption.noisy[..., 0].copy(), "median")
        np.testing.assert_array_equal(comparison["median"].image[..., 0], gray.image)

    def test_the_clean_picture_is_left_alone(self, face):
        clean = face.copy()
        compare(clean, GaussianNoise(), 0, ["median", Spy(answer=face * 0)])
        np.testing.assert_array_equal(clean, face)

    def test_too_small_for_ssim(self):
        comparison = compare(picture(5, 7), GaussianNoise(), 0, ["median"])
        assert math.isnan(comparison["median"].ssim)
        assert math.isfinite(comparison["median"].psnr)

    def test_noisy_picture_is_scored_without_methods(self, face):
        comparison = compare(face, GaussianNoise(0.1), 0, [])
        assert len(comparison) == 0
        scored = score_noisy(comparison.corruption)
        np.testing.assert_array_equal(comparison.noisy.image, scored.image)
        assert (comparison.noisy.psnr, comparison.noisy.ssim) == (scored.psnr, scored.ssim)
        assert comparison.noisy.psnr == pytest.approx(20, abs=0.5)

    def test_missing_method(self, face):
        with pytest.raises(KeyError):
            compare(face, GaussianNoise(), 0, ["median"])["wavelet"]

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            (np.zeros((4, 4), np.uint8), TypeError),
            (np.full((4, 4), np.nan), ValueError),
            (np.zeros((0, 4)), ValueError),
            (np.zeros((4, 4, 2)), ValueError),
            ([[0.5]], TypeError),
        ],
    )
    def test_bad_pictures(self, bad, error):
        with pytest.raises(error):
            compare(bad, GaussianNoise(), 0, ["median"])


class TestSweep:
    def test_one_point_for_each_value_and_seed(self, face):
        values, seeds = [0.02, 0.1, 0.3], (1, 2)
        points = list(sweep(face, "gaussian", "sigma", values, ["median", "wavelet"], seeds))
        assert [(p.value, p.seed) for p in points] == [(v, s) for v in values for s in seeds]
        for point in points:
            expected = compare(face, GaussianNoise(point.value), point.seed, ["median", "wavelet"])
            assert list(point.psnr) == list(point.ssim) == ["noisy", "median", "wavelet"]
            assert point.psnr["noisy"] == expected.noisy.psnr
            assert point.psnr["median"] == expected["median"].psnr
            assert point.ssim["wavelet"] == expected["wavelet"].ssim
            np.testing.assert_array_equal(point.comparison["median"].image, expected["median"].image)

    def test_more_noise_lower_score(self, face):
        points = sweep(face, "gaussian", "sigma", [0.02, 0.1, 0.3], ["median"])
        scores = [point.psnr["median"] for point in points]
        assert scores == sorted(scores, reverse=True)

    def test_other_parameters_stay_fixed(self, face):
        (point,) = sweep(face, "salt-and-pepper", "amount", [0.2], ["median"], salt_ratio=1)
        expected = compare(face, SaltAndPepperNoise(0.2, 1), 0, ["median"])
        assert point.psnr["median"] == expected["median"].psnr

    def test_points_come_one_by_one(self, face):
        spy = Spy()
        points = sweep(face, "gaussian", "sigma", [0.1, 0.2, 0.3], [spy])
        assert len(spy.seen) == 0
        next(points)
        assert len(spy.seen) == 1

    def test_unknown_parameter(self, face):
        with pytest.raises(ValueError, match="no parameter 'peak'"):
            list(sweep(face, "gaussian", "peak", [1], ["median"]))


class TestPadding:
    SHAPES = (
        (48, 48),
        (1, 1),
        (1, 50),
        (17, 3),
        (31, 37),
        (64, 65),
        (33, 48, 3),
        (1, 1, 3),
        (48, 48, 3),
    )

    @pytest.mark.parametrize("shape", SHAPES)
    def test_what_goes_in_unchanged_comes_out_unchanged(self, shape):
        noisy = picture(*shape)
        network = Network16()
        np.testing.assert_array_equal(denoise_padded(noisy, 16, network), noisy)
        assert len(network.shapes) == 1  # colour goes through as one batch

    @pytest.mark.parametrize("shape", SHAPES)
    def test_as_little_padding_as_possible(self, shape):
        network = Network16()
        denoise_padded(picture(*shape), 16, network)
        (batch, _, height, width) = network.shapes[0]
        assert batch == (3 if len(shape) == 3 else 1)
        assert height == 16 * math.ceil(shape[0] / 16)
        assert width == 16 * math.ceil(shape[1] / 16)

    def test_padding_mirrors_the_picture(self):
        network = Network16()
        noisy = picture(20, 16)
        denoise_padded(noisy, 16, network)
        padded = network.batches[0][0, 0]
        np.testing.assert_array_equal(padded[:20], noisy)
        np.testing.assert_array_equal(padded[20:], noisy[::-1][:12])

    def test_padding_of_a_single_pixel_repeats_it(self):
        network = Network16()
        denoise_padded(np.full((1, 1), 0.3, np.float32), 16, network)
        np.testing.assert_array_equal(network.batches[0], np.float32(0.3))

    def test_the_cut_is_taken_from_where_the_picture_was(self):
        def positions(batch):
            rows, columns = np.indices(batch.shape[2:])
            return np.broadcast_to(rows * 1000 + columns, batch.shape).astype(np.float32)

        out = denoise_padded(picture(5, 19), 16, Network16(positions))
        rows, columns = np.indices((5, 19))
        np.testing.assert_array_equal(out, rows * 1000 + columns)

    def test_channels_stay_apart(self):
        def brighter(batch):
            return batch + np.arange(3, dtype=np.float32)[:, None, None, None]

        noisy = picture(10, 11, 3)
        out = denoise_padded(noisy, 16, Network16(brighter))
        np.testing.assert_allclose(out, noisy + np.arange(3), atol=1e-6)

    @pytest.mark.parametrize("name", denoiser.list_denoisers())
    @pytest.mark.parametrize("shape", [(1, 1), (31, 37), (50, 47, 3)])
    def test_every_denoiser_takes_any_size(self, name, shape):
        out = denoise(picture(*shape), name, sigma=0.1).image
        assert out.shape == shape
        assert out.dtype == np.float32
        assert np.isfinite(out).all()


class TestPhotos:
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_a_photo_stays_one(self, kind):
        pixels = from_unit(picture(40, 50, 3), np.dtype(kind))
        photo = Photo(pixels, b"profile", b"exif")
        shares = []
        result = denoiser.denoise(photo, "nl-means", sigma=0.1, threads=2, progress=shares.append)
        assert result.photo.pixels.dtype == kind
        assert (result.photo.icc_profile, result.photo.exif) == (b"profile", b"exif")
        expected = create_denoiser("nl-means")(to_unit(pixels), 0.1)
        np.testing.assert_array_equal(result.photo.pixels, from_unit(expected, np.dtype(kind)))
        assert (result.id, result.psnr, result.ssim) == ("nl-means", None, None)
        assert result.sigma == SigmaUsed(0.1, "known")
        assert result.milliseconds > 0
        assert shares[-1] == 1

    def test_scores_against_a_clean_photo_of_any_depth(self):
        clean = picture(40, 50)
        noisy = Photo(from_unit(GaussianNoise(0.1)(clean), np.dtype(np.uint8)))
        scores = []
        for kind in (np.uint8, np.uint16):
            result = denoise(noisy, "median", clean=Photo(from_unit(clean, np.dtype(kind))))
            scores.append((result.psnr, result.ssim))
        assert scores[0] == pytest.approx(scores[1], rel=1e-2)
        image = to_unit(result.photo.pixels)
        assert scores[1][0] == pytest.approx(denoiser.psnr(image, clean), abs=1e-3)

    def test_a_clean_photo_of_another_shape(self):
        noisy, clean = (Photo(np.zeros(shape, np.uint8)) for shape in ((4, 5), (5, 4)))
        with pytest.raises(ValueError, match="must have one shape"):
            denoise(noisy, "median", clean=clean)

    def test_a_large_array_goes_through_in_tiles(self, monkeypatch):
        """Its result is that of one piece."""
        monkeypatch.setattr("denoiser.pipeline._MOST_IN_ONE_PIECE", 100)
        monkeypatch.setattr("denoiser.denoisers.windows.SIDE", 32)
        noisy = picture(50, 70)
        shares = []
        result = denoise(noisy, "attention-unet", progress=shares.append, threads=2)
        assert len(shares) > 1
        assert result.image.dtype == np.float32
        np.testing.assert_allclose(result.image, create_denoiser("attention-unet")(noisy), atol=1e-4)

    def test_a_small_one_in_one_piece(self, face):
        shares = []
        denoise(face, "median", progress=shares.append)
        assert shares == [1]
