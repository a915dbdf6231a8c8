"""What was measured of a model behind a server: its row in the record, and the typed values of that row.

Such a row is no case of the matrix: between its two ends lie HTTP, a queue and other callers. Its rows are of a kind of
their own, so that no reader of cases meets them. Units are in the names; None and empty mean "not recorded".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from reports.record.results import Metric, Number, Quantiles, Result, Scalar, read_tolerantly
from reports.record.schema import SERVING_KIND, StageOutcomes, subjects

MILLISECONDS = 1e3


class ServingLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A closed loop of `callers`: each sends its next request when it has the answer to the one before.

    `latency_ms` and `mean_ms` are a request's time at the client. `compute_ms` (the model itself), `queue_ms` and
    `copy_ms` (tensors in and out) are means a request by the server's own counters over the same time; None where it
    tells none. `images_per_run` is how many images ran at once. `client_cores`: cores that the client itself took.
    """

    callers: int = 0
    shared_memory: bool = False
    latency_ms: Quantiles | None = None
    mean_ms: Number | None = None
    requests_per_second: Number | None = None
    images_per_second: Number | None = None
    low: Number | None = None
    high: Number | None = None
    compute_ms: Number | None = None
    queue_ms: Number | None = None
    copy_ms: Number | None = None
    images_per_run: Number | None = None
    client_cores: Number | None = None
    steady: bool | None = None
    stop_reason: str = ""
    samples_ms: tuple[Number, ...] = ()

    @property
    def outside_ms(self) -> float | None:
        """What of the mean latency lies outside of the server: the client, HTTP and the wire."""
        if self.mean_ms is None or self.compute_ms is None:
            return None
        return self.mean_ms - self.compute_ms - (self.queue_ms or 0.0) - (self.copy_ms or 0.0)


class ServingSpeed(Result, frozen=True, kw_only=True):
    """How fast a served model answers. `boundary` names the two ends between which `loads` were timed.

    `known_answer` says what was asked before anything was timed, and how far the answer lay from what is known.
    `device` is where a server of the suite's own computed, as its process told; empty for others. `requests` were sent
    in all and `faults` of them, by kind, had to be sent again. `price_per_thousand`: of a thousand images, in the unit
    that the user gave.
    """

    STAGE: ClassVar[str] = "speed"

    boundary: str = ""
    server: str = ""
    device: str = ""
    images_per_request: int = 0
    known_answer: str = ""
    loads: tuple[ServingLoad, ...] = ()
    requests: int | None = None
    faults: dict[str, int] = {}  # noqa: RUF012 (msgspec copies it for each instance)
    price_per_thousand: Number | None = None
    price_basis: str = ""

    @property
    def samples_s(self) -> tuple[float, ...]:
        """Those of one caller, the plainest of the loads."""
        return tuple(each / MILLISECONDS for each in self.loads[0].samples_ms) if self.loads else ()


class ServingAccuracy(Result, frozen=True, kw_only=True):
    """How a served model's answers are judged on `images` images; `tolerance` is what may be lost.

    `same_as_engine` is the share of images whose output is that of the same engine in the suite's own process, with
    `worst_error` the largest relative error; None for a server whose engine the suite does not have. `device` as in
    `ServingSpeed`.
    """

    STAGE: ClassVar[str] = "accuracy"

    metrics: tuple[Metric, ...] = ()
    details: dict[str, Scalar] = {}  # noqa: RUF012 (msgspec copies it for each instance)
    images: int = 0
    tolerance: Number | None = None
    same_as_engine: Number | None = None
    worst_error: Number | None = None
    device: str = ""
    requests: int | None = None
    faults: dict[str, int] = {}  # noqa: RUF012 (msgspec copies it for each instance)
    scoring_seconds: Number | None = None

    @property
    def samples_s(self) -> tuple[float, ...]:
        return () if self.scoring_seconds is None else (self.scoring_seconds,)


class ServingName(msgspec.Struct, frozen=True, kw_only=True):
    """Which model behind which server. `service`: "triton" or "nv-clip"; `server`: "own" or a URL."""

    id: str = ""
    service: str = ""
    model: str = ""
    server: str = ""


@dataclass(frozen=True, kw_only=True)
class ServingSummary(StageOutcomes):
    """All that a session's rows say of one served model."""

    name: ServingName
    speed: ServingSpeed | None
    accuracy: ServingAccuracy | None


def read_serving(rows: Iterable[Mapping[str, Any]]) -> list[ServingSummary]:
    """The served models of a session's rows in the order in which they were first met."""
    summaries = []
    for subject in subjects(rows, SERVING_KIND):
        speed = subject.values(ServingSpeed)
        summaries.append(
            ServingSummary(
                name=read_tolerantly(ServingName, subject.subject, []),
                speed=speed if speed is not None and speed.loads else None,
                accuracy=subject.values(ServingAccuracy),
                outcomes=subject.outcomes,
                reasons=subject.reasons,
            )
        )
    return summaries
