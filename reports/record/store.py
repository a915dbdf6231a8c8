"""The record of a session: one JSON object a line, on the disk the moment it is known.

A benchmark may be killed at any moment (out of memory, a driver abort, a hung build). A row is therefore
appended, flushed and synced before the next case begins, and a reader forgives exactly the damage that a
crash can do: a last line that was cut off.
"""

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reports.errors import ReportError
from reports.record.schema import EndRow, ResumeRow, Row, SessionRow, StageRow, row_fault

NO_SESSION = "the first row must describe the session"


class Recorder:
    """Appends rows to one file. One recorder writes a file at a time, another is refused; any number may read it.

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
            # The kernel lets go of it with the process, however that ends.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise ReportError(
                f"{self.path}: another run is writing this record",
                hint="wait for it, or end it, or give another folder (--output)",
            ) from error
        try:
            self._continue_existing()
        except OSError as error:
            self.close()
            raise _disk_error("cannot open the record", self.path, error) from error
        except ReportError:
            self.close()
            raise

    def write(self, row: Row | SessionRow | StageRow | ResumeRow | EndRow) -> None:
        """Append one row and return once the disk has it. A row of the wrong shape is a `ValueError`."""
        plain = _plain(row if isinstance(row, dict) else row.to_dict())
        if wrong := row_fault(plain):
            raise ValueError(f"this row cannot be recorded: {wrong}")
        line = (json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")
        before = os.fstat(self._file).st_size
        try:
            self._append(line)
        except BaseException as error:
            # A full disk may take half of a line, and a signal may come between two parts of one. Take that half back,
            # or the next row would be glued to it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, before)
            if not isinstance(error, OSError):
                raise
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
        fault = "it is no JSON object" if first is None else row_fault(first)
        if not fault and first and first["kind"] != "session":
            fault = NO_SESSION
        if fault:
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
            hint="give the path of a rows file that a benchmark run wrote (it ends in .jsonl)",
        ) from error
    if lines[-1] == b"":
        lines.pop()
    parsed = [_parse(line) for line in lines]
    rows: list[Row] = []
    for number, (line, row) in enumerate(zip(lines, parsed, strict=True), start=1):
        # The run that resumes may be cut off as well, in its very first row.
        following = next((each for each in parsed[number:] if each is not None), None)
        goes_on = following is None or following.get("kind") in ("session", "resume")
        if row is None and number > 1 and goes_on:
            rows.append({"kind": "torn", "line": number, "bytes": len(line)})
            continue
        fault = "it is no JSON object" if row is None else row_fault(row)
        if not fault and number == 1 and row and row["kind"] != "session":
            fault = NO_SESSION
        if row is None or fault:
            raise _foreign(path, number, fault or "")
        rows.append(row)
    if not rows:
        raise _foreign(path, 1, "the file is empty")
    return rows


def last_session(rows: list[Row]) -> list[Row]:
    """The rows of the session that began last, torn lines included. A record may hold several sessions.

    An end that was followed by a resumption was none, and is left out; the resumption keeps its `part_seconds`.
    """
    starts = [index for index, row in enumerate(rows) if row["kind"] == "session"]
    session = rows[starts[-1] :] if starts else []
    kept: list[Row] = []
    for row in session:
        ends = [each for each in kept if each["kind"] == "end"] if row["kind"] == "resume" else []
        kept = [each for each in kept if each not in ends] if ends else kept
        kept.append({**row, "part_seconds": ends[-1].get("seconds")} if ends else row)
    return kept


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
        hint="free some space or name another, writable output folder; the rows written so far are kept",
    )


def _foreign(path: Path, number: int, fault: str) -> ReportError:
    return ReportError(
        f"{path}, line {number}: not a row of a benchmark record: {fault}",
        hint="give a rows file as a benchmark run wrote it; a file that was edited or mixed cannot be trusted",
    )
