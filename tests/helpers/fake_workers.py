"""Sessions whose processes answer at once: no PyTorch, no engine. For what is the session's own.

Everything else is the real thing: a process for each model × backend × precision, its pipe, its log and its end; the
hooks, the record, the exit status and the report. `session` runs one within the test, `start_session` in a process of
its own, for what ends a session from outside. What the processes do, `Orders` say.
"""

import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fixtures import ROOT
from fixtures.backends import registry
from fixtures.isolation.messages import WorkerConfig
from fixtures.isolation.pool import WorkerFactory
from fixtures.plan.matrix import Case
from fixtures.pytest_plugin.session import WORKERS_KEY
from fixtures.runner.stage_result import SPEED_REPEAT, StageResult
from reports.record.results import read_result
from reports.record.schema import Row
from reports.record.store import last_session, read_rows
from tests.helpers.rows import accuracy, build, speed
from tests.helpers.runs import pytest_here

BACKENDS = ("one", "two", "three")
# Enough for a step or a drift to be told from noise (`reports.analysis.stationarity`).
SAMPLES = 60


def _raise() -> None:
    raise ZeroDivisionError("as it was told to")


def _spin() -> None:
    while True:
        pass


FAULTS: dict[str, Callable[[], Any]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "hang": lambda: time.sleep(3600),
    "raise": _raise,
    "spin": _spin,
    "crash": lambda: ctypes.string_at(0),
}


@dataclass(frozen=True)
class Orders:
    """What the processes of a session do.

    `faults`: "backend stage what", several with commas between them; "backend-s2" has two streams. `what` is one of
    `FAULTS`, "gate" (a result that closes it) or the seconds that the answer takes. `attempts`: a file that gets
    a line for each answer that is begun. `engine` is the hash of every engine (default: one for each case), `weights`
    that of the weights. `speeds`: a file that counts the speeds that were asked for; each process has another level
    then, and the second one drifts.
    """

    faults: str = ""
    attempts: str = ""
    engine: str | None = None
    weights: str = "f" * 64
    speeds: str = ""


class FakeRunner:
    """Answers each stage of a case by its name alone, the same in every run."""

    def __init__(self, orders: Orders, config: WorkerConfig, progress: Callable[[str], None]) -> None:
        self._orders = orders
        self._progress = progress

    def ask(self, case: Case, stage: str) -> StageResult:
        """The result of one stage of `case`; with what FAULTS says of its backend and this stage before it."""
        if self._orders.attempts:
            with Path(self._orders.attempts).open("a") as file:
                file.write(f"{os.getpid()} {case.id} {stage}\n")
        self._progress(f"{case.id}: {stage}")
        streams = f"-s{case.streams}" if case.streams > 1 else ""
        failure = self._misbehave(f"{case.backend}{streams}", stage)
        result, _ = read_result("speed" if stage == SPEED_REPEAT else stage, self._values(case, stage))
        headline = f"{case.id} {stage}"
        return StageResult(result, headline, failure, work_seconds=0.001, case_id=case.id, stage=stage)

    def _misbehave(self, backend: str, stage: str) -> str:
        """Do what the orders say; the failure of the gate where they say that."""
        for fault in filter(None, self._orders.faults.split(",")):
            whose, *when, what = fault.split()
            if (whose, " ".join(when)) != (backend, stage):
                continue
            print(f"{backend}: about to {what}", flush=True)
            if what == "gate":
                return "0.9000 of the baseline, the gate asks for 0.9800"
            if what in FAULTS:
                FAULTS[what]()
            else:
                time.sleep(float(what))
        return ""

    def _values(self, case: Case, stage: str) -> dict[str, Any]:
        described = {"id": case.id, **asdict(case)}
        if stage == "build":
            row = build(described, engine=self._orders.engine)
        elif stage in ("speed", SPEED_REPEAT):
            nth = self._count_speeds() if self._orders.speeds else 0
            level, slope = p50_ms(case) * (1, 1.03, 1.01)[nth], (0, 0.1, 0)[nth]
            shape = ((1 + 1e-4 * (at % 5 - 2)) * (1 + slope * (at / (SAMPLES - 1) - 0.5)) for at in range(SAMPLES))
            samples = [level * each for each in shape]
            p50 = statistics.median(samples)
            row = speed(described, p50, spread=0.001, engine=self._orders.engine, samples_ms=samples, samples=SAMPLES)
        else:
            row = accuracy(described, 1.0, engine=self._orders.engine, scoring_seconds=0.001)
        return row["values"]

    def _count_speeds(self) -> int:
        """How many speeds were asked for before this one."""
        with Path(self._orders.speeds).open("a+") as file:
            file.seek(0)
            before = len(file.readlines())
            file.write("speed\n")
        return before

    def describe(self, models: Sequence[str]) -> dict[str, Any]:
        """Weights and data of a suite that has none; the orders call this "suite describe"."""
        self._misbehave("suite", "describe")
        file = {"name": "fake", "path": "fake", "sha256": self._orders.weights, "trained": True}
        data = {"name": "fake", "calibration_images": 64, "evaluation_images": 256}
        return {
            "name": "fake", "why": "a test", "yolo": file, "clip": file, "detection data": data, "zero-shot data": data
        }  # fmt: skip

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """`function(self, *arguments)`."""
        return function(self, *arguments)

    def close(self) -> None:
        """Nothing is open."""


