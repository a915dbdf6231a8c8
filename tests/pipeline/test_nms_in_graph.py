"""A pipeline with NMS inside the detector's engine answers as one with NMS outside, on the embedded network."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fixtures import ROOT
from fixtures.errors import BenchError
from fixtures.models import onnx_nms
from fixtures.models.yolo import CONFIDENCE
from fixtures.pipeline.bundled import BundledNetworks
from fixtures.pipeline.factory import open_pipeline
from fixtures.pipeline.registry import unsupported_reason
from fixtures.pipeline.spec import NMS_IN_GRAPH, EngineName, PipelineSpec
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from tests.helpers.runs import raw_options

ORT = EngineName("onnxruntime", "fp32")
OUTSIDE = PipelineSpec("pil", "fast", ORT, ORT, "batched", batch=5)
INSIDE = replace(OUTSIDE, nms=NMS_IN_GRAPH)


@pytest.fixture(scope="module")
def workbench(engine_cache: Path) -> Workbench:
    return make_workbench(engine_cache)


def make_workbench(engines: Path) -> Workbench:
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(engines)), ROOT)
    return open_workbench(options, choose_suite(options, ROOT), lambda _: None)


@pytest.fixture(scope="module")
def answers(workbench: Workbench, drawn_bytes: list[bytes]):
    """The detections [n, 6] of each drawn photo. The last batch is shorter than the others."""

    def of(spec: PipelineSpec, engines: Path | None = None) -> list[np.ndarray]:
        found_in = make_workbench(engines) if engines else workbench
        with open_pipeline(spec, found_in, "cpu", labels=("a photo of a red circle",)) as pipeline:
            results = list(pipeline.run(drawn_bytes))
        assert not any(result.error for result in results)
        return [result.detections for result in results]

    return cache(of)


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """The same boxes in pixels of the photo, scores and classes in the same order, photo by photo."""
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_array_equal(one[:, 5], other[:, 5])
        np.testing.assert_allclose(one[:, 4], other[:, 4], atol=1e-5)
        np.testing.assert_allclose(one[:, :4], other[:, :4], atol=0.01)


@pytest.mark.parametrize("confidence", [0.25, CONFIDENCE])
def test_the_answers_are_those_of_nms_outside(answers, confidence):
    """As it is timed, and as it is judged."""
    spec = replace(INSIDE, confidence=confidence)
    expected = answers(replace(spec, nms="batched"))
    assert sum(map(len, expected)) > (12 if confidence == 0.25 else 150)
    assert_same(answers(spec), expected)


def test_wrong_thresholds_are_seen(answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The comparison fails where the graph has another confidence, or another overlap in an engine cache of its own."""
    expected = answers(replace(OUTSIDE, confidence=CONFIDENCE))
    with pytest.raises(AssertionError):
        assert_same(answers(replace(INSIDE, confidence=2 * CONFIDENCE)), expected)
    monkeypatch.setattr(onnx_nms, "NMS_IOU", 0.6)
    with pytest.raises(AssertionError):
        assert_same(answers(replace(INSIDE, confidence=CONFIDENCE), tmp_path), expected)


def test_the_matrix_keeps_its_engine_and_each_confidence_has_one(answers, engine_cache: Path):
    for spec in (OUTSIDE, INSIDE, replace(INSIDE, confidence=CONFIDENCE)):
        answers(spec)
    folders = [folder.name.rpartition("-")[0] for folder in engine_cache.glob("yolov8n*")]
    graphs, engines = folders.count("yolov8n-graph-fp32-nms"), folders.count("yolov8n-onnxruntime-fp32")
    assert engines == graphs + 1 and graphs >= 2


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("pytorch", "built from a PyTorch module"),
        ("torch-compile", "built from a PyTorch module"),
        ("onnxruntime", ""),
    ],
)
def test_a_backend_without_it_says_why(backend, words):
    reason = unsupported_reason(replace(INSIDE, detector=EngineName(backend, "fp32")), "cpu")
    assert words in reason and bool(words) == bool(reason)
    if words:
        with pytest.raises(BenchError, match=words):
            open_pipeline(replace(INSIDE, detector=EngineName(backend, "fp32")), None, "cpu")  # before anything loads


def test_a_cuda_graph_cannot_hold_it(monkeypatch: pytest.MonkeyPatch):
    """Even where the backend runs."""
    monkeypatch.setattr("fixtures.backends.registry.unsupported_reason", lambda *_: "")
    spec = replace(INSIDE, detector=EngineName("tensorrt-cuda-graph", "fp16"))
    assert "CUDA graph" in unsupported_reason(spec, "cuda") and "Choose tensorrt," in unsupported_reason(spec, "cuda")
    assert not unsupported_reason(replace(spec, detector=EngineName("tensorrt", "fp16")), "cuda")


def test_the_engine_of_a_bundle_has_none_inside(workbench: Workbench):
    with pytest.raises(BenchError, match="bundle has no NMS inside"):
        open_pipeline(INSIDE, workbench, "cpu", bundles=BundledNetworks(detector=object()))
