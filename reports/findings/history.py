"""What the history says of a session, for the verdict of its report."""

from collections.abc import Iterable

from reports.findings.base import Finding
from reports.history.session_regressions import Regression


def history_findings(regressions: Iterable[Regression]) -> list[Finding]:
    """A finding for each thing that is worse, or may be."""
    return [Finding(each.level, f"{each.case}: {each.sentence}.") for each in regressions]
