"""Speed against accuracy, as inline SVG: one panel a batch size, the panels of a model on the same scales.

Backends differ by the shape of the marker and precisions by its filling, so that nothing depends on colour. Every
point carries its name, or where there are many those that a reader looks for. Colours come from the page's CSS, so
that the picture follows light and dark.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.front import coordinates, pareto_front
from reports.label_layout import Box, nearest_edge, place_labels
from reports.ratio import Ratio
from reports.summary import CaseSummary
from reports.svg import MARKER_PX, Point, line, marker, svg, tag, text
from reports.wording import gate_percent, percent, percent_interval, times, times_interval

WIDTH, HEIGHT = 430, 320
PLOT = Box(left=56, top=16, right=WIDTH - 14, bottom=HEIGHT - 46)
# Mean advance of a 12 px sans-serif glyph, a little generous: a label must not be wider than its box.
GLYPH_PX = 6.6
LONGEST_LABEL = 34
NAME_GAP_PX = 6
HAIR_PX = 0.15
# More names than these cover each other and the points.
NAMES_THAT_FIT = 8
TICK_PX = 38  # the width of `1.25×` and a space
# Below this ratio an engine is broken, not a little worse. One broken engine must not squeeze the scale on
# which all others differ by tenths of a percent: it stands on the lower edge, with its ratio in words.
FLOOR = 0.90


@dataclass(frozen=True)
class Panel:
    """The picture of one batch size, and the engines on its front, the fastest first."""

    batch: int
    svg: Markup
    front: tuple[CaseSummary, ...]


@dataclass(frozen=True)
class Picture:
    """The panels of one model, and the cases that have no place in them."""

    model: str
    panels: tuple[Panel, ...]
    not_drawn: tuple[CaseSummary, ...]


@dataclass(frozen=True)
class Scales:
    """From speed-up (logarithmic: 2× faster is as far as 2× slower) and accuracy ratio to pixels."""

    fastest: float
    slowest: float
    worst: float
    best: float

    def x(self, speedup: float) -> float:
        share = math.log(max(speedup, 1e-6) / self.slowest) / math.log(self.fastest / self.slowest)
        return min(max(PLOT.left + share * (PLOT.right - PLOT.left), PLOT.left), PLOT.right)

    def y(self, ratio: float) -> float:
        share = (ratio - self.worst) / (self.best - self.worst)
        return min(max(PLOT.bottom - share * (PLOT.bottom - PLOT.top), PLOT.top), PLOT.bottom)


def pictures(cases: Sequence[CaseSummary], least: float) -> list[Picture]:
    """One picture a model that was timed. A model without a judged accuracy has a picture without panels."""
    shapes = backend_shapes(cases)
    found = []
    for model in dict.fromkeys(case.model for case in cases if case.latency):
        timed = [case for case in cases if case.model == model and case.latency]
        drawn = [case for case in timed if coordinates(case)]
        scales = _scales(drawn, least) if drawn else None
        panels = [
            _panel(batch, [case for case in drawn if case.batch == batch], shapes, scales, least)
            for batch in dict.fromkeys(case.batch for case in drawn)
            if scales
        ]
        found.append(Picture(model, tuple(panels), tuple(case for case in timed if case not in drawn)))
    return found


def backend_shapes(cases: Sequence[CaseSummary]) -> dict[str, int]:
    """A shape number per backend that was timed, by first appearance: a backend looks the same in all panels."""
    timed = dict.fromkeys(case.backend for case in cases if case.latency)
    return {backend: number for number, backend in enumerate(timed)}


def legend(cases: Sequence[CaseSummary]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(what it tells, (words, marker) pairs): the shape of each backend, then the filling of each precision."""

    def key(shape: int, precision: str) -> Markup:
        return svg(18, 18, marker((9, 9), shape, precision), class_="key", aria_hidden="true")

    drawn = [case for case in cases if coordinates(case)]
    if not drawn:
        return []
    shapes = backend_shapes(cases)
    backends = [(name, key(shapes[name], "fp32")) for name in dict.fromkeys(case.backend for case in drawn)]
    precisions = [(name.upper(), key(0, name)) for name in dict.fromkeys(case.precision for case in drawn)]
    return [("Shape", backends), ("Filling", precisions)]


