"""The section of pipelines from photo to answer: what a template needs, computed and worded here."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.analysis.pipeline import (
    CLOSE,
    SECONDS_AN_HOUR,
    STAGE_WORDS,
    SUM_TOLERANCE,
    Comparison,
    Exchange,
    check_prediction,
    engines_bring,
    limits,
    name_parts,
    rate,
    reached,
    rough,
    round_times,
    short_name,
    speedup,
    stage_share,
    sum_of_stages,
    worst_metric,
)
from reports.charts.pipeline_stages import Waterfall, waterfalls
from reports.record.pipeline import PipelineSpeed, PipelineSummary
from reports.record.schema import DEFAULT_TOLERANCE
from reports.text.formatting import (
    MISSING,
    gate_percent,
    milliseconds,
    percent,
    percent_interval,
    pluralize,
    sentence,
    significant,
    times,
)

# What the baseline pipeline is made of, for a reader who meets it first in a picture.
BASELINE = "baseline: Pillow, PyTorch FP32"


@dataclass(frozen=True)
class PipelineLine:
    """One pipeline of the table, worded. `parts` is its name in pieces that stay whole on a line."""

    id: str
    baseline: bool
    parts: tuple[str, ...]
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
class PipelineCard:
    """What the pipelines on one set of photos answer, for the first screen.

    `race` are (name, share of the fastest rate, rate in words, whether it is the one that is told).
    """

    title: str
    anchor: str
    sentence: str
    accuracy: str
    change: str
    rate: str
    interval: str
    speedup: str
    kept: str
    rough: bool
    race: tuple[tuple[str, float, str, bool], ...]
    why: str
    claim: str
    claim_text: str
    name: str
    metrics: tuple[tuple[str, str, str], ...]
    kept_interval: str
    needed: str
    latency: str


@dataclass(frozen=True)
class PipelineSection:
    """The photo sets that were measured, and the pipelines that did not run, with their reasons."""

    sets: tuple[PhotoSetSection, ...]
    not_run: tuple[tuple[str, str], ...]


def pipeline_cards(compared: Sequence[Comparison]) -> list[PipelineCard]:
    """A card for each set of photos on which a pipeline was timed and passed beside the baseline pipeline."""
    return [_card(each) for each in compared if each.best is not None]


def _card(comparison: Comparison) -> PipelineCard:
    baseline, best = comparison.baseline, comparison.best
    assert baseline is not None and best is not None and baseline.speed is not None and best.speed is not None
    assert best.accuracy is not None
    worst, lost = worst_metric(best), best.accuracy.tolerance
    least = 1 - (DEFAULT_TOLERANCE if lost is None else lost)
    change, engines = comparison.change, comparison.of_engines
    if speedup(best, baseline) <= 1:
        change_text = "Nothing that passes is faster than the baseline"
    elif change is None:
        change_text = "No stage alone decides: change all"
    else:
        stage = STAGE_WORDS.get(change.name, change.name)
        change_text = f"Change {stage} first: ≈\N{NO-BREAK SPACE}{times(change.speedup)}"
    why = [stage_share(change, baseline.speed)] if change else []
    why += [engines_bring(comparison)] if engines and change is not engines else []
    decoder, _, names_of_engines, *_ = name_parts(best)
    rates = [
        (f"{decoder} · {names_of_engines}", rate(best.speed), True),
        (BASELINE, rate(baseline.speed), False),
    ]
    if comparison.engines is not None and comparison.engines.speed is not None and comparison.engines is not best:
        rates.append(("the engines alone", rate(comparison.engines.speed), False))
    rates.sort(key=lambda each: -each[1])
    return PipelineCard(
        title=comparison.title,
        anchor=f"pipelines-{comparison.photo_set}",
        sentence=comparison.sentence,
        accuracy=comparison.accuracy,
        change=change_text,
        rate=significant(rate(best.speed)),
        interval=_interval(best.speed),
        speedup=round_times(comparison.speedup),
        kept="" if worst is None or worst.ratio is None else f"{percent(worst.ratio.value, least)} {worst.name}",
        rough=rough(best.speed) or rough(baseline.speed),
        race=tuple((name, each / rates[0][1], significant(each), ours) for name, each, ours in rates),
        why=sentence("; ".join(why)),
        claim=comparison.claim,
        claim_text=_claim(comparison),
        name=short_name(best),
        metrics=tuple(
            (metric.name, percent(metric.ratio.value, least), percent_interval(metric.ratio))
            for metric in best.accuracy.metrics
            if metric.ratio
        ),
        kept_interval=percent_interval(worst.ratio if worst else None),
        needed=gate_percent(least),
        latency="" if best.speed.latency_ms is None else milliseconds(best.speed.latency_ms),
    )


def _interval(speed: PipelineSpeed) -> str:
    return f"{significant(speed.low)}–{significant(speed.high)}" if speed.low and speed.high else ""


def pipeline_section(compared: Sequence[Comparison], pipelines: Sequence[PipelineSummary]) -> PipelineSection | None:
    """The section of a session's pipelines and what they come to; None where it has no pipeline."""
    if not pipelines:
        return None
    sets = tuple(_photo_set(each) for each in compared)
    not_run = tuple(
        (each.name.id, reason)
        for each in pipelines
        for stage, reason in each.reasons.items()
        if each.outcomes[stage] in ("skipped", "error")
    )
    return PipelineSection(sets, not_run)


