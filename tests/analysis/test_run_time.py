"""What a run cost, as its rows tell."""

import pytest

from reports.analysis.cases import summarize
from reports.analysis.run_time import case_seconds, session_cost
from reports.record.schema import Row
from tests.helpers.rows import FAST, build, session_row
from tests.helpers.rows import speed as speed_row


def _rows(*, total: float = 100.0, shards: bool = False) -> list[Row]:
    asked = [build(FAST) | {"seconds": 30.0}, speed_row(FAST, 2.0) | {"seconds": 50.0}]
    for row, work in zip(asked, (28.0, 49.0), strict=True):
        row["values"]["work_seconds"] = work
    begin = session_row()
    begin["settings"] |= {"shards": ["a", "b"]} if shards else {}
    end = {"kind": "end", "session": begin["session"], "seconds": total, "exit_status": 0, "at": begin["at"]}
    return [begin, *asked, end]


def test_what_is_not_work_is_the_suites_own():
    cost = session_cost(_rows())
    assert cost is not None and cost.own_share == pytest.approx(0.23)
    assert cost.sentence() == (
        "The run took 100 s, 77.0 s of it building, measuring and scoring; 23% is the suite's own."
    )


def test_a_pipeline_is_work_too():
    begin, *asked, end = _rows()
    pipeline = {"kind": "pipeline", "session": begin["session"], "values": {"work_seconds": 13.0}}
    cost = session_cost([begin, *asked, pipeline, end])
    assert cost is not None and cost.work_s == pytest.approx(90.0)


def test_a_resumed_run_whose_parts_all_ended_costs_their_sum():
    begin, *asked, end = _rows(total=60.0)
    again = {"kind": "resume", "session": begin["session"], "environment": {}}
    cost = session_cost([begin, asked[0], end, again, asked[1], {**end, "seconds": 40.0}])
    assert cost is not None and cost.total_s == 100.0 and cost.own_share == pytest.approx(0.23)


def test_a_case_costs_what_all_its_questions_took():
    (case,) = summarize(_rows())
    assert case_seconds(case) == 80.0


@pytest.mark.parametrize(
    "rows",
    [
        _rows()[:-1],
        [*_rows()[:-1], {"kind": "resume", "session": "s", "environment": {}}, _rows()[-1]],
        _rows(shards=True),
        _rows(total=50.0),
    ],
    ids=["no end", "resumed", "merged", "more work than time"],
)
def test_where_the_total_means_something_else_nothing_is_said(rows: list[Row]):
    assert session_cost(rows) is None


def test_rows_without_times_cost_nothing_that_is_known():
    begin, *_ = _rows()
    (case,) = summarize([begin, build(FAST)])
    assert case_seconds(case) is None
