"""What decides a pipeline's speed: the slowest resource, and what exchanging one stage would bring (Amdahl)."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.record.pipeline import ENGINE_STAGES, FEEDING_STAGES, PipelineResult, PipelineSpeed

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
        return [Limit("one caller", MILLISECONDS / speed.whole_ms, _largest(speed, [s.name for s in speed.stages]))]
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
    return speed.photos_per_second / limits(speed)[0].photos_per_second


def sum_of_stages(speed: PipelineSpeed) -> float:
    """The serial stages together over the synchronised whole: 1 where nothing is missing."""
    return sum(stage.wall_ms for stage in speed.stages) / speed.whole_ms


def exchanges(baseline: PipelineSpeed, other: PipelineSpeed) -> list[Exchange]:
    """Each stage of `baseline` exchanged alone for that of `other`, and both networks together as "the engines".

    Amdahl: a stage of t milliseconds among T that then takes t' makes the whole T / (T - t + t') times as fast. The
    stage that brings most comes first.
    """
    after = {stage.name: stage.wall_ms for stage in other.stages}
    parts = [(stage.name, (stage.name,)) for stage in baseline.stages if stage.name not in ENGINE_STAGES]
    found = [_exchange(name, names, baseline, after) for name, names in [*parts, ("the engines", ENGINE_STAGES)]]
    return sorted(found, key=lambda each: -each.speedup)


def engines_alone(baseline: PipelineResult, results: Sequence[PipelineResult]) -> PipelineResult | None:
    """The result of the pipeline that exchanges the engines of `baseline` and nothing else; None where none did."""
    kept = ("decoder", "preprocessor", "nms", "photo_set")
    return next(
        (
            each
            for each in results
            if each.speed is not None
            and each.speed.overlap == "serial"
            and (each.detector, each.image_tower) != (baseline.detector, baseline.image_tower)
            and all(getattr(each, name) == getattr(baseline, name) for name in kept)
        ),
        None,
    )


def _exchange(name: str, stages: Sequence[str], baseline: PipelineSpeed, after: dict[str, float]) -> Exchange:
    before_ms, after_ms = baseline.stage_ms(stages), sum(after.get(stage, 0.0) for stage in stages)
    rest = baseline.whole_ms - before_ms
    return Exchange(
        name, before_ms, after_ms, baseline.whole_ms / max(rest + after_ms, 1e-9), baseline.whole_ms / max(rest, 1e-9)
    )


def _largest(speed: PipelineSpeed, names: Sequence[str]) -> str:
    return max((stage for stage in speed.stages if stage.name in names), key=lambda stage: stage.wall_ms).name
