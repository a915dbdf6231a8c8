"""The vocabulary of a record: its rows, stages, outcomes, exit statuses, baseline and gate.

Both sides of the record import this module and it imports nothing of theirs: who measures writes by these rules, who
reports reads by them.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from reports.record.results import RESULT_TYPES, Result, read_tolerantly

SCHEMA = 1
# The file in the folder of a run that holds its rows.
RECORD = "rows.jsonl"
# What is measured of a case, in this order: an engine that cannot be built cannot be fast.
STAGES = ("build", "speed", "accuracy")
# What a row may be about: what a type of result stands for, a stage or that this machine cannot run the case.
QUESTIONS = tuple(RESULT_TYPES)
OUTCOMES = ("passed", "failed", "skipped", "error")
# Of rows.
CASE_KIND = "case"
# Those of a pipeline (`reports.record.pipeline`) are no cases: they name two engines and a set of photos.
PIPELINE_KIND = "pipeline"
# Nor are those of a model behind a server (`reports.record.serving`).
SERVING_KIND = "serving"
KINDS = ("session", CASE_KIND, PIPELINE_KIND, SERVING_KIND, "resume", "end")
CASE_FIELDS = ("id", "model", "task", "backend", "precision", "batch")

# What every engine of a model and batch is compared with.
BASELINE_BACKEND = "pytorch"
BASELINE_PRECISION = "fp32"
DEFAULT_TOLERANCE = 0.02  # the project's promise: an engine keeps 98 % of the baseline's accuracy
# Far above the rounding of a quotient of scores (1e-16), far below any real loss (1 of 10^6 images).
ROUNDING = 1e-9

Row = dict[str, Any]
Found = TypeVar("Found", bound=Result)


class Status(IntEnum):
    """The exit status of a run. 0 and 1 mean what they mean to pytest, which itself uses 2 to 5.

    One run may have several troubles: the first of GATE_FAILED, CASE_LOST, SLOWER names it.
    """

    PASSED = 0
    GATE_FAILED = 1
    CASE_LOST = 6
    SLOWER = 7


def reaches(value: float, min_ratio: float) -> bool:
    """The gate: whether `value` is at least `min_ratio`, whatever the floats make of an exact one. NaN is not."""
    return value >= min_ratio - ROUNDING


def utc_now() -> str:
    """The present moment as ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_session_id() -> str:
    """A name that sorts by time and differs between two sessions of one second: `20261122T161000Z-1a2b`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class SessionRow:
    """What was asked of which machine: the first row of a session."""

    session: str
    suite: Mapping[str, Any]
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    at: str = field(default_factory=utc_now)

    def to_dict(self) -> Row:
        return {"kind": "session", "schema": SCHEMA, **vars(self)}


@dataclass(frozen=True)
class StageRow:
    """One stage of a case, a pipeline or a served model. A later row for the same two replaces it.

    `kind` is `CASE_KIND`, `PIPELINE_KIND` or `SERVING_KIND`, and `subject` names what was measured. `seconds` is the
    wall time of the stage, the suite's own share included.
    """

    kind: str
    session: str
    subject: Mapping[str, Any]
    question: str
    outcome: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    seconds: float | None = None
    at: str = field(default_factory=utc_now)

    def to_dict(self) -> Row:
        return {self.kind if name == "subject" else name: value for name, value in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class StageOutcomes:
    """How the stages of one such subject ended: `outcomes` by stage, `reasons` of what did not pass."""

    outcomes: Mapping[str, str]
    reasons: Mapping[str, str]

    @property
    def attempted(self) -> bool:
        """Whether anything was tried. What this machine cannot run was not."""
        return any(outcome != "skipped" for outcome in self.outcomes.values())

    @property
    def failed(self) -> bool:
        """Whether its answers, or another stage of it, failed."""
        return "failed" in self.outcomes.values()

    @property
    def crashed(self) -> bool:
        """Whether a stage of it ended in an error, and none failed."""
        return "error" in self.outcomes.values() and not self.failed


@dataclass(frozen=True)
class SubjectRows:
    """The rows of one pipeline or served model: what names it, and the last row of each stage."""

    subject: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def outcomes(self) -> dict[str, str]:
        return {stage: str(row["outcome"]) for stage, row in self.stages.items()}

    @property
    def reasons(self) -> dict[str, str]:
        return {stage: str(row["reason"]) for stage, row in self.stages.items() if row.get("reason")}

    def values(self, kind: type[Found]) -> Found | None:
        """What the stage of this type of result found; None where nothing is recorded."""
        row = self.stages.get(kind.STAGE)
        return read_tolerantly(kind, row["values"], []) if row and row["values"] else None


def subjects(rows: Iterable[Mapping[str, Any]], kind: str) -> list[SubjectRows]:
    """Those of a kind in the order in which they were first met; other rows are passed over."""
    latest: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("kind") == kind:
            latest.setdefault(str(row[kind].get("id")), {})[row["question"]] = row
    return [SubjectRows(next(iter(stages.values()))[kind], stages) for stages in latest.values()]


@dataclass(frozen=True)
class ResumeRow:
    """An interrupted session goes on from here, perhaps on a machine that has changed."""

    session: str
    environment: Mapping[str, Any]
    at: str = field(default_factory=utc_now)

    def to_dict(self) -> Row:
        return {"kind": "resume", **vars(self)}


@dataclass(frozen=True)
class EndRow:
    """The session came to its end by itself. A session without this row crashed."""

    session: str
    seconds: float
    exit_status: int
    at: str = field(default_factory=utc_now)

    def to_dict(self) -> Row:
        return {"kind": "end", **vars(self)}


def row_fault(row: Mapping[str, Any]) -> str | None:
    """Why this is no row of the schema, in words, or None if it is one."""
    kind = row.get("kind")
    if kind not in KINDS:
        return f"kind {kind!r} is none of {', '.join(KINDS)}"
    if not isinstance(row.get("session"), str):
        return "it names no session"
    if kind == "session":
        if row.get("schema") != SCHEMA:
            return f"its schema is {row.get('schema')!r}, this version reads {SCHEMA}"
        wrong = [name for name in ("suite", "settings", "environment") if not isinstance(row.get(name), dict)]
        return f"{wrong[0]} is no object" if wrong else None
    if kind in (PIPELINE_KIND, SERVING_KIND):
        return _named_fault(row, kind)
    return _case_fault(row) if kind == "case" else None


def _named_fault(row: Mapping[str, Any], kind: str) -> str | None:
    """Of a kind whose rows describe what they are about under the kind's own name."""
    described = row.get(kind)
    if not isinstance(described, dict) or not isinstance(described.get("id"), str):
        return f"it names no {kind}"
    return _stage_fault(row)


def _case_fault(row: Mapping[str, Any]) -> str | None:
    case = row.get("case")
    if not isinstance(case, dict) or (missing := [name for name in CASE_FIELDS if name not in case]):
        return f"its case lacks {', '.join(missing) if isinstance(case, dict) else 'everything'}"
    return _stage_fault(row)


def _stage_fault(row: Mapping[str, Any]) -> str | None:
    if row.get("question") not in QUESTIONS:
        return f"question {row.get('question')!r} is none of {', '.join(QUESTIONS)}"
    if row.get("outcome") not in OUTCOMES:
        return f"outcome {row.get('outcome')!r} is none of {', '.join(OUTCOMES)}"
    return None if isinstance(row.get("values"), dict) else "its values are no object"
