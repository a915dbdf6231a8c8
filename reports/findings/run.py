"""What a session proves and what it does not, as sentences in the order in which they matter."""

import re
from collections.abc import Callable, Iterator, Sequence

from reports.analysis.cases import CaseSummary
from reports.analysis.phrases import describe_cases, gate_sentence
from reports.analysis.tables import layers_text
from reports.findings import data, gpu, timing
from reports.findings import pipelines as pipeline_findings
from reports.findings import serving as serving_findings
from reports.findings.base import LEVELS, Code, Data, Finding, Session, ids, together
from reports.record.known_faults import known_fault
from reports.record.pipeline import PipelineSummary
from reports.record.schema import BASELINE_PRECISION, Row, Status, reaches
from reports.record.serving import ServingSummary
from reports.text.formatting import (
    first_clause,
    first_line,
    gate_percent,
    join_words,
    plain_reason,
    pluralize,
    stopped,
)
from reports.text.names import model_name

# An adapter that finds out that its runtime computes in FP32 says so in a note of its build row.
COMPUTES_IN_FP32 = re.compile(r"\b(comput|execut|run)\w*\s+(\w+\s+)?in\s+fp32", re.IGNORECASE)

# Exit statuses of pytest (pytest.ExitCode).
INTERRUPTED, INTERNAL_ERROR, NO_TESTS = 2, 3, 5


def find(rows: Sequence[Row], also: Sequence[Finding] = ()) -> list[Finding]:
    """The findings of the last session in `rows`, in the order of `LEVELS`. Always at least one.

    `also` are findings that the rows alone cannot tell, such as what a history says of them.
    """
    return check(Session.of(rows), also)


def check(seen: Session, also: Sequence[Finding] = ()) -> list[Finding]:
    """The same of a session that is summarized already."""
    findings = [finding for each in CHECKS for finding in each(seen)]
    if not any(finding.level == "fail" for finding in findings):
        worse = any(finding.level == "fail" for finding in also)
        findings += _nothing_failed(seen, "Nothing failed in this run by itself." if worse else "Nothing failed.")
    findings += also
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def _ending(seen: Session) -> Iterator[Finding]:
    if torn := [row["line"] for row in seen.rows if row["kind"] == "torn"]:
        sentence = f"The record was cut off in the middle of line {torn[0]}; that row is lost."
        yield Finding(Code.RECORD_TORN, "warn", sentence, data={"line": torn[0]})
    end = next((row for row in reversed(seen.rows) if row["kind"] == "end"), None)
    if end is None:
        sentence = "This run did not finish: it shows what was measured before it stopped."
        yield Finding(Code.RUN_UNFINISHED, "fail", sentence)
        return
    status = end.get("exit_status")
    if status == INTERRUPTED:
        sentence = "This run was interrupted: it shows what was measured until then."
        yield Finding(Code.RUN_INTERRUPTED, "warn", sentence)
    elif status == INTERNAL_ERROR:
        sentence = "This run ended with an internal error of pytest: see the terminal's log."
        yield Finding(Code.RUN_INTERNAL_ERROR, "fail", sentence)
    elif status == NO_TESTS and (seen.cases or seen.pipelines or seen.serving):
        yield Finding(Code.MATRIX_NOTHING_RUNS, "fail", "Nothing that was asked for can run on this machine.")
    elif status == Status.SLOWER:
        sentence = "This run ended with exit status 7: its history said that something became worse."
        yield Finding(Code.RUN_SLOWER, "info", sentence)
    elif status and not _explained(seen):
        sentence = f"This run ended with exit status {status}, but no row says why: see the log."
        yield Finding(Code.RUN_UNEXPLAINED, "fail", sentence, data={"exit_status": status})


def _explained(seen: Session) -> bool:
    """Whether some row says why a run ended with another status than 0."""
    of_cases = any(case.status in ("failed", "error") or case.problems for case in seen.cases)
    others: list[PipelineSummary | ServingSummary] = [*seen.pipelines, *seen.serving]
    return of_cases or any(each.failed or each.crashed for each in others)


