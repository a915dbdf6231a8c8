"""Which columns the tables of cases have: one that no case of the run fills is left out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import gpu_figures
from reports.analysis.run_time import case_seconds
from reports.text.formatting import MISSING, ms_interval, percent_interval

# By the name of each column what a case has for it; None, an empty text and a dash are no value.
Columns = Mapping[str, Callable[[CaseSummary], object]]
CASES: Columns = {
    "gate": lambda case: case.gate_label,
    "accuracy_ratio": lambda case: case.metric and case.metric.ratio,
    "speedup": lambda case: case.speedup,
    "images_per_second": lambda case: case.images_per_second,
    "p50_ms": lambda case: case.latency,
    "launch": lambda case: gpu_figures(case).launch,
    "end_to_end": lambda case: gpu_figures(case).end_to_end,
    "p99_ms": lambda case: case.latency and case.latency.p99_ms,
    "memory_bytes": lambda case: gpu_figures(case).memory_bytes,
    "energy_mj": lambda case: gpu_figures(case).energy_mj,
    "share_of_peak": lambda case: gpu_figures(case).share_of_peak,
    "layers": lambda case: case.build.layers or None,
    "metric": lambda case: case.metric,
    "size_bytes": lambda case: case.build.size_bytes,
    "build_seconds": lambda case: case.build.build_seconds,
    "cold_load_seconds": lambda case: case.build.cold_load_seconds,
    "case_seconds": case_seconds,
}
# How each engine was measured.
TIMINGS: Columns = {
    "samples": lambda case: case.speed.samples,
    "outliers": lambda case: case.speed.outliers,
    "interval": lambda case: ms_interval(case.latency),
    "p90_ms": lambda case: case.latency and case.latency.p90_ms,
    "p95_ms": lambda case: case.latency and case.latency.p95_ms,
    "warmup_s": lambda case: case.speed.warmup_s,
    "steady": lambda case: case.speed.steady,
    "stop_reason": lambda case: case.speed.stop_reason,
    "instrument": lambda case: case.speed.instrument,
    "engine_sha256": lambda case: case.speed.engine_sha256 or case.build.engine_sha256,
}
# Accuracy in detail.
METRICS: Columns = {
    "baseline": lambda case: any(metric.baseline is not None for metric in case.metrics) or None,
    "ratio": lambda case: any(metric.ratio is not None for metric in case.metrics) or None,
    "ratio_interval": lambda case: any(percent_interval(metric.ratio) for metric in case.metrics) or None,
    "evaluation_images": lambda case: case.accuracy.evaluation_images,
    "calibration_images": lambda case: case.accuracy.calibration_images,
}
# What the GPU did meanwhile.
CARD: Columns = {
    "sm_clock_mhz": lambda case: gpu_figures(case).sm_clock_mhz,
    "temperature_max_c": lambda case: gpu_figures(case).temperature_max_c,
    "energy_power_w": lambda case: gpu_figures(case).energy_power_w,
    "energy_source": lambda case: gpu_figures(case).energy_source,
}


def filled(cases: Iterable[CaseSummary], columns: Columns) -> frozenset[str]:
    """Those of `columns` for which at least one of `cases` has a value."""
    cases = list(cases)
    return frozenset(
        name for name, value in columns.items() if any(value(case) not in (None, "", MISSING) for case in cases)
    )


def filled_fields(lines: Sequence[Any]) -> frozenset[str]:
    """The fields that at least one of these lines of a table (dataclasses of one type, figures in words) has."""
    return frozenset(
        field.name
        for field in (fields(lines[0]) if lines else ())
        if any(getattr(line, field.name) not in (None, "", MISSING) for line in lines)
    )