def _drawn(case: CaseSummary) -> tuple[Ratio, Ratio]:
    """The coordinates of a case that is known to have them."""
    found = coordinates(case)
    assert found is not None
    return found


def _scales(cases: Sequence[CaseSummary], least: float) -> Scales:
    speeds, ratios = zip(*map(_drawn, cases), strict=True)
    slowest = min(1.0, *(speed.low or speed.value for speed in speeds))
    fastest = max(1.0, *(speed.high or speed.value for speed in speeds))
    # At least ±15 % when everything is equally fast; more on the right, where the fastest has its name.
    spread = math.log(fastest / slowest)
    before, after = max(0.14, 0.1 * spread), max(0.2, 0.3 * spread)
    shown = [ratio for ratio in ratios if ratio.value >= FLOOR] or list(ratios)
    worst = min(least, *(max(ratio.low or ratio.value, FLOOR if ratio.value >= FLOOR else 0) for ratio in shown))
    best = max(1.0, *(ratio.high or ratio.value for ratio in shown))
    # Most engines stand near 100 %: their names need room above and below it.
    below, above = max(0.004, 0.12 * (best - worst)), max(0.006, 0.25 * (best - worst))
    return Scales(fastest * math.exp(after), slowest * math.exp(-before), worst - below, best + above)


def _panel(batch: int, cases: Sequence[CaseSummary], shapes: dict[str, int], scales: Scales, least: float) -> Panel:
    gate_y = scales.y(least)
    gate_box = Box(PLOT.left, gate_y, PLOT.left + 60, gate_y + 15)
    points = {case.id: (scales.x(_drawn(case)[0].value), scales.y(_drawn(case)[1].value)) for case in cases}
    front = pareto_front(cases)
    around = MARKER_PX + 1
    obstacles = [Box(x - around, y - around, x + around, y + around) for x, y in points.values()] + [gate_box]
    bars, markers = [], []
    for case in cases:
        (speed, ratio), point = _drawn(case), points[case.id]
        drawn_bars, taken = _error_bars(point, speed, ratio, scales)
        bars.append(drawn_bars)
        obstacles.extend(taken)
        drawn_marker = marker(point, shapes[case.backend], case.precision, failed=case.gate == "fail")
        told = tag("title", _hover(case, speed, ratio, least))
        markers.append(tag("g", told, drawn_marker, class_="point", role="img", tabindex="0"))
    steps = [line(points[faster.id], points[slower.id], "front") for faster, slower in itertools.pairwise(front)]
    gate = [
        line((PLOT.left, gate_y), (PLOT.right, gate_y), "gate"),
        text((PLOT.left + 4, gate_y + 12), f"gate {gate_percent(least)}", "gate-name"),
    ]
    words = f"Speed-up against accuracy, {len(cases)} cases; the table below has the same figures."
    # Whoever listens hears the points, which say everything, and neither ticks nor names without a place.
    names = _names(_named(cases, front), points, obstacles, scales, least)
    scenery = tag("g", *_axes(scales), *gate, *steps, *bars, *names, aria_hidden="true")
    picture = svg(WIDTH, HEIGHT, scenery, *markers, class_="panel", role="group", aria_label=words)
    return Panel(batch, picture, tuple(front))


def _named(cases: Sequence[CaseSummary], front: Sequence[CaseSummary]) -> list[CaseSummary]:
    """The cases with a name: all, or those on the front, what fails, the baseline and each precision's fastest."""
    if len(cases) <= NAMES_THAT_FIT:
        return list(cases)
    fastest = {case.precision: case.id for case in sorted(cases, key=lambda case: _drawn(case)[0].value)}
    wanted = {case.id for case in front} | set(fastest.values())
    return [case for case in cases if case.id in wanted or case.is_baseline or case.gate == "fail"]


