"""The few SVG elements that the pictures are made of, and the markers of engines.

Every attribute and every text is escaped here; nothing else in `reports/` writes markup by hand.
"""

import itertools
import math
from collections.abc import Sequence

from markupsafe import Markup

MARKER_PX = 5.5

Point = tuple[float, float]

# (corners, first angle in degrees, radius in MARKER_PX, radius of every second corner as a share of it) of
# ○ □ △ ◇ ▽ ☆ ⬠ ◁ ▷ and stars of 4, 6 and 3 points, of about equal area.
SHAPES = (
    (24, 0, 1.0, 1.0), (4, 45, 1.2, 1.0), (3, -90, 1.4, 1.0), (4, 0, 1.3, 1.0), (3, 90, 1.4, 1.0), (10, -90, 1.4, 0.5),
    (5, -90, 1.15, 1.0), (3, 180, 1.4, 1.0), (3, 0, 1.4, 1.0), (8, -90, 1.5, 0.45), (12, -90, 1.35, 0.6),
    (6, -90, 1.6, 0.4),
)  # fmt: skip


def _outline(shape: int) -> list[Point]:
    """Corners of the shape with this number, around (0, 0)."""
    corners, turn, radius, inner = SHAPES[shape % len(SHAPES)]
    points = []
    for corner in range(corners):
        reach = MARKER_PX * radius * (inner if corner % 2 else 1)
        angle = math.radians(turn + 360 * corner / corners)
        points.append((reach * math.cos(angle), reach * math.sin(angle)))
    return points


def _left_half(outline: Sequence[Point]) -> list[Point]:
    """The part of the shape left of its middle (Sutherland-Hodgman clipping at x = 0)."""
    kept: list[Point] = []
    for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if x0 <= 0:
            kept.append((x0, y0))
        if (x0 < 0 < x1) or (x1 < 0 < x0):
            kept.append((0.0, y0 + (y1 - y0) * x0 / (x0 - x1)))
    return kept


def marker(point: Point, shape: int, precision: str, *, failed: bool = False) -> Markup:
    """Hollow for FP32, half filled for FP16, filled for anything below; crossed out if the gate failed."""
    outline = _outline(shape)
    filled = {"fp32": (), "fp16": _left_half(outline)}.get(precision, outline)
    parts = [polygon(point, outline, "marker fails" if failed else "marker")]
    if filled:
        parts.append(polygon(point, filled, "filled fails" if failed else "filled"))
    if failed:
        x, y, reach = *point, MARKER_PX + 3
        parts.append(line((x - reach, y - reach), (x + reach, y + reach), "cross"))
        parts.append(line((x - reach, y + reach), (x + reach, y - reach), "cross"))
    return Markup("").join(parts)


def polygon(at: Point, corners: Sequence[Point], class_: str) -> Markup:
    """Corners around (0, 0), moved to `at`."""
    points = " ".join(f"{_short(at[0] + x)},{_short(at[1] + y)}" for x, y in corners)
    return tag("polygon", points=points, class_=class_)


def line(start: Point, end: Point, class_: str) -> Markup:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    return tag("line", x1=_short(x1), y1=_short(y1), x2=_short(x2), y2=_short(y2), class_=class_)


def polyline(points: Sequence[tuple[int, int]]) -> str:
    """The path through these whole pixels, in few bytes: steps from each to the next."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for (left, old), (right, new) in itertools.pairwise(points):
        across, down = right - left, new - old
        parts.append(f"l{across}{'' if down < 0 else ' '}{down}" if down else f"h{across}")
    return "".join(parts)


def text(at: Point, words: str, class_: str) -> Markup:
    """One line of text; the stylesheet anchors it."""
    return tag("text", words, x=_short(at[0]), y=_short(at[1]), class_=class_)


def _short(pixels: float) -> str:
    """To a tenth of a pixel, a whole one without its zero: a page has thousands of them."""
    return f"{pixels:.1f}".removesuffix(".0")


def svg(width: int, height: int, *children: Markup, **attributes: str) -> Markup:
    """A picture with its own coordinates, in CSS pixels."""
    return tag("svg", *children, viewBox=f"0 0 {width} {height}", width=str(width), height=str(height), **attributes)


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """One element. A child that is no `Markup` is text, and is escaped."""
    shown = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, shown, Markup("").join(children))
