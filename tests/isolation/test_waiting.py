"""A process that waits for another one does not hang, and one that follows a download is offline."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from fixtures import locks
from fixtures.cache.engine_cache import say_nothing
from fixtures.gpu.lock import alone_on
from fixtures.isolation.logs import lines_of_stage
from fixtures.isolation.messages import Reply
from fixtures.isolation.pool import WorkerDiedError, WorkerFactory, WorkerPool, _Process
from fixtures.locks import hold
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.fake_workers import FakeRunner, Orders
from tests.helpers.runs import ROOT, raw_options

LIMIT_S = 1.0


class _Silent(_Process):
    """The session's side of a process that is not there: `theirs` is what it would say."""

    def __init__(self) -> None:
        self._connection, self.theirs = Pipe()
        self.log = Path("no log")


def _say(process: _Silent, *replies: tuple[str, Any]) -> None:
    number = process.theirs.recv().number
    for kind, content in replies:
        time.sleep(0.4)
        process.theirs.send(Reply(number, kind, content))


@pytest.mark.parametrize("waited", [True, False])
def test_waiting_moves_the_limit_and_progress_does_not(waited: bool):
    """Two seconds of work would be too long; of these 1.6 s were waited for somebody else."""
    process = _Silent()
    said = [("waiting", 0.4) if waited else ("progress", "still at work")] * 4
    speaker = threading.Thread(target=_say, args=(process, *said, ("answer", 42)))
    speaker.start()
    try:
        if waited:
            assert process.ask("ask", (), LIMIT_S, say_nothing) == 42
        else:
            with pytest.raises(WorkerDiedError, match="no answer within 1 s"):
                process.ask("ask", (), LIMIT_S, say_nothing)
    finally:
        speaker.join()


@contextmanager
def _held(root: Path, name: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A lock that another process holds."""
    code = """
import sys, time
from pathlib import Path
from fixtures.locks import hold
with hold(Path(sys.argv[1]), sys.argv[2], print):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""
    command = [sys.executable, "-c", code, str(root), name, str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        yield holder


@pytest.mark.parametrize("of", ["an engine", "the card"])
def test_who_waits_says_for_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str):
    heard: list[float] = []
    monkeypatch.setattr(locks, "waiting_listeners", [heard.append])
    with _held(tmp_path, "GPU-1", 1.5):
        start = time.monotonic()
        taken = hold(tmp_path, "GPU-1", say_nothing) if of == "an engine" else alone_on("GPU-1", say_nothing, tmp_path)
        with taken:
            waited = time.monotonic() - start
    # The last stretch ends with the lock in hand: it is shorter than a tick.
    assert waited - 2 * locks.TICK_S < sum(heard) <= waited and len(heard) > 2


def test_who_does_not_wait_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    heard: list[float] = []
    monkeypatch.setattr(locks, "waiting_listeners", [heard.append])
    with hold(tmp_path, "GPU-1", say_nothing):
        pass
    assert heard == []


# What answers knows no networks: these tests are about processes, and what those share is loaded all the same.
WORKERS = WorkerFactory(partial(FakeRunner, Orders()))


def _processes(folder: Path, **options: Any) -> WorkerPool:
    chosen = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(folder / "e")), ROOT)
    suite = replace(choose_suite(chosen, ROOT), **options)
    return WorkerPool(chosen, suite, SamplerSettings(), folder / "logs", say_nothing, WORKERS)


def _take(_: Any, root: Path) -> str:
    with hold(root, "engine", say_nothing):
        return "taken"


def test_a_process_that_waits_longer_than_its_limit_is_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    processes = _processes(tmp_path)
    try:
        assert processes.call("waiting", _take, tmp_path) == "taken"  # it is there, and its limit is not for that
        monkeypatch.setattr(processes, "_limit_s", 1.0)
        with _held(tmp_path, "engine", 2.5):
            assert processes.call("waiting", _take, tmp_path) == "taken"
    finally:
        processes.close()


def _process_id(_: Any) -> int:
    return os.getpid()


def test_calls_of_one_name_share_a_process_and_another_name_begins_a_fresh_one(tmp_path: Path):
    processes = _processes(tmp_path)
    try:
        first, again, other = (processes.call(name, _process_id) for name in ("one", "one", "two"))
    finally:
        processes.close()
    assert first == again and len({first, other, os.getpid()}) == 3


def switches(_: Any = None) -> dict[str, Any]:
    """Whether the packages that can download would do so in this process."""
    import os

    from huggingface_hub import constants
    from ultralytics import utils

    found = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "YOLO_OFFLINE")}
    return {**found, "hub offline": constants.HF_HUB_OFFLINE, "ultralytics online": utils.is_online()}


DOWNLOADING = """
import json, sys
from pathlib import Path
from fixtures.environment.collect import keep_quiet
from tests.isolation.test_waiting import _processes, switches

if __name__ == "__main__":
    keep_quiet(download=True)
    processes = _processes(Path(sys.argv[1]), download=True)
    before = processes.call("before", switches)
    processes.describe([])
    after = processes.call("after", switches)
    processes.close()
    print(json.dumps([before, after]))
"""


def test_what_follows_the_download_is_offline(tmp_path: Path):
    """Packages read their switches when they are imported, and the processes share one import."""
    script = tmp_path / "session.py"
    script.write_text(DOWNLOADING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT, env=_online_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert (before["HF_HUB_OFFLINE"], before["hub offline"]) == (None, False)
    assert after == {
        "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "True", "hub offline": True, "ultralytics online": False,
    }  # fmt: skip


def _online_environment() -> dict[str, str]:
    import os

    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "YOLO_"))}
    return clean | {"PYTHONPATH": str(ROOT)}


def test_of_a_log_that_a_process_shares_a_build_is_told_its_own_lines(tmp_path: Path):
    log = tmp_path / "process.log"
    log.write_text(
        "--- a: build\nof another\n--- a: speed\n--- b: build\n" + "x" * 400 + "\nLoading: 100%|███| 9/9\n\nlast\n"
    )
    assert lines_of_stage(log, "b", "build") == ["x" * 300, "last"]
    log.write_text("--- b: build\n")
    assert lines_of_stage(log, "b", "build") == []
