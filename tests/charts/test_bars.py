"""Speed as bars: their order, their lengths, and what is said of those that fail or are rough."""

import re

import pytest

from reports.analysis.cases import CaseSummary, summarize
from reports.charts.bars import BAR_LEFT_PX, LONGEST_NAME, Bars, bars, numbers
from reports.record.schema import Row
from tests.helpers.rows import accuracy, answered, build, case, row, session_row, speed

BASE, FAST, WRONG = case("pytorch", "fp32"), case("tensorrt", "fp16"), case("tensorrt", "int8")
ALONE = case("tensorrt", "fp16", batch=1)
ROWS: list[Row] = [
    session_row(),
    *answered(BASE, 10.0),
    *(build(FAST), speed(FAST, 4.0, spread=0.2), accuracy(FAST, 1.0)),
    *answered(WRONG, 2.0, 0.9),
    *answered(ALONE, 1.0),
    row(case("trtexec", "fp16"), "matrix", outcome="skipped", reason="not here"),
]


def _bars(rows: list[Row], batch: int = 8) -> Bars:
    cases = summarize(rows)
    found = bars(cases, "yolov8n", batch, numbers(cases), {FAST["id"]})
    assert found is not None
    return found


def _widths(drawn: Bars) -> list[float]:
    return [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', str(drawn.svg))]


def test_the_fastest_is_first_and_the_lengths_are_the_speeds() -> None:
    drawn = _bars(ROWS)
    assert [each.name for each in drawn.cases] == ["TensorRT INT8", "TensorRT FP16", "PyTorch FP32"]
    longest, middle, shortest = _widths(drawn)
    assert middle / longest == pytest.approx(0.5, abs=0.01) and shortest / longest == pytest.approx(0.2, abs=0.01)


def test_numbers_begin_anew_for_each_model_and_batch() -> None:
    assert numbers(summarize(ROWS)) == {WRONG["id"]: 1, FAST["id"]: 2, BASE["id"]: 3, ALONE["id"]: 1}
    assert re.findall(r'class="place">(\d+)', str(_bars(ROWS).svg)) == ["1", "2", "3"]


def test_what_fails_is_struck_through_and_only_that() -> None:
    drawn = str(_bars(ROWS).svg)
    assert drawn.count('class="strike"') == 1
    assert re.findall(r'class="engine fails">([^<]*)', drawn) == ["TensorRT INT8"]
    assert re.findall(r'class="engine ships">([^<]*)', drawn) == ["TensorRT FP16"]


def test_a_crash_is_struck_through_too() -> None:
    rows = [*ROWS, row(BASE, "accuracy", outcome="error", reason="out of memory")]
    assert str(_bars(rows).svg).count('class="strike"') == 2


def test_a_rough_timing_has_a_whisker_as_wide_as_its_interval() -> None:
    drawn = _bars(ROWS)
    lines = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="whisker"', str(drawn.svg))
    ((left, right),) = [(float(x1), float(x2)) for x1, y1, x2, y2 in lines if y1 == y2]
    full = _widths(drawn)[1]
    # 4 ms × (1 ± 0.2): from 1 / 1.2 to 1 / 0.8 of the speed.
    assert (left - BAR_LEFT_PX) / full == pytest.approx(1 / 1.2, abs=0.01)
    assert (right - BAR_LEFT_PX) / full == pytest.approx(1 / 0.8, abs=0.01)
    assert drawn.has_whiskers and not _bars([ROWS[0], *answered(BASE, 10.0)]).has_whiskers
    assert drawn.has_struck and not _bars([ROWS[0], *answered(BASE, 10.0)]).has_struck


def test_one_image_at_a_time_has_its_milliseconds() -> None:
    assert ">1\u202f000 · 1.00\u202fms<" in str(_bars(ROWS, batch=1).svg)
    assert "ms<" not in str(_bars(ROWS).svg)


def test_a_model_and_batch_without_timings_has_no_bars() -> None:
    cases: list[CaseSummary] = summarize(ROWS)
    assert bars(cases, "yolov8n", 32, numbers(cases), ()) is None


def test_several_callers_are_a_factor_behind_the_name() -> None:
    pair = {**case("torch-compile-cuda-graph", "fp16"), "id": "pair", "streams": 2}
    assert "torch.compile FP16 · graph ×2<" in str(_bars([*ROWS, *answered(pair, 1.0)]).svg)


def test_a_long_or_hostile_name_is_cut_and_escaped() -> None:
    name = "<b>" + "x" * 300
    each = case(name, "fp16")
    drawn = str(_bars([session_row(), *answered(BASE, 10.0), *answered(each, 5.0)]).svg)
    assert "<b>" not in drawn
    assert max(len(words) for words in re.findall(r'class="engine[^"]*">([^<]*)', drawn)) <= LONGEST_NAME + 2 * len(
        "&lt;"
    )
