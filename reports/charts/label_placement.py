"""Where the name of each point goes, so that names cover neither each other nor the points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Directions of a label from its point, the most natural first, and how far away it may go. Beyond the
# first two distances a thin line has to lead from the point to its name.
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.8, -0.8), (0.8, 0.8), (-0.8, -0.8), (-0.8, 0.8), (0.3, -1), (0.3, 1))
# Such a line must not look like an interval, which lies straight across or straight up.
SLANTED = (*DIRECTIONS[4:], (-0.3, -1), (-0.3, 1), (1, -0.35), (1, 0.35), (-1, -0.35), (-1, 0.35))
DISTANCES_PX = (11, 17, 26, 38, 52, 70, 90, 115, 145)
LEADER_FROM_PX = 20
HEIGHT_PX = 13
ROUNDS = 4  # later labels disturb earlier ones; a few rounds of placing each again settle it


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two share an area; a line, which has none, is met where it runs inside."""
        across = min(self.right, other.right) >= max(self.left, other.left)
        return across and min(self.bottom, other.bottom) >= max(self.top, other.top)


@dataclass(frozen=True)
class Label:
    """A placed label: its box, and whether it is so far away that a line must lead to it."""

    box: Box
    leader: bool


def place_labels(
    points: Sequence[tuple[float, float]],
    widths_px: Sequence[float],
    obstacles: Sequence[Box],
    frame: Box,
    nameless: Sequence[tuple[float, float]] = (),
) -> list[Label]:
    """One label per point, in the same order. Greedy: each takes the cheapest free place around its point.

    `nameless` are points without a label: none should be read as theirs.
    """
    placed: list[Label | None] = [None] * len(points)
    for _ in range(ROUNDS):
        for index, (point, width) in enumerate(zip(points, widths_px, strict=True)):
            taken = [label.box for other, label in enumerate(placed) if label and other != index]
            others = [*points[:index], *points[index + 1 :], *nameless]
            placed[index] = _best(point, width, [*taken, *obstacles], others, frame)
    return [label for label in placed if label]


def _best(
    point: tuple[float, float],
    width: float,
    taken: Sequence[Box],
    others: Sequence[tuple[float, float]],
    frame: Box,
) -> Label:
    candidates = [
        (distance + 0.4 * order, _box(point, width, distance, direction))
        for distance in DISTANCES_PX
        for order, direction in enumerate(SLANTED if distance >= LEADER_FROM_PX else DIRECTIONS)
    ]
    boxes = _edges([box for _, box in candidates])
    distances = np.array([distance for distance, _ in candidates])
    # Leaving the frame is worst, as what lies outside is cut off; then covering something; then standing where it
    # would be read as the name of another point; only then the distance counts.
    ambiguous = np.maximum(0.0, _gaps(boxes, [point]) + 3 - _gaps(boxes, others)).sum(axis=1)
    costs = 10 * _covered(boxes, taken) + 200 * _outside(boxes, frame) + 6 * ambiguous + distances
    distance, box = candidates[int(np.argmin(costs))]
    return Label(box, leader=distance >= LEADER_FROM_PX)


def _edges(boxes: Sequence[Box]) -> Floats:
    """[n, 4]: left, top, right and bottom of each."""
    return np.array([(box.left, box.top, box.right, box.bottom) for box in boxes]).reshape(-1, 4)


def _covered(boxes: Floats, taken: Sequence[Box]) -> Floats:
    """For each box the area that it has in common with those taken, in square pixels."""
    left, top, right, bottom = boxes.T[:, :, None]
    other_left, other_top, other_right, other_bottom = _edges(taken).T
    width = np.maximum(0.0, np.minimum(right, other_right) - np.maximum(left, other_left))
    height = np.maximum(0.0, np.minimum(bottom, other_bottom) - np.maximum(top, other_top))
    return np.asarray((width * height).sum(axis=1))


def _gaps(boxes: Floats, points: Sequence[tuple[float, float]]) -> Floats:
    """[boxes, points]: from each point to the nearest place of each box; 0 inside it."""
    left, top, right, bottom = boxes.T[:, :, None]
    x, y = np.array(points).reshape(-1, 2).T
    return np.hypot(np.maximum(0.0, np.maximum(left - x, x - right)), np.maximum(0.0, np.maximum(top - y, y - bottom)))


def _outside(boxes: Floats, frame: Box) -> Floats:
    """How many pixels of each box stick out of the frame."""
    inner = np.array((frame.left, frame.top)) - boxes[:, :2]
    outer = boxes[:, 2:] - np.array((frame.right, frame.bottom))
    return np.asarray(np.maximum(0.0, inner).sum(axis=1) + np.maximum(0.0, outer).sum(axis=1))


def _box(point: tuple[float, float], width: float, distance: float, direction: tuple[float, float]) -> Box:
    x, y = point[0] + direction[0] * distance, point[1] + direction[1] * distance
    left = x - width / 2 if direction[0] == 0 else x if direction[0] > 0 else x - width
    return Box(left, y - HEIGHT_PX / 2, left + width, y + HEIGHT_PX / 2)


def nearest_edge(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """The place on the box at which a line from the point ends."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.top), box.bottom)
