"""Whether two runs may be set side by side, what differs between them beside the engines, and how far apart the times
of equal runs may lie."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.analysis.cases import CaseSummary
from reports.analysis.timing_quality import SPREAD, WIDE, WIDE_IQR, caveats, relative_iqr
from reports.description.machine import gpu_facts, machine
from reports.errors import ReportError
from reports.history.regressions import between
from reports.history.store import session_lines
from reports.record.machine import on_gpu
from reports.record.merge import FREE
from reports.record.schema import Row
from reports.text.formatting import join_words, significant

# Of the runs behind `WIDE_IQR`, medians of two lay up to 1.49 times the larger range apart where it was wide.
IQRS_APART = 2.0


def one_machine(one: Row, other: Row) -> str:
    """The name of the machine of two session rows.

    Raises `ReportError` for two machines, and for two suites, whose networks have the same names.
    """
    facts: dict[str, tuple[Any, Any]] = {
        "session": (one["session"], other["session"]),
        "machines": (machine(one)[0], machine(other)[0]),
        "devices": ("a card" if on_gpu(one) else "the CPU", "a card" if on_gpu(other) else "the CPU"),
        "suites": (one["suite"].get("name"), other["suite"].get("name")),
    }
    if not on_gpu(one):
        facts["numbers of CPU cores"] = (one["environment"].get("cores"), other["environment"].get("cores"))
    left, right = facts.pop("session")
    if left == right:
        raise ReportError(f"A and B are the same session {left}", hint="give the records of two runs")
    for what, (left, right) in facts.items():
        if left != right:
            raise ReportError(
                f"A and B are of different {what}: {left} and {right}; their figures are not comparable",
                hint="give two runs of the same suite on the same machine",
            )
    return machine(one)[0]


def one_quantity(before: CaseSummary, after: CaseSummary) -> None:
    """Raise `ReportError` where a case's times are device time in one run and end-to-end latency in the other."""
    if not before.latency or not after.latency:
        return
    left, right = (
        f"{case.speed.quantity or 'an unnamed quantity'} by {case.speed.instrument}" for case in (before, after)
    )
    if left != right:
        raise ReportError(
            f"{before.id} is {left} in A and {right} in B; the two cannot be divided",
            hint="measure both with the same version of the suite and the same options",
        )


def as_equal_runs(before: CaseSummary, after: CaseSummary, ratio: float) -> str:
    """Why two runs of one engine might differ by this `ratio` of their times as well; empty where they would not.

    The medians' intervals cannot tell: they say how well each run knows its own median, and where the calls spread
    widely, the median itself differs from run to run.
    """
    difference, sides = max(ratio, 1 / ratio) - 1, (("A", before), ("B", after))
    for name, case in sides:
        for caveat in caveats(case):
            if caveat.share is not None and caveat.code not in (SPREAD, WIDE) and difference <= caveat.share:
                return f"{name}: {caveat.words}, by {significant(100 * caveat.share, 2)} %, which is as much"
    iqr, name = max((relative_iqr(case) or 0.0, name) for name, case in sides)
    if iqr <= WIDE_IQR or difference > IQRS_APART * iqr:
        return ""
    spans, apart = (significant(100 * share, 2) for share in (iqr, IQRS_APART * iqr))
    return f"{name}: the middle half of its calls spans {spans} % of their median; equal runs may lie {apart} % apart"


def changes(before: Sequence[Row], after: Sequence[Row]) -> tuple[tuple[str, str, str], ...]:
    """(name, in A, in B) of everything beside the engines that differs between two sessions."""
    old, new = _described(before), _described(after)
    changed = between({**old, "session": "", "at": ""}, {**new, "session": "", "at": ""})[2]
    return tuple((name, *values) for name, values in changed.items())


def _described(rows: Sequence[Row]) -> dict[str, Any]:
    """Everything that may move a figure, name by name: what a history keeps, the commit, the settings, the data."""
    line, session = session_lines(rows)[1], rows[0]
    settings = {f"setting {name}": _words(value) for name, value in session["settings"].items() if name not in FREE}
    data = {
        f"{part} {name}": _words(value)
        for part, facts in session["suite"].items()
        if isinstance(facts, Mapping)
        for name, value in facts.items()
        if name not in ("path", "sha256")
    }
    described = {**line["environment"], **dict(gpu_facts(session)), **settings, **data}
    return {"commit": "", "environment": described | ({"commit": line["commit"]} if line["commit"] else {})}


def _words(value: Any) -> str:
    return join_words(value, most=20) if isinstance(value, list | tuple) else str(value)
