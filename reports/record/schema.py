"""The rows of a record: what was asked of which machine, what each case answered, and how the session ended."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SCHEMA = 1
QUESTIONS = ("matrix", "build", "speed", "accuracy")
OUTCOMES = ("passed", "failed", "skipped", "error")
CASE_FIELDS = ("id", "model", "task", "backend", "precision", "batch")

Row = dict[str, Any]


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
class CaseRow:
    """One answer to one question about one case. A later row for the same two replaces it."""

    session: str
    case: Mapping[str, Any]
    question: str
    outcome: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    seconds: float | None = None
    """Wall time of the question, the suite's own share included."""
    at: str = field(default_factory=utc_now)

    def to_dict(self) -> Row:
        return {"kind": "case", **vars(self)}


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
    if kind not in ("session", "case", "resume", "end"):
        return f"kind {kind!r} is none of session, case, resume, end"
    if not isinstance(row.get("session"), str):
        return "it names no session"
    if kind == "session":
        if row.get("schema") != SCHEMA:
            return f"its schema is {row.get('schema')!r}, this version reads {SCHEMA}"
        wrong = [name for name in ("suite", "settings", "environment") if not isinstance(row.get(name), dict)]
        return f"{wrong[0]} is no object" if wrong else None
    return _case_fault(row) if kind == "case" else None


def _case_fault(row: Mapping[str, Any]) -> str | None:
    case = row.get("case")
    if not isinstance(case, dict) or (missing := [name for name in CASE_FIELDS if name not in case]):
        return f"its case lacks {', '.join(missing) if isinstance(case, dict) else 'everything'}"
    if row.get("question") not in QUESTIONS:
        return f"question {row.get('question')!r} is none of {', '.join(QUESTIONS)}"
    if row.get("outcome") not in OUTCOMES:
        return f"outcome {row.get('outcome')!r} is none of {', '.join(OUTCOMES)}"
    return None if isinstance(row.get("values"), dict) else "its values are no object"
