"""Speed against accuracy, as inline SVG: one panel a batch size, the panels of a model on the same scales.

Every mark carries the number by which bars and table name the engine, and the shade of its precision, so that nothing
depends on colour; those that a reader looks for have their names too. Marks never cover each other: one that had to
make room is tied by a thin line to its place. Colours come from the page's CSS, so that the picture follows light and
dark.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.pareto import coordinates, pareto_front
from reports.charts.bars import numbers, shade
from reports.charts.label_placement import Box, nearest_edge, place_labels
from reports.charts.scatter_axes import HEIGHT, PLOT, WIDTH, Scales, axes, figures_of, fitting
from reports.charts.spreading import spread
from reports.charts.svg import MARKER_PX, Point, dot, line, marker, svg, tag, text
from reports.record.results import Ratio
from reports.text.formatting import gate_percent, percent, percent_interval, times, times_interval

# Mean advance of a 12 px sans-serif glyph, a little generous: a label must not be wider than its box.
GLYPH_PX = 6.6
LONGEST_LABEL = 34
NAME_GAP_PX = 6
HAIR_PX = 0.15
# A name on the line of the gate hides where it lies.
GATE_PX = 2.0
GATE_NAME_PX = (60.0, 15.0)
CAP_PX = 3.0
# More names than these cover each other and the points.
NAMES_THAT_FIT = 8
MARKS_APART_PX = 2 * MARKER_PX + 1.5
# A mark that moved further than this is tied to its place.
TIED_FROM_PX = 2.5


@dataclass(frozen=True)
class Panel:
    """The picture of one batch size, and the engines on its front, the fastest first."""

    batch: int
    svg: Markup
    front: tuple[CaseSummary, ...]
    cases: tuple[CaseSummary, ...] = ()


@dataclass(frozen=True)
class Picture:
    """The panels of one model, and the cases that have no place in them."""

    model: str
    panels: tuple[Panel, ...]
    not_drawn: tuple[CaseSummary, ...]


def pictures(cases: Sequence[CaseSummary], least: float) -> list[Picture]:
    """One picture a model that was timed. A model without a judged accuracy has a picture without panels."""
    places = numbers(cases)
    model_pictures = []
    for model in dict.fromkeys(case.model for case in cases if case.latency):
        timed = [case for case in cases if case.model == model and case.ranked]
        drawn = [case for case in timed if coordinates(case)]
        scales = fitting(drawn, least) if drawn else None
        panels = [
            _panel(batch, [case for case in drawn if case.batch == batch], places, scales, least)
            for batch in dict.fromkeys(case.batch for case in drawn)
            if scales
        ]
        model_pictures.append(Picture(model, tuple(panels), tuple(case for case in timed if case not in drawn)))
    return model_pictures


def legend(cases: Sequence[CaseSummary]) -> list[tuple[str, str]]:
    """(word, CSS class of its shade) of each precision that was timed."""
    timed = dict.fromkeys(case.precision for case in cases if case.latency)
    return [(name.upper(), shade(name)) for name in timed]


def _panel(batch: int, cases: Sequence[CaseSummary], places: Mapping[str, int], scales: Scales, least: float) -> Panel:
    gate_y = scales.y(least)
    homes = {case.id: (scales.x(figures_of(case)[0].value), scales.y(figures_of(case)[1].value)) for case in cases}
    rooms = [_room(homes[case.id][1], gate_y, fails=case.gate == "fail") for case in cases]
    front = pareto_front(cases)
    # A mark with a name stands where its figures are; the others make room for it.
    kept = {case.id for case in (*front, *cases) if case in front or case.is_baseline or case.gate == "fail"}
    pinned = [place for place, case in enumerate(cases) if case.id in kept]
    points = dict(zip(homes, spread(list(homes.values()), MARKS_APART_PX, rooms, pinned), strict=True))
    around = MARKER_PX + 1
    obstacles = [Box(x - around, y - around, x + around, y + around) for x, y in points.values()]
    bars, ties, markers = [], [], []
    for case in cases:
        (speed, ratio), point, home = figures_of(case), points[case.id], homes[case.id]
        drawn_bars, taken = _error_bars(home, speed, ratio, scales)
        bars.append(drawn_bars)
        obstacles.extend(taken)
        if math.dist(point, home) > TIED_FROM_PX:
            ties += [line(home, point, "tie"), dot(home, "home")]
        drawn_marker = marker(point, places[case.id], shade(case.precision), failed=case.gate == "fail")
        title = tag("title", _hover(case, speed, ratio, least))
        markers.append(tag("g", title, drawn_marker, class_="point", role="img", tabindex="0"))
    steps = [line(homes[faster.id], homes[slower.id], "front") for faster, slower in itertools.pairwise(front)]
    gate_name = _gate_name(gate_y, obstacles)
    obstacles += [gate_name, Box(PLOT.left, gate_y - GATE_PX, PLOT.right, gate_y + GATE_PX)]
    gate = [
        line((PLOT.left, gate_y), (PLOT.right, gate_y), "gate"),
        text((gate_name.left + 4, gate_name.top + 12), f"gate {gate_percent(least)}", "gate-name"),
    ]
    words = f"Speed-up against accuracy, {len(cases)} cases; the table below has the same figures."
    # Whoever listens hears the points, which say everything, and neither ticks nor names without a place.
    names = _names(_named(cases, front), points, obstacles, scales, least)
    scenery = tag("g", *axes(scales), *gate, *steps, *bars, *ties, *names, aria_hidden="true")
    picture = svg(WIDTH, HEIGHT, scenery, *markers, class_="panel", role="group", aria_label=words)
    by_speed = sorted(cases, key=lambda case: -figures_of(case)[0].value)
    return Panel(batch, picture, tuple(front), tuple(by_speed))


def _room(home_y: float, gate_y: float, *, fails: bool) -> Box:
    """Where a mark may make room for others: never across the line of the gate, where it would tell the contrary."""
    top, bottom = PLOT.top + MARKER_PX, PLOT.bottom - MARKER_PX
    if fails and home_y >= gate_y:
        top = min(max(top, gate_y + MARKER_PX), max(home_y, top))
    elif not fails and home_y <= gate_y:
        bottom = max(min(bottom, gate_y - MARKER_PX), min(home_y, bottom))
    return Box(PLOT.left + MARKER_PX, top, PLOT.right - MARKER_PX, max(bottom, top))


def _gate_name(gate_y: float, obstacles: Sequence[Box]) -> Box:
    """Where the gate's own name has room: under its line, as far left as nothing crosses it, else above, else left."""
    width, height = GATE_NAME_PX
    lefts = [PLOT.left + step for step in range(0, int(PLOT.right - PLOT.left - width), 10)]
    places = [Box(left, top, left + width, top + height) for top in (gate_y, gate_y - height) for left in lefts]
    return next((place for place in places if not any(place.meets(box) for box in obstacles)), places[0])


