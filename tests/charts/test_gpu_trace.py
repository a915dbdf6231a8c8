"""The picture of what the card did while a case was measured."""

import re

import pytest

from reports.analysis.cases import summarize
from reports.analysis.stationarity import WINDOWS
from reports.charts.gpu_trace import LEFT, RIGHT, picture
from reports.charts.samples import TIME_LEFT, WINDOW_PX
from reports.html.case_details import explain
from reports.record.results import Trace
from tests.helpers.rows import build, card_speed, case, end_row, session_row

FAST = case("tensorrt", "fp16")
TRACE = {
    "seconds": [0.0, 0.05, 0.1, 0.15],
    "sm_clock_mhz": [1980, 1980, 1200, 1980],
    "temperature_c": [40, 40, 41, 41],
    "power_w": [300.0, 310.5, 250.0, 305.0],
}


def recorded(trace: object) -> Trace:
    """The trace as a page gets it from a record."""
    return summarize([session_row(gpu="NVIDIA H200"), card_speed(FAST, 2.0, state={"trace": trace})])[0].speed.gpu.trace


def test_each_figure_has_a_strip_with_its_lowest_and_highest_reading():
    drawn = str(picture(recorded(TRACE), "the card"))
    assert [found in drawn for found in ("1200–1980 MHz", "40–41 °C", "250–310 W", "0.1 s")] == [True] * 4
    assert drawn.count('class="line"') == 3 and 'aria-label="the card"' in drawn


def test_a_steady_reading_is_a_flat_line_in_the_middle():
    drawn = str(picture(recorded({**TRACE, "sm_clock_mhz": [1980] * 4, "temperature_c": [], "power_w": []}), "x"))
    (line,) = re.findall(r'd="(M[^"]*)" class="line"', drawn)
    assert re.fullmatch(r"M62 21h\d+", line) and "1980 MHz" in drawn


def test_a_missing_reading_breaks_the_line():
    only_clock = {**TRACE, "temperature_c": [], "power_w": []}
    whole, broken = (
        re.findall(r'd="(M[^"]*)" class="line"', str(picture(recorded({**only_clock, "sm_clock_mhz": clocks}), "x")))
        for clocks in ([1980, 1980, 1200, 1980], [1980, None, 1200, 1980])
    )
    assert (whole, broken) == (["M62 8h80l80 26l80-26"], ["M222 34l80-26"])


def test_the_readings_are_as_wide_as_the_samples_above_and_say_where_those_begin():
    drawn = str(picture(recorded(TRACE), "x", 0.05))
    assert 'd="M142 8V' in drawn and "measured from 0.1 s" in drawn and "0.1 s" in drawn
    assert "measured from" not in str(picture(recorded(TRACE), "x")) and ">0 s<" in str(picture(recorded(TRACE), "x"))
    assert (LEFT, RIGHT) == (TIME_LEFT, TIME_LEFT + WINDOWS * WINDOW_PX)


def test_the_pictures_of_a_case_stand_beside_them_in_figures():
    asked = {"state": {"trace": TRACE}, "samples_ms": [2.0, 2.2, 1.9, 2.0, 2.1] * 10}
    (why,) = explain(
        summarize([session_row(gpu="NVIDIA H200"), build(FAST), card_speed(FAST, 2.0, **asked), end_row()])
    )["yolov8n"]
    samples, readings = why.tables
    assert samples.head == ("calls", "median ms", "fastest", "slowest")
    assert samples.lines[0] == ("1 to 10", "2.00", "1.90", "2.20") and samples.lines[-1][0] == "41 to 50"
    assert readings.head == ("s", "MHz", "°C", "W")
    assert readings.lines[0] == ("0.00", "1980", "40", "300") and readings.lines[-1] == ("0.15", "1980", "41", "305")


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
    assert picture(recorded(trace), "x") is None


def test_a_case_shows_its_trace_and_one_without_shows_none():
    for state, shown in (({"trace": TRACE}, True), ({}, False)):
        rows = [session_row(gpu="NVIDIA H200"), build(FAST), card_speed(FAST, 2.0, state=state), end_row()]
        assert (explain(summarize(rows))["yolov8n"][0].card is not None) == shown
