"""Which engine to ship: for each model and batch the fastest that passes its gate, and why it is that one."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary, summarize, tolerance
from reports.analysis.phrases import SUSTAINED, gate_sentence
from reports.analysis.timing_quality import at_power_limit, gpu_contended, unreliable
from reports.record.ratio import speed_ratio
from reports.record.schema import Row
from reports.record.store import last_session
from reports.text.formatting import (
    THIN_SPACE,
    first_line,
    gate_percent,
    join_words,
    percent,
    percent_interval,
    sentence,
    significant,
    times,
    times_interval,
)
from reports.text.names import BASELINE, backend_name

# Medians of one engine in two runs differ by about as much: engines that lie closer together are a tie.
TIE = 1.03
# Engines whose medians differ by more are none, however uncertain one of them is: nobody would take either.
WIDEST_TIE = 1.05
GIGABYTE = 1e9


@dataclass(frozen=True)
class Recommendation:
    """The answer for one model and batch. `engines` holds several names for a tie and none for no answer.

    `int8` says what the fastest INT8 engine costs in accuracy, where one was judged; `runner_up_id` is the case that
    `runner_up` tells of.
    """

    model: str
    batch: int
    case_ids: tuple[str, ...]
    engines: tuple[str, ...]
    text: str
    runner_up: str | None
    int8: str | None
    runner_up_id: str | None = None

    @property
    def tie(self) -> bool:
        return len(self.engines) > 1


def recommend(rows: Sequence[Row]) -> list[Recommendation]:
    """One recommendation per model and batch that was timed, in the order of the table."""
    session = last_session(list(rows))
    return choose(summarize(session), 1 - tolerance(session))


def choose(cases: Sequence[CaseSummary], least: float) -> list[Recommendation]:
    """The same of cases that are summarized already."""
    groups: dict[tuple[str, int], list[CaseSummary]] = {}
    for case in cases:
        if case.ranked:
            groups.setdefault((case.model, case.batch), []).append(case)
    return [_choose(model, batch, timed, least) for (model, batch), timed in groups.items()]


def _choose(model: str, batch: int, timed: Sequence[CaseSummary], least: float) -> Recommendation:
    int8 = int8_costs(timed, least)

    def none(text: str) -> Recommendation:
        return Recommendation(model, batch, (), (), text, None, int8)

    ranked = sorted(comparable(timed), key=_p50)
    judged = [case for case in ranked if case.gate in ("pass", "fail") and not case.is_baseline]
    if not judged:
        others = [case for case in ranked if not case.is_baseline]
        if not others:
            return none("Only the baseline was timed: there is nothing to choose from.")
        not_judged = "No engine's accuracy was judged: no recommendation."
        sound = [case for case in ranked if case.status == "passed" and not case.problems]
        doubtful = [case for case in ranked if case not in sound]
        fastest = f" The fastest is {_with_speed(sound[0])}." if sound else ""
        return none(
            not_judged + fastest + (f" Not to be trusted: {_each_against(doubtful, least)}." if doubtful else "")
        )
    eligible = [case for case in ranked if may_ship(case)]
    if not eligible:
        return none(f"Nothing passes: no recommendation. Measured: {_each_against(ranked, least)}.")
    best = eligible[0]
    overlapping = [case for case in eligible if case is not best and _overlap(best, case)]
    tied = [case for case in eligible if _p50(case) <= _p50(best) * (WIDEST_TIE if case in overlapping else TIE)]
    rest = [case for case in eligible if case not in tied]
    unclear = [case for case in overlapping if case not in tied]
    faster = [case for case in ranked if _p50(case) < _p50(best) and case not in eligible]
    sentences = [_tie(tied, least) if len(tied) > 1 else _justification(best, least)]
    if unclear:
        sentences.append(
            f"{join_words(_with_speed(case) for case in unclear)} may be as fast: the timing is too uncertain to say. "
            "Run it again."
        )
    if any(unreliable(case) for case in tied):
        sentences.append("Its timing was not steady: run it again before you rely on it.")
    elif shaky := next((case for case in ranked if case.is_baseline and unreliable(case)), None):
        alone = _on_the_card(best, shaky)
        sentences.append(f"The baseline's timing was not steady, so that the speed-up is rough{alone}.")
    if limited := [case.name for case in tied if at_power_limit(case)]:
        which = f"{join_words(limited)}: " if 1 < len(tied) != len(limited) else ""
        sentences.append(f"{which}{SUSTAINED}." if which else sentence(SUSTAINED))
    if any(gpu_contended(case) for case in tied):
        sentences.append("The card was throttled or not its own meanwhile: run it again on a free card.")
    elif any(case.is_baseline and gpu_contended(case) for case in ranked):
        sentences.append(
            "The card was throttled or not its own while the baseline was timed, so that the speed-up is rough."
        )
    if faster:
        sentences.append(f"Faster, but not to be shipped: {_each_against(faster, least)}.")
    return Recommendation(
        model=model,
        batch=batch,
        case_ids=tuple(case.id for case in tied),
        engines=tuple(case.name for case in tied),
        text=" ".join(sentences),
        runner_up=_runner_up(rest[0], least) if rest else None,
        int8=int8,
        runner_up_id=rest[0].id if rest else None,
    )


def comparable(timed: Sequence[CaseSummary]) -> list[CaseSummary]:
    """The cases timed by one instrument, the baseline's if it was timed: host and device times do not rank."""
    first = next((case for case in timed if case.is_baseline), timed[0])
    assert first.latency is not None
    instrument = first.latency.instrument
    return [case for case in timed if case.latency is not None and case.latency.instrument == instrument]


