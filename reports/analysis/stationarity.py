"""The samples of one measurement: their distribution and their order in time, as a small picture and in words.

A page never holds the samples themselves: they are binned here into a few dozen bars with whole pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reports.charts.svg import polyline, svg, tag, text
from reports.text.formatting import significant

Floats = NDArray[np.float64]
Scale = Callable[[float], int]

WIDTH, HEIGHT, TOP, BOTTOM = 452, 122, 8, 96
AXIS = HEIGHT - 10
TIME_LEFT, WINDOW_PX, WINDOWS = 62, 4, 60  # the order of time: a bar for each stretch of samples
BARS_LEFT, BARS_PX, BAR_PX = 310, 70, 4  # the distribution, on the same scale of latency
FEWEST = 10
# Even the quietest engine has a scale of this share of its median, so that noise of a thousandth looks like that.
LEAST_SPAN = 0.02
# The scale ends this many times as far above the median as the 95 % quantile lies, so that one hiccup does not
# squeeze the rest.
TAIL = 4
TABLE_ROWS = 5
LABEL_PX = 12
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

    `kind` is "step", "drift", "wander", "spread", "level" or "" (too few samples to say).
    """

    kind: str
    text: str


def readable(value: object) -> Floats:
    """The positive finite numbers of a recorded list, in their order; empty for anything else."""
    listed = value if isinstance(value, list) else []
    alike = set(map(type, listed)) <= {int, float}  # thousands of them, as a rule of one type
    numbers = listed if alike else [each for each in listed if type(each) in (int, float)]
    found = np.array(numbers, dtype=np.float64)
    return found[np.isfinite(found) & (found > 0)]


def picture(samples_ms: Floats, marks: Mapping[str, float | None], label: str) -> Markup | None:
    """Left the samples in the order of time, right their distribution; `marks` are percentiles by name, in ms.

    None for samples too few to have a shape.
    """
    if samples_ms.size < FEWEST:
        return None
    known = {name: value for name, value in marks.items() if value is not None}
    low, high = _range(samples_ms, list(known.values()))

    def y(value_ms: float) -> int:
        share = (min(max(value_ms, low), high) - low) / (high - low)
        return round(BOTTOM - share * (BOTTOM - TOP))

    return svg(
        WIDTH,
        HEIGHT,
        text((TIME_LEFT - 6, TOP + 8), f"{significant(high)} ms", "end"),
        text((TIME_LEFT - 6, BOTTOM), f"{significant(low)} ms", "end"),
        _in_time(samples_ms, y),
        _distribution(samples_ms, low, high),
        *_labelled(known, y),
        text((TIME_LEFT, AXIS), "call 1", "start"),
        text((TIME_LEFT + WINDOWS * WINDOW_PX, AXIS), f"call {samples_ms.size}", "end"),
        text((BARS_LEFT, AXIS), "how often", "start"),
        class_="samples",
        role="img",
        aria_label=label,
    )


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
        return Movement("step", f"a step after {at / stretches:.0%} of the samples: {_longer(stepped)} from there on")
    if drift_explains >= LEAST_EXPLAINED and abs(drifted) >= LEAST_CHANGE:
        return Movement("drift", f"a drift: {_longer(drifted)} at the end than at the beginning")
    least, most = (float(end) / whole - 1 for end in np.quantile(medians, (0.05, 0.95)))
    found = f"nine in ten stretches are {100 * least:+.1f} to {100 * most:+.1f} % from their middle"
    if most - least < WANDERS:
        return Movement("level", f"no step and no drift; {found}")
    if _unlike_neighbours(medians) < NEIGHBOURS_ALIKE:
        return Movement("wander", f"the level moves to and fro, without one step or drift; {found}")
    spreads = most - least >= SPREADS
    return Movement("spread" if spreads else "level", f"the level is {'not one' if spreads else 'uneven'}; {found}")


def _medians(samples_ms: Floats, stretches: int) -> Floats:
    """The medians of so many stretches in the order of time, cut as `numpy.array_split` cuts: hundreds of cases have
    dozens each, and all of one length are worked out at once."""
    length, longer = divmod(samples_ms.size, stretches)
    end = longer * (length + 1)
    parts = (samples_ms[:end].reshape(longer, length + 1), samples_ms[end:].reshape(stretches - longer, length))
    return np.concatenate([np.median(part, axis=1) for part in parts if len(part)])


def _range(samples_ms: Floats, marks_ms: Sequence[float]) -> tuple[float, float]:
    """The lowest and highest latency of the scale."""
    middle, late = (float(each) for each in np.quantile(samples_ms, (0.5, 0.95)))
    low = float(samples_ms.min())
    high = max(min(float(samples_ms.max()), middle + TAIL * (late - middle)), *marks_ms, middle)
    missing = max(0.0, LEAST_SPAN * middle - (high - low)) / 2
    return low - missing, high + missing


def _in_time(samples_ms: Floats, y: Scale) -> Markup:
    """Each stretch from its lowest to its highest sample, and the medians as a line."""
    parts = np.array_split(samples_ms, min(WINDOWS, samples_ms.size))
    width = WINDOWS * WINDOW_PX / len(parts)
    at = [round(TIME_LEFT + (index + 0.5) * width) for index in range(len(parts))]
    reach = "".join(f"M{x} {y(part.max())}V{y(part.min()) + 1}" for x, part in zip(at, parts, strict=True))
    medians = [y(float(np.median(part))) for part in parts]
    middle = polyline(list(zip(at, medians, strict=True)))
    return tag("path", d=reach, class_="reach") + tag("path", d=middle, class_="line")


def table(samples_ms: Floats) -> list[tuple[str, ...]]:
    """The picture in figures: of each fifth of the calls, in their order, the median and the fastest and slowest."""
    if samples_ms.size < FEWEST:
        return []
    lines, end = [], 0
    for part in np.array_split(samples_ms, TABLE_ROWS):
        start, end = end + 1, end + part.size
        ends = (float(np.median(part)), float(part.min()), float(part.max()))
        lines.append((f"{start} to {end}", *(significant(each) for each in ends)))
    return lines


def _distribution(samples_ms: Floats, low: float, high: float) -> Markup:
    """Lying bars from the fastest at the bottom to the slowest; the topmost has also what is off the scale."""
    bars = (BOTTOM - TOP) // BAR_PX
    counts = np.histogram(np.clip(samples_ms, low, high), bins=bars, range=(low, high))[0]
    lengths = np.ceil(counts / counts.max() * BARS_PX).astype(int)
    outline = "".join(f"H{BARS_LEFT + length}v{-BAR_PX}" for length in lengths)
    return tag("path", d=f"M{BARS_LEFT} {BOTTOM}{outline}H{BARS_LEFT}Z", class_="bars")


def _labelled(marks_ms: Mapping[str, float], y: Scale) -> list[Markup]:
    """A line for each percentile across both parts, with its name to the right, and none upon another."""
    names: list[Markup] = []
    across, leaders = "", ""
    free = BOTTOM + LABEL_PX
    right = BARS_LEFT + BARS_PX
    for name, value in sorted(marks_ms.items(), key=lambda mark: mark[1]):
        at = y(value)
        free = min(at + 4, free - LABEL_PX)
        across += f"M{TIME_LEFT} {at}H{right}"
        leaders += f"M{right} {at}l8 {free - 4 - at}"
        names.append(text((right + 10, free), f"{name} {significant(value)}", "start"))
    return [tag("path", d=across, class_="quantile"), tag("path", d=leaders, class_="leader"), *names]


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
