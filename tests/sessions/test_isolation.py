"""A case that crashes, hangs or is killed costs itself alone, and an interrupted run can be taken up again.

The processes are real, and so is what happens to them; what they answer is not (`tests.helpers.fake_workers`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures import ROOT
from reports.record.schema import Row
from reports.record.store import read_rows
from tests.helpers.fake_workers import Done, session, start_session

TWO = ("--batches", "1,2")
STAGES = ("build", "speed", "accuracy")


def _cases(*backends: str) -> list[str]:
    return [f"clip-text-{backend}-fp32-b{batch}" for backend in backends for batch in (1, 2)]


def _all_passed(*cases: str) -> dict[tuple[str, str], str]:
    return {(case, stage): "passed" for case in cases for stage in STAGES}


def test_a_crash_with_several_callers_costs_that_case_alone(tmp_path: Path):
    done = session(tmp_path / "output", "--batches", "8", "--streams", "1,2", faults="two-s2 speed kill")
    assert done.status == 6, done.said
    ids = [f"clip-text-{name}-fp32-b8{streams}" for name in ("one", "two", "three") for streams in ("", "-s2")]
    lost = dict.fromkeys((("clip-text-two-fp32-b8-s2", stage) for stage in ("speed", "accuracy")), "error")
    assert done.outcomes == _all_passed(*ids) | lost
    assert "ended by SIGKILL" in done.answers["clip-text-two-fp32-b8-s2", "speed"]["reason"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("speed kill", "ended by SIGKILL (the system does that when memory runs out)"),
        ("build abort", "ended by SIGABRT"),
        ("accuracy crash", "ended by SIGSEGV"),
        ("build exit", "ended with exit status 3"),
        ("speed spin", "no answer within 2 s"),
        ("speed hang", "no answer within 2 s"),
    ],
)
def test_a_lost_process_costs_its_case_alone(fault: str, said: str, tmp_path: Path):
    """The processes of the other backends, before and behind it, answer as if nothing had been."""
    done = session(tmp_path / "output", *TWO, "--case-seconds", "2", faults=f"two {fault}")
    assert done.status == 6, done.said
    stage = fault.split(maxsplit=1)[0]
    lost = {(case, each) for case in _cases("two") for each in STAGES[STAGES.index(stage) :]}
    expected = _all_passed(*_cases("one", "two", "three")) | dict.fromkeys(lost, "error")
    assert done.outcomes == expected
    for case in _cases("two"):
        assert said in done.answers[case, stage]["reason"]
        if fault.endswith(("kill", "exit")):  # the others leave a longer trace in the log than a row keeps
            assert f"| two: about to {fault.split()[1]}" in done.answers[case, stage]["reason"]
        for later in STAGES[STAGES.index(stage) + 1 :]:
            reason = done.answers[case, later]["reason"]
            assert reason.startswith(f"not asked: {stage}: ") and said in reason
    assert (done.junit["failures"], done.junit["errors"]) == (0, len(lost))


def test_a_lost_process_costs_its_case_whichever_of_several_it_was(tmp_path: Path):
    done = session(tmp_path / "output", "--batches", "1", "--processes", "2", faults="two speed again kill")
    assert done.status == 6, done.said
    lost = [("clip-text-two-fp32-b1", stage) for stage in ("speed", "accuracy")]
    assert [key for key, outcome in done.outcomes.items() if outcome == "error"] == lost


def test_an_exception_is_told_and_leaves_its_process_alive(tmp_path: Path):
    attempts = tmp_path / "attempts"
    done = session(tmp_path / "output", *TWO, "--backends", "two", faults="two build raise", attempts=str(attempts))
    assert done.status == 6
    for case in _cases("two"):
        assert done.answers[case, "build"]["reason"] == "ZeroDivisionError: as it was told to"
    assert "Traceback" in "".join(log.read_text() for log in (done.output / "logs").iterdir())
    assert len({line.split()[0] for line in attempts.read_text().splitlines()}) == 1


def _wait_for_rows(run: subprocess.Popen[str], output: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        record = output / "rows.jsonl"
        if record.exists() and record.read_text().count('"kind": "case"') >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run has not come so far")


def _processes_of(output: Path) -> list[str]:
    """Command lines of processes that write to the logs of a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(output) in str((folder / "fd" / "1").readlink()):
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


