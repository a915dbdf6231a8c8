"""What the page's own script needs: its text, the policy under which nothing else runs, and the lines of its CSV."""

import base64
import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from reports.rows import Row
from reports.table import build_table

# Part of the page, letter by letter: the policy names its hash. Jinja2 must therefore not touch it.
SCRIPT = Markup((Path(__file__).parent / "templates" / "report.js").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class CaseLines:
    """`report.csv` in pieces: its head, and the line of each case by the case's id, ready for an attribute."""

    head: str
    lines: dict[str, Markup]


def content_policy() -> str:
    """The page's Content-Security-Policy: it loads nothing, and of all scripts only `SCRIPT` runs.

    A name or a reason from a record is escaped. Should that ever fail, the browser still runs none of it.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def case_lines(rows: Sequence[Row]) -> CaseLines:
    """The lines of `report.csv`, so that what a reader copies from the page has all its columns and digits."""
    head, *lines = csv.reader(io.StringIO(build_table(rows).to_csv(index=False), newline=""))
    return CaseLines(_line(head), {line[0]: _attribute(_line(line)) for line in lines})


def _line(fields: Sequence[str]) -> str:
    written = io.StringIO()
    # The end of the line decides what is quoted: without these two a line break in a field would end the line.
    csv.writer(written, lineterminator="\r\n").writerow(fields)
    return written.getvalue().removesuffix("\r\n")


def _attribute(line: str) -> Markup:
    """Escaped; a carriage return by its number, since a browser reads a plain one as a line feed."""
    return escape(line).replace("\r", Markup("&#13;"))
