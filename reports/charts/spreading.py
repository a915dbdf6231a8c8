"""Marks that would cover each other are moved apart, each as little as it takes."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from reports.charts.label_placement import Box
from reports.charts.svg import Point

ROUNDS = 400
# Marks at one and the same place leave it in directions that differ: the golden angle fills a disc evenly.
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def spread(points: Sequence[Point], apart: float, rooms: Sequence[Box], pinned: Collection[int] = ()) -> list[Point]:
    """The same points in the same order, no two nearer than `apart` pixels, as far as their rooms allow.

    `rooms` says of each point where it may go. What is clear of the others stays where it is. Two that are too near
    each move by half of what is missing, along the line between them, until none is. Of the two a `pinned` one (by its
    place in `points`) stays, and the other moves by all that is missing; of two pinned ones both move.
    """
    places = np.array(points, dtype=np.float64).reshape(-1, 2)
    if len(places) < 2:
        return list(points)
    lowest = np.array([(room.left, room.top) for room in rooms])
    highest = np.array([(room.right, room.bottom) for room in rooms])
    places = np.clip(places, lowest, highest)
    turns = GOLDEN_ANGLE * np.arange(len(places))
    nudge = 1e-3 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    stays = np.isin(np.arange(len(places)), list(pinned))
    # How much of what is missing each of a pair moves.
    part = np.where(stays[:, None] == stays[None], 0.5, np.where(stays[:, None], 0.0, 1.0))
    for _ in range(ROUNDS):
        across = places[:, None] + nudge[:, None] - places[None] - nudge[None]
        far = np.hypot(across[..., 0], across[..., 1])
        np.fill_diagonal(far, np.inf)
        missing = np.maximum(0.0, apart - far)
        if not (missing > 0.01).any():
            break
        pushes = missing * part
        step = (across / far[..., None]) * pushes[..., None]
        # The mean of its pushes, not their sum: a crowd is to part, not to fly apart.
        places = places + step.sum(axis=1) / np.maximum(1, (pushes > 0).sum(axis=1))[:, None]
        places = np.clip(places, lowest, highest)
    return [(float(x), float(y)) for x, y in places]
