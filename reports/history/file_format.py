"""A history's file: what makes it one, and how it is written so that a crash leaves the old or the new one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.errors import ReportError
from reports.record.files import write_atomically

SCHEMA = 1


def read_lines(path: Path) -> list[dict[str, Any]] | str:
    """The lines of a history, or in words why it is none.

    The program replaces the file as a whole and ends every line: what ends in the middle of one was cut by
    something else, and more than that line may be gone. Going on from there would lose nights without a word.
    """
    *parts, rest = path.read_bytes().split(b"\n")
    lines: list[dict[str, Any]] = []
    for index, part in enumerate(parts, start=1):
        try:
            line = json.loads(part)
        except ValueError:
            line = None
        if fault := _fault(line, first=index == 1):
            return f"line {index}: {fault}"
        lines.append(line)
    if rest:
        return f"line {len(lines) + 1}: cut off"
    return lines or "it is empty"


def _fault(line: Any, *, first: bool) -> str:
    if not isinstance(line, Mapping):
        return "it is no JSON object"
    if first:
        if line.get("kind") != "history" or not all(isinstance(line.get(key), str) for key in ("device", "driver")):
            return "it does not say that this is a history, and of which device and driver"
        return "" if line.get("schema") == SCHEMA else f"schema {line.get('schema')!r}, this version reads {SCHEMA}"
    if line.get("kind") not in ("session", "case") or not isinstance(line.get("session"), str):
        return "it is neither a session nor a case"
    if line["kind"] == "session":
        whole = isinstance(line.get("environment"), dict) and isinstance(line.get("at"), str)
        return "" if whole else "its session lacks the time or the environment"
    return "" if isinstance(line.get("case"), str) else "its case has no name"


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
