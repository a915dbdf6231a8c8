"""A finding that something broke, in few words: what, how much, since when, what to do; the same wherever it is told.

The finding itself says it at length, with its interval, commits and reasons.
"""

import re
from dataclasses import dataclass

from reports.findings.base import Code, Finding
from reports.text.formatting import first_clause, first_line, gate_percent, percent, plain_reason

MOST = 80


@dataclass(frozen=True)
class Cause:
    """A reason as tools give it (`pattern`), `what` it means and what to `do` about it."""

    pattern: re.Pattern[str]
    what: str
    do: str


# The first that fits. Each message is that of the tool named.
CAUSES = (
    # PyTorch's Inductor (InvalidCxxCompiler) and Triton ("Failed to find C compiler").
    Cause(
        re.compile(r"InvalidCxxCompiler|no (working )?(C\+\+ )?compiler|failed to find C compiler", re.IGNORECASE),
        "no C++ compiler found",
        "install g++",
    ),
    Cause(
        re.compile(r"out of memory|OutOfMemory|cannot allocate memory|MemoryError|bad_alloc", re.IGNORECASE),
        "out of memory",
        "free memory, or smaller --batches",
    ),
    Cause(re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE), "disk full", "free some space"),
    # `fixtures.isolation.pool`, of a process that overran its limit or was ended.
    Cause(re.compile(r"no answer within ([\d.]+ s)"), r"no answer within \1", "see its log, or more --case-seconds"),
    Cause(re.compile(r"was ended by SIGKILL"), "killed, as the system does where memory runs out", "free memory"),
    Cause(re.compile(r"ModuleNotFoundError|No module named"), "", "python -m fixtures.doctor says what to install"),
)
# What to do, by the code of the finding, where its reason does not tell it.
DO: dict[Code, str] = {
    Code.STAGE_ERROR: "see its log",
    Code.STAGE_FAILED: "see its log",
    Code.GATE_FAILED: "do not ship it",
    Code.RECORD_INCONSISTENT: "build it again",
    Code.PIPELINE_ERROR: "see the log",
    Code.PIPELINE_FAILED: "do not use it",
    Code.SERVING_ERROR: "see whether the server answers",
    Code.SERVING_FAILED: "do not use it",
    Code.BASELINE_IMPLAUSIBLE: "check weights, images and labels",
    Code.HISTORY: "compare with the last good run",
    Code.MATRIX_NOTHING_RUNS: "see what is missing",
}
DO_RUN = "see the log, then resume"


@dataclass(frozen=True)
class Brief:
    """`what` broke and how much, and what to `do`, in a few words each."""

    what: str
    do: str


def brief(finding: Finding) -> Brief:
    """This finding in few words."""
    data, do = finding.data, DO.get(finding.code, DO_RUN)
    if change := data.get("change"):
        return Brief(str(change), do)
    ratio, least = data.get("ratio"), data.get("least")
    if isinstance(ratio, float) and isinstance(least, float):
        high = data.get("high")
        undecided = isinstance(high, float) and ratio < least <= high
        kept = f"keeps {percent(ratio, least)} of {data.get('metric')} ({gate_percent(least)} needed)"
        return Brief(kept, f"{do}; more images would decide" if undecided else do)
    if reason := data.get("reason"):
        stage = data.get("stage", "")
        for cause in CAUSES:
            if found := cause.pattern.search(str(reason)):
                what = found.expand(cause.what) or _short(str(reason))
                return Brief(f"{stage}: {what}", cause.do)
        return Brief(f"{stage}: {_short(str(reason))}", do)
    return Brief(first_clause(finding.sentence, MOST), do)


def brief_since(since: str) -> str:
    """Since when, without commits and versions: `passed last on 2026-11-20`, `since 2026-11-20`."""
    return re.split(r",| \(", since)[0].rstrip(".")


def _short(reason: str) -> str:
    return first_line(plain_reason(reason), MOST).rstrip(".")
