"""Where the name of each point goes, so that names cover neither each other nor the points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Directions of a label from its point, the most natural first, and how far away it may go. Beyond the
# first two distances a thin line has to lead from the point to its name.
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.8, -0.8), (0.8, 0.8), (-0.8, -0.8), (-0.8, 0.8), (0.3, -1), (0.3, 1))
DISTANCES_PX = (11, 17, 26, 38, 52, 70, 90)
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

    def overlap(self, other: "Box") -> float:
        """The area in common, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def distance(self, point: tuple[float, float]) -> float:
        """From the point to the nearest place of the rectangle; 0 inside it."""
        x = max(self.left - point[0], 0.0, point[0] - self.right)
        y = max(self.top - point[1], 0.0, point[1] - self.bottom)
        return math.hypot(x, y)

    def outside(self, frame: "Box") -> float:
        """How many pixels of it stick out of the frame."""
        return sum(
            max(0.0, beyond)
            for beyond in (
                frame.left - self.left,
                frame.top - self.top,
                self.right - frame.right,
                self.bottom - frame.bottom,
            )
        )


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
) -> list[Label]:
    """One label per point, in the same order. Greedy: each takes the cheapest free place around its point."""
    placed: list[Label | None] = [None] * len(points)
    for _ in range(ROUNDS):
        for index, (point, width) in enumerate(zip(points, widths_px, strict=True)):
            taken = [label.box for other, label in enumerate(placed) if label and other != index]
            others = [*points[:index], *points[index + 1 :]]
            placed[index] = _best(point, width, [*taken, *obstacles], others, frame)
    return [label for label in placed if label]


def _best(
    point: tuple[float, float],
    width: float,
    taken: Sequence[Box],
    others: Sequence[tuple[float, float]],
    frame: Box,
) -> Label:
    def cost(candidate: tuple[float, Box]) -> float:
        distance, box = candidate
        # Covering something is worst; then leaving the frame; then standing where it would be read as the
        # name of another point; only then the distance counts.
        covered = sum(box.overlap(other) for other in taken)
        own = box.distance(point)
        ambiguous = sum(max(0.0, own + 3 - box.distance(other)) for other in others)
        return 10 * covered + 40 * box.outside(frame) + 6 * ambiguous + distance

    candidates = [
        (distance + 0.4 * order, _box(point, width, distance, direction))
        for distance in DISTANCES_PX
        for order, direction in enumerate(DIRECTIONS)
    ]
    distance, box = min(candidates, key=cost)
    return Label(box, leader=distance >= LEADER_FROM_PX)


def _box(point: tuple[float, float], width: float, distance: float, direction: tuple[float, float]) -> Box:
    x, y = point[0] + direction[0] * distance, point[1] + direction[1] * distance
    left = x - width / 2 if direction[0] == 0 else x if direction[0] > 0 else x - width
    return Box(left, y - HEIGHT_PX / 2, left + width, y + HEIGHT_PX / 2)


def nearest_edge(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """The place on the box at which a line from the point ends."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.top), box.bottom)
