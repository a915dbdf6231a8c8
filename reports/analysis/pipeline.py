"""What decides a pipeline's speed: the slowest resource, what exchanging one stage brings (Amdahl), what to change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.analysis.certainty import BASELINE, CERTAIN, FAILS, LIKELY, NOT_JUDGED
from reports.analysis.timing_quality import WIDE_INTERVAL
from reports.record.pipeline import ENGINE_STAGES, FEEDING_STAGES, PipelineSpeed, PipelineSummary, unusual_nms
from reports.record.results import Metric
from reports.record.schema import DEFAULT_TOLERANCE, reaches
from reports.text.formatting import share, significant, times
from reports.text.names import engine_name

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

    A serial pipeline has one resource: its caller. One that overlaps has its workers (or the GPU's decoder), the
    caller that launches the networks and waits for them, and all cores together, which on a CPU serve both. Of two
    decoders side by side the serial pass has timed one alone: they set no limit here.
    """
    if speed.overlap == "serial":
        return [Limit("one caller", MILLISECONDS / whole_ms(speed), _largest(speed, [s.name for s in speed.stages]))]
    answering = [stage.name for stage in speed.stages if stage.name not in FEEDING_STAGES]
    cpu_ms = sum(stage.cpu_ms for stage in speed.stages)
    stage_limits = [
        *([] if speed.second_decoder else [_feeding(speed)]),
        Limit("the networks", MILLISECONDS / max(speed.stage_ms(answering), 1e-6), _largest(speed, answering)),
        Limit(
            f"{speed.cores} cores",
            speed.cores * MILLISECONDS / max(cpu_ms, 1e-6),
            max(speed.stages, key=lambda stage: stage.cpu_ms).name,
        ),
    ]
    return sorted(stage_limits, key=lambda limit: limit.photos_per_second)


def _feeding(speed: PipelineSpeed) -> Limit:
    """What decoding allows: workers on the host side by side, or the one decoder of a GPU, however many feed it."""
    if speed.decoder_on_gpu:
        return Limit("the GPU's decoder", MILLISECONDS / max(speed.stage_ms(("decode",)), 1e-6), "decode")
    return Limit(
        f"{speed.workers} {'worker' if speed.workers == 1 else 'workers'}",
        speed.workers * MILLISECONDS / max(speed.stage_ms(FEEDING_STAGES), 1e-6),
        _largest(speed, FEEDING_STAGES),
    )


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
    stage_exchanges = [_exchange(name, names, baseline, after) for name, names in [*parts, (ENGINES, ENGINE_STAGES)]]
    return sorted(stage_exchanges, key=lambda each: -each.speedup)


@dataclass(frozen=True)
class PredictionCheck:
    """What exchanging only the engines was to bring, by the baseline's stage times and the engines' own, and brought.

    `serial` is what it brought in the serial passes. `rest_before_ms` and `rest_after_ms` are milliseconds a photo of
    all other stages beside the engines of either, which the prediction takes to be equal; `stage` is the one of them
    that changed most.
    """

    predicted: float
    measured: float
    serial: float
    rest_before_ms: float
    rest_after_ms: float
    stage: str
    stage_before_ms: float
    stage_after_ms: float

    @property
    def holds(self) -> bool:
        """Whether the two are within 10 %."""
        return self._near(self.predicted)

    @property
    def rest_explains(self) -> bool:
        """Whether the times that the other stages really took beside these engines give what was measured."""
        return not self.holds and self._near(self.serial)

    def _near(self, predicted: float) -> bool:
        return abs(self.measured / predicted - 1) <= CLOSE


def check_prediction(baseline: PipelineSpeed, engines: PipelineSpeed) -> PredictionCheck:
    """`engines` is the speed of the pipeline that exchanges the engines of `baseline` and nothing else."""
    before = {stage.name: stage.wall_ms for stage in baseline.stages if stage.name not in ENGINE_STAGES}
    after = {stage.name: stage.wall_ms for stage in engines.stages if stage.name not in ENGINE_STAGES}
    changed = max(before, key=lambda name: abs(after.get(name, 0.0) - before[name]), default="")
    return PredictionCheck(
        predicted=next(each.speedup for each in exchanges(baseline, engines) if each.name == ENGINES),
        measured=rate(engines) / rate(baseline),
        serial=whole_ms(baseline) / whole_ms(engines),
        rest_before_ms=sum(before.values()),
        rest_after_ms=sum(after.values()),
        stage=changed,
        stage_before_ms=before.get(changed, 0.0),
        stage_after_ms=after.get(changed, 0.0),
    )


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
PHOTO_SETS = {"12mp": "12 MP photos", "coco": "COCO-size photos"}
SECONDS_AN_HOUR = 3600
# Less than this is not worth naming as what to change first.
WORTH_NAMING = 1.05
# The stages as a sentence names them; what is not here stands under its own name.
STAGE_WORDS = {
    "read": "reading files",
    "decode": "decoding",
    "preprocess": "preprocessing",
    "copy": "copying",
    "nms": "NMS",
    "labels": "choosing labels",
    "results": "collecting results",
}
ENGINES = "the engines"


