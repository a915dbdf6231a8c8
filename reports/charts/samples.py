"""The samples of one measurement as a small picture: their order in time and their distribution.

A page never holds the samples themselves: they are binned here into a few dozen bars with whole pixels.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from reports.analysis.stationarity import WINDOWS, Floats
from reports.charts.svg import polyline, svg, tag, text
from reports.text.formatting import significant

Scale = Callable[[float], int]

WIDTH, HEIGHT, TOP, BOTTOM = 452, 122, 8, 96
AXIS = HEIGHT - 10
TIME_LEFT, WINDOW_PX = 62, 4  # the order of time: a bar for each stretch of samples
BARS_LEFT, BARS_PX, BAR_PX = 310, 70, 4  # the distribution, on the same scale of latency
FEWEST = 10
# Even the quietest engine has a scale of this share of its median, so that noise of a thousandth looks like that.
LEAST_SPAN = 0.02
# The scale ends this many times as far above the median as the 95 % quantile lies, so that one hiccup does not
# squeeze the rest.
TAIL = 4
TABLE_ROWS = 5
LABEL_PX = 12


def picture(samples_ms: Floats, marks: Mapping[str, float | None], label: str) -> Markup | None:
    """Left the samples in the order of time, right their distribution; `marks` are percentiles by name, in ms.

    None for samples too few to have a shape.
    """
    if samples_ms.size < FEWEST:
        return None
    drawn_marks = {name: value for name, value in marks.items() if value is not None}
    low, high = _range(samples_ms, list(drawn_marks.values()))

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
        *_labelled(drawn_marks, y),
        text((TIME_LEFT, AXIS), "call 1", "start"),
        text((TIME_LEFT + WINDOWS * WINDOW_PX, AXIS), f"call {samples_ms.size}", "end"),
        text((BARS_LEFT, AXIS), "how often", "start"),
        class_="samples",
        role="img",
        aria_label=label,
    )


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
