"""Pipelines and served models of two runs side by side."""

import pytest

from reports.compare.runs import SideBySide, compare, findings_of, render
from reports.compare.text import as_text
from reports.record.schema import Row
from tests.compare_runs.test_runs import FAST, run, timed
from tests.helpers.pipelines import pipeline_row
from tests.helpers.serving import serving_row
from tests.history.test_throughput import MODEL, PIPELINE, pipeline, served

LOADS = [f"{MODEL} at http://host:8000, {callers}" for callers in ("1 caller", "4 callers", "16 callers")]


def both(before: list[Row], after: list[Row]) -> SideBySide:
    return compare(run("a", *before), run("b", *after))


@pytest.mark.parametrize(
    ("rate", "half", "verdict"),
    [
        (800.0, 0.02, "faster"),
        (600.0, 0.02, "slower"),
        (702.0, 0.01, "same"),
        (680.0, 0.02, "unclear"),
        (600.0, 0.2, "unclear"),
    ],
)
def test_a_pipeline_is_faster_slower_the_same_or_unclear(rate: float, half: float, verdict: str) -> None:
    comparison = both([pipeline(700.0, half, steady=True)], [pipeline(rate, half, steady=True)])
    (pair,) = comparison.throughputs
    assert (pair.name, pair.verdict) == (f"{PIPELINE}-12mp", verdict)
    assert pair.speed is not None and pair.speed.value == pytest.approx(rate / 700)
    assert pair.why == ("the interval reaches across 3 %" if verdict == "unclear" else "")
    assert comparison.pairs == () and not any("No case ran" in finding.text for finding in findings_of(comparison))


def test_that_one_was_not_steady_stands_beside_the_verdict() -> None:
    (pair,) = both([pipeline(700.0)], [pipeline(350.0, steady=True)]).throughputs
    assert (pair.verdict, pair.why) == ("slower", "A: not steady")


def test_a_served_model_is_compared_at_each_number_of_callers() -> None:
    comparison = both([served(10.0, 10.0, 10.0)], [served(10.0, 20.0, 5.0)])
    assert [pair.name for pair in comparison.throughputs] == LOADS
    # Intervals of ±10 % leave equal figures unclear.
    assert [pair.verdict for pair in comparison.throughputs] == ["unclear", "slower", "faster"]


def test_they_stand_in_both_forms_with_what_broke_first() -> None:
    lost = serving_row(MODEL, None, "error", "the connection was <refused>")
    comparison = both(
        [*timed(FAST, 10.0), pipeline(700.0), served(9.0, 9.0, 9.0)], [*timed(FAST, 5.0), pipeline(350.0), lost]
    )
    assert [(finding.level, finding.text) for finding in findings_of(comparison)] == [
        ("fail", f"Stopped with an error in B and did not in A: {MODEL}."),
        ("warn", f"Slower in B by 3 % or more: {PIPELINE}-12mp."),
        ("ok", "Faster in B by 3 % or more: YOLOv8n · TensorRT FP16 · batch 8."),
    ]
    text, page = as_text(comparison), render(comparison)
    assert f"  {LOADS[0]}: not timed: B: speed error: the connection was <refused>" in text
    assert "the connection was &lt;refused&gt;" in page and "<refused>" not in page
    for form in (text, page):
        assert f"{PIPELINE}-12mp" in form and "0.50×" in form


def test_what_failed_or_was_not_asked_or_cannot_run_is_told() -> None:
    failed = pipeline_row(PIPELINE, accuracy="failed")
    comparison = both([pipeline(700.0), served(9.0, 9.0, 9.0)], [pipeline(700.0), failed])
    assert [pair.verdict for pair in comparison.throughputs] == ["unclear", *["not timed"] * 4]
    assert [(finding.level, finding.text) for finding in findings_of(comparison)] == [
        ("fail", f"Failed in B and did not in A: {PIPELINE}-12mp."),
        ("warn", f"Unclear, the reason stands beside each: {PIPELINE}-12mp."),
        ("info", f"Ran in A and was not asked in B: {MODEL}."),
    ]
    skipped = findings_of(both([pipeline(700.0)], [pipeline_row(PIPELINE)]))
    assert ("fail", f"Ran in A and could not in B: {PIPELINE}-12mp.") in [(each.level, each.text) for each in skipped]


def test_two_runs_without_any_have_no_section() -> None:
    comparison = both(timed(FAST, 10.0), timed(FAST, 10.0))
    assert comparison.throughputs == () and "Pipelines and served" not in as_text(comparison) + render(comparison)
