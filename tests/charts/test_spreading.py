import itertools
import math
import random

import pytest

from reports.charts.label_placement import Box
from reports.charts.spreading import spread

FRAME = Box(0, 0, 400, 300)


@pytest.mark.parametrize("seed", range(10))
def test_no_two_marks_are_nearer_than_asked(seed: int) -> None:
    draw = random.Random(seed)
    points = [(draw.uniform(0, 400), draw.uniform(140, 160)) for _ in range(40)]
    moved = spread(points, 17.0, [FRAME] * len(points))
    assert min(math.dist(*pair) for pair in itertools.combinations(moved, 2)) > 16.9
    assert all(0 <= x <= 400 and 0 <= y <= 300 for x, y in moved)


def test_what_is_clear_of_the_others_stays_where_it_is() -> None:
    points = [(10.0, 10.0), (200.0, 100.0), (203.0, 100.0), (390.0, 290.0)]
    moved = spread(points, 17.0, [FRAME] * 4)
    assert moved[0] == points[0] and moved[3] == points[3]
    assert moved[1] == pytest.approx((193.0, 100.0), abs=0.1) and moved[2] == pytest.approx((210.0, 100.0), abs=0.1)


def test_marks_at_one_place_part() -> None:
    moved = spread([(200.0, 100.0)] * 9, 17.0, [FRAME] * 9)
    assert min(math.dist(*pair) for pair in itertools.combinations(moved, 2)) > 16.9
    assert max(math.dist(each, (200.0, 100.0)) for each in moved) < 40


def test_none_leaves_its_room() -> None:
    above, below = Box(0, 0, 400, 99), Box(0, 101, 400, 300)
    moved = spread([(200.0, 98.0)] * 5 + [(200.0, 102.0)] * 5, 17.0, [above] * 5 + [below] * 5)
    assert all(y <= 99 for _, y in moved[:5]) and all(y >= 101 for _, y in moved[5:])


@pytest.mark.parametrize("points", [[], [(3.0, 4.0)]])
def test_few_marks_need_no_room(points: list[tuple[float, float]]) -> None:
    assert spread(points, 17.0, [FRAME] * len(points)) == points


def test_a_pinned_mark_stays_and_the_others_make_room() -> None:
    points = [(200.0, 100.0), (203.0, 100.0), (199.0, 101.0)]
    moved = spread(points, 17.0, [FRAME] * 3, pinned=[0])
    assert moved[0] == points[0]
    assert min(math.dist(*pair) for pair in itertools.combinations(moved, 2)) > 16.9


def test_two_pinned_marks_at_one_place_part_all_the_same() -> None:
    moved = spread([(200.0, 100.0), (201.0, 100.0)], 17.0, [FRAME] * 2, pinned=[0, 1])
    assert math.dist(*moved) > 16.9
