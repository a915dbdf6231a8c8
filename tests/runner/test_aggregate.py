"""A case that is timed in several processes has one answer, in which each of them is heard."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.runner.aggregate import over_processes
from fixtures.runner.stage_result import StageResult
from reports.analysis.cases import summarize
from reports.html.case_details import explain
from reports.record.store import last_session, read_rows
from tests.helpers.faulty_backend import environment
from tests.helpers.runs import run_bench

BATCH = 8


def timed(p50: float, launch: float | None = None, **changed: Any) -> StageResult:
    """The speed of an engine in one process, in ms; with launches and copies it is one on a card."""
    values: dict[str, Any] = {
        "latency_ms": {"p50": p50, "low": p50 * 0.999, "high": p50 * 1.001, "p90": p50 * 1.01, "p95": None},
        "samples_ms": [p50] * 20,
        "steady": True,
        "engine_sha256": "e",
    }
    if launch is not None:
        values["launch"] = {"queued": True, "latency_ms": {"p50": launch, "low": launch, "high": launch}, "repeats": 1}
        copied = {**values["latency_ms"], "p50": p50 + 0.5}
        values["end_to_end"] = {"latency_ms": copied, "steady": True, "images_per_second": 1.0, "samples": 20}
        card = {"power_mean_w": 200 * p50, "reasons": {}, "throttled": False, "foreign": ""}
        values |= {"share_of_peak": 0.1, "above_peak": False, "card": card, "throttled_retries": 0}
    failure = changed.pop("failure", "")
    return StageResult({**values, **changed}, [p50 * 1e-3] * 20, f"{p50}", failure, work_seconds=3.0)


def test_one_process_answers_for_itself():
    answer = timed(1.0)
    assert over_processes([answer], BATCH) is answer


def test_the_mean_over_processes_counts_and_the_interval_holds_all_of_theirs():
    answer = over_processes([timed(1.00), timed(1.03), timed(1.06)], BATCH)
    latency = answer.values["latency_ms"]
    assert latency["p50"] == pytest.approx(1.03) and latency["p90"] == pytest.approx(1.03 * 1.01)
    assert (latency["low"], latency["high"]) == (pytest.approx(0.999), pytest.approx(1.06 * 1.001))
    assert latency["p95"] is None, "where one process had too few samples for it"
    assert answer.values["images_per_second"] == pytest.approx(BATCH / 1.03e-3)
    assert answer.values["processes"] == [{"p50_ms": 1.00}, {"p50_ms": 1.03}, {"p50_ms": 1.06}]
    assert answer.values["samples_ms"] == [1.0] * 20 and answer.samples_s == [1e-3] * 20
    assert answer.work_seconds == 9.0 and answer.headline == "7767.0 img/s"


def test_on_a_card_launches_and_copies_are_averaged_too():
    answer = over_processes([timed(1.0, 3.0), timed(1.1, 4.0)], BATCH)
    assert answer.values["launch"]["latency_ms"] == {"p50": 3.5, "low": 3.0, "high": 4.0}
    assert answer.values["launch"]["repeats"] == 2
    assert answer.values["images_per_second"] == pytest.approx(BATCH / 3.5e-3), "the slower of the two"
    assert answer.values["end_to_end"]["latency_ms"]["p50"] == pytest.approx(1.55)
    assert answer.values["end_to_end"]["images_per_second"] == pytest.approx(BATCH / 1.55e-3)
    assert answer.values["share_of_peak"] == pytest.approx(0.1 / 1.05)
    assert answer.values["card"]["power_mean_w"] == 200.0, "of the first"
    assert answer.values["processes"][1] == {"p50_ms": 1.1, "launch_p50_ms": 4.0, "end_to_end_p50_ms": 1.6}


def test_what_disturbed_the_card_in_any_process_is_told():
    quiet = timed(1.0, 0.1)
    card = {**quiet.values["card"], "reasons": {"SwPowerCap": 0.4}, "throttled": True, "foreign": "1 process"}
    other = replace(timed(1.1, 0.1), values={**timed(1.1, 0.1).values, "card": card, "throttled_retries": 1})
    broken = replace(timed(1.1, 0.1), values={**timed(1.1, 0.1).values, "above_peak": True})
    told = over_processes([quiet, other, broken], BATCH).values
    assert (told["card"]["throttled"], told["card"]["foreign"]) == (True, "1 process")
    assert told["card"]["reasons"] == {"SwPowerCap": 0.4} and told["throttled_retries"] == 1
    assert told["above_peak"] and not over_processes([quiet, quiet], BATCH).values["above_peak"]


def test_an_engine_that_waits_for_the_card_has_no_launches_to_average():
    answers = [timed(p50, 1.0) for p50 in (1.0, 1.2)]
    unqueued = [replace(each, values={**each.values, "launch": {"queued": False}}) for each in answers]
    answer = over_processes(unqueued, BATCH)
    assert answer.values["launch"] == {"queued": False}
    assert answer.values["images_per_second"] == pytest.approx(BATCH / 1.1e-3)
    mixed = over_processes([answers[0], unqueued[1]], BATCH)
    assert mixed.values["launch"] == {"queued": False}, "the mean holds the gaps of one"


def test_what_went_wrong_in_one_process_went_wrong():
    assert not over_processes([timed(1.0), timed(1.0, steady=False)], BATCH).values["steady"]
    assert over_processes([timed(1.0), timed(1.0, failure="broken")], BATCH).failure == "broken"
    other = over_processes([timed(1.0), timed(1.0, engine_sha256="f")], BATCH)
    assert other.failure.startswith("its processes timed different engines")


def test_a_run_times_each_case_in_as_many_processes_as_it_is_asked_for(tmp_path: Path):
    quick = ("--suite", "embedded", "--models", "clip-text", "--precisions", "fp32", "--measure-seconds", "0.2")
    folders = ("--engine-cache", str(tmp_path / "engines"), "--output", str(tmp_path / "output"))
    done = run_bench(
        *(*quick, *folders, "--backends", "pytorch,onnxruntime", "--batches", "2", "--processes", "2", "--rebuild"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = last_session(read_rows(tmp_path / "output" / "rows.jsonl"))
    speeds = [row for row in rows if row["kind"] == "case" and row["question"] == "speed"]
    assert len(speeds) == 2
    for row in speeds:
        medians = [each["p50_ms"] for each in row["values"]["processes"]]
        assert len(medians) == 2
        assert row["values"]["latency_ms"]["p50"] == pytest.approx(sum(medians) / 2)
    log = (tmp_path / "output" / "logs" / "clip-text-onnxruntime-fp32.log").read_text()
    asked = ["build", "speed", "speed again", "accuracy"]
    assert [line for line in log.splitlines() if line.startswith("--- ")] == [
        f"--- clip-text-onnxruntime-fp32-b2: {question}" for question in asked
    ]
    built = [row["values"]["cached"] for row in rows if row["kind"] == "case" and row["question"] == "build"]
    assert built == [False, False], "--rebuild builds once a session, not once a process"
    for model in explain(summarize(rows)).values():
        for fold in model:
            assert dict(fold.facts)["Processes"].startswith("Timed in 2 processes, which had medians of ")


def test_a_process_that_is_lost_costs_its_case_whichever_of_them_it_was(tmp_path: Path):
    quick = ("--suite", "embedded", "--models", "clip-text", "--precisions", "fp32", "--measure-seconds", "0.2")
    folders = ("--engine-cache", str(tmp_path / "engines"), "--output", str(tmp_path / "output"))
    done = run_bench(
        *(*quick, *folders, "--backends", "chaos", "--batches", "1", "--processes", "2"),
        env=environment(tmp_path / "site", "second kill"),
    )
    assert done.returncode == 6, done.stdout + done.stderr
    rows = last_session(read_rows(tmp_path / "output" / "rows.jsonl"))
    outcomes = {row["question"]: row["outcome"] for row in rows if row["kind"] == "case"}
    assert outcomes == {"build": "passed", "speed": "error", "accuracy": "error"}
