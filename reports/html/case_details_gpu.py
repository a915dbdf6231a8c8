"""What the card and its host had to do with a case's speed, in words."""

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import gpu_figures
from reports.analysis.timing_quality import at_power_limit
from reports.findings.gpu import cause
from reports.record.results import POWER_CAP
from reports.text.formatting import milliseconds, pluralize, sentence, share, significant


def callers_words(case: CaseSummary) -> str:
    """What a batch takes while the other callers are served; empty for one caller."""
    under_load = case.speed.under_load_ms
    if under_load is None:
        return ""
    last = f", 99 of 100 within {milliseconds(under_load.p99)}" if under_load.p99 is not None else ""
    return (
        f"With {case.streams} callers at the same time half of the batches take {milliseconds(under_load.p50)} or less"
        f"{last}. Images a second are those of all callers together."
    )


def launches_words(case: CaseSummary) -> str:
    """What the host had to do with the speed, where that was told apart."""
    figures = gpu_figures(case)
    if figures.queued is False:
        return "The engine waits for the card within its call: the device time holds its launches."
    if figures.launch is None:
        return ""
    parts = [f"half of the calls were launched within {milliseconds(figures.launch.p50_ms)}"]
    parts += ["that is longer than the card computes, and decides the speed"] if case.launch_bound else []
    if figures.launches_repeated:
        calls = pluralize(figures.launches_repeated, "call")
        parts.append(f"{calls} asked again, because the card had begun before all was launched")
    return sentence("; ".join(parts))


def gpu_words(case: CaseSummary) -> str:
    """The summary of clock, temperature and power that the table of the card has no room for."""
    state = case.speed.gpu
    if state is None:
        return ""
    figures = gpu_figures(case)
    clock = _span(state.sm_clock_min_mhz, state.sm_clock_max_mhz, "MHz")
    heat = _span(state.temperature_first_c, state.temperature_last_c, "°C")
    power, readings = figures.energy_power_w, state.samples
    parts = [f"clock {clock}"] if clock else []
    parts += [heat] if heat else []
    parts += [f"{significant(power)} W in the energy pass"] if power is not None else []
    parts += [pluralize(readings, "reading")] if readings else []
    # Below a few percent it says that memory is not what limits an engine.
    memory = case.speed.share_of_bandwidth
    parts += [f"weights and images alone take {share(memory)} of the memory's bandwidth"] if memory is not None else []
    if at_power_limit(case):
        limited = share(figures.reasons[POWER_CAP])
        parts.append(f"at its power limit {limited} of the time, which is what the card sustains")
    else:
        parts.append(f"throttled by {cause(figures)}" if figures.throttled else "not throttled")
    return sentence(", ".join(parts))


def _span(first: float | None, last: float | None, unit: str) -> str:
    if first is None or last is None:
        return ""
    return f"{first:.0f} {unit} all the time" if first == last else f"{first:.0f} to {last:.0f} {unit}"
