"""A new backend is one file and one line of the registry: with these two it is in the matrix, measured and judged."""

from pathlib import Path

import pytest

from fixtures.backends import registry
from fixtures.plan.matrix import ModelSpec, plan
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.stages import CaseRunner
from fixtures.timing.sampler import SamplerSettings
from reports.analysis.cases import CaseSummary, summarize
from reports.record.schema import BASELINE_BACKEND, CASE_KIND, STAGES, Row, StageRow
from reports.record.store import Recorder, read_rows
from tests.helpers.rows import SESSION, session_row
from tests.helpers.runs import raw_options

ONE_FILE = "tests.helpers.toy_backend:Toy"
MODEL = ModelSpec("clip-text", "zero-shot")


def _run(folder: Path, precisions: tuple[str, ...] = ("fp32",)) -> list[CaseSummary]:
    """The toy and the baseline through the matrix, a runner and a record, as a session takes them."""
    names = (BASELINE_BACKEND, "toy")
    cells = plan([MODEL], names, precisions, (1,), lambda *cell: registry.unsupported_reason(*cell[:2], "cpu", cell[2]))
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(folder / "e")), folder)
    runner = CaseRunner(
        open_workbench(options, choose_suite(options, folder), lambda _: None),
        SamplerSettings(max_measured_s=0.1, warmup_max_s=0.1),
        options.tolerance,
    )
    with Recorder(folder / "rows.jsonl") as record:
        record.write(session_row())
        for cell in cells:
            described = {"id": cell.case.id, **vars(cell.case)}
            if not cell.runs:
                record.write(StageRow(CASE_KIND, SESSION, described, "matrix", "skipped", reason=cell.reason))
                continue
            for stage in STAGES:
                result = runner.ask(cell.case, stage)
                outcome = "failed" if result.failure else "passed"
                record.write(
                    StageRow(CASE_KIND, SESSION, described, stage, outcome, result.values, result.failure or None)
                )
    runner.close()
    rows: list[Row] = read_rows(folder / "rows.jsonl")
    return summarize(rows)


def test_one_file_and_one_line_make_a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.CATALOGUE, "toy", ONE_FILE)
    cases = {case.backend: case for case in _run(tmp_path)}
    toy = cases["toy"]
    assert list(toy.answers) == list(STAGES) and toy.status == "passed", list(toy.reasons())
    assert toy.gate == "pass" and toy.metric is not None and toy.metric.ratio is not None
    assert toy.metric.ratio.value == pytest.approx(1.0, abs=1e-3)  # the same network in the same arithmetic
    assert toy.latency is not None and toy.speedup is not None
    (engine,) = (tmp_path / "e").glob("clip-text-toy-fp32-*/toy.pt")
    assert engine.stat().st_size == toy.build.size_bytes


def test_what_it_cannot_do_is_listed_with_its_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.CATALOGUE, "toy", ONE_FILE)
    assert registry.unsupported_reason("toy", "int8", "cpu", "detection") == "the toy computes in FP32 on the CPU"


def test_without_its_line_there_is_no_such_backend(tmp_path: Path):
    with pytest.raises(KeyError, match="toy"):
        _run(tmp_path)
