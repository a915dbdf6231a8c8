"""The card under measurement: a throttled window is measured again and counted, and a card has engines of its own."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fixtures.cache.engine_cache import say_nothing
from fixtures.gpu import monitor
from fixtures.gpu.lock import alone_on
from fixtures.gpu.monitor import MOST_RETRIES, GpuMonitor, state_values
from fixtures.gpu.nvml import GpuWatch
from fixtures.gpu.telemetry import GpuSpec, Sample
from fixtures.models.base import Progress
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner import workbench
from fixtures.runner.factory import open_workbench
from tests.helpers.runs import ROOT, raw_options

TOO_HOT, AT_WORK = 0x40, 0x0


class _Windows(GpuWatch):
    """A watch that saw these reasons, window by window."""

    def __init__(self, *reasons: int) -> None:
        self._reasons: Iterator[int] = iter(reasons)

    @property
    def spec(self) -> GpuSpec:
        return GpuSpec("NVIDIA GeForce RTX 2080 Ti", "GPU-1", "580.65", 2100, 7000, 250.0)

    def between(self, start_s: float, end_s: float) -> tuple[Sample, ...]:
        assert start_s <= end_s
        return (Sample(start_s, 1800, 6800, next(self._reasons), 60, 200.0, 10**9, 99, None, 0.1),)

    def close(self) -> None:
        pass


def _bench(watch: GpuWatch, locks: Path, patch: pytest.MonkeyPatch, progress: Progress = say_nothing) -> GpuMonitor:
    patch.setattr(monitor, "torch_gpu", lambda: "GPU-1")
    patch.setattr(monitor, "open_watch", lambda _: SimpleNamespace(result=lambda: watch, close=lambda: None))
    patch.setattr(monitor, "alone_on", partial(alone_on, locks=locks))
    return GpuMonitor(progress)


@pytest.mark.parametrize(
    ("windows", "throttled"),
    [
        ([AT_WORK], False),
        ([TOO_HOT, AT_WORK], False),
        ([TOO_HOT] * (1 + MOST_RETRIES), True),
    ],
    ids=["quiet", "at first", "always"],
)
def test_a_throttled_window_is_measured_again_and_counted(
    windows: list[int], throttled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that is throttled each time is reported as it is: the last measurement, with the mark and the count."""
    measurements = iter(range(10))
    monitored = _bench(_Windows(*windows), tmp_path, monkeypatch).watch(lambda: next(measurements), None)
    assert (monitored.result, monitored.retries) == (len(windows) - 1, len(windows) - 1)
    values = state_values(monitored)
    assert (values["card"]["throttled"], values["throttled_retries"]) == (throttled, len(windows) - 1)


def test_what_nobody_watches_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    bench = _bench("no driver here", tmp_path, monkeypatch, said.append)  # type: ignore[arg-type]
    assert not said
    for _ in range(2):
        monitored = bench.watch(lambda: 7, None)
        assert (monitored.result, monitored.state, monitored.retries) == (7, None, 0) and state_values(monitored) == {}
    assert said == ["nobody watches the card: no driver here"]


def test_closing_a_monitor_that_was_not_asked_waits_for_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The session may be gone, and its pipe closed: who reports over that raises."""

    def gone(_: str) -> None:
        raise BrokenPipeError

    closed = []
    bench = _bench("no driver here", tmp_path, monkeypatch, gone)  # type: ignore[arg-type]
    monkeypatch.setattr(bench, "_pending", SimpleNamespace(result=pytest.fail, close=lambda: closed.append(True)))
    bench.close()
    assert closed == [True]


def _built(cache: Path, hardware: dict[str, Any], patch: pytest.MonkeyPatch) -> list[str]:
    """What a session on a card with this hardware builds. The card stands in; the engine runs on the CPU."""
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "Stream", lambda: None)
    patch.setattr(torch.cuda, "set_stream", lambda _: None)
    patch.setattr(workbench, "hardware", lambda: hardware)
    idle = SimpleNamespace(memory_used_bytes=lambda: 0, close=lambda: None)
    patch.setattr(workbench, "GpuMonitor", lambda _: idle)
    patch.setattr("fixtures.runner.factory.timing_cache_name", lambda _: "timings.cache")
    raw = raw_options(suite="embedded", device="cuda", engine_cache=str(cache))
    options, said = Options.from_values(raw, ROOT), []
    bench = open_workbench(options, choose_suite(options, ROOT), said.append)
    replace(bench.engines, device="cpu").load(Case("clip-text", "zero-shot", "pytorch", "fp32", 1))
    return [line for line in said if line.endswith(": building")]


def test_another_card_or_driver_has_an_engine_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    threads = torch.get_num_threads()
    turing = {"gpu": "NVIDIA GeForce RTX 2080 Ti", "compute_capability": "7.5", "driver": "580.65"}
    try:
        built = [len(_built(tmp_path, each, monkeypatch)) for each in (turing, turing, {**turing, "driver": "581.1"})]
    finally:
        torch.set_num_threads(threads)
    assert built == [1, 0, 1]
