"""A case that crashes, hangs or is killed costs itself alone, and an interrupted run can be taken up again."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reports.record.schema import Row
from reports.record.store import last_session, read_rows
from tests.helpers.faulty_backend import ROOT, environment
from tests.helpers.runs import run_bench

QUICK = ("--suite", "embedded", "--models", "clip-text", "--precisions", "fp32", "--measure-seconds", "0.2")
CASES = (*QUICK, "--backends", "pytorch,chaos,onnxruntime", "--batches", "1,2")
QUESTIONS = ("build", "speed", "accuracy")
SOUND = [f"clip-text-{backend}-fp32-b{batch}" for backend in ("pytorch", "onnxruntime") for batch in (1, 2)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def _outcomes(output: Path) -> dict[str, list[str]]:
    """The last answers of each case: one that was interrupted between two of them is asked again from its build on."""
    found: dict[str, dict[str, str]] = {}
    for row in last_session(read_rows(output / "rows.jsonl")):
        if row["kind"] == "case":
            found.setdefault(row["case"]["id"], {})[row["question"]] = row["outcome"]
    return {case: list(answers.values()) for case, answers in found.items()}


def _answered(rows: list[Row]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["kind"] == "case":
            found.setdefault(row["case"]["id"], set()).add(row["question"])
    return found


def _reasons(output: Path) -> list[str]:
    rows = read_rows(output / "rows.jsonl")
    return [row["reason"] for row in rows if row["kind"] == "case" and row["outcome"] == "error"]


@pytest.mark.parametrize(
    ("chaos", "said"),
    [
        ("speed kill", "ended by SIGKILL (the system does that when memory runs out)"),
        ("build abort", "ended by SIGABRT"),
        ("build exit", "ended with exit status 3"),
        ("speed spin", "no answer within 15 s"),
    ],
)
def test_a_lost_process_costs_its_case_alone(chaos: str, said: str, cache: Path, tmp_path: Path):
    output = tmp_path / "output"
    done = run_bench(
        *(*CASES, "--engine-cache", str(cache / chaos.replace(" ", "-")), "--output", str(output)),
        *("--case-seconds", "15", "--junitxml", str(tmp_path / "junit.xml")),
        env=environment(tmp_path / "site", chaos),
    )
    assert done.returncode == 6, done.stdout + done.stderr
    outcomes = _outcomes(output)
    for case in SOUND:
        assert outcomes[case] == ["passed"] * 3
    assert outcomes.keys() - SOUND == {"clip-text-chaos-fp32-b1", "clip-text-chaos-fp32-b2"}
    reasons = _reasons(output)
    assert said in reasons[0]
    assert "not asked: " in reasons[1] and said in reasons[1]
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("0", str(len(reasons)))
    if chaos == "build exit":
        assert "| chaos: building" in "\n".join(reasons)


def test_an_exception_is_told_and_leaves_its_process_alive(cache: Path, tmp_path: Path):
    done = run_bench(
        *(*CASES, "--engine-cache", str(cache / "raise"), "--output", str(tmp_path / "output")),
        env=environment(tmp_path / "site", "build raise"),
    )
    assert done.returncode == 6
    assert _reasons(tmp_path / "output") == ["ZeroDivisionError: chaos"] * 6
    assert "Traceback" in (tmp_path / "output" / "logs" / "clip-text-chaos-fp32.log").read_text()


def _start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "--device", "cpu", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - there are no threads
    )


def _wait_for_rows(output: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
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


def _refuses_what_has_changed(options: tuple[str, ...], output: Path) -> None:
    refused = run_bench(*options, "--batches", "1", "--resume", str(output))
    assert refused.returncode == 4
    assert "batches was [1, 2], is [1]" in refused.stderr

    record = output / "rows.jsonl"
    untouched = record.read_text()
    record.write_text(untouched.replace('"cores": ', '"cores": 1'))
    refused = run_bench(*options, "--resume", str(output))
    assert refused.returncode == 4 and "something has changed: cores was 1" in refused.stderr
    session, rest = untouched.split("\n", 1)
    described = json.loads(session)
    described["suite"]["clip"]["sha256"] = "another"
    record.write_text(f"{json.dumps(described)}\n{rest}")
    refused = run_bench(*options, "--resume", str(output))
    assert refused.returncode == 4 and "began with other weights or data: clip" in refused.stderr
    record.write_text(untouched)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_resumed(how: signal.Signals, cache: Path, tmp_path: Path):
    options = (*QUICK, "--backends", "pytorch,onnxruntime", "--batches", "1,2", "--engine-cache", str(cache / "resume"))
    output = tmp_path / "output"
    run = _start(*options, "--output", str(output))
    _wait_for_rows(output, 4)
    run.send_signal(how)
    run.communicate(timeout=60)
    assert run.returncode == (2 if how == signal.SIGINT else -9)
    time.sleep(1)
    assert not _processes_of(output)
    before = read_rows(output / "rows.jsonl")
    assert 4 <= sum(row["kind"] == "case" for row in before) < 12

    if how == signal.SIGKILL:
        _refuses_what_has_changed(options, output)

    done = run_bench(*options, "--resume", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    after = last_session(read_rows(output / "rows.jsonl"))
    assert {row["session"] for row in after} == {before[0]["session"]}
    assert _outcomes(output) == {case: ["passed"] * 3 for case in SOUND}
    assert [row["kind"] for row in after].count("end") == 1
    # What was there stays as it was, and a case that had all of its answers was not asked again.
    kept = [row for row in before if row["kind"] != "end"]
    assert after[: len(kept)] == kept
    done = {case for case, answers in _answered(before).items() if len(answers) == 3}
    assert done and not done & _answered(after[len(kept) :]).keys()
    again = run_bench(*options, "--resume", str(output))
    assert again.returncode == 0
    assert _outcomes(output) == {case: ["passed"] * 3 for case in SOUND}


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path):
    done = run_bench(*QUICK, "--resume", str(tmp_path))
    assert done.returncode == 4
    assert f"--resume {tmp_path}" in done.stderr and "hint" in done.stderr


def test_shards_are_disjoint_and_complete(cache: Path, tmp_path: Path):
    cases: list[str] = []
    for index in (1, 2):
        output = tmp_path / str(index)
        options = (*CASES, "--backends", "pytorch,onnxruntime", "-m", "build", "--shard", f"{index}/2")
        run_bench(*options, "--engine-cache", str(cache / "resume"), "--output", str(output))
        if (output / "rows.jsonl").exists():
            rows = read_rows(output / "rows.jsonl")
            assert rows[0]["settings"]["shard"] == f"{index}/2"
            cases += [row["case"]["id"] for row in rows if row["kind"] == "case"]
    assert sorted(cases) == sorted(SOUND)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x", "1/"])
def test_a_shard_that_is_none_is_a_usage_error(shard: str):
    done = run_bench(*QUICK, "--shard", shard)
    assert done.returncode == 4
    assert "write --shard 2/3" in done.stderr


def test_the_record_of_a_run_says_what_every_question_cost(cache: Path, tmp_path: Path):
    done = run_bench(*CASES, "--backends", "pytorch", "--engine-cache", str(cache / "cost"), "--output", str(tmp_path))
    assert done.returncode == 0
    rows = [row for row in read_rows(tmp_path / "rows.jsonl") if row["kind"] == "case"]
    assert all(0 <= row["values"]["work_seconds"] <= row["seconds"] for row in rows)
    assert json.dumps(rows)


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
