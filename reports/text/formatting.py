"""How figures are written, in one place, so that verdict, picture and table never show the same figure twice
in different ways."""

import math
import re
from collections.abc import Iterable, Sequence

from reports.record.results import Latency, Ratio
from reports.record.schema import reaches

MISSING = "–"
THIN_SPACE = "\u202f"


def significant(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, thousands apart: 6 957, 161, 24.1, 0.0421. Never in powers of ten."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}".replace(",", THIN_SPACE)


def times(value: float | None) -> str:
    """A speed-up or size ratio: 1.52×, 0.62×, 12.4×."""
    return MISSING if value is None else f"{value:.2f}×" if value < 10 else f"{value:.1f}×"


def times_interval(ratio: Ratio | None) -> str:
    """The interval of a speed-up: 1.50–1.54."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return ""
    return f"{times(ratio.low)[:-1]}–{times(ratio.high)[:-1]}"


def ms_interval(latency: Latency | None) -> str:
    """The interval of a median latency, in milliseconds: 1.199–1.201.

    With as many digits as tell its ends apart, five at most: 1.20–1.20 would look like a certainty.
    """
    if latency is None or latency.low_ms is None or latency.high_ms is None:
        return ""
    for digits in range(3, 6):
        ends = [significant(end, digits) for end in (latency.low_ms, latency.high_ms)]
        if ends[0] != ends[1]:
            break
    return "–".join(ends)


def percent(value: float | None, least: float) -> str:
    """A share of the baseline with one decimal, or with as many as show on which side of the gate it lies.

    0.97996 against a gate of 0.98 is "97.996 %": "98.0 %, failed" would look like a mistake.
    """
    if value is None:
        return MISSING
    for decimals in range(1, 6):
        shown = round(value, decimals + 2)
        if reaches(shown, least) == reaches(value, least):
            break
    return f"{100 * value:.{decimals}f}{THIN_SPACE}%"


def percent_interval(ratio: Ratio | None) -> str:
    """The interval of an accuracy ratio, in percent without the sign: 97.4–99.0."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return ""
    return f"{100 * ratio.low:.1f}–{100 * ratio.high:.1f}"


def gate_percent(least: float) -> str:
    """The gate itself: 98 %."""
    return f"{100 * least:.4g}{THIN_SPACE}%"


def size(size_bytes: float | None) -> str:
    """Bytes in decimal megabytes, as file managers and NVIDIA's documentation count them."""
    return MISSING if size_bytes is None else f"{significant(size_bytes / 1e6)}{THIN_SPACE}MB"


def share(value: float | None) -> str:
    """A share of the card's peak: 1.6 %, 0.068 %, 42 %."""
    return MISSING if value is None else f"{significant(100 * value, 2)}{THIN_SPACE}%"


def join_words(words: Iterable[object], most: int = 8) -> str:
    """`a, b and c`; of a long list the first ones and how many more there are."""
    all_words: Sequence[str] = [str(word) for word in words]
    if len(all_words) > most:
        return f"{', '.join(all_words[:most])} and {len(all_words) - most} more"
    return " and ".join(filter(None, [", ".join(all_words[:-1]), *all_words[-1:]]))


def pluralize(count: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def first_line(reason: str, most: int = 240) -> str:
    """The first line of a reason that says something, cut to `most` characters."""
    line = next((line.strip() for line in reason.splitlines() if line.strip()), reason)
    return line if len(line) <= most else line[: most - 1] + "…"


def first_clause(reason: str, most: int = 70) -> str:
    """The first clause of a reason: what comes behind a colon or a semicolon says it in more detail."""
    return first_line(re.split(r"[:;] ", first_line(reason))[0].rstrip("."), most)


def milliseconds(value: float) -> str:
    """`1.09 ms`."""
    return f"{significant(value)}{THIN_SPACE}ms"


def sentence(text: str) -> str:
    """`text` with a capital and a full stop; empty where it is."""
    return f"{text[0].upper()}{text[1:]}." if text else ""


def stopped(text: str) -> str:
    """`text` with a full stop, unless it ends with a sign of its own."""
    return text if text.endswith((".", ":", "!", "?", "…")) else f"{text}."


def plain_reason(reason: str) -> str:
    """The first line of a reason, the name of an exception behind what it says: `out of memory (RuntimeError)`."""
    line = first_line(reason)
    named = re.match(r"([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Timeout|Killed)): (.+)", line)
    return f"{named[2].rstrip('.')} ({named[1]})" if named else line
