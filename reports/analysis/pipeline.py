"""What decides a pipeline's speed: the slowest resource, and what exchanging one stage would bring (Amdahl)."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.record.pipeline import ENGINE_STAGES, FEEDING_STAGES, PipelineSpeed, PipelineSummary

MILLISECONDS = 1e3
# How close overlapped throughput should come to what the slowest resource allows, and a prediction to its check.
CLOSE = 0.10
# How far the stages of the serial pass may add up to something else than the pass.
SUM_TOLERANCE = 0.05


@dataclass(frozen=True)
class Limit:
    """One resource of a pipeline: how many photos a second it allows, and the stage that fills it most."""

    resource: str
    photos_per_second: float
    stage: str


@dataclass(frozen=True)
class Exchange:
    """One stage (or both networks) exchanged alone: its milliseconds a photo now and then, and the speed-up of all.

    `limit` is the speed-up where the stage took no time at all: no engine, however fast, brings more.
    """

    name: str
    before_ms: float
    after_ms: float
    speedup: float
    limit: float


def limits(speed: PipelineSpeed) -> list[Limit]:
    """What each resource allows, the scarcest first.

    A serial pipeline has one resource: its caller. One that overlaps has its workers, the caller that launches the
    networks and waits for them, and all cores together, which on a CPU serve both.
    """
    if speed.overlap == "serial":
        return [Limit("one caller", MILLISECONDS / whole_ms(speed), _largest(speed, [s.name for s in speed.stages]))]
    answering = [stage.name for stage in speed.stages if stage.name not in FEEDING_STAGES]
    cpu_ms = sum(stage.cpu_ms for stage in speed.stages)
    found = [
        Limit(
            f"{speed.workers} {'worker' if speed.workers == 1 else 'workers'}",
            speed.workers * MILLISECONDS / max(speed.stage_ms(FEEDING_STAGES), 1e-6),
            _largest(speed, FEEDING_STAGES),
        ),
        Limit("the networks", MILLISECONDS / max(speed.stage_ms(answering), 1e-6), _largest(speed, answering)),
        Limit(
            f"{speed.cores} cores",
            speed.cores * MILLISECONDS / max(cpu_ms, 1e-6),
            max(speed.stages, key=lambda stage: stage.cpu_ms).name,
        ),
    ]
    return sorted(found, key=lambda limit: limit.photos_per_second)


def reached(speed: PipelineSpeed) -> float:
    """Throughput over what the scarcest resource allows, by the serial stage times: 1 is all of it."""
    return rate(speed) / limits(speed)[0].photos_per_second


def sum_of_stages(speed: PipelineSpeed) -> float:
    """The serial stages together over the synchronised whole: 1 where nothing is missing."""
    return sum(stage.wall_ms for stage in speed.stages) / whole_ms(speed)


def exchanges(baseline: PipelineSpeed, other: PipelineSpeed) -> list[Exchange]:
    """Each stage of `baseline` exchanged alone for that of `other`, and both networks together as "the engines".

    Amdahl: a stage of t milliseconds among T that then takes t' makes the whole T / (T - t + t') times as fast. The
    stage that brings most comes first.
    """
    after = {stage.name: stage.wall_ms for stage in other.stages}
    parts = [(stage.name, (stage.name,)) for stage in baseline.stages if stage.name not in ENGINE_STAGES]
    found = [_exchange(name, names, baseline, after) for name, names in [*parts, ("the engines", ENGINE_STAGES)]]
    return sorted(found, key=lambda each: -each.speedup)


def engines_alone(baseline: PipelineSummary, pipelines: Sequence[PipelineSummary]) -> PipelineSummary | None:
    """The pipeline that exchanges the engines of `baseline` and nothing else; None where none was timed."""
    kept = ("photo_set", "decoder", "preprocessor", "nms", "overlap")
    return next(
        (
            each
            for each in pipelines
            if each.speed is not None
            and (each.name.detector, each.name.image_tower) != (baseline.name.detector, baseline.name.image_tower)
            and all(getattr(each.name, name) == getattr(baseline.name, name) for name in kept)
        ),
        None,
    )


def rate(speed: PipelineSpeed) -> float:
    """Photos a second."""
    return speed.photos_per_second or 0.0


def whole_ms(speed: PipelineSpeed) -> float:
    """Milliseconds a photo of the synchronised serial pass."""
    return speed.whole_ms or sum(stage.wall_ms for stage in speed.stages)


def _exchange(name: str, stages: Sequence[str], baseline: PipelineSpeed, after: dict[str, float]) -> Exchange:
    before_ms, after_ms = baseline.stage_ms(stages), sum(after.get(stage, 0.0) for stage in stages)
    rest = whole_ms(baseline) - before_ms
    return Exchange(
        name, before_ms, after_ms, whole_ms(baseline) / max(rest + after_ms, 1e-9), whole_ms(baseline) / max(rest, 1e-9)
    )


def _largest(speed: PipelineSpeed, names: Sequence[str]) -> str:
    return max((stage for stage in speed.stages if stage.name in names), key=lambda stage: stage.wall_ms).name


# What the project started from: "the combined pipeline is 2–3× as fast".
PROMISED = 2.0
HELD, NOT_HELD, NOT_MEASURED = "held", "not held", "not measured"
PHOTO_SETS = {"12mp": "photos of 12 megapixels", "coco": "photos of COCO's size"}
SECONDS_AN_HOUR = 3600
# Less than this is not worth naming as what to change first.
WORTH_NAMING = 1.05


@dataclass(frozen=True)
class Comparison:
    """The pipelines on one set of photos. `best` is the fastest that passes its gate; None where none but the baseline.

    `claim` is the verdict on "the combined pipeline is 2–3× as fast", `sentence` what to change first.
    """

    photo_set: str
    title: str
    baseline: PipelineSummary | None
    best: PipelineSummary | None
    timed: tuple[PipelineSummary, ...]
    exchanged: tuple[Exchange, ...]
    engines: PipelineSummary | None
    claim: str
    sentence: str


def compare_pipelines(pipelines: Sequence[PipelineSummary]) -> list[Comparison]:
    """One comparison for each of `PHOTO_SETS`, also for one that nobody measured; none where no pipeline was met."""
    return [_compare(name, title, pipelines) for name, title in PHOTO_SETS.items()] if pipelines else []


def passes(pipeline: PipelineSummary) -> bool:
    """Whether its answers were judged, and are the baseline pipeline's within the tolerance."""
    return pipeline.accuracy is not None and pipeline.outcomes.get("accuracy") == "passed"


