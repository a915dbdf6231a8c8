"""What the history says of one session, in sentences: what is worse now, since when, and what changed beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.errors import ReportError
from reports.history.regressions import TRACKED, Verdict, absent, between, measured, verdicts
from reports.text.formatting import THIN_SPACE, first_line, join_words

ANSWERED = ("passed", "failed")
FIGURES = {figure.name: figure for figure in TRACKED}
KINDS = {"confirmed": "regression", "unclear": "unclear", "drift": "drift"}
# How one says that a figure is worse than it was.
WORSE = {
    "device time": ("is", "longer"),
    "end-to-end latency": ("is", "longer"),
    "accuracy ratio": ("is", "lower"),
    "build seconds": ("are", "more"),
    "build seconds with known timings": ("are", "more"),
    "size": ("is", "larger"),
    "throughput": ("is", "lower"),
}
ABSENT = {"error": "stopped with an error", "skipped": "was skipped"}
COMMIT_CHARACTERS = 7  # as git abbreviates


@dataclass(frozen=True)
class Regression:
    """One thing that is worse than in earlier nights, or may be.

    `kind` is "regression", "vanished", "drift" or "unclear"; `figure` one of `regressions.TRACKED`, or "answer" for a
    case that gave one and now gives none. `change` says in a few words by how much it is worse, and of how much that
    is told.
    """

    kind: str
    case: str
    figure: str
    sentence: str
    change: str = ""

    @property
    def level(self) -> str:
        """How grave it is, in the words of `Finding`."""
        return "fail" if self.kind in ("regression", "vanished") else "warn"

    @property
    def title(self) -> str:
        return f"{self.case}: {self.figure} vanished" if self.kind == "vanished" else f"{self.case}: {self.kind}"


def judge(history: pd.DataFrame, session: str) -> list[Regression]:
    """What is worse in `session` than in earlier sessions of its device; regressions first, doubts last.

    `history` is a `reports.history.store.load` frame; sessions later than this one do not count. A regression or drift
    stays until nights show that it is gone: a night that gave the case's answer without this figure (a cached
    build, an unsteady timing) proves nothing. It is not told of a case that this session did not ask. A doubt is
    told only where this session measured the figure. A case has vanished where the latest earlier session that
    asked it got an answer and this one did not, though it got others; a case that is not in this session at all
    counts only where its model, precision and batch were asked and others of its backend gave no answer, as a
    matrix may be chosen smaller. Raises `ReportError` where the history does not have the session.
    """
    nights = until(history, session)
    session_lines = nights[nights["session"] == session]
    tonight = {str(line["case"]): line for line in session_lines.to_dict("records")}
    answered = [case for case, line in tonight.items() if line["status"] in ANSWERED]
    regressions = [
        Regression(KINDS[verdict.kind], verdict.case, verdict.figure, sentence(verdict), change(verdict))
        for verdict in verdicts(nights[nights["case"].isin(answered)])
        if verdict.kind != "unclear" or measured(tonight[verdict.case], FIGURES[verdict.figure]) is not None
    ]
    if answered:
        regressions += _vanished(nights[nights["session"] != session], tonight)
    order = ("regression", "vanished", "drift", "unclear")
    return sorted(regressions, key=lambda since: order.index(since.kind))


def until(history: pd.DataFrame, session: str) -> pd.DataFrame:
    """The lines of this session and of all earlier ones of its device, by time."""
    session_lines = history[history["session"] == session]
    if session_lines.empty:
        raise ReportError(
            f"the history does not have session {session}", hint="add it first: python -m reports history add"
        )
    device, at = session_lines["device"].iloc[0], session_lines["at"].iloc[0]
    earlier = (history["at"] < at) | ((history["at"] == at) & (history["session"] <= session))
    return history[(history["device"] == device) & earlier].sort_values(["at", "session"], kind="stable")


def sentence(verdict: Verdict) -> str:
    """How much worse, with its interval, since when, and what changed then; no full stop.

    `device time is 5.2 % (4.1–6.3) longer since 2026-11-20 (commit abc1234..def5678; driver 550.1 → 560.2)`
    """
    verb, worse = WORSE[verdict.figure]
    ends = [_worse_by(verdict, end) for end in (verdict.low, verdict.high) if end is not None]
    interval = f" ({'–'.join(f'{end:.1f}' for end in sorted(ends))})" if ends else ""
    amount = f"{_shown(verdict, _worse_by(verdict, verdict.change))}{interval} {worse}"
    last, first = _day(verdict.last_good), _day(verdict.first_bad)
    where = _where(verdict.last_good, verdict.first_bad, verdict.environment)
    if verdict.kind == "drift":
        return f"{verdict.figure} drifted: {amount} from {last} to {first} {where}"
    if verdict.kind == "unclear":
        return f"{verdict.figure} may be {amount} since {first} {where}; not sure: {verdict.why}"
    if verdict.now is not None:
        left = _shown(verdict, _worse_by(verdict, verdict.now))
        return f"{verdict.figure} {verb} {left} {worse} than before {first}, when it became {amount} {where}"
    return f"{verdict.figure} {verb} {amount} since {first} {where}"


def change(verdict: Verdict) -> str:
    """By how much it is worse now: `device time +25.0 % (limit 5 %)`."""
    amount = _worse_by(verdict, verdict.change if verdict.now is None else verdict.now)
    sign = "+" if FIGURES[verdict.figure].more_is_worse else "−"
    unit = f"{THIN_SPACE}%" if FIGURES[verdict.figure].log else " points"
    least = "" if verdict.least is None else f" (limit {100 * verdict.least:.3g}{unit})"
    return f"{verdict.figure} {sign}{_shown(verdict, amount)}{least}"


def _worse_by(verdict: Verdict, change: float) -> float:
    """A change as a percentage (of a ratio) or in points (of a difference), positive for the worse."""
    figure = FIGURES[verdict.figure]
    amount = 100 * (change - 1 if figure.log else change)
    return amount if figure.more_is_worse else -amount


def _shown(verdict: Verdict, amount: float) -> str:
    return f"{amount:.1f}{THIN_SPACE}%" if FIGURES[verdict.figure].log else f"{amount:.1f} points"


def _day(night: Mapping[str, str]) -> str:
    return night["at"][:10]


def _where(good: Mapping[str, str], bad: Mapping[str, str], changed: Mapping[str, tuple[str, str]]) -> str:
    """`(commit abc1234..def5678; driver 550.1 → 560.2)`; the sessions where a commit is not known."""
    old, new = short_commit(good["commit"]), short_commit(bad["commit"])
    if not old or not new:
        commits = f"session {good['session']}..{bad['session']}"
    else:
        commits = f"same commit {old}" if good["commit"] == bad["commit"] else f"commit {old}..{new}"
    names = sorted(changed, key=lambda name: (name != "driver", name))
    versions = join_words((f"{name} {changed[name][0]} → {changed[name][1]}" for name in names), most=6)
    return f"({commits}; {versions or 'same versions'})"


def short_commit(name: str) -> str:
    """A commit as git abbreviates it, with the mark of a checkout that was changed."""
    commit, mark, _ = name.partition("+")
    return commit[:COMMIT_CHARACTERS] + mark


def _vanished(earlier: pd.DataFrame, tonight: Mapping[str, Mapping[str, Any]]) -> Iterator[Regression]:
    lines = list(tonight.values())
    latest = {str(line["case"]): line for line in earlier.drop_duplicates("case", keep="last").to_dict("records")}
    for before in latest.values():
        now = tonight.get(before["case"])
        gone = now["status"] not in ANSWERED if now else _was_asked(before, lines, latest)
        if before["status"] not in ANSWERED or not gone:
            continue
        good, bad, changed = between(before, now or lines[0])
        what = ABSENT[now["status"]] if now else "is not in this session"
        reason = "" if now is None or pd.isna(now["reason"]) else f": {first_line(str(now['reason']))}"
        text = f"gave an answer on {_day(good)}, now it {what} {_where(good, bad, changed)}{reason}"
        brief = f"gave an answer on {_day(good)}, now it {what}"
        yield Regression("vanished", str(before["case"]), "answer", text, brief)


def _was_asked(
    before: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], latest: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether a case that has no line was meant to have one: its backend is there, and gives no answer any more.

    What it did not answer before, either, says nothing. Pipelines and served models have no backend: which of them are
    asked follows from the options, and from the engines that run.
    """
    lines = [line for line in lines if not absent(line["backend"])]
    if absent(before["backend"]):
        return False
    still_in_matrix = all(any(line[part] == before[part] for line in lines) for part in ("model", "precision", "batch"))
    silent = [line for line in lines if line["backend"] == before["backend"] and line["status"] not in ANSWERED]
    return still_in_matrix and any(
        str(line["case"]) not in latest or latest[str(line["case"])]["status"] in ANSWERED for line in silent
    )