def p50_ms(case: Case) -> float:
    """The median that a case has in every run: another one for each case."""
    return 1.0 + sum(case.id.encode()) % 97 / 10


class FakeBackend:
    """A backend of the plan alone: it runs in FP32 on a CPU, and nothing ever builds with it."""

    tasks = ("detection", "zero-shot")
    one_stream_reason = ""

    def unsupported_reason(self, precision: str, device: str) -> str:
        """FP32 runs."""
        return "" if precision == "fp32" else "the fake backend has one precision"


@contextmanager
def fake_backends() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "CATALOGUE", dict.fromkeys(BACKENDS, f"{__name__}:FakeBackend"))
        patch.setattr(registry, "NAMES", BACKENDS)
        yield


class FakeSession:
    """The plugin that hands `FakeRunner` to a session."""

    def __init__(self, orders: Orders, preload: bool) -> None:
        self._workers = WorkerFactory(partial(FakeRunner, orders), preload)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Before the suite's own: it makes the session."""
        config.stash[WORKERS_KEY] = self._workers


@dataclass(frozen=True)
class Done:
    """What a session came to."""

    status: int
    output: Path
    said: str

    @property
    def rows(self) -> list[Row]:
        """The last session of its record."""
        return last_session(read_rows(self.output / "rows.jsonl"))

    @property
    def answers(self) -> dict[tuple[str, str], Row]:
        """The last row of each (case, question)."""
        return {(row["case"]["id"], row["question"]): row for row in self.rows if row["kind"] == "case"}

    @property
    def outcomes(self) -> dict[tuple[str, str], str]:
        """The last outcome of each (case, question)."""
        return {key: row["outcome"] for key, row in self.answers.items()}

    @property
    def junit(self) -> dict[str, int]:
        """The counts of JUnit's suite: tests, failures, errors, skipped."""
        suite = ElementTree.parse(self.output / "junit.xml").getroot()[0]
        return {name: int(suite.get(name, -1)) for name in ("tests", "failures", "errors", "skipped")}


PLAIN = ("--benchmark-only", "-v", "-p", "no:cacheprovider", "--device", "cpu", "--suite", "embedded")
SMALL = ("--models", "clip-text", "--precisions", "fp32")


def _options(output: Path, options: Sequence[str]) -> list[str]:
    begins = [] if "--resume" in options else ["--output", str(output)]
    return [str(ROOT / "bench"), *PLAIN, "--junitxml", str(output / "junit.xml"), *SMALL, *begins, *options]


def session(output: Path, *options: str, plugins: Sequence[object] = (), **orders: str) -> Done:
    """Run `pytest bench/` here, with its record in `output` and these `Orders`."""
    # The processes of all sessions within this one fork off one that has PyTorch loaded, whoever began it.
    fake = FakeSession(Orders(**orders), preload=True)
    with fake_backends():
        done = pytest_here(_options(output, options), fake, *plugins)
    return Done(done.returncode, output, done.stdout + done.stderr)


def start_session(output: Path, *options: str, **orders: str) -> subprocess.Popen[str]:
    """The same in a process of its own, which can be sent signals."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.fake_session", json.dumps(orders), *_options(output, options)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - there are no threads
    )
