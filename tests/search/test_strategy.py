"""The path of the search on a made-up network whose best answer is known."""

from dataclasses import replace
from itertools import product

import msgspec
import pytest

from fixtures.search.points import Limits, Point, allows, front
from fixtures.search.space import INT8, Configuration, Setting
from fixtures.search.strategy import Move, applied, explore, rank
from tests.search.landscape import FP32_MS, configuration, measured, space

RUINED = 2


def explored(limits: Limits, *, settings=None, ask=measured) -> list[Point]:
    points: dict[Configuration, Point] = {}

    def keep(wanted: Configuration) -> Point:
        return points.setdefault(wanted, ask(wanted))

    explore(space(settings) if settings else space(), limits, keep)
    return list(points.values())


def best(points: list[Point], limits: Limits) -> Point:
    return max((point for point in points if allows(limits, point)), key=lambda point: point.images_per_second or 0)


@pytest.mark.parametrize("budget", [0.005, 0.01, 0.02])
def test_the_answer_is_nearly_the_best_of_all_configurations_and_within_the_budget(budget: float):
    limits = Limits(budget=budget)
    found = explored(limits)
    every = [measured(configuration(*each)) for each in product(("fp32", "fp16", "int8"), repeat=6)]
    optimum, answer = best(every, limits), best(found, limits)
    assert answer.milliseconds is not None and optimum.milliseconds is not None
    assert FP32_MS - answer.milliseconds >= 0.9 * (FP32_MS - optimum.milliseconds)
    assert len(found) < 30 < len(every)


def test_the_group_that_int8_ruins_stays_out_of_int8():
    limits = Limits(budget=0.02)
    answer = best(explored(limits), limits)
    assert answer.configuration.precisions[RUINED] != INT8
    assert answer.configuration.precisions[1] == INT8


def test_every_group_is_tried_alone_in_every_lower_precision():
    tried = {point.configuration for point in explored(Limits(budget=0.02))}
    for group, precision in product(range(6), ("fp16", "int8")):
        precisions = ["fp32"] * 6
        precisions[group] = precision
        assert configuration(*precisions) in tried


def test_a_budget_of_nothing_allows_fp32_and_what_equals_it_alone():
    limits = Limits(budget=0.0)
    answer = best(explored(limits), limits)
    assert answer.configuration.is_fp32
    # The same score is not the same answers; equal outputs are.
    lucky = msgspec.structs.replace(measured(configuration("int8")), kept=answer.kept)
    assert not allows(limits, lucky)
    assert allows(limits, msgspec.structs.replace(lucky, noise=0.0))


def test_what_cannot_be_measured_is_passed_over():
    def failing(wanted: Configuration) -> Point:
        if wanted.precisions[1] == "fp16":
            return Point(configuration=wanted, seconds=1.0, error="the builder crashed")
        return measured(wanted)

    limits = Limits(budget=0.02)
    points = explored(limits, ask=failing)
    assert any(point.error for point in points)
    assert best(points, limits).configuration.precisions[1] != "fp16"


def test_groups_are_mixed_in_the_fastest_setting_and_never_in_a_backend_that_takes_one_precision():
    settings = [Setting(backend=backend, batch=batch) for backend in ("pytorch", "onnxruntime") for batch in (1, 8)]
    points = explored(Limits(budget=0.02), settings=settings)
    mixed = {
        (point.configuration.setting.backend, point.configuration.setting.batch)
        for point in points
        if len(set(point.configuration.precisions)) > 1
    }
    assert mixed == {("onnxruntime", 8)}


def test_moves_that_gain_come_first_by_gain_for_noise_and_the_better_of_one_group_counts():
    moves = [
        Move(0, "int8", 1.0, 0.1),
        Move(1, "int8", 1.0, 0.01),
        Move(2, "int8", -1.0, 0.0),
        Move(0, "fp16", 0.5, 0.001),
    ]
    ranked = rank(moves)
    assert [(move.group, move.precision) for move in ranked] == [(0, "fp16"), (1, "int8"), (0, "int8"), (2, "int8")]
    assert applied(ranked[:2], 3) == ("fp16", "int8", "fp32")
    assert applied(ranked[:3], 3) == ("int8", "int8", "fp32")
    assert applied([replace(moves[0], gain_ms=0.1), moves[3]], 1) == ("fp16",)


def test_the_front_has_no_point_that_another_one_beats():
    points = explored(Limits(budget=0.02))
    kept = front(points)
    for point, other in product(kept, points):
        assert point.images_per_second and other.images_per_second and point.kept and other.kept
        assert not (
            other.images_per_second >= point.images_per_second
            and other.kept.value >= point.kept.value
            and (other.images_per_second, other.kept.value) != (point.images_per_second, point.kept.value)
        )
    assert any(point.configuration.is_fp32 for point in kept)


@pytest.mark.parametrize(("memory", "allowed"), [(None, False), (2_000, False), (1_000, True)])
def test_what_holds_too_much_memory_or_an_unknown_amount_is_not_recommended(memory: int | None, allowed: bool):
    point = msgspec.structs.replace(measured(configuration("fp16")), memory_bytes=memory)
    assert allows(Limits(budget=0.02, memory_bytes=1_000), point) == allowed
    assert allows(Limits(budget=0.02), point)
