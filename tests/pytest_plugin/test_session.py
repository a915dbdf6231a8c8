"""Which cells a session lists and does not run, and what it says before any case has a process."""

from pathlib import Path

import pytest

from fixtures.backends import registry
from fixtures.environment import conflicts
from fixtures.errors import BenchError
from fixtures.isolation.pool import WorkerFactory, WorkerPool
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.pytest_plugin.hooks import chosen
from fixtures.pytest_plugin.run_plan import RunPlan
from fixtures.pytest_plugin.session import RunSession
from reports.errors import ReportError
from reports.record.store import read_rows
from reports.record.tries import WORKS, Try, encode, tries_of
from tests.helpers.runs import raw_options

NO_WORKERS = WorkerFactory(preload=False)
SLOW = "this CPU has no FP16 arithmetic"


def _run(tmp_path: Path, **options: str) -> RunSession:
    raw = raw_options(suite="embedded", device="cpu", output=str(tmp_path), batches="1", models="yolov8n", **options)
    plan = RunPlan.make(Options.from_values(raw, tmp_path), tmp_path)
    return RunSession(plan, lambda _: None, NO_WORKERS)


@pytest.fixture
def slow_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every backend runs everything; FP16 of `pytorch` says nothing."""
    monkeypatch.setattr(registry, "unsupported_reason", lambda *_: "")
    slow = {("pytorch", "fp16"): SLOW}
    monkeypatch.setattr(registry, "on_request_reason", lambda name, precision, _: slow.get((name, precision), ""))


@pytest.mark.usefixtures("slow_fp16")
@pytest.mark.parametrize(
    ("asked", "runs"), [("", False), ("fp16", True), ("fp32,fp16", True)], ids=["default", "by name", "among others"]
)
def test_a_cell_that_says_nothing_is_listed_with_its_reason_and_runs_where_it_is_asked_for(
    asked: str, runs: bool, tmp_path: Path
):
    cells = _run(tmp_path, precisions=asked).cells
    reasons = {(cell.case.backend, cell.case.precision): cell.reason for cell in cells.values()}
    assert reasons["pytorch", "fp16"] == (
        "" if runs else f"{SLOW}. It runs where it is asked for by name: --precisions fp16"
    )
    assert {reason for cell, reason in reasons.items() if cell != ("pytorch", "fp16")} == {""}


@pytest.mark.usefixtures("slow_fp16")
def test_a_reason_why_it_cannot_run_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(registry, "unsupported_reason", lambda *_: "is absent")
    assert {cell.reason for cell in _run(tmp_path).cells.values()} == {"is absent"}


def test_a_torchvision_of_another_pytorch_is_a_usage_error_with_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(conflicts, "installed_version", {"torch": "2.5.1", "torchvision": "0.21.0"}.get)
    with pytest.raises(BenchError, match=r"built with PyTorch 2\.6.*\n.*torchvision==0\.20\.\*"):
        _run(tmp_path).start()
    assert not (tmp_path / "rows.jsonl").exists()


def test_processes_that_cannot_begin_are_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The process that all others are forked from has ended while it imported."""

    def gone(*_: object) -> None:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(WorkerPool, "describe", gone)
    run = _run(tmp_path)
    with pytest.raises(BenchError, match=r"does not load\n.*fixtures\.doctor"):
        run.start()
    run.close()


@pytest.mark.parametrize(
    ("torch", "backend", "named"),
    [("2.5.1", "torch-compile", True), ("2.5.1", "pytorch", False), ("2.14.1", "torch-compile", False)],
)
def test_a_failure_names_the_known_fault_behind_its_own_words(torch: str, backend: str, named: bool, tmp_path: Path):
    run = _run(tmp_path)
    run._described = {"environment": {"device": "cpu", "packages": {"torch": torch}}}
    said = run.with_known_fault(Case("yolov8n", "detection", backend, "fp32", 1), "mAP50-95 is 0.82 of the baseline")
    assert said.startswith("mAP50-95 is 0.82 of the baseline") and ("known fault of torch 2.5.1" in said) is named


