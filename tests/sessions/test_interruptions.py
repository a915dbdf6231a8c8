"""Whatever interrupts a question, no row has the answer to another, and a repeated run is as good as a quiet one."""

from pathlib import Path
from typing import Any

import pytest

from fixtures.isolation.pool import WorkerPool
from fixtures.plan.matrix import Case
from fixtures.runner.stage_result import StageResult
from reports.record.schema import Row
from tests.helpers.fake_workers import Done, session

SIX = ("--backends", "one,two,three", "--batches", "1,2")
# What only a row of this question has.
OWN = {"build": "build_seconds", "speed": "latency_ms", "accuracy": "metrics"}
BACKENDS = ("one", "two", "three")


def _values(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row["values"].items() if name != "work_seconds"}


def wrong_rows(done: Done, quiet: Done) -> list[tuple[str, str]]:
    """The rows of a disturbed run that are neither an error nor what the quiet run found."""
    wrong = []
    for key, row in done.answers.items():
        sound = row["outcome"] == "passed" and OWN[key[1]] in row["values"]
        if row["outcome"] != "error" and not (sound and _values(row) == _values(quiet.answers[key])):
            wrong.append(key)
    return wrong


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Six cases that nobody interrupts."""
    done = session(tmp_path_factory.mktemp("quiet") / "output", *SIX)
    assert done.status == 0 and set(done.outcomes.values()) == {"passed"} and len(done.outcomes) == 18
    return done


@pytest.mark.parametrize("moment", ["one build", "two speed", "three accuracy"])
def test_pytest_timeout_in_the_middle_of_a_question_shifts_no_answer(moment: str, quiet: Done, tmp_path: Path):
    """The session once read the next question's answer one late: a build's as the accuracy, passed unjudged."""
    slow = session(tmp_path / "output", *SIX, "--timeout", "1", "--timeout-method", "signal", faults=f"{moment} 1.2")
    assert slow.status == 6, slow.said
    backend, stage = moment.split()
    for batch in (1, 2):
        row = slow.answers[f"clip-text-{backend}-fp32-b{batch}", stage]
        assert row["outcome"] == "error" and "Timeout" in row["reason"] and not row["values"]
    assert wrong_rows(slow, quiet) == []
    again = session(tmp_path / "output", *SIX, "--resume", str(tmp_path / "output"))
    assert again.status == 0, again.said
    assert {key: _values(row) for key, row in again.answers.items()} == {
        key: _values(row) for key, row in quiet.answers.items()
    }


def test_ctrl_c_that_somebody_catches_shifts_no_answer(quiet: Done, tmp_path: Path):
    """In the middle of the third question; who asked goes on."""
    ask, asked = WorkerPool.ask, []

    def interrupted(pool: WorkerPool, case: Case, question: str) -> StageResult:
        asked.append(case)
        if len(asked) != 3:
            return ask(pool, case, question)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "_progress", _press_ctrl_c)
            try:
                return ask(pool, case, question)
            except KeyboardInterrupt:
                raise RuntimeError("caught") from None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerPool, "ask", interrupted)
        done = session(tmp_path / "output", *SIX)
    errors = [key for key, outcome in done.outcomes.items() if outcome == "error"]
    assert errors == [("clip-text-one-fp32-b1", "accuracy")] and wrong_rows(done, quiet) == []


def _press_ctrl_c(_: str) -> None:
    raise KeyboardInterrupt


def test_the_record_refuses_a_result_of_another_case_or_stage(tmp_path: Path):
    """Were the pool ever wrong, nothing of it would be recorded, and JUnit would agree."""
    ask = WorkerPool.ask

    def late(pool: WorkerPool, case: Any, question: str) -> StageResult:
        return ask(pool, case, "build" if question == "accuracy" else question)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerPool, "ask", late)
        done = session(tmp_path / "output", "--backends", "one", "--batches", "1")
    assert done.status == 6 and done.junit["failures"] == 1
    row = done.answers["clip-text-one-fp32-b1", "accuracy"]
    assert row["outcome"] == "error" and row["values"] == {}
    assert row["reason"] == (
        "clip-text-one-fp32-b1 was run for accuracy and gave the result of clip-text-one-fp32-b1 for build: "
        "it is not recorded"
    )


@pytest.mark.parametrize(
    ("fault", "status", "outcome"), [("raise", 6, "error"), ("exit", 6, "error"), ("gate", 1, "failed")]
)
def test_what_failed_once_stays_failed_when_it_is_asked_again(fault: str, status: int, outcome: str, tmp_path: Path):
    attempts = tmp_path / "attempts"
    done = session(
        tmp_path / "output",
        *("--backends", "one,two", "--batches", "1", "--reruns", "2"),
        faults=f"one speed {fault}",
        attempts=str(attempts),
    )
    assert done.status == status, done.said
    assert done.outcomes["clip-text-one-fp32-b1", "speed"] == outcome
    assert done.outcomes["clip-text-two-fp32-b1", "speed"] == "passed", done.said
    rows = [row for row in done.rows if row["kind"] == "case" and row["case"]["backend"] == "one"]
    assert [row["question"] for row in rows].count("speed") == 3
    reasons = {row["reason"].splitlines()[0].split(";")[0] for row in rows if row["question"] == "speed"}
    assert len(reasons) == 1, reasons
    asked = [line.split() for line in attempts.read_text().splitlines()]
    tried = [process for process, case, stage in asked if "-one-" in case and stage == "speed"]
    assert len(tried) == 3 and len(set(tried)) == 3, "each attempt in a process of its own"


def test_of_an_attempt_that_failed_nothing_goes_into_the_next_ones_row(tmp_path: Path):
    """The second attempt asks nothing before it fails: its row has no values and no headline of the first."""

    class FailsBefore:
        """From its second attempt on, `test_speed` fails before it asks."""

        attempts = 0

        def pytest_runtest_setup(self, item: pytest.Item) -> None:
            if item.name.startswith("test_speed"):
                self.attempts += 1
                if self.attempts > 1:
                    raise RuntimeError("before it was asked")

    done = session(
        *(tmp_path / "output", "--backends", "one", "--batches", "1", "--reruns", "1"),
        plugins=[FailsBefore()],
        faults="one speed gate",
    )
    first, second = (row for row in done.rows if row["kind"] == "case" and row["question"] == "speed")
    assert first["outcome"] == "failed" and first["values"]["latency_ms"]
    assert second["outcome"] == "error" and second["values"] == {} and "before it was asked" in second["reason"]
