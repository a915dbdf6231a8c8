"""A case that is timed in several processes has one answer, in which each of them is heard."""

import pickle
import statistics
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as change

from fixtures.runner.aggregate import over_processes
from fixtures.runner.stage_result import StageResult
from reports.analysis.cases import summarize
from reports.analysis.timing_quality import caveats
from reports.html.case_details import explain
from reports.record.results import EndToEnd, GpuTelemetry, Launch, Quantiles, SpeedResult, to_values
from reports.record.store import last_session, read_rows
from tests.helpers.rows import case, end_row, row, session_row
from tests.helpers.runs import run_here

BATCH = 8


def timed(p50: float, launch_p50: float | None = None, failure: str = "", **changed: Any) -> StageResult:
    """The speed of an engine in one process, in ms; with launches and copies it is one on a GPU."""
    latency = Quantiles(p50=p50, low=p50 * 0.999, high=p50 * 1.001, p90=p50 * 1.01)
    result = SpeedResult(
        latency_ms=latency,
        samples_ms=(p50,) * 20,
        samples=20,
        steady=True,
        stop_reason="interval",
        outliers=1,
        engine_sha256="e",
    )
    if launch_p50 is not None:
        launched = Quantiles(p50=launch_p50, low=launch_p50, high=launch_p50)
        gpu = GpuTelemetry(power_mean_w=200 * p50)
        result = change(
            result,
            launch=Launch(queued=True, latency_ms=launched, repeats=1),
            end_to_end=EndToEnd(latency_ms=change(latency, p50=p50 + 0.5), steady=True, samples=20, gpu=gpu),
            share_of_peak=0.1,
            above_peak=False,
            gpu=gpu,
        )
    return StageResult(change(result, **changed), f"{p50}", failure, work_seconds=3.0)


def over(*answers: StageResult) -> SpeedResult:
    result = over_processes(answers, BATCH).result
    assert isinstance(result, SpeedResult)
    return result


def test_one_process_answers_for_itself():
    answer = timed(1.0)
    assert over_processes([answer], BATCH) is answer


def test_the_median_over_processes_counts_and_the_interval_holds_all_of_theirs():
    answer = over_processes([timed(1.00), timed(1.03), timed(1.10)], BATCH)
    result = answer.result
    assert isinstance(result, SpeedResult) and result.latency_ms
    assert (result.latency_ms.p50, result.latency_ms.p90) == (1.03, pytest.approx(1.03 * 1.01))
    assert (result.latency_ms.low, result.latency_ms.high) == (pytest.approx(0.999), pytest.approx(1.10 * 1.001))
    assert result.latency_ms.p95 is None, "where one process had too few samples for it"
    assert result.images_per_second == pytest.approx(BATCH / 1.03e-3)
    assert (result.samples, result.outliers, result.stop_reason) == (60, 3, "interval")
    assert answer.work_seconds == 9.0 and answer.headline == "7767.0 img/s"
    two = over(timed(1.0), timed(1.03)).latency_ms
    assert two and two.p50 == pytest.approx(1.015), "of two it is their mean"


def test_every_process_keeps_its_samples_and_they_cross_the_pipe_once():
    result = over(timed(1.00), timed(1.03), timed(1.10))
    assert [each.p50_ms for each in result.processes] == [1.00, 1.03, 1.10]
    assert result.samples_by_process == ((1.00,) * 20, (1.03,) * 20, (1.10,) * 20) and not result.samples_ms
    size = [len(pickle.dumps(timed(1.0, samples_ms=tuple(float(each) for each in range(n))))) for n in (0, 4000)]
    assert size[1] - size[0] < 4000 * 10, "nine bytes a float, and a little"


@pytest.mark.parametrize("medians", [(1.00, 1.03), (1.00, 1.03, 1.10), (1.10, 1.00, 1.03, 1.04)])
def test_pytest_benchmark_is_shown_the_median_of_the_record(medians: tuple[float, ...]):
    answer = over_processes([timed(each) for each in medians], BATCH)
    assert statistics.median(answer.samples_s) * 1e3 == pytest.approx(answer.result.latency_ms.p50, rel=1e-12)
    assert timed(1.0).samples_s == (1e-3,) * 20, "the calls themselves where there is one process"


