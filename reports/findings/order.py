"""The findings in the order of a reader: what broke, each with what to do about it; then the doubts, by their kind.

Page, terminal and job summary tell them in this order, behind the answer (`reports.analysis.answer`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.analysis.timing_quality import gpu_contended, unreliable
from reports.findings.base import Code, Finding
from reports.text.formatting import pluralize

# What to do, by the code of the finding.
MEND: Mapping[Code, str] = {
    Code.STAGE_ERROR: "its log stands under Why; --resume DIR runs it again",
    Code.STAGE_FAILED: "its log stands under Why; python -m fixtures.doctor says what this machine can run",
    Code.GATE_FAILED: "do not ship it; python -m fixtures.divergence names the first layers that differ",
    Code.RECORD_INCONSISTENT: "build it again with --rebuild; do not trust its figures until then",
    Code.PIPELINE_ERROR: "see the end of the terminal's log; --resume DIR runs it again",
    Code.PIPELINE_FAILED: "do not use it; its stages are exchanged one at a time to find which changes the answers",
    Code.HISTORY: "python -m reports compare sets two of these runs side by side",
    Code.MATRIX_NOTHING_RUNS: "python -m fixtures.doctor says what is missing",
}
MEND_RUN = "see the end of the terminal's log; --resume DIR goes on with the run"
# How the check of the gates begins what it advises itself.
UNDECIDED = " The interval reaches the gate:"


@dataclass(frozen=True)
class Broken:
    """One thing that broke: where (empty for the whole run), what and how much, since when if known, what to do.

    `where` and `found`, with the advice that the check itself gives, are the text of the finding.
    """

    code: Code
    where: str
    found: str
    since: str
    mend: str
    case_ids: tuple[str, ...]

    @property
    def line(self) -> str:
        """All of it in a line."""
        head = f"{self.where}: " if self.where else ""
        since = f" ({self.since})" if self.since else ""
        return f"{head}{self.found} → {self.mend}{since}"


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


def broken(found: Sequence[Finding], cases: Sequence[CaseSummary], since: Mapping[str, str]) -> list[Broken]:
    """What broke, in the order of `found` (`reports.findings.run.find`).

    `since` says of a case's id when it was last well, as far as a history knows. What the history says of a case that
    crashed is left to the crash itself, so that no case is told twice.
    """
    crashed = {case.id for case in cases if case.status == "error"}
    told = []
    for finding in found:
        past = finding.code == Code.HISTORY
        if finding.level != "fail" or (past and finding.cases and crashed.issuperset(finding.cases)):
            continue
        last = {} if past else dict.fromkeys(since[case] for case in finding.cases if case in since)
        sentence, advice, why = finding.sentence.partition(UNDECIDED)
        mend = f"{advice.strip()}{why}" if advice else MEND.get(finding.code, MEND_RUN)
        # Cases that were last well on different days have no one answer.
        well = next(iter(last)) if len(last) == 1 else ""
        told.append(Broken(finding.code, finding.where, sentence, well, mend, finding.cases))
    return told


def doubts(found: Sequence[Finding]) -> list[Doubts]:
    """Everything else that was found, by its kind in the order of `TITLES`, with how often."""
    by_code: dict[Code, list[Finding]] = {}
    for finding in found:
        if finding.level != "fail":
            by_code.setdefault(finding.code, []).append(finding)
    order = [*TITLES, *(code for code in by_code if code not in TITLES)]
    return [_doubts(code, by_code[code]) for code in order if code in by_code]


def doubts_line(told: Sequence[Doubts], most: int = 4) -> str:
    """The kinds of doubt in a line: `12 timings moved or spread; 31 accuracies not certain; 4 other notes`."""
    grave = [each for each in told if each.level == "warn"][:most]
    left = sum(each not in grave for each in told)
    shown = [each.title for each in grave] + ([pluralize(left, "other note")] if left else [])
    return "; ".join(shown)


def quietness(found: Sequence[Finding], cases: Sequence[CaseSummary]) -> str:
    """Whether the machine was quiet while it was timed, in a few words; empty where nothing was timed.

    A GPU is watched (other processes, throttling). Of a CPU only the timings themselves tell.
    """
    timed = [case for case in cases if case.latency is not None]
    codes = {finding.code for finding in found}
    if not timed:
        return ""
    if codes & {Code.GPU_SHARED, Code.GPU_THROTTLED}:
        return f"Machine quiet: no, {sum(map(gpu_contended, timed))} of {len(timed)} timings were disturbed"
    if Code.GPU_UNDISTURBED in codes:
        return "Machine quiet: yes"
    return f"Machine quiet: not watched, {sum(map(unreliable, timed))} of {len(timed)} timings are rough"


def _doubts(code: Code, findings: Sequence[Finding]) -> Doubts:
    cases = tuple(dict.fromkeys(case for finding in findings for case in finding.cases))
    words = code.replace(".", ": ").replace("_", " ")
    one, several = TITLES.get(code, (words, ""))
    count = len(cases) or len(findings)
    title = f"{count} {one if count == 1 else several}" if several else one
    return Doubts(code, title, tuple(findings), cases)
