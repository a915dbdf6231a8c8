"""The recommendation, and what is said where there is none."""

import msgspec

from fixtures.search.answer import confirm_fastest, in_words, is_held, sentence, table
from fixtures.search.points import Confirmation, Limits, Point, TimeRatio
from fixtures.search.space import Configuration
from tests.search.landscape import configuration, kept, measured, space

GROUPS = space().groups
POINTS = [measured(configuration(*each)) for each in ((), ("int8",), ("int8", "int8"), ("int8", "int8", "int8"))]


def confirming(**values: float):
    """Confirms with a share for each number of groups in INT8."""

    def confirm(wanted: Configuration) -> Confirmation:
        value = values[f"int8_{wanted.precisions.count('int8')}"]
        ratio = TimeRatio(value=0.5, low=0.4, high=0.625)
        return Confirmation(configuration=wanted, seconds=1, kept=kept(value), time_ratio=ratio)

    return confirm


def test_the_fastest_within_the_budget_is_recommended_with_the_figure_of_unseen_images():
    limits = Limits(budget=0.02)
    confirmed = confirm_fastest(POINTS, limits, confirming(int8_2=0.985))
    assert [each.configuration for each in confirmed] == [POINTS[2].configuration]
    text = sentence(POINTS, limits, GROUPS, confirmed)
    assert "on 100 images that the search never saw it keeps 0.9850" in text
    assert "2.00 [1.60, 2.50] times the speed of FP32" in text


def test_a_point_that_loses_more_on_unseen_images_gives_way_to_the_next():
    limits = Limits(budget=0.02)
    confirmed = confirm_fastest(POINTS, limits, confirming(int8_2=0.9, int8_1=0.99))
    assert [each.configuration for each in confirmed] == [POINTS[2].configuration, POINTS[1].configuration]
    assert is_held(limits, confirmed[-1])
    assert "(1 that looked faster did not hold there)" in sentence(POINTS, limits, GROUPS, confirmed)


def test_what_is_not_surely_faster_than_fp32_in_its_last_timing_gives_way():
    def confirm(wanted: Configuration) -> Confirmation:
        ratio = TimeRatio(value=0.9, low=0.8, high=1.01 if wanted.precisions.count("int8") == 2 else 0.95)
        return Confirmation(configuration=wanted, seconds=1, kept=kept(1.0), time_ratio=ratio)

    confirmed = confirm_fastest(POINTS, Limits(budget=0.02), confirm)
    assert [each.configuration.precisions.count("int8") for each in confirmed] == [2, 1]


def test_where_no_lead_holds_the_fastest_in_fp32_is_recommended():
    def confirm(wanted: Configuration) -> Confirmation:
        ratio = None if wanted.is_fp32 else TimeRatio(value=1.0, low=0.9, high=1.1)
        return Confirmation(configuration=wanted, seconds=1, kept=kept(1.0), time_ratio=ratio)

    beating = [msgspec.structs.replace(point, kept=kept(1.0)) for point in POINTS]
    confirmed = confirm_fastest(beating, Limits(budget=0.02), confirm)
    assert [each.configuration for each in confirmed] == [beating[-1].configuration, configuration()]
    assert "Ship onnxruntime, batch 8, FP32: 800.0 images/s; on 100" in sentence(
        beating, Limits(budget=0.02), GROUPS, confirmed
    )


def test_where_nothing_holds_on_unseen_images_nothing_is_recommended():
    limits = Limits(budget=0.02)
    confirmed = confirm_fastest(POINTS, limits, confirming(int8_2=0.9, int8_1=0.95, int8_0=0.97))
    assert not is_held(limits, confirmed[-1])
    text = sentence(POINTS, limits, GROUPS, confirmed)
    assert text.startswith("No configuration is within a budget of 0.02 on unseen data: the 3 that")
    assert "the best of them keeps 0.9700" in text


def test_an_impossible_budget_says_so_and_what_came_nearest():
    limits = Limits(budget=0.001)
    lossy = [measured(configuration("int8", "int8", "int8")), measured(configuration("int8", "int8"))]
    assert confirm_fastest(lossy, limits, confirming()) == []
    text = sentence(lossy, limits, GROUPS, [])
    assert text.startswith("No configuration is within a budget of 0.001: of 2 the best keeps 0.9950")


def test_a_budget_that_only_too_much_memory_meets_says_so():
    heavy = [msgspec.structs.replace(point, memory_bytes=12 * 10**9) for point in POINTS]
    limits = Limits(budget=0.02, memory_bytes=11 * 10**9)
    assert confirm_fastest(heavy, limits, confirming()) == []
    assert "is known to fit in 11 GB" in sentence(heavy, limits, GROUPS, [])
    light = [msgspec.structs.replace(heavy[1], memory_bytes=10**9), heavy[2]]
    confirmed = confirm_fastest(light, limits, confirming(int8_1=1.0))
    assert confirmed[0].configuration == heavy[1].configuration


def test_a_search_that_measured_nothing_says_why():
    failed = [Point(configuration=configuration(), seconds=1.0, error="no driver\nmore")]
    assert sentence(failed, Limits(budget=0.02), GROUPS, []) == "Nothing could be measured: no driver."


def test_a_configuration_in_words_names_the_exceptions():
    words = in_words(configuration("int8", "int8", "fp32", "int8", "int8", "int8"), GROUPS)
    assert words == "onnxruntime, batch 8, INT8 but for /block.2 (FP32)"
    assert in_words(configuration(), GROUPS) == "onnxruntime, batch 8, FP32"


def test_the_table_has_the_front_and_marks_what_is_within_the_budget():
    lines = table(POINTS, GROUPS, Limits(budget=0.003)).splitlines()
    assert len(lines) == 2 + len(POINTS)
    assert [line[0] for line in lines[1:-1]] == [" ", " ", "*", "*"]
