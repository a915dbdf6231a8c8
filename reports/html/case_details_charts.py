"""The pictures of one case, and the same in figures."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.stationarity import Floats
from reports.analysis.timing_quality import samples_by_process
from reports.charts import gpu_trace
from reports.charts.samples import picture
from reports.charts.samples import table as sample_table
from reports.record.results import GpuTelemetry


@dataclass(frozen=True)
class Table:
    """A picture in figures."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def all_samples(case: CaseSummary) -> Floats:
    """The calls of all processes that timed the case, one process after the other."""
    return np.concatenate([np.empty(0), *samples_by_process(case)])


def chart(case: CaseSummary) -> Markup | None:
    """The samples of all processes, one after the other."""
    latency, samples = case.latency, all_samples(case)
    marks = {name: getattr(latency, f"{name}_ms") if latency else None for name in ("p50", "p90", "p99")}
    return picture(samples, marks, f"Samples of {case.title}; told below")


def card(case: CaseSummary) -> Markup | None:
    label = f"The card while {case.title} was measured; told below"
    return gpu_trace.picture((case.speed.gpu or GpuTelemetry()).trace, label, case.speed.warmup_s)


def tables(case: CaseSummary) -> tuple[Table, ...]:
    """What the pictures show, in figures."""
    samples = sample_table(all_samples(case))
    units, readings = gpu_trace.table((case.speed.gpu or GpuTelemetry()).trace)
    tables = (
        Table(("calls", "median ms", "fastest", "slowest"), tuple(samples)),
        Table(("s", *units), tuple(readings)),
    )
    return tuple(table for table in tables if table.lines)