def test_what_the_doctor_tried_goes_into_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    one = Try(network="try-yolo", backend="pytorch", precision="fp32", outcome=WORKS, tolerance=0.001)
    (tmp_path / "tries.json").write_bytes(encode([one]))
    monkeypatch.setattr(WorkerPool, "describe", lambda *_: {"name": "embedded", "notices": []})
    run = _run(tmp_path / "run", tries=str(tmp_path / "tries.json"))
    run.start()
    run.close()
    session, *_ = read_rows(tmp_path / "run" / "rows.jsonl")
    assert tries_of(session) == (one,)
    with pytest.raises(ReportError, match="no file of tries"):
        _run(tmp_path / "other", tries=str(tmp_path / "nowhere.json")).start()
    assert not (tmp_path / "other" / "rows.jsonl").exists()


def _speeds(run: RunSession, speeds: dict[int, float | str]) -> None:
    """As if these batches had been measured: images a second, or how it ended otherwise."""
    for batch, speed in speeds.items():
        case = Case("yolov8n", "detection", "pytorch", "fp32", batch)
        outcome, values = (speed, {}) if isinstance(speed, str) else ("passed", {"images_per_second": speed})
        run._known[case.id, "speed"] = {"outcome": outcome, "values": values}


@pytest.mark.parametrize(
    ("speeds", "reason"),
    [
        ({1: 100.0, 8: 300.0, 16: 400.0}, ""),
        ({1: 100.0, 8: 300.0, 16: 305.0}, "batch 16 gives 1.02 times the images a second of batch 8"),
        ({1: 100.0, 8: 101.0, 16: "skipped"}, "batch 8 gives 1.01 times the images a second of batch 1"),
        ({1: 100.0, 8: 300.0, 16: "error"}, "batch 16 ended in an error: larger ones are not tried"),
        ({}, ""),
    ],
    ids=["still pays", "knee", "knee below", "crashed", "no speed asked"],
)
def test_automatic_batches_end_where_a_larger_one_does_not_pay(
    speeds: dict[int, float | str], reason: str, tmp_path: Path
):
    raw = raw_options(suite="embedded", device="cpu", output=str(tmp_path), models="yolov8n", batches="auto")
    run = RunSession(RunPlan.make(Options.from_values(raw, tmp_path), tmp_path), lambda _: None, NO_WORKERS)
    _speeds(run, speeds)
    message = run.past_knee(Case("yolov8n", "detection", "pytorch", "fp32", 32))
    assert message.startswith(reason) and bool(message) == bool(reason)


def test_batches_that_were_named_are_measured_whatever_the_smaller_gave(tmp_path: Path):
    run = _run(tmp_path)
    _speeds(run, {1: 100.0, 8: 50.0})
    assert run.past_knee(Case("yolov8n", "detection", "pytorch", "fp32", 32)) == ""


def test_several_streams_are_cases_of_their_own_and_say_which_backends_have_one(tmp_path: Path):
    cells = _run(tmp_path, streams="1,2", precisions="fp32").cells
    assert cells["yolov8n-pytorch-fp32-b1-s2"].runs
    reasons = {cell.case.backend: cell.reason for cell in cells.values() if cell.case.streams == 2}
    assert "needs an NVIDIA card" in reasons["pytorch-cuda-graph"]
    assert not cells["yolov8n-pytorch-fp32-b1-s2"].case.is_baseline
    assert sum(cell.case.is_baseline for cell in cells.values()) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], ""), (["-k", "not (a and b)", "-m", "fp16"], "-k 'not (a and b)' -m fp16")]
)
def test_what_pytest_chooses_of_the_matrix_is_in_the_record(
    pytester: pytest.Pytester, arguments: list[str], expected: str
):
    part = chosen(pytester.parseconfig(*arguments))
    assert part == expected
    raw = raw_options(suite="embedded", device="cpu", output=str(pytester.path))
    plan = RunPlan.make(Options.from_values(raw, pytester.path), pytester.path, part)
    assert plan.settings()["chosen"] == expected
