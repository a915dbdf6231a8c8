"""What a session measured on which machine, as frozen types: the part of a session's row that reports look at.

The row itself may hold more (every option, whatever a later version adds); what these types do not name is shown in
the report as it stands. A value of a wrong type counts as not recorded.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from reports.record.results import Number, Scalar, read_tolerantly
from reports.record.schema import DEFAULT_TOLERANCE, Row


class GpuFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU as the driver describes it."""

    name: str | None = None
    compute_capability: tuple[int, ...] | str | None = None
    driver: str | None = None
    cuda_driver_version: str | None = None
    memory_bytes: Number | None = None

    @property
    def capability(self) -> str:
        """`9.0`, as a pair of numbers or as words; empty where it is not known."""
        recorded = self.compute_capability or ()
        return recorded if isinstance(recorded, str) else ".".join(map(str, recorded))


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the versions on it. `packages` has those that are installed; `commit` is of this project."""

    platform: str | None = None
    cpu: str | None = None
    cores: int | None = None
    gpu: str | None = None
    card: GpuFacts = GpuFacts()
    python: str | None = None
    packages: dict[str, Scalar] = {}
    commit: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options that decide how figures are read, and where engines lie.

    `shards` lists the sessions that were merged into this one; `chosen` is what pytest's -k and -m chose of the matrix.
    `measure_seconds` and `memory_limit_bytes` are 0 where nobody asked for a limit.
    """

    tolerance: Number = DEFAULT_TOLERANCE
    device: str = ""
    trt_level: Number | None = None
    engine_cache: str = ""
    measure_seconds: Number = 0.0
    memory_limit_bytes: Number = 0.0
    shards: tuple[str, ...] = ()
    chosen: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether the session was asked to measure on a GPU."""
        return self.device.lower() != "cpu"


class SuitePart(msgspec.Struct, frozen=True, kw_only=True):
    """A model's weights, or the data of a task."""

    name: str = ""
    sha256: str | None = None
    evaluation_images: int | None = None


def read_environment(environment: Mapping[str, Any]) -> Environment:
    return read_tolerantly(Environment, environment, [])


def read_settings(session: Row) -> Settings:
    """The settings of a session's row."""
    return read_tolerantly(Settings, session["settings"], [])


def read_suite(suite: Mapping[str, Any]) -> dict[str, SuitePart]:
    """The parts of a suite by their names: "yolo", "clip", "detection data", "zero-shot data", "tao", "tao data"."""
    return {name: read_tolerantly(SuitePart, part, []) for name, part in suite.items() if isinstance(part, Mapping)}
