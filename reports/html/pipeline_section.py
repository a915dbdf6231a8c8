"""The section of pipelines from photo to answer: what a template needs, computed and worded here."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.analysis.pipeline import (
    CLOSE,
    SECONDS_AN_HOUR,
    SUM_TOLERANCE,
    Comparison,
    Exchange,
    compare_pipelines,
    exchanges,
    limits,
    passes,
    rate,
    reached,
    speedup,
    sum_of_stages,
)
from reports.charts.pipeline_stages import Waterfall, waterfalls
from reports.record.pipeline import PipelineSummary, read_pipelines
from reports.record.schema import Row
from reports.text.formatting import MISSING, significant


@dataclass(frozen=True)
class PipelineLine:
    """One pipeline of the table, worded."""

    name: str
    photos_per_second: str
    interval: str
    speedup: str
    latency: str
    accuracy: str
    accuracy_interval: str
    gate: str
    bottleneck: str
    busy: str
    memory: str
    energy: str


@dataclass(frozen=True)
class PhotoSetSection:
    """All pipelines on one set of photos."""

    title: str
    anchor: str
    headline: str
    sentence: str
    claim: str
    claim_text: str
    pictures: tuple[Waterfall, ...]
    exchanges: tuple[Exchange, ...]
    lines: tuple[PipelineLine, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True)
class PipelineSection:
    """The photo sets that were measured, and the pipelines that did not run, with their reasons."""

    sets: tuple[PhotoSetSection, ...]
    not_run: tuple[tuple[str, str], ...]


def pipeline_section(rows: Sequence[Row]) -> PipelineSection | None:
    """The section of a session's rows; None where it has no pipeline."""
    pipelines = read_pipelines(rows)
    if not pipelines:
        return None
    sets = tuple(_photo_set(each) for each in compare_pipelines(pipelines))
    not_run = tuple(
        (each.name.id, reason)
        for each in pipelines
        for stage, reason in each.reasons.items()
        if each.outcomes[stage] in ("skipped", "error")
    )
    return PipelineSection(sets, not_run)


def pipeline_text(rows: Sequence[Row]) -> list[str]:
    """The same for a terminal: for each photo set its headline, what to change first, and a line a pipeline."""
    section = pipeline_section(rows)
    if section is None:
        return []
    lines = []
    for each in section.sets:
        lines += [f"{each.title}: {each.headline}", f"  {each.sentence}"]
        lines.append(f'  claim "combined pipeline 2-3x": {each.claim}. {each.claim_text}'.rstrip())
        for line in each.lines:
            kept = f"{line.accuracy}, {line.gate}" if line.gate != "not judged" else line.gate
            lines.append(
                f"  {line.speedup:>8} {line.photos_per_second:>7} photos/s ({line.interval})  {line.name}: {kept}; "
                f"bottleneck {line.bottleneck}; alone {line.latency}, {line.busy}, {line.memory}"
            )
        lines += [f"  {said}" for said in each.checks]
    return [*lines, *(f"did not run: {name}: {reason}" for name, reason in section.not_run), ""]


def _photo_set(found: Comparison) -> PhotoSetSection:
    baseline, best = found.baseline, found.best
    pictures: tuple[Waterfall, ...] = ()
    headline, checks = "not measured", []
    if baseline is not None and baseline.speed is not None:
        hour = rate(baseline.speed) * SECONDS_AN_HOUR
        headline = f"{significant(hour)} photos an hour in the common way"
        pictures = tuple(waterfalls([("the common way", baseline.speed)]))
        if best is not None and best.speed is not None:
            hours = significant(rate(best.speed) * SECONDS_AN_HOUR)
            headline = f"{hours} photos an hour instead of {significant(hour)}: {speedup(best, baseline):.3g}×"
            pictures = tuple(
                waterfalls([("the common way", baseline.speed), (f"the fastest: {best.name.id}", best.speed)])
            )
    for each in found.timed:
        checks += _checks(each)
    if found.engines is not None and baseline is not None and found.engines.speed is not None:
        checks.append(_prediction(found.engines, baseline))
    return PhotoSetSection(
        found.title,
        f"pipelines-{found.photo_set}",
        headline,
        found.sentence,
        found.claim,
        _claim(found),
        pictures,
        found.exchanged,
        tuple(_line(each, baseline) for each in found.timed),
        tuple(checks),
    )


