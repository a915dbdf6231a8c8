"""The engines that nothing beats: whoever wants more speed than theirs pays in accuracy, and the other way round."""

from collections.abc import Sequence

from reports.analysis.cases import CaseSummary
from reports.record.results import Ratio


def coordinates(case: CaseSummary) -> tuple[Ratio, Ratio] | None:
    """(speed-up, accuracy ratio), for a case that was timed and judged, and both on the engine that its name says."""
    if not case.consistent:
        return None
    ratio = case.metric.ratio if case.metric and case.gate in ("pass", "fail") else None
    ratio = ratio or (Ratio(1.0, None, None) if case.is_baseline else None)
    return (case.speedup, ratio) if case.speedup and ratio else None


def pareto_front(cases: Sequence[CaseSummary]) -> list[CaseSummary]:
    """Of cases of one model and batch those that pass and that no other passing one beats, the fastest first.

    One beats another that is neither faster nor more accurate than itself, and worse in one of the two. More than
    the baseline's accuracy is chance, as all that an engine can do is to repeat the baseline: it counts as 100 %.
    """
    placed = {}
    for case in cases:
        point = coordinates(case)
        if point and case.gate != "fail":
            speed, ratio = point
            placed[case.id] = (case, (speed.value, min(ratio.value, 1.0)))

    def beaten(own: tuple[float, float]) -> bool:
        return any(other != own and other[0] >= own[0] and other[1] >= own[1] for _, other in placed.values())

    left = [(case, own) for case, own in placed.values() if not beaten(own)]
    return [case for case, _ in sorted(left, key=lambda each: each[1], reverse=True)]
