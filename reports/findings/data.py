"""Checks on the data: what was left out or read otherwise, and whether the baseline is a yardstick."""

from collections.abc import Iterator

from reports.analysis.cases import CaseSummary
from reports.findings.base import Code, Data, Finding, Session, together
from reports.record.notices import read_notices
from reports.record.results import AccuracyResult

# Under the details of an accuracy: why its labels judged nothing.
LABELS_UNUSED = "zero-shot top-1 not judged"


def departures(seen: Session) -> Iterator[Finding]:
    """One finding for what changes a score, one for what was only read otherwise."""
    notices = read_notices(seen.rows[0]["suite"])
    for code, level, changes, introduction in (
        (Code.DATA_CHANGES_SCORE, "warn", True, "The data is not all as it should be, which changes what is scored"),
        (Code.DATA_READ_OTHERWISE, "info", False, "The data was read otherwise than it is written"),
    ):
        departing = [notice for notice in notices if notice.changes_score is changes]
        if departing:
            counts: Data = {notice.code: notice.count for notice in departing}
            yield Finding(
                code, level, f"{introduction}: {'; '.join(notice.sentence for notice in departing)}.", data=counts
            )


def implausible(case: CaseSummary) -> str:
    """Why the baseline of this case is no yardstick; empty where it is one, or nobody judged."""
    return case.result(AccuracyResult).implausible_baseline or ""


def implausible_baseline(seen: Session) -> Iterator[Finding]:
    """A baseline that finds next to nothing: whatever agrees with it proves nothing."""
    remarks: list[tuple[CaseSummary, str, Data]] = [
        (case, f"{reason}.", {}) for case in seen.cases if (reason := implausible(case))
    ]
    yield from together(Code.BASELINE_IMPLAUSIBLE, "fail", remarks)


def labels_unused(seen: Session) -> Iterator[Finding]:
    """Zero-shot answers that were held against the baseline's alone, as the baseline has none right."""
    remarks: list[tuple[CaseSummary, str, Data]] = [
        (case, f"judged by agreement alone: {reason}, which leaves no share to keep.", {})
        for case in seen.cases
        if (reason := case.result(AccuracyResult).details.get(LABELS_UNUSED))
    ]
    yield from together(Code.ACCURACY_LABELS_UNUSED, "warn", remarks)
