"""Histograms of activations, and the ranges that are read off them."""

import numpy as np
import pytest

from fixtures.precision.calibration import BINS, Magnitudes, error_range, max_range, percentile_range

NORMAL = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
LAPLACE = np.random.default_rng(1).laplace(size=1_000_000).astype(np.float32)


def mean_squared_error(values: np.ndarray, clip: float) -> float:
    step = clip / 127
    quantised = np.clip(np.rint(values / step), -127, 127) * step
    return float(np.mean((values - quantised) ** 2))


def test_no_value_is_lost_and_signs_do_not_matter():
    histogram = Magnitudes.of(NORMAL)
    assert histogram.counts.sum() == NORMAL.size
    assert histogram.largest == np.abs(NORMAL).max()
    assert (histogram.counts == Magnitudes.of(-NORMAL).counts).all()


def test_merging_in_any_order_equals_one_histogram_of_everything():
    parts = [NORMAL[:1000] * 0.01, NORMAL[1000:2000] * 100, np.zeros(50, np.float32), NORMAL[2000:3000]]
    whole = Magnitudes.of(np.concatenate(parts))
    for order in (parts, parts[::-1]):
        merged = Magnitudes.of(order[0])
        for part in order[1:]:
            merged = merged.merged(Magnitudes.of(part))
        assert (merged.counts == whole.counts).all()
        assert (merged.edge, merged.largest) == (whole.edge, whole.largest)


def test_a_tensor_of_zeros_has_a_histogram_that_weighs_in_later():
    zeros = Magnitudes.of(np.zeros(10, np.float32))
    both = zeros.merged(Magnitudes.of(np.full(10, 3.0, np.float32)))
    assert zeros.largest == error_range(zeros, 2.4) == 0
    assert both.counts.sum() == 20
    assert both.counts[0] == 10


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(poison: float):
    with pytest.raises(ValueError, match="not a number"):
        Magnitudes.of(np.array([1.0, poison], np.float32))


def test_percentile_of_evenly_spread_values():
    histogram = Magnitudes.of(np.linspace(0, 1, 100_001, dtype=np.float32))
    assert percentile_range(histogram, 50) == pytest.approx(0.5, abs=2 / BINS)
    assert percentile_range(histogram, 99) == pytest.approx(0.99, abs=2 / BINS)
    assert percentile_range(histogram, 100) == max_range(histogram) == 1.0


@pytest.mark.parametrize("percent", [0, 100.1])
def test_a_percentile_out_of_range_is_refused(percent: float):
    with pytest.raises(ValueError, match="percentile"):
        percentile_range(Magnitudes.of(NORMAL), percent)


# Banner et al., "Post training 4-bit quantization of convolutional networks for rapid-deployment"
# (NeurIPS 2019), and its code ACIQ: the best clipping of 8-bit values is 3.92 standard deviations
# of a normal distribution, and 9.89 scale parameters of a Laplace distribution.
@pytest.mark.parametrize(("values", "best"), [(NORMAL, 3.92), (LAPLACE, 9.89)], ids=["normal", "laplace"])
def test_the_least_squared_error_is_where_theory_puts_it(values: np.ndarray, best: float):
    assert error_range(Magnitudes.of(values), 2) == pytest.approx(best, rel=0.05)


def test_evenly_spread_values_are_not_clipped():
    histogram = Magnitudes.of(np.linspace(-5, 5, 200_001, dtype=np.float32))
    assert error_range(histogram, 2) == pytest.approx(5)


def test_a_higher_norm_clips_less():
    ranges = [error_range(Magnitudes.of(LAPLACE), norm) for norm in (2, 2.4, 3, 4)]
    assert ranges == sorted(ranges)
    assert ranges[0] < ranges[-1] < max_range(Magnitudes.of(LAPLACE))


def test_on_a_heavy_tail_the_maximum_costs_many_times_the_error():
    heavy = np.random.default_rng(2).standard_t(3, size=1_000_000).astype(np.float32)
    histogram = Magnitudes.of(heavy)
    best, largest = error_range(histogram, 2), max_range(histogram)
    assert mean_squared_error(heavy, largest) > 3 * mean_squared_error(heavy, best)
