"""The clock of a card without a card: what it asks, and when, of a simulated host and stream."""

from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.runner.results import launch_result, with_launches
from fixtures.timing.cuda_events import CudaEventClock
from fixtures.timing.sampler import Sampling
from fixtures.timing.statistics import Interval
from reports.record.results import Launch, Quantiles, SpeedResult

BATCHES = [torch.zeros(1, 3, 2, 2) + number for number in range(64)]
MILLISECOND = 1e-3


class Machine:
    """A host and a stream: the host moves on by what it does, the stream by what it was given, one after the other."""

    def __init__(self) -> None:
        self.host_s = self.stream_s = 0.0
        self.cycles_per_s = 2e9

    def launch(self, launch_s: float, kernel_s: float) -> None:
        self.host_s += launch_s
        self.stream_s = max(self.stream_s, self.host_s) + kernel_s

    def wait(self, cycles: int) -> None:
        self.launch(0.0, cycles / self.cycles_per_s)

    def synchronize(self) -> None:
        self.host_s = max(self.host_s, self.stream_s)

    def event(self) -> Any:
        """Of an event what a clock uses of it."""
        mark = SimpleNamespace(at_s=0.0)

        def record() -> None:
            self.stream_s = mark.at_s = max(self.stream_s, self.host_s)

        mark.record = record
        mark.query = lambda: mark.at_s <= self.host_s
        mark.synchronize = lambda: setattr(self, "host_s", max(self.host_s, mark.at_s))
        mark.elapsed_time = lambda end: (end.at_s - mark.at_s) / MILLISECOND
        return mark

    def clock(self, engine: Callable[[torch.Tensor], object]) -> CudaEventClock:
        return CudaEventClock(engine, BATCHES, self.event, self.wait, lambda: self.host_s)


class Engine:
    """`kernels` kernels a call. Of the calls that the clock times, `slow` has the launch times that are not usual."""

    def __init__(self, machine: Machine, kernels: int, launch_s: float, kernel_s: float) -> None:
        self.machine, self.kernels, self.launch_s, self.kernel_s = machine, kernels, launch_s, kernel_s
        self.slow: list[float] = []
        self.calls = 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        times_slower = self.slow.pop(0) if self.slow else 1.0
        for _ in range(self.kernels):
            self.machine.launch(self.launch_s * times_slower, self.kernel_s)
        return batch


@pytest.mark.parametrize("launch_us", [1, 10, 40])
def test_device_time_is_the_cards_own_however_slowly_the_host_launches(launch_us: int):
    machine = Machine()
    clock = machine.clock(Engine(machine, 100, launch_us * 1e-6, 20e-6))
    assert [clock.timed_call(call) for call in range(130)] == [pytest.approx(2 * MILLISECOND)] * 130
    assert clock.queued and not clock.repeats
    assert clock.launches_s == [pytest.approx(100 * launch_us * 1e-6)] * 130


def test_no_wait_is_so_long_that_a_driver_would_end_it():
    machine = Machine()
    waits_s: list[float] = []

    def wait(cycles: int) -> None:
        waits_s.append(cycles / machine.cycles_per_s)
        machine.wait(cycles)

    # What takes two seconds to launch cannot be launched ahead.
    clock = CudaEventClock(Engine(machine, 2, 1.0, 1e-3), BATCHES, machine.event, wait, lambda: machine.host_s)
    assert max(waits_s) == 1.0 and not clock.queued


def test_an_engine_that_waits_for_the_card_keeps_its_gaps_and_has_no_launches_of_its_own():
    machine = Machine()

    def engine(_: torch.Tensor) -> None:
        for _ in range(2):
            machine.launch(40e-6, 20e-6)
            machine.synchronize()

    clock = machine.clock(engine)
    assert clock.timed_call(0) == pytest.approx(120e-6)
    assert not clock.queued and not clock.launches_s


