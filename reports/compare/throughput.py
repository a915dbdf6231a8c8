"""Pipelines and served models of two runs side by side: photos and images a second, and what stopped in one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.compare.verdict import FASTER, LEAST, NOT_ASKED, NOT_TIMED, SAME, SLOWER, UNCLEAR, by_interval
from reports.findings.base import Code, Finding
from reports.history.throughput import Throughput, throughputs
from reports.record.ratio import speed_ratio
from reports.record.results import Latency, Ratio
from reports.record.schema import Row
from reports.text.formatting import first_line

ABSENT, SKIPPED = "absent", "skipped"
SECOND_MS = 1e3


@dataclass(frozen=True)
class ThroughputPair:
    """A pipeline, a served model or one load of it; `before` or `after` is None where that run does not have it.

    `speed` is the ratio B over A; `why` says why there is no verdict, or what speaks against one.
    """

    name: str
    before: Throughput | None
    after: Throughput | None
    speed: Ratio | None
    verdict: str
    why: str

    @property
    def statuses(self) -> tuple[str, str]:
        """How it ended in A and in B: `ABSENT` where a run does not have it."""
        return _status(self.before), _status(self.after)

    @property
    def in_both(self) -> bool:
        return not {ABSENT, SKIPPED}.intersection(self.statuses)

    @property
    def is_load(self) -> bool:
        """A load says nothing of how its served model ended."""
        return any(side is not None and side.name != side.subject for side in (self.before, self.after))


def compare_throughputs(before: Sequence[Row], after: Sequence[Row]) -> tuple[ThroughputPair, ...]:
    """What has a figure in one of two sessions, or ended otherwise in B than in A; in the order of A, then of B."""
    left, right = ({each.name: each for each in throughputs(rows)} for rows in (before, after))
    pairs = (_pair(left.get(name), right.get(name), left, right) for name in dict.fromkeys([*left, *right]))
    return tuple(
        pair
        for pair in pairs
        if not {ABSENT, SKIPPED}.issuperset(pair.statuses)
        and (
            pair.statuses[0] != pair.statuses[1] or any(each and each.per_second for each in (pair.before, pair.after))
        )
    )


def throughput_findings(pairs: Sequence[ThroughputPair]) -> list[Finding]:
    """What a reader has to know of them, the gravest first."""

    def of(verdict: str) -> list[str]:
        return [pair.name for pair in pairs if pair.verdict == verdict]

    def became(status: str) -> list[str]:
        return [
            pair.name
            for pair in pairs
            if not pair.is_load and pair.statuses[1] == status and pair.statuses[0] not in (status, ABSENT)
        ]

    matters = f"by {100 * LEAST:g} % or more"
    remarks = [
        (Code.COMPARE_GATE_FAILED, "fail", "Failed in B and did not in A: {}.", became("failed")),
        (Code.COMPARE_ERROR, "fail", "Stopped with an error in B and did not in A: {}.", became("error")),
        (Code.COMPARE_CANNOT_RUN, "fail", "Ran in A and could not in B: {}.", became(SKIPPED)),
        (Code.COMPARE_SLOWER, "warn", f"Slower in B {matters}: {{}}.", of(SLOWER)),
        (Code.COMPARE_UNCLEAR, "warn", "Unclear, the reason stands beside each: {}.", of(UNCLEAR)),
        (Code.COMPARE_FASTER, "ok", f"Faster in B {matters}: {{}}.", of(FASTER)),
        (Code.COMPARE_SAME, "ok", f"The same speed within {100 * LEAST:g} %: {{}}.", of(SAME)),
        (Code.COMPARE_NOT_ASKED, "info", "Ran in A and was not asked in B: {}.", became(ABSENT)),
    ]
    return [
        Finding(code, level, text.format("; ".join(names)), cases=tuple(names), data={"count": len(names)})
        for code, level, text, names in remarks
        if names
    ]


def _pair(
    one: Throughput | None,
    other: Throughput | None,
    left: Mapping[str, Throughput],
    right: Mapping[str, Throughput],
) -> ThroughputPair:
    known = next(side for side in (one, other) if side)
    speed = _ratio(one, other) if one and other else None
    verdict, why = _judge(one, other, speed) if one and other and speed else (NOT_TIMED, "")
    if speed is None:
        subjects = (("A", one, left.get(known.subject)), ("B", other, right.get(known.subject)))
        without = ((name, subject) for name, side, subject in subjects if not side or not side.per_second)
        why = "; ".join(f"{name}: {_why_idle(subject)}" for name, subject in without)
    return ThroughputPair(known.name, one, other, speed, verdict, why)


def _ratio(one: Throughput, other: Throughput) -> Ratio | None:
    before, after = _time(one), _time(other)
    return speed_ratio(after, before) if before and after else None


def _time(side: Throughput) -> Latency | None:
    """Milliseconds a photo or image, whose ratio is that of the rates."""
    if not side.per_second:
        return None
    low, high = (SECOND_MS / end if end else None for end in (side.high, side.low))
    return Latency(SECOND_MS / side.per_second, low, high, None, None, None, None)


def _judge(one: Throughput, other: Throughput, speed: Ratio) -> tuple[str, str]:
    sides = (("A", one), ("B", other))
    if wrong := [f"{name}: {first_line(side.reason, 160)}" for name, side in sides if side.status != "passed"]:
        return UNCLEAR, "; ".join(wrong)
    if speed.low is None or speed.high is None:
        return UNCLEAR, "no interval was recorded"
    verdict, why = by_interval(speed.low, speed.high)
    # Of pipelines on an H200 most are not steady when they are timed: that is told, and the interval decides.
    doubts = [f"{name}: not steady" for name, side in sides if side.steady is False]
    return verdict, "; ".join([*([why] if why else []), *doubts])


def _status(side: Throughput | None) -> str:
    return side.status if side else ABSENT


def _why_idle(subject: Throughput | None) -> str:
    return NOT_ASKED if subject is None else first_line(subject.reason, 160) or "no such figure"
