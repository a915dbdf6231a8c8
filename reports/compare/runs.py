"""Two runs of one machine side by side, for instance before and after an update of the driver: what changed in the
environment, and what became of each case.

Two runs, even an hour apart, differ by drift; `DRIFT` says so wherever the comparison is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment

from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.phrases import describe_cases
from reports.analysis.timing_quality import caveats
from reports.compare.compatibility import as_equal_runs, changes, one_machine, one_quantity
from reports.compare.throughput import ThroughputPair, compare_throughputs, throughput_findings
from reports.compare.verdict import FASTER, LEAST, NOT_ASKED, NOT_TIMED, SAME, SLOWER, UNCLEAR, by_interval
from reports.errors import ReportError
from reports.findings.base import Code, Finding, ids
from reports.history.session_regressions import FIGURES
from reports.html.templating import make_environment
from reports.record.files import write_atomically
from reports.record.ratio import speed_ratio
from reports.record.results import Ratio
from reports.record.schema import Row
from reports.record.store import last_session
from reports.text import formatting
from reports.text.formatting import first_line

LEAST_ACCURACY = FIGURES["accuracy ratio"].least
DRIFT = (
    "Two runs on one machine, even an hour apart, differ by drift: clocks, temperature, other work. The intervals say "
    "how well each run knows its own median, not how far two equal runs lie apart. To tell a small difference from "
    "drift, time the two engines in turns: python -m fixtures.compare A B."
)


@dataclass(frozen=True)
class Pair:
    """One case in both runs. `speed` is the ratio B over A of the speeds; `why` says why it gives no verdict.

    `accuracy` is the share of the baseline's accuracy that is kept, B minus A.
    """

    before: CaseSummary
    after: CaseSummary
    speed: Ratio | None
    verdict: str
    why: str
    accuracy: float | None

    @property
    def gate(self) -> str:
        """The gate's word, or both where it changed."""
        return _arrow(self.before.gate_label, self.after.gate_label)

    def build(self, key: str) -> tuple[float | None, float | None]:
        """A figure of both builds, A first."""
        return getattr(self.before.build, key), getattr(self.after.build, key)


@dataclass(frozen=True)
class SideBySide:
    """Run A (`before`) and run B (`after`) by their session rows; `changed` has (name, in A, in B).

    `only_before` and `only_after` are the cases that ran in one of them, with what is known of the other. `throughputs`
    are the pipelines and served models of both.
    """

    before: Row
    after: Row
    machine: str
    changed: tuple[tuple[str, str, str], ...]
    pairs: tuple[Pair, ...]
    only_before: tuple[tuple[CaseSummary, str], ...]
    only_after: tuple[tuple[CaseSummary, str], ...]
    throughputs: tuple[ThroughputPair, ...]


def compare(before: Sequence[Row], after: Sequence[Row]) -> SideBySide:
    """The last sessions of two records. Raises `ReportError` where their figures are not of the same thing."""
    one, other = (_session(name, rows) for name, rows in (("A", before), ("B", after)))
    name = one_machine(one[0], other[0])
    left, right = ({case.id: case for case in summarize(rows)} for rows in (one, other))
    pairs = [(case, right[case.id]) for case in left.values() if case.id in right]
    both = [(case, other) for case, other in pairs if case.attempted and other.attempted]
    for pair in both:
        one_quantity(*pair)
    return SideBySide(
        before=one[0],
        after=other[0],
        machine=name,
        changed=changes(one, other),
        pairs=tuple(_pair(*pair) for pair in both),
        only_before=_only(left, right, "B"),
        only_after=_only(right, left, "A"),
        throughputs=compare_throughputs(one, other),
    )


def findings_of(comparison: SideBySide) -> list[Finding]:
    """What a reader has to know first: what broke, what is slower, then the rest."""

    def of(verdict: str) -> list[CaseSummary]:
        return [pair.after for pair in comparison.pairs if pair.verdict == verdict]

    closed = [pair.after for pair in comparison.pairs if pair.after.gate_label == "fail" != pair.before.gate_label]
    opened = [
        pair.after for pair in comparison.pairs if pair.before.gate_label == "fail" and pair.after.gate_label == "pass"
    ]
    crashed = [pair.after for pair in comparison.pairs if pair.after.status == "error" != pair.before.status]
    open_in_b = [
        pair for pair in comparison.pairs if pair.after.gate not in ("pass", "fail") and pair.after.status != "error"
    ]
    unjudged = [pair.after for pair in open_in_b if pair.before.gate == "pass"]
    less = [p.after for p in comparison.pairs if p.accuracy is not None and p.accuracy <= -LEAST_ACCURACY]
    matters = f"by {100 * LEAST:g} % or more"
    remarks = [
        (Code.COMPARE_GATE_FAILED, "fail", "The gate fails in B and did not in A: {}.", closed),
        (Code.COMPARE_ERROR, "fail", "Stopped with an error in B and did not in A: {}.", crashed),
        (
            Code.COMPARE_CANNOT_RUN,
            "fail",
            "Ran in A and could not in B: {}.",
            [case for case, why in comparison.only_before if why != NOT_ASKED],
        ),
        (Code.COMPARE_SLOWER, "warn", f"Slower in B {matters}: {{}}.", of(SLOWER)),
        (
            Code.COMPARE_LESS_ACCURATE,
            "warn",
            f"Keeps less accuracy in B, by {100 * LEAST_ACCURACY:g} points or more: {{}}.",
            less,
        ),
        (Code.COMPARE_NOT_JUDGED, "warn", "The gate passes in A, and B did not judge it: {}.", unjudged),
        (Code.COMPARE_UNCLEAR, "warn", "Unclear, the reason stands beside each: {}.", of(UNCLEAR)),
        (Code.COMPARE_GATE_PASSED, "ok", "The gate passes in B and failed in A: {}.", opened),
        (Code.COMPARE_FASTER, "ok", f"Faster in B {matters}: {{}}.", of(FASTER)),
        (Code.COMPARE_SAME, "ok", f"The same speed within {100 * LEAST:g} %: {{}}.", of(SAME)),
        (Code.COMPARE_NOT_TIMED, "info", "Not timed in both: {}.", of(NOT_TIMED)),
        (
            Code.COMPARE_NOT_ASKED,
            "info",
            "Ran in A and was not asked in B: {}.",
            [case for case, why in comparison.only_before if why == NOT_ASKED],
        ),
    ]
    findings = [
        Finding(code, level, text.format(describe_cases(cases)), cases=ids(cases), data={"count": len(cases)})
        for code, level, text, cases in remarks
        if cases
    ]
    nothing = [Finding(Code.COMPARE_NOTHING, "warn", "No case ran in both runs: there is nothing to compare.")]
    beside = throughput_findings(comparison.throughputs)
    order = ("fail", "warn", "ok", "info")
    findings = sorted([*findings, *beside], key=lambda finding: order.index(finding.level))
    return (
        findings if comparison.pairs or any(pair.in_both for pair in comparison.throughputs) else [*nothing, *findings]
    )