def pipeline_text(compared: Sequence[Comparison], pipelines: Sequence[PipelineSummary]) -> list[str]:
    """The same for a terminal: for each photo set its headline, what to change first, and a line a pipeline."""
    section = pipeline_section(compared, pipelines)
    if section is None:
        return []
    lines = []
    for photo_set in section.sets:
        lines += [
            f"{photo_set.title}: {photo_set.headline}",
            *([f"  {photo_set.sentence}"] if photo_set.pictures else []),
        ]
        lines.append(f'  claim "combined pipeline 2-3x": {photo_set.claim}. {photo_set.claim_text}'.rstrip())
        for line in photo_set.lines:
            kept = f"{line.accuracy}, {line.gate}" if line.gate != "not judged" else line.gate
            lines.append(
                f"  {line.speedup:>8} {line.photos_per_second:>7} photos/s ({line.interval})  {line.id}, {line.name}: "
                f"{kept}; bottleneck {line.bottleneck}; alone {line.latency}, {line.busy}, {line.memory}"
            )
        lines += [f"  {check}" for check in photo_set.checks]
    return [*lines, *(f"did not run: {name}: {reason}" for name, reason in section.not_run), ""]


def _photo_set(comparison: Comparison) -> PhotoSetSection:
    baseline, best = comparison.baseline, comparison.best
    pictures: tuple[Waterfall, ...] = ()
    headline, checks = "not measured", []
    if baseline is not None and baseline.speed is not None:
        hour = rate(baseline.speed) * SECONDS_AN_HOUR
        headline = f"{significant(hour)} photos an hour by the baseline"
        pictures = tuple(waterfalls([(BASELINE, baseline.speed)]))
        if best is not None and best.speed is not None:
            hours = significant(rate(best.speed) * SECONDS_AN_HOUR)
            headline = f"{hours} photos an hour instead of {significant(hour)}: {round_times(speedup(best, baseline))}"
            pictures = tuple(waterfalls([(BASELINE, baseline.speed), (f"the fastest: {short_name(best)}", best.speed)]))
    for pipeline in comparison.timed:
        checks += _checks(pipeline)
    if comparison.engines is not None and baseline is not None and comparison.engines.speed is not None:
        checks.append(_prediction(comparison.engines, baseline))
    return PhotoSetSection(
        comparison.title,
        f"pipelines-{comparison.photo_set}",
        headline,
        comparison.sentence,
        comparison.claim,
        _claim(comparison),
        pictures,
        comparison.exchanged,
        tuple(_line(pipeline, baseline) for pipeline in comparison.timed),
        tuple(checks),
    )


def _claim(comparison: Comparison) -> str:
    if comparison.baseline is None or comparison.best is None:
        return ""
    whole = f"The fastest pipeline that passes is {round_times(comparison.speedup)} as fast as the baseline"
    if comparison.engines is None:
        return f"{whole}."
    alone = speedup(comparison.engines, comparison.baseline)
    return f"{whole}; with the engines exchanged and nothing else it is {times(alone)}."


