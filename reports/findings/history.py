"""What the history says of a session, for the verdict of its report."""

from collections.abc import Iterable

from reports.analysis.cases import CaseSummary
from reports.findings.base import Code, Finding
from reports.history.session_regressions import Regression


def history_findings(regressions: Iterable[Regression], cases: Iterable[CaseSummary] = ()) -> list[Finding]:
    """A finding for each thing that is worse, or may be, case by case.

    `cases` are those of the session: one that is not among them is told by its id.
    """
    titles = {case.id: case.title for case in cases}
    return [
        Finding(
            Code.HISTORY,
            each.level,
            f"{each.sentence}.",
            titles.get(each.case, each.case),
            (each.case,),
            {"kind": each.kind, "change": each.change},
        )
        for each in regressions
    ]
