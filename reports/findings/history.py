"""What the history says of a session, for the verdict of its report."""

from collections.abc import Iterable

from reports.findings.base import Code, Finding
from reports.history.session_regressions import Regression


def history_findings(regressions: Iterable[Regression]) -> list[Finding]:
    """A finding for each thing that is worse, or may be."""
    return [
        Finding(Code.HISTORY, each.level, f"{each.sentence}.", each.case, (each.case,), {"kind": each.kind})
        for each in regressions
    ]