def _named(cases: Sequence[CaseSummary], front: Sequence[CaseSummary]) -> list[CaseSummary]:
    """The cases with a name: all, or those on the front, what fails and the baseline. The others have their number."""
    if len(cases) <= NAMES_THAT_FIT:
        return list(cases)
    wanted = {case.id for case in front}
    return [case for case in cases if case.id in wanted or case.is_baseline or case.gate == "fail"]


def _names(
    cases: Sequence[CaseSummary], points: dict[str, Point], obstacles: Sequence[Box], scales: Scales, least: float
) -> list[Markup]:
    places = [points[case.id] for case in cases]
    names = []
    for case in cases:
        ratio = figures_of(case)[1].value
        names.append(_label(case, percent(ratio, least) if ratio < scales.worst else ""))
    widths = [len(name) * GLYPH_PX + NAME_GAP_PX for name in names]
    nameless = [point for point in points.values() if point not in places]
    labels = place_labels(places, widths, obstacles, PLOT, nameless)
    parts = []
    for case, point, name, label in zip(cases, places, names, labels, strict=True):
        if label.leader:
            parts.append(_leader(point, nearest_edge(label.box, point)))
        middle = (label.box.left + label.box.right) / 2
        parts.append(text((middle, label.box.bottom - 3), name, "name fails" if case.gate == "fail" else "name"))
    return parts


def _leader(point: Point, end: Point) -> Markup:
    """From the edge of the marker to the name: from its middle it would look like an interval."""
    across, down = end[0] - point[0], end[1] - point[1]
    far = math.hypot(across, down)
    share = min(1.0, (MARKER_PX + 2) / far) if far else 0.0
    return line((point[0] + share * across, point[1] + share * down), end, "leader")


def _label(case: CaseSummary, ratio: str) -> str:
    name = case.short_name if len(case.short_name) <= LONGEST_LABEL else case.short_name[: LONGEST_LABEL - 1] + "…"
    return " ".join(filter(None, [name, ratio, "fails" if case.gate == "fail" else ""]))


def _hover(case: CaseSummary, speed: Ratio, ratio: Ratio, least: float) -> str:
    metric = case.metric.name if case.metric else "accuracy"
    return (
        f"{case.title}: {times(speed.value)} ({times_interval(speed)}), "
        f"{metric} {percent(ratio.value, least)} ({percent_interval(ratio)}), gate: {case.gate}"
    )


def _error_bars(point: Point, speed: Ratio, ratio: Ratio, scales: Scales) -> tuple[Markup, list[Box]]:
    """The bars, and the room they take: hair-thin, so that a name rather crosses a bar than a point or a name."""
    x, y = point
    bars, taken = [], []
    if speed.low is not None and speed.high is not None:
        left, right = scales.x(speed.low), scales.x(speed.high)
        ends = (line((end, y - CAP_PX), (end, y + CAP_PX), "error") for end in (left, right))
        bars += [line((left, y), (right, y), "error"), *ends]
        taken.append(Box(left, y - HAIR_PX, right, y + HAIR_PX))
    if ratio.low is not None and ratio.high is not None:
        bottom, top = scales.y(ratio.low), scales.y(ratio.high)
        ends = (line((x - CAP_PX, end), (x + CAP_PX, end), "error") for end in (bottom, top))
        bars += [line((x, bottom), (x, top), "error"), *ends]
        taken.append(Box(x - HAIR_PX, top, x + HAIR_PX, bottom))
    return Markup("").join(bars), taken