def _errors(seen: Session) -> Iterator[Finding]:
    """Crashes, and failures other than that of the accuracy gate."""
    errors: list[tuple[CaseSummary, str, Data]] = []
    failed: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        for stage, outcome, reason in case.reasons():
            figures: Data = {"stage": stage, "reason": first_line(reason)}
            if outcome == "error":
                errors.append((case, f"the {stage} crashed: {stopped(plain_reason(reason))}", figures))
            elif outcome == "failed" and stage != "accuracy":
                failed.append((case, f"the {stage} failed: {stopped(plain_reason(reason))}", figures))
    yield from together(Code.STAGE_ERROR, "fail", errors)
    yield from together(Code.STAGE_FAILED, "fail", failed)


def _gate_failures(seen: Session) -> Iterator[Finding]:
    remarks: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        if case.gate != "fail" or data.implausible(case):
            continue
        text = f"{gate_sentence(case, seen.least)}, needs {gate_percent(seen.least)}."
        ratio = case.metric.ratio if case.metric else None
        if ratio is None or reaches(ratio.value, seen.least):
            text = f"fails its gate: {stopped(first_line(case.reason('accuracy')))}"
        elif ratio.high is not None and ratio.high >= seen.least:
            text += " The interval reaches the gate: more evaluation images would decide."
        metric = case.metric.name if case.metric else ""
        figures: Data = {"metric": metric, "ratio": ratio.value, "low": ratio.low, "high": ratio.high} if ratio else {}
        remarks.append((case, text, {**figures, "least": seen.least}))
    yield from together(Code.GATE_FAILED, "fail", remarks)


def _known_faults(seen: Session) -> Iterator[Finding]:
    """What is known to spoil cases that went wrong, with these packages: no excuse, but where to look."""
    remarks: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        fault = known_fault(seen.rows[0], vars(case))
        if fault and case.status in ("failed", "error"):
            remarks.append((case, f"{fault}.", {}))
    yield from together(Code.ENGINE_KNOWN_FAULT, "warn", remarks)


def _problems(seen: Session) -> Iterator[Finding]:
    remarks: list[tuple[CaseSummary, str, Data]] = [(case, each, {}) for case in seen.cases for each in case.problems]
    yield from together(Code.RECORD_INCONSISTENT, "fail", remarks)


def _damaged(seen: Session) -> Iterator[Finding]:
    """Values of the record that the reader had to leave out, each with where it stands and why."""
    remarks: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        dropped = [f"{stage} {each}" for stage, answer in case.answers.items() for each in answer.dropped]
        if dropped:
            what = pluralize(len(dropped), "value")
            are = "is" if len(dropped) == 1 else "are"
            sentence = f"{what} of its record cannot be read and {are} left out: {join_words(dropped, most=3)}."
            remarks.append((case, sentence, {"count": len(dropped)}))
    yield from together(Code.RECORD_DAMAGED, "warn", remarks)


def _silent_fp32(seen: Session) -> Iterator[Finding]:
    """An engine whose layers or notes say that it computes in FP32 although less was asked for."""
    remarks: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        if case.precision == BASELINE_PRECISION or "build" in case.failed_stages:  # then it was said as a failure
            continue
        layers = case.build.layers
        notes = [note for note in case.build.notes if COMPUTES_IN_FP32.search(note)]
        wanted = case.precision.upper()
        # "fp16 or int8": the engine may be either.
        computing = any(count for precision, count in layers.items() if case.precision in precision.split(" or "))
        if notes:
            extent = "only partly" if computing else "not really"
            remarks.append((case, f"{extent} {wanted}: {first_line(notes[0])}", {"asked": wanted}))
        elif layers and not computing:
            remarks.append(
                (case, f"not really {wanted}: its layers compute in {layers_text(layers)}.", {"asked": wanted})
            )
    yield from together(Code.PRECISION_NOT_AS_ASKED, "warn", remarks)


