import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.__main__ import main
from reports.analysis.cases import summarize
from reports.errors import ReportError
from reports.history.session_regressions import judge
from reports.history.store import append, load
from reports.html import history_section
from reports.html.history_section import NIGHTS, CaseNights, LookBack, check_history
from reports.html.page import render
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.rows import FAST, accuracy, build, card_speed, case, night, row, speed
from tests.html.test_page import _Page

OTHER, NEW = case("pytorch", "fp32"), case("tensorrt", "int8")
RNG_SEED, NOISE = 0, 0.004


def latency(number: int, slow_from: int, share: float = 1.06) -> float:
    quiet = 2.0 * float(np.exp(np.random.default_rng(RNG_SEED + number).normal(0, NOISE)))
    return quiet * (share if number >= slow_from else 1.0)


def kept(folder: Path, count: int = 30, slow_from: int = 99, *, cases: int = 1, **changed: str) -> list[Row]:
    """`count` nights of FAST and its like, in the environment `changed` from night 20 on; the last night's rows."""
    asked = [FAST, *(case("tensorrt", "fp16", batch=batch) for batch in range(16, 15 + cases))]
    rows: list[Row] = []
    for number in range(count):
        answers = [
            answer
            for index, each in enumerate(asked)
            for answer in (
                build(each),
                card_speed(each, latency(number, slow_from if index == 0 else 99)),
                accuracy(each, 0.995),
            )
        ]
        rows = night(number, *answers, **(changed if number >= 20 else {}))
        append(folder, rows)
    return rows


def told(folder: Path, rows: list[Row], recommended: tuple[str, ...] = ()) -> LookBack:
    history, session = load(folder), rows[0]["session"]
    return check_history(history, session, judge(history, session), summarize(rows), recommended)


def only(found: tuple[CaseNights, ...]) -> CaseNights:
    assert len(found) == 1
    return found[0]


def test_a_regression_has_its_step_its_level_and_its_table(tmp_path: Path):
    found = told(tmp_path, kept(tmp_path, slow_from=25))
    assert found.quiet == found.listed == found.without == ()
    slower = only(found.found)
    assert [since.kind for since in slower.said] == ["regression", "regression"]
    device, ratio = slower.traces
    assert (device.figure, ratio.figure) == ("device time", "accuracy ratio")
    assert re.search(
        r"Level 2\.1\d ms in the last 5 nights; \+[56]\.\d\u202f% on 2026-01-02 \(confirmed\)\.", device.text
    )
    assert str(device.chart).count('class="step"') == 1 and 'class="doubt"' not in str(device.chart)
    assert device.text in str(device.chart)  # who cannot see the picture hears it
    assert 'class="step"' not in str(ratio.chart) and ratio.level == "99.5\u202f%"
    assert len(slower.rows) == 30 and slower.rows[-1] == ("2026-01-02", device.latest, "99.5\u202f%")


def test_a_doubt_is_a_question_mark_and_says_what_is_missing(tmp_path: Path):
    device = only(told(tmp_path, kept(tmp_path, slow_from=29)).found).traces[0]
    assert "(unclear: 1 night only: a level needs 3)" in device.text
    assert '"doubt">?<' in str(device.chart) and 'class="step"' not in str(device.chart)


def test_a_step_for_the_better_is_shown_though_it_is_no_finding(tmp_path: Path):
    rows: list[Row] = []
    for number in range(30):
        rows = night(number, build(FAST), card_speed(FAST, latency(number, 20, 0.9)))
        append(tmp_path, rows)
    device = only(told(tmp_path, rows).quiet).traces[0]
    assert re.search(r"-\d+\.\d\u202f% on 2026-01-01 \(confirmed\)", device.text)