def _p50(case: CaseSummary) -> float:
    assert case.effective_latency is not None
    return case.effective_latency.p50_ms


def may_ship(case: CaseSummary) -> bool:
    """Passed its gate, on the engine that was timed, within the memory limit. The baseline needs no gate: it is what is
    promised."""
    judged = case.gate == "pass" or (case.is_baseline and case.gate != "fail")
    return judged and case.status == "passed" and not case.problems and not case.over_memory_limit


def _overlap(faster: CaseSummary, slower: CaseSummary) -> bool:
    a, b = faster.effective_latency, slower.effective_latency
    if a is None or b is None or a.high_ms is None or b.low_ms is None:
        return False
    return b.low_ms <= a.high_ms


def _with_speed(case: CaseSummary) -> str:
    speedup = f", {times(case.speedup.value)}" if case.speedup else ""
    return f"{case.name} ({significant(case.images_per_second)} img/s{speedup})"


def _runner_up(case: CaseSummary, least: float) -> str:
    """`TensorRT FP16 (798 img/s, 4.56× (4.55–4.57)), which keeps 100.6 % (99.7–102.0) of the baseline's mAP50-95`."""
    if case.is_baseline or case.speedup is None:
        return _with_speed(case)
    interval = times_interval(case.speedup)
    faster = f"{times(case.speedup.value)}{f' ({interval})' if interval else ''}"
    return f"{case.name}: {significant(case.images_per_second)} img/s, {faster}; it {gate_sentence(case, least)}"


def _justification(case: CaseSummary, least: float) -> str:
    if case.is_baseline:
        return f"Nothing that passes is faster than {case.name} itself ({significant(case.images_per_second)} img/s)."
    speed = f"{significant(case.images_per_second)} img/s"
    if case.speedup:
        interval = times_interval(case.speedup)
        against = BASELINE
        speed += f", {times(case.speedup.value)}{f' ({interval})' if interval else ''} the speed of {against}"
    return f"The fastest that passes: {speed}; it {gate_sentence(case, least)}.{_doubt(case, least)}"


