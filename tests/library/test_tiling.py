"""A whole photograph in tiles: the same as in one piece, whatever the method takes from all of it."""

import threading

import numpy as np
import pytest
import torch

from denoiser.architectures import ARCHITECTURES, FlowUNet, build_network
from denoiser.denoisers import filters, windows
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.network import from_config
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.denoisers.tiling import Stopped, denoise_tiled
from denoiser.denoisers.windows import list_windows
from denoiser.noise import GaussianNoise, SaltAndPepperNoise
from denoiser.weights.checkpoint import read_config

SIGMA = 25 / 255
LOCAL = [name for name in list_denoisers(colour=True) if "flow" not in name]
"""What looks at a window once; the flows do so many times, and take long."""

TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(windows, "SIDE", 64)


def picture(height, width, *, colour=True, noise=GaussianNoise(SIGMA)):  # noqa: B008
    """Return a noisy picture whose halves differ, so that a tile is not like the whole."""
    rows, columns = np.mgrid[:height, :width]
    gray = 0.5 + 0.4 * np.sin(rows / 9) * np.cos(columns / 7 + rows / 30)
    gray = np.where(columns < width / 2, 0.2 + 0.1 * gray, gray)
    clean = np.dstack([gray, gray**2, 1 - gray]) if colour else gray
    return noise(clean.astype(np.float32), 0)


def assert_same(tiled, whole):
    assert tiled.shape == whole.shape
    assert tiled.dtype == whole.dtype
    assert np.abs(tiled - whole).max() < TOLERANCE


class Recorder(Denoiser):
    """A filter that looks one pixel around, and remembers what it was shown."""

    info = DenoiserInfo("recorder", "Recorder", "classical", True, None, 0, "none")

    def __init__(self, margin=1):
        self.margin = margin
        self.shapes = []
        self.sigmas = set()
        self.threads = set()

    def denoise_whole(self, whole, sigma):
        return whole.apply(lambda image, _: self._denoise(image, sigma), self.margin)

    def _denoise(self, noisy, sigma):
        self.shapes.append(noisy.shape)
        self.sigmas.add(sigma)
        self.threads.add((threading.current_thread().name, torch.get_num_threads()))
        return 1.5 * noisy - 0.1


class TestEveryDenoiser:
    @pytest.mark.parametrize("denoiser_id", LOCAL)
    def test_in_one_piece_and_in_tiles(self, denoiser_id):
        denoiser = create_denoiser(denoiser_id)
        noisy = picture(72, 165)
        assert_same(denoise_tiled(noisy, denoiser, sigma=SIGMA, threads=2), denoiser(noisy, SIGMA))

    @pytest.mark.parametrize("denoiser_id", LOCAL)
    def test_gray_with_other_noise(self, denoiser_id):
        denoiser = create_denoiser(denoiser_id)
        noisy = picture(131, 67, colour=False, noise=SaltAndPepperNoise(0.1))
        assert_same(denoise_tiled(noisy, denoiser), denoiser(noisy))

    @pytest.mark.parametrize(
        ("denoiser_id", "values"),
        [
            ("residual-unet-flow", {"steps": 3}),
            ("flow-unet", {"steps": 1, "draw": 5}),
            ("flow-unet", {"realism": 0}),
            ("median", {"radius": 7}),
            ("gaussian-filter", {"width": 4}),
            ("bilateral", {"gray_range": 8}),
            ("total-variation", {"weight": 3}),
        ],
    )
    def test_hyperparameters(self, denoiser_id, values):
        denoiser = create_denoiser(denoiser_id).with_hyperparameters(**values)
        noisy = picture(40, 200, colour=False)
        assert_same(denoise_tiled(noisy, denoiser, sigma=SIGMA), denoiser(noisy, SIGMA))

    @pytest.mark.slow
    @pytest.mark.parametrize("denoiser_id", ["flow-unet", "residual-unet-flow"])
    @pytest.mark.parametrize("steps", [4, 16])
    def test_flows(self, denoiser_id, steps, monkeypatch):
        monkeypatch.setattr(windows, "SIDE", 256)  # so that a tile does not see all
        denoiser = create_denoiser(denoiser_id).with_hyperparameters(steps=steps)
        noisy = picture(72, 512, colour=False)
        assert_same(denoise_tiled(noisy, denoiser, sigma=SIGMA), denoiser(noisy, SIGMA))

    @pytest.mark.parametrize("denoiser_id", ["residual-unet", "autoencoder", "median", "nl-means"])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (65, 64), (129, 3), (7, 130)])
    def test_odd_sizes(self, denoiser_id, shape):
        denoiser = create_denoiser(denoiser_id)
        noisy = picture(*shape)
        assert_same(denoise_tiled(noisy, denoiser, sigma=SIGMA), denoiser(noisy, SIGMA))

    @pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {"flow-unet"}))
    def test_what_lies_farther_than_its_reach_does_not_count(self, architecture):
        torch.manual_seed(0)
        network = build_network(architecture, {}).eval()
        reach, unit = network.reach(), network.multiple_of
        assert reach % unit == 0
        noisy = torch.rand(1, network.channels, 3 * unit, 2 * reach + 3 * unit)
        changed = noisy.clone()
        changed[..., -unit:] = torch.rand(1, network.channels, 3 * unit, unit)
        with torch.inference_mode():
            one, other = (network.for_windows(network.statistics(x, slice(0, unit), slice(0, unit)),
                                              (3 * unit, noisy.shape[-1]))(x, 0, slice(0), slice(0))
                          for x in (noisy, changed))  # fmt: skip
        far = noisy.shape[-1] - unit - reach
        torch.testing.assert_close(one[..., :far], other[..., :far], rtol=0, atol=1e-6)
        assert not torch.equal(one[..., far:], other[..., far:])


