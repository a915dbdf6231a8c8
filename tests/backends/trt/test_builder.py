"""What the builders of TensorRT 8.6, 10.3, 10.12 and 11 are told, by stand-ins that know what each of them knows."""

from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.backends.base import EngineOptions
from fixtures.backends.trt.builder import _configure, _network_flags, typing_of

# The members that the code may touch, as python/src/infer/pyCore.cpp of NVIDIA/TensorRT names them in the branches
# release/8.6, 10.3, 10.12 and 11.1, and with the numbers of include/NvInfer.h: the bits moved.
NETWORK_FLAGS = {
    "8.6.1": {"EXPLICIT_BATCH": 0, "EXPLICIT_PRECISION": 1},
    "10.3.0": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
    "10.12.0": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1, "PREFER_AOT_PYTHON_PLUGINS": 3},
    "11.1.0": {"STRONGLY_TYPED": 0, "PREFER_AOT_PYTHON_PLUGINS": 2},
    # None is known; a version that drops what is implied must not stop the suite.
    "12.0.0": {"PREFER_AOT_PYTHON_PLUGINS": 2},
}
BUILDER_FLAGS = {
    "8.6.1": {"FP16": 0, "INT8": 1, "TF32": 7, "OBEY_PRECISION_CONSTRAINTS": 10},
    "10.3.0": {"FP16": 0, "INT8": 1, "TF32": 6, "OBEY_PRECISION_CONSTRAINTS": 9},
    "10.12.0": {"FP16": 0, "INT8": 1, "TF32": 6, "OBEY_PRECISION_CONSTRAINTS": 9},
    "11.1.0": {"TF32": 6},
    "12.0.0": {"TF32": 6},
}
FLAGGED, TYPED = ("8.6.1", "10.3.0"), ("10.12.0", "11.1.0", "12.0.0")
PRECISIONS = ("fp32", "fp16", "int8")


def tensorrt(version: str) -> Any:
    """The package as far as a build's settings use it; a name that the version lacks is an AttributeError."""
    return SimpleNamespace(
        NetworkDefinitionCreationFlag=IntEnum("NetworkDefinitionCreationFlag", NETWORK_FLAGS[version]),
        BuilderFlag=IntEnum("BuilderFlag", BUILDER_FLAGS[version]),
        ProfilingVerbosity=IntEnum("ProfilingVerbosity", {"LAYER_NAMES_ONLY": 0, "NONE": 1, "DETAILED": 2}),
        MemoryPoolType=IntEnum("MemoryPoolType", {"WORKSPACE": 0}),
    )


class Config:
    """A builder's configuration: TF32 is on in it, as in all three."""

    def __init__(self) -> None:
        self.flags = {"TF32"}
        self.limits: dict[str, int] = {}
        self.profiling_verbosity: Any = None
        self.builder_optimization_level: int | None = None

    def set_flag(self, flag: IntEnum) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: IntEnum) -> None:
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: IntEnum, size: int) -> None:
        self.limits[pool.name] = size


def configured(version: str, precision: str, options: EngineOptions) -> Config:
    config, empty = Config(), SimpleNamespace(num_layers=0)
    _configure(tensorrt(version), config, empty, typing_of(version), precision, options)
    return config


@pytest.mark.parametrize(
    ("version", "flag"),
    [
        ("8.6.1", "EXPLICIT_BATCH"),
        ("10.3.0", "EXPLICIT_BATCH"),
        ("10.12.0", "STRONGLY_TYPED"),
        ("11.1.0", "STRONGLY_TYPED"),
        ("12.0.0", ""),
    ],
)
def test_a_network_is_made_as_its_version_takes_it(version: str, flag: str):
    expected = 1 << NETWORK_FLAGS[version][flag] if flag else 0
    assert _network_flags(tensorrt(version), typing_of(version)) == expected


@pytest.mark.parametrize("version", FLAGGED)
def test_early_versions_are_allowed_the_precision_by_flags(version: str):
    flags = {precision: configured(version, precision, EngineOptions()).flags for precision in PRECISIONS}
    # INT8 with an FP16 rest: without the second, what is not quantised would be FP32.
    assert flags == {"fp32": set(), "fp16": {"FP16"}, "int8": {"FP16", "INT8"}}


@pytest.mark.parametrize("version", TYPED)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_later_versions_take_it_from_the_graph_and_no_flag(version: str, precision: str):
    """10.12 refuses the flags for a strongly typed network; 11 has none."""
    assert configured(version, precision, EngineOptions()).flags == set()


@pytest.mark.parametrize("version", NETWORK_FLAGS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_version_is_told_the_same_besides(version: str, precision: str):
    config = configured(version, precision, EngineOptions(workspace_mb=256, builder_level=5))
    assert "TF32" not in config.flags
    assert config.profiling_verbosity.name == "DETAILED"
    assert config.builder_optimization_level == 5
    assert config.limits == {"WORKSPACE": 256 * 2**20}


def test_no_workspace_limit_leaves_tensorrt_its_own():
    assert configured("10.3.0", "fp16", EngineOptions(workspace_mb=0)).limits == {}
