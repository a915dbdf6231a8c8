"""The exit status of a run, by what its rows say: a CI tells a closed gate from a crash by the number alone."""

from collections.abc import Iterable

from reports.analysis.cases import summarize
from reports.record.pipeline import read_pipelines
from reports.record.schema import Row, Status
from reports.record.serving import read_serving


def exit_status(rows: Iterable[Row], worse: bool = False) -> Status:
    """What a session comes to, from all its rows; `worse`: its history says that something became so.

    The last answer to a question counts: a resumed session asks again what went wrong.

    GATE_FAILED: an engine lost too much accuracy, computes in another precision than asked for, gave a reading above
    the card's peak, or the parts of its answer are not of one engine. CASE_LOST: a case crashed, hung, or stopped
    with an error. SLOWER: the history confirms that something became worse, or a case that used to run is gone.
    Unclear findings fail nothing.
    """
    rows = list(rows)
    cases = summarize(rows)
    outcomes = {answer.outcome for case in cases for answer in case.answers.values()}
    outcomes |= {outcome for pipeline in read_pipelines(rows) for outcome in pipeline.outcomes.values()}
    outcomes |= {outcome for served in read_serving(rows) for outcome in served.outcomes.values()}
    if "failed" in outcomes or any(case.problems for case in cases):
        return Status.GATE_FAILED
    if "error" in outcomes:
        return Status.CASE_LOST
    return Status.SLOWER if worse else Status.PASSED
