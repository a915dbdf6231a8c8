"""A history's file: what makes it one, and how it is written so that a crash leaves the old or the new one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from reports.errors import ReportError
from reports.record.files import write_atomically

SCHEMA = 1


class NotHistoryError(Exception):
    """A file that is no history; the message says in words why."""


class Head(msgspec.Struct, tag_field="kind", tag="history"):
    """The first line: what the file is, and of which device and driver."""

    schema: int
    device: str
    driver: str


class SessionLine(msgspec.Struct, tag_field="kind", tag="session"):
    """A session: when it was, and everything that may have moved its figures."""

    session: str
    at: str
    environment: dict[str, Any]


class CaseLine(msgspec.Struct, tag_field="kind", tag="case"):
    """A case of a session; its figures are what `reports.history.store.COLUMNS` names."""

    session: str
    case: str


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a history. Raises `NotHistoryError` where it is none.

    The program replaces the file as a whole and ends every line: what ends in the middle of one was cut by
    something else, and more than that line may be gone. Going on from there would lose nights without a word.
    """
    *parts, rest = path.read_bytes().split(b"\n")
    lines: list[dict[str, Any]] = []
    for index, part in enumerate(parts, start=1):
        try:
            lines.append(_line(part, first=index == 1))
        except ValueError as fault:  # no JSON, or no line of a history (msgspec.ValidationError)
            raise NotHistoryError(f"line {index}: {fault}") from None
    if rest:
        raise NotHistoryError(f"line {len(lines) + 1}: cut off")
    if not lines:
        raise NotHistoryError("it is empty")
    return lines


def _line(part: bytes, *, first: bool) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(part)
    if not first:
        msgspec.convert(line, SessionLine | CaseLine)
    elif (schema := msgspec.convert(line, Head).schema) != SCHEMA:
        raise ValueError(f"schema {schema!r}, this version reads {SCHEMA}")
    return line


def replace_file(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write all lines in the place of the file. Raises `OSError`."""
    write_atomically(path, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))


def set_aside(path: Path, fault: str) -> ReportError:
    """Rename what is no history, so that nothing of it is lost; the error that says so."""
    count = 1
    while (aside := path.with_name(f"{path.name}.set-aside-{count}")).exists():
        count += 1
    path.rename(aside)
    return ReportError(
        f"{path}: not a history of this suite: {fault}; it is now {aside.name}",
        hint="append again to begin a new history, or restore an older copy of the file first",
    )