class TestOneDecisionForAllTiles:
    def test_the_expert_is_that_of_the_whole_picture(self):
        """One half has much noise and the other hardly any: alone, their tiles would choose others."""
        denoiser = create_denoiser("residual-unet")
        noisy = picture(128, 256, colour=False, noise=GaussianNoise(0.01))
        noisy[:, 128:] = SaltAndPepperNoise(0.5)(noisy[:, 128:], 1)
        parts = np.hstack([denoiser(noisy[:, :128]), denoiser(noisy[:, 128:])])
        whole = denoiser(noisy)
        assert np.abs(parts[:, 32:96] - whole[:, 32:96]).max() > 100 * TOLERANCE
        assert_same(denoise_tiled(noisy, denoiser), whole)

    def test_a_picture_of_odd_sides_is_routed_with_its_padding(self):
        denoiser = create_denoiser("residual-unet")
        noisy = picture(67, 129, noise=SaltAndPepperNoise(0.3))
        assert_same(denoise_tiled(noisy, denoiser), denoiser(noisy))

    def test_the_strength_is_estimated_once(self):
        recorder = Recorder()
        noisy = picture(150, 150)
        denoise_tiled(noisy, recorder)
        assert recorder.sigmas == {recorder.resolve_sigma(noisy).value}
        assert recorder.resolve_sigma(noisy).value == pytest.approx(SIGMA, rel=0.1)

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_also_of_whole_numbers(self, kind):
        noisy = windows.from_unit(picture(150, 150), np.dtype(kind))
        recorder = Recorder()
        denoise_tiled(noisy, recorder)
        (sigma,) = recorder.sigmas
        assert sigma == pytest.approx(recorder.resolve_sigma(windows.to_unit(noisy)).value, rel=1e-5)

    def test_every_tile_of_a_large_picture_takes_as_many_steps(self, monkeypatch):
        """How many total variation takes is then found out by a part of it; still there are no seams."""
        monkeypatch.setattr(filters, "_SAMPLE_PIXELS", 1000)
        denoiser, noisy = create_denoiser("total-variation"), picture(150, 200)
        tiled = denoise_tiled(noisy, denoiser, sigma=SIGMA, threads=2)
        monkeypatch.setattr(windows, "SIDE", 1000)
        assert_same(tiled, denoise_tiled(noisy, denoiser, sigma=SIGMA))
        assert np.abs(tiled - denoiser(noisy, SIGMA)).mean() < 1e-3

    def test_a_known_strength_is_used(self):
        recorder = Recorder()
        denoise_tiled(picture(150, 150), recorder, sigma=0.2)
        assert recorder.sigmas == {0.2}

    def test_the_draw_is_the_whole_picture_s(self):
        network = FlowUNet(FlowUNet.Config((4, 4), (1, 1), (1,), (4, 4)))
        run = network.eval().for_windows(torch.empty(0), (64, 64), steps=1, draw=3)
        noisy = torch.rand(1, 1, 64, 64)
        with torch.inference_mode():
            whole = network(noisy, steps=1, draw=3)
            torch.testing.assert_close(run(noisy, 0, slice(0, 64), slice(0, 64)), whole)
            part = run(noisy[..., 32:], 0, slice(0, 64), slice(32, 64))
        torch.testing.assert_close(part[..., 24:], whole[..., 56:])


