import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from reports.__main__ import main
from reports.compare.runs import DRIFT, Pair, compare, findings_of, render
from reports.compare.text import as_text
from reports.errors import ReportError
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, row, session_row, speed

BASELINE, FAST, QUARTER = (case(*name) for name in (("pytorch", "fp32"), ("tensorrt", "fp16"), ("tensorrt", "int8")))
HOSTILE = '<script>alert(1)</script> "quotes" & {{ 7 * 7 }} 🐈‍⬛'


def run(session: str, *answers: Row, driver: str = "550.1", gpu: str = "NVIDIA H200", **settings: Any) -> list[Row]:
    start = session_row(gpu=gpu, card={"driver": driver})
    start["settings"] |= settings
    return [{**each, "session": session} for each in (start, *answers, end_row())]


def timed(case: Row, p50: float, ratio: float = 1.0, **values: Any) -> list[Row]:
    return [build(case), card_speed(case, p50, **values), accuracy(case, ratio)]


def only_pair(before: list[Row], after: list[Row]) -> Pair:
    (pair,) = compare(run("a", *before), run("b", *after)).pairs
    return pair


@pytest.mark.parametrize(
    ("p50", "spread", "verdict"),
    [
        (9.0, 0.005, "faster"),
        (11.0, 0.005, "slower"),
        (10.1, 0.005, "same"),
        (9.7, 0.005, "unclear"),  # 1.031 ± 0.007
        (9.0, 0.08, "unclear"),
        (10.0, 0.08, "unclear"),
    ],
)
def test_a_case_is_faster_slower_the_same_or_unclear(p50: float, spread: float, verdict: str):
    pair = only_pair(timed(FAST, 10.0, spread=spread), timed(FAST, p50, spread=spread))
    assert pair.verdict == verdict
    assert pair.speed is not None and pair.speed.value == pytest.approx(10 / p50)
    assert pair.why == ("the interval reaches across 3 %" if verdict == "unclear" else "")


def calls(p50: float, iqr: float) -> list[float]:
    """Calls around a median of `p50` ms whose interquartile range is this share of it."""
    return [p50 * (1 + iqr * quartiles / 2) for quartiles in (-2, -1, 0, 1, 2)]


def pair_of_calls(before: tuple[float, float], after: tuple[float, float], spread: float = 0.001) -> Pair:
    """Runs A and B by their (median in ms, relative interquartile range)."""
    one, other = (
        timed(FAST, p50, spread=spread, samples_ms=calls(p50, iqr) if iqr else []) for p50, iqr in (before, after)
    )
    return only_pair(one, other)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((10.0, 0.005), (10.5, 0.005), "slower"),
        ((10.0, 0.05), (11.5, 0.05), "slower"),
        ((10.0, 0.05), (11.1, 0.05), "slower"),  # just beyond twice the range
        ((10.0, 0.019), (10.35, 0.019), "slower"),  # within twice a range that is not wide
        ((10.5, 0.005), (10.0, 0.005), "faster"),
        ((11.5, 0.05), (10.0, 0.05), "faster"),
        ((11.1, 0.05), (10.0, 0.05), "faster"),
        ((10.35, 0.019), (10.0, 0.019), "faster"),
        ((10.0, 0.05), (10.1, 0.05), "same"),
        ((10.0, 0.0), (10.5, 0.0), "slower"),  # a record that kept no calls
    ],
)
def test_a_difference_beyond_what_equal_runs_show_is_a_difference(
    before: tuple[float, float], after: tuple[float, float], verdict: str
):
    pair = pair_of_calls(before, after)
    assert (pair.verdict, pair.why) == (verdict, "")


@pytest.mark.parametrize(
    ("before", "after", "whose", "spans", "apart"),
    [
        ((10.0, 0.049), (10.5, 0.05), "B", "5.0", "10"),
        ((10.5, 0.05), (10.0, 0.049), "A", "5.0", "10"),
        ((10.0, 0.05), (10.5, 0.005), "A", "5.0", "10"),  # one rough run is enough
        ((10.0, 0.005), (10.5, 0.05), "B", "5.0", "10"),
        ((10.5, 0.005), (10.0, 0.05), "B", "5.0", "10"),
        ((10.0, 0.0), (10.5, 0.05), "B", "5.0", "10"),
        ((10.0, 0.096), (10.9, 0.05), "A", "9.6", "19"),
        ((10.0, 0.05), (10.9, 0.04), "A", "5.0", "10"),  # just within twice the range
        ((10.0, 0.021), (10.35, 0.005), "A", "2.1", "4.2"),
    ],
)
def test_a_difference_that_equal_runs_may_show_is_unclear(
    before: tuple[float, float], after: tuple[float, float], whose: str, spans: str, apart: str
):
    pair = pair_of_calls(before, after)
    assert pair.verdict == "unclear"
    said = f"the middle half of its calls spans {spans} % of their median; equal runs may lie {apart} % apart"
    assert pair.why == f"{whose}: {said}"


