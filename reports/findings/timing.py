"""What the timings of a session prove and what they do not, as sentences of the verdict."""

from collections.abc import Iterator, Sequence

from reports.analysis.cases import CaseSummary, reference_case
from reports.analysis.phrases import describe_cases
from reports.analysis.timing_quality import moved, shorter_end_to_end, unreliable, unsteady
from reports.findings.base import Code, Data, Finding, Session, ids
from reports.record.ratio import speed_ratio
from reports.record.results import Ratio
from reports.record.schema import BASELINE_BACKEND, BASELINE_PRECISION
from reports.text.formatting import join_words, pluralize, times, times_interval
from reports.text.names import BASELINE, backend_name, model_name

# So many engines are named; of more, how many there are.
MOST_NAMED = 12
OWN = "the same engine's FP32"
# Levels that moved while they were measured did so by up to 1.8 (the published run): who takes twice as long is slower.
BEYOND_DOUBT = 0.5


def slower(seen: Session) -> Iterator[Finding]:
    """Lower precision that did not pay: against the same backend's FP32, else against the baseline.

    What is only seen through a timing that is rough is told as unclear, with its figure.
    """
    lost: dict[tuple[str, str, str], list[tuple[CaseSummary, Ratio]]] = {}
    unclear: dict[str, list[tuple[CaseSummary, str]]] = {}
    for case in seen.cases:
        if case.precision == BASELINE_PRECISION or case.latency is None:
            continue
        doubt: tuple[str, str] | None = None
        for backend in dict.fromkeys((case.backend, BASELINE_BACKEND)):
            reference = reference_case(case, seen.cases, backend)
            ratio = (
                speed_ratio(case.effective_latency, reference.effective_latency)
                if case.effective_latency and reference and reference.effective_latency
                else None
            )
            if reference is None or ratio is None:
                continue
            against = OWN if backend == case.backend else BASELINE
            most = ratio.value if ratio.high is None else ratio.high
            less = most < 1
            uncertain = most >= BEYOND_DOUBT and (unreliable(case) or unreliable(reference))
            if less and not uncertain:
                lost.setdefault((case.model, case.precision.upper(), against), []).append((case, ratio))
                doubt = None
                break
            if not doubt and (less or (ratio.low is not None and ratio.low <= 1)):
                doubt = (against, _figure(case, ratio, uncertain))
        if doubt:
            unclear.setdefault(doubt[0], []).append((case, doubt[1]))
    for (model, precision, against), slower_cases in lost.items():
        sentence = (
            f"{model_name(model)}: {precision} is slower than {against} on this machine: {_by_engine(slower_cases)}."
        )
        ratios: Data = {case.id: ratio.value for case, ratio in slower_cases}
        yield Finding(Code.PRECISION_SLOWER, "warn", sentence, cases=ids(case for case, _ in slower_cases), data=ratios)
    for against, figures in unclear.items():
        sentence = f"No clear gain over {against}: {join_words((words for _, words in figures), most=MOST_NAMED)}."
        about = ids(case for case, _ in figures)
        yield Finding(Code.PRECISION_NO_CLEAR_GAIN, "info", sentence, cases=about, data={"against": against})


def _by_engine(slower_cases: Sequence[tuple[CaseSummary, Ratio]]) -> str:
    """`ONNX Runtime 0.62× and 0.70× (batch 1 and 8)`."""
    engines: dict[str, list[tuple[str, int]]] = {}
    for case, ratio in slower_cases:
        engines.setdefault(backend_name(case.backend), []).append((times(ratio.value), case.batch))
    return join_words(
        f"{engine} {join_words(ratio for ratio, _ in each)} (batch {join_words(batch for _, batch in each)})"
        for engine, each in engines.items()
    )


def _figure(case: CaseSummary, ratio: Ratio, uncertain: bool) -> str:
    """`CLIP image · torch.compile FP16 · batch 8: 1.02× (1.00–1.08)`."""
    interval = times_interval(ratio)
    words = f"{case.title}: {times(ratio.value)}"
    remarks = [*([interval] if interval else []), *(["a rough timing"] if uncertain else [])]
    return f"{words} ({', '.join(remarks)})" if remarks else words


