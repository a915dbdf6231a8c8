"""What can be done with a run that was recorded earlier: its report, or its summary for a CI job's page.

python -m reports render ROWS.jsonl [--output DIR]
python -m reports summary ROWS.jsonl [--output FILE] [--annotations]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reports.errors import ReportError
from reports.html import write_report
from reports.job_summary import annotations, command, job_summary
from reports.record import read_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with a message on stderr for what the user can mend."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.command == "render":
            print(write_report(read_rows(asked.rows), asked.output or asked.rows.parent))
        else:
            _summarise(asked.rows, asked.output, asked.annotations)
    except ReportError as error:
        if asked.command == "summary" and asked.annotations:
            print(command("error", "No summary", str(error)))
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    render = commands.add_parser("render", help="write report.html, report.json and report.csv of a record")
    render.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: beside the record)")
    summary = commands.add_parser("summary", help="Markdown and annotations for the page of a GitHub job")
    summary.add_argument(
        "--output", type=Path, metavar="FILE", help="append the Markdown to this file (default: print it)"
    )
    summary.add_argument(
        "--annotations", action="store_true", help="print a workflow command for each case that needs a look"
    )
    for reader in (render, summary):
        reader.add_argument("rows", type=Path, metavar="ROWS.jsonl", help="the record of a benchmark run")
    return parser


def _summarise(record: Path, output: Path | None, annotate: bool) -> None:
    """The exit status does not judge the run: the run's own did that."""
    rows = read_rows(record)
    if annotate:
        for line in annotations(rows):
            print(line)
    text = job_summary(rows)
    if output is None:
        print(text, end="")
        return
    try:
        with output.open("a", encoding="utf-8") as page:
            page.write(text)
    except OSError as error:
        raise ReportError(
            f"{output}: cannot write the summary: {error.strerror or error}",
            mend="name another, writable file with --output, or leave it out to print the Markdown",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
