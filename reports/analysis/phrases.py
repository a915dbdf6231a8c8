"""Sentences about cases that several parts of a report share."""

from collections.abc import Iterable

from reports.analysis.cases import CaseSummary
from reports.text.formatting import join_words, percent, percent_interval
from reports.text.names import case_name

# Of a GPU that is busy by design and runs at its power limit (`reports.analysis.timing_quality.at_power_limit`).
SUSTAINED = "measured at the card's power limit: this is what the card sustains"


def describe_cases(cases: Iterable[CaseSummary], most: int = 6) -> str:
    """Model, engine and batches in words: `YOLOv8n · ONNX Runtime INT8 · batch 1 and 8`."""
    batches: dict[tuple[str, str], list[int]] = {}
    for case in cases:
        batches.setdefault((case.model, case.name), []).append(case.batch)
    # Of several a semicolon tells the one from the next: a name may have "and" inside.
    names = [case_name(*engine, join_words(sizes)) for engine, sizes in batches.items()]
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *more])


def gate_sentence(case: CaseSummary, least: float) -> str:
    """What the gate found: `keeps 93.4 % (92.0–94.8) of the baseline's mAP50-95`."""
    metric = case.metric
    if metric is None or metric.ratio is None:
        return "no ratio was recorded"
    interval = percent_interval(metric.ratio)
    shown = percent(metric.ratio.value, least) + (f" ({interval})" if interval else "")
    return f"keeps {shown} of the baseline's {metric.name}"