def _tie(tied: Sequence[CaseSummary], least: float) -> str:
    doubts = [case.name for case in tied if case.uncertain(least)]
    doubt = f" The accuracy of {join_words(doubts)} is not certain to hold." if doubts else ""
    return (
        f"A tie: {join_words(_with_speed(case) for case in tied)} pass, and lie closer together than two runs of one "
        f"engine may. Take the one that is easier to deploy, or that keeps more: {join_words(map(_kept, tied))}; "
        f"python -m fixtures.compare times two in turns.{doubt}"
    )


def _kept(case: CaseSummary) -> str:
    ratio = case.metric.ratio if case.metric else None
    interval = percent_interval(ratio)
    kept = percent(ratio.value if ratio else None, 0.0) + (f" ({interval})" if interval else "")
    return f"{case.name} {'is the baseline' if case.is_baseline else kept}"


def _on_the_card(case: CaseSummary, baseline: CaseSummary) -> str:
    """The speed-up of the work on the card, which keeps its level where the launches of the baseline do not."""
    if not baseline.launch_bound or case.latency is None or baseline.latency is None:
        return ""
    ratio = speed_ratio(case.latency, baseline.latency)
    return f"; of the work on the card alone it is {times(ratio.value)}" if ratio else ""


def _doubt(case: CaseSummary, least: float) -> str:
    metric = case.uncertain(least)
    if metric is None:
        return ""
    what = (
        "The interval" if metric == case.metric else f"The interval of {metric.name} ({percent_interval(metric.ratio)})"
    )
    return f" {what} reaches below {gate_percent(least)}: more evaluation images would make it certain."


def _each_against(cases: Sequence[CaseSummary], least: float) -> str:
    """The cases that may not be shipped, each with what stands against it."""
    return "; ".join(f"{_with_speed(case)} {_against(case, least)}" for case in cases)


def _against(case: CaseSummary, least: float) -> str:
    if case.gate == "fail":
        return f"fails its gate, it {gate_sentence(case, least)}"
    if case.problems:
        return f"cannot be trusted: {case.problems[0]}"
    if case.over_memory_limit:
        return over_memory_words(case)
    if case.failed_stages:
        return f"failed its {case.failed_stages[0]} question: {first_line(case.reason(case.failed_stages[0]))}"
    if case.status != "passed":
        return f"ended as {case.status}"
    return "was not judged"


def over_memory_words(case: CaseSummary) -> str:
    """`uses 13.1 GB of GPU memory, more than the limit of 11 GB`."""
    used = "an unknown amount" if case.memory_bytes is None else f"{case.memory_bytes / GIGABYTE:.1f} GB"
    return f"uses {used} of GPU memory, more than the limit of {case.memory_limit_bytes / GIGABYTE:g} GB"


def int8_costs(timed: Sequence[CaseSummary], least: float) -> str | None:
    """Of the fastest INT8 engine among cases of one model and batch: `INT8 (TensorRT) costs 0.2 % (−1.0 to 1.5), …`.

    None where none was judged. A loss is a share of the baseline's figure; less than nothing is a gain.
    """
    judged = [each for each in timed if each.precision == "int8" and each.gate in ("pass", "fail") and each.consistent]
    passing = [each for each in judged if each.gate == "pass"]
    case = min(
        passing or judged,
        key=lambda each: each.effective_latency.p50_ms if each.effective_latency else 0.0,
        default=None,
    )
    ratio = case.metric.ratio if case and case.metric else None
    if case is None or case.metric is None or ratio is None:
        return None
    interval = ""
    if ratio.low is not None and ratio.high is not None:
        interval = f" ({_points(1 - ratio.high)} to {_points(1 - ratio.low)})"
    if case.gate == "fail":
        verdict = f"which fails the gate of {gate_percent(least)}"
    elif case.uncertain(least):
        verdict = f"not certain to keep {gate_percent(least)}"
    else:
        verdict = f"certain to keep {gate_percent(least)}"
    cost = f"{_points(1 - ratio.value)}{THIN_SPACE}%{interval} of the {case.metric.name}"
    return f"INT8 ({backend_name(case.backend)}) costs {cost}, {verdict}."


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    return "0.0" if shown == "-0.0" else shown.replace("-", "−")
