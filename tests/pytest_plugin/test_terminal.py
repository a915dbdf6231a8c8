from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fixtures.pytest_plugin.terminal import closing_section
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.pipelines import timed_pipelines
from tests.helpers.rows import accuracy, answered, build, card_speed, case, end_row, launch, row, session_row
from tests.helpers.runs_to_read import rehearsal, troubled

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
    assert lines[:2] == ["error (1 cells): speed: out of memory", "  YOLOv8n · TensorRT INT8 · batch 8"]


MOST_LINES = 12


def _end_of(lines: list[str]) -> list[str]:
    """What stands behind the last blank line."""
    return lines[len(lines) - lines[::-1].index("") :]


def test_the_end_is_the_answer_and_the_path_of_the_page(tmp_path: Path) -> None:
    end = _end_of(_said(tmp_path, session_row(), *answered(BASELINE, 40.0), *answered(TENSORRT, 10.0), end_row()))
    assert end[0].startswith(
        "YOLOv8n: ship TensorRT INT8: 800 img/s at batch 8, 4.00× as fast as PyTorch FP32, keeps 100.0"
    )
    assert end[1] == "All 2 cases passed."
    assert end[-1] == f"report: {tmp_path / 'report.html'}"


def test_what_broke_stands_behind_the_answer_with_what_to_do(tmp_path: Path) -> None:
    crash = row(case("torch-compile", "fp16"), "build", outcome="error", reason="no compiler")
    end = _end_of(
        _said(tmp_path, session_row(), *answered(BASELINE, 40.0), *answered(TENSORRT, 10.0, 0.9), crash, end_row(6))
    )
    assert end[1:4] == [
        "1 failed the gate; 1 crashed.",
        "Broken: YOLOv8n · torch.compile FP16 · batch 8: build: no C++ compiler found → install g++ "
        "(pytest bench/ --benchmark-only --resume DIR)",
        "Broken: YOLOv8n · TensorRT INT8 · batch 8: keeps 90.0\u202f% of mAP50-95 (98\u202f% needed) → do not ship it "
        "(python -m fixtures.divergence)",
    ]


def test_however_much_there_is_to_tell_the_end_has_at_most_12_lines(tmp_path: Path) -> None:
    rows: list[Row] = [session_row()]
    for number in range(9):
        model = {"model": f"model-{number}"}
        rows += answered(case("pytorch", "fp32", **model), 40.0)
        rows += answered(case("tensorrt", "fp16", **model), 20.0, 0.9 - number / 1000)
        rows.append(row(case("trtexec", "fp16", **model), "build", outcome="error", reason=f"{number} " + "x" * 9000))
    end = _end_of(_said(tmp_path, *rows, end_row(6)))
    assert 6 <= len(end) <= MOST_LINES and max(map(len, end)) < 400
    assert any("more answers: see the report" in line for line in end)
    assert any("more failures: see the report" in line for line in end)
    assert end[-1].startswith("report: ")


def test_a_run_on_the_whole_matrix_keeps_to_it_as_well(tmp_path: Path) -> None:
    assert len(_end_of(_said(tmp_path, *rehearsal()))) <= MOST_LINES
    rows, _ = troubled(tmp_path / "history")
    assert len(_end_of(_said(tmp_path / "two", *rows))) <= MOST_LINES


def test_a_run_of_pipelines_ends_with_their_answer(tmp_path: Path) -> None:
    end = _end_of(_said(tmp_path, session_row(gpu="x"), *timed_pipelines("s"), end_row()))
    assert len(end) <= MOST_LINES
    assert end[0].startswith(
        "12 MP photos: decoding takes 57\u202f% of the time; change that first (2.28× by the stage times)"
    )
    assert end[1].startswith("COCO-size photos: preprocessing takes") and end[2] == "All 4 pipelines passed."
    assert not any("Nothing was measured" in line for line in end)


def test_pipelines_beside_models_keep_to_the_same_lines(tmp_path: Path) -> None:
    *rows, ended = rehearsal()
    end = _end_of(_said(tmp_path, *rows, *timed_pipelines("s"), ended))
    assert len(end) <= MOST_LINES and end[0].startswith("12 MP photos: ")
    assert any(line.startswith("YOLOv8n: ship") for line in end)
    assert "All 42 cases and 4 pipelines passed." in end