def test_a_host_that_is_held_up_costs_a_repeat_and_no_gap():
    machine = Machine()
    engine = Engine(machine, 100, 10e-6, 20e-6)
    clock = machine.clock(engine)
    engine.slow = [1.0, 5.0]
    before = engine.calls
    assert [clock.timed_call(call) for call in range(3)] == [pytest.approx(2 * MILLISECOND)] * 3
    assert clock.repeats == 1 and engine.calls - before == 4
    # The slow launch counts, not the repeated one.
    assert clock.launches_s == pytest.approx([1e-3, 5e-3, 1e-3])


def test_a_card_whose_clock_has_risen_costs_one_repeat_and_not_one_a_call():
    machine = Machine()
    machine.cycles_per_s = 3e8
    clock = machine.clock(Engine(machine, 100, 10e-6, 20e-6))
    machine.cycles_per_s = 2e9
    assert [clock.timed_call(call) for call in range(20)] == pytest.approx([2 * MILLISECOND] * 20)
    assert clock.repeats == 2


def test_a_host_that_is_held_up_again_and_again_is_seen_in_the_sample_and_the_next_call_is_whole():
    machine = Machine()
    engine = Engine(machine, 100, 10e-6, 20e-6)
    clock = machine.clock(engine)
    engine.slow = [40.0] * 4
    first, *others = (clock.timed_call(call) for call in range(3))
    assert first > 20 * MILLISECOND and clock.repeats == 3 and clock.queued
    assert others == pytest.approx([2 * MILLISECOND] * 2)


def test_no_sample_holds_the_recording_of_a_graph():
    """An engine that records a graph for every input that it meets, as `GraphReplay` does."""
    machine, met = Machine(), set()

    def engine(batch: torch.Tensor) -> None:
        machine.launch(10e-6, 3e-3 if batch.data_ptr() in met else 19e-3)
        met.add(batch.data_ptr())

    clock = machine.clock(engine)
    assert len(met) == 64
    assert {round(clock.timed_call(call), 9) for call in range(130)} == {0.003}


def test_a_clock_needs_a_batch():
    with pytest.raises(ValueError, match="at least one input batch"):
        CudaEventClock(lambda batch: batch, [])


@pytest.mark.parametrize(("launch_us", "slower_ms"), [(40, 4.0), (10, 2.0)])
def test_one_caller_gets_the_slower_of_card_and_launches(launch_us: int, slower_ms: float):
    machine = Machine()
    clock = machine.clock(Engine(machine, 100, launch_us * 1e-6, 20e-6))
    # The warm-up's calls were slower and do not count.
    clock.launches_s = [1.0] * 5
    samples_s = tuple(clock.timed_call(call) for call in range(20))
    launch = launch_result(clock, Sampling(samples_s, 0.5, 5, True, "interval", Interval(2e-3, 2e-3)))
    device = SpeedResult(latency_ms=Quantiles(p50=float(np.median(samples_s)) * 1e3))
    assert with_launches(device, launch, 8).images_per_second == pytest.approx(8e3 / slower_ms)
    assert launch.queued and launch.latency_ms and launch.latency_ms.p50 == pytest.approx(launch_us * 0.1)
    assert launch.latency_ms.p25 == pytest.approx(launch.latency_ms.high)


def test_nothing_is_said_of_launches_that_cannot_be_told_apart():
    clock: Any = SimpleNamespace(queued=False)
    assert launch_result(clock, SimpleNamespace()) == Launch(queued=False)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.usefixtures("on_a_side_stream")
def test_device_time_agrees_with_a_bare_loop():
    """Within 3 %: the same launches between two events, counted by hand, no class of the suite around them."""
    a = [torch.rand(4096, 4096, device="cuda") for _ in range(2)]

    def work(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    def bare() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for call in range(20):
            work(a[call % 2])
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 20 * 1e-3

    clock = CudaEventClock(work, a)
    for call in range(40):
        clock.timed_call(call)
    by_clock = median(clock.timed_call(call) for call in range(60))
    assert by_clock == pytest.approx(median(bare() for _ in range(5)), rel=0.03)
