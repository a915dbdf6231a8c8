"""A history as text for a terminal: each case with what it is at now, and what the nights say of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reports.history.regressions import TRACKED, TrackedMetric, lines_by_case, look, measured, verdicts_of
from reports.history.session_regressions import KINDS, sentence
from reports.text.formatting import MISSING, first_line, percent, pluralize, significant, size

COLUMNS = ("figure", "nights", "latest", "level", "verdict")


def history_table(history: pd.DataFrame, part: str = "") -> str:
    """The cases of a `reports.history.store.load` frame whose name has `part` in it, device by device.

    `nights` counts the sessions with a figure that is to be trusted; `latest` is the last one's, `level` the
    median of the nights since the last step.
    """
    if part:
        history = history[history["case"].str.contains(part, regex=False)]
    if history.empty:
        return "no such case in this history\n" if part else "this history is empty\n"
    cases = lines_by_case(history)
    verdicts = {(verdict.device, verdict.case, verdict.figure): verdict for verdict in verdicts_of(cases)}
    lines: list[str] = []
    for (device, case), ordered in cases.items():
        rows: list[tuple[str, ...]] = []
        for figure in TRACKED:
            verdict = verdicts.get((device, case, figure.name))
            verdict_text = f"{KINDS[verdict.kind]}: {sentence(verdict)}" if verdict else MISSING
            rows += _row(ordered, figure, verdict_text)
        lines += [f"{case} on {device}, {_sessions(ordered)}", *_aligned([COLUMNS, *rows]), ""]
    return "\n".join(lines)


def _row(nights: Sequence[Mapping[str, Any]], figure: TrackedMetric, verdict_text: str) -> Iterator[tuple[str, ...]]:
    values = [value for night in nights if (value := measured(night, figure)) is not None]
    if values:
        level = look(nights, figure).levels[-1].value
        yield figure.name, str(len(values)), shown(figure, values[-1]), shown(figure, level), verdict_text


def _sessions(nights: Sequence[Mapping[str, Any]]) -> str:
    last = nights[-1]
    reason = "" if pd.isna(last["reason"]) else f": {first_line(str(last['reason']), 120)}"
    return f"{pluralize(len(nights), 'session')}, the last {last['at'][:10]}: {last['status']}{reason}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of one width, the last one free; figures to the right."""
    if len(rows) == 1:
        yield "  no figure to be trusted"
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for name, *figures, verdict_text in rows:
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:-1], strict=True)]
        yield "  ".join(["", name.ljust(widths[0]), *cells, verdict_text])


def shown(figure: TrackedMetric, value: float) -> str:
    """A figure in its unit: 2.01 ms, 10.4 MB, 12.5 s, 738 per second, 99.6 %."""
    if figure.column.endswith("_ms"):
        return f"{significant(value)} ms"
    if figure.column.endswith("_per_second"):
        return f"{significant(value)} per second"
    if figure.column.endswith("_bytes"):
        return size(value)
    return f"{significant(value)} s" if figure.column.endswith("_seconds") else percent(value, 0.0)
