"""The picture of what the card did while a case was measured."""

import re

import pytest

from reports.card_trace import picture
from reports.summary import summarise
from reports.why import explain
from tests.report_rows import build, card_speed, case, end_row, session_row

FAST = case("tensorrt", "fp16")
TRACE = {
    "seconds": [0.0, 0.05, 0.1, 0.15],
    "sm_clock_mhz": [1980, 1980, 1200, 1980],
    "temperature_c": [40, 40, 41, 41],
    "power_w": [300.0, 310.5, 250.0, 305.0],
}


def test_each_figure_has_a_strip_with_its_lowest_and_highest_reading():
    drawn = str(picture(TRACE, "the card"))
    assert [found in drawn for found in ("1200–1980 MHz", "40–41 °C", "250–310 W", "0.1 s")] == [True] * 4
    assert drawn.count('class="line"') == 3 and 'aria-label="the card"' in drawn


def test_a_steady_reading_is_a_flat_line_in_the_middle():
    drawn = str(picture({**TRACE, "sm_clock_mhz": [1980] * 4, "temperature_c": [], "power_w": []}, "x"))
    (line,) = re.findall(r'd="(M[^"]*)" class="line"', drawn)
    assert len(set(re.findall(r"[ML]\d+ (\d+)", line))) == 1 and "1980 MHz" in drawn


def test_a_missing_reading_breaks_the_line():
    whole, broken = (
        str(picture({**TRACE, "temperature_c": [], "power_w": [], "sm_clock_mhz": clocks}, "x")).count("L")
        for clocks in ([1980, 1980, 1200, 1980], [1980, None, 1200, 1980])
    )
    assert (whole, broken) == (3, 1)


@pytest.mark.parametrize(
    "trace",
    [
        None,
        "text",
        {},
        {"seconds": [0.0, 0.05], "sm_clock_mhz": [1, 2]},
        {"seconds": [0.0, 0.0, 0.0], "sm_clock_mhz": [1, 2, 3]},
        {"seconds": [0.0, 0.05, 0.1], "sm_clock_mhz": [None, None, None]},
        {"seconds": [0.0, 0.05, 0.1], "sm_clock_mhz": [1, 2]},
        {"seconds": [0.0, None, 0.1], "sm_clock_mhz": [1, 2, 3]},
    ],
)
def test_what_cannot_be_drawn_is_not(trace: object):
    assert picture(trace, "x") is None


def test_a_case_shows_its_trace_and_one_without_shows_none():
    for state, shown in (({"trace": TRACE}, True), ({}, False)):
        rows = [session_row(gpu="NVIDIA H200"), build(FAST), card_speed(FAST, 2.0, state=state), end_row()]
        assert (explain(summarise(rows))["yolov8n"][0].card is not None) == shown
