"""The promises that this project started from, each held against what one run measured on its card.

What is better than promised holds, too. A promise that an interval leaves open is unclear, and a run on a CPU
measures none of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary, reference_case
from reports.analysis.phrases import gate_sentence
from reports.analysis.tables import size_ratio
from reports.description.machine import machine
from reports.description.suite_description import GENERATED, generated
from reports.findings import tensorrt_engines
from reports.findings.base import Session
from reports.history.session_regressions import FIGURES
from reports.record.machine import on_gpu
from reports.record.ratio import speed_ratio, summed
from reports.record.results import Latency, Ratio
from reports.record.schema import BASELINE_BACKEND, Row
from reports.record.session import read_settings
from reports.text.formatting import join_words, percent, percent_interval, significant, times, times_interval
from reports.text.names import model_name

HELD, NOT_HELD, UNCLEAR, NOT_MEASURED = "held", "not held", "unclear", "not measured"
# A promise about several models holds where it holds for each: of their verdicts the first of these decides.
GRAVITY = (NOT_HELD, NOT_MEASURED, UNCLEAR, HELD)
TOWERS = ("clip-image", "clip-text")
# An interval says how well a run knows its own medians, not how far from another run's they lie.
BETWEEN_RUNS = FIGURES["device time"].least


@dataclass(frozen=True)
class Claim:
    """One promise. `found` has the figures with their engines, `why` the reasons of the verdict, in sentences."""

    text: str
    verdict: str
    found: str
    why: str


@dataclass(frozen=True)
class _Part:
    """What is known of a promise, for one model or for all."""

    verdict: str
    found: str
    why: str
    model: str = ""


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Every promise, in the order of `PROMISES`, against the last session in `rows`.

    Of each model the fastest TensorRT engine counts that passes its gate, at the largest batch that was measured.
    """
    return judge_claims(Session.of(rows))


def judge_claims(seen: Session) -> list[Claim]:
    """The same of a session that is summarized already."""
    session = seen.rows
    elsewhere = ""
    if not (on_gpu(session[0]) and session[0]["environment"].get("gpu")):
        elsewhere = f"The promises are about an NVIDIA card. {machine(session[0])[1]}"
    parts = [(text, _Part(NOT_MEASURED, "", elsewhere) if elsewhere else judge(seen)) for text, judge in PROMISES]
    return [Claim(text, part.verdict, part.found, part.why) for text, part in parts]


def _detector_speed(precision: str, least: float, most: float) -> Callable[[Session], _Part]:
    def judge(seen: Session) -> _Part:
        models = dict.fromkeys(case.model for case in seen.cases if case.task == "detection")
        return _together([_speed(seen, model, precision, least, most) for model in models])

    return judge


def _towers_speed(seen: Session) -> _Part:
    return _together([_speed(seen, model, "fp16", 1.5, 2) for model in TOWERS])


def _speed(seen: Session, model: str, precision: str, least: float, most: float) -> _Part:
    candidates = tensorrt_engines.engines(seen, model, precision)
    timed = tensorrt_engines.largest_batch(case for case in candidates if case.speedup)
    best = tensorrt_engines.fastest(timed)
    if best is None or best.speedup is None:
        return _nothing_passes(seen, model, candidates, timed)
    verdict, why = _against(best.speedup, least, most, _multiple, BETWEEN_RUNS)
    reasons = [why, *tensorrt_engines.judged_on(seen, [best]), *tensorrt_engines.doubts(seen, best)]
    return _Part(verdict, tensorrt_engines.speed_words(best), " ".join(reasons), model)


