"""From an engine's raw answers to a verdict, on the embedded networks and a few images."""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from fixtures.accuracy.bootstrap import Ratio
from fixtures.accuracy.coco_map import CocoScore
from fixtures.accuracy.evaluators import AccuracyReport, DetectionEvaluator, Metric, ZeroShotEvaluator
from fixtures.assets.loader import SuiteAssets
from fixtures.backends.onnxrt.cpu import OrtEngine, open_session
from fixtures.datasets.base import DetectionSet, Images
from fixtures.datasets.synthetic.dataset import detection_set, zero_shot_set
from fixtures.models.onnx_export import export_onnx
from fixtures.plan.suite import Suite

IMAGES = 24


@pytest.fixture(scope="module")
def sources() -> SuiteAssets:
    return SuiteAssets(Suite("embedded", "tests"))


@pytest.fixture(scope="module")
def detection(sources: SuiteAssets, tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectionEvaluator, Path]:
    """A judge on a few scenes, and the detector's FP32 graph."""
    data = detection_set(evaluation=IMAGES)
    path = tmp_path_factory.mktemp("graph") / "yolo.onnx"
    export_onnx(sources.yolo, sources.yolo.prepare([data.evaluation.load(i) for i in data.evaluation.ids[:2]]), path)
    return DetectionEvaluator(sources.yolo, data), path


@pytest.fixture(scope="module")
def module(sources: SuiteAssets) -> torch.nn.Module:
    return sources.yolo.module()


@pytest.fixture(scope="module")
def baseline(detection: tuple[DetectionEvaluator, Path], module: torch.nn.Module) -> CocoScore:
    """What the module itself finds."""
    with torch.no_grad():
        return detection[0].predict(module, 8)


def _damaged(path: Path, factor: float) -> Path:
    """The graph with the weights of its tenth convolution multiplied."""
    graph = onnx.load(path)
    kernels = [tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4]
    kernels[10].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernels[10]) * factor, kernels[10].name))
    onnx.save(graph, path.with_name("damaged.onnx"))
    return path.with_name("damaged.onnx")


def test_an_undamaged_engine_passes_and_a_damaged_one_fails(
    detection: tuple[DetectionEvaluator, Path], baseline: CocoScore
):
    judge, path = detection
    whole = judge.judge(judge.predict(OrtEngine(open_session(path)), 8), baseline)
    assert whole.failures(0.02) == []
    assert whole.metrics[0].ratio.value == pytest.approx(1, abs=1e-3)
    assert whole.details["classes that lost most mAP50-95"] == "no class lost"
    broken = judge.judge(judge.predict(OrtEngine(open_session(_damaged(path, 4))), 8), baseline)
    lost = broken.details["classes that lost most mAP50-95"].split(", ")
    assert 1 <= len(lost) <= 5 and all(re.fullmatch(r".+ −0\.\d{3}", each) for each in lost)
    (failure,) = broken.failures(0.02)
    assert failure.startswith("mAP50-95 is 0.")


def test_a_last_batch_that_is_not_full_is_padded_and_cut(detection: tuple[DetectionEvaluator, Path]):
    judge, path = detection
    seen, engine = [], OrtEngine(open_session(path))

    def run(inputs: torch.Tensor) -> torch.Tensor:
        seen.append(len(inputs))
        return engine(inputs)

    assert judge.predict(run, 10).map50_95 == pytest.approx(judge.predict(run, IMAGES).map50_95, abs=1e-6)
    assert seen == [10, 10, 10, IMAGES]


def test_an_engine_that_answers_nan_is_wrong_everywhere_and_counted(
    detection: tuple[DetectionEvaluator, Path], module: torch.nn.Module, baseline: CocoScore
):
    judge, _ = detection
    with torch.no_grad():
        broken = judge.judge(judge.predict(lambda inputs: module(inputs) * float("nan"), 8), baseline)
    assert broken.metrics[0].value == 0
    assert broken.details["unreadable detections"] > 0
    assert broken.failures(0.02)


