"""The findings in the order of a reader: what broke, each with what to do about it; then the doubts, by their kind.

Page, terminal and job summary tell them in this order, behind the answer (`reports.analysis.answer`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.analysis.cases import CaseSummary
from reports.analysis.pipeline import rough
from reports.analysis.timing_quality import at_power_limit, gpu_contended, unreliable
from reports.findings.base import Code, Finding
from reports.findings.brief import brief, brief_since
from reports.record.pipeline import PipelineSummary
from reports.text.formatting import pluralize, sentence, stopped


@dataclass(frozen=True)
class Mend:
    """What to do: `advice` in words, and the `command` for it, if there is one."""

    advice: str
    command: str = ""


RESUME = "pytest bench/ --benchmark-only --resume DIR"
# What to do, by the code of the finding.
MEND: Mapping[Code, Mend] = {
    Code.STAGE_ERROR: Mend("Its log is on the page. Once that is mended, run it again", RESUME),
    Code.STAGE_FAILED: Mend("Its log is on the page. What this machine can run", "python -m fixtures.doctor"),
    Code.GATE_FAILED: Mend("Do not ship it. Which layers differ", "python -m fixtures.divergence"),
    Code.RECORD_INCONSISTENT: Mend(
        "Do not trust its figures. Build it again", "pytest bench/ --benchmark-only --rebuild"
    ),
    Code.PIPELINE_ERROR: Mend("See the end of the terminal's log, then run it again", RESUME),
    Code.PIPELINE_FAILED: Mend("Do not use it. Its stages, exchanged one at a time, show which changes the answers"),
    Code.SERVING_ERROR: Mend("See whether the server answers, then run it again", RESUME),
    Code.SERVING_FAILED: Mend("Do not use it until it agrees with PyTorch again"),
    Code.BASELINE_IMPLAUSIBLE: Mend("Nothing can be judged against it: check the weights, the images and the labels"),
    Code.HISTORY: Mend("Set this run beside the last good one", "python -m reports compare A/rows.jsonl B/rows.jsonl"),
    Code.MATRIX_NOTHING_RUNS: Mend("What is missing", "python -m fixtures.doctor"),
}
MEND_RUN = Mend("See the end of the terminal's log, then go on with the run", RESUME)
# What happened, in a word or two: what a reader looks for first.
HAPPENED: Mapping[Code, str] = {
    Code.STAGE_ERROR: "crashed",
    Code.STAGE_FAILED: "failed",
    Code.GATE_FAILED: "failed the gate",
    Code.BASELINE_IMPLAUSIBLE: "no yardstick",
    Code.RECORD_INCONSISTENT: "not to be trusted",
    Code.PIPELINE_ERROR: "crashed",
    Code.PIPELINE_FAILED: "failed the gate",
    Code.SERVING_ERROR: "crashed",
    Code.SERVING_FAILED: "failed",
    Code.HISTORY: "became worse",
    Code.MATRIX_NOTHING_RUNS: "nothing ran",
}
HAPPENED_TO_RUN = "the run"
# How the check of the gates begins what it advises itself.
UNDECIDED = " The interval reaches the gate:"
# How `reports.history.session_regressions` says since when something is worse.
SINCE = " since "


@dataclass(frozen=True)
class Broken:
    """One thing that broke: where (empty for the whole run), what and how much, since when if known, what to do.

    `where` and `found`, with the advice that the check itself gives, are the text of the finding, or of several
    findings of the history about one case. `first` and `do` are the first of these and what to do in few words; `more`
    counts the others.
    """

    code: Code
    where: str
    found: str
    since: str
    mend: Mend
    case_ids: tuple[str, ...]
    first: str
    do: str
    more: int = 0

    @property
    def happened(self) -> str:
        """What happened, in a word or two."""
        return HAPPENED.get(self.code, HAPPENED_TO_RUN)

    @property
    def what(self) -> str:
        """What and how much, in few words: `device time +25.0 % (limit 5 %) and 1 more figure`."""
        return f"{self.first} and {pluralize(self.more, 'more figure')}" if self.more else self.first

    @property
    def brief_since(self) -> str:
        """Since when, as far as it is known, in few words."""
        return brief_since(self.since)

    @property
    def brief(self) -> str:
        """What and how much, since when, and what to do: `device time +25.0 % (limit 5 %), since 2026-11-28 → …`."""
        return f"{', '.join(filter(None, [self.what, self.brief_since]))} → {self.do}"

    @property
    def line(self) -> str:
        """All of it at length, the command at its end."""
        head = f"{self.where}: " if self.where else ""
        since = f" {sentence(self.since)}" if self.since else ""
        return f"{head}{stopped(self.found)}{since} {self.advice}{f' {self.mend.command}' if self.mend.command else ''}"

    @property
    def advice(self) -> str:
        """What to do, as a sentence; where a command follows, it introduces it."""
        return f"{self.mend.advice}:" if self.mend.command else stopped(self.mend.advice)


@dataclass(frozen=True)
class Doubts:
    """All notes of one kind: `title` is a line with their count, `case_ids` those it is about, if it is about cases."""

    code: Code
    title: str
    findings: tuple[Finding, ...]
    case_ids: tuple[str, ...]

    @property
    def level(self) -> str:
        """The gravest of its findings."""
        return "warn" if any(finding.level == "warn" for finding in self.findings) else "info"


QUIET, BUSY, NOT_WATCHED = "quiet", "busy", "not watched"


@dataclass(frozen=True)
class Quietness:
    """Whether the machine was quiet: `word` is "quiet", "busy" or "not watched", `answer` says it with its reason."""

    word: str
    answer: str

    @property
    def short(self) -> str:
        """The answer without its reason: "yes", "no" or "not watched"."""
        return {QUIET: "yes", BUSY: "no"}.get(self.word, self.word)


# In the order of reading: a title for one case and one for several; without the second it is told of the whole run.
# A code that is not here is told under its own name, behind the others: none is lost.
TITLES: Mapping[Code, tuple[str, str]] = {
    Code.RUN_INTERRUPTED: ("the run was interrupted", ""),
    Code.RUN_NOTHING_MEASURED: ("nothing was measured", ""),
    Code.RECORD_TORN: ("the record was cut off", ""),
    Code.RECORD_DAMAGED: ("case with damaged values", "cases with damaged values"),
    Code.TIMING_UNSTEADY: ("timing did not become steady", "timings did not become steady"),
    Code.TIMING_MOVED: ("timing moved or spread", "timings moved or spread"),
    Code.TIMING_SHORTER_WITH_COPIES: (
        "timing shorter with copies than without", "timings shorter with copies than without",
    ),
    Code.ACCURACY_UNCERTAIN: ("accuracy not certain", "accuracies not certain"),
    Code.PIPELINE_UNSTEADY: ("pipeline's throughput not steady", "throughputs of pipelines not steady"),
    Code.PIPELINE_UNCERTAIN: ("pipeline's accuracy not certain", "accuracies of pipelines not certain"),
    Code.GPU_THROTTLED: ("throttled timing", "throttled timings"),
    Code.GPU_SHARED: ("timing on a shared GPU", "timings on a shared GPU"),
    Code.GPU_AT_POWER_LIMIT: ("timing at the card's power limit", "timings at the card's power limit"),
    Code.BASELINE_MISSING: ("case without a speed-up", "cases without a speed-up"),
    Code.PRECISION_NOT_AS_ASKED: ("engine in another precision", "engines in another precision"),
    Code.PRECISION_SLOWER: ("engine slower than FP32", "engines slower than FP32"),
    Code.HISTORY: ("doubt of the history", "doubts of the history"),
    Code.PRECISION_NO_CLEAR_GAIN: ("engine without a clear gain", "engines without a clear gain"),
    Code.TIMING_LAUNCH_BOUND: ("timing bound by the host's launches", "timings bound by the host's launches"),
    Code.GPU_THROTTLED_AT_FIRST: ("timing measured again", "timings measured again"),
    Code.ACCURACY_NOT_JUDGED: ("case not judged", "cases not judged"),
    Code.GPU_UNDISTURBED: ("no throttling, and no other process on the GPU", ""),
    Code.RUN_SLOWER: ("the history failed the run", ""),
    Code.RUN_NOTHING_FAILED: ("the gates", ""),
    Code.PIPELINE_NOT_JUDGED: ("pipeline not judged", "pipelines not judged"),
    Code.PIPELINE_NOT_RUN: ("pipeline did not run", "pipelines did not run"),
    Code.SERVING_NOT_RUN: ("served model not measured", "served models not measured"),
    Code.MATRIX_NOT_RUN: ("case did not run", "cases did not run"),
}  # fmt: skip


def broken(findings: Sequence[Finding], cases: Sequence[CaseSummary], since: Mapping[str, str]) -> list[Broken]:
    """What broke, in the order of `findings` (`reports.findings.run.find`).

    `since` says of a case's id when it was last well, as far as a history knows. What the history says of a case that
    crashed is left to the crash itself, so that no case is told twice.
    """
    crashed = {case.id for case in cases if case.status == "error"}
    crashed |= {str(each.data["id"]) for each in findings if each.code in (Code.PIPELINE_ERROR, Code.SERVING_ERROR)}
    entries: list[Broken] = []
    for finding in findings:
        past = finding.code == Code.HISTORY
        if finding.level != "fail" or (past and finding.cases and crashed.issuperset(finding.cases)):
            continue
        last = {} if past else dict.fromkeys(since[case] for case in finding.cases if case in since)
        what_happened, advice, why = finding.sentence.partition(UNDECIDED)
        mend = Mend(f"{advice.strip()}{why}") if advice else MEND.get(finding.code, MEND_RUN)
        # Cases that were last well on different days have no one answer.
        well = next(iter(last)) if len(last) == 1 else ""
        if past:
            # What changed since when is told where every line tells it.
            what_happened, began, well = what_happened.partition(SINCE)
            well = f"{began.strip()} {well}".strip().rstrip(".")
        same = (
            at
            for at, each in enumerate(entries)
            if past and (each.code, each.case_ids) == (finding.code, finding.cases)
        )
        short = brief(finding)
        if (at := next(same, None)) is not None:
            # One case that became worse in several figures is one thing that broke.
            before = entries[at]
            if before.since == well:
                entries[at] = replace(before, found=f"{before.found} and {what_happened}", more=before.more + 1)
            else:
                # Each with its own day, and none for both.
                entries[at] = replace(
                    before,
                    found=f"{before.found} {before.since}; {what_happened} {well}",
                    since="",
                    first=f"{before.what} {before.brief_since}, {short.what} {brief_since(well)}",
                    more=0,
                )
            continue
        entries.append(
            Broken(finding.code, finding.where, what_happened, well, mend, finding.cases, short.what, short.do)
        )
    return entries


def doubts(findings: Sequence[Finding]) -> list[Doubts]:
    """Everything else that was found, by its kind in the order of `TITLES`, with how often."""
    by_code: dict[Code, list[Finding]] = {}
    for finding in findings:
        if finding.level != "fail":
            by_code.setdefault(finding.code, []).append(finding)
    order = [*TITLES, *(code for code in by_code if code not in TITLES)]
    return [_doubts(code, by_code[code]) for code in order if code in by_code]


def doubts_line(kinds: Sequence[Doubts], most: int = 4) -> str:
    """The kinds of doubt in a line: `12 timings moved or spread; 31 accuracies not certain; 4 notes`."""
    grave = [each for each in kinds if each.level == "warn"][:most]
    left = sum(each not in grave for each in kinds)
    shown = [each.title for each in grave] + ([pluralize(left, "note")] if left else [])
    return "; ".join(shown)


def quietness(
    findings: Sequence[Finding], cases: Sequence[CaseSummary], pipelines: Sequence[PipelineSummary] = ()
) -> Quietness | None:
    """Whether the machine was quiet while it was timed; None where nothing was timed.

    A GPU is watched (other processes, throttling) while single engines are timed. Of a CPU, and of pipelines, only the
    timings themselves tell.
    """
    timed = [case for case in cases if case.latency is not None]
    codes = {finding.code for finding in findings}
    if not timed:
        rates = [each.speed for each in pipelines if each.speed is not None]
        answer = (
            f"not watched while pipelines were timed; {sum(map(rough, rates))} of {len(rates)} throughputs are rough"
        )
        return Quietness(NOT_WATCHED, answer) if rates else None
    if codes & {Code.GPU_SHARED, Code.GPU_THROTTLED}:
        return Quietness(BUSY, f"no: {sum(map(gpu_contended, timed))} of {len(timed)} timings were disturbed")
    if measured_again := [finding for finding in findings if finding.code == Code.GPU_THROTTLED_AT_FIRST]:
        count = sum(len(finding.cases) for finding in measured_again)
        return Quietness(QUIET, f"yes: {pluralize(count, 'throttled timing')} measured again")
    if limited := sum(map(at_power_limit, timed)):
        return Quietness(
            QUIET, f"yes: no other process was seen on the GPU; {pluralize(limited, 'timing')} at its power limit"
        )
    if Code.GPU_UNDISTURBED in codes:
        return Quietness(QUIET, "yes: no throttling and no other process was seen on the GPU")
    return Quietness(
        NOT_WATCHED, f"not watched (only a GPU is); {sum(map(unreliable, timed))} of {len(timed)} timings are rough"
    )


def _doubts(code: Code, findings: Sequence[Finding]) -> Doubts:
    cases = tuple(dict.fromkeys(case for finding in findings for case in finding.cases))
    words = code.replace(".", ": ").replace("_", " ")
    one, several = TITLES.get(code, (words, ""))
    count = len(cases) or len(findings)
    title = f"{count} {one if count == 1 else several}" if several else one
    return Doubts(code, title, tuple(findings), cases)
