"""`bundle.json` as frozen types. Read strictly: a bundle is used or refused, there is no half of one."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from reports.record.results import Metric, ModelInterface, Number, Quantiles, Scalar, SpeedResult, images_per_second
from reports.record.schema import reaches

FORMAT = 1
DESCRIPTION, README, SUMS = "bundle.json", "README.md", "SHA256SUMS"

# Nothing that a terminal would take for an order to itself.
Text = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
# Files are called after it.
ModelName = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"^[^/\\.\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*$")
]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Role(StrEnum):
    """What a file of a bundle is for. One file may be several: ONNX Runtime's engine is the graph itself."""

    ENGINE = "engine"
    PART = "part of the engine"
    PLAN = "bare plan"
    GRAPH = "graph"
    ULTRALYTICS = "ultralytics"
    LABELS = "labels"


class BundledFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file by its path from the bundle's folder."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    roles: tuple[Role, ...]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size_bytes: Count


class CaseName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The case of the matrix that the engine is of. `dynamic_batch`: it takes other batches as well. Its speed was
    measured with `streams` callers at the same time.
    """

    model: ModelName
    task: Literal["detection", "zero-shot"]
    backend: Text
    precision: Text
    batch: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    dynamic_batch: bool
    streams: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1

    @property
    def id(self) -> str:
        streams = f"-s{self.streams}" if self.streams > 1 else ""
        return f"{self.model}-{self.backend}-{self.precision}-b{self.batch}{streams}"


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it comes from: the session that measured it, its weights, the data that it was judged on.

    `advice` says why it is this case and no other. `rebuilt_from` is the SHA-256 of the `bundle.json` whose graph was
    built again; empty for a bundle that a record was made into.
    """

    session: Text
    at: Text
    advice: Text
    suite: Text
    weights: Text
    weights_sha256: Text
    data: Text = ""
    evaluation_images: Count | None = None
    calibration_images: Count | None = None
    rebuilt_from: Text = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the engine was built and measured on. `compute_capability` is NVIDIA's name of an architecture: `9.0`."""

    device: Literal["cpu", "cuda"]
    platform: Text = ""
    cpu: Text = ""
    cores: Count | None = None
    gpu: Text = ""
    compute_capability: Text = ""
    driver: Text = ""


class Speed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast one caller was served. `low` and `high`, images a second, are the ends of the 95 % interval.

    `latency_ms` is of one batch, by `instrument`; `measure_seconds` is the time limit that was given to it.
    """

    images_per_second: Number
    low: Number | None = None
    high: Number | None = None
    latency_ms: Quantiles
    instrument: Text
    quantity: Text
    steady: bool | None = None
    measure_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the engine keeps `1 - tolerance` of the baseline's figures, and whether their whole intervals do."""

    tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    passed: bool
    certain: bool


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `bundle.json`. `built_with` is what besides the graph decides the engine: versions, builder settings."""

    format: int
    case: CaseName
    origin: Origin
    machine: Machine
    built_with: dict[str, Scalar]
    packages: dict[str, Scalar]
    interface: ModelInterface
    speed: Speed
    metrics: tuple[Metric, ...]
    gate: Gate
    files: tuple[BundledFile, ...]

    def file(self, role: Role) -> BundledFile | None:
        """The first file of that role."""
        return next((each for each in self.files if role in each.roles), None)


def speed_of(result: SpeedResult, batch: int, measure_seconds: float) -> Speed | None:
    """The speed that one caller gets: of the slower of the work and its launches. None where nothing was timed."""
    timed, launched = result.latency_ms, result.launch and result.launch.latency_ms
    if timed is None or result.images_per_second is None:
        return None
    slower = launched if launched and launched.p50 > timed.p50 else timed
    return Speed(
        images_per_second=result.images_per_second,
        low=images_per_second(batch, slower.high) if slower.high else None,
        high=images_per_second(batch, slower.low) if slower.low else None,
        latency_ms=slower,
        instrument=result.instrument or "",
        quantity=result.quantity or "",
        steady=result.steady,
        measure_seconds=measure_seconds,
    )


def gate_of(metrics: Iterable[Metric], tolerance: float) -> Gate:
    """The gate over these metrics; without one that is gated nothing passes."""
    gated = [each for each in metrics if each.gated]
    least = 1 - tolerance
    passed = bool(gated) and all(each.ratio_value is not None and reaches(each.ratio_value, least) for each in gated)
    certain = passed and all(each.low is not None and reaches(each.low, least) for each in gated)
    return Gate(tolerance=tolerance, passed=passed, certain=certain)
