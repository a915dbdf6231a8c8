"""The levels of a noisy series: the best piecewise-constant function in the L1 norm, each jump at a price.

The shape is that of airspeed velocity's `step_detect.py`: dynamic programming finds the best partition exactly
(Friedrich, Kempe, Liebscher and Winkler 2008, "Complexity penalized M-estimation: fast computation"). L1 makes a
level a median, which one wild night cannot move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

# A level that lasted fewer nights is not a level: the median of three is the shortest that outvotes a bad night.
MIN_NIGHTS = 3
# Shorter levels tell too little of how nights wander about them.
NOISE_NIGHTS = 7
# About two weeks of nights. With fewer the noise is a guess, and the fit, which looks for quiet stretches, a
# flattering one: nothing is confirmed.
MIN_FREEDOM = 5.0
MAD_TO_SIGMA = 1.4826  # 1 / the 75 % quantile of the normal distribution
# In nats a jump. The Bayesian information criterion asks ln(n)/2 for each of a jump's two parameters (where, how
# far), ln(n) together. asv asks 4 ln(n) "assuming 4 DOF per breakpoint", to be right without a second test; with
# 60 nights that would miss three nights at 5 standard deviations. Half-way, as a proposal is still tested.
PENALTY_LN_N = 1.5
# In nats: partitions whose costs differ by less are equally good, and the unit of the figures must not choose.
EQUALLY_GOOD = 1e-6


@dataclass(frozen=True)
class Noise:
    """How nights depart from their level: one night's standard deviation, the root mean square departure of the
    median of three consecutive nights, how many degrees of freedom that has, and the departures themselves.
    """

    night: float
    three: float
    freedom: float
    residuals: Floats


def night_noise(y: Floats) -> float:
    """A first guess at one night's standard deviation, which steps hardly change: the differences of nights.

    Of nights up to five apart, because the noise of neighbours may be much alike.
    """
    apart = [np.abs(y[lag:] - y[:-lag]) for lag in range(1, min(6, y.size))]
    return MAD_TO_SIGMA * float(np.median(np.concatenate(apart))) / math.sqrt(2) if apart else 0.0


def night_weights(spreads: Sequence[float | None] | None, nights: NDArray[np.intp], noise: float) -> Floats:
    """A night's weight: the common noise over that noise and the night's own error, added in quadrature."""
    night_spreads = np.array(
        [(spreads[night] or 0.0) if spreads is not None else 0.0 for night in nights], dtype=np.float64
    )
    return noise / np.hypot(noise, np.nan_to_num(night_spreads))


def partition(y: Floats, weights: Floats, noise: float) -> tuple[list[int], Floats]:
    """Bounds of the levels of `y` (the first is 0, the last the length), and the medians of all pieces [left, right].

    The least sum of weighted absolute residuals in units of `noise`, one night's, plus `PENALTY_LN_N` ln(n) a jump.

    Bellman's recursion over right ends; no piece is shorter than `MIN_NIGHTS`, unless the whole series is. Of
    equally good partitions the one with the longest last level is taken.
    """
    n = y.size
    penalty = PENALTY_LN_N * math.log(max(2, n)) * noise
    cost, median = _costs(y, weights)
    if n < 2 * MIN_NIGHTS:
        return [0, n], median
    best = np.full(n + 1, math.inf)
    best[0] = -penalty
    came_from = np.zeros(n + 1, dtype=np.intp)
    by_end = cost.T + penalty
    close = EQUALLY_GOOD * noise
    for end in range(MIN_NIGHTS, n + 1):
        starts = best[: end - MIN_NIGHTS + 1] + by_end[end - 1, : end - MIN_NIGHTS + 1]
        first = (starts <= starts.min() + close).argmax()
        came_from[end] = first
        best[end] = starts[first]
    bounds = [n]
    while bounds[0]:
        bounds.insert(0, int(came_from[bounds[0]]))
    return bounds, median


def _costs(y: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """For all pieces [left, right]: the weighted sum of distances to their weighted median, and that median.

    The weight of a piece's nights up to each rank of the whole series is a difference of two running sums, so
    that one sort serves all pieces.
    """
    n = y.size
    order = np.argsort(y, kind="stable")
    centre = float(y[order[n // 2]])  # small numbers, so that the running sums lose nothing
    ranked = y[order] - centre
    placed_weights = np.zeros((n + 1, n))
    placed_weights[order + 1, np.arange(n)] = weights[order]
    weight = placed_weights.cumsum(axis=0).cumsum(axis=1)
    moment = (placed_weights * ranked).cumsum(axis=0).cumsum(axis=1)
    left, right = _pieces(n)
    inside = weight[right + 1] - weight[left]
    whole = inside[:, -1]
    # Lower and upper median differ where a half is met exactly, as for an even number of equal weights.
    # A running sum only grows, so that the first rank that is not below the half is how many are below it.
    lower = (inside < whole[:, None] / 2 * (1 - 1e-12)).argmin(axis=1)
    upper = (inside <= whole[:, None] / 2 * (1 + 1e-12)).argmin(axis=1)
    middle = (ranked[lower] + ranked[upper]) / 2
    below = inside[np.arange(left.size), lower]
    moment_below = moment[right + 1, lower] - moment[left, lower]
    distances = moment[right + 1, -1] - moment[left, -1] - 2 * moment_below + middle * (2 * below - whole)
    cost, median = np.zeros((n, n)), np.zeros((n, n))
    cost[left, right] = np.maximum(distances, 0.0)
    median[left, right] = middle + centre
    return cost, median


@lru_cache(maxsize=256)
def _pieces(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first and the last place of all pieces of a series of `n`: the same for each series of this length."""
    left, right = np.triu_indices(n)
    return left, right


