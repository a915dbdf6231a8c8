"""What a resumed run asks again, and that its exit status and JUnit tell of the whole session."""

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.errors import BenchError
from fixtures.pytest_plugin.resume import MOST_TOLD, PreviousSession, read_previous_session
from reports.analysis.exit_status import exit_status
from reports.record.pipeline import read_pipelines
from reports.record.schema import QUESTIONS, ResumeRow, Row, Status
from reports.record.store import Recorder, read_rows
from tests.helpers.fake_workers import Done, session, start_session
from tests.helpers.pipelines import pipeline_row, timed_pipelines
from tests.helpers.rows import FAST, SESSION, accuracy, build, case, end_row, row, session_row, speed
from tests.helpers.serving import serving_row
from tests.helpers.serving import speed as loads

PAIRS = [(FAST["id"], question) for question in QUESTIONS[1:]]


def _earlier(folder: Path, *rows: Row) -> PreviousSession:
    with Recorder(folder / "rows.jsonl") as recorder:
        for each in (session_row(), *rows):
            recorder.write(each)
    return read_previous_session(folder)


def test_a_case_with_all_its_answers_is_settled_and_one_that_lacks_any_is_asked_from_its_build_on(tmp_path: Path):
    other = case("pytorch", "fp32")
    earlier = _earlier(tmp_path, build(FAST), speed(FAST, 2.0), accuracy(FAST, 1.0), build(other), speed(other, 4.0))
    selected = [*PAIRS, *((other["id"], question) for _, question in PAIRS)]
    assert earlier.completed(selected) == set(PAIRS) and earlier.describe_reruns(selected) == []
    assert earlier.completed([(other["id"], "build")]) == {(other["id"], "build")}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (accuracy(FAST, 0.9), "failed: mAP50-95 holds 0.900 of the baseline"),
        (row(FAST, "accuracy", outcome="error", reason="ended by SIGKILL\n  | its log"), "error: ended by SIGKILL"),
        (accuracy(FAST, 1.0, engine="another"), "scored engine is not the timed engine"),
    ],
)
def test_a_case_that_went_wrong_is_asked_again_and_said(tmp_path: Path, answer: Row, said: str):
    earlier = _earlier(tmp_path, build(FAST), speed(FAST, 2.0), answer)
    assert earlier.completed(PAIRS) == set()
    assert earlier.describe_reruns(PAIRS) == [f"asked again: {FAST['id']} accuracy {said}"]


def test_what_went_wrong_cannot_be_left_out(tmp_path: Path):
    """It would fail the session, and JUnit would be green."""
    earlier = _earlier(tmp_path, build(FAST), speed(FAST, 2.0), accuracy(FAST, 0.9))
    with pytest.raises(BenchError, match=rf"not chosen now: {FAST['id']} accuracy(\n|.)*resume without -k and -m"):
        earlier.describe_reruns(PAIRS[:2])


def test_a_pipeline_or_served_model_that_went_wrong_is_asked_again_and_cannot_be_left_out(tmp_path: Path):
    failed = pipeline_row("photo-fast", accuracy="failed")
    lost = serving_row("triton-yolov8n", None, "error", "the connection was refused")
    good = [*timed_pipelines("s"), serving_row("triton-clip-image", loads())]
    earlier = _earlier(tmp_path, *({**each, "session": SESSION} for each in (failed, lost, *good)))
    names = {each.name.id for each in read_pipelines(good)}
    assert len(names) == 4 and {name for name, _ in earlier.passed()} == {*names, "triton-clip-image"}
    both = [("photo-fast-12mp", "accuracy"), ("triton-yolov8n", "speed")]
    assert earlier.describe_reruns(both) == [
        "asked again: photo-fast-12mp accuracy failed: failed",
        "asked again: triton-yolov8n speed error: the connection was refused",
    ]
    with pytest.raises(BenchError, match="not chosen now: triton-yolov8n speed"):
        earlier.describe_reruns([*PAIRS, both[0]])


def test_of_very_many_that_went_wrong_some_are_named(tmp_path: Path):
    lost = [row(case("tensorrt", "fp16", batch=batch), "build", outcome="error", reason="x") for batch in range(1, 40)]
    pairs = [(each["case"]["id"], "build") for each in lost]
    told = _earlier(tmp_path, *lost).describe_reruns(pairs)
    assert len(told) == MOST_TOLD + 1 and told[-1] == f"and {39 - MOST_TOLD} more"