def test_calls_that_spread_leave_another_reason_as_it_is():
    assert pair_of_calls((10.0, 0.05), (10.5, 0.05), spread=0.08).why == "the interval reaches across 3 %"
    after = timed(FAST, 10.5, samples_ms=calls(10.5, 0.05), steady=False)
    assert only_pair(timed(FAST, 10.0), after).why == "B: not steady"


def test_calls_that_spread_are_told_of_in_both_forms():
    before, after = (timed(FAST, p50, samples_ms=calls(p50, 0.096), spread=0.005) for p50 in (10.0, 10.9))
    found = compare(run("a", *before), run("b", *after))
    assert [finding.text.split(",")[0] for finding in findings_of(found)] == ["Unclear"]
    for shown in (as_text(found), render(found)):
        assert "calls spans 9.6 % of their median" in shown


def test_the_two_intervals_are_added_in_quadrature():
    pair = only_pair(timed(FAST, 10.0, spread=0.03), timed(FAST, 10.0, spread=0.04))
    assert pair.speed is not None
    assert (pair.speed.low, pair.speed.high) == (pytest.approx(0.95), pytest.approx(1.05))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"steady": False}, "B: not steady"),
        ({"state": {"throttled": True}}, "B: throttled"),
        ({"state": {"foreign": "one process beside ours"}}, "B: not alone on the card"),
        ({"engine": "another file"}, "B: scored engine is not the timed engine"),
    ],
)
def test_a_timing_that_cannot_be_trusted_gives_no_verdict(values: dict[str, Any], why: str):
    pair = only_pair(timed(FAST, 10.0), timed(FAST, 5.0, **values))
    assert pair.verdict == "unclear"
    assert pair.why.startswith(why)


def test_a_gate_that_b_did_not_judge_is_told():
    before, after = (run(name, *timed(FAST, 10.0)) for name in "ab")
    after = [row for row in after if row.get("question") != "accuracy"]
    assert ("warn", True) in [
        (each.level, "B did not judge it" in each.text) for each in findings_of(compare(before, after))
    ]


def test_a_case_that_crashed_in_one_run_was_not_timed_there():
    crash = [build(FAST), row(FAST, "speed", outcome="error", reason="CUDA error: an illegal access")]
    pair = only_pair(timed(FAST, 10.0), crash)
    assert (pair.verdict, pair.why) == ("not timed", "B: CUDA error: an illegal access")
    findings = findings_of(compare(run("a", *timed(FAST, 10.0)), run("b", *crash)))
    assert [finding.level for finding in findings] == ["fail", "info"]
    assert findings[0].text.startswith("Stopped with an error in B and did not in A: YOLOv8n · TensorRT FP16")


def test_a_gate_that_closes_is_told_first():
    found = compare(run("a", *timed(FAST, 10.0)), run("b", *timed(FAST, 9.0, 0.95)))
    assert findings_of(found)[0].text == "The gate fails in B and did not in A: YOLOv8n · TensorRT FP16 · batch 8."
    assert [finding.level for finding in findings_of(found)] == ["fail", "warn", "ok"]
    (pair,) = found.pairs
    assert pair.gate == "pass → fail" and pair.accuracy == pytest.approx(-0.05)
    assert "-5.0 points" in as_text(found) and "-5.0 points" in render(found)


def test_what_changed_beside_it_is_listed():
    after = run("b", *timed(FAST, 10.0), driver="560.2", trt_level=5, output="elsewhere")
    after[0]["environment"] |= {"commit": "c2", "packages": {"torch": "2.16.0"}}
    after[0]["suite"]["yolo"] = {**after[0]["suite"]["yolo"], "sha256": "ab12" * 16}
    changed = {name: values for name, *values in compare(run("a", *timed(FAST, 10.0)), after).changed}
    assert changed == {
        "commit": ["absent", "c2"],
        "driver": ["550.1", "560.2"],
        "onnxruntime": ["1.32.0", "absent"],
        "setting trt_level": ["absent", "5"],
        "torch": ["2.15.0", "2.16.0"],
        "yolo weights": ["e4c9e4c9e4c9", "ab12ab12ab12"],
    }


def test_two_runs_of_the_same_thing_differ_in_nothing_that_is_named():
    found = compare(run("a", *timed(FAST, 10.0)), run("b", *timed(FAST, 10.0)))
    assert found.changed == ()
    assert "Nothing changed beside it" in as_text(found)


