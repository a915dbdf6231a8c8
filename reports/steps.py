"""Steps in a figure that is measured every night: where a level changed, by how much, and how sure that is.

The shape is that of airspeed velocity's `step_detect.py`: nights are fitted with a piecewise-constant function
in the L1 norm, each jump costs a penalty, and dynamic programming finds the best partition exactly (Friedrich,
Kempe, Liebscher and Winkler 2008, "Complexity penalized M-estimation: fast computation"). L1 makes a level a
median, which one wild night cannot move. asv looks at a finished history and lets an information criterion
choose the penalty. Here every night looks again, so the fit only proposes: a jump becomes a confirmed step where
it is larger than what nights of the same history do by themselves, at a rate of false alarms chosen beforehand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A level that lasted fewer nights is not a level: the median of three is the shortest that outvotes a bad night.
MIN_NIGHTS = 3
# Shorter levels tell too little of how nights wander about them.
NOISE_NIGHTS = 7
# In nats a jump. The Bayesian information criterion asks ln(n)/2 for each of a jump's two parameters (where, how
# far), ln(n) together. asv asks 4 ln(n) "assuming 4 DOF per breakpoint", to be right without a second test; with
# 60 nights that would miss three nights at 5 standard deviations. Half-way, as a proposal is still tested.
PENALTY_LN_N = 1.5
# The promise: at most 2 % of the histories of 60 nights ever raise a false alarm, one look a night.
FALSE_ALARMS = 0.02
LOOKS = 60
# A night's noise is at least this share of the smallest step of interest. asv has such a floor for the same
# reason: figures that repeat exactly (a file's size) have no noise, and every penalty would be zero.
NOISE_FLOOR = 0.1
# Half a year. What is older does not change the newest level, and the fit costs the cube of the nights.
MAX_NIGHTS = 180


@dataclass(frozen=True)
class Step:
    """A change of level between two measured nights, given by their positions in the series.

    `change` is new over old as a ratio (`log`) or new minus old, with its 95 % interval. `why` says what is
    missing where `confirmed` is False. `nights` counts the measured nights since.
    """

    last_good: int
    first_bad: int
    change: float
    low: float
    high: float
    nights: int
    confirmed: bool
    why: str
    log: bool

    @property
    def up(self) -> bool:
        return self.change > (1.0 if self.log else 0.0)


@dataclass(frozen=True)
class Drift:
    """A slow walk from night `first` to night `last`, which a straight line tells better than a step."""

    first: int
    last: int
    change: float
    log: bool


@dataclass(frozen=True)
class Level:
    """Nights `first` to `last` at one value (their median)."""

    first: int
    last: int
    value: float


@dataclass(frozen=True)
class Steps:
    """What a series tells: its levels, the steps between them in order, its drifts, and the noise of one night.

    `noise` is a standard deviation: relative for a log scale, else in the unit of the values.
    """

    levels: tuple[Level, ...]
    steps: tuple[Step, ...]
    drifts: tuple[Drift, ...]
    noise: float


@dataclass(frozen=True)
class _Noise:
    """How three consecutive nights' median departs from its level: root mean square, largest, how well known."""

    night: float
    three: float
    largest: float
    freedom: float


def find_steps(
    values: Sequence[float | None], spreads: Sequence[float | None] | None = None, *, least: float, log: bool = True
) -> Steps:
    """The steps of a series with one value a night; None or NaN is a night without a figure.

    `least` is the smallest change of interest: a share of the old level (`log`) or a difference. `spreads` is
    each night's own standard error, in the same sense; a night that was measured badly weighs less. Only the
    last `MAX_NIGHTS` measured nights count. Raises `ValueError` for a log scale with values that are not
    positive, or spreads of another length.
    """
    if least <= 0 or (spreads is not None and len(spreads) != len(values)):
        raise ValueError("the smallest change of interest is positive, and every night has its spread or none has")
    series = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    nights = np.flatnonzero(np.isfinite(series))[-MAX_NIGHTS:]
    if log and np.any(series[nights] <= 0):
        raise ValueError("a ratio needs positive values")
    y = np.log(series[nights]) if log else series[nights]
    step = math.log1p(least) if log else least
    if not y.size:
        return Steps((), (), (), 0.0)
    scale = max(_night_noise(y), NOISE_FLOOR * step)
    weights = _weights(spreads, nights, scale)
    bounds, medians = _partition(y, weights, PENALTY_LN_N * math.log(max(2, y.size)) * scale)
    return _judged(y, nights, bounds, medians, step, log)


def _judged(y: Floats, nights: NDArray[np.intp], bounds: list[int], medians: Floats, step: float, log: bool) -> Steps:
    noise = _noise(y, bounds, medians, NOISE_FLOOR * step)
    steps: list[Step] = []
    drifts: list[Drift] = []
    for left, middle, right in zip(bounds, bounds[1:], bounds[2:], strict=False):
        index = bounds.index(middle)
        size = float(medians[index] - medians[index - 1])
        if _is_drift(nights[left:right], y[left:right], middle - left):
            _add_drift(drifts, nights, y, left, right, log)
            continue
        found = _step(size, middle - left, right - middle, noise, step)
        steps.append(_placed(found, nights, middle, log))
    if last := _too_early(y, bounds[-2], float(medians[-1]), noise, step):
        steps.append(_placed(last, nights, y.size - last.nights, log))
    values = np.exp(medians) if log else medians
    levels = [
        Level(int(nights[left]), int(nights[right - 1]), float(value))
        for left, right, value in zip(bounds, bounds[1:], values, strict=False)
    ]
    return Steps(tuple(levels), tuple(steps), tuple(drifts), noise.night)


def _step(size: float, before: int, after: int, noise: _Noise | None, least: float) -> Step:
    """The step as a difference, its place still open. It is confirmed where chance does not make such steps.

    Three tests: as large as what is of interest; larger than any three nights of the same history ever went
    astray, whatever their distribution; and beyond the t quantile for the promised rate of false alarms. The
    noise is that of medians of three *consecutive* nights, so that nights which follow each other count less.
    """
    if noise.freedom < 1:
        return Step(0, 0, size, -math.inf, math.inf, after, False, "too few nights to know the noise", False)
    error = noise.three * math.sqrt(MIN_NIGHTS / before + MIN_NIGHTS / after)
    half = _t_quantile(0.975, noise.freedom) * error
    bound = _t_quantile(1 - FALSE_ALARMS / LOOKS / 2, noise.freedom) * error
    why = ""
    if abs(size) < least:
        why = "smaller than what is of interest"
    elif abs(size) <= max(bound, noise.largest):
        why = "no larger than the noise of this history"
    return Step(0, 0, size, size - half, size + half, after, not why, why, False)
