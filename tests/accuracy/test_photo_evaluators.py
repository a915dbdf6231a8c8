"""The evaluators on drawn photos with the embedded networks: what a user's photos go through."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.accuracy.photo_evaluators import (
    BOXES,
    SCENES,
    PhotoDetectionEvaluator,
    PhotoSceneEvaluator,
    Together,
)
from fixtures.assets.loader import SuiteAssets
from fixtures.cache.engine_cache import EngineCache
from fixtures.datasets.base import PhotoData
from fixtures.errors import BenchError
from fixtures.photos.drawn import drawn_photos
from fixtures.plan.suite import Suite

PHOTOS = 12


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> SuiteAssets:
    cache = EngineCache(tmp_path_factory.mktemp("cache"))
    drawn = drawn_photos(cache, PHOTOS, (640, 480))
    folder = drawn.photos.photos[0].path.parent
    (folder / "no photo.jpg").write_bytes(b"Dear diary")
    return SuiteAssets(Suite("embedded", "", photos=str(folder)), cache=cache)


@pytest.fixture(scope="module")
def data(assets: SuiteAssets) -> PhotoData:
    return assets.photos.data


def by_module(module: torch.nn.Module) -> Any:
    def run(inputs: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(inputs)

    return run


def test_photos_are_small_upright_in_bursts_and_what_failed_is_told(assets: SuiteAssets, data: PhotoData):
    assert len(data.photos) == PHOTOS and data.burst.tolist() == sorted([0, 1, 2] * 4)
    assert {data.photos.load(number).shape for number in data.photos.ids} == {(480, 640, 3), (640, 480, 3)}
    assert len(data.notes) == 1 and "no photo.jpg (not an image" in data.notes[0]
    assert data.prompts == assets.zero_shot.prompts


def test_boxes_agree_with_themselves_and_not_with_a_damaged_network(assets: SuiteAssets, data: PhotoData):
    evaluator = PhotoDetectionEvaluator(assets.yolo, data)
    module = assets.yolo.module()
    baseline = evaluator.predict(by_module(module), 5)
    same = evaluator.judge(baseline, baseline)
    assert same.metrics[0].name == BOXES and same.metrics[0].ratio.value == 1.0 and not same.failures(0.02)
    assert same.small_set(0.02) and "3 photos or bursts do not decide on boxes" in same.details["agreement"]
    with torch.no_grad():
        for layer in list(module.modules()):
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.add_(0.6 * layer.weight.std() * torch.randn_like(layer.weight))
                break
    damaged = evaluator.judge(evaluator.predict(by_module(module), 5), baseline)
    assert damaged.failures(0.02) and damaged.metrics[0].ratio.value < 0.98
    assert damaged.shown and damaged.details["photos with a box that has no partner"] > 0


def test_scenes_agree_with_themselves_and_a_swap_of_colours_is_told_with_margins(assets: SuiteAssets, data: PhotoData):
    image, text = assets.model("clip-image"), assets.model("clip-text")
    texts = PhotoSceneEvaluator(text, data, lambda: np.empty(0)).predict(by_module(text.module()), 8)
    evaluator = PhotoSceneEvaluator(image, data, lambda: texts)
    run = by_module(image.module())
    baseline = evaluator.predict(run, 5)
    same = evaluator.judge(baseline, baseline)
    assert same.metrics[0].name == SCENES and same.metrics[0].ratio.value == 1.0
    assert "149 decide" in same.details["agreement"] and same.small_set(0.02)
    swapped = evaluator.judge(evaluator.predict(lambda inputs: run(inputs.flip(1)), 5), baseline)
    assert swapped.failures(0.02) and swapped.details["photos with another scene"] >= 6
    assert "to" in swapped.details["margins of these (cosine)"] and swapped.shown


def test_labels_and_photos_are_judged_together(assets: SuiteAssets, data: PhotoData):
    first = PhotoDetectionEvaluator(assets.yolo, data)
    both = Together(first, first)
    baseline = both.predict(by_module(assets.yolo.module()), 8)
    report = both.judge(baseline, baseline)
    assert len(report.metrics) == 6 and report.evaluation_images == PHOTOS and report.small_set(0.02)


def test_photos_alone_calibrate_by_bursts_that_judge_nothing(assets: SuiteAssets, tmp_path: Path):
    suite = Suite("real", "", yolo="yolov8n.pt", photos=assets.suite.photos)
    assert not suite.models()[0].reason
    alone = SuiteAssets(suite, cache=EngineCache(tmp_path)).photos
    assert alone.only_source("detection") and alone.only_source("zero-shot")
    found = alone.detection_set(["dog", "cat"])
    assert not set(found.calibration.ids) & set(found.evaluation.ids)
    assert len(found.calibration) == 4 and len(found.evaluation) == 8 and found.calibration_fault is None
    scenes = alone.zero_shot_set()
    assert not set(scenes.prompts) & set(scenes.calibration_prompts) and scenes.labels == ()


def test_without_photos_nothing_changes():
    assets = SuiteAssets(Suite("embedded", ""))
    assert not assets.photos.only_source("detection")
    with pytest.raises(BenchError, match="no photos"):
        _ = assets.photos.photos