def test_the_later_answer_to_a_question_decides_the_exit_status():
    again = ResumeRow(SESSION, {}).to_dict()
    lost = row(FAST, "speed", outcome="error", reason="it crashed")
    healed = [build(FAST, engine="new"), speed(FAST, 2.0, engine="new"), accuracy(FAST, 1.0, engine="new")]
    rows = [session_row(), build(FAST), lost, accuracy(FAST, 0.9), end_row(1), again]
    assert exit_status(rows) == Status.GATE_FAILED
    assert exit_status([*rows, *healed]) == Status.PASSED
    assert exit_status([*rows, *healed[:1]]) == Status.GATE_FAILED


ONE = ("--backends", "one", "--batches", "1")
PAIR = ("--backends", "one,two", "--batches", "1")
CASE, LOST = "clip-text-one-fp32-b1", "clip-text-two-fp32-b1"


def _run(output: Path, *options: str, **orders: str) -> Done:
    again = ("--resume", str(output)) if (output / "rows.jsonl").exists() else ()
    return session(output, *options, *again, **orders)


def _kept(done: Done) -> list[tuple[str, str]]:
    return [(each["case"]["id"], each["question"]) for each in done.rows if each["kind"] == "case"]


def _rewrite(output: Path, rows: Sequence[Row]) -> None:
    (output / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in rows))


def _counts(done: Done) -> tuple[int, int, int]:
    return done.junit["tests"], done.junit["failures"], done.junit["errors"]


def test_a_lost_case_is_lost_again_or_heals_and_junit_agrees(tmp_path: Path):
    output = tmp_path / "output"
    assert _run(output, *PAIR, faults="two speed kill").status == 6
    again = _run(output, *PAIR, faults="two speed kill")
    assert again.status == 6 and _counts(again) == (3, 0, 2)
    assert f"asked again: {LOST} speed error: its process was ended by SIGKILL" in again.said
    left_out = _run(output, *PAIR, "-m", "build")
    assert left_out.status == 4 and f"{LOST} accuracy, {LOST} speed" in left_out.said
    healed = _run(output, *PAIR)
    assert healed.status == 0 and _counts(healed) == (3, 0, 0), healed.said
    assert _kept(healed).count((CASE, "speed")) == 1 and _kept(healed).count((LOST, "speed")) == 3


def test_another_engine_than_before_the_interruption_heals_or_fails_its_test(tmp_path: Path):
    """Killed after its build was recorded; then the engine is another one, as by --rebuild or another cache."""
    output = tmp_path / "output"
    first = _run(output, *ONE, "-m", "build", engine="another")
    assert first.status == 0
    before = [each for each in first.rows if each["kind"] != "end"]
    _rewrite(output, before)
    alone = _run(output, *ONE, "-m", "speed")
    assert alone.status == 1 and _counts(alone) == (1, 1, 0), alone.said
    assert "timed engine is not the built engine" in (output / "junit.xml").read_text()
    assert read_rows(output / "rows.jsonl")[-2]["outcome"] == "failed"
    _rewrite(output, before)
    healed = _run(output, *ONE)
    assert healed.status == 0 and _counts(healed) == (3, 0, 0), healed.said


def test_a_row_that_was_torn_is_answered_again_and_none_is_lost(tmp_path: Path):
    output = tmp_path / "output"
    assert _run(output, *ONE).status == 0
    record = output / "rows.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
    done = _run(output, *ONE)
    assert done.status == 0, done.said
    rows = read_rows(record)
    assert [each["kind"] for each in rows] == ["session", "case", "case", "torn", "resume", *["case"] * 3, "end"]
    assert b"".join(lines[:3]) == b"".join(record.read_bytes().splitlines(keepends=True)[:3])


def test_a_run_that_is_interrupted_while_it_reads_its_suite_loses_and_doubles_nothing(tmp_path: Path):
    output = tmp_path / "output"
    _interrupt_at_the_suite(output)
    assert not (output / "rows.jsonl").exists()
    assert _run(output, *ONE, "-m", "build").status == 0
    before = (output / "rows.jsonl").read_bytes()
    _interrupt_at_the_suite(output, "--resume", str(output))
    assert (output / "rows.jsonl").read_bytes() == before
    done = _run(output, *ONE)
    assert done.status == 0, done.said
    kinds = [each["kind"] for each in read_rows(output / "rows.jsonl")]
    assert kinds.count("session") == 1 and kinds.count("resume") == 1 and len(set(_kept(done))) == 3


def _interrupt_at_the_suite(output: Path, *options: str) -> None:
    """Ctrl-C while the process reads weights and data, which takes for ever."""
    with start_session(output, *ONE, "-s", *options, faults="suite describe hang") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "reading weights and data" in line:
                time.sleep(0.3)
                run.send_signal(signal.SIGINT)
        assert run.wait() == 2
