"""Speed against accuracy, as inline SVG: one panel a batch size, the panels of a model on the same scales.

Backends differ by the shape of the marker and precisions by its filling, so that nothing depends on colour;
every point carries its name. Colours come from the page's CSS, so the picture follows light and dark.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

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
TICK_PX = 38  # the width of `1.25×` and a space
# Below this ratio an engine is broken, not a little worse. One broken engine must not squeeze the scale on
# which all others differ by tenths of a percent: it stands on the lower edge, with its ratio in words.
FLOOR = 0.90


@dataclass(frozen=True)
class Panel:
    """The picture of one batch size."""

    batch: int
    svg: Markup


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
        drawn = [case for case in timed if _coordinates(case)]
        scales = _scales(drawn, least) if drawn else None
        panels = [
            Panel(batch, _panel([case for case in drawn if case.batch == batch], shapes, scales, least))
            for batch in dict.fromkeys(case.batch for case in drawn)
            if scales
        ]
        found.append(Picture(model, tuple(panels), tuple(case for case in timed if case not in drawn)))
    return found


def backend_shapes(cases: Sequence[CaseSummary]) -> dict[str, int]:
    """A shape number per backend, by first appearance: the same backend looks the same in all panels."""
    return {backend: number for number, backend in enumerate(dict.fromkeys(case.backend for case in cases))}


def legend(cases: Sequence[CaseSummary]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(what it tells, (words, marker) pairs): the shape of each backend, then the filling of each precision."""

    def key(shape: int, precision: str) -> Markup:
        return svg(18, 18, marker((9, 9), shape, precision), class_="key", aria_hidden="true")

    drawn = [case for case in cases if _coordinates(case)]
    if not drawn:
        return []
    shapes = backend_shapes(cases)
    backends = [(name, key(shapes[name], "fp32")) for name in dict.fromkeys(case.backend for case in drawn)]
    precisions = [(name.upper(), key(0, name)) for name in dict.fromkeys(case.precision for case in drawn)]
    return [("Shape", backends), ("Filling", precisions)]


def _coordinates(case: CaseSummary) -> tuple[Ratio, Ratio] | None:
    """(speed-up, accuracy ratio), for a case that was timed and judged, and both on the engine that its name says."""
    if case.problems or case.refuted:
        return None
    ratio = case.metric.ratio if case.metric and case.gate in ("pass", "fail") else None
    ratio = ratio or (Ratio(1.0, None, None) if case.is_baseline else None)
    return (case.speedup, ratio) if case.speedup and ratio else None


def _drawn(case: CaseSummary) -> tuple[Ratio, Ratio]:
    """The coordinates of a case that is known to have them."""
    coordinates = _coordinates(case)
    assert coordinates is not None
    return coordinates


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


def _panel(cases: Sequence[CaseSummary], shapes: dict[str, int], scales: Scales | None, least: float) -> Markup:
    assert scales is not None
    gate_y = scales.y(least)
    gate_box = Box(PLOT.left, gate_y, PLOT.left + 60, gate_y + 15)
    points, names, bars, markers = [], [], [], []
    for case in cases:
        speed, ratio = _drawn(case)
        point = (scales.x(speed.value), scales.y(ratio.value))
        broken = ratio.value < scales.worst
        points.append(point)
        names.append(_label(case, percent(ratio.value, least) if broken else ""))
        bars.append(_error_bars(point, speed, ratio, scales))
        drawn_marker = marker(point, shapes[case.backend], case.precision, failed=case.gate == "fail")
        told = tag("title", _hover(case, speed, ratio, least))
        markers.append(tag("g", told, drawn_marker, class_="point", role="img", tabindex="0"))
    around = MARKER_PX + 1
    obstacles = [Box(x - around, y - around, x + around, y + around) for x, y in points] + [gate_box]
    for case, (x, y) in zip(cases, points, strict=True):
        speed, ratio = _drawn(case)
        # Hair-thin, so that a name rather crosses an error bar than a point or another name.
        if ratio.low is not None and ratio.high is not None:
            obstacles.append(Box(x - HAIR_PX, scales.y(ratio.high), x + HAIR_PX, scales.y(ratio.low)))
        if speed.low is not None and speed.high is not None:
            obstacles.append(Box(scales.x(speed.low), y - HAIR_PX, scales.x(speed.high), y + HAIR_PX))
    labels = place_labels(points, [len(name) * GLYPH_PX + NAME_GAP_PX for name in names], obstacles, PLOT)
    texts = []
    for case, point, name, label in zip(cases, points, names, labels, strict=True):
        if label.leader:
            texts.append(line(point, nearest_edge(label.box, point), "leader"))
        middle = (label.box.left + label.box.right) / 2
        class_ = "name fails" if case.gate == "fail" else "name"
        texts.append(text((middle, label.box.bottom - 3), name, class_))
    gate = [
        line((PLOT.left, gate_y), (PLOT.right, gate_y), "gate"),
        text((PLOT.left + 4, gate_y + 12), f"gate {gate_percent(least)}", "gate-name"),
    ]
    words = f"Speed-up against accuracy, {len(cases)} cases; the table below has the same figures."
    # Whoever listens hears the points, which say everything, and neither ticks nor names without a place.
    scenery = tag("g", *_axes(scales), *gate, *bars, *texts, aria_hidden="true")
    return svg(WIDTH, HEIGHT, scenery, *markers, class_="panel", role="group", aria_label=words)


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


def _error_bars(point: Point, speed: Ratio, ratio: Ratio, scales: Scales) -> Markup:
    x, y = point
    bars = []
    if speed.low is not None and speed.high is not None:
        bars.append(line((scales.x(speed.low), y), (scales.x(speed.high), y), "error"))
    if ratio.low is not None and ratio.high is not None:
        bars.append(line((x, scales.y(ratio.low)), (x, scales.y(ratio.high)), "error"))
    return Markup("").join(bars)
