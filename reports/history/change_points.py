"""Steps in a figure that is measured every night: where a level changed, by how much, and how sure that is.

After airspeed velocity's `step_detect.py`, with one difference. asv reads a finished history and lets an
information criterion choose the steps. Here every night looks again, and sixty looks find something by chance.
So the fit of `reports.history.segmentation` only proposes: a jump becomes a *confirmed* step where it is larger than
what nights of the same history do by themselves, at a rate of false alarms chosen beforehand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reports.history.segmentation import (
    MIN_FREEDOM,
    MIN_NIGHTS,
    NOISE_NIGHTS,
    Floats,
    Noise,
    is_drift,
    line,
    night_noise,
    night_weights,
    noise_about,
    partition,
    t_quantile,
)

# The promise: at most 2 % of the histories of 60 nights ever raise a false alarm, one look a night.
FALSE_ALARMS = 0.02
LOOKS = 60
# A step passes two tests, and what fools both is rarer than what fools one: each alone may err three times as
# often. `tests/experiments/step_detection.py` counts what comes of it.
EACH_TEST = 3
# A night's noise is at least this share of the smallest step of interest. asv has such a floor for the same
# reason: figures that repeat exactly (a file's size) have no noise, and every penalty would be zero.
NOISE_FLOOR = 0.1
# Half a year. What is older does not change the newest level, and the fit costs the cube of the nights.
MAX_NIGHTS = 180
# A night stands apart beyond this many standard deviations: one of 16 000 normal nights.
OUTLYING = 4.0


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
class _Break:
    """A jump before night `at` of the measured ones: its size ± half of its interval, and why chance may do that."""

    at: int
    nights: int
    size: float
    half: float
    strength: float
    why: str
    drift: bool


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
    scale = max(night_noise(y), NOISE_FLOOR * step)
    weights = night_weights(spreads, nights, scale)
    bounds, medians = partition(y, weights, scale)
    return _reported(y, nights, bounds, medians, step, log)


def _reported(
    y: Floats, nights: NDArray[np.intp], bounds: list[int], medians: Floats, least: float, log: bool
) -> Steps:
    breaks, noise = _judged(y, nights, bounds, medians, least)
    bounds = [0, *(each.at for each in breaks), y.size]
    places = list(pairwise(bounds))
    level = float(medians[places[-1][0], y.size - 1])
    steps = [_placed(nights, each, least, log) for each in breaks if not each.drift]
    if young := _too_early(y[places[-1][0] :] - level, noise, least):
        size, half = float(np.median(y[-young:])) - level, 2 * noise.night
        why = f"{young} night{'s' if young > 1 else ''} only: a level needs {MIN_NIGHTS}"
        steps.append(_placed(nights, _Break(y.size - young, young, size, half, math.inf, why, False), least, log))
    levels = []
    for left, right in places:
        value = float(medians[left, right - 1])
        levels.append(Level(int(nights[left]), int(nights[right - 1]), math.exp(value) if log else value))
    walked = [(bounds[index], bounds[index + 2]) for index, each in enumerate(breaks) if each.drift]
    return Steps(tuple(levels), tuple(steps), _walks(walked, nights, y, log), noise.night)


def _judged(
    y: Floats, nights: NDArray[np.intp], bounds: list[int], medians: Floats, least: float
) -> tuple[list[_Break], Noise]:
    """The breaks that are no chance, the last one also if it may be; its doubt is what a report calls unclear.

    A level that chance may have made must not serve as the past of the next: two bad nights would make the good
    nights after them a step. The weakest of those is therefore joined with the level before, until none is left.
    """
    while True:
        noise = noise_about(y, bounds, medians, NOISE_FLOOR * least)
        breaks = []
        for left, middle, right in zip(bounds, bounds[1:], bounds[2:], strict=False):
            old, new = float(medians[left, middle - 1]), float(medians[middle, right - 1])
            error = noise.three * math.sqrt(MIN_NIGHTS / (middle - left) + MIN_NIGHTS / (right - middle))
            drift = is_drift(nights[left:right], y[left:right], middle - left)
            why = "" if drift else _doubt(y[middle:right] - old, new - old, error, noise)
            if not why and not drift and middle - left < NOISE_NIGHTS:
                why = f"the level before has fewer than {NOISE_NIGHTS} nights"
            half = t_quantile(0.975, noise.freedom) * error
            breaks.append(_Break(middle, right - middle, new - old, half, abs(new - old) / error, why, drift))
        doubtful = [each for each in breaks[:-1] if each.why]
        doubtful = doubtful or [each for each in breaks[-1:] if each.why and abs(each.size) < least]
        if not doubtful:
            return breaks, noise
        bounds = [bound for bound in bounds if bound != min(doubtful, key=lambda each: each.strength).at]


def _doubt(nights_at: Floats, size: float, error: float, noise: Noise) -> str:
    """Why chance may have made this step, or "" where it does not make such steps.

    `nights_at` are the new level's nights as departures from the old level. Two tests for the promised rate of
    false alarms: the medians' difference against the t quantile, which assumes noise of one kind; and the run
    of agreeing nights against how often single nights of this history went as far, which assumes no
    distribution. That share has Jeffreys' prior: half a night more, so that none in thirty is not never.
    """
    if noise.freedom < MIN_FREEDOM:
        return "too few nights to know the noise"
    # The youngest possible step spends the whole chance of a look. Older ones had their own look when they were
    # young, and the fit chose among more of them: they share as much again (the sum of 1/k² is 1.6).
    chance = EACH_TEST * FALSE_ALARMS / LOOKS / (nights_at.size - MIN_NIGHTS + 1) ** 2
    if abs(size) <= t_quantile(1 - chance / 2, noise.freedom) * error:
        return "no larger than the noise of this history"
    agreeing, beyond = _agreeing(nights_at, size)
    if agreeing + beyond < MIN_NIGHTS or agreeing < 2 or not sum(_agreeing(nights_at[:1], size)):
        return f"fewer than {MIN_NIGHTS} nights agree"
    earlier = _agreeing(noise.residuals, size)
    alike, further = ((count + 0.5) / (noise.residuals.size + 1) for count in earlier)
    likely = math.comb(nights_at.size, agreeing + beyond) * alike**agreeing * further**beyond > chance
    return "single nights went as far too often" if likely else ""


def _agreeing(departures: Floats, size: float) -> tuple[int, int]:
    """How many nights went between half as far as the step and one and a half times as far, and how many further."""
    shares = departures / size
    return int(np.count_nonzero((shares > 0.5) & (shares <= 1.5))), int(np.count_nonzero(shares > 1.5))


def _placed(nights: NDArray[np.intp], candidate: _Break, least: float, log: bool) -> Step:
    size = (candidate.size, candidate.size - candidate.half, candidate.size + candidate.half)
    change, low, high = (math.exp(part) for part in size) if log else size
    why = candidate.why or ("smaller than what is of interest" if abs(candidate.size) < least else "")
    last_good, first_bad = int(nights[candidate.at - 1]), int(nights[candidate.at])
    return Step(last_good, first_bad, change, low, high, candidate.nights, not why, why, log)


def _too_early(residuals: Floats, noise: Noise, least: float) -> int:
    """How many of the last nights stand apart on one side, if they are too few to be a level; else 0."""
    apart = np.abs(residuals) > max(least, OUTLYING * noise.night)
    count = 0
    while count < min(MIN_NIGHTS, residuals.size) and apart[-1 - count]:
        if residuals[-1 - count] * residuals[-1] < 0:
            break
        count += 1
    return count if 0 < count < min(MIN_NIGHTS, residuals.size) else 0


def _walks(pieces: list[tuple[int, int]], nights: NDArray[np.intp], y: Floats, log: bool) -> tuple[Drift, ...]:
    """The drifts over these pieces of `y`, joined where they overlap, with the change from end to end."""
    joined: list[tuple[int, int]] = []
    for left, right in pieces:
        overlaps = bool(joined) and left < joined[-1][1]
        joined[-1:] = [(joined[-1][0], right)] if overlaps else [*joined[-1:], (left, right)]
    walks = []
    for left, right in joined:
        first, last = int(nights[left]), int(nights[right - 1])
        change = line(nights[left:right], y[left:right])[0] * (last - first)
        walks.append(Drift(first, last, math.exp(change) if log else change))
    return tuple(walks)
