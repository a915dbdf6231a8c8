"""TensorRT: version switches anywhere, the real thing on a card."""

from pathlib import Path

import pytest
import torch

from fixtures.backends.base import EngineInfo, EngineOptions, Job
from fixtures.backends.registry import unsupported_reason
from fixtures.backends.trt.backend import TensorRTDynamic
from fixtures.backends.trt.builder import Typing, typing_of
from fixtures.backends.trt.timing_cache import keep_timings, kept_by, use_timings, with_known_timings
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case
from fixtures.precision.fp16 import to_fp16
from tests.helpers.networks import write_detector

OPTIONS = EngineOptions(builder_level=1, max_batch=8)
# Enough work for FP16 to be the faster: for [2, 3, 32, 32], whose layers take microseconds, two builds of three chose
# FP32 throughout on an H200.
SHAPE = (8, 3, 256, 256)


@pytest.mark.parametrize(
    ("version", "typing"),
    [
        ("8.6.0", Typing.FLAGS),
        ("8.6.1.post1", Typing.FLAGS),
        ("10.3.0", Typing.FLAGS),
        ("10.11.0.33", Typing.FLAGS),
        ("10.12.0.36", Typing.STRONG),
        ("10.16.1.11", Typing.STRONG),
        ("11.4.0.106", Typing.IMPLIED),
        ("12.0", Typing.IMPLIED),
    ],
)
def test_a_version_says_how_it_takes_precision(version: str, typing: Typing):
    assert typing_of(version) is typing


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-cuda-graph", "tensorrt-dynamic", "ultralytics-engine"])
def test_without_a_card_the_reason_is_the_card(name: str):
    assert "NVIDIA card" in unsupported_reason(name, "fp16", "cpu", "detection")


def test_ultralytics_exports_detectors_alone():
    assert "made for detection" in unsupported_reason("ultralytics-engine", "fp16", "cuda", "zero-shot")


@pytest.mark.parametrize("content", [b"", b"\x04\x00\x00\x00abcd", b"\xff\xff\xff\x7f{}", b"no engine at all"])
def test_a_file_that_is_no_ultralytics_engine_is_told(content: bytes, tmp_path: Path):
    from fixtures.backends.trt.ultralytics import plan_of

    path = tmp_path / "model.engine"
    path.write_bytes(content)
    with pytest.raises(BenchError, match="no Ultralytics engine"):
        plan_of(path)


def test_the_plan_lies_behind_ultralytics_metadata(tmp_path: Path):
    from fixtures.backends.trt.ultralytics import plan_of

    path = tmp_path / "model.engine"
    path.write_bytes(len(b'{"a": 1}').to_bytes(4, "little", signed=True) + b'{"a": 1}' + b"plan")
    assert plan_of(path) == b"plan"


CORRUPT = b"half a timing ca"
# TensorRT 8.6.0 says "The timing cache will not be used!" and answers an empty one.
UNREADABLE = b"what a transformer left"


