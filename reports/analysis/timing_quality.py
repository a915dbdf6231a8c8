"""How far a timing can be trusted: one judgement for the verdict, the table, the recommendation and the folds."""

import numpy as np

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import card_figures
from reports.analysis.stationarity import movement, readable
from reports.record.parsing import number
from reports.record.ratio import Latency
from reports.text.formatting import significant

# A median that is known no better than this says little about what an engine gains.
WIDE_INTERVAL = 0.05
# Times whose calls spread wider than this follow the host, which launches slower than the card computes. Three runs of
# the same engines on an H200, 26 November 2026, when device times still held the gaps between launches: the calls of a
# timing had an interquartile range of 1.4 % of their median at most, or of 3.1 to 9.6 % (PyTorch, torch.compile and
# ONNX Runtime, mostly FP16). Medians of two runs lay up to 2.3 % apart where neither's range was wide, and else up to
# 9.4 %, far beyond the interval of either.
WIDE_IQR = 0.02
MOVED = {
    "step": "a step while it was measured",
    "drift": "a drift while it was measured",
    "wander": "moved to and fro while it was measured",
    "spread": "its calls spread widely",
}


def interval_width(latency: Latency | None) -> float | None:
    """The width of the median's 95 % interval over the median; None where it is not known."""
    if latency is None or latency.low_ms is None or latency.high_ms is None or latency.p50_ms <= 0:
        return None
    return (latency.high_ms - latency.low_ms) / latency.p50_ms


def relative_iqr(case: CaseSummary) -> float | None:
    """The interquartile range of its calls over their median; None where no calls were recorded."""
    samples_ms = readable(case.values("speed").get("samples_ms"))
    if not samples_ms.size:
        return None
    low, middle, high = (float(each) for each in np.quantile(samples_ms, (0.25, 0.5, 0.75)))
    return (high - low) / middle


def launches_iqr(case: CaseSummary) -> float | None:
    """The interquartile range of what the host took to launch its calls, over their median."""
    found = case.values("speed").get("launch")
    quantiles = found.get("latency_ms") if isinstance(found, dict) else None
    if not isinstance(quantiles, dict):
        return None
    low, middle, high = (number(quantiles, key) for key in ("p25", "p50", "p75"))
    return None if low is None or high is None or not middle else (high - low) / middle


def moved(case: CaseSummary) -> str:
    """What the level did while the case was measured, in a few words; empty where it stayed."""
    kind = movement(readable(case.values("speed").get("samples_ms"))).kind
    width = interval_width(case.effective_latency)
    said = [MOVED[kind]] if kind in MOVED and case.latency else []
    on_card = case.values("speed").get("quantity") == "device time"
    iqr = launches_iqr(case) if case.launch_bound else relative_iqr(case)
    if case.latency and not said and on_card and (iqr or 0.0) > WIDE_IQR:
        said.append(MOVED["spread"])
    if width is not None and width > WIDE_INTERVAL:
        said.append(f"its median is known to {significant(100 * width, 2)} % only")
    return ", ".join(said)


def shorter_end_to_end(case: CaseSummary) -> bool:
    """Whether the call with its copies took less than the work on the card alone, which one and the same call cannot.

    The level moved meanwhile, as it does where the host launches slower than the card computes. In older records each
    was timed in a pass of its own.
    """
    end_to_end, alone = card_figures(case).end_to_end, case.effective_latency
    return end_to_end is not None and alone is not None and end_to_end.p50_ms < alone.p50_ms


def unsteady(case: CaseSummary) -> bool:
    """Whether its warm-up never ended in two windows that agree."""
    return case.latency is not None and case.values("speed").get("steady") is False


def rough(case: CaseSummary) -> bool:
    """Whether its time is to be taken as rough, for whichever of these reasons."""
    return unsteady(case) or bool(moved(case)) or shorter_end_to_end(case)