@pytest.mark.parametrize("tower", ["clip-image", "clip-text"])
def test_each_tower_is_judged_with_the_baseline_of_the_other(sources: SuiteAssets, tower: str):
    data = zero_shot_set(calibration=4, evaluation=64)
    other = "clip-text" if tower == "clip-image" else "clip-image"

    def answers(name: str) -> np.ndarray:
        module = sources.model(name).module()
        with torch.no_grad():
            return ZeroShotEvaluator(sources.model(name), data, lambda: np.empty(0)).predict(module, 8)

    judge = ZeroShotEvaluator(sources.model(tower), data, lambda: answers(other))
    own = answers(tower)
    same = judge.judge(own, own)
    assert {metric.name for metric in same.metrics} == {"zero-shot agreement", "zero-shot top-1"}
    assert same.failures(0.02) == []
    assert same.details["embedding cosine, worst"] == pytest.approx(1)
    assert same.details["flips"] == 0 and not any("margin" in name for name in same.details)
    shuffled = judge.judge(np.roll(own, 1, axis=0), own)
    assert shuffled.details["largest margin among the flips (cosine)"] > 0
    assert len(shuffled.failures(0.02)) == 2


def _judgement(value: float, low: float, high: float) -> AccuracyReport:
    return AccuracyReport((Metric("mAP50-95", value, 1.0, Ratio(value, low, high, 64), gated=True),), {}, 64)


def test_exactly_the_tolerance_passes():
    assert _judgement(0.98, 0.97, 0.99).failures(0.02) == []
    assert _judgement(0.9799, 0.97, 0.99).failures(0.02)


def test_an_interval_across_the_gate_says_that_the_set_is_small():
    assert _judgement(0.985, 0.97, 0.99).small_set(0.02)
    assert not _judgement(0.995, 0.985, 1.0).small_set(0.02)
    assert not _judgement(0.9, 0.85, 0.95).small_set(0.02)


def test_a_metric_that_is_not_gated_fails_nothing():
    judgement = AccuracyReport((Metric("mAP50", 0.5, 1.0, Ratio(0.5, 0.4, 0.6, 64), gated=False),), {}, 64)
    assert judgement.failures(0.02) == []


class _Says:
    """A detector that finds what it was told, whatever it is shown."""

    recorded_map = None

    def __init__(self, *rows: list[float]) -> None:
        self._rows = np.array(rows, np.float32).reshape(-1, 6)

    def prepare(self, items: list[np.ndarray]) -> torch.Tensor:
        return torch.zeros(len(items), 1)

    def detections(self, output: torch.Tensor, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
        return [self._rows.copy() for _ in shapes]


def _two_of_three_classes(*rows: list[float]) -> CocoScore:
    """Class 0 of the detector has no category here; 1 and 2 are the categories 7 and 5."""
    annotations = {
        "images": [{"id": 1}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 5, "bbox": [20, 20, 10, 10], "iscrowd": 0},
        ],
        "categories": [{"id": 5, "name": "cup"}, {"id": 7, "name": "dog"}],
    }
    images = Images("one", (1,), lambda _: np.zeros((40, 40, 3), np.uint8))
    data = DetectionSet("set", images, images, annotations, category_ids=(7, 5), judged_classes=(1, 2))
    evaluator: Any = DetectionEvaluator(cast(Any, _Says(*rows)), data)
    return evaluator.predict(lambda inputs: inputs, 1)


def test_classes_without_a_category_are_neither_right_nor_wrong():
    right = ([0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 2])
    assert _two_of_three_classes(*right).map50_95 == pytest.approx(1)
    assert _two_of_three_classes(*right, [0, 0, 10, 10, 0.99, 0]).map50_95 == pytest.approx(1)
    # A wrong class that has a category is wrong.
    assert _two_of_three_classes(right[0], [20, 20, 30, 30, 0.8, 1]).map50_95 == pytest.approx(0.5)


def test_a_class_that_cannot_be_read_counts_as_wrong_in_every_judged_class():
    right = ([0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 2])
    assert _two_of_three_classes(*right, [float("nan")] * 6).map50_95 < 0.999