def not_steady(seen: Session) -> Iterator[Finding]:
    """Timings whose warm-up never ended."""
    timed = [case for case in seen.cases if case.latency]
    if unsteady_cases := [case for case in timed if unsteady(case)]:
        what = f"{len(unsteady_cases)} of {pluralize(len(timed), 'timing')} did not become steady, take them as rough"
        yield _counted(
            Code.TIMING_UNSTEADY, "warn", f"{what}: {describe_cases(unsteady_cases)}.", unsteady_cases, timed
        )


def moving(seen: Session) -> Iterator[Finding]:
    """Timings that ended, but whose level moved or whose calls spread."""
    timed = [case for case in seen.cases if case.latency]
    if moving_cases := [case for case in timed if not unsteady(case) and moved(case)]:
        what = f"{len(moving_cases)} of {pluralize(len(timed), 'timing')} moved or spread while they were measured"
        sentence = f"{what}, take them as rough: {describe_cases(moving_cases, most=MOST_NAMED)}."
        yield _counted(Code.TIMING_MOVED, "warn", sentence, moving_cases, timed)


def launch_bound(seen: Session) -> Iterator[Finding]:
    """Engines that could do more than one caller gets out of them."""
    timed = [case for case in seen.cases if case.launch]
    if bound_cases := [case for case in timed if case.launch_bound]:
        # Launches seldom keep a level: the names are often those that stand in the warning already.
        already_named = bound_cases == [case for case in seen.cases if case.latency and (unsteady(case) or moved(case))]
        which = f"{len(bound_cases)} of {pluralize(len(timed), 'timing')}{', the rough ones,' if already_named else ''}"
        are = "is" if len(bound_cases) == 1 else "are"
        why = "the card waits for its host, and the speed is the host's; a CUDA graph launches at once"
        where = "" if already_named else f": {describe_cases(bound_cases, most=MOST_NAMED)}"
        sentence = f"{which} {are} bound by the launches ({why}){where}."
        yield _counted(Code.TIMING_LAUNCH_BOUND, "info", sentence, bound_cases, timed)


def impossible(seen: Session) -> Iterator[Finding]:
    """Calls that took less with their copies than without."""
    if cases := [case for case in seen.cases if shorter_end_to_end(case)]:
        what = (
            f"{pluralize(len(cases), 'timing')} {'is' if len(cases) == 1 else 'are'} shorter with copies than without"
        )
        why = "bound by the host's launches, whose level moved meanwhile: read both as rough"
        sentence = f"{what} ({why}): {describe_cases(cases, most=MOST_NAMED)}."
        yield _counted(
            Code.TIMING_SHORTER_WITH_COPIES,
            "warn",
            sentence,
            cases,
            [each for each in seen.cases if each.latency],
        )


def no_baseline(seen: Session) -> Iterator[Finding]:
    """Cases without a speed-up, because what it would be over is missing or not what it should be."""
    inconsistent = {(case.model, case.batch) for case in seen.cases if case.is_baseline and not case.consistent}
    missing: dict[tuple[str, str], list[CaseSummary]] = {}
    for case in seen.cases:
        if case.latency and not reference_case(case, seen.cases, BASELINE_BACKEND):
            why = "cannot be trusted" if (case.model, case.batch) in inconsistent else "was not timed"
            missing.setdefault((case.model, why), []).append(case)
    for (model, why), cases in missing.items():
        where = f"{model_name(model)} · batch {join_words(dict.fromkeys(case.batch for case in cases))}"
        sentence = f"no speed-up, because {BASELINE} {why} in this run."
        yield Finding(Code.BASELINE_MISSING, "warn", sentence, where, ids(cases))


def _counted(
    code: Code, level: str, sentence: str, affected: Sequence[CaseSummary], of: Sequence[CaseSummary]
) -> Finding:
    return Finding(code, level, sentence, cases=ids(affected), data={"count": len(affected), "of": len(of)})
