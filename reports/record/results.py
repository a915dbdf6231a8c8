"""What the stages of a case find, as frozen types: written once where a stage ends, validated once where a record is
read, and read by attribute everywhere else. Both sides import this module, and it imports nothing of either.

A row of a record has the stage's name and the stage's values; the name decides the type, so that `Result` and
`RESULT_TYPES` are a tagged union whose tag is the row's `question`. **A new stage is a new type**: subclass `Result` in
a module of its own (or here), set `STAGE`, give every field a default that says "not recorded", and add it to
`RESULT_TYPES`. Recorder, resumption, merging, the counting of costs and the reader then know it; a reader of it asks
`case.result(NewResult)`. What several stages share (a `Latency`, a `Ratio`, `GpuTelemetry`) is a field of such a type,
never a key with a prefix.

    class PipelineResult(Result, frozen=True, kw_only=True):
        STAGE = "pipeline"
        photos_per_second: float | None = None
        stage_latency: dict[str, Quantiles] = {}  # msgspec copies it for each instance
        accuracy: tuple[Metric, ...] = ()

The reader (`read_result`) takes what anyone may have written. A value of a wrong type, a NaN or an infinity is left out
and named with its reason; the rest of the row counts. A record of an earlier version lacks fields, and they are then
"not recorded": there is one decoder for all versions. msgspec validates, as it converts a row of thousands of samples
in microseconds and its types are ordinary annotations.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

import msgspec

MILLISECONDS = 1e3
_LARGEST = 1.7976931348623157e308
# JSON knows neither NaN nor infinity, but Python's parser reads 1e999 as one: either would poison later comparisons.
Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
Scalar = str | int | Number | bool | None


@dataclass(frozen=True)
class Ratio:
    """A ratio with its 95 % interval; the interval is None where it is not known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Latency:
    """End-to-end or device latency of one batch; `low_ms` to `high_ms` is the median's 95 % interval."""

    p50_ms: float
    low_ms: float | None
    high_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    instrument: str | None


def images_per_second(batch: int, *p50_ms: float) -> float:
    """Throughput of one caller: the images of a batch over the slowest of these medians, in milliseconds.

    The only place that computes it. On a GPU launches and device time overlap, and the slower of the two decides.
    """
    return batch * MILLISECONDS / max(p50_ms)


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of the calls of one clock, in milliseconds; `low` to `high` is the 95 % interval of `p50`.

    None where there were too few samples, or where nothing asked.
    """

    p50: Number
    low: Number | None = None
    high: Number | None = None
    p25: Number | None = None
    p75: Number | None = None
    p90: Number | None = None
    p95: Number | None = None
    p99: Number | None = None

    @property
    def relative_iqr(self) -> float | None:
        """The interquartile range over the median; None where the quartiles are not known."""
        if self.p25 is None or self.p75 is None or not self.p50:
            return None
        return (self.p75 - self.p25) / self.p50


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One window in the order of time, thinned to a few dozen stretches, for a chart.

    `seconds`: the middle of each stretch after the first reading. Of each stretch the lowest clock (a dip is what
    one looks for), the highest temperature and the mean power; None where nothing was reported.
    """

    seconds: tuple[Number | None, ...] = ()
    sm_clock_mhz: tuple[Number | None, ...] = ()
    temperature_c: tuple[Number | None, ...] = ()
    power_w: tuple[Number | None, ...] = ()


# Clock event reasons of NVML (nvml.h) for which a GPU runs slower than it is set to: it has no more power to spend
# (`POWER_CAP`: the board's own limit), is too hot, or is badly fed. The others are a lack of work (GpuIdle) or how the
# GPU is set and made (clock settings, Sync Boost, the voltage limit that nvml.h calls Reliability): they are the same
# next time, and measuring again would tell the same.
POWER_CAP = "SwPowerCap"
THROTTLING = frozenset({POWER_CAP, "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown"})
# A share of the samples above this counts. nvml.h: HwSlowdown "may be also reported during PState or clock change", so
# a lone sample proves nothing, and the shortest window has ten. When a tenth of the calls is slowed, the median of all
# lies at the 56th percentile of the rest: within the noise of the interval. More than that moves it.
THROTTLED_SHARE = 0.10


class GpuTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU during one window. None is what the driver did not report, or what no sample fell into.

    `sm_clock_share` is the median over the GPU's maximum. `memory_peak_bytes` is the highest use of the whole GPU
    minus that before. `reasons` gives each clock event reason met its share of the samples. `throttled`: reasons
    that hold the GPU back held in more samples than chance explains (`fixtures.gpu.telemetry`). `foreign` is a sentence
    on other processes; empty where none was seen.
    """

    samples: int | None = None
    sm_clock_median_mhz: Number | None = None
    sm_clock_min_mhz: Number | None = None
    sm_clock_max_mhz: Number | None = None
    sm_clock_share: Number | None = None
    memory_clock_median_mhz: Number | None = None
    temperature_first_c: Number | None = None
    temperature_last_c: Number | None = None
    temperature_max_c: Number | None = None
    power_mean_w: Number | None = None
    memory_peak_bytes: Number | None = None
    reasons: dict[str, Number] = {}
    throttled: bool = False
    foreign: str = ""
    trace: Trace = Trace()

    @property
    def at_power_limit(self) -> bool:
        """Whether the board's power limit throttled the GPU, and nothing else did: neither heat nor a lack of power.

        False where no reason was recorded.
        """
        others = sum(share for name, share in self.reasons.items() if name in THROTTLING and name != POWER_CAP)
        return self.throttled and self.reasons.get(POWER_CAP, 0.0) > THROTTLED_SHARE >= others


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Energy of the whole board while an engine worked without pause, and where the figure is from."""

    joules_per_image: Number | None = None
    mean_power_w: Number | None = None
    seconds: Number | None = None
    images: int | None = None
    source: str = ""


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the host took to launch the timed calls.

    `queued` is False where the engine waits for the GPU within its call, so that launches cannot be told apart.
    `repeats`: calls that were made again because the GPU began before all of them was launched.
    """

    queued: bool | None = None
    latency_ms: Quantiles | None = None
    repeats: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one stage found of one case. Units are in the names; None and empty are "not recorded"."""

    STAGE: ClassVar[str] = ""

    engine_sha256: str | None = None
    work_seconds: Number | None = None
    """What went into building, loading, measuring or scoring; the row's own wall time has the suite's share too."""

    @property
    def samples_s(self) -> tuple[float, ...]:
        """What pytest-benchmark is shown of it, in seconds."""
        return ()


