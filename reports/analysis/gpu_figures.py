"""What a case was measured to do on an NVIDIA card, beside its device time. On a CPU there is nothing of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.record.results import GpuTelemetry, Latency


@dataclass(frozen=True)
class GpuFigures:
    """One speed answer's figures of the card. None, empty or False is what was not recorded.

    `launch` is what the host took to launch a call, `launches_repeated` how many calls were asked again because it
    outlasted the wait, and `queued` False where the engine waits for the card, so that nothing can be launched ahead.
    `end_to_end` is the latency by the host's clock, with the copies to the card and back. `memory_bytes` is the
    highest use of the card minus that before the engine came, `energy_mj` millijoules an image, and `reasons` the
    share of the samples in which the driver gave each reason for its clock. `repeats`: how often a throttled
    measurement was done again. `foreign` is a sentence on other processes.
    """

    launch: Latency | None
    launches_repeated: int
    queued: bool | None
    end_to_end: Latency | None
    end_to_end_steady: bool | None
    memory_bytes: float | None
    energy_mj: float | None
    energy_source: str
    share_of_peak: float | None
    peak_source: str
    sm_clock_mhz: float | None
    sm_clock_share: float | None
    temperature_max_c: float | None
    energy_power_w: float | None
    reasons: dict[str, float]
    throttled: bool
    repeats: int
    foreign: str


def gpu_figures(case: CaseSummary) -> GpuFigures:
    """What the case's speed says of the GPU."""
    speed = case.speed
    state, energy, end_to_end, launch = speed.gpu or GpuTelemetry(), speed.energy, speed.end_to_end, speed.launch
    joules = energy.joules_per_image if energy else None
    return GpuFigures(
        launch=case.launch,
        launches_repeated=launch.repeats if launch else 0,
        queued=launch.queued if launch else None,
        end_to_end=end_to_end.latency if end_to_end else None,
        end_to_end_steady=end_to_end.steady if end_to_end else None,
        memory_bytes=state.memory_peak_bytes,
        energy_mj=None if joules is None else 1e3 * joules,
        energy_source=energy.source if energy else "",
        share_of_peak=speed.share_of_peak,
        peak_source=speed.peak_source,
        sm_clock_mhz=state.sm_clock_median_mhz,
        sm_clock_share=state.sm_clock_share,
        temperature_max_c=state.temperature_max_c,
        energy_power_w=energy.mean_power_w if energy else None,
        reasons=state.reasons,
        throttled=state.throttled,
        repeats=speed.throttled_retries,
        foreign=state.foreign,
    )


def quantity(cases: Iterable[CaseSummary]) -> str:
    """What the medians of these cases are: "device time", "end-to-end", or "" where they differ or do not say."""
    quantities = {case.speed.quantity or "" for case in cases if case.latency}
    return quantities.pop().removesuffix(" latency") if len(quantities) == 1 else ""


def speeds(cases: Sequence[CaseSummary]) -> str:
    """What the speeds of these cases are, as a sentence; empty on a CPU, where there is one kind, and where they
    differ."""
    if any(case.launch for case in cases):
        return (
            "Speeds are what one caller gets, without the copies to the card and back: the slower of the work on the "
            "card (device time) and the host's launches."
        )
    if quantity(cases) == "device time":
        return "Speeds are device time: the work on the card, without the copies to it and back."
    return ""


def peak_sources(cases: Sequence[CaseSummary]) -> list[str]:
    """Where the peaks come from that the shares are of."""
    return list(dict.fromkeys(source for case in cases if (source := gpu_figures(case).peak_source)))