def _claim(found: Comparison) -> str:
    if found.baseline is None or found.best is None:
        return found.sentence
    whole = f"The fastest pipeline that passes is {speedup(found.best, found.baseline):.3g}× as fast"
    if found.engines is None:
        return f"{whole}."
    alone = speedup(found.engines, found.baseline)
    return f"{whole}; with the engines exchanged and nothing else it is {alone:.3g}×."


def _line(each: PipelineSummary, baseline: PipelineSummary | None) -> PipelineLine:
    speed = each.speed
    assert speed is not None
    worst = min(each.accuracy.metrics, key=lambda metric: metric.ratio_value or 0.0) if each.accuracy else None
    limit = limits(speed)[0]
    busy = [] if speed.cpu_busy is None else [f"CPU {100 * speed.cpu_busy:.0f} %"]
    busy += [] if speed.gpu_busy is None else [f"GPU {100 * speed.gpu_busy:.0f} %"]
    overlap = "" if speed.overlap == "serial" else f", {speed.workers} {speed.overlap}"
    return PipelineLine(
        name=f"{each.name.id} (batch {speed.batch}{overlap})",
        photos_per_second=significant(rate(speed)),
        interval=f"{significant(speed.low)}–{significant(speed.high)}" if speed.low and speed.high else "",
        speedup=MISSING if baseline is None else f"{speedup(each, baseline):.3g}×",
        latency=MISSING if speed.latency_ms is None else f"{speed.latency_ms:.3g} ms",
        accuracy=MISSING if worst is None else f"{100 * (worst.ratio_value or 0.0):.1f} % ({worst.name})",
        accuracy_interval=f"{100 * worst.low:.1f}–{100 * worst.high:.1f}" if worst and worst.low and worst.high else "",
        gate="not judged" if each.accuracy is None else "pass" if passes(each) else "fail",
        bottleneck=f"{limit.stage} ({limit.resource})",
        busy=", ".join(busy) or MISSING,
        memory=MISSING if speed.memory_bytes is None else f"{speed.memory_bytes / 1e9:.2g} GB",
        energy=MISSING if speed.joules_per_photo is None else f"{speed.joules_per_photo:.3g} J",
    )


def _checks(each: PipelineSummary) -> list[str]:
    """What of the measurement itself is not as it should be, in sentences."""
    speed = each.speed
    assert speed is not None
    said = []
    if abs(sum_of_stages(speed) - 1) > SUM_TOLERANCE:
        said.append(f"{each.name.id}: its stages add up to {sum_of_stages(speed):.2f} of the synchronised whole.")
    if speed.overlap != "serial" and reached(speed) < 1 - CLOSE:
        limit = limits(speed)[0]
        said.append(
            f"{each.name.id}: {reached(speed):.2f} of what {limit.resource} allow by the serial times; decoding, "
            "networks and Python share the cores while they overlap."
        )
    if speed.failed_photos:
        names = ", ".join(f"{name} ({why})" for name, why in list(speed.failed_photos.items())[:3])
        said.append(f"{each.name.id}: {len(speed.failed_photos)} photos could not be answered: {names}.")
    return said


def _prediction(engines: PipelineSummary, baseline: PipelineSummary) -> str:
    assert engines.speed is not None and baseline.speed is not None
    predicted = next(each.speedup for each in exchanges(baseline.speed, engines.speed) if each.name == "the engines")
    did = speedup(engines, baseline)
    verdict = "within" if abs(did / predicted - 1) <= CLOSE else "not within"
    return (
        f"Prediction checked: exchanging only the engines was to bring {predicted:.3g}× by the stage times, and "
        f"brought {did:.3g}×: {verdict} 10 %."
    )