def _pipeline(seen: Session) -> _Part:
    """Both towers, one after the other: the sum of the baseline's medians over that of the fastest engines."""
    timed = {tower: [case for case in tensorrt_engines.engines(seen, tower) if case.speedup] for tower in TOWERS}
    batches = set.intersection(*({case.batch for case in cases} for cases in timed.values()))
    if not batches and all(timed.values()):
        return _Part(NOT_MEASURED, "", "No batch was timed of both towers.")
    chosen: list[CaseSummary] = []
    before_ms: list[Latency] = []
    after_ms: list[Latency] = []
    for tower in sorted(TOWERS, key=lambda tower: bool(timed[tower])):
        candidates = [case for case in timed[tower] if case.batch == max(batches, default=0)]
        best = tensorrt_engines.fastest(candidates)
        baseline = best and reference_case(best, seen.cases, BASELINE_BACKEND)
        if best is None or best.effective_latency is None or baseline is None or baseline.effective_latency is None:
            return _nothing_passes(seen, tower, tensorrt_engines.engines(seen, tower), candidates)
        chosen.append(best)
        before_ms.append(baseline.effective_latency)
        after_ms.append(best.effective_latency)
    before, after = summed(before_ms), summed(after_ms)
    ratio = speed_ratio(after, before)
    if ratio is None or after.instrument is None:
        return _Part(NOT_MEASURED, "", "The two towers were not timed by one clock.")
    verdict, why = _against(ratio, 2, 3, _multiple, BETWEEN_RUNS)
    used = join_words(f"{model_name(case.model)} · {case.name}" for case in chosen)
    sums = f"{significant(before.p50_ms)} ms became {significant(after.p50_ms)} ms"
    measured = (
        f"{used} · batch {max(batches)}: {tensorrt_engines.beside(times(ratio.value), times_interval(ratio))}, {sums}."
    )
    of = "Sums of the towers' medians; reading images and splitting text into tokens are not in them."
    contended = [doubt for case in chosen for doubt in tensorrt_engines.doubts(seen, case)]
    return _Part(
        verdict, measured, " ".join(dict.fromkeys([why, of, *tensorrt_engines.judged_on(seen, chosen), *contended]))
    )


def _accuracy(precision: str, least: float, most: float, rule: str) -> Callable[[Session], _Part]:
    def judge(seen: Session) -> _Part:
        models = dict.fromkeys(case.model for case in tensorrt_engines.engines(seen, precision=precision))
        parts = [_kept(seen, model, precision, least, most) for model in models]
        judged = [part for part in parts if part.verdict != NOT_MEASURED]
        combined = _together(judged or parts)
        unknown = [model_name(part.model) for part in parts if judged and part not in judged]
        reasons = [combined.why, rule if judged else "", f"Not judged: {join_words(unknown)}." if unknown else ""]
        return _Part(combined.verdict, combined.found, " ".join(filter(None, reasons)))

    return judge


def _kept(seen: Session, model: str, precision: str, least: float, most: float) -> _Part:
    """Of the engine that the promise of speed takes; where none passes its gate, of the one that keeps most."""
    candidates = tensorrt_engines.engines(seen, model, precision)
    judged = tensorrt_engines.largest_batch(
        case for case in candidates if case.gate in ("pass", "fail") and case.consistent and tensorrt_engines.kept(case)
    )
    best = tensorrt_engines.fastest(judged) or max(
        judged, key=lambda case: ratio.value if (ratio := tensorrt_engines.kept(case)) else 0.0, default=None
    )
    if best is None or best.metric is None or best.metric.ratio is None:
        return _Part(NOT_MEASURED, "", tensorrt_engines.unsupported_reason(candidates), model)
    ratio = best.metric.ratio
    verdict, why = _against(ratio, least, most, lambda bound: f"{100 * bound:g} %")
    shown = tensorrt_engines.beside(percent(ratio.value, least), percent_interval(ratio))
    on = f" on {GENERATED}" if generated(seen.rows[0]["suite"], best.task) else ""
    return _Part(verdict, f"{tensorrt_engines.engine_words(best)}: {shown} of {best.metric.name}{on}.", why, model)


def _sizes(seen: Session) -> _Part:
    ratios = [(size, case) for case in tensorrt_engines.built(seen) if (size := size_ratio(case)) is not None]
    return _all_within(ratios, (2, 3), times, _multiple, ("Smaller", "Larger"))


def _builds(seen: Session) -> _Part:
    everything = [(took, case) for case in tensorrt_engines.built(seen) if (took := case.build.build_seconds)]
    # A builder that finds its tactics timed already has little left to do: the promise is about one that does not.
    first_builds = [(took, case) for took, case in everything if not case.build.known_timings_bytes]
    warm = len(everything) - len(first_builds)
    part = _all_within(first_builds, (30, 60), lambda took: f"{significant(took)} s", _seconds, ("Quicker", "Slower"))
    if not everything:
        return part
    if not first_builds:
        return _Part(NOT_MEASURED, "", "Every build found tactic timings of earlier builds: none was a first one.")
    level = read_settings(seen.rows[0]).trt_level
    cached = sum(case.build.cached is True for _, case in first_builds)
    remarks = [
        f"The builder's level was {level:g}." if level is not None else "",
        f"{cached} came from the cache, with the seconds of when they were built." if cached else "",
        f"Not counted: {warm} that found tactic timings of earlier builds." if warm else "",
        "Export and calibration are not in it; what else ran meanwhile is not recorded.",
    ]
    return _Part(part.verdict, part.found, " ".join(filter(None, [part.why, *remarks])))


