"""A sentence of the verdict, and what the checks that find such sentences look at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.analysis.phrases import describe_cases
from reports.record.schema import Row

# In the order of reading: what broke, or the one line that nothing did; then what to take with care.
LEVELS = ("fail", "ok", "warn", "info")
LEVEL_WORDS = {"fail": "Failed", "warn": "Warning", "ok": "OK", "info": "Note"}


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict. `level` is "fail", "warn", "ok" or "info", `place` the section that tells more."""

    level: str
    text: str
    place: str = ""


@dataclass(frozen=True)
class Session:
    """What the checks look at: the rows of one session, its cases, and the least ratio that passes."""

    rows: Sequence[Row]
    cases: Sequence[CaseSummary]
    least: float


def together(level: str, said: Iterable[tuple[CaseSummary, str]]) -> Iterator[Finding]:
    """One finding for all cases about which the same is said."""
    groups: dict[str, list[CaseSummary]] = {}
    for case, text in said:
        groups.setdefault(text, []).append(case)
    for text, cases in groups.items():
        yield Finding(level, f"{describe_cases(cases)}: {text}")
