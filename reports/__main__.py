"""`python -m reports render ROWS.jsonl [--output DIR]`: the report of a run that was recorded earlier."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reports.errors import ReportError
from reports.html import write_report
from reports.record import read_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with a message on stderr for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    render = commands.add_parser("render", help="write report.html, report.json and report.csv of a record")
    render.add_argument("rows", type=Path, metavar="ROWS.jsonl", help="the record of a benchmark run")
    render.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: beside the record)")
    asked = parser.parse_args(arguments)
    try:
        page = write_report(read_rows(asked.rows), asked.output or asked.rows.parent)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
