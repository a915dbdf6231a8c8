"""The paired bootstrap, bounds of proportions: how sure a score is."""

import math

import numpy as np
import pytest

from fixtures.accuracy.bootstrap import image_weights, paired_ratio, wilson_interval
from fixtures.accuracy.gate import is_certain
from fixtures.errors import BenchError


def ratio_of_means(candidate, baseline, resamples=1000, seed=0):
    n_images = len(candidate)
    weights = image_weights(n_images, resamples, seed)
    return paired_ratio(
        float(np.mean(candidate)),
        float(np.mean(baseline)),
        weights @ candidate / n_images,
        weights @ baseline / n_images,
        n_images=n_images,
        what="score",
    )


def test_every_resample_draws_as_many_images_as_there_are():
    weights = image_weights(30, 200, seed=0)
    assert weights.shape == (200, 30)
    assert set(weights.sum(axis=1)) == {30}
    assert np.array_equal(weights, image_weights(30, 200, seed=0))
    assert not np.array_equal(weights, image_weights(30, 200, seed=1))
    # About exp(-1) of the images are left out of a resample.
    assert np.mean(weights == 0) == pytest.approx(math.exp(-1), abs=0.02)


def test_the_interval_of_a_ratio_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        difficulty = rng.uniform(0.2, 1.0, 60)
        candidate = 0.9 * difficulty + rng.normal(0, 0.05, 60)
        ratio = ratio_of_means(candidate, difficulty, resamples=400, seed=seed)
        covered += ratio.low <= 0.9 <= ratio.high
    assert 0.90 <= covered / 200 <= 0.99


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(0)
    difficulty = rng.uniform(0.0, 1.0, 60)
    ratio = ratio_of_means(0.9 * difficulty, difficulty)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((0.9, 0.9, 0.9))
    unrelated = ratio_of_means(0.9 * difficulty, rng.permutation(difficulty))
    assert unrelated.high - unrelated.low > 0.2


def test_a_baseline_of_zero_is_refused():
    with pytest.raises(BenchError, match="score on these 10 images is 0: there is nothing to compare") as error:
        ratio_of_means(np.ones(10), np.zeros(10))
    assert "hint" in str(error.value)


@pytest.mark.parametrize("baseline", [math.nan, -1.0])
def test_a_baseline_that_is_no_score_is_refused(baseline):
    with pytest.raises(BenchError, match="nothing to compare"):
        paired_ratio(1.0, baseline, np.ones(5), np.ones(5), n_images=5, what="score")


def test_resamples_without_a_baseline_widen_the_interval_to_both_sides():
    # Only one image of ten has something to find: a third of the resamples miss it.
    baseline = np.zeros(10)
    baseline[0] = 1.0
    ratio = ratio_of_means(baseline, baseline)
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 0.0, pytest.approx(10.0))


def test_one_image_bounds_nothing():
    ratio = ratio_of_means(np.full(1, 0.5), np.full(1, 0.5))
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 0.0, 2.0)
    assert not is_certain(ratio, 0.02)


def test_no_image_and_no_resample_are_refused():
    for n_images, resamples in ((0, 10), (10, 0)):
        with pytest.raises(ValueError, match="cannot draw"):
            image_weights(n_images, resamples, 0)


def test_wilson_intervals_are_those_of_the_literature():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize("n", [1, 10, 128, 5000])
def test_all_successes_stay_open_below(n):
    low, high = wilson_interval(n, n)
    assert high == 1.0
    assert low == pytest.approx(n / (n + 1.96**2), abs=1e-4)
    assert wilson_interval(0, n) == pytest.approx((0.0, 1 - low))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_proportion_is_refused(successes, n):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(successes, n)
