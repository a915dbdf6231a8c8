"""The few SVG elements that the pictures are made of, and the markers of engines.

Every attribute and every text is escaped here; nothing else in `reports/` writes markup by hand.
"""

import itertools
from collections.abc import Sequence

from markupsafe import Markup

Point = tuple[float, float]

MARKER_PX = 8.0


def marker(point: Point, number: int, shade: str, *, failed: bool = False) -> Markup:
    """A disc in the shade of a precision, with the number by which bars and table name the engine.

    One that fails its gate is hollow and struck through.
    """
    x, y = point
    kind = f"marker {shade}{' fails' if failed else ''}"
    parts = [
        tag("circle", cx=_short(x), cy=_short(y), r=_short(MARKER_PX), class_=kind),
        text((x, y + 3.4), str(number), f"mark-number {shade}{' fails' if failed else ''}"),
    ]
    if failed:
        reach = MARKER_PX + 2
        parts.append(line((x - reach, y + reach), (x + reach, y - reach), "cross"))
    return Markup("").join(parts)


def dot(point: Point, class_: str) -> Markup:
    """A small dot: where a mark belongs that had to make room."""
    return tag("circle", cx=_short(point[0]), cy=_short(point[1]), r="1.8", class_=class_)


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
    if not children:
        # Within <svg> HTML lets an empty element close itself: a page has thousands of them.
        return Markup("<{0}{1}/>").format(name, shown)
    return Markup("<{0}{1}>{2}</{0}>").format(name, shown, Markup("").join(children))
