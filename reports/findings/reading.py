"""What a reader is told first: the answer, what broke, the doubts; the same for page, terminal and job summary."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reports.analysis.answer import ModelAnswer, Status, model_answers, status
from reports.analysis.cases import CaseSummary
from reports.analysis.pipeline import Comparison, compare_pipelines
from reports.analysis.recommendation import Recommendation, choose
from reports.findings.base import Code, Finding, Session
from reports.findings.history import history_findings
from reports.findings.order import Broken, Doubts, Quietness, broken, doubts, doubts_line, quietness
from reports.findings.run import check
from reports.history.last_good import last_good
from reports.history.session_regressions import Regression
from reports.record.schema import Row


@dataclass(frozen=True)
class Reading:
    """One session, in the order in which it is told. `found` are all findings; `pipelines` one for each photo set.

    All that tells a session takes its cases from here: `seen` has summarized them once.
    """

    seen: Session
    pipelines: tuple[Comparison, ...]
    cases: tuple[CaseSummary, ...]
    least: float
    choices: tuple[Recommendation, ...]
    answers: tuple[ModelAnswer, ...]
    status: Status
    broken: tuple[Broken, ...]
    doubts: tuple[Doubts, ...]
    found: tuple[Finding, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answers as sentences that a person could forward: those of the pipelines, then one a model."""
        measured = (each.sentence for each in self.pipelines if each.best is not None)
        return (*measured, *(answer.sentence for answer in self.answers))

    @property
    def doubts_line(self) -> str:
        """The kinds of doubt in a line."""
        return doubts_line(self.doubts)

    @property
    def quietness(self) -> Quietness | None:
        """Whether the machine was quiet; None where nothing was timed."""
        return quietness(self.found, self.cases, self.seen.pipelines)

    @property
    def became_worse(self) -> frozenset[str]:
        """The ids of the cases that became worse, as the history says."""
        return frozenset(case for each in self.broken if each.code == Code.HISTORY for case in each.case_ids)


def read(rows: Sequence[Row], since: Sequence[Regression] = (), history: pd.DataFrame | None = None) -> Reading:
    """The last session in `rows`. `since` is what its history says of it (`session_regressions.judge`).

    `history` (`reports.history.store.load`, with this session) tells since when a broken case is broken.
    """
    seen = Session.of(rows)
    session, cases, least = seen.rows, seen.cases, seen.least
    choices = choose(cases, least)
    findings = check(seen, history_findings(since, cases))
    crashed = {case.id for case in cases if case.status == "error"}
    crashed |= {each.name.id for each in seen.pipelines if each.crashed}
    crashed |= {each.name.id for each in seen.serving if each.crashed}
    worse = len({one.case for one in since if one.level == "fail"} - crashed)
    finished = any(row["kind"] == "end" for row in session)
    well = {} if history is None else last_good(history, session[0]["session"])
    return Reading(
        seen=seen,
        pipelines=tuple(compare_pipelines(seen.pipelines)),
        cases=tuple(cases),
        least=least,
        choices=tuple(choices),
        answers=tuple(model_answers(cases, choices, least)),
        status=status(cases, least, worse, finished, seen.pipelines, seen.serving),
        broken=tuple(broken(findings, cases, well)),
        doubts=tuple(doubts(findings)),
        found=tuple(findings),
    )