@dataclass(frozen=True)
class Comparison:
    """The pipelines on one set of photos. `best` is the fastest that passes its gate; None where none but the baseline.

    `claim` is the verdict on "the combined pipeline is 2–3× as fast", `sentence` what to change first and what that
    brings. `accuracy` is how certain it is that `best` keeps enough (`reports.analysis.certainty`).
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
    accuracy: str

    @property
    def change(self) -> Exchange | None:
        """What to change first; None where no stage alone brings enough to be named."""
        return next((each for each in self.exchanged if each.speedup >= WORTH_NAMING), None)

    @property
    def of_engines(self) -> Exchange | None:
        """Both networks exchanged, and nothing else."""
        return next((each for each in self.exchanged if each.name == ENGINES), None)

    @property
    def speedup(self) -> float | None:
        """The best pipeline over the baseline pipeline."""
        return None if self.best is None or self.baseline is None else speedup(self.best, self.baseline)


def compare_pipelines(pipelines: Sequence[PipelineSummary]) -> list[Comparison]:
    """One comparison for each of `PHOTO_SETS`, also for one that nobody measured; none where no pipeline was met."""
    return [_compare(name, title, pipelines) for name, title in PHOTO_SETS.items()] if pipelines else []


def passes(pipeline: PipelineSummary) -> bool:
    """Whether its answers were judged, and are the baseline pipeline's within the tolerance."""
    return pipeline.accuracy is not None and pipeline.outcomes.get("accuracy") == "passed"


def rough(speed: PipelineSpeed) -> bool:
    """Whether its throughput did not become steady, or is not known well."""
    if speed.steady is False:
        return True
    if speed.low is None or speed.high is None:
        return False
    return (speed.high - speed.low) / rate(speed) > WIDE_INTERVAL


def worst_metric(pipeline: PipelineSummary) -> Metric | None:
    """The gated metric with the worst ratio, of equal ones the least certain; without a gated one, of all."""
    if pipeline.accuracy is None:
        return None
    metrics = [metric for metric in pipeline.accuracy.metrics if metric.gated] or pipeline.accuracy.metrics
    return min((each for each in metrics if each.ratio), key=_ratio_and_low, default=None)


def accuracy_mark(pipeline: PipelineSummary) -> str:
    """How certain it is that this pipeline's answers are the baseline pipeline's within the tolerance, in a word."""
    if pipeline.name.baseline:
        return BASELINE
    if pipeline.outcomes.get("accuracy") == "failed":
        return FAILS
    if pipeline.accuracy is None or not passes(pipeline):
        return NOT_JUDGED
    lost = DEFAULT_TOLERANCE if pipeline.accuracy.tolerance is None else pipeline.accuracy.tolerance
    lows = [metric.ratio.low for metric in pipeline.accuracy.metrics if metric.gated and metric.ratio]
    return CERTAIN if all(low is not None and reaches(low, 1 - lost) for low in lows) else LIKELY


def short_name(pipeline: PipelineSummary) -> str:
    """`nvimagecodec · matrix · torch.compile FP16 · threads, batch 32`: what a reader tells pipelines apart by."""
    return " · ".join(name_parts(pipeline))


def name_parts(pipeline: PipelineSummary) -> tuple[str, ...]:
    """Decoder, preprocessing, engines, an unusual NMS, and how stages overlap with the batch."""
    name = pipeline.name
    engines = " + ".join(dict.fromkeys(_engine(each) for each in (name.detector, name.image_tower)))
    batch = f", batch {pipeline.speed.batch}" if pipeline.speed and pipeline.speed.batch else ""
    nms = unusual_nms(name.preprocessor, name.nms) if name.nms else ""
    parts = (name.decoder, name.preprocessor, engines, f"NMS {nms}" if nms else "", f"{name.overlap}{batch}")
    return tuple(filter(None, parts))


