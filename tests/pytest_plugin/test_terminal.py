from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fixtures.pytest_plugin.terminal import closing_section
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.rows import accuracy, answered, build, card_speed, case, launch, row, session_row

BASELINE = case("pytorch", "fp32")
TENSORRT = case("tensorrt", "int8")


def _said(tmp_path: Path, *rows: Row) -> list[str]:
    record = tmp_path / "rows.jsonl"
    with Recorder(record) as recorder:
        for each in rows:
            recorder.write(each)
    plan = SimpleNamespace(record_path=record)
    run: Any = SimpleNamespace(plan=plan, regressions=[], report_path=tmp_path / "report.html", report_error="")
    return closing_section(run)


def test_a_run_on_a_card_has_device_and_end_to_end_times_and_what_the_card_adds(tmp_path: Path) -> None:
    timed = card_speed(TENSORRT, 1.0, launch=launch(0.4), energy={"joules_per_image": 0.0123})
    engine = [build(TENSORRT), timed, accuracy(TENSORRT, 1.0)]
    head, baseline, line, *_ = _said(tmp_path, session_row(gpu="x"), card_speed(BASELINE, 4.0), *engine)
    assert all(
        word in head
        for word in ("img/s", "device ms", "launch ms", "end-to-end ms", "card MB", "mJ/image", "% of peak")
    )
    assert head.index("device ms") < head.index("end-to-end ms") < head.index("speed-up")
    assert line.split()[:5] == [TENSORRT["id"], "8000.0", "1.000", "0.400", "1.500"]
    assert line.split()[-3:] == ["918", "12.30", "1.63"]
    assert baseline.split()[-3:] == ["918", "–", "1.63"]


def test_a_run_on_a_cpu_has_no_column_of_a_card(tmp_path: Path) -> None:
    head, line, *_ = _said(tmp_path, session_row(), *answered(BASELINE, 40.0))
    assert "end-to-end ms" in head
    assert not [word for word in ("device", "card", "mJ", "peak") if word in head]
    assert line.split()[:3] == [BASELINE["id"], "200.0", "40.00"]


def test_cells_that_did_not_run_are_two_lines_a_reason(tmp_path: Path) -> None:
    backends = [f"card-{number}" for number in range(11)]
    cells = [
        case(backend, precision, batch=batch)
        for backend in backends
        for precision in ("fp32", "int8")
        for batch in (1, 8)
    ]
    skipped = [row(cell, "matrix", outcome="skipped", reason="needs an NVIDIA card") for cell in cells]
    ran = [each for batch in (1, 8) for each in answered(case("pytorch", "fp32", batch=batch), 4.0)]
    lines = _said(tmp_path, session_row(), *ran, *skipped)
    at = lines.index("did not run (44 cells): needs an NVIDIA card")
    assert lines[at + 1 : at + 3] == [f"  {', '.join(backends)} (all precisions and batches)", ""]


def test_a_crash_is_told_apart_from_a_skip(tmp_path: Path) -> None:
    lines = _said(tmp_path, session_row(), row(TENSORRT, "speed", outcome="error", reason="out of memory"))
    assert lines[:2] == ["error (1 cells): speed: out of memory", f"  {TENSORRT['id']}"]
