"""The page's and the terminal's section of models behind servers."""

from pathlib import Path

from reports.analysis.exit_status import exit_status
from reports.findings.reading import read
from reports.html.page import as_data, write_report
from reports.html.serving_section import serving_section, serving_text
from reports.record.schema import Status, row_fault
from reports.record.serving import read_serving
from reports.text.formatting import milliseconds
from tests.findings.verdict import served
from tests.helpers.rows import end_row, session_row
from tests.helpers.serving import judged, load, serving_row, speed

GOOD = [
    session_row(),
    serving_row("triton-yolov8n", speed()),
    serving_row("triton-yolov8n", judged(0.999)),
    end_row(),
]


def test_client_and_server_are_told_apart() -> None:
    (each,) = serving_section(read_serving(GOOD))

    assert [line.callers for line in each.lines] == ["1", "4", "16"]
    assert [line.how for line in each.lines] == ["", "", "shared memory"]
    one = each.lines[0]
    # 11 ms at the client, of which compute, queue and copies are 8.5.
    client, server = (one.p50, one.p99, one.mean), (one.compute, one.queue, one.copy, one.outside)
    assert client == tuple(map(milliseconds, (10.0, 30.0, 11.0)))
    assert server == tuple(map(milliseconds, (6.0, 2.0, 0.5, 2.5)))
    assert "agreement with the same engine in the suite's own process 1.0000" in each.answers[1]


def test_a_service_that_tells_nothing_of_itself_has_dashes() -> None:
    rows = [session_row(), serving_row("nv-clip", speed(load(1, server=False), price_per_thousand=0.5))]
    (each,) = serving_section(read_serving(rows))

    assert each.lines[0].compute == each.lines[0].outside == "–"
    assert any("a thousand images cost 0.5" in said for said in each.notes)


def test_the_page_has_table_boundary_and_what_broke(tmp_path: Path) -> None:
    page = write_report(served(), tmp_path).read_text(encoding="utf-8")

    assert page.count("HTTP client → server → client") == 1
    assert '<h2 id="serving"' in page and 'id="serving-triton-good"' in page
    assert page.count("the connection was refused") >= 2, "in its section and under what broke"
    assert as_data(served())["serving"][0]["id"] == "triton-good"


def test_the_terminal_has_a_line_a_load() -> None:
    lines = serving_text(read_serving(served()))

    assert sum("callers" in line and "client p50" in line for line in lines) == 3
    assert any("the connection was refused" in line for line in lines)
    assert serving_text([]) == []


def test_a_good_run_of_served_models_is_told_so() -> None:
    reading = read(GOOD)

    assert reading.status.all_well == "All 1 served model passed"
    assert not reading.broken and exit_status(GOOD) == Status.PASSED


def test_what_broke_decides_the_exit_status() -> None:
    lost = [session_row(), serving_row("triton-a", None, "error", "gone")]
    failed = [*lost, serving_row("triton-b", judged(0.5), "failed", "too low")]

    assert exit_status(lost) == Status.CASE_LOST and exit_status(failed) == Status.GATE_FAILED
    assert read([*failed, end_row(1)]).status.words == ("1 served model failed", "1 served model crashed")


def test_a_row_that_names_nothing_is_refused() -> None:
    row = serving_row("triton-a", speed())

    assert row_fault(row) is None
    assert row_fault({**row, "serving": {}}) == "it names no serving"
    assert row_fault({**row, "question": "else"})


def test_damaged_values_cost_themselves_alone() -> None:
    row = serving_row("triton-a", speed())
    row["values"]["loads"][1]["mean_ms"] = "much"
    row["values"]["requests"] = "many"
    (found,) = read_serving([row])

    assert found.speed is not None and found.speed.requests is None
    assert [each.mean_ms for each in found.speed.loads] == [11.0, None, 11.0]
