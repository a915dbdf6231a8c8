"""The record of a session: one JSON object a line, on the disk the moment it is known.

A benchmark may be killed at any moment (out of memory, a driver abort, a hung build). A row is therefore
appended, flushed and synced before the next case begins, and a reader forgives exactly the damage that a
crash can do: a last line that was cut off.
"""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reports.errors import ReportError

SCHEMA = 1
QUESTIONS = ("matrix", "build", "speed", "accuracy", "history")
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


class Recorder:
    """Appends rows to one file. One process writes a file at a time; any number may read it.

    Opening creates the folders that are missing. Every failure of the disk is a `ReportError` that names
    the file; the rows written before it stay whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _disk_error("cannot open the record", self.path, error) from error
        try:
            self._continue_existing()
        except OSError as error:
            self.close()
            raise _disk_error("cannot open the record", self.path, error) from error
        except ReportError:
            self.close()
            raise

    def write(self, row: Row | SessionRow | CaseRow | ResumeRow | EndRow) -> None:
        """Append one row and return once the disk has it. A row of the wrong shape is a `ValueError`."""
        plain = _plain(row if isinstance(row, dict) else row.to_dict())
        if wrong := row_fault(plain):
            raise ValueError(f"this row cannot be recorded: {wrong}")
        line = (json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")
        before = os.fstat(self._file).st_size
        try:
            self._append(line)
        except OSError as error:
            # A full disk may take half of a line. Take that half back, or the next row would be glued to it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, before)
            raise _disk_error("cannot write to the record", self.path, error) from error
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _disk_error("cannot write to the record", self.path, error) from error

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        done = 0
        while done < len(line):
            done += os.write(self._file, line[done:])

    def _continue_existing(self) -> None:
        """Refuse to append to a file that is no record; end a last line that an earlier crash cut off."""
        size = os.fstat(self._file).st_size
        if not size:
            return
        with self.path.open("rb") as existing:
            first = _parse(existing.readline())
        if fault := "it is no JSON object" if first is None else row_fault(first):
            raise _foreign(self.path, 1, fault)
        if os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """All rows of a record, in the order in which they were written.

    A line that a crash cut off, at the end of the file or just before a session begins or goes on, becomes
    `{"kind": "torn", "line": number, "bytes": length}`, so that a report can mention it. Anything else that
    is no row of this schema is a `ReportError` that names the line.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ReportError(
            f"{path}: cannot read the record: {error.strerror}",
            mend="give the path of a rows file that a benchmark run wrote (it ends in .jsonl)",
        ) from error
    if lines[-1] == b"":
        lines.pop()
    parsed = [_parse(line) for line in lines]
    rows: list[Row] = []
    for number, (line, row) in enumerate(zip(lines, parsed, strict=True), start=1):
        following = parsed[number] if number < len(parsed) else None
        goes_on = (following or {}).get("kind") in ("session", "resume")
        if row is None and number > 1 and (number == len(lines) or goes_on):
            rows.append({"kind": "torn", "line": number, "bytes": len(line)})
            continue
        fault = "it is no JSON object" if row is None else row_fault(row)
        if not fault and number == 1 and row and row["kind"] != "session":
            fault = "the first row must describe the session"
        if row is None or fault:
            raise _foreign(path, number, fault or "")
        rows.append(row)
    if not rows:
        raise _foreign(path, 1, "the file is empty")
    return rows


def last_session(rows: list[Row]) -> list[Row]:
    """The rows of the session that began last, torn lines included. A record may hold several sessions.

    An end that was followed by a resumption was none, and is left out.
    """
    starts = [index for index, row in enumerate(rows) if row["kind"] == "session"]
    session = rows[starts[-1] :] if starts else []
    resumed = max((index for index, row in enumerate(session) if row["kind"] == "resume"), default=0)
    return [row for index, row in enumerate(session) if row["kind"] != "end" or index > resumed]


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


def _parse(line: bytes) -> Row | None:
    try:
        row = json.loads(line, parse_constant=lambda _: None)  # a NaN would poison every later comparison
    except ValueError:  # UnicodeDecodeError is one, too
        return None
    return row if isinstance(row, dict) else None


def _plain(value: Any) -> Any:
    """The value as JSON knows it: NumPy scalars become numbers, paths strings, NaN and infinity null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)


def _disk_error(what: str, path: Path, error: OSError) -> ReportError:
    return ReportError(
        f"{path}: {what}: {error.strerror or error}",
        mend="free some space or name another, writable output folder; the rows written so far are kept",
    )


def _foreign(path: Path, number: int, fault: str) -> ReportError:
    return ReportError(
        f"{path}, line {number}: not a row of a benchmark record: {fault}",
        mend="give a rows file as a benchmark run wrote it; a file that was edited or mixed cannot be trusted",
    )
