"""Sentences about cases that several parts of a report share."""

from collections.abc import Iterable

from reports.analysis.cases import CaseSummary
from reports.text.formatting import join_words, percent, percent_interval


def describe_cases(cases: Iterable[CaseSummary], most: int = 6) -> str:
    """Model, engine and batches in words: `yolov8n onnxruntime INT8 (batch 1 and 8)`."""
    batches: dict[str, list[int]] = {}
    for case in cases:
        batches.setdefault(f"{case.model} {case.name}", []).append(case.batch)
    return join_words((f"{engine} (batch {join_words(sizes)})" for engine, sizes in batches.items()), most=most)


def gate_sentence(case: CaseSummary, least: float) -> str:
    """What the gate found: `keeps 93.4 % (92.0–94.8) of the baseline's mAP50-95`."""
    metric = case.metric
    if metric is None or metric.ratio is None:
        return "no ratio was recorded"
    interval = percent_interval(metric.ratio)
    shown = percent(metric.ratio.value, least) + (f" ({interval})" if interval else "")
    return f"keeps {shown} of the baseline's {metric.name}"
