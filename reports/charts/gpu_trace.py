"""What the card did while a case was measured, as a small picture: clock, temperature and power over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from reports.analysis.stationarity import WINDOWS
from reports.charts.samples import TIME_LEFT, WINDOW_PX
from reports.charts.svg import polyline, svg, tag, text
from reports.record.results import Trace

# As wide as the samples in the order of time, which stand above it.
WIDTH, LEFT, RIGHT = 452, TIME_LEFT, TIME_LEFT + WINDOWS * WINDOW_PX
STRIP_PX, GAP_PX, TOP = 26, 10, 8
# (key of the trace, unit, the least span of its scale: a flat line stays flat, whatever its last digit does)
STRIPS = (("sm_clock_mhz", "MHz", 60.0), ("temperature_c", "°C", 4.0), ("power_w", "W", 20.0))
FEWEST = 3
# So many pixels the words below the axis need, with those at its end beside them.
WORDS_PX = 165
TABLE_ROWS = 5

Readings = Sequence[float | None]


@dataclass(frozen=True)
class Strips:
    """The readings of a pass: the seconds of each since it began, and (unit, least span, values) of each figure."""

    seconds: Sequence[float]
    strips: Sequence[tuple[str, float, Readings]]


def strips(trace: Trace) -> Strips | None:
    """A recorded trace by figure; None where there is nothing to draw."""
    seconds = trace.seconds
    figures: list[tuple[str, float, Readings]] = [(unit, least, getattr(trace, key)) for key, unit, least in STRIPS]
    drawn = [each for each in figures if len(each[2]) == len(seconds) and _known(each[2])]
    times = _known(seconds)
    if not drawn or len(times) < max(FEWEST, len(seconds)) or times[-1] <= times[0]:
        return None
    return Strips(times, drawn)


def picture(trace: Trace, label: str, warmup_s: float | None = None) -> Markup | None:
    """A strip for each figure that the driver told; what comes before `warmup_s` was not yet measured."""
    traced = strips(trace)
    if traced is None:
        return None
    first, last = traced.seconds[0], traced.seconds[-1]

    def x(at: float) -> int:
        return round(LEFT + (at - first) / (last - first) * (RIGHT - LEFT))

    parts: list[Markup] = []
    top = TOP
    for unit, least, values in traced.strips:
        parts += _strip(values, unit, least, [x(at) for at in traced.seconds], top)
        top += STRIP_PX + GAP_PX
    words = [(LEFT, "0 s", "start"), (RIGHT, f"{last:.1f} s", "end")]
    if warmup_s is not None and first < warmup_s < last:
        begun = x(warmup_s)
        parts.append(tag("path", d=f"M{begun} {TOP}V{top - GAP_PX}", class_="begun"))
        # The words stand where there is room for them, beside those at the ends.
        words = [words[1], (min(begun, RIGHT - WORDS_PX), f"measured from {warmup_s:.1f} s", "start")]
    parts += [text((at, top + 6), word, anchor) for at, word, anchor in words]
    return svg(WIDTH, top + 10, *parts, class_="samples", role="img", aria_label=label)


def table(trace: Trace) -> tuple[list[str], list[tuple[str, ...]]]:
    """(units, lines) of the picture in figures: seconds since the pass began, and the readings then."""
    traced = strips(trace)
    if traced is None:
        return [], []
    last = len(traced.seconds) - 1
    places = dict.fromkeys(round(part * last / (TABLE_ROWS - 1)) for part in range(TABLE_ROWS))
    lines = []
    for place in places:
        values = (strip[2][place] for strip in traced.strips)
        shown = ("–" if value is None else f"{value:.0f}" for value in values)
        lines.append((f"{traced.seconds[place]:.2f}", *shown))
    return [unit for unit, _, _ in traced.strips], lines


def _strip(values: Readings, unit: str, least: float, xs: Sequence[int], top: int) -> list[Markup]:
    """A line, broken where a reading is missing, and the figures of its lowest and highest point."""
    readings = _known(values)
    low, high = min(readings), max(readings)
    middle, span = (low + high) / 2, max(high - low, least)
    points = [
        None if value is None else (x, round(top + STRIP_PX / 2 - (value - middle) / span * STRIP_PX))
        for x, value in zip(xs, values, strict=True)
    ]
    line = "".join(polyline(run) for run in _runs(points) if len(run) > 1)
    ends = f"{low:.0f} {unit}" if round(low) == round(high) else f"{low:.0f}–{high:.0f} {unit}"
    return [
        tag("path", d=f"M{LEFT} {top + STRIP_PX}H{RIGHT}", class_="reach"),
        tag("path", d=line, class_="line"),
        text((RIGHT + 6, top + STRIP_PX / 2 + 4), ends, "start"),
    ]


def _runs(points: Sequence[tuple[int, int] | None]) -> Iterator[list[tuple[int, int]]]:
    """The points between those that are missing. One on a flat stretch says nothing that its neighbours do not."""
    for is_known, run in groupby(points, key=lambda point: point is not None):
        if is_known:
            known_points = [point for point in run if point is not None]
            inner = zip(known_points, known_points[1:-1], known_points[2:], strict=False)
            kept = [here for before, here, after in inner if not before[1] == here[1] == after[1]]
            yield [known_points[0], *kept, *known_points[-1:]] if len(known_points) > 1 else known_points


def _known(values: Readings) -> list[float]:
    return [each for each in values if each is not None]
