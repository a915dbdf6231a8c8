"""A known fault is named where it is, and excuses nothing."""

from dataclasses import replace

import pytest

from reports.analysis.cases import summarize
from reports.analysis.exit_status import Status, exit_status
from reports.findings.run import find
from reports.html.page import render
from reports.record import known_faults
from reports.record.known_faults import KNOWN_FAULTS, known_fault
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, case, end_row, session_row


def _session(torch: str, gpu: str | None = None) -> Row:
    row = session_row(gpu=gpu)
    environment = {**row["environment"], "packages": {"torch": torch}, "device": "cuda" if gpu else "cpu"}
    return {**row, "environment": environment}


WRONG = case("torch-compile", "fp32")


@pytest.mark.parametrize("torch", ["2.5.1", "2.5.1+cu124", "2.5.1+cpu"])
def test_torch_compile_of_2_5_1_is_known_to_be_wrong_for_yolo_on_a_cpu(torch: str):
    said = known_fault(_session(torch), WRONG)
    assert said.startswith(f"known fault of torch {torch}: torch.compile computes YOLOv8's boxes wrongly on a CPU")
    assert "360 pixels" in said and "0.82" in said


@pytest.mark.parametrize(
    ("session", "which"),
    [
        (_session("2.14.1"), WRONG),
        (_session("2.5.1", gpu="RTX 2080 Ti"), WRONG),
        (_session("2.5.1"), case("pytorch", "fp32")),
        (_session("2.5.1"), case("torch-compile", "fp32", model="clip-image")),
        (_session("a-build-of-my-own"), WRONG),
        (_session(""), WRONG),
        ({"environment": None}, WRONG),
    ],
)
def test_nothing_else_is_blamed_on_it(session: Row, which: Row):
    assert known_fault(session, which) == ""


def _run(torch: str, ratio: float) -> list[Row]:
    outcome = {"outcome": "failed", "reason": "mAP50-95 is too low"} if ratio < 0.98 else {}
    rows = [_session(torch), build(case("pytorch", "fp32")), build(WRONG), accuracy(WRONG, ratio)]
    rows[-1] = {**rows[-1], **outcome}
    return [*rows, end_row(1 if outcome else 0)]


def test_the_gate_stays_closed_and_the_page_names_the_fault():
    rows = _run("2.5.1", 0.82)
    assert exit_status(rows) is Status.GATE_FAILED
    assert [each.gate for each in summarize(rows) if each.backend == "torch-compile"] == ["fail"]
    levels = {finding.level for finding in find(rows) if "torch.compile" in finding.text}
    assert levels == {"fail", "warn"}
    assert "known fault of torch 2.5.1" in render(rows)


@pytest.mark.parametrize(("torch", "ratio"), [("2.14.1", 0.82), ("2.5.1", 1.0)])
def test_without_the_fault_or_the_failure_nothing_is_said(torch: str, ratio: float):
    assert "known fault" not in render(_run(torch, ratio))


def test_a_fault_of_a_range_of_versions_and_of_some_precisions(monkeypatch: pytest.MonkeyPatch):
    fault = replace(KNOWN_FAULTS[0], versions=">=2.6,<2.8", precisions=("fp16",), devices=(), tasks=(), backends=())
    monkeypatch.setattr(known_faults, "KNOWN_FAULTS", (fault,))
    assert known_fault(_session("2.7.1", gpu="T4"), case("pytorch", "fp16"))
    assert not known_fault(_session("2.8.0"), case("pytorch", "fp16"))
    assert not known_fault(_session("2.7.1"), case("pytorch", "fp32"))
