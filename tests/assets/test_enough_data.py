"""What too little data cannot serve is told to those that need it, and to nobody else."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.assets.loader import SuiteAssets
from fixtures.errors import NotEnoughDataError
from fixtures.plan.suite import Suite
from tests.helpers.runs import write_coco

IMAGE: Any = SimpleNamespace(name="clip-image", task="zero-shot", input_name="pixel_values")
TEXT: Any = SimpleNamespace(name="clip-text", task="zero-shot", input_name="input_ids")


def _assets(coco: tuple[Path, Path]) -> SuiteAssets:
    return SuiteAssets(Suite("real", "", coco_images=str(coco[0]), coco_annotations=str(coco[1])))


def test_objects_too_small_to_crop_cost_the_image_tower_and_no_prompt(tmp_path: Path):
    images, file = write_coco(tmp_path)
    coco = json.loads(file.read_text())
    for box in coco["annotations"]:
        box["bbox"] = [10, 10, 40, 60]
    file.write_text(json.dumps(coco))
    assets = _assets((images, file))
    for ask in (assets.evaluation_items, assets.calibration_items, assets.require_judgement):
        with pytest.raises(NotEnoughDataError, match="48 pixels"):
            ask(IMAGE)
    assert assets.evaluation_items(TEXT) == ("a photo of a cat", "a photo of a dog")
    assert assets.calibration_items(TEXT)
    with pytest.raises(NotEnoughDataError, match="timed and judged on crops"):
        assets.require_judgement(TEXT)


def test_one_image_costs_the_calibration_alone(tmp_path: Path):
    assets = _assets(write_coco(tmp_path, images=1))
    assert len(assets.evaluation_items(IMAGE)) == 1
    assets.require_judgement(IMAGE)
    with pytest.raises(NotEnoughDataError, match="is left to calibrate INT8 on"):
        assets.calibration_items(IMAGE)


def test_one_class_leaves_nothing_to_choose_and_is_timed(tmp_path: Path):
    images, file = write_coco(tmp_path)
    coco = json.loads(file.read_text())
    coco["categories"] = coco["categories"][:1]
    coco["annotations"] = [box for box in coco["annotations"] if box["category_id"] == 1]
    file.write_text(json.dumps(coco))
    assets = _assets((images, file))
    assert len(assets.evaluation_items(IMAGE)) == 3
    with pytest.raises(NotEnoughDataError, match="one class, which leaves CLIP nothing to choose"):
        assets.require_judgement(IMAGE)


def test_the_detector_and_clip_read_one_validation(tmp_path: Path):
    images, file = write_coco(tmp_path)
    (images / "003.jpg").write_bytes(b"")
    assets = _assets((images, file))
    assert [notice.code for notice in assets._annotated.notices] == ["images-damaged"]
    assert assets._annotated is assets._annotated
    described = assets.describe(("clip-image",))
    assert [(each["code"], each["count"], each["changes_score"]) for each in described["notices"]] == [
        ("images-damaged", 1, True)
    ]