def test_changes_of_the_environment_are_numbered_and_told_in_words(tmp_path: Path):
    found = told(tmp_path, kept(tmp_path, driver="581.7", torch="2.16.0", commit="f00dfeed" * 5))
    assert [(night.number, night.changes) for night in found.nights if night.number] == [
        (1, "driver 580.1 → 581.7 and torch 2.15.0 → 2.16.0")
    ]
    assert found.nights[-1].commit == "f00dfee"
    chart = str(only(found.quiet).traces[0].chart)
    assert chart.count('class="change"') == 1 and '"number">1<' in chart
    ticks = re.search(r'd="([^"]*)" class="grid"', chart)
    assert ticks and ticks[1].count("v4") == 20  # nights 1 to 20 each had a new commit


def test_changes_in_neighbouring_nights_share_a_number(tmp_path: Path):
    rows: list[Row] = []
    for number in range(60):
        rows = night(number, build(FAST), card_speed(FAST, 2.0), torch=f"2.{max(20, min(number, 23))}")
        append(tmp_path, rows)
    chart = str(only(told(tmp_path, rows).quiet).traces[0].chart)
    assert '"number">1–3<' in chart and chart.count('class="number"') == 1


def test_only_the_last_nights_are_shown_and_older_ones_still_count_for_the_level(tmp_path: Path):
    found = told(tmp_path, kept(tmp_path, count=NIGHTS + 10))
    steady = only(found.quiet)
    assert len(found.nights) == len(steady.rows) == NIGHTS and steady.nights == NIGHTS + 10
    assert f"in the last {NIGHTS + 10} nights" in steady.traces[0].text


def test_a_night_that_is_not_to_be_trusted_is_a_gap_and_says_so(tmp_path: Path):
    for number in range(12):
        answers = [build(FAST), card_speed(FAST, 2.0, steady=number != 4)]
        if number == 7:
            answers = [row(FAST, "build", outcome="error", reason="killed")]
        rows = night(number, *answers)
        append(tmp_path, rows)
    found = only(told(tmp_path, rows).quiet)
    assert [line[1] for line in found.rows[3:8]] == ["2.00 ms", "2.00 ms, not trusted", "2.00 ms", "2.00 ms", "error"]
    line = re.search(r'd="([^"]*)" class="line"', str(found.traces[0].chart))
    assert line and line[1].count("M") == 3


def test_without_a_clock_of_the_card_the_latency_is_end_to_end(tmp_path: Path):
    for number in range(5):
        rows = night(number, build(OTHER), speed(OTHER, 80.0))
        append(tmp_path, rows)
    assert [trace.figure for trace in only(told(tmp_path, rows).quiet).traces] == ["end-to-end latency"]


def test_a_case_without_a_figure_to_be_trusted_says_so(tmp_path: Path):
    kept(tmp_path)
    crashed = row(NEW, "build", outcome="error", reason="no memory")
    rows = night(30, build(FAST), card_speed(FAST, 2.0), crashed)
    append(tmp_path, rows)
    assert [case.id for case in told(tmp_path, rows).without] == [NEW["id"]]
    (new,) = [case for case in summarize(rows) if case.id == NEW["id"]]
    assert f"No history with a figure to be trusted: {new.title}" in _Page(render(rows, history=load(tmp_path))).text


def test_a_case_that_vanished_stands_there_too(tmp_path: Path):
    kept(tmp_path)
    rows = night(30, row(FAST, "build", outcome="error", reason="killed by signal 9"), build(OTHER), speed(OTHER, 9.0))
    append(tmp_path, rows)
    assert [since.kind for since in only(told(tmp_path, rows).found).said] == ["vanished"]
    assert "Vanished gave an answer on 2026-01-02" in _Page(render(rows, history=load(tmp_path))).text


def test_a_case_that_is_gone_without_a_word_stands_above_the_charts(tmp_path: Path):
    kept(tmp_path)
    # Its backend still is asked for, and answers nothing.
    crashed = row(case("tensorrt", "int8"), "build", outcome="error", reason="no library")
    others = [answer for each in ("fp16", "int8") for answer in (build(case("pytorch", each)),)]
    rows = night(30, *others, crashed)
    append(tmp_path, rows)
    found = told(tmp_path, rows)
    assert [(since.case, since.kind) for since in found.gone] == [(FAST["id"], "vanished")]
    assert f"Vanished {FAST['id']}: gave an answer" in _Page(render(rows, history=load(tmp_path))).text