def test_cases_of_one_run_only_stand_with_the_reason():
    skipped = row(QUARTER, "matrix", outcome="skipped", reason="no calibration images")
    found = compare(run("a", *timed(FAST, 9.0), *timed(QUARTER, 8.0)), run("b", skipped, *timed(BASELINE, 20.0)))
    assert findings_of(found)[0].text == "No case ran in both runs: there is nothing to compare."
    assert [(case.id, why) for case, why in found.only_before] == [
        (FAST["id"], "not asked"),
        (QUARTER["id"], "B: no calibration images"),
    ]
    assert [case.id for case, _ in found.only_after] == [BASELINE["id"]]
    assert [(finding.level, finding.text) for finding in findings_of(found)[1:]] == [
        ("fail", "Ran in A and could not in B: YOLOv8n · TensorRT INT8 · batch 8."),
        ("info", "Ran in A and was not asked in B: YOLOv8n · TensorRT FP16 · batch 8."),
    ]


def test_another_machine_device_suite_or_the_same_session_is_refused():
    before = run("a", *timed(FAST, 9.0))
    on_cpu = run("b", *timed(FAST, 9.0), device="cpu")
    other_suite = run("b", *timed(FAST, 9.0))
    other_suite[0]["suite"] = {"name": "real"}
    for after, why in [
        (run("b", *timed(FAST, 9.0), gpu="NVIDIA L4"), "different machines: NVIDIA H200 and NVIDIA L4"),
        (on_cpu, "different machines: NVIDIA H200 and Test CPU"),
        (other_suite, "different suites: embedded and real"),
        (before, "the same session a"),
    ]:
        with pytest.raises(ReportError, match=why):
            compare(before, after)


def test_another_number_of_cores_is_another_machine_for_a_cpu():
    before, after = (run(name, *timed(FAST, 9.0), device="cpu") for name in "ab")
    after[0]["environment"] = {**after[0]["environment"], "cores": 16}
    with pytest.raises(ReportError, match="different numbers of CPU cores: 2 and 16"):
        compare(before, after)


def test_device_time_is_not_divided_by_end_to_end_latency():
    with pytest.raises(ReportError, match=r"device time by CUDA events in A and end-to-end latency by host clock in B"):
        compare(run("a", *timed(FAST, 9.0)), run("b", speed(FAST, 9.0)))


def test_a_record_without_a_session_is_refused():
    with pytest.raises(ReportError, match="record B holds no session"):
        compare(run("a", *timed(FAST, 9.0)), timed(FAST, 9.0))


def test_drift_is_told_of_in_both_forms():
    found = compare(run("a", *timed(FAST, 10.0)), run("b", *timed(FAST, 9.0)))
    assert DRIFT in as_text(found) and DRIFT in render(found)
    assert "python -m fixtures.compare" in DRIFT


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not {name for name, _ in attributes} & {"src", "href", "action"}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_loads_nothing_and_shows_hostile_names_literally():
    evil = {**case(HOSTILE, "fp16", model=HOSTILE), "id": HOSTILE}
    lost = {**evil, "id": f"lost {HOSTILE}"}
    before = run("a", *timed(evil, 9.0), *timed(lost, 9.0), driver=HOSTILE)
    after = run(HOSTILE, row(evil, "speed", outcome="error", reason=HOSTILE), odd=HOSTILE)
    page = _Tags(render(compare(before, after)))
    assert not {"script", "link", "img", "iframe"} & set(page.seen)
    assert "".join(page.words).count(HOSTILE) > 5


def _written(folder: Path, rows: list[Row]) -> str:
    with Recorder(folder / "rows.jsonl") as recorder:
        for each in rows:
            recorder.write(each)
    return str(folder / "rows.jsonl")


def test_the_command_prints_a_table_and_writes_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    paths = [_written(tmp_path / name, run(name, *timed(FAST, p50))) for name, p50 in (("a", 10.0), ("b", 8.0))]
    page = tmp_path / "new" / "two.html"
    assert main(["compare", *paths, "--output", str(page)]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"{FAST['id']} +faster +1\.25× +1\.23–1\.27 +10\.0 +8\.00 ", text)
    assert text.rstrip().endswith(str(page))
    assert "Two runs on NVIDIA H200" in page.read_text()
    assert list(page.parent.iterdir()) == [page]


def test_the_command_ends_with_2_where_the_runs_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    one, other = (_written(tmp_path / gpu, run(gpu, *timed(FAST, 9.0), gpu=gpu)) for gpu in ("L4", "H200"))
    assert main(["compare", one, other]) == 2
    assert "different machines: L4 and H200" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    same = _written(tmp_path / "again", run("again", *timed(FAST, 9.0), gpu="L4"))
    assert main(["compare", one, same, "--output", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write the page" in capsys.readouterr().err
