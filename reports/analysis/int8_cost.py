"""What INT8 costs in accuracy, in the words of whoever asks that first."""

from collections.abc import Sequence

from reports.analysis.cases import CaseSummary
from reports.text.formatting import THIN_SPACE, gate_percent


def int8_costs(timed: Sequence[CaseSummary], least: float) -> str | None:
    """Of the fastest INT8 engine among cases of one model and batch: `INT8 (tensorrt) costs 0.2 % (−1.0 to 1.5), …`.

    None where none was judged. A loss is a share of the baseline's figure; less than nothing is a gain.
    """
    judged = [each for each in timed if each.precision == "int8" and each.gate in ("pass", "fail") and each.sound]
    passing = [each for each in judged if each.gate == "pass"]
    case = min(
        passing or judged,
        key=lambda each: each.effective_latency.p50_ms if each.effective_latency else 0.0,
        default=None,
    )
    ratio = case.metric.ratio if case and case.metric else None
    if case is None or case.metric is None or ratio is None:
        return None
    interval = ""
    if ratio.low is not None and ratio.high is not None:
        interval = f" ({_points(1 - ratio.high)} to {_points(1 - ratio.low)})"
    if case.gate == "fail":
        verdict = f"which fails the gate of {gate_percent(least)}"
    elif case.uncertain(least):
        verdict = f"not certain to keep {gate_percent(least)}"
    else:
        verdict = f"certain to keep {gate_percent(least)}"
    cost = f"{_points(1 - ratio.value)}{THIN_SPACE}%{interval} of the {case.metric.name}"
    return f"INT8 ({case.backend}) costs {cost}, {verdict}."


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    return "0.0" if shown == "-0.0" else shown.replace("-", "−")
