"""What is chance and what is not: numbers with known answers."""

import math

import numpy as np
import pytest
from scipy import stats

from denoiser.analysis.repeats import maps, paired_difference, spread, verdict


class TestSpread:
    def test_known_numbers(self):
        measured = spread([1.0, 2.0, 3.0, 4.0])
        assert measured.mean == 2.5
        assert measured.deviation == pytest.approx(math.sqrt(5 / 3))
        assert measured.error == pytest.approx(math.sqrt(5 / 3) / 2)
        assert measured.count == 4

    def test_one_number_has_no_spread(self):
        assert spread([3.0]).mean == 3
        assert math.isnan(spread([3.0]).deviation)

    def test_infinite_scores(self):
        measured = spread([math.inf, math.inf])
        assert measured.mean == math.inf
        assert math.isnan(measured.error)

    def test_nothing(self):
        with pytest.raises(ValueError, match="nothing"):
            spread([])


class TestMaps:
    def test_bias_and_variance_add_up_to_the_error(self):
        rng = np.random.default_rng(0)
        clean = rng.random((7, 9)).astype(np.float32)
        images = [(clean * 0.8 + 0.05 * rng.random((7, 9))).astype(np.float32) for _ in range(6)]
        errors = maps(images, clean)
        error = np.mean([(image.astype(float) - clean) ** 2 for image in images])
        assert errors.total_bias**2 + errors.total_deviation**2 == pytest.approx(error)
        np.testing.assert_allclose(errors.bias, np.mean(images, axis=0) - clean, atol=1e-6)
        np.testing.assert_allclose(errors.deviation, np.std(images, axis=0, ddof=1), atol=1e-6)

    def test_chance_alone_is_no_bias(self):
        rng = np.random.default_rng(1)
        clean = np.full((100, 100), 0.5)
        images = [clean + 0.1 * rng.standard_normal(clean.shape) for _ in range(16)]
        errors = maps(images, clean)
        assert np.sqrt(np.mean(errors.bias**2)) > 0.02  # the map itself is full of it
        assert errors.total_bias < 0.005
        assert errors.total_deviation == pytest.approx(0.1, rel=0.02)

    def test_one_draw_is_not_enough(self):
        with pytest.raises(ValueError, match="two"):
            maps([np.zeros((4, 4), np.float32)], np.zeros((4, 4), np.float32))


class TestPairedDifference:
    def test_is_the_t_test_of_scipy(self):
        rng = np.random.default_rng(2)
        first = rng.normal(30, 1, 12)
        second = first - rng.normal(0.3, 0.2, 12)
        difference = paired_difference(first, second)
        expected = stats.ttest_rel(first, second).confidence_interval(0.95)
        assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
        assert difference.is_real
        assert difference.wins == (first > second).sum()

    def test_pairs_see_what_two_means_do_not(self):
        swing = np.linspace(20, 30, 10)  # far more than the gap
        first = swing + 0.2 + 0.01 * np.cos(np.arange(10))
        assert paired_difference(first, swing).is_real
        assert stats.ttest_ind(first, swing).pvalue > 0.5

    def test_chance_is_not_real(self):
        rng = np.random.default_rng(3)
        assert not paired_difference(rng.normal(size=16), rng.normal(size=16)).is_real

    def test_draws_that_are_all_alike(self):
        difference = paired_difference([30.0] * 8, [29.0] * 8)
        assert (difference.mean, difference.low, difference.high) == (1, 1, 1)
        assert not paired_difference([30.0] * 8, [30.0] * 8).is_real

    @pytest.mark.parametrize(
        ("first", "second"), [([1.0], [2.0]), ([1.0, 2.0], [1.0]), ([math.inf] * 3, [30.0] * 3)]
    )
    def test_what_cannot_be_compared(self, first, second):
        with pytest.raises(ValueError, match="paired"):
            paired_difference(first, second)


class TestVerdict:
    def test_real_names_the_better_whichever_comes_first(self):
        better, worse = [30.0, 31.1, 29.2, 30.3], [29.0, 30.0, 28.0, 29.0]
        for pair, names in (((better, worse), "BW"), ((worse, better), "WB")):
            text = verdict(paired_difference(*pair), *names)
            assert text.startswith("Yes, the gap is real: B is 1.15 dB better than W")
            assert "ahead in 4 of 4 draws" in text
            assert "Real, but small" not in text

    def test_not_shown(self):
        text = verdict(paired_difference([30.0, 31.0, 29.0], [29.5, 31.6, 29.0]), "A", "B")
        assert text.startswith("Not shown: B is 0.03 dB ahead of A")
        assert "holds zero" in text

    def test_small(self):
        text = verdict(paired_difference([30.05, 31.06, 29.05], [30.0, 31.0, 29.0]), "A", "B")
        assert "Real, but small" in text

    def test_no_chance_at_all(self):
        assert "same in every draw" in verdict(paired_difference([2.0] * 3, [1.0] * 3), "A", "B")
        assert "score the same" in verdict(paired_difference([2.0] * 3, [2.0] * 3), "A", "B")
