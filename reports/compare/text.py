"""Two runs side by side as text for a terminal."""

from collections.abc import Iterator, Sequence

from reports.compare.runs import DRIFT, Pair, SideBySide, findings_of, kept, points
from reports.compare.throughput import ThroughputPair
from reports.text.formatting import significant, size, times, times_interval

HEAD = ("case", "B is", "speed B/A", "(95 %)", "p50 ms A", "B", "kept A", "B", "difference", "gate", "size A", "B")
BUILD_HEAD = ("build s A", "B")
THROUGHPUT_HEAD = ("name", "B is", "speed B/A", "(95 %)", "a second A", "B")


def as_text(comparison: SideBySide) -> str:
    """What broke first, then the changes, a table of the cases, and what the comparison cannot tell."""
    lines = [f"Two runs on {comparison.machine}"]
    for name, session in (("A", comparison.before), ("B", comparison.after)):
        lines.append(f"  {name}: {session['at']}, session {session['session']}")
    lines += ["", *(f"{finding.level.upper():4}  {finding.text}" for finding in findings_of(comparison)), ""]
    lines.append("Changed:" if comparison.changed else "Nothing changed beside it that the records know of.")
    lines += [f"  {name}: {old} → {new}" for name, old, new in comparison.changed]
    if comparison.pairs:
        lines += ["", *_aligned([(*HEAD, *BUILD_HEAD), *map(_cells, comparison.pairs)])]
    lines += [f"  {pair.after.id}: {pair.verdict}: {pair.why}" for pair in comparison.pairs if pair.why]
    if comparison.throughputs:
        lines += ["", "Pipelines and served models, photos or images a second:"]
        lines += _aligned([THROUGHPUT_HEAD, *map(_throughput_cells, comparison.throughputs)])
    lines += [f"  {pair.name}: {pair.verdict}: {pair.why}" for pair in comparison.throughputs if pair.why]
    for name, cases in (("A", comparison.only_before), ("B", comparison.only_after)):
        lines += ["", f"Only in {name}:"] * bool(cases) + [f"  {case.id}: {why}" for case, why in cases]
    return "\n".join([*lines, "", DRIFT, ""])


def _cells(pair: Pair) -> tuple[str, ...]:
    latencies = [significant(case.latency.p50_ms if case.latency else None) for case in (pair.before, pair.after)]
    builds = [
        significant(seconds) + (" (cache)" if case.build.cached else "")
        for case, seconds in zip((pair.before, pair.after), pair.build("build_seconds"), strict=True)
    ]
    return (
        pair.after.id,
        pair.verdict,
        times(pair.speed.value if pair.speed else None),
        times_interval(pair.speed),
        *latencies,
        *map(kept, (pair.before, pair.after)),
        points(pair.accuracy),
        pair.gate,
        *map(size, pair.build("size_bytes")),
        *builds,
    )


def _throughput_cells(pair: ThroughputPair) -> tuple[str, ...]:
    rates = [significant(side.per_second if side else None) for side in (pair.before, pair.after)]
    return pair.name, pair.verdict, times(pair.speed.value if pair.speed else None), times_interval(pair.speed), *rates


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of one width; names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, verdict, *figures in rows:
        cells = [figure.rjust(width) for figure, width in zip(figures, widths[2:], strict=True)]
        yield "  ".join([name.ljust(widths[0]), verdict.ljust(widths[1]), *cells]).rstrip()