def _not_certain(seen: Session) -> Iterator[Finding]:
    """Engines that pass, but might not on other images, beside what the same images say for certain of the others."""
    by_images: dict[int, list[str]] = {}
    every_uncertain: list[CaseSummary] = []
    rest = False
    for model in dict.fromkeys(case.model for case in seen.cases):
        passed = [case for case in seen.cases if case.model == model and case.gate == "pass" and not case.is_baseline]
        uncertain = [case for case in passed if case.uncertain(seen.least)]
        rest = rest or len(uncertain) < len(passed)
        every_uncertain += uncertain
        if uncertain:
            every = 1 < len(uncertain) == len(passed)
            images = uncertain[0].accuracy.evaluation_images or 0
            by_images.setdefault(images, []).append(
                f"every engine of {model_name(model)}" if every else describe_cases(uncertain)
            )
    if by_images:
        least = gate_percent(seen.least)
        uncertain_cases = "; ".join(
            f"{join_words(cases)} on {pluralize(images, 'image')}" for images, cases in by_images.items()
        )
        others = " The other engines that pass are certain on the same images." if rest else ""
        sentence = f"Not certain to keep {least} (the interval reaches below it): {uncertain_cases}.{others}"
        counts: Data = {"count": len(every_uncertain), "least": seen.least}
        yield Finding(Code.ACCURACY_UNCERTAIN, "warn", sentence, cases=ids(every_uncertain), data=counts)


def _not_judged(seen: Session) -> Iterator[Finding]:
    remarks: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        if case.gate == "not judged" and not case.problems:
            reason = case.answers["accuracy"].reason or "accuracy was not judged"
            remarks.append((case, first_line(reason), {}))
    yield from together(Code.ACCURACY_NOT_JUDGED, "info", remarks)


def _did_not_run(seen: Session) -> Iterator[Finding]:
    """How many did not run, and for which reasons in short: the section of that name has them in full."""
    reasons: dict[str, int] = {}
    for case in (case for case in seen.cases if not case.attempted):
        for reason in dict.fromkeys(first_clause(reason) for _, _, reason in case.reasons()):
            reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        idle = [case for case in seen.cases if not case.attempted]
        frequent = sorted(reasons, key=lambda reason: -reasons[reason])
        by_reason = join_words((f"{reasons[reason]} ({reason})" for reason in frequent), most=5)
        sentence = f"{pluralize(len(idle), 'case')} did not run: {by_reason}."
        counts: Data = {"count": len(idle)}
        yield Finding(Code.MATRIX_NOT_RUN, "info", sentence, cases=ids(idle), data=counts, place="unanswered")


def _nothing_failed(seen: Session, nothing: str) -> Iterator[Finding]:
    """The one good line, or why there is none. Only asked when no check found a failure."""
    tried = any(each.attempted for each in seen.pipelines) or any(each.attempted for each in seen.serving)
    about_pipelines = pipeline_findings.nothing_failed(seen)
    if not tried and not any(case.attempted for case in seen.cases):
        yield Finding(Code.RUN_NOTHING_MEASURED, "warn", "Nothing was measured in this run.")
    elif passed := [case for case in seen.cases if case.gate == "pass"]:
        kept = f"at least {gate_percent(seen.least)} of the FP32 baseline's accuracy"
        which = "The one judged case keeps" if len(passed) == 1 else f"All {len(passed)} judged cases keep"
        judged: Data = {"judged": len(passed), "least": seen.least}
        yield Finding(
            Code.RUN_NOTHING_FAILED, "ok", f"{nothing} {which} {kept}. {about_pipelines}".rstrip(), data=judged
        )
    else:
        sentence = f"{nothing} {about_pipelines or 'Accuracy was not judged in this run.'}"
        yield Finding(Code.RUN_NOTHING_FAILED, "ok", sentence, data={"judged": 0})


CHECKS: tuple[Callable[[Session], Iterator[Finding]], ...] = (
    _ending,
    _errors,
    data.implausible_baseline,
    _gate_failures,
    pipeline_findings.broken,
    serving_findings.broken,
    _known_faults,
    _problems,
    _damaged,
    timing.slower,
    _silent_fp32,
    timing.not_steady,
    timing.moving,
    timing.impossible,
    timing.launch_bound,
    gpu.throttled,
    gpu.shared,
    gpu.unhindered,
    timing.no_baseline,
    data.labels_unused,
    data.departures,
    _not_certain,
    _not_judged,
    _did_not_run,
    pipeline_findings.doubts,
    serving_findings.doubts,
)