class ModelInterface(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes into a network and comes out of it: all that its caller must know besides the engine.

    `kind` is one of `DETECTOR`, `IMAGE_TOWER` and `TEXT_TOWER`, or other words for a network that is not shipped; empty
    is "not recorded". `input_shape` is that of one item, without the batch: [3, H, W] FP32 RGB, or [T] int64 token ids.
    `resize` is one of `LETTERBOX`, `STRETCH` and `CENTRE_CROP`; pixels are 0..1, less `mean` over `std` where these are
    given. `nms`: the output [B, 4 + classes, anchors] holds centre, width and height of every anchor's box in pixels of
    the input, and NMS follows.
    """

    kind: str = ""
    input_name: str = ""
    output_name: str = ""
    input_shape: tuple[int, ...] = ()
    resize: str = ""
    mean: tuple[Number, ...] = ()
    std: tuple[Number, ...] = ()
    class_names: tuple[str, ...] = ()
    stride: int = 0
    nms: bool = False


DETECTOR, IMAGE_TOWER, TEXT_TOWER = "detector", "image tower", "text tower"
LETTERBOX, STRETCH, CENTRE_CROP = "letterbox", "stretch", "shorter side, then the centre"


class CacheFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the engine cache. `path` is from the cache's folder, `parts` are further files that belong to it, from
    its own folder; `sha256` is of all of them (`reports.record.hashing.content_sha256`).
    """

    path: str = ""
    sha256: str = ""
    parts: tuple[str, ...] = ()


class MatrixResult(Result, frozen=True, kw_only=True):
    """A case that this machine cannot run; the row's reason says why."""

    STAGE: ClassVar[str] = "matrix"


class BuildResult(Result, frozen=True, kw_only=True):
    """Seconds, bytes, and what the engine really is.

    `layers` counts layers by the precision that they compute in. `known_timings_bytes` is what earlier builds left to
    this one. `log_tail` is the end of what the builder wrote. `engine_file` and `graph_file` say where the engine and
    the graph that it was built from lie in the engine cache; `built_with` is what the backend names besides the graph
    as deciding the engine: versions and builder settings. Records of 2026 may lack all of these.
    """

    STAGE: ClassVar[str] = "build"

    build_seconds: Number | None = None
    graph_seconds: Number | None = None
    cached: bool | None = None
    size_bytes: Number | None = None
    weights_bytes: Number | None = None
    cold_load_seconds: Number | None = None
    graph_sha256: str | None = None
    known_timings_bytes: Number | None = None
    layers: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    log_tail: tuple[str, ...] = ()
    engine_file: CacheFile | None = None
    graph_file: CacheFile | None = None
    built_with: dict[str, Scalar] = {}
    dynamic_batch: bool | None = None
    interface: ModelInterface = ModelInterface()

    @property
    def samples_s(self) -> tuple[float, ...]:
        return () if self.build_seconds is None else (self.build_seconds,)


class Timing(Result, frozen=True, kw_only=True):
    """The calls of one clock. `quantity` says what was timed, `instrument` by what.

    `gpu` is the GPU meanwhile, `throttled_retries` how often a throttled measurement was done again.
    """

    images_per_second: Number | None = None
    latency_ms: Quantiles | None = None
    samples: int | None = None
    steady: bool | None = None
    stop_reason: str | None = None
    instrument: str | None = None
    quantity: str | None = None
    gpu: GpuTelemetry | None = msgspec.field(default=None, name="card")
    throttled_retries: int = 0

    @property
    def latency(self) -> Latency | None:
        """The quantiles with the name of their clock; None where no median was recorded."""
        return _latency(self.latency_ms, self.instrument)


class EndToEnd(Timing, frozen=True, kw_only=True):
    """The second clock of an engine on a GPU: the host's, with the copies to the GPU and back."""


class ProcessTiming(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The calls of one of several processes that timed a case: medians in milliseconds, samples in the order of time.

    Records of 2026 had the medians alone.
    """

    p50_ms: Number | None = None
    launch_p50_ms: Number | None = None
    end_to_end_p50_ms: Number | None = None
    samples_ms: tuple[Number, ...] = ()
    warmup_s: Number | None = None
    steady: bool | None = None
    stop_reason: str | None = None
    outliers: int | None = None


class SpeedResult(Timing, frozen=True, kw_only=True):
    """How fast one caller is served, and how that was measured.

    `latency_ms` is device time on a GPU and end-to-end latency on a CPU (`quantity`). `samples_ms` are its calls in
    the order of time where one process timed the case; of several each keeps its own in `processes`.
    With several callers at once `latency_ms` is the time of a round of all of them over the batches that it answered,
    so that throughput is the batch over it, and `under_load_ms` what one batch took while the others were served.
    `share_of_peak` is the floating point operations a second over what the GPU can do, `above_peak` that this is more
    than all, `share_of_bandwidth` the same of weights and images over the memory's bandwidth.
    """

    STAGE: ClassVar[str] = "speed"

    samples_ms: tuple[Number, ...] = ()
    warmup_s: Number | None = None
    outliers: int | None = None
    launch: Launch | None = None
    under_load_ms: Quantiles | None = None
    end_to_end: EndToEnd | None = None
    processes: tuple[ProcessTiming, ...] = ()
    flops_per_image: Number | None = None
    share_of_peak: Number | None = None
    peak_source: str = ""
    above_peak: bool | None = None
    bytes_per_image: Number | None = None
    share_of_bandwidth: Number | None = None
    energy: Energy | None = None

    @property
    def launch_latency(self) -> Latency | None:
        """What the host took to launch a call, under the name of the instrument that timed the same calls."""
        return _latency(self.launch.latency_ms, self.instrument) if self.launch else None

    @property
    def samples_by_process(self) -> tuple[tuple[float, ...], ...]:
        """The calls of each process in the order of time, in milliseconds. Only those that have samples."""
        return tuple(each.samples_ms for each in self.processes if each.samples_ms) or (
            (self.samples_ms,) if self.samples_ms else ()
        )

    @property
    def samples_s(self) -> tuple[float, ...]:
        """The calls of one process; of several their medians, each of which is one observation of what differs between
        processes. The median of these is the record's `p50` in either case."""
        medians = tuple(each.p50_ms for each in self.processes if each.p50_ms is not None)
        return tuple(each / MILLISECONDS for each in (medians if len(medians) > 1 else self.samples_ms))


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One accuracy figure of an engine beside the baseline's, with the ratio of the two and its 95 % interval.

    `gated`: the gate asks it.
    """

    name: str
    value: Number | None = None
    baseline: Number | None = None
    ratio_value: Number | None = msgspec.field(default=None, name="ratio")
    low: Number | None = None
    high: Number | None = None
    gated: bool = False

    @property
    def ratio(self) -> Ratio | None:
        """The share of the baseline's figure that is kept."""
        return None if self.ratio_value is None else Ratio(self.ratio_value, self.low, self.high)


class ChangedExample(msgspec.Struct, frozen=True, kw_only=True):
    """One image that the engine answers otherwise: what the baseline alone says and what the engine alone says.

    `picture` is a JPEG as a data URI.
    """

    image: int | str = ""
    baseline: str = ""
    engine: str = ""
    picture: str = ""


class AccuracyResult(Result, frozen=True, kw_only=True):
    """Every metric with its ratio, and the sets it was measured on.

    `judged` is False for a network that has no accuracy (untrained weights). `details` are further facts for a reader.
    `small_set`: an interval reaches across the gate. `implausible_baseline` says why the baseline is no yardstick.
    `labels_file`: of an image tower, where the baseline's text embeddings of the labels lie in the engine cache.
    """

    STAGE: ClassVar[str] = "accuracy"

    judged: bool | None = None
    tolerance: Number | None = None
    metrics: tuple[Metric, ...] = ()
    details: dict[str, Scalar] = {}
    changed_images: tuple[ChangedExample, ...] = ()
    evaluation_images: int | None = None
    calibration_images: int | None = None
    small_set: bool | None = None
    implausible_baseline: str | None = None
    scoring_seconds: Number | None = None
    labels_file: CacheFile | None = None

    @property
    def samples_s(self) -> tuple[float, ...]:
        return () if self.scoring_seconds is None else (self.scoring_seconds,)


# The stages that a row may be of, in the order in which a case answers them.
RESULT_TYPES: Mapping[str, type[Result]] = {
    kind.STAGE: kind for kind in (MatrixResult, BuildResult, SpeedResult, AccuracyResult)
}


def read_result(stage: str, values: Mapping[str, Any]) -> tuple[Result, tuple[str, ...]]:
    """The values of a row of this stage, and for each that had to be left out where it stood and why.

    Raises `KeyError` for a stage that no type has; `reports.record.schema.row_fault` refuses such a row before.
    """
    dropped: list[str] = []
    return read_tolerantly(RESULT_TYPES[stage], values, dropped), tuple(dropped)


def to_values(result: Result) -> dict[str, Any]:
    """A result as a row keeps it: plain JSON values; what was not recorded is left out."""
    values: dict[str, Any] = msgspec.to_builtins(result, enc_hook=_plain)
    return values


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value of a record")


def _latency(quantiles: Quantiles | None, instrument: str | None) -> Latency | None:
    if quantiles is None:
        return None
    known = quantiles
    return Latency(known.p50, known.low, known.high, known.p90, known.p95, known.p99, instrument)


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def read_tolerantly(kind: type[_Kind], values: Any, dropped: list[str], place: str = "") -> _Kind:
    """`values` as a `kind` whose fields all have defaults. What cannot be read goes, with its place and reason, to
    `dropped`, part by part: of a list of samples one item, of a window one figure."""
    salvaged = _salvaged(kind, values, place, dropped)
    return kind() if salvaged is msgspec.UNSET else salvaged


def _salvaged(kind: Any, value: Any, place: str, dropped: list[str]) -> Any:
    """`value` as `kind`, as much of it as can be read; `msgspec.UNSET` where that is nothing."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        parts = _parts(kind, value, place, dropped)
        if parts is not None:
            with_parts = _rebuilt(kind, parts)
            if with_parts is not None:
                return with_parts
        dropped.append(f"{place or 'values'}: {str(error).partition(' - at ')[0]}")
        return msgspec.UNSET


def _parts(kind: Any, value: Any, place: str, dropped: list[str]) -> Any:
    """The readable parts of a container of the right shape; None for anything else."""
    for option in _options(kind):
        origin = get_origin(option)
        if isinstance(value, Mapping) and isinstance(option, type) and issubclass(option, msgspec.Struct):
            return {
                field.encode_name: part
                for field in msgspec.structs.fields(option)
                if value.get(field.encode_name) is not None
                and (part := _salvaged(field.type, value[field.encode_name], _at(place, field.encode_name), dropped))
                is not msgspec.UNSET
            }
        if isinstance(value, Mapping) and origin is dict:
            of = get_args(option)[1]
            items = ((str(key), _salvaged(of, item, _at(place, key), dropped)) for key, item in value.items())
            return {key: item for key, item in items if item is not msgspec.UNSET}
        if isinstance(value, list | tuple) and origin is tuple:
            of = get_args(option)[0]
            read = [_salvaged(of, item, f"{place}[{index}]", dropped) for index, item in enumerate(value)]
            if type(None) in _options(of):  # of readings that belong to times, each keeps its place
                return [None if item is msgspec.UNSET else item for item in read]
            return [item for item in read if item is not msgspec.UNSET]
    return None


def _rebuilt(kind: Any, parts: Any) -> Any:
    """The container of these parts; None where one that it cannot be without is missing."""
    try:
        # From attributes: nested parts are structs already.
        return msgspec.convert(msgspec.to_builtins(parts), kind)
    except msgspec.ValidationError:
        return None


def _options(kind: Any) -> Iterator[Any]:
    """The types of a union, without their constraints."""
    if get_origin(kind) is Annotated:
        yield from _options(get_args(kind)[0])
    elif isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        for option in get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _at(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def read_seconds(row: Mapping[str, Any], key: str = "seconds") -> float | None:
    """A duration that a row states of itself; None where it states none."""
    try:
        return msgspec.convert(row.get(key), Number | None)
    except msgspec.ValidationError:
        return None