@cache
def _environment() -> Environment:
    return make_environment(kept=kept, points=points)


def render(comparison: SideBySide) -> str:
    """The comparison as one page that needs nothing else; all text of the records is escaped."""
    template = _environment().get_template("side_by_side.html.j2")
    only = (("A", comparison.only_before), ("B", comparison.only_after))
    return template.render(
        comparison=comparison, findings=findings_of(comparison), only=only, drift=DRIFT, missing=formatting.MISSING
    )


def write(comparison: SideBySide, path: Path) -> None:
    """Write the page whole or not at all. Raises `ReportError` where that cannot be done."""
    try:
        write_atomically(path, render(comparison))
    except OSError as error:
        raise ReportError(
            f"{path}: cannot write the page: {error.strerror or error}",
            hint="name another, writable file with --output, or leave it out: the text has the same figures",
        ) from error


def kept(case: CaseSummary) -> str:
    """The share of the baseline's accuracy: `99.6 %`."""
    ratio = case.metric.ratio if case.metric else None
    return formatting.percent(ratio.value if ratio else None, 0.0)


def points(difference: float | None) -> str:
    """A difference of two percentages: `+0.3 points`."""
    return formatting.MISSING if difference is None else f"{100 * difference:+.1f} points"


def _session(name: str, rows: Sequence[Row]) -> Sequence[Row]:
    session = last_session(list(rows))
    if not session:
        raise ReportError(f"record {name} holds no session", hint="give the rows of a benchmark run, from the first on")
    return session


def _pair(before: CaseSummary, after: CaseSummary) -> Pair:
    speed = speed_ratio(after.latency, before.latency) if before.latency and after.latency else None
    verdict, why = _judge(before, after, speed)
    ratios = [case.metric.ratio for case in (before, after) if case.metric and case.metric.ratio]
    same = before.metric and after.metric and before.metric.name == after.metric.name
    accuracy = ratios[1].value - ratios[0].value if len(ratios) == 2 and same else None
    return Pair(before, after, speed, verdict, why, accuracy)


def _judge(before: CaseSummary, after: CaseSummary, speed: Ratio | None) -> tuple[str, str]:
    """A verdict holds where the whole interval lies on one side of what matters, and a difference where it is larger
    than what two equal runs may show."""
    sides = (("A", before), ("B", after))
    if speed is None:
        return NOT_TIMED, "; ".join(f"{name}: {_why_idle(case)}" for name, case in sides if not case.latency)
    if distrust := [f"{name}: {doubt}" for name, case in sides for doubt in _doubts(case)]:
        return UNCLEAR, "; ".join(distrust)
    if speed.low is None or speed.high is None:
        return UNCLEAR, "no interval was recorded"
    verdict, why = by_interval(speed.low, speed.high)
    if verdict == UNCLEAR:
        return verdict, why
    if verdict in (FASTER, SLOWER) and (spread := as_equal_runs(before, after, speed.value)):
        return UNCLEAR, spread
    return verdict, ""


def _doubts(case: CaseSummary) -> list[str]:
    """Why its time says nothing beside another run's. A caveat that says by how much it may be off is weighed against
    the difference itself (`as_equal_runs`)."""
    doubts = [*case.problems, *(f"{question} failed" for question in case.failed_stages)]
    unbounded = (each for each in caveats(case) if each.share is None and not each.of_second_clock)
    return [*doubts, *(each.words for each in unbounded)]


def _only(
    here: Mapping[str, CaseSummary], there: Mapping[str, CaseSummary], name: str
) -> tuple[tuple[CaseSummary, str], ...]:
    """The cases that ran here and not there, and what the other run, `name`, says of them."""
    attempted = [(case, there.get(case.id)) for case in here.values() if case.attempted]
    lost = [(case, other) for case, other in attempted if other is None or not other.attempted]
    return tuple((case, f"{name}: {_why_idle(other)}" if other else NOT_ASKED) for case, other in lost)


def _why_idle(case: CaseSummary) -> str:
    reason = next((reason for question, _, reason in case.reasons() if question in ("matrix", "build", "speed")), "")
    return first_line(reason, 160) or "it was not timed"


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"
