"""The findings in the order of a reader: what broke, each with what to do about it; then the doubts, by their kind.

Page, terminal and job summary tell them in this order, behind the answer (`reports.analysis.answer`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import card_figures
from reports.analysis.timing_quality import moved, shorter_end_to_end, unsteady
from reports.findings.base import Finding
from reports.text.formatting import pluralize

HISTORY = "history"
# What to do, by the check that found it.
MEND = {
    "ending": "see the end of the terminal's log; --resume DIR goes on with the run",
    "errors": "its log stands under Why; --resume DIR runs it again",
    "gate_failures": "do not ship it; python -m fixtures.divergence names the first layers that differ",
    "problems": "build it again with --rebuild; do not trust its figures until then",
    HISTORY: "python -m reports compare sets two of these runs side by side",
}
# How the check of the gates begins what it advises itself.
UNDECIDED = " The interval reaches the gate:"


@dataclass(frozen=True)
class Broken:
    """One thing that broke: where (empty for the whole run), what and how much, since when if known, what to do.

    `where` and `found`, with the advice that the check itself gives, are the text of the finding.
    """

    code: str
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
class Kind:
    """What one check says of a session: a title in the singular and plural, and which cases it is about."""

    one: str
    several: str
    about: Callable[[CaseSummary, float], bool] | None = None

    def title(self, count: int) -> str:
        """With a count; without one where the check speaks of the whole run, and `several` is empty."""
        if not self.several:
            return self.one
        return f"{count} {self.one if count == 1 else self.several}"


@dataclass(frozen=True)
class Doubts:
    """All notes of one kind: `title` is a line with their count, `cases` those it is about, if it is about cases."""

    code: str
    title: str
    findings: tuple[Finding, ...]
    cases: tuple[CaseSummary, ...]

    @property
    def level(self) -> str:
        """The gravest of its findings."""
        return "warn" if any(finding.level == "warn" for finding in self.findings) else "info"


# In the order of reading. A check that is not here is told under its own name: none is lost.
KINDS: Mapping[str, Kind] = {
    "ending": Kind("how the run ended", ""),
    "not_steady": Kind("timing did not become steady", "timings did not become steady", lambda each, _: unsteady(each)),
    "moving": Kind(
        "timing moved or spread", "timings moved or spread", lambda each, _: not unsteady(each) and bool(moved(each))
    ),
    "impossible": Kind(
        "timing shorter with copies than without",
        "timings shorter with copies than without",
        lambda each, _: shorter_end_to_end(each),
    ),
    "not_certain": Kind(
        "accuracy not certain",
        "accuracies not certain",
        lambda each, least: each.uncertain(least) is not None,
    ),
    "throttled": Kind(
        "throttled timing", "throttled timings", lambda each, _: card_figures(each).throttled or _repeated(each)
    ),
    "shared": Kind(
        "timing on a shared GPU", "timings on a shared GPU", lambda each, _: bool(card_figures(each).foreign)
    ),
    "no_baseline": Kind("model and batch without a speed-up", "models and batches without a speed-up"),
    "silent_fp32": Kind("kind of engine in another precision", "kinds of engine in another precision"),
    "slower": Kind("note on slower precisions", "notes on slower precisions"),
    "launch_bound": Kind(
        "timing bound by the host's launches",
        "timings bound by the host's launches",
        lambda each, _: each.launch_bound,
    ),
    HISTORY: Kind("doubt of the history", "doubts of the history"),
    "not_judged": Kind(
        "case not judged",
        "cases not judged",
        lambda each, _: each.gate == "not judged" and not each.problems,
    ),
    "unhindered": Kind("no throttling, and no other process on the GPU", ""),
    "nothing_failed": Kind("the gates", ""),
    "did_not_run": Kind("case did not run", "cases did not run", lambda each, _: not each.ran),
}


def broken(
    found: Sequence[tuple[str, Finding]], cases: Sequence[CaseSummary], since: Mapping[str, str]
) -> list[Broken]:
    """What broke, in the order of `found` (`reports.findings.run.find_by_check`).

    `since` says of a case's id when it was last well, as far as a history knows. What the history says of a case that
    crashed is left to the crash itself, so that no case is told twice.
    """
    told = []
    for code, finding in found:
        if finding.level != "fail":
            continue
        where, colon, rest = finding.text.partition(": ")
        about = tuple(case for case in cases if _named(case, where) and _broken_as(code, case)) if colon else ()
        if code == "ending" or not colon:
            where, rest, about = "", finding.text, ()
        if code == HISTORY and about and all(case.status == "error" for case in about):
            continue
        last = dict.fromkeys(since[case.id] for case in about if case.id in since) if code != HISTORY else {}
        rest, advice, why = rest.partition(UNDECIDED)
        mend = f"{advice.strip()}{why}" if advice else MEND.get(code, MEND["errors"])
        told.append(Broken(code, where, rest, next(iter(last)) if len(last) == 1 else "", mend, _ids(about)))
    return told


def doubts(found: Sequence[tuple[str, Finding]], cases: Sequence[CaseSummary], least: float) -> list[Doubts]:
    """Everything else that was found, by its kind in the order of `KINDS`, with how often."""
    by_code: dict[str, list[Finding]] = {}
    for code, finding in found:
        if finding.level != "fail":
            by_code.setdefault(code, []).append(finding)
    order = [*KINDS, *(code for code in by_code if code not in KINDS)]
    return [_doubts(code, by_code[code], cases, least) for code in order if code in by_code]


def _doubts(code: str, findings: Sequence[Finding], cases: Sequence[CaseSummary], least: float) -> Doubts:
    name = code.replace("_", " ")
    kind = KINDS.get(code, Kind(f"note: {name}", f"notes: {name}"))
    about = kind.about
    meant = tuple(case for case in cases if about(case, least)) if about else ()
    return Doubts(code, kind.title(len(meant) or len(findings)), tuple(findings), meant)


def doubts_line(told: Sequence[Doubts], most: int = 4) -> str:
    """The kinds of doubt in a line: `12 timings moved or spread, 31 accuracies not certain; 4 other notes`."""
    grave = [each for each in told if each.level == "warn"]
    shown = "; ".join(each.title for each in grave[:most])
    left = sum(len(each.findings) for each in told if each not in grave[:most])
    rest = f"{pluralize(left, 'other note')}" if left else ""
    return "; ".join(filter(None, [shown, rest]))


def _repeated(case: CaseSummary) -> bool:
    return card_figures(case).repeats > 0


def _named(case: CaseSummary, where: str) -> bool:
    """Whether the words of `reports.text.formatting.place` are about this case; a history gives its id."""
    return case.id == where or f"{case.model} {case.name} (batch " in where


def _broken_as(code: str, case: CaseSummary) -> bool:
    """Whether the check with this name could have found this case."""
    if code == "gate_failures":
        return case.gate == "fail"
    if code == "problems":
        return bool(case.problems)
    return code != "errors" or case.status == "error" or bool(case.failed_stages)


def _ids(cases: Sequence[CaseSummary]) -> tuple[str, ...]:
    return tuple(case.id for case in cases)
