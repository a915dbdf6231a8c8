"""What was measured of a pipeline from photo to answer, as its row in the record keeps it. Units are in the names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reports.errors import ReportError

# The names of the stages that are networks: what an engine of the matrix exchanges.
ENGINE_STAGES = ("detector", "image tower")
# Those that a worker does ahead of the networks, where a pipeline overlaps.
FEEDING_STAGES = ("read", "decode", "preprocess")


@dataclass(frozen=True)
class StageTime:
    """One stage of the serial, synchronised pass: milliseconds a photo. `cpu_ms` are those of all cores together."""

    name: str
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Setting:
    """One setting of overlap that was tried at start, and the photos a second that it gave."""

    overlap: str
    batch: int
    workers: int
    photos_per_second: float


@dataclass(frozen=True)
class PipelineSpeed:
    """How fast a pipeline is on one set of photos.

    `stages` and `whole_ms` (milliseconds a photo) are of the serial pass; `photos_per_second` with its 95 % interval
    of the overlapped one, in steady state; `latency_ms` of a photo that comes alone. `cpu_busy` is the share of all
    `cores` that this and its worker processes took, `gpu_busy` the share of the time in which the GPU did something.
    `memory_bytes` is the most that all its processes held together. None: not measured.
    """

    stages: tuple[StageTime, ...]
    whole_ms: float
    photos_per_second: float
    low: float
    high: float
    photos: int
    latency_ms: float
    overlap: str
    batch: int
    workers: int
    cores: int
    cpu_busy: float
    memory_bytes: int
    steady: bool
    stop_reason: str
    tried: tuple[Setting, ...] = ()
    gpu_busy: float | None = None
    gpu_memory_bytes: int | None = None
    joules_per_photo: float | None = None
    failed_photos: Mapping[str, str] | None = None

    def stage_ms(self, names: Sequence[str]) -> float:
        """Wall milliseconds a photo of these stages together."""
        return sum(stage.wall_ms for stage in self.stages if stage.name in names)


@dataclass(frozen=True)
class PipelineMetric:
    """One score of the whole pipeline against the baseline pipeline's; `gated`: the verdict asks it."""

    name: str
    value: float
    baseline: float
    ratio: float
    low: float
    high: float
    gated: bool


@dataclass(frozen=True)
class PipelineAccuracy:
    """What a pipeline kept of the baseline pipeline's answers on `photos` photos; `tolerance` is what may be lost."""

    metrics: tuple[PipelineMetric, ...]
    photos: int
    tolerance: float
    flips: int
    embedding_cosine_worst: float
    failed_photos: Mapping[str, str]


@dataclass(frozen=True)
class PipelineResult:
    """One pipeline on one set of photos: its stages by name, and what was measured. `photo_set`: "12mp" or "coco"."""

    pipeline: str
    photo_set: str
    photo_megapixels: float
    photo_bytes: float
    decoder: str
    preprocessor: str
    detector: str
    image_tower: str
    nms: str
    baseline: bool
    speed: PipelineSpeed | None = None
    accuracy: PipelineAccuracy | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def pipeline_result(values: Mapping[str, Any]) -> PipelineResult:
    """The result that `to_dict` made. Raises `ReportError` for values that are not of one."""
    try:
        speed, accuracy = values.get("speed"), values.get("accuracy")
        plain = {key: value for key, value in values.items() if key not in ("speed", "accuracy")}
        return PipelineResult(
            **plain,
            speed=_speed(speed) if speed else None,
            accuracy=_accuracy(accuracy) if accuracy else None,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ReportError(f"a pipeline's result cannot be read: {error}", hint="measure it again") from error


def _speed(values: Mapping[str, Any]) -> PipelineSpeed:
    stages = tuple(StageTime(**stage) for stage in values["stages"])
    tried = tuple(Setting(**setting) for setting in values["tried"])
    return PipelineSpeed(**{**values, "stages": stages, "tried": tried})


def _accuracy(values: Mapping[str, Any]) -> PipelineAccuracy:
    return PipelineAccuracy(**{**values, "metrics": tuple(PipelineMetric(**each) for each in values["metrics"])})
