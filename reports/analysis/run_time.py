"""What a run costs: seconds a case, and how much of a run is neither building, measuring nor scoring."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.record.results import read_seconds
from reports.record.schema import PIPELINE_KIND, SERVING_KIND, Row
from reports.text.formatting import significant


@dataclass(frozen=True)
class Parts:
    """The parts of a session that was resumed, or its only one: how long those took that came to an end."""

    count: int
    ended_s: tuple[float, ...]
    finished: bool

    @property
    def whole(self) -> bool:
        """Whether every part came to an end by itself: nobody knows how long one took that was killed."""
        return self.finished and len(self.ended_s) == self.count

    def sentence(self) -> str:
        """`took 12 min 3 s in 2 parts`."""
        if not self.finished or not self.ended_s:
            return "did not finish"
        minutes, rest = divmod(round(sum(self.ended_s)), 60)
        took = f"{minutes} min {rest} s" if minutes else f"{rest} s"
        return f"took {'' if self.whole else 'at least '}{took}{f' in {self.count} parts' if self.count > 1 else ''}"


def parts(session: Sequence[Row]) -> Parts:
    """The parts of the session in these rows; a `resume` row begins one, an `end` row ends it."""
    ends: list[float | None] = [None]
    for row in session:
        if row["kind"] == "resume":
            # `reports.record.store.last_session` moves what the end before it said to the resumption itself.
            ends[-1:] = [read_seconds(row, "part_seconds") if ends[-1] is None else ends[-1], None]
        elif row["kind"] == "end":
            ends[-1] = read_seconds(row)
    return Parts(len(ends), tuple(each for each in ends if each is not None), ends[-1] is not None)


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
    recorded = [answer.seconds for answer in case.answers.values() if answer.seconds is not None]
    return sum(recorded) if recorded else None


def session_cost(session: Sequence[Row]) -> Cost | None:
    """What the rows of one session say; None where a part of it has no end, or shards were put together."""
    session_parts = parts(session)
    if not session_parts.whole or session[0]["settings"].get("shards"):
        return None
    total = sum(session_parts.ended_s)
    kinds = ("case", PIPELINE_KIND, SERVING_KIND)
    work = [read_seconds(row["values"], "work_seconds") for row in session if row["kind"] in kinds]
    recorded = [seconds for seconds in work if seconds is not None]
    return Cost(total, sum(recorded)) if total and recorded and sum(recorded) <= total else None
