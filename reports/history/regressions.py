"""What changed between nights, for the worse: case by case, with the commits and versions on both sides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from reports.history.change_points import Step, Steps, find_steps

# One line of a history: a session's figures of one case.
Line = dict[str, Any]


@dataclass(frozen=True)
class TrackedMetric:
    """One figure that is watched: where it stands in the history, which way is worse, how much worse matters.

    `least` is a share of the old level (`log`) or a difference; a history may have others for some of its cases
    (`reports.history.thresholds`). `interval` names the columns of the figure's own 95 % interval, if it has one.
    """

    name: str
    column: str
    trusted: str
    more_is_worse: bool
    least: float
    log: bool = True
    interval: tuple[str, str] | None = None


def _latency(name: str, clock: str, trusted: str) -> TrackedMetric:
    # 3 %: the spread of medians between runs is to stay within 2 % on a quiet card. Less than 3 % is not told
    # from that in three nights; more would let two losses of 3 % pass.
    column = f"{clock}_p50"
    return TrackedMetric(name, f"{column}_ms", trusted, True, 0.03, interval=(f"{column}_low_ms", f"{column}_high_ms"))


TRACKED = (
    # Two clocks are two figures: device time and end-to-end latency are never compared.
    _latency("device time", "device", "trusted_speed"),
    _latency("end-to-end latency", "end_to_end", "trusted_end_to_end"),
    # Half a point is a quarter of the 2 % that the gate allows: three such steps are seen before the gate closes.
    TrackedMetric("accuracy ratio", "accuracy_ratio", "trusted", False, 0.005, log=False),
    # Builds time kernels against each other on a host with other work: a quarter is outside of that. Cached
    # builds have no figure. A build that finds tactic timings of earlier builds takes a fraction of a first one.
    TrackedMetric("build seconds", "build_seconds", "trusted", True, 0.25),
    TrackedMetric("build seconds with known timings", "known_timings_build_seconds", "trusted", True, 0.25),
    # Two builds of one network may choose kernels of other sizes; weights in another precision change far more.
    TrackedMetric("size", "size_bytes", "trusted", True, 0.05),
    # Photos a second of a pipeline, images a second of a served model: as much matters as in a latency.
    TrackedMetric(
        "throughput",
        "throughput_per_second",
        "trusted_throughput",
        False,
        0.03,
        interval=("throughput_low_per_second", "throughput_high_per_second"),
    ),
)


@dataclass(frozen=True)
class Verdict:
    """One figure of one case that became worse, or may have, or drifts.

    `kind` is "confirmed", "unclear" (`why` says what is missing) or "drift". `change` is a ratio, or for the
    accuracy ratio a difference, with its 95 % interval (none for a drift). `now` is what is left of it where the
    figure has moved again since, None where it has not. `environment` has the versions that differ between the
    last good and the first bad session as name → (old, new). `least` is how much worse counted.
    """

    kind: str
    device: str
    case: str
    figure: str
    change: float
    low: float | None
    high: float | None
    nights: int
    why: str
    last_good: Mapping[str, str]
    first_bad: Mapping[str, str]
    environment: Mapping[str, tuple[str, str]]
    now: float | None = None
    least: float | None = None


def verdicts(history: pd.DataFrame, watched: tuple[TrackedMetric, ...] = TRACKED) -> list[Verdict]:
    """For each device, case and figure of a `reports.history.store.load` frame: what is worse now than it was.

    The latest confirmed step for the worse from which the figure has not come back; else an unclear last step or
    a drift for the worse. A change of driver continues the series. Nights whose figure is not to be trusted are
    nights without a figure. Pure: the frame is not changed.
    """
    return verdicts_of(lines_by_case(history), watched)


def verdicts_of(
    cases: Mapping[tuple[str, str], list[Line]], watched: tuple[TrackedMetric, ...] = TRACKED
) -> list[Verdict]:
    """The same for the lines of `lines_by_case`."""
    verdicts = (_verdict(*names, lines, figure) for names, lines in cases.items() for figure in watched)
    return [verdict for verdict in verdicts if verdict]


def lines_by_case(history: pd.DataFrame) -> dict[tuple[str, str], list[Line]]:
    """The lines of each (device, case) of a history, oldest first."""
    cases: dict[tuple[str, str], list[Line]] = {}
    ordered = history.sort_values(["at", "session"], kind="stable")
    names = list(ordered.columns)
    # Column by column: `to_dict("records")` takes four times as long.
    for values in zip(*(ordered[name].tolist() for name in names), strict=True):
        line = dict(zip(names, values, strict=True))
        cases.setdefault((str(line["device"]), str(line["case"])), []).append(line)
    return cases


def _for_case(figure: TrackedMetric, nights: Sequence[Mapping[str, Any]]) -> TrackedMetric:
    """The figure with the threshold that the history has for this case, if it has one."""
    thresholds = nights[-1].get("thresholds") if nights else None
    least = thresholds.get(figure.column) if thresholds else None
    return figure if least is None else replace(figure, least=least)


def _verdict(device: str, case: str, nights: list[Line], figure: TrackedMetric) -> Verdict | None:
    figure = _for_case(figure, nights)
    steps = look(nights, figure)
    for step in reversed(steps.steps):
        if step.confirmed and _worse(step.change, figure):
            now = _since(steps, step, figure)
            # What came back is over; an earlier step may hold all the same.
            if _worse(now, figure) and _size(now, figure) >= figure.least:
                moved = steps.levels[-1].first > step.first_bad
                return replace(_of_step("confirmed", device, case, nights, figure, step), now=now if moved else None)
    last = steps.steps[-1] if steps.steps else None
    if last and not last.confirmed and _worse(last.change, figure) and _size(last.change, figure) >= figure.least:
        return _of_step("unclear", device, case, nights, figure, last)
    walk = steps.drifts[-1] if steps.drifts else None
    if walk and _worse(walk.change, figure) and _size(walk.change, figure) >= figure.least:
        ends = nights[walk.first], nights[walk.last]
        count = sum(measured(night, figure) is not None for night in nights[walk.first : walk.last + 1])
        why = "a slow walk over these nights, no step between two"
        return Verdict(
            "drift", device, case, figure.name, walk.change, None, None, count, why, *between(*ends), least=figure.least
        )
    return None


def _of_step(kind: str, device: str, case: str, nights: list[Line], figure: TrackedMetric, step: Step) -> Verdict:
    sides = between(nights[step.last_good], nights[step.first_bad])
    figures = (step.change, step.low, step.high, step.nights, step.why)
    return Verdict(kind, device, case, figure.name, *figures, *sides, least=figure.least)


def look(nights: Sequence[Mapping[str, Any]], figure: TrackedMetric) -> Steps:
    """The levels, steps and drifts of one figure over the lines of one case, oldest first."""
    figure = _for_case(figure, nights)
    values = [measured(night, figure) for night in nights]
    spreads = _spreads(nights, values, figure)
    return _steps(tuple(values), None if spreads is None else tuple(spreads), figure.least, figure.log)


@lru_cache(maxsize=4096)
def _steps(
    values: tuple[float | None, ...], spreads: tuple[float | None, ...] | None, least: float, log: bool
) -> Steps:
    """The fit, once a series: the verdict, the charts and the table of one command look at the same nights."""
    return find_steps(values, spreads, least=least, log=log)


def between(
    good: Mapping[str, Any], bad: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, str]]]:
    """Two lines' sessions (name, time, commit), and what differs in their environments as name → (old, new)."""
    old, new = good["environment"], bad["environment"]
    changed = {
        name: (old.get(name, "absent"), new.get(name, "absent"))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
    return _night(good), _night(bad), changed


def _night(line: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if absent(line[name]) else str(line[name]) for name in ("session", "at", "commit")}


def absent(value: Any) -> bool:
    """Whether a frame holds nothing there. `pandas.isna` says the same, twenty times slower for one value."""
    return value is None or value is pd.NA or value != value  # noqa: PLR0124 - NaN


def measured(night: Mapping[str, Any], figure: TrackedMetric) -> float | None:
    """A line's figure; None where there is none, or none to be trusted."""
    value, trusted = night[figure.column], night[figure.trusted]
    if absent(value) or absent(trusted) or not trusted or (figure.log and value <= 0):
        return None
    return float(value)


def _spreads(
    nights: Sequence[Mapping[str, Any]], values: list[float | None], figure: TrackedMetric
) -> list[float | None] | None:
    """Each night's own relative standard error, from its 95 % interval (3.92 of them wide)."""
    if figure.interval is None:
        return None
    ends = [(night[figure.interval[0]], night[figure.interval[1]]) for night in nights]
    return [
        None if value is None or absent(low) or absent(high) else float(high - low) / 3.92 / value
        for value, (low, high) in zip(values, ends, strict=True)
    ]


def _size(change: float, figure: TrackedMetric) -> float:
    """A change's size as `least` has it, the same for a gain and a loss."""
    return math.expm1(abs(math.log(change))) if figure.log else abs(change)


def _worse(change: float, figure: TrackedMetric) -> bool:
    return (change > (1.0 if figure.log else 0.0)) == figure.more_is_worse


def _since(steps: Steps, step: Step, figure: TrackedMetric) -> float:
    """The newest level against the one before the step."""
    before = next(level.value for level in steps.levels if level.first <= step.last_good <= level.last)
    now = steps.levels[-1].value
    return now / before if figure.log else now - before