def speedup(pipeline: PipelineSummary, baseline: PipelineSummary) -> float:
    """Photos a second over the baseline pipeline's."""
    if pipeline.speed is None or baseline.speed is None:
        return 0.0
    return rate(pipeline.speed) / rate(baseline.speed)


def _engine(name: str) -> str:
    """`torch-compile-fp16` as the table of cases names it: `torch.compile FP16`."""
    backend, _, precision = name.rpartition("-")
    return engine_name(backend, precision) if backend else name


def _ratio_and_low(metric: Metric) -> tuple[float, float]:
    ratio = metric.ratio
    return (0.0, 0.0) if ratio is None else (ratio.value, ratio.value if ratio.low is None else ratio.low)


def _compare(photo_set: str, title: str, pipelines: Sequence[PipelineSummary]) -> Comparison:
    timed = [each for each in pipelines if each.name.photo_set == photo_set and each.speed is not None]
    timed.sort(key=lambda each: -rate(each.speed) if each.speed else 0.0)
    baseline = next((each for each in timed if each.name.baseline), None)
    best = next((each for each in timed if passes(each) and not each.name.baseline), None)
    if baseline is None or best is None or baseline.speed is None or best.speed is None:
        why = "the baseline pipeline was not timed" if baseline is None else "no other pipeline was timed and passed"
        sentence = f"{title}: not measured, {why}."
        return Comparison(photo_set, title, baseline, None, tuple(timed), (), None, NOT_MEASURED, sentence, NOT_JUDGED)
    changes = tuple(exchanges(baseline.speed, best.speed))
    comparison = Comparison(
        photo_set=photo_set,
        title=title,
        baseline=baseline,
        best=best,
        timed=tuple(timed),
        exchanged=changes,
        engines=engines_alone(baseline, timed),
        claim=HELD if speedup(best, baseline) >= PROMISED else NOT_HELD,
        sentence="",
        accuracy=accuracy_mark(best),
    )
    return replace(comparison, sentence=f"{title}: {_advice(comparison, baseline.speed, best.speed)}.")


def stage_share(change: Exchange, baseline: PipelineSpeed) -> str:
    """`decoding takes 56 % of the time`: the part of the baseline pipeline's time."""
    name = STAGE_WORDS.get(change.name, change.name)
    verb = "take" if change.name == ENGINES else "takes"
    return f"{name} {verb} {share(change.before_ms / whole_ms(baseline))} of the time"


def engines_bring(comparison: Comparison) -> str:
    """`the engines alone: 1.20×`, as measured; `1.006× by the stage times` where nobody measured it.

    Empty where neither is known. Of intervals that overlap nobody can tell which is faster.
    """
    baseline, measured, change = comparison.baseline, comparison.engines, comparison.of_engines
    if baseline and baseline.speed and measured and measured.speed:
        noise = ", within the noise" if _overlap(measured.speed, baseline.speed) else ""
        return f"the engines alone: {times(speedup(measured, baseline))}{noise}"
    return f"the engines alone: {times(change.speedup)} by the stage times" if change else ""


def _overlap(one: PipelineSpeed, other: PipelineSpeed) -> bool:
    """Whether both throughputs may be the same, by their intervals."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high


def _advice(comparison: Comparison, baseline: PipelineSpeed, best: PipelineSpeed) -> str:
    """What to change first, what everything brings, and what the engines alone would."""
    if rate(best) <= rate(baseline):
        return f"nothing that passes is faster than the baseline: {significant(rate(baseline))} photos a second"
    whole = (
        f"{significant(rate(baseline))} → {significant(rate(best))} photos a second ({round_times(comparison.speedup)})"
    )
    change, alone = comparison.change, engines_bring(comparison)
    if change is None:
        parts = [f"no stage decides alone; all together: {whole}", alone]
    elif change.name == ENGINES:
        first = f"{stage_share(change, baseline)}; change them first ({times(change.speedup)} by the stage times)"
        parts = [f"{first}; all: {whole}"]
    else:
        first = f"{stage_share(change, baseline)}; change that first ({times(change.speedup)} by the stage times)"
        parts = [first, f"with all stages changed: {whole}", alone]
    return "; ".join(filter(None, parts))


def round_times(value: float | None) -> str:
    """A large speed-up without digits that no run repeats: 190×, 21.0×, 1.20×."""
    return times(value) if value is None or value < 100 else f"{significant(value)}×"