class TestPixels:
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    @pytest.mark.parametrize("colour", [False, True])
    def test_whole_numbers_are_rounded_to_the_nearest(self, kind, colour):
        noisy = windows.from_unit(picture(90, 100, colour=colour), np.dtype(kind))
        before = noisy.copy()
        tiled = denoise_tiled(noisy, Recorder(), sigma=0.1)
        assert tiled.dtype == kind
        highest = np.iinfo(kind).max
        expected = np.clip(1.5 * (noisy / highest) - 0.1, 0, 1) * highest
        np.testing.assert_allclose(tiled, expected, atol=0.51)
        np.testing.assert_array_equal(noisy, before)

    def test_no_tile_is_larger_than_it_may_be(self):
        recorder = Recorder(margin=8)
        denoise_tiled(picture(300, 257), recorder, sigma=0.1)
        assert max(max(shape[:2]) for shape in recorder.shapes) <= 64 + 16

    def test_a_method_of_which_nothing_is_known_gets_it_in_one_piece(self):
        recorder = Recorder(margin=None)
        denoise_tiled(picture(150, 100), recorder, sigma=0.1)
        assert recorder.shapes == [(150, 100, 3)]

    @pytest.mark.parametrize("margin", [0, 5, 24])
    @pytest.mark.parametrize("unit", [1, 8])
    @pytest.mark.parametrize("shape", [(1, 1), (64, 65), (63, 200), (130, 7)])
    def test_cores_cover_the_picture_once(self, shape, unit, margin):
        margin *= unit
        count = np.zeros([-(-side // unit) * unit for side in shape], int)
        for window in list_windows(shape, margin, unit):
            count[window.core] += 1
            for part, core, side in zip(
                (window.rows, window.columns), window.core, count.shape, strict=True
            ):
                assert part.start == max(0, core.start - margin)
                assert part.stop == min(side, core.stop + margin)
                assert (
                    part.start % unit == part.stop % unit == core.start % unit == core.stop % unit == 0
                )
        assert (count == 1).all()

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros((2, 2, 4), np.uint8),
            np.zeros((2, 2, 1), np.uint16),
            np.zeros((0, 2), np.uint8),
            np.zeros((0, 2), np.float32),
            np.full((2, 2), np.nan, np.float32),
        ],
    )
    def test_bad_values(self, bad):
        with pytest.raises(ValueError, match="pixels"):
            denoise_tiled(bad, create_denoiser("median"))

    @pytest.mark.parametrize("bad", [np.zeros((2, 2), np.int64), np.zeros((2, 2)), [[1]], None])
    def test_bad_types(self, bad):
        with pytest.raises(TypeError, match="uint8, uint16 or float32"):
            denoise_tiled(bad, create_denoiser("median"))

    def test_bad_arguments(self):
        for arguments in ({"sigma": 2}, {"threads": 0}, {"threads": 1.5}):
            with pytest.raises(ValueError, match=r"sigma|threads"):
                denoise_tiled(picture(8, 8), create_denoiser("nl-means"), **arguments)


class TestThreads:
    @pytest.mark.parametrize("threads", [1, 3])
    def test_each_tile_has_one_thread_of_torch(self, threads):
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            recorder = Recorder()
            denoise_tiled(picture(300, 300), recorder, sigma=0.1, threads=threads)
            assert {count for _, count in recorder.threads} == {1}
            assert 1 <= len(recorder.threads) <= threads
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_the_result_is_the_same(self):
        noisy, denoiser = picture(150, 200), create_denoiser("attention-unet")
        one, two = (denoise_tiled(noisy, denoiser, threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one, two)

    def test_a_failure_is_passed_on(self):
        class Failing(Recorder):
            def _denoise(self, noisy, sigma):
                raise MemoryError("too much")

        with pytest.raises(MemoryError, match="too much"):
            denoise_tiled(picture(200, 200), Failing(), sigma=0.1, threads=2)


class TestProgress:
    @pytest.mark.parametrize(
        "denoiser_id", ["median", "residual-unet", "residual-unet-flow", "wavelet", "total-variation"]
    )
    @pytest.mark.parametrize("threads", [1, 2])
    def test_it_grows_to_1(self, denoiser_id, threads):
        shares = []
        thread = set()

        def progress(share):
            shares.append(share)
            thread.add(threading.current_thread())

        denoiser = create_denoiser(denoiser_id)
        if denoiser_id.endswith("-flow"):
            denoiser = denoiser.with_hyperparameters(steps=2)
        noisy = picture(100, 140, colour=False)
        denoise_tiled(noisy, denoiser, sigma=0.1, threads=threads, progress=progress)
        assert shares[-1] == 1
        assert shares == sorted(shares)
        assert shares[0] > 0
        assert thread == {threading.current_thread()}

    @pytest.mark.parametrize("threads", [1, 2])
    def test_it_can_be_stopped(self, threads):
        shares = []
        recorder = Recorder()
        with pytest.raises(Stopped):
            denoise_tiled(
                picture(640, 640),
                recorder,
                sigma=0.1,
                threads=threads,
                progress=shares.append,
                stop=lambda: len(shares) >= 3,
            )
        assert shares[-1] < 0.5
        assert len(recorder.shapes) < 50  # of 100

    def test_before_it_has_begun(self):
        recorder = Recorder()
        with pytest.raises(Stopped):
            denoise_tiled(picture(100, 100), recorder, sigma=0.1, stop=lambda: True)
        assert recorder.shapes == []


def test_a_colour_network_sees_all_channels_of_a_window():
    torch.manual_seed(0)
    network = build_network("attention-unet", {"widths": [8, 8, 8], "channels": 3}).eval()
    denoiser = from_config(read_config("attention-unet"), network)
    for noisy in (picture(100, 140), picture(100, 140, colour=False)):
        assert_same(denoise_tiled(noisy, denoiser, threads=2), denoiser(noisy))
