"""The answer of a session as a few lines of plain text: what to ship, what broke, what is not certain."""

from reports.findings.order import Broken
from reports.findings.reading import Reading

# A terminal of 24 lines shows this and the paths beneath it whole.
MOST_LINES = 9
CHARACTERS = 320


def as_lines(reading: Reading, most: int = MOST_LINES) -> list[str]:
    """At most `most` lines, the answers first; of what does not fit it says how much more there is in the report."""
    status = reading.status
    summary = "; ".join(status.words) or status.all_well
    doubts = reading.doubts_line
    last = [f"Not certain: {doubts}."] if doubts else []
    # The status is a line of its own, between the answers and what broke.
    room = most - 1 - len(last)
    answers = list(reading.sentences)
    # At least a line for what broke, if anything did: an answer too many is in the report.
    kept = _cut(answers, room - min(len(reading.broken), 1), "answer", "answers")
    broke = _cut([f"Broken: {_line(each)}" for each in reading.broken], room - len(kept), "failure", "failures")
    return [_clipped(line) for line in (*kept, f"{summary}.", *broke, *last)]


def _cut(lines: list[str], most: int, singular: str, plural: str) -> list[str]:
    if len(lines) <= most:
        return lines
    left = len(lines) - max(most - 1, 0)
    return [*lines[: max(most - 1, 0)], f"and {left} more {singular if left == 1 else plural}: see the report"]


def _line(each: Broken) -> str:
    """What broke in few words, with the command that goes on from there."""
    where = f"{each.where}: " if each.where else ""
    return f"{where}{each.brief}{f' ({each.mend.command})' if each.mend.command else ''}"


def _clipped(line: str) -> str:
    whole = " ".join(line.splitlines())
    return whole if len(whole) <= CHARACTERS else whole[: CHARACTERS - 1] + "…"