def _answered(rows: list[Row]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["kind"] == "case":
            found.setdefault(row["case"]["id"], set()).add(row["question"])
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_resumed(how: signal.Signals, tmp_path: Path):
    """The second backend's first answer never comes: the run is interrupted while it waits for that."""
    output = tmp_path / "output"
    run = start_session(output, *TWO, "--backends", "one,two", faults="two build hang")
    _wait_for_rows(run, output, 6)
    # Rows are written before the next process begins: on a busy machine that takes a while.
    deadline = time.monotonic() + 20
    while not _processes_of(output) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _processes_of(output)
    run.send_signal(how)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == (2 if how == signal.SIGINT else -9), said
    deadline = time.monotonic() + 10
    while _processes_of(output) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _processes_of(output)
    before = read_rows(output / "rows.jsonl")
    assert _answered(before) == {case: set(STAGES) for case in _cases("one")}

    done = session(output, *TWO, "--backends", "one,two", "--resume", str(output))
    assert done.status == 0, done.said
    assert {row["session"] for row in done.rows} == {before[0]["session"]}
    assert done.outcomes == _all_passed(*_cases("one", "two"))
    assert [row["kind"] for row in done.rows].count("end") == 1
    # What was there stays as it was, and a case that had all of its answers was not asked again.
    kept = [row for row in before if row["kind"] != "end"]
    assert done.rows[: len(kept)] == kept
    assert not set(_cases("one")) & _answered(done.rows[len(kept) :]).keys()
    again = session(output, *TWO, "--backends", "one,two", "--resume", str(output))
    assert again.status == 0 and again.outcomes == done.outcomes


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that can be resumed."""
    return session(tmp_path_factory.mktemp("complete") / "output", *TWO, "--backends", "one")


def test_a_run_with_other_options_is_not_resumed(complete: Done):
    refused = session(complete.output, "--batches", "1", "--backends", "one", "--resume", str(complete.output))
    assert refused.status == 4 and "batches was [1, 2], is [1]" in refused.said


def test_a_run_on_another_machine_or_of_other_weights_is_not_resumed(complete: Done, tmp_path: Path):
    record = tmp_path / "rows.jsonl"
    again = (*TWO, "--backends", "one", "--resume", str(tmp_path))
    untouched = (complete.output / "rows.jsonl").read_text()
    record.write_text(untouched.replace('"cores": ', '"cores": 1'))
    refused = session(tmp_path, *again)
    assert refused.status == 4 and "something has changed: cores was 1" in refused.said
    session_row, rest = untouched.split("\n", 1)
    described = json.loads(session_row)
    described["suite"]["clip"]["sha256"] = "another"
    record.write_text(f"{json.dumps(described)}\n{rest}")
    refused = session(tmp_path, *again)
    assert refused.status == 4 and "began with other weights or data: clip" in refused.said


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path):
    done = session(tmp_path, "--resume", str(tmp_path))
    assert done.status == 4
    assert f"--resume {tmp_path}" in done.said and "hint" in done.said


def test_shards_are_disjoint_and_complete_and_one_may_be_empty(tmp_path: Path):
    """A runner whose part of a small matrix is empty has a record to be merged, and no failure."""
    cases: list[list[str]] = []
    for index in (1, 2):
        done = session(tmp_path / str(index), *TWO, "-m", "build", "--shard", f"{index}/2")
        assert done.status == 0, done.said
        assert done.rows[0]["settings"]["shard"] == f"{index}/2" and done.rows[-1]["kind"] == "end"
        cases.append([row["case"]["id"] for row in done.rows if row["kind"] == "case"])
    assert sorted(case for part in cases for case in part) == sorted(_cases("one", "two", "three"))
    assert [] in cases, "the names of these backends make an empty part"


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x", "1/"])
def test_a_shard_that_is_none_is_a_usage_error(shard: str, tmp_path: Path):
    done = session(tmp_path / "output", "--shard", shard)
    assert done.status == 4
    assert "write 2/3 for the second of three" in done.said


def test_what_processes_share_touches_no_card():
    """A process that forks off after the driver was initialised can use no card: the loader sees who opens it."""
    code = "print('begin', flush=True); import fixtures.isolation.preload"
    variables = {**os.environ, "LD_DEBUG": "files"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    opened = [line for line in done.stderr.splitlines() if "libcuda.so" in line and "dynamically loaded" in line]
    # cuBLASLt and cuSPARSELt open the library when PyTorch is imported; the runtime does when somebody calls it.
    assert not [line for line in opened if "libcudart" in line]
