"""What a run costs: seconds a case, and how much of a run is neither building, measuring nor scoring."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.rows import Row
from reports.summary import CaseSummary, number
from reports.wording import significant


@dataclass(frozen=True)
class Cost:
    """Wall time of a session and the part of it that built, loaded, measured or scored, in seconds."""

    total_s: float
    work_s: float

    @property
    def own_share(self) -> float:
        """The suite's own part: imports, reading data, starting processes, writing."""
        return 1 - self.work_s / self.total_s

    def sentence(self) -> str:
        """In words, for the terminal and the report."""
        return (
            f"The run took {significant(self.total_s)} s, {significant(self.work_s)} s of it building, measuring and "
            f"scoring; {self.own_share:.0%} is the suite's own."
        )


def case_seconds(case: CaseSummary) -> float | None:
    """Wall time of all questions of a case; None where no row says it."""
    told = [number(answer, "seconds") for answer in case.answers.values()]
    known = [seconds for seconds in told if seconds is not None]
    return sum(known) if known else None


def session_cost(session: Sequence[Row]) -> Cost | None:
    """What the rows of one session say; None for one that has no end, was resumed, or was put together of shards."""
    kinds = [row["kind"] for row in session]
    ends = [row for row in session if row["kind"] == "end"]
    if len(ends) != 1 or "resume" in kinds or session[0]["settings"].get("shards"):
        return None
    total = number(ends[0], "seconds")
    work = [number(row["values"], "work_seconds") for row in session if row["kind"] == "case"]
    known = [seconds for seconds in work if seconds is not None]
    return Cost(total, sum(known)) if total and known and sum(known) <= total else None