def speedup(pipeline: PipelineSummary, baseline: PipelineSummary) -> float:
    """Photos a second over the baseline pipeline's."""
    if pipeline.speed is None or baseline.speed is None:
        return 0.0
    return rate(pipeline.speed) / rate(baseline.speed)


def _compare(photo_set: str, title: str, pipelines: Sequence[PipelineSummary]) -> Comparison:
    timed = [each for each in pipelines if each.name.photo_set == photo_set and each.speed is not None]
    timed.sort(key=lambda each: -rate(each.speed) if each.speed else 0.0)
    baseline = next((each for each in timed if each.name.baseline), None)
    best = next((each for each in timed if passes(each) and not each.name.baseline), None)
    if baseline is None or best is None or baseline.speed is None or best.speed is None:
        why = "the baseline pipeline was not timed" if baseline is None else "no other pipeline was timed and passed"
        said = f"Not measured: {why}."
        return Comparison(photo_set, title, baseline, None, tuple(timed), (), None, NOT_MEASURED, said)
    changes = tuple(exchanges(baseline.speed, best.speed))
    engines = engines_alone(baseline, timed)
    claim = HELD if speedup(best, baseline) >= PROMISED else NOT_HELD
    return Comparison(
        photo_set, title, baseline, best, tuple(timed), changes, engines, claim, _sentence(baseline.speed, changes)
    )


def _sentence(baseline: PipelineSpeed, changes: Sequence[Exchange]) -> str:
    """What to change first, and what the engines alone would bring."""
    engines = next(each for each in changes if each.name == "the engines")
    share = engines.before_ms / whole_ms(baseline)
    of_engines = (
        f"both networks are {100 * share:.1f} % of the time, so that no engine, however fast, makes the pipeline "
        f"more than {engines.limit:.2f}× as fast"
    )
    first = changes[0]
    if first.speedup < WORTH_NAMING:
        return f"No single stage decides; {of_engines}."
    if first.name == "the engines":
        return f"Change the engines first: they alone make it {first.speedup:.2f}× as fast."
    return (
        f"Change {first.name} first: from {first.before_ms:.3g} to {first.after_ms:.3g} ms a photo, which alone makes "
        f"it {first.speedup:.2f}× as fast; {of_engines}."
    )
