"""What a resumed run asks again, and that its exit status and JUnit tell of the whole session."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.errors import BenchError
from fixtures.pytest_plugin.resume import MOST_TOLD, PreviousSession, read_previous_session
from reports.analysis.exit_status import exit_status
from reports.record.schema import QUESTIONS, ResumeRow, Row, Status
from reports.record.store import Recorder, last_session, read_rows
from tests.helpers.faulty_backend import environment
from tests.helpers.rows import FAST, SESSION, accuracy, build, case, end_row, row, session_row, speed
from tests.helpers.runs import run_bench
from tests.sessions.test_isolation import _start

QUICK = ("--suite", "embedded", "--models", "clip-text", "--precisions", "fp32", "--measure-seconds", "0.2")
ONE = (*QUICK, "--backends", "pytorch", "--batches", "1")
CASE = "clip-text-pytorch-fp32-b1"
LOST = "clip-text-chaos-fp32-b1"
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def _run(output: Path, cache: Path, *more: str, chaos: str | None = None) -> subprocess.CompletedProcess[str]:
    resume = "--resume" if (output / "rows.jsonl").exists() else "--output"
    options = (*more, "--engine-cache", str(cache), resume, str(output), "--junitxml", str(output / "junit.xml"))
    if chaos is None:
        return run_bench(*ONE, *options)
    variables = environment(output.parent / "site", chaos)
    return run_bench(*QUICK, "--backends", "pytorch,chaos", "--batches", "1", *options, env=variables)


def _junit(output: Path) -> tuple[str | None, ...]:
    suite = ElementTree.parse(output / "junit.xml").getroot()[0]
    return tuple(suite.get(name) for name in ("tests", "failures", "errors"))


def _kept(output: Path) -> list[tuple[str, str]]:
    rows = last_session(read_rows(output / "rows.jsonl"))
    return [(each["case"]["id"], each["question"]) for each in rows if each["kind"] == "case"]


def _rewrite(output: Path, rows: Sequence[Row]) -> None:
    (output / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in rows))


def test_a_lost_case_is_lost_again_or_heals_and_junit_agrees(cache: Path, tmp_path: Path):
    output = tmp_path / "output"
    assert _run(output, cache, chaos="speed kill").returncode == 6
    again = _run(output, cache, chaos="speed kill")
    assert again.returncode == 6 and _junit(output) == ("3", "0", "2")
    assert f"asked again: {LOST} speed error: its process was ended by SIGKILL" in again.stdout
    left_out = _run(output, cache, "-m", "build", chaos="")
    assert left_out.returncode == 4 and f"{LOST} accuracy, {LOST} speed" in left_out.stderr
    healed = _run(output, cache, chaos="")
    assert healed.returncode == 0 and _junit(output) == ("3", "0", "0"), healed.stdout
    assert _kept(output).count((CASE, "speed")) == 1 and _kept(output).count((LOST, "speed")) == 3


def test_another_engine_than_before_the_interruption_heals_or_fails_its_test(cache: Path, tmp_path: Path):
    """Killed after its build was recorded; then the engine is another one, as by --rebuild or another cache."""
    output = tmp_path / "output"
    assert _run(output, cache, "-m", "build").returncode == 0
    session, built, *_ = read_rows(output / "rows.jsonl")
    built["values"]["engine_sha256"] = "another"
    _rewrite(output, [session, built])
    alone = _run(output, cache, "-m", "speed")
    assert alone.returncode == 1 and _junit(output) == ("1", "1", "0"), alone.stdout
    assert "timed engine is not the built engine" in (output / "junit.xml").read_text()
    assert read_rows(output / "rows.jsonl")[-2]["outcome"] == "failed"
    _rewrite(output, [session, built])
    healed = _run(output, cache)
    assert healed.returncode == 0 and _junit(output) == ("3", "0", "0"), healed.stdout


def test_a_row_that_was_torn_is_answered_again_and_none_is_lost(cache: Path, tmp_path: Path):
    output = tmp_path / "output"
    assert _run(output, cache).returncode == 0
    record = output / "rows.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
    done = _run(output, cache)
    assert done.returncode == 0, done.stdout
    rows = read_rows(record)
    assert [each["kind"] for each in rows] == ["session", "case", "case", "torn", "resume", *["case"] * 3, "end"]
    assert b"".join(lines[:3]) == b"".join(record.read_bytes().splitlines(keepends=True)[:3])


def test_a_run_that_is_interrupted_while_it_reads_its_suite_loses_and_doubles_nothing(cache: Path, tmp_path: Path):
    output = tmp_path / "output"
    options = (*ONE, "--engine-cache", str(cache))
    _interrupt_at_the_suite("--output", output, options)
    assert not (output / "rows.jsonl").exists()
    assert _run(output, cache, "-m", "build").returncode == 0
    before = (output / "rows.jsonl").read_bytes()
    _interrupt_at_the_suite("--resume", output, options)
    assert (output / "rows.jsonl").read_bytes() == before
    assert _run(output, cache).returncode == 0
    kinds = [each["kind"] for each in read_rows(output / "rows.jsonl")]
    assert kinds.count("session") == 1 and kinds.count("resume") == 1 and len(set(_kept(output))) == 3


def _interrupt_at_the_suite(option: str, output: Path, options: Sequence[str]) -> None:
    with _start(*options, option, str(output), "-s") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "reading weights and data" in line:
                time.sleep(0.3)
                run.send_signal(signal.SIGINT)
        assert run.wait() == 2