def _line(pipeline: PipelineSummary, baseline: PipelineSummary | None) -> PipelineLine:
    speed = pipeline.speed
    assert speed is not None
    worst = worst_metric(pipeline)
    limit = limits(speed)[0]
    busy = [] if speed.cpu_busy is None else [f"CPU {100 * speed.cpu_busy:.0f} %"]
    busy += [] if speed.gpu_busy is None else [f"GPU {100 * speed.gpu_busy:.0f} %"]
    parts = name_parts(pipeline)
    if speed.overlap != "serial":
        parts = (*parts[:-1], f"{parts[-1]}, {pluralize(speed.workers, 'worker')}")
    return PipelineLine(
        id=pipeline.name.id,
        baseline=pipeline.name.baseline,
        parts=parts,
        name=" · ".join(parts),
        photos_per_second=significant(rate(speed)),
        interval=_interval(speed),
        speedup=MISSING if baseline is None else round_times(speedup(pipeline, baseline)),
        latency=MISSING if speed.latency_ms is None else milliseconds(speed.latency_ms),
        accuracy=MISSING if worst is None else f"{100 * (worst.ratio_value or 0.0):.1f} % ({worst.name})",
        accuracy_interval=f"{100 * worst.low:.1f}–{100 * worst.high:.1f}" if worst and worst.low and worst.high else "",
        gate=_gate(pipeline),
        bottleneck=f"{limit.stage} ({limit.resource})",
        busy=", ".join(busy) or MISSING,
        memory=MISSING if speed.memory_bytes is None else f"{significant(speed.memory_bytes / 1e9, 2)} GB",
        energy=MISSING if speed.joules_per_photo is None else f"{significant(speed.joules_per_photo)} J",
    )


def _gate(pipeline: PipelineSummary) -> str:
    """The gate in a word. A stage that crashed or failed is told as what it is, whatever was measured before."""
    if pipeline.name.baseline:
        return "baseline"
    if pipeline.failed or pipeline.crashed:
        return "fail" if pipeline.failed else "error"
    return "not judged" if pipeline.accuracy is None else "pass"


def _checks(pipeline: PipelineSummary) -> list[str]:
    """What of the measurement itself is not as it should be, in sentences."""
    speed = pipeline.speed
    assert speed is not None
    sentences = []
    if abs(sum_of_stages(speed) - 1) > SUM_TOLERANCE:
        sentences.append(
            f"{short_name(pipeline)}: its stages add up to {sum_of_stages(speed):.2f} of the synchronised whole."
        )
    if speed.overlap != "serial" and reached(speed) < 1 - CLOSE:
        limit = limits(speed)[0]
        sentences.append(
            f"{short_name(pipeline)}: {reached(speed):.2f} of what {limit.resource} allow by the serial times; "
            "decoding, networks and Python share the cores while they overlap."
        )
    if speed.failed_photos:
        names = ", ".join(f"{name} ({why})" for name, why in list(speed.failed_photos.items())[:3])
        sentences.append(f"{short_name(pipeline)}: {len(speed.failed_photos)} photos could not be answered: {names}.")
    return sentences


def _prediction(engines: PipelineSummary, baseline: PipelineSummary) -> str:
    assert engines.speed is not None and baseline.speed is not None
    check = check_prediction(baseline.speed, engines.speed)
    text = (
        f"Prediction checked: exchanging only the engines was to bring {times(check.predicted)} by the stage times, "
        f"and brought {times(check.measured)}: {'within' if check.holds else 'not within'} 10 %."
    )
    if check.holds:
        return text
    if check.rest_explains:
        stage = STAGE_WORDS.get(check.stage, check.stage)
        return (
            f"{text} The stages that were not exchanged took {significant(check.rest_before_ms)} ms a photo beside the "
            f"baseline's engines and {significant(check.rest_after_ms)} ms beside these (most of the difference: "
            f"{stage}, {significant(check.stage_before_ms)} → {significant(check.stage_after_ms)} ms): engines and "
            "other stages share the cores, or the machine changed its pace between the two runs."
        )
    return (
        f"{text} In the serial passes it brought {times(check.serial)}: the machine changed its pace between these and "
        "the throughput."
    )
