"""What can be done with a run that was recorded earlier: its report, its summary for a CI job's page, its place in
the history of its machine; two runs side by side; and the records of a matrix that was split over several runners as
one.

python -m reports render ROWS.jsonl [--output DIR] [--history DIR]
python -m reports summary ROWS.jsonl [--output FILE] [--annotations] [--history DIR]
python -m reports compare A/ROWS.jsonl B/ROWS.jsonl [--output FILE.html]
python -m reports merge ROWS.jsonl ROWS.jsonl ... --output DIR
python -m reports ship RUN --model NAME [--for latency] --output DIR
python -m reports history add ROWS.jsonl --history DIR
python -m reports history show DIR [--case SUBSTRING]

How much worse matters may differ from case to case: DIR/thresholds.toml with tables such as

["clip-*-int8-*"]
speed = 0.05

(speed, build and size as shares of the old value, accuracy as a difference of the ratio).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reports.command_line import OptionError, add_options, set_values
from reports.compare.runs import compare, write
from reports.compare.text import as_text
from reports.errors import ReportError
from reports.github.job_summary import annotations, command, job_summary
from reports.history.session_regressions import Regression, judge
from reports.history.store import append, load
from reports.history.text import history_table
from reports.html.page import write_report
from reports.option_table import (
    COMMANDS,
    COMPARE,
    HISTORY_ADD,
    HISTORY_SHOW,
    MERGE,
    RENDER,
    SHIP,
    SUMMARY,
    TABLE,
)
from reports.record.merge import merge
from reports.record.schema import RECORD, Row
from reports.record.store import Recorder, last_session, read_rows
from reports.shipping.ship import Wanted, ship


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with a message on stderr for what the user can mend."""
    parsed = _parser().parse_args(arguments)
    try:
        set_values(parsed, TABLE, parsed.command)
        status = parsed.run(parsed) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever reads, such as `head`, has seen enough. What is left must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ReportError, OptionError) as error:
        if parsed.run is _summary and parsed.annotations:
            print(command("error", "No summary", str(error)))
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = parser.add_subparsers(required=True, metavar="COMMAND")
    history = words.add_parser("history", help="keep a run in the history of its machine, or show a history")
    actions = history.add_subparsers(required=True, metavar="ACTION")
    for name, run in RUN.items():
        parent = actions if name.startswith("reports history ") else words
        added = parent.add_parser(name.split()[-1], help=COMMANDS[name])
        add_options(added, TABLE, name)
        added.set_defaults(run=run, command=name)
    return parser


def _render(arguments: argparse.Namespace) -> None:
    rows = read_rows(arguments.rows)
    history = _history(rows, arguments.history)
    print(write_report(rows, arguments.output or arguments.rows.parent, history))


def _summary(arguments: argparse.Namespace) -> int:
    """The exit status does not judge the run: the run's own did that.

    A history that cannot be read costs the page its own part, no more, and is an error.
    """
    rows, since, status = read_rows(arguments.rows), [], 0
    try:
        since = _since(rows, _history(rows, arguments.history))
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
        if arguments.annotations:
            print(command("error", "Not compared with the history", str(error)))
    if arguments.annotations:
        for line in annotations(rows, since=since):
            print(line)
    _put(job_summary(rows, since=since), arguments.output)
    return status


def _put(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
        return
    try:
        with output.open("a", encoding="utf-8") as page:
            page.write(text)
    except OSError as error:
        raise ReportError(
            f"{output}: cannot write the summary: {error.strerror or error}",
            hint="name another, writable file with --output, or leave it out to print the Markdown",
        ) from error


def _history(rows: list[Row], folder: Path | None) -> pd.DataFrame | None:
    """The history that was asked for; none of a run that stopped before its first answer, which it cannot have."""
    answered = any(row["kind"] == "case" for row in last_session(rows))
    return load(folder) if folder is not None and answered else None


def _since(rows: list[Row], history: pd.DataFrame | None) -> list[Regression]:
    """What the history says of these rows."""
    return [] if history is None else judge(history, last_session(rows)[0]["session"])


def _compare(arguments: argparse.Namespace) -> None:
    comparison = compare(read_rows(arguments.before), read_rows(arguments.after))
    print(as_text(comparison), end="")
    if arguments.output is not None:
        write(comparison, arguments.output)
        print(arguments.output)


def _merge(arguments: argparse.Namespace) -> None:
    rows = merge([read_rows(path) for path in arguments.rows])
    path = arguments.output / RECORD
    if path.exists():
        raise ReportError(f"{path}: there is a record already", hint="name another folder with --output")
    with Recorder(path) as recorder:
        for row in rows:
            recorder.write(row)
    print(write_report(rows, arguments.output))


def _ship(arguments: argparse.Namespace) -> None:
    record = arguments.run_folder / RECORD if arguments.run_folder.is_dir() else arguments.run_folder
    wanted = Wanted(arguments.model or "", arguments.case or "", getattr(arguments, "for"), arguments.engine_cache)
    bundle = ship(read_rows(record), wanted, arguments.output)
    print(bundle.origin.advice)
    print(arguments.output)


def _add(arguments: argparse.Namespace) -> None:
    print(append(arguments.history, read_rows(arguments.rows)))


def _show(arguments: argparse.Namespace) -> None:
    print(history_table(load(arguments.folder), arguments.case), end="")


RUN = {
    RENDER: _render,
    SUMMARY: _summary,
    COMPARE: _compare,
    MERGE: _merge,
    SHIP: _ship,
    HISTORY_ADD: _add,
    HISTORY_SHOW: _show,
}

if __name__ == "__main__":
    sys.exit(main())
