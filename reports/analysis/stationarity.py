"""Whether the level of one measurement held while it was measured: steps, drifts and wandering of its samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The stretches that a measurement is cut into, at most.
WINDOWS = 60
# A stretch is the median of at least so many samples, and so many stretches must be there before their order says
# anything. Steps and drifts are told from noise where they explain half of the variance between stretches, which
# in white noise one run in some hundreds does, and where they are as large as one would care about.
STRETCH, FEWEST_STRETCHES, LEAST_EXPLAINED, LEAST_CHANGE = 3, 20, 0.5, 0.01
# A level wanders where its stretches spread so wide, and neighbours differ by less than this share of what
# independent ones do: von Neumann's ratio, half the mean square of successive differences over the variance.
WANDERS, NEIGHBOURS_ALIKE = 0.05, 0.5
# Stretches that spread so wide have no level to speak of, whatever their order.
SPREADS = 0.10


@dataclass(frozen=True)
class Movement:
    """How the level moved while it was measured.

    `kind` is "step", "drift", "wander", "spread", "level" or "" (too few samples to say). `share` is how far the level
    went, over the median: the step, the drift from end to end, or the width of nine in ten stretches.
    """

    kind: str
    text: str
    share: float | None = None


def positive(samples_ms: Sequence[float]) -> Floats:
    """The samples that can be times, in their order."""
    samples = np.array(samples_ms, dtype=np.float64)
    return samples[samples > 0]


def movement(samples_ms: Floats) -> Movement:
    """Whether the level stepped or drifted while it was measured, in a sentence without a full stop."""
    return _movement(samples_ms.tobytes())


@lru_cache(maxsize=1024)  # verdict, table, recommendation and folds all ask
def _movement(samples: bytes) -> Movement:
    samples_ms = np.frombuffer(samples)
    stretches = min(WINDOWS, samples_ms.size // STRETCH)
    if stretches < FEWEST_STRETCHES:
        return Movement("", "too few samples to tell a step or a drift")
    medians = _medians(samples_ms, stretches)
    whole = float(np.median(medians))
    step_explains, at = _best_step(medians)
    slope, drift_explains = _line(medians)
    stepped = float(np.median(medians[at:]) / np.median(medians[:at])) - 1
    drifted = slope * (stretches - 1) / whole
    if step_explains >= max(LEAST_EXPLAINED, drift_explains) and abs(stepped) >= LEAST_CHANGE:
        after = f"a step after {at / stretches:.0%} of the samples: {_longer(stepped)} from there on"
        return Movement("step", after, abs(stepped))
    if drift_explains >= LEAST_EXPLAINED and abs(drifted) >= LEAST_CHANGE:
        return Movement("drift", f"a drift: {_longer(drifted)} at the end than at the beginning", abs(drifted))
    least, most = (float(end) / whole - 1 for end in np.quantile(medians, (0.05, 0.95)))
    scatter = f"nine in ten stretches are {100 * least:+.1f} to {100 * most:+.1f} % from their middle"
    if most - least < WANDERS:
        return Movement("level", f"no step and no drift; {scatter}")
    if _unlike_neighbours(medians) < NEIGHBOURS_ALIKE:
        return Movement("wander", f"the level moves to and fro, without one step or drift; {scatter}", most - least)
    spreads = most - least >= SPREADS
    uneven = f"the level is {'not one' if spreads else 'uneven'}; {scatter}"
    return Movement("spread" if spreads else "level", uneven, most - least)


def _medians(samples_ms: Floats, stretches: int) -> Floats:
    """The medians of so many stretches in the order of time, cut as `numpy.array_split` cuts: hundreds of cases have
    dozens each, and all of one length are worked out at once."""
    length, longer = divmod(samples_ms.size, stretches)
    end = longer * (length + 1)
    parts = (samples_ms[:end].reshape(longer, length + 1), samples_ms[end:].reshape(stretches - longer, length))
    return np.concatenate([np.median(part, axis=1) for part in parts if len(part)])


def _best_step(levels: Floats) -> tuple[float, int]:
    """The share of the variance that the best two levels explain, and where the second begins."""
    centred = levels - levels.mean()
    total = float(centred @ centred)
    left = np.arange(STRETCH, levels.size - STRETCH + 1)
    between = np.cumsum(centred)[left - 1] ** 2 * (1 / left + 1 / (levels.size - left))
    best = int(np.argmax(between))
    return (float(between[best]) / total if total else 0.0), int(left[best])


def _line(levels: Floats) -> tuple[float, float]:
    """The slope of the straight line by least squares, and the share of the variance that it explains."""
    x = np.arange(levels.size) - (levels.size - 1) / 2
    centred = levels - levels.mean()
    slope, total = float(x @ centred / (x @ x)), float(centred @ centred)
    return slope, slope**2 * float(x @ x) / total if total else 0.0


def _unlike_neighbours(levels: Floats) -> float:
    """About 1 for independent stretches, 0 for a level that moves slowly."""
    variance = float(levels.var())
    return float(np.mean(np.diff(levels) ** 2)) / (2 * variance) if variance else 1.0


def _longer(change: float) -> str:
    return f"{100 * abs(change):.1f} % {'longer' if change > 0 else 'shorter'}"