def is_drift(nights: NDArray[np.intp], y: Floats, before: int) -> bool:
    """Whether a straight line through both levels' nights tells them better than the two levels do (L1 norm).

    The line (Theil and Sen: the median of all slopes) has fewer parameters than the step, so an equal cost
    would already speak for it.
    """
    slope, offset = line(nights, y)
    sloping = np.abs(y - offset - slope * nights).sum()
    two_levels = sum(np.abs(part - np.median(part)).sum() for part in (y[:before], y[before:]))
    return bool(sloping < two_levels)


def line(nights: NDArray[np.intp], y: Floats) -> tuple[float, float]:
    one, other = np.triu_indices(y.size, 1)
    slope = float(np.median((y[other] - y[one]) / (nights[other] - nights[one])))
    return slope, float(np.median(y - slope * nights))


def noise_about(y: Floats, bounds: list[int], medians: Floats, floor: float) -> Noise:
    """How nights depart from their level, from the levels of at least `NOISE_NIGHTS` nights.

    The medians of three overlap: n of them tell about as much as n/2 that do not (for white noise neighbours
    correlate with 2/3 and 1/3, and the variance of an estimated variance grows with the squares of those).
    """
    singles, threes = [np.zeros(0)], [np.zeros(0)]
    for left, right in pairwise(bounds):
        if right - left >= NOISE_NIGHTS:
            residuals = y[left:right] - medians[left, right - 1]
            singles.append(residuals)
            threes.append(np.median(np.lib.stride_tricks.sliding_window_view(residuals, MIN_NIGHTS), axis=1))
    one, three = np.concatenate(singles), np.concatenate(threes)
    if not one.size:
        return Noise(floor, floor, 0.0, one)
    night = max(floor, MAD_TO_SIGMA * float(np.median(np.abs(one))))
    return Noise(night, max(floor, math.sqrt(float(np.mean(three**2)))), three.size / 2, one)


def t_quantile(probability: float, freedom: float) -> float:
    """One-sided quantile of Student's t with `freedom` degrees of freedom, at least `MIN_FREEDOM`."""
    return float(stdtrit(max(MIN_FREEDOM, freedom), probability))