def _all_within(
    figures: Sequence[tuple[float, CaseSummary]],
    promised: tuple[float, float],
    shown: Callable[[float], str],
    bound: Callable[[float], str],
    words: tuple[str, str],
) -> _Part:
    """A promise about every engine: it holds where none is above the range. These figures have no interval."""
    if not figures:
        return _Part(NOT_MEASURED, "", "This run built no TensorRT engine.")
    least, most = promised
    ends = [choose(figures, key=lambda one: one[0]) for choose in (min, max)]
    extremes = dict.fromkeys(f"{shown(value)} ({tensorrt_engines.engine_words(case)})" for value, case in ends)
    below, above = sum(value < least for value, _ in figures), sum(value > most for value, _ in figures)
    why = [
        f"{words[1]} than claimed (above {bound(most)}): {above} of {len(figures)}." if above else "",
        f"{words[0]} than claimed (below {bound(least)}): {below} of {len(figures)}." if below else "",
    ]
    within = f"{len(figures)} of {len(figures)} are between {bound(least)} and {bound(most)}."
    return _Part(NOT_HELD if above else HELD, f"{' to '.join(extremes)}.", " ".join(filter(None, why)) or within)


def _against(
    ratio: Ratio, least: float, most: float, bound: Callable[[float], str], runs: float = 0.0
) -> tuple[str, str]:
    """The verdict on a figure that had better be high, and its reason; `runs`: the share by which two runs differ."""
    if ratio.low is None or ratio.high is None:
        return UNCLEAR, "No interval was recorded."
    low, high = min(ratio.low, ratio.value / (1 + runs)), max(ratio.high, ratio.value * (1 + runs))
    if low >= least:
        return HELD, "More than claimed." if low > most else f"At least {bound(least)}."
    if high < least:
        return NOT_HELD, f"Less than {bound(least)}."
    if ratio.low >= least or ratio.high < least:
        return UNCLEAR, f"Within {100 * runs:g} % of {bound(least)}: two runs may differ by as much."
    return UNCLEAR, f"The interval reaches across {bound(least)}."


def _nothing_passes(
    seen: Session, model: str, candidates: Sequence[CaseSummary], timed: Sequence[CaseSummary]
) -> _Part:
    """An engine that is fast and sees other things breaks a promise; one of which that is not known does not."""
    if timed and all(case.gate == "fail" and case.consistent for case in timed):
        best = max(timed, key=tensorrt_engines.speedup)
        why = f"No engine passes its gate; the fastest {gate_sentence(best, seen.least)}."
        return _Part(NOT_HELD, f"{tensorrt_engines.speed_words(best)} It fails its gate.", why, model)
    return _Part(
        NOT_MEASURED,
        "",
        tensorrt_engines.unsupported_reason(
            [case for case in candidates if not (tensorrt_engines.passes(case) and case.speedup)]
        ),
        model,
    )


def _together(parts: Sequence[_Part]) -> _Part:
    """The parts of one promise as one; a reason is told of its model where they differ."""
    if not parts:
        return _Part(NOT_MEASURED, "", tensorrt_engines.unsupported_reason([]))
    verdict = min((part.verdict for part in parts), key=GRAVITY.index)
    alike = len({part.why for part in parts}) == 1
    why = parts[0].why if alike else " ".join(f"{model_name(part.model)}: {part.why}" for part in parts)
    return _Part(verdict, " ".join(filter(None, (part.found for part in parts))), why)


def _multiple(bound: float) -> str:
    return f"{bound:g}×"


def _seconds(bound: float) -> str:
    return f"{bound:g} s"


PROMISES: tuple[tuple[str, Callable[[Session], _Part]], ...] = (
    ("YOLO on TensorRT in FP16 is 3–5× as fast as in PyTorch FP32", _detector_speed("fp16", 3, 5)),
    ("YOLO on TensorRT in INT8 is 5–8× as fast as in PyTorch FP32", _detector_speed("int8", 5, 8)),
    ("Each tower of CLIP on TensorRT in FP16 is 1.5–2× as fast as in PyTorch FP32", _towers_speed),
    ("Both towers of CLIP together are 2–3× as fast on TensorRT", _pipeline),
    (
        "FP16 keeps about 99 % of the accuracy",
        _accuracy("fp16", 0.985, math.inf, "98.5 % and more counts, as it rounds to 99 %."),
    ),
    ("INT8 keeps 95–98 % of the accuracy", _accuracy("int8", 0.95, 0.98, "")),
    ("Engines are 2–3× the size of the weights", _sizes),
    ("A build takes 30–60 s", _builds),
)
