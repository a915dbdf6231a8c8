"""The nights of each case as small pictures: its figures, their levels and steps, and what changed beside them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.charts.trend import Axis, picture
from reports.history.change_points import Step, Steps
from reports.history.regressions import Line, TrackedMetric, between, lines_by_case, look, measured
from reports.history.session_regressions import ANSWERED, FIGURES, Regression, short_commit, until
from reports.history.text import shown
from reports.text.formatting import MISSING, THIN_SPACE, join_words, pluralize

NIGHTS = 60
# A chart with its table takes about 7 kB: with more of them the page would not stay small enough to be sent around.
MOST_CHARTS = 46
CLOCKS = ("device time", "end-to-end latency")


@dataclass(frozen=True)
class Night:
    """One session: its day, commit (empty where it is not known), and what of its environment is new.

    `number` is the mark that the axis of every chart has for it; 0 without one.
    """

    day: str
    session: str
    commit: str
    changes: str
    number: int


@dataclass(frozen=True)
class Trace:
    """One figure of one case: what it is now, in words and as a picture (None where only a line is told)."""

    figure: str
    level: str
    latest: str
    text: str
    chart: Markup | None


@dataclass(frozen=True)
class CaseNights:
    """One case over the nights. `rows` is the table behind the pictures: the day, then each trace's figure."""

    case: CaseSummary
    said: tuple[Regression, ...]
    nights: int
    traces: tuple[Trace, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class LookBack:
    """The part of a page that tells the history: `found` and `quiet` have pictures, `listed` have a line each.

    `gone` is what is said of pipelines, of served models, and of cases that are not in this session; `without` have no
    figure to be trusted.
    """

    nights: tuple[Night, ...]
    gone: tuple[Regression, ...]
    found: tuple[CaseNights, ...]
    quiet: tuple[CaseNights, ...]
    listed: tuple[CaseNights, ...]
    without: tuple[CaseSummary, ...]


def check_history(
    history: pd.DataFrame,
    session: str,
    since: Sequence[Regression],
    cases: Sequence[CaseSummary],
    recommended: Collection[str],
) -> LookBack:
    """What the history tells of the cases of `session`, up to and with that session; `since` is its verdict.

    Every case has pictures, unless there are more than `MOST_CHARTS`: then those with a finding and the
    recommended ones. Raises `ReportError` where the history does not have the session.
    """
    regressions: dict[str, list[Regression]] = {}
    for each in since:
        regressions.setdefault(each.case, []).append(each)
    lines = {case: case_lines for (_, case), case_lines in lines_by_case(until(history, session)).items()}
    nights = _nights(lines)
    earlier = {case: case_lines for case, case_lines in lines.items() if any(_figures(case_lines))}
    tracked = [case for case in cases if case.id in earlier]
    wanted = tracked
    if len(tracked) > MOST_CHARTS:
        wanted = [case for case in tracked if case.id in regressions] + [
            case for case in tracked if case.id in recommended and case.id not in regressions
        ]
    drawn, case_ids = {case.id for case in wanted[:MOST_CHARTS]}, {case.id for case in cases}
    axis = _axis(nights)
    traced = [
        _case(case, regressions.get(case.id, ()), earlier[case.id], axis, draw=case.id in drawn) for case in tracked
    ]
    return LookBack(
        nights=nights,
        gone=tuple(
            each for case, case_regressions in regressions.items() for each in case_regressions if case not in case_ids
        ),
        found=tuple(each for each in traced if each.said and each.case.id in drawn),
        quiet=tuple(each for each in traced if not each.said and each.case.id in drawn),
        listed=tuple(each for each in traced if each.case.id not in drawn),
        without=tuple(case for case in cases if case.attempted and case.id not in earlier),
    )


def _nights(lines: Mapping[str, Sequence[Line]]) -> tuple[Night, ...]:
    """The last `NIGHTS` sessions that asked anything of this device, oldest first."""
    sessions = {(str(line["at"]), str(line["session"])): line for case_lines in lines.values() for line in case_lines}
    ordered = [sessions[key] for key in sorted(sessions)]
    nights: list[Night] = []
    marks = 0
    for before, line in zip([None, *ordered], ordered, strict=False):
        changes = _changes(before, line) if before else ""
        if len(ordered) - len(nights) <= NIGHTS:
            marks += bool(changes)
        commit = "" if pd.isna(line["commit"]) else short_commit(str(line["commit"]))
        nights.append(Night(str(line["at"])[:10], str(line["session"]), commit, changes, marks if changes else 0))
    return tuple(nights[-NIGHTS:])


def _changes(before: Line, line: Line) -> str:
    changed = between(before, line)[2]
    names = sorted(changed, key=lambda name: (name != "driver", name))
    return join_words((f"{name} {changed[name][0]} → {changed[name][1]}" for name in names), most=6)


def _axis(nights: Sequence[Night]) -> Axis:
    commits = [index for index in range(1, len(nights)) if nights[index].commit != nights[index - 1].commit]
    return Axis(
        places={night.session: index for index, night in enumerate(nights)},
        ends=(nights[0].day, nights[-1].day),
        numbered={index: night.number for index, night in enumerate(nights) if night.number},
        ticks=tuple(commits),
    )


def _figures(lines: Sequence[Line]) -> Iterator[TrackedMetric]:
    """What a case's pictures show: its latency, by the card's clock where that is known, and its accuracy."""
    clock = next((name for name in CLOCKS if any(measured(line, FIGURES[name]) is not None for line in lines)), None)
    for name in (clock, "accuracy ratio"):
        if name and any(measured(line, FIGURES[name]) is not None for line in lines):
            yield FIGURES[name]


def _case(
    case: CaseSummary, regressions: Sequence[Regression], lines: Sequence[Line], axis: Axis, *, draw: bool
) -> CaseNights:
    figures = tuple(_figures(lines))
    recent = [line for line in lines if line["session"] in axis.places]
    rows = tuple((str(line["at"])[:10], *(_cell(line, figure) for figure in figures)) for line in recent)
    return CaseNights(
        case=case,
        said=tuple(regressions),
        nights=len(lines),
        traces=tuple(_trace(case, lines, figure, axis, draw=draw) for figure in figures),
        rows=rows if draw else (),
    )


def _cell(line: Line, figure: TrackedMetric) -> str:
    """A night's figure; without one to be trusted, what became of the case."""
    value = measured(line, figure)
    if value is not None:
        return shown(figure, value)
    status = str(line["status"])
    if status not in ANSWERED or pd.isna(line[figure.column]):
        return MISSING if status in ANSWERED else status
    return f"{shown(figure, float(line[figure.column]))}, not trusted"


def _trace(case: CaseSummary, lines: Sequence[Line], figure: TrackedMetric, axis: Axis, *, draw: bool) -> Trace:
    steps = look(lines, figure)
    sessions = [str(line["session"]) for line in lines]
    values = [measured(line, figure) for line in lines]
    latest = next(value for value in reversed(values) if value is not None)
    level = steps.levels[-1]
    text = _text(figure, steps, lines, axis)
    chart = None
    if draw:
        label = f"{figure.name} of {case.title} over the nights. {text}"
        chart = picture(sessions, values, steps, figure, axis, lambda value: shown(figure, value), label)
    return Trace(figure.name, shown(figure, level.value), shown(figure, latest), text, chart)


def _text(figure: TrackedMetric, steps: Steps, lines: Sequence[Line], axis: Axis) -> str:
    """The level, since when, and the steps within the nights that are shown."""
    level = steps.levels[-1]
    count = sum(measured(line, figure) is not None for line in lines[level.first : level.last + 1])
    parts = [f"Level {shown(figure, level.value)} in the last {pluralize(count, 'night')}"]
    parts += [
        _step_text(step, figure, lines) for step in steps.steps if lines[step.first_bad]["session"] in axis.places
    ]
    for drift in steps.drifts:
        ends = (str(lines[at]["at"])[:10] for at in (drift.first, drift.last))
        parts.append(f"drift of {_change(drift.change, figure)} from {' to '.join(ends)}")
    return "; ".join(parts) + "."


def _step_text(step: Step, figure: TrackedMetric, lines: Sequence[Line]) -> str:
    day = str(lines[step.first_bad]["at"])[:10]
    sure = "confirmed" if step.confirmed else f"unclear: {step.why}"
    return f"{_change(step.change, figure)} on {day} ({sure})"


def _change(change: float, figure: TrackedMetric) -> str:
    amount = 100 * (change - 1 if figure.log else change)
    return f"{amount:+.1f}{THIN_SPACE}%" if figure.log else f"{amount:+.1f} points"