def _names(
    cases: Sequence[CaseSummary], points: dict[str, Point], obstacles: Sequence[Box], scales: Scales, least: float
) -> list[Markup]:
    places = [points[case.id] for case in cases]
    names = []
    for case in cases:
        ratio = _drawn(case)[1].value
        names.append(_label(case, percent(ratio, least) if ratio < scales.worst else ""))
    widths = [len(name) * GLYPH_PX + NAME_GAP_PX for name in names]
    nameless = [point for point in points.values() if point not in places]
    labels = place_labels(places, widths, obstacles, PLOT, nameless)
    parts = []
    for case, point, name, label in zip(cases, places, names, labels, strict=True):
        if label.leader:
            parts.append(line(point, nearest_edge(label.box, point), "leader"))
        middle = (label.box.left + label.box.right) / 2
        parts.append(text((middle, label.box.bottom - 3), name, "name fails" if case.gate == "fail" else "name"))
    return parts


def _label(case: CaseSummary, ratio: str) -> str:
    name = case.name if len(case.name) <= LONGEST_LABEL else case.name[: LONGEST_LABEL - 1] + "…"
    return " ".join(filter(None, [name, ratio, "fails" if case.gate == "fail" else ""]))


def _hover(case: CaseSummary, speed: Ratio, ratio: Ratio, least: float) -> str:
    metric = case.metric.name if case.metric else "accuracy"
    return (
        f"{case.id}: {times(speed.value)} ({times_interval(speed)}), "
        f"{metric} {percent(ratio.value, least)} ({percent_interval(ratio)}), gate: {case.gate}"
    )


def _axes(scales: Scales) -> list[Markup]:
    parts = []
    for tick in log_ticks(scales.slowest, scales.fastest):
        x = scales.x(tick)
        parts.append(line((x, PLOT.top), (x, PLOT.bottom), "unity" if tick == 1 else "grid"))
        parts.append(text((x, PLOT.bottom + 17), f"{tick:g}×", "tick"))
    for tick in linear_ticks(scales.worst, scales.best):
        y = scales.y(tick)
        parts.append(line((PLOT.left, y), (PLOT.right, y), "grid"))
        parts.append(text((PLOT.left - 7, y + 4), f"{100 * tick:.4g}\u202f%", "tick y"))
    parts.append(text(((PLOT.left + PLOT.right) / 2, HEIGHT - 8), "speed-up over pytorch FP32", "axis"))
    parts.append(text((PLOT.left, PLOT.top - 5), "accuracy kept", "axis first"))
    return parts


def log_ticks(low: float, high: float) -> list[float]:
    """Round speed-ups in [low, high], the finest set whose marks keep apart on the logarithmic axis.

    1 is always among them if it lies inside: every set of steps has it.
    """
    nearest = math.log(high / low) * TICK_PX / (PLOT.right - PLOT.left)
    for steps in (
        (1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.25, 1.5, 2, 3, 4, 5, 7),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 5),
        (1, 3),
        (1,),
    ):
        ticks = [step * 10.0**power for power in range(-4, 5) for step in steps]
        found = [round(tick, 6) for tick in ticks if low <= tick <= high]
        if all(math.log(right / left) >= nearest for left, right in itertools.pairwise(found)):
            break
    return found


def linear_ticks(low: float, high: float) -> list[float]:
    """Round ratios in [low, high]; at most seven."""
    step = next(s for s in (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, math.inf) if (high - low) / s <= 7)
    return [round(n * step, 6) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _error_bars(point: Point, speed: Ratio, ratio: Ratio, scales: Scales) -> tuple[Markup, list[Box]]:
    """The bars, and the room they take: hair-thin, so that a name rather crosses a bar than a point or a name."""
    x, y = point
    bars, taken = [], []
    if speed.low is not None and speed.high is not None:
        left, right = scales.x(speed.low), scales.x(speed.high)
        bars.append(line((left, y), (right, y), "error"))
        taken.append(Box(left, y - HAIR_PX, right, y + HAIR_PX))
    if ratio.low is not None and ratio.high is not None:
        bottom, top = scales.y(ratio.low), scales.y(ratio.high)
        bars.append(line((x, bottom), (x, top), "error"))
        taken.append(Box(x - HAIR_PX, top, x + HAIR_PX, bottom))
    return Markup("").join(bars), taken
