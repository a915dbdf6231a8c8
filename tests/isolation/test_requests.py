"""An answer belongs to its request: it carries its number, and nobody asks a process that was not heard out."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from fixtures.cache.engine_cache import say_nothing
from fixtures.isolation.messages import Reply
from fixtures.isolation.pool import CaseFailedError, WorkerDiedError, WorkerFactory, WorkerPool, _Process
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.stage_result import StageResult
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.fake_workers import FakeRunner, Orders
from tests.helpers.runs import ROOT, raw_options

ONE = Case("clip-text", "zero-shot", "one", "fp32", 1)
TWO = replace(ONE, backend="two")


class _Interrupted(BaseException):
    """As pytest-timeout's signal raises in the middle of anything, or Ctrl-C."""


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    return tmp_path / "attempts"


def _pool(folder: Path, attempts: Path, faults: str = "", progress: Any = say_nothing) -> WorkerPool:
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(folder / "e")), ROOT)
    orders = Orders(faults, str(attempts))
    workers = WorkerFactory(partial(FakeRunner, orders))
    return WorkerPool(options, choose_suite(options, ROOT), SamplerSettings(), folder / "logs", progress, workers)


@pytest.fixture
def pool(tmp_path: Path, attempts: Path) -> Iterator[WorkerPool]:
    made = _pool(tmp_path, attempts)
    yield made
    made.close()


def _identity(result: StageResult) -> tuple[str, str]:
    return result.case_id, result.stage


def test_a_result_says_which_case_and_stage_it_is_of(pool: WorkerPool):
    assert [_identity(pool.ask(case, stage)) for case, stage in ((ONE, "build"), (ONE, "speed"), (TWO, "build"))] == [
        (ONE.id, "build"), (ONE.id, "speed"), (TWO.id, "build"),
    ]  # fmt: skip


@pytest.mark.parametrize("error", [_Interrupted, KeyboardInterrupt, RuntimeError])
def test_after_an_interruption_the_next_answer_is_that_to_the_next_request(
    error: type[BaseException], tmp_path: Path, attempts: Path
):
    """The interrupted one was answered meanwhile, and nobody may hear it."""
    interrupted = []

    def progress(text: str) -> None:
        if not interrupted:
            interrupted.append(text)
            time.sleep(0.2)  # the answer is in the pipe by now
            raise error

    pool = _pool(tmp_path, attempts, progress=progress)
    try:
        with pytest.raises(error):
            pool.ask(ONE, "build")
        assert _identity(pool.ask(ONE, "speed")) == (ONE.id, "speed")
        assert _identity(pool.ask(ONE, "accuracy")) == (ONE.id, "accuracy")
    finally:
        pool.close()
    processes = [line.split()[0] for line in attempts.read_text().splitlines()]
    assert len(set(processes)) == 2 and processes[1] == processes[2]
    assert not Path(f"/proc/{processes[0]}").exists() or interrupted == []


class _Mute(_Process):
    """The session's side of a process that is not there: `theirs` is what it would say."""

    def __init__(self) -> None:
        self._connection, self.theirs = Pipe()
        self.log = Path("no log")


def test_a_reply_with_the_number_of_another_request_is_no_answer():
    process = _Mute()
    process.theirs.send(Reply(10**9, "answer", 42))
    with pytest.raises(WorkerDiedError, match="its process answered request 1000000000 where"):
        process.ask("ask", (), 5.0, say_nothing)


def test_every_request_of_a_session_has_a_number_of_its_own():
    process, numbers = _Mute(), []
    for _ in range(3):
        with pytest.raises(WorkerDiedError, match="no answer within"):
            process.ask("ask", (), 0.0, say_nothing)
        numbers.append(process.theirs.recv().number)
    assert len(set(numbers)) == 3 and numbers == sorted(numbers)


def test_a_failure_leaves_the_process_alive_and_is_no_interruption(tmp_path: Path, attempts: Path):
    pool = _pool(tmp_path, attempts, "one build raise")
    try:
        with pytest.raises(CaseFailedError, match="ZeroDivisionError"):
            pool.ask(ONE, "build")
        assert _identity(pool.ask(ONE, "speed")) == (ONE.id, "speed")
    finally:
        pool.close()
    assert len({line.split()[0] for line in attempts.read_text().splitlines()}) == 1


@pytest.mark.parametrize(("fault", "error"), [("raise", CaseFailedError), ("exit", WorkerDiedError)])
def test_what_failed_fails_again_and_is_really_done_again(
    fault: str, error: type[Exception], tmp_path: Path, attempts: Path
):
    pool = _pool(tmp_path, attempts, f"one build {fault}")
    said = []
    try:
        for _ in range(2):
            with pytest.raises(error) as raised:
                pool.ask(ONE, "build")
            said.append(str(raised.value))
    finally:
        pool.close()
    processes = [line.split()[0] for line in attempts.read_text().splitlines()]
    assert len(set(processes)) == 2, "nothing of the first attempt is kept"
    assert said[0].splitlines()[0] == said[1].splitlines()[0]


def test_a_stage_is_not_asked_again_where_an_earlier_one_was_lost(tmp_path: Path, attempts: Path):
    pool = _pool(tmp_path, attempts, "one build exit")
    try:
        with pytest.raises(WorkerDiedError, match="exit status 3"):
            pool.ask(ONE, "build")
        for _ in range(2):
            with pytest.raises(WorkerDiedError, match="not asked: build: its process ended with exit status 3"):
                pool.ask(ONE, "speed")
    finally:
        pool.close()
    assert attempts.read_text().count("\n") == 1


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_is_ended_even_where_its_end_is_interrupted(pool: WorkerPool, attempts: Path, monkeypatch: Any):
    pool.ask(ONE, "build")
    pid = int(attempts.read_text().split()[0])
    process = pool._process
    assert process is not None and _alive(pid)
    join, interrupted = process._process.join, []

    def interrupt(timeout: float | None = None) -> None:
        if not interrupted:
            interrupted.append(timeout)
            raise _Interrupted
        join(timeout)

    monkeypatch.setattr(process._process, "join", interrupt)
    with pytest.raises(_Interrupted):
        pool.ask(TWO, "build")  # another engine: the process of the first one ends
    assert not _alive(pid)
    assert _identity(pool.ask(TWO, "build")) == (TWO.id, "build")
