"""What the verdict says of the data, and that a baseline that finds nothing is never "OK"."""

from typing import Any

from reports.findings.base import Code
from reports.findings.data import LABELS_UNUSED
from reports.findings.run import find
from reports.html.page import render
from reports.record.notices import read_notices
from tests.helpers.rows import accuracy, answered, build, case, end_row, session_row, speed

BASELINE = case("pytorch", "fp32")
ORT = case("onnxruntime", "fp32")
NOTICES = [
    {
        "code": "boxes-outside",
        "text": "boxes outside, left out",
        "count": 5,
        "examples": ["a", "b", "c"],
        "changes_score": True,
    },
    {"code": "encoding", "text": "a mark was taken away", "count": 1, "examples": ["x.json"], "changes_score": False},
]


def _session(notices: Any = NOTICES) -> list[dict]:
    row = session_row()
    row["suite"] = {**row["suite"], "notices": notices}
    return [row, *answered(BASELINE, 80.0), end_row()]


def test_departures_are_counted_by_what_they_change():
    found = {finding.code: finding for finding in find(_session())}
    changes, otherwise = found[Code.DATA_CHANGES_SCORE], found[Code.DATA_READ_OTHERWISE]
    assert (changes.level, changes.data) == ("warn", {"boxes-outside": 5})
    assert (otherwise.level, otherwise.data) == ("info", {"encoding": 1})


def test_the_page_names_them_once_more_beside_the_suite():
    page = render(_session())
    assert page.count("boxes outside, left out: 5 (a, b, c, …)") == 2
    assert "as it should be" in render(_session([]))


def test_records_without_notices_and_with_foreign_ones_are_read():
    assert read_notices({}) == () == read_notices({"notices": ["x", {"code": 3}]})
    found = find([session_row(), *answered(BASELINE, 80.0), end_row()])
    assert not [finding for finding in found if finding.code.startswith("data.")]


def _implausible(of: dict) -> dict:
    row = accuracy(of, 1.0, outcome="failed", reason="the baseline's mAP50-95 is 0.0110")
    row["values"] = {**row["values"], "implausible_baseline": "the baseline's mAP50-95 is 0.0110"}
    return row


def test_an_implausible_baseline_is_a_failure_with_a_code_and_never_ok():
    rows = [session_row()]
    for of in (BASELINE, ORT):
        rows += [build(of), speed(of, 50.0), _implausible(of)]
    found = find([*rows, end_row(1)])
    (failure,) = [finding for finding in found if finding.level == "fail"]
    assert failure.code == Code.BASELINE_IMPLAUSIBLE and failure.cases == (BASELINE["id"], ORT["id"])
    assert "the baseline's mAP50-95 is 0.0110." in failure.sentence
    assert "ok" not in {finding.level for finding in found}


def test_labels_that_judged_nothing_are_said():
    rows = _session([])
    rows[3]["values"] = {**rows[3]["values"], "details": {LABELS_UNUSED: "the baseline is right in 0 of 9"}}
    (finding,) = (finding for finding in find(rows) if finding.code == Code.ACCURACY_LABELS_UNUSED)
    assert "the baseline is right in 0 of 9" in finding.sentence
