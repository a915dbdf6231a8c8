"""How far a timing can be trusted: `caveats` is the only list of reasons to doubt one.

Page, details of a case, verdict, recommendation, claims, comparison of two runs, job summary and history all ask it,
so that none calls a timing reliable that another one doubts.
"""

from dataclasses import dataclass

import numpy as np

from reports.analysis.cases import CaseSummary
from reports.analysis.stationarity import Floats, Movement, movement, positive
from reports.record.results import GpuTelemetry, Latency
from reports.text.formatting import significant

# A median that is known no better than this says little about what an engine gains.
WIDE_INTERVAL = 0.05
# Times whose calls spread wider than this follow the host, which launches slower than the card computes. Three runs of
# the same engines on an H200, 26 November 2026, when device times still held the gaps between launches: the calls of a
# timing had an interquartile range of 1.4 % of their median at most, or of 3.1 to 9.6 % (PyTorch, torch.compile and
# ONNX Runtime, mostly FP16). Medians of two runs lay up to 2.3 % apart where neither's range was wide, and else up to
# 9.4 %, far beyond the interval of either.
WIDE_IQR = 0.02
UNSTEADY = "timing.unsteady"
SPREAD = "timing.spread"
WIDE = "timing.wide_interval"
SHORTER = "timing.shorter_with_copies"
END_TO_END_UNSTEADY = "timing.end_to_end_unsteady"
THROTTLED = "gpu.throttled"
SHARED = "gpu.shared"
# The code of each way in which a level may move (`reports.analysis.stationarity.Movement.kind`), and its words.
MOVEMENTS = {
    "step": ("timing.step", "a step while it was measured"),
    "drift": ("timing.drift", "a drift while it was measured"),
    "wander": ("timing.wander", "moved to and fro while it was measured"),
    "spread": (SPREAD, "its calls spread widely"),
}
# Where a case keeps what was found of it.
CAVEATS = "caveats"
# What the calls themselves show, whatever the GPU or the second clock did.
MOVED = frozenset({code for code, _ in MOVEMENTS.values()} | {WIDE})


@dataclass(frozen=True)
class Caveat:
    """One reason to take a timing as unreliable, in a few words. `code` is stable, `words` are for readers.

    `process` counts from 1 and is None where the reason is of all processes. `share` says by which share of the median
    it may be off, where that is known: a difference far beyond it holds all the same.
    """

    code: str
    words: str
    process: int | None = None
    share: float | None = None

    @property
    def of_gpu(self) -> bool:
        """Whether the GPU is to blame, and not the calls themselves."""
        return self.code.startswith("gpu.")

    @property
    def of_second_clock(self) -> bool:
        """Whether only the latency with the copies is in doubt."""
        return self.code == END_TO_END_UNSTEADY


def caveats(case: CaseSummary) -> tuple[Caveat, ...]:
    """Everything that makes the timing of `case` doubtful, the gravest first; empty for one that is reliable.

    In the order of: no steady state, movements of the level (of each process), a median that is not known well, times
    that contradict each other, the second clock, the GPU. A case that was not timed has none.
    """
    # A case does not change: what was found of it is kept with it, as `functools.cached_property` does.
    kept = vars(case)
    if CAVEATS not in kept:
        kept[CAVEATS] = _find_caveats(case)
    case_caveats: tuple[Caveat, ...] = kept[CAVEATS]
    return case_caveats


def _find_caveats(case: CaseSummary) -> tuple[Caveat, ...]:
    if case.latency is None:
        return ()
    case_caveats = [Caveat(UNSTEADY, "not steady", process) for process in _unsteady(case)]
    case_caveats += _movements(case)
    width = interval_width(case.effective_latency)
    if width is not None and width > WIDE_INTERVAL:
        case_caveats.append(Caveat(WIDE, f"its median is known to {significant(100 * width, 2)} % only", None, width))
    if _shorter_end_to_end(case):
        case_caveats.append(Caveat(SHORTER, "shorter with copies than without"))
    if case.speed.end_to_end and case.speed.end_to_end.steady is False:
        case_caveats.append(Caveat(END_TO_END_UNSTEADY, "end-to-end not steady"))
    gpu = case.speed.gpu
    if gpu and _throttled(case, gpu):
        case_caveats.append(Caveat(THROTTLED, "throttled"))
    if gpu and gpu.foreign:
        case_caveats.append(Caveat(SHARED, "not alone on the card"))
    return tuple(case_caveats)


def unreliable(case: CaseSummary) -> bool:
    """Whether its calls themselves give a reason to take its time as rough; what the GPU did is `gpu_contended`."""
    return any(not (each.of_gpu or each.of_second_clock) for each in caveats(case))