def test_a_large_matrix_draws_findings_and_recommendations_and_lists_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = kept(tmp_path, slow_from=25, cases=6)
    monkeypatch.setattr(history_section, "MOST_CHARTS", 3)
    found = told(tmp_path, rows, ("yolov8n-tensorrt-fp16-b17",))
    assert [each.case.batch for each in found.found] == [8]
    assert [each.case.batch for each in found.quiet] == [17]
    assert [each.case.batch for each in found.listed] == [16, 18, 19, 20]
    line = found.listed[0]
    assert line.rows == () and line.traces[0].chart is None and line.traces[0].level.endswith("ms")
    page = _Page(render(rows, history=load(tmp_path)))
    assert "only those with a finding and the recommended ones have charts" in page.text and page.open == []


def test_charts_are_no_more_than_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = kept(tmp_path, cases=6)
    monkeypatch.setattr(history_section, "MOST_CHARTS", 2)
    found = told(tmp_path, rows, tuple(case.id for case in summarize(rows)))
    assert (len(found.quiet), len(found.listed)) == (2, 4)


def test_a_case_of_sixty_nights_takes_less_than_ten_kilobytes(tmp_path: Path):
    rows = kept(tmp_path, count=NIGHTS, slow_from=50, cases=8, driver="581.7")
    page, without = render(rows, history=load(tmp_path)), render(rows)
    assert 8 * 4_000 < len(page) - len(without) < 8 * 10_000


def test_a_device_that_the_history_knows_with_another_driver_goes_on(tmp_path: Path):
    rows = kept(tmp_path, driver="581.7")
    assert len(list(tmp_path.glob("*.history.jsonl"))) == 2
    assert only(told(tmp_path, rows).quiet).nights == 30


def test_a_session_that_the_history_does_not_have_is_an_error(tmp_path: Path):
    kept(tmp_path, count=3)
    with pytest.raises(ReportError, match="history does not have session s007"):
        render(night(7), history=load(tmp_path))


def test_names_from_the_history_are_shown_literally(tmp_path: Path):
    rows = kept(tmp_path, torch="<script>alert('1')</script> & \"2\"")
    html = render(rows, history=load(tmp_path))
    assert "torch 2.15.0 → <script>alert('1')</script> & \"2\"" in _Page(html).text
    assert "<script>alert" not in html


def test_the_page_has_the_part_only_with_a_history(tmp_path: Path):
    rows = kept(tmp_path / "nights", slow_from=25)
    with Recorder(tmp_path / "rows.jsonl") as recorder:
        for each in rows:
            recorder.write(each)
    assert main(["render", str(tmp_path / "rows.jsonl")]) == 0
    page = tmp_path / "report.html"
    assert 'id="since"' not in page.read_text()
    assert main(["render", str(tmp_path / "rows.jsonl"), "--history", str(tmp_path / "nights")]) == 0
    shown = _Page(page.read_text())
    assert 'id="since"' in page.read_text() and "Cases with a finding" in shown.text
    assert shown.open == [] and shown.loads == []


def test_a_run_that_stopped_before_its_first_answer_has_no_nights(tmp_path: Path):
    with Recorder(tmp_path / "rows.jsonl") as recorder:
        recorder.write(night(0)[0])
    assert main(["render", str(tmp_path / "rows.jsonl"), "--history", str(tmp_path / "none")]) == 0
    assert 'id="since"' not in (tmp_path / "report.html").read_text()


def test_the_frame_is_not_changed(tmp_path: Path):
    rows = kept(tmp_path, count=5)
    history = load(tmp_path)
    before = history.copy(deep=True)
    render(rows, history=history)
    pd.testing.assert_frame_equal(history, before)
