"""What was measured of a pipeline from photo to answer: its row in the record, and the typed values of that row.

A pipeline is no case of the matrix: it names two engines and a set of photos. Its rows are of a kind of their own, so
that no reader of cases meets them. Units are in the names; None and empty mean "not recorded".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from reports.record.results import Metric, Number, Result, read_tolerantly
from reports.record.schema import PIPELINE_KIND, StageOutcomes, subjects

# The names of the stages that are networks: what an engine of the matrix exchanges.
ENGINE_STAGES = ("detector", "image tower")
# Those that a worker does ahead of the networks, where a pipeline overlaps.
FEEDING_STAGES = ("read", "decode", "preprocess")


# The NMS that goes with a preprocessor: on a CPU, and on a GPU. A name says it where it is another.
USUAL_NMS = {"reference": ("ultralytics",), "fast": ("batched", "matrix"), "matrix": ("batched", "matrix")}


def unusual_nms(preprocessor: str, nms: str) -> str:
    """`nms` where a pipeline with this preprocessor usually has another, else nothing."""
    return "" if nms in USUAL_NMS.get(preprocessor, ()) else nms


class StageTime(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the serial, synchronised pass: milliseconds a photo. `cpu_ms` are those of all cores together."""

    name: str = ""
    wall_ms: Number = 0.0
    cpu_ms: Number = 0.0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of overlap that was tried at start, and the photos a second that it gave."""

    overlap: str = ""
    batch: int = 0
    workers: int = 0
    photos_per_second: Number = 0.0


class PipelineSpeed(Result, frozen=True, kw_only=True):
    """How fast a pipeline is on one set of photos.

    `stages` and `whole_ms` (milliseconds a photo) are of the serial pass; `photos_per_second` with its 95 % interval
    of the overlapped one, in steady state; `latency_ms` of a photo that comes alone. `second_decoder`: another decoder
    works beside the one whose time stands in `stages`. `cpu_busy` is the share of all
    `cores` that this and its worker processes took, `gpu_busy` the share of the time in which the GPU did something.
    `memory_bytes` is what all its processes held together. `failed_photos`: by name, why.
    """

    STAGE: ClassVar[str] = "speed"

    stages: tuple[StageTime, ...] = ()
    whole_ms: Number | None = None
    photos_per_second: Number | None = None
    low: Number | None = None
    high: Number | None = None
    photos: int = 0
    latency_ms: Number | None = None
    overlap: str = ""
    batch: int = 0
    workers: int = 0
    cores: int = 1
    cpu_busy: Number | None = None
    memory_bytes: int | None = None
    steady: bool | None = None
    stop_reason: str = ""
    samples_ms: tuple[Number, ...] = ()
    tried: tuple[Setting, ...] = ()
    photo_megapixels: Number | None = None
    photo_bytes: Number | None = None
    decoder_on_gpu: bool = False
    second_decoder: bool = False
    gpu_busy: Number | None = None
    gpu_memory_bytes: int | None = None
    joules_per_photo: Number | None = None
    failed_photos: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it for each instance)

    @property
    def samples_s(self) -> tuple[float, ...]:
        return tuple(each / 1e3 for each in self.samples_ms)

    def stage_ms(self, names: Sequence[str]) -> float:
        """Wall milliseconds a photo of these stages together."""
        return sum(stage.wall_ms for stage in self.stages if stage.name in names)


class PipelineAccuracy(Result, frozen=True, kw_only=True):
    """What a pipeline kept of the baseline pipeline's answers on `photos` photos; `tolerance` is what may be lost."""

    STAGE: ClassVar[str] = "accuracy"

    metrics: tuple[Metric, ...] = ()
    photos: int = 0
    tolerance: Number | None = None
    flips: int | None = None
    embedding_cosine_worst: Number | None = None
    failed_photos: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it for each instance)
    scoring_seconds: Number | None = None

    @property
    def samples_s(self) -> tuple[float, ...]:
        return () if self.scoring_seconds is None else (self.scoring_seconds,)


class PipelineName(msgspec.Struct, frozen=True, kw_only=True):
    """Which pipeline, on which photos: the names of its stages. `photo_set`: "12mp" or "coco"."""

    id: str = ""
    photo_set: str = ""
    decoder: str = ""
    preprocessor: str = ""
    detector: str = ""
    image_tower: str = ""
    nms: str = ""
    overlap: str = ""
    baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class PipelineSummary(StageOutcomes):
    """All that a session's rows say of one pipeline."""

    name: PipelineName
    speed: PipelineSpeed | None
    accuracy: PipelineAccuracy | None


def read_pipelines(rows: Iterable[Mapping[str, Any]]) -> list[PipelineSummary]:
    """The pipelines of a session's rows in the order in which they were first met."""
    summaries = []
    for subject in subjects(rows, PIPELINE_KIND):
        speed, accuracy = subject.values(PipelineSpeed), subject.values(PipelineAccuracy)
        summaries.append(
            PipelineSummary(
                name=read_tolerantly(PipelineName, subject.subject, []),
                speed=speed if speed and speed.photos_per_second and speed.whole_ms else None,
                accuracy=accuracy if accuracy and accuracy.metrics else None,
                outcomes=subject.outcomes,
                reasons=subject.reasons,
            )
        )
    return summaries
