"""Checks on the data: what was left out or read otherwise, and whether the baseline is a yardstick."""

from collections.abc import Iterator, Mapping

from reports.findings.base import Finding, Session, together
from reports.record.notices import read_notices

IMPLAUSIBLE_BASELINE = "implausible_baseline"
# Under the details of an accuracy: why its labels judged nothing.
LABELS_UNUSED = "zero-shot top-1 not judged"


def departures(seen: Session) -> Iterator[Finding]:
    """One sentence for what changes a score, one for what was only read otherwise."""
    notices = read_notices(seen.rows[0]["suite"])
    for level, changes, said in (
        ("warn", True, "The data is not all as it should be, which changes what is scored"),
        ("info", False, "The data was read otherwise than it is written"),
    ):
        told = [notice.sentence for notice in notices if notice.changes_score is changes]
        if told:
            yield Finding(level, f"{said}: {'; '.join(told)}.")


def implausible_baseline(seen: Session) -> Iterator[Finding]:
    """A baseline that finds next to nothing: whatever agrees with it proves nothing."""
    said = [
        (case, f"{IMPLAUSIBLE_BASELINE}: {case.values('accuracy')[IMPLAUSIBLE_BASELINE]}.")
        for case in seen.cases
        if case.values("accuracy").get(IMPLAUSIBLE_BASELINE)
    ]
    yield from together("fail", said)


def labels_unused(seen: Session) -> Iterator[Finding]:
    """Zero-shot answers that were held against the baseline's alone, as the baseline has none right."""
    said = []
    for case in seen.cases:
        details = case.values("accuracy").get("details")
        if isinstance(details, Mapping) and details.get(LABELS_UNUSED):
            said.append((case, f"judged by agreement alone: {details[LABELS_UNUSED]}, which leaves no share to keep."))
    yield from together("warn", said)
