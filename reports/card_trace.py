"""What the card did while a case was measured, as a small picture: clock, temperature and power over time."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from reports.svg import svg, tag, text

WIDTH, LEFT, RIGHT = 452, 62, 340
STRIP_PX, GAP_PX, TOP = 26, 10, 8
# (key of the trace, unit, the least span of its scale: a flat line stays flat, whatever its last digit does)
STRIPS = (("sm_clock_mhz", "MHz", 60.0), ("temperature_c", "°C", 4.0), ("power_w", "W", 20.0))
FEWEST = 3


def picture(trace: object, label: str) -> Markup | None:
    """A strip for each figure that the driver told; None where there is nothing to draw."""
    if not isinstance(trace, Mapping):
        return None
    seconds = _numbers(trace.get("seconds"))
    strips = [(_numbers(trace.get(key)), unit, least) for key, unit, least in STRIPS]
    drawn = [each for each in strips if len(each[0]) == len(seconds) and _known(each[0])]
    times = [each for each in seconds if each is not None]
    if not drawn or len(times) < max(FEWEST, len(seconds)) or times[-1] <= times[0]:
        return None
    xs = [round(LEFT + (at - times[0]) / (times[-1] - times[0]) * (RIGHT - LEFT)) for at in times]
    parts: list[Markup] = []
    top = TOP
    for values, unit, least in drawn:
        parts += _strip(values, unit, least, xs, top)
        top += STRIP_PX + GAP_PX
    parts.append(text((RIGHT, top + 6), f"{times[-1]:.1f} s", "end"))
    return svg(WIDTH, top + 10, *parts, class_="samples", role="img", aria_label=label)


def _strip(values: Sequence[float | None], unit: str, least: float, xs: Sequence[int], top: int) -> list[Markup]:
    """A line, broken where a reading is missing, and the figures of its lowest and highest point."""
    known = _known(values)
    low, high = min(known), max(known)
    middle, span = (low + high) / 2, max(high - low, least)

    def y(value: float) -> int:
        return round(top + STRIP_PX / 2 - (value - middle) / span * STRIP_PX)

    line = "".join(
        f"M{left} {y(one)}L{right} {y(other)}"
        for (left, one), (right, other) in pairwise(zip(xs, values, strict=True))
        if one is not None and other is not None
    )
    ends = f"{low:.0f} {unit}" if round(low) == round(high) else f"{low:.0f}–{high:.0f} {unit}"
    return [
        tag("path", d=f"M{LEFT} {top + STRIP_PX}H{RIGHT}", class_="reach"),
        tag("path", d=line, class_="line"),
        text((RIGHT + 6, top + STRIP_PX / 2 + 4), ends, "start"),
    ]


def _numbers(found: Any) -> list[float | None]:
    listed = found if isinstance(found, list | tuple) else []
    return [float(each) if isinstance(each, int | float) and not isinstance(each, bool) else None for each in listed]


def _known(values: Sequence[float | None]) -> list[float]:
    return [each for each in values if each is not None]
