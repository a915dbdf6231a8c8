"""The pictures of one case, and the same in figures."""

from dataclasses import dataclass

from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.stationarity import readable
from reports.charts import gpu_trace
from reports.charts.samples import picture
from reports.charts.samples import table as sample_table
from reports.record.parsing import number


@dataclass(frozen=True)
class Table:
    """A picture in figures."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def chart(case: CaseSummary) -> Markup | None:
    found, samples = case.latency, readable(case.values("speed").get("samples_ms"))
    marks = {name: getattr(found, f"{name}_ms") if found else None for name in ("p50", "p90", "p99")}
    return picture(samples, marks, f"Samples of {case.name}; told below")


def _recorded_trace(case: CaseSummary) -> object:
    state = case.values("speed").get("card")
    return state.get("trace") if isinstance(state, dict) else None


def card(case: CaseSummary) -> Markup | None:
    label = f"The card while {case.name} was measured; told below"
    return gpu_trace.picture(_recorded_trace(case), label, number(case.values("speed"), "warmup_s"))


def tables(case: CaseSummary) -> tuple[Table, ...]:
    """What the pictures show, in figures."""
    samples = sample_table(readable(case.values("speed").get("samples_ms")))
    units, readings = gpu_trace.table(_recorded_trace(case))
    tables = (
        Table(("calls", "median ms", "fastest", "slowest"), tuple(samples)),
        Table(("s", *units), tuple(readings)),
    )
    return tuple(table for table in tables if table.lines)