def gpu_contended(case: CaseSummary) -> bool:
    """Whether the GPU was throttled, or not alone for this case, while it was timed.

    A GPU that is busy by design and runs at its power limit is not throttled: see `at_power_limit`.
    """
    return any(each.of_gpu for each in caveats(case))


def at_power_limit(case: CaseSummary) -> bool:
    """Whether the case keeps the GPU busy by design, and the board's power limit alone bounds its speed.

    That is what this GPU sustains: the next run finds the same. Where one image at a time is timed, call after call,
    the limit is a doubt: a caller that pauses between images may be served faster.
    """
    return case.speed.gpu is not None and _sustained(case, case.speed.gpu)


def disturbed(case: CaseSummary, gpu: GpuTelemetry) -> bool:
    """Whether the GPU was throttled or not alone for a window of this case."""
    return bool(gpu.foreign) or _throttled(case, gpu)


def unsteady(case: CaseSummary) -> bool:
    """Whether its warm-up never ended in two windows that agree."""
    return has(case, UNSTEADY)


def shorter_end_to_end(case: CaseSummary) -> bool:
    """Whether the call with its copies took less than the work on the card alone, which one and the same call cannot.

    The level moved meanwhile, as it does where the host launches slower than the card computes. In older records each
    was timed in a pass of its own.
    """
    return has(case, SHORTER)


def moved(case: CaseSummary) -> str:
    """What the level did while the case was measured, in a few words; empty where it stayed."""
    return ", ".join(each.words for each in caveats(case) if each.code in MOVED)


def has(case: CaseSummary, code: str) -> bool:
    """Whether this is among the case's caveats."""
    return any(each.code == code for each in caveats(case))


def samples_by_process(case: CaseSummary) -> tuple[Floats, ...]:
    """The calls of each process that timed the case, in milliseconds and in the order of time."""
    by_process = (positive(each) for each in case.speed.samples_by_process)
    return tuple(each for each in by_process if each.size)


def interval_width(latency: Latency | None) -> float | None:
    """The width of the median's 95 % interval over the median; None where it is not known."""
    if latency is None or latency.low_ms is None or latency.high_ms is None or latency.p50_ms <= 0:
        return None
    return (latency.high_ms - latency.low_ms) / latency.p50_ms


def relative_iqr(case: CaseSummary) -> float | None:
    """The interquartile range of its calls over their median, of the process where it is the largest; None where no
    calls were recorded."""
    return max((_relative_iqr(each) for each in samples_by_process(case)), default=None)


def _relative_iqr(samples_ms: Floats) -> float:
    low, middle, high = (float(each) for each in np.quantile(samples_ms, (0.25, 0.5, 0.75)))
    return (high - low) / middle


def _unsteady(case: CaseSummary) -> list[int | None]:
    """The processes without a steady state, where they are told apart; [None] where only the whole is known."""
    by_process = [number for number, each in enumerate(case.speed.processes, start=1) if each.steady is False]
    return list(by_process) or ([None] if case.speed.steady is False else [])


def _movements(case: CaseSummary) -> list[Caveat]:
    series = samples_by_process(case)
    level_caveats = []
    for number, samples_ms in enumerate(series, start=1):
        process = number if len(series) > 1 else None
        process_movement = movement(samples_ms)
        if process_movement.kind in MOVEMENTS:
            level_caveats.append(_moved(process_movement, process))
    if level_caveats:
        return level_caveats
    on_gpu = case.speed.quantity == "device time"
    launches = case.speed.launch.latency_ms if case.speed.launch else None
    iqr = launches.relative_iqr if case.launch_bound and launches else relative_iqr(case)
    if on_gpu and iqr is not None and iqr > WIDE_IQR:
        return [Caveat(SPREAD, MOVEMENTS["spread"][1], None, iqr)]
    return []


def _throttled(case: CaseSummary, gpu: GpuTelemetry) -> bool:
    return gpu.throttled and not _sustained(case, gpu)


def _sustained(case: CaseSummary, gpu: GpuTelemetry) -> bool:
    return case.saturating and gpu.at_power_limit


def _moved(process_movement: Movement, process: int | None) -> Caveat:
    code, words = MOVEMENTS[process_movement.kind]
    return Caveat(code, words if process is None else f"{words} in process {process}", process, process_movement.share)


def _shorter_end_to_end(case: CaseSummary) -> bool:
    second, alone = case.speed.end_to_end, case.effective_latency
    with_copies = second.latency if second else None
    return with_copies is not None and alone is not None and with_copies.p50_ms < alone.p50_ms
