"""What the page's own script needs: its text, the policy under which nothing else runs, and the lines of its CSV."""

import base64
import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from reports.analysis.cases import CaseSummary
from reports.analysis.tables import case_table

# Part of the page, letter by letter: the policy names its hash. Jinja2 must therefore not touch it.
SCRIPT = Markup((Path(__file__).parent / "templates" / "report.js").read_text(encoding="utf-8"))


# The columns that tell one case that did not run from another: the first of `report.csv`.
OWN_COLUMNS = 6


@dataclass(frozen=True)
class IdleLine:
    """A case that did not run, and the beginning of its line of CSV, ready for an attribute."""

    case: CaseSummary
    head: Markup


@dataclass(frozen=True)
class IdleGroup:
    """Cases that did not run for one reason: their lines of CSV differ in `OWN_COLUMNS` only, and share the `tail`."""

    reason: str
    tail: Markup
    lines: tuple[IdleLine, ...]


@dataclass(frozen=True)
class CaseLines:
    """`report.csv` in pieces, ready for attributes: its head, and the line of each case by the case's id."""

    head: str
    lines: dict[str, Markup]
    idle: tuple[IdleGroup, ...]


def content_policy() -> str:
    """The page's Content-Security-Policy: it loads nothing, and of all scripts only `SCRIPT` runs.

    A name or a reason from a record is escaped. Should that ever fail, the browser still runs none of it.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def case_lines(cases: Sequence[CaseSummary]) -> CaseLines:
    """The lines of `report.csv`, so that what a reader copies from the page has all its columns and digits."""
    head, *lines = csv.reader(io.StringIO(case_table(cases).to_csv(index=False), newline=""))
    by_id = {line[0]: line for line in lines}
    groups: dict[tuple[str, ...], list[CaseSummary]] = {}
    for case in cases:
        if not case.attempted:
            groups.setdefault(tuple(by_id[case.id][OWN_COLUMNS:]), []).append(case)
    idle = []
    for tail, alike in groups.items():
        idle_lines = tuple(IdleLine(each, _attribute(_line(by_id[each.id][:OWN_COLUMNS]))) for each in alike)
        reason = "; ".join(reason for _, _, reason in alike[0].reasons())
        idle.append(IdleGroup(reason, _attribute(_line(tail)), idle_lines))
    ran = {case.id: _attribute(_line(by_id[case.id])) for case in cases if case.attempted}
    return CaseLines(_line(head), ran, tuple(idle))


def _line(fields: Sequence[str]) -> str:
    written = io.StringIO()
    # The end of the line decides what is quoted: without these two a line break in a field would end the line.
    csv.writer(written, lineterminator="\r\n").writerow(fields)
    return written.getvalue().removesuffix("\r\n")


def _attribute(line: str) -> Markup:
    """Escaped; a carriage return by its number, since a browser reads a plain one as a line feed."""
    return escape(line).replace("\r", Markup("&#13;"))