class _Timings:
    """TensorRT's timing cache, as far as the builder's settings use it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def combine(self, other: "_Timings", ignore_mismatch: bool) -> None:
        assert isinstance(other, _Timings)
        self.content += other.content

    def serialize(self) -> bytes:
        return self.content


class _Config:
    def __init__(self, same_card: bool, makes_any: bool = True) -> None:
        self._same_card = same_card
        self._makes_any = makes_any
        self.timings: _Timings | None = None

    def create_timing_cache(self, content: bytes) -> _Timings | None:
        # TensorRT answers nullptr where it cannot read the content (NVIDIA/TensorRT shared/utils/cacheUtils.cpp).
        if content == UNREADABLE:
            return _Timings(b"")
        return _Timings(content) if self._makes_any and content != CORRUPT else None

    def set_timing_cache(self, timings: _Timings, ignore_mismatch: bool) -> bool:
        # A reference in C++: the binding raises TypeError for None.
        assert isinstance(timings, _Timings)
        accepted = self._same_card or not timings.content
        self.timings = timings if accepted else self.timings
        return accepted


@pytest.mark.parametrize(("same_card", "kept"), [(True, b"known+newknown"), (False, b"+newknown")])
def test_timings_of_another_card_are_not_used_and_those_of_other_builds_are_not_lost(
    same_card: bool, kept: bytes, tmp_path: Path
):
    path = tmp_path / "timings.cache"
    path.write_bytes(b"known")
    config = _Config(same_card)
    cache, known_bytes = use_timings(config, path)
    assert config.timings is cache and known_bytes == (len(b"known") if same_card else 0)
    cache.content += b"+new"
    keep_timings(config, cache, path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("content", [CORRUPT, UNREADABLE])
def test_a_corrupt_file_of_timings_costs_the_timings_and_no_build(content: bytes, tmp_path: Path):
    path = tmp_path / "timings.cache"
    path.write_bytes(content)
    config = _Config(same_card=True)
    cache, known_bytes = use_timings(config, path)
    assert cache.content == b"" and config.timings is cache and known_bytes == 0
    cache.content += b"+new"
    keep_timings(config, cache, path)
    # The next build finds a sound one.
    assert path.read_bytes() == b"+new"


def test_a_file_that_another_build_corrupted_meanwhile_is_replaced(tmp_path: Path):
    path = tmp_path / "timings.cache"
    config = _Config(same_card=True)
    cache, _ = use_timings(config, path)
    path.write_bytes(CORRUPT)
    keep_timings(config, cache, path)
    assert path.read_bytes() == b""


def test_a_tensorrt_that_makes_no_timing_cache_builds_without(tmp_path: Path):
    path = tmp_path / "timings.cache"
    config = _Config(same_card=True, makes_any=False)
    assert use_timings(config, path) == (None, 0) and config.timings is None
    keep_timings(config, None, path)
    assert not path.exists()


def test_a_build_says_how_much_it_knew_when_it_began(tmp_path: Path):
    path = kept_by("tensorrt-8.6.0", EngineOptions(timing_cache=tmp_path / "timings"))
    assert path == tmp_path / "tensorrt-8.6.0-timings"

    def build() -> EngineInfo:
        path.write_bytes(bytes(282_000))
        return EngineInfo({"fp16": 3}, ("a note",))

    assert with_known_timings(kept_by("tensorrt-8.6.0", EngineOptions()), build).known_timings_bytes == 0
    path.unlink()
    assert with_known_timings(path, build) == EngineInfo({"fp16": 3}, ("a note",))
    assert with_known_timings(path, build) == EngineInfo({"fp16": 3}, ("a note",), known_timings_bytes=282_000)
    # As ONNX Runtime's provider keeps them.
    assert with_known_timings(tmp_path, build).known_timings_bytes == 282_000


@pytest.mark.parametrize(("largest", "profile"), [(1, (1, 1, 8)), (4, (1, 4, 8)), (32, (1, 32, 32))])
def test_a_dynamic_engine_takes_the_batch_that_scores_it(largest: int, profile: tuple[int, int, int]):
    case = Case("small", "detection", "tensorrt-dynamic", "fp32", 1)
    options = EngineOptions(max_batch=largest)
    job = Job(case, "cuda", torch.nn.Identity, None, torch.zeros(1, 3, 32, 32), options)
    assert tuple(shape[0] for shape in TensorRTDynamic().shapes(job)) == profile


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    fp32 = write_detector(folder / "fp32.onnx", side=SHAPE[-1])
    to_fp16(fp32, folder / "fp16.onnx")
    return {"fp32": fp32, "fp16": folder / "fp16.onnx"}


def _job(name: str, precision: str, graph: Path) -> Job:
    example = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    case = Case("small", "detection", name, precision, SHAPE[0])
    return Job(case, "cuda", no_module, graph, example, OPTIONS)


def no_module() -> torch.nn.Module:
    raise AssertionError("TensorRT eats graphs")


def _reference(graph: Path, example: torch.Tensor) -> torch.Tensor:
    from fixtures.backends.onnxrt.cpu import OrtEngine, open_session

    return OrtEngine(open_session(graph))(example)


@pytest.mark.gpu
@pytest.mark.usefixtures("on_a_side_stream")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-cuda-graph", "tensorrt-dynamic"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 0.05)])
def test_an_engine_answers_like_the_graph_and_is_what_was_asked_for(
    name: str, precision: str, tolerance: float, graphs: dict[str, Path], tmp_path: Path
):
    from fixtures.backends.registry import backend

    how = backend(name)
    if reason := how.unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    job = _job(name, precision, graphs[precision])
    path = tmp_path / how.file_name
    assert not how.build(job, path).precision_mismatch(precision)
    engine = how.load(job, path)
    answer = engine(job.example.cuda()).clone()
    engine.synchronize()
    expected = _reference(graphs["fp32"], job.example)
    assert (answer.cpu() - expected).norm() <= tolerance * expected.norm()


@pytest.mark.gpu
@pytest.mark.usefixtures("on_a_side_stream")
def test_an_fp32_engine_in_the_place_of_an_fp16_one_fails_its_case(graphs: dict[str, Path], tmp_path: Path):
    from fixtures.backends.trt.builder import build_plan, why_not_tensorrt
    from fixtures.backends.trt.inspector import inspect

    if reason := why_not_tensorrt():
        pytest.skip(reason)
    path = tmp_path / "model.plan"
    path.write_bytes(build_plan(graphs["fp32"], "fp32", (SHAPE,), OPTIONS).content)
    assert "in FP32" in inspect(path, graphs["fp32"]).precision_mismatch("fp16")


@pytest.mark.gpu
@pytest.mark.usefixtures("on_a_side_stream")
def test_a_foreign_plan_and_a_wrong_batch_are_told(graphs: dict[str, Path], tmp_path: Path):
    from fixtures.backends.trt.builder import build_plan, why_not_tensorrt
    from fixtures.backends.trt.runtime import TrtEngine

    if reason := why_not_tensorrt():
        pytest.skip(reason)
    path = tmp_path / "model.plan"
    path.write_bytes(build_plan(graphs["fp32"], "fp32", (SHAPE,), OPTIONS).content)
    with pytest.raises(BenchError, match="does not take inputs"):
        TrtEngine.open(path)(torch.rand(3, *SHAPE[1:], device="cuda"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BenchError, match="refuses the engine"):
        TrtEngine.open(path)
