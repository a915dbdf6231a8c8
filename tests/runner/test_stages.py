"""What an answer says of a reading that cannot be, and of the second clock's own window."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fixtures.gpu.monitor import Monitored
from fixtures.gpu.roofline import PeakShare
from fixtures.gpu.telemetry import GpuSpec, summarize
from fixtures.runner.stage_result import SPEED_REPEAT
from fixtures.runner.stages import CaseRunner, speed
from fixtures.timing.sampler import SamplerSettings, Sampling
from fixtures.timing.statistics import Interval
from reports.record.results import GpuTelemetry

LOADED: Any = SimpleNamespace(
    case=SimpleNamespace(id="clip-text-pytorch-fp32-b8", batch=8), artifact=SimpleNamespace(sha256="e4c9")
)
QUIET = summarize([], GpuSpec("NVIDIA H200", "GPU-1", "580.65", 1980, 3201, 700.0), {1}, None)
SAMPLING = Sampling((0.002,) * 100, 0.5, 20, True, "interval", Interval(0.0019, 0.0021))
EVENTS, HOST = (
    SimpleNamespace(name=name, quantity=what, batches_per_call=1)
    for name, what in [("events", "device"), ("host", "latency")]
)


ROUND_TRIP = replace(SAMPLING, samples_s=(0.003,) * 100)


class _Workbench:
    """A card that was in this state, and whose peak is `share` of the reading."""

    def __init__(self, share: float, state: GpuTelemetry, retries: int) -> None:
        self._share = share
        self._state = (state, retries)
        self.timing = self.engines = self

    def instruments(self, _: Any) -> tuple[Any, ...]:
        return (EVENTS, HOST)

    def sample(self, _: Any, clocks: Any, settings: SamplerSettings) -> Monitored[tuple[Sampling, ...]]:
        assert clocks == (EVENTS, HOST)
        return Monitored((SAMPLING, ROUND_TRIP), *self._state)

    def gpu_figures(self, _: Any, monitored: Monitored[Any], images_per_second: float, energy: bool) -> Any:
        assert images_per_second == pytest.approx(4000)
        return PeakShare(1e9, self._share, "a data sheet", self._share > 1, None, None), None


def _ask(share: float, state: GpuTelemetry = QUIET, retries: int = 0) -> Any:
    bench: Any = _Workbench(share, state, retries)
    return speed(bench, LOADED, SamplerSettings())


def test_only_the_first_process_makes_an_energy_pass():
    asked = []

    class Asked(_Workbench):
        def load(self, _: Any) -> Any:
            return LOADED

        def gpu_figures(self, *known: Any) -> Any:
            asked.append(known[-1])
            return super().gpu_figures(*known)

    bench: Any = Asked(0.5, QUIET, 0)
    interview = CaseRunner(bench, SamplerSettings(), 0.02)
    for stage in ("speed", SPEED_REPEAT):
        interview.ask(LOADED.case, stage)
    assert asked == [True, False]


def test_a_reading_above_the_cards_peak_closes_the_gate():
    assert not _ask(0.9).failure
    failure = _ask(1.3).failure
    assert failure == "4000 img/s is 1.30 of what this card can compute: the reading is broken, not fast"


def test_the_second_clock_stands_beside_the_first_with_the_state_of_the_card():
    state = msgspec.structs.replace(QUIET, throttled=True, foreign="1 process")
    answer = _ask(0.5, state, 1)
    assert (answer.result.latency_ms.p50, answer.result.throttled_retries) == (pytest.approx(2), 1)
    assert answer.samples_s == pytest.approx(SAMPLING.samples_s)
    second = answer.result.end_to_end
    assert answer.result.gpu == second.gpu == state and second.throttled_retries == 1
    assert second.latency_ms.p50 == pytest.approx(3)
    assert second.quantity == "latency" and "samples_ms" not in answer.values["end_to_end"]
