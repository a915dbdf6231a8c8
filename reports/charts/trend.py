"""One figure of one case over the nights, as a line chart of a few hundred bytes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.charts.svg import svg, tag, text
from reports.history.change_points import Steps
from reports.history.regressions import TrackedMetric

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380, 108, 62, 372, 8, 72
MARKS_Y, DAYS_Y = 86, 104
NUMBER_PX = 16  # numbers of marks that are nearer to each other share one place
# A quiet figure fills a part of the height only: the scale is at least this many of the smallest steps of interest.
LEAST_STEPS = 3
STEP_WIDTH_PX, STEP_HEIGHT_PX = 4, 7


@dataclass(frozen=True)
class Axis:
    """The nights that all charts of a page share: places by session, the days of the first and the last one.

    `numbered` are places where the environment changed, with the number of the change; at `ticks` the commit did.
    """

    places: Mapping[str, int]
    ends: tuple[str, str]
    numbered: Mapping[int, int]
    ticks: tuple[int, ...]

    def x(self, place: float) -> int:
        """Nights stand at equal distances, however much time is between them."""
        return round(LEFT + (place + 0.5) * (RIGHT - LEFT) / max(1, len(self.places)))


def picture(
    sessions: Sequence[str],
    values: Sequence[float | None],
    steps: Steps,
    figure: TrackedMetric,
    axis: Axis,
    in_words: Callable[[float], str],
    label: str,
) -> Markup | None:
    """The nights as points on a line, with the levels, the steps and the changes of the environment.

    `sessions`, `values` and the positions in `steps` belong together. None where no night of the axis has a figure.
    """
    recent = [value for name, value in zip(sessions, values, strict=True) if name in axis.places and value is not None]
    if not recent:
        return None
    low, high = _range(recent, figure)

    def y(value: float) -> int:
        return round(BOTTOM - (min(max(value, low), high) - low) / (high - low) * (BOTTOM - TOP))

    places = [axis.places.get(name) for name in sessions]
    return svg(
        WIDTH,
        HEIGHT,
        *_marks(axis),
        text((LEFT - 6, TOP + 8), in_words(high), "end"),
        text((LEFT - 6, BOTTOM), in_words(low), "end"),
        tag("path", d=_levels(steps, places, axis, y), class_="level"),
        tag("path", d=_line(places, values, axis, y), class_="line"),
        *_steps(steps, places, values, axis, y),
        class_="nights",
        role="img",
        aria_label=label,
    )


def _range(recent: Sequence[float], figure: TrackedMetric) -> tuple[float, float]:
    low, high = min(recent), max(recent)
    least = LEAST_STEPS * figure.least * (low if figure.log else 1)
    missing = max(0.0, least - (high - low)) / 2
    return low - missing, high + missing


def _marks(axis: Axis) -> Iterator[Markup]:
    """The axis itself: its ends, a tick for each new commit, and a numbered line for each new environment."""
    ticks = "".join(f"M{axis.x(place - 0.5)} {BOTTOM + 4}v4" for place in axis.ticks)
    yield tag("path", d=f"M{LEFT} {BOTTOM + 4}H{RIGHT}{ticks}", class_="grid")
    if axis.numbered:
        lines = "".join(f"M{axis.x(place - 0.5)} {TOP}V{BOTTOM + 4}" for place in axis.numbered)
        yield tag("path", d=lines, class_="change")
    for x, words in _numbers(axis):
        yield text((x, MARKS_Y + 2), words, "number")
    yield text((LEFT, DAYS_Y), axis.ends[0], "start")
    yield text((RIGHT, DAYS_Y), axis.ends[1], "end")


def _numbers(axis: Axis) -> Iterator[tuple[int, str]]:
    groups: list[list[int]] = []
    for place in sorted(axis.numbered):
        if groups and axis.x(place) - axis.x(groups[-1][-1]) < NUMBER_PX:
            groups[-1].append(place)
        else:
            groups.append([place])
    for group in groups:
        first, last = axis.numbered[group[0]], axis.numbered[group[-1]]
        yield axis.x((group[0] + group[-1] - 1) / 2), str(first) if first == last else f"{first}–{last}"


def _line(places: Sequence[int | None], values: Sequence[float | None], axis: Axis, y: Callable[[float], int]) -> str:
    """A path through the nights. A night without a figure is a gap; a lone one is a short dash."""
    at = {place: value for place, value in zip(places, values, strict=True) if place is not None and value is not None}
    path, before = "", None
    for place, value in sorted(at.items()):
        start = before is None or place != before + 1
        lone = start and place + 1 not in at
        path += f"{'M' if start else 'L'}{axis.x(place)} {y(value)}" + ("h2" if lone else "")
        before = place
    return path


def _levels(steps: Steps, places: Sequence[int | None], axis: Axis, y: Callable[[float], int]) -> str:
    path = ""
    for level in steps.levels:
        drawn_places = [place for place in places[level.first : level.last + 1] if place is not None]
        if drawn_places:
            path += f"M{axis.x(drawn_places[0] - 0.4)} {y(level.value)}H{axis.x(drawn_places[-1] + 0.4)}"
    return path


def _steps(
    steps: Steps,
    places: Sequence[int | None],
    values: Sequence[float | None],
    axis: Axis,
    y: Callable[[float], int],
) -> Iterator[Markup]:
    """A filled triangle up or down where a step is confirmed, a question mark where it is unclear."""
    for step in steps.steps:
        place, value = places[step.first_bad], values[step.first_bad]
        if place is None or value is None:
            continue
        x, at = axis.x(place), y(value)
        if not step.confirmed:
            yield text((x, at - 5 if at > TOP + 16 else at + 14), "?", "doubt")
            continue
        height = STEP_HEIGHT_PX if step.up else -STEP_HEIGHT_PX
        tip = at - height
        yield tag("path", d=f"M{x - STEP_WIDTH_PX} {at}h{2 * STEP_WIDTH_PX}L{x} {tip}Z", class_="step")