def test_on_a_gpu_launches_and_copies_have_their_medians_too():
    result = over(timed(1.0, 3.0), timed(1.1, 4.0))
    assert result.launch and result.end_to_end and result.gpu
    assert result.launch == Launch(queued=True, latency_ms=Quantiles(p50=3.5, low=3.0, high=4.0), repeats=2)
    assert result.images_per_second == pytest.approx(BATCH / 3.5e-3), "the slower of the two"
    assert result.end_to_end.latency_ms and result.end_to_end.latency_ms.p50 == pytest.approx(1.55)
    assert result.end_to_end.images_per_second == pytest.approx(BATCH / 1.55e-3)
    assert result.share_of_peak == pytest.approx(0.1 / 1.05)
    assert result.gpu.power_mean_w == 200.0, "of the first"
    second = result.processes[1]
    assert (second.p50_ms, second.launch_p50_ms, second.end_to_end_p50_ms) == (1.1, 4.0, 1.6)


def test_what_disturbed_the_gpu_in_any_process_is_told():
    hot = GpuTelemetry(reasons={"SwPowerCap": 0.4}, throttled=True, foreign="1 process")
    quiet, other = timed(1.0, 0.1), timed(1.1, 0.1, gpu=hot, throttled_retries=1)
    result = over(quiet, other, timed(1.1, 0.1, above_peak=True))
    assert result.gpu and (result.gpu.throttled, result.gpu.foreign) == (True, "1 process")
    assert result.gpu.reasons == {"SwPowerCap": 0.4} and result.throttled_retries == 1
    assert result.above_peak and not over(quiet, quiet).above_peak


def test_an_engine_that_waits_for_the_gpu_has_no_launches_to_take_a_median_of():
    queued, waiting = timed(1.0, 1.0), [timed(each, 1.0, launch=Launch(queued=False)) for each in (1.0, 1.2)]
    assert over(*waiting).launch == Launch(queued=False)
    assert over(*waiting).images_per_second == pytest.approx(BATCH / 1.1e-3)
    assert over(queued, waiting[1]).launch == Launch(queued=False), "the median holds the gaps of one"


def test_what_went_wrong_in_one_process_went_wrong():
    assert not over(timed(1.0), timed(1.0, steady=False)).steady
    assert over_processes([timed(1.0), timed(1.0, failure="broken")], BATCH).failure == "broken"
    other = over_processes([timed(1.0), timed(1.0, engine_sha256="f")], BATCH)
    assert other.failure.startswith("its processes timed different engines")


def test_a_drift_in_the_second_process_alone_is_told():
    """By the page, with the process that it was seen in."""
    level, drift = tuple(1.0 + 1e-5 * (n % 7) for n in range(600)), tuple(1.0 + 2e-4 * n for n in range(600))
    result = over(timed(1.0, samples_ms=level), timed(1.03, samples_ms=drift), timed(1.0, samples_ms=level))
    rows = [session_row(), row(case("pytorch", "fp32"), "speed", to_values(result)), end_row()]
    (found,) = summarize(rows)
    assert [(each.code, each.process) for each in caveats(found)] == [("timing.drift", 2)]
    (why,) = explain([found])["yolov8n"]
    assert "process 2: a drift: " in dict(why.facts)["In the order of time"]
    assert "a drift while it was measured in process 2" in why.headline


def test_a_run_times_each_case_in_as_many_processes_as_it_is_asked_for(tmp_path: Path):
    quick = ("--suite", "embedded", "--models", "clip-text", "--precisions", "fp32", "--measure-seconds", "0.2")
    folders = ("--engine-cache", str(tmp_path / "engines"), "--output", str(tmp_path / "output"))
    done = run_here(
        *(*quick, *folders, "--backends", "pytorch,onnxruntime", "--batches", "2", "--processes", "2", "--rebuild"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = last_session(read_rows(tmp_path / "output" / "rows.jsonl"))
    speeds = [row for row in rows if row["kind"] == "case" and row["question"] == "speed"]
    assert len(speeds) == 2
    for each in speeds:
        medians = [one["p50_ms"] for one in each["values"]["processes"]]
        assert len(medians) == 2
        assert each["values"]["latency_ms"]["p50"] == pytest.approx(sum(medians) / 2)
        assert sum(len(one["samples_ms"]) for one in each["values"]["processes"]) == each["values"]["samples"]
    log = (tmp_path / "output" / "logs" / "clip-text-onnxruntime-fp32.log").read_text()
    asked = ["build", "speed", "speed again", "accuracy"]
    assert [line for line in log.splitlines() if line.startswith("--- ")] == [
        f"--- clip-text-onnxruntime-fp32-b2: {stage}" for stage in asked
    ]
    built = [row["values"]["cached"] for row in rows if row["kind"] == "case" and row["question"] == "build"]
    assert built == [False, False], "--rebuild builds once a session, not once a process"
    for model in explain(summarize(rows)).values():
        for fold in model:
            assert dict(fold.facts)["Processes"].startswith("Timed in 2 processes, which had medians of ")
