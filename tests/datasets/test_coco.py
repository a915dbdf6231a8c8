import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fixtures.datasets import coco as datasets
from fixtures.datasets.base import DetectionSet, ZeroShotSet, refuse_overlap
from fixtures.datasets.validation.coco import validate_coco
from fixtures.datasets.validation.pictures import load_rgb
from fixtures.errors import BenchError, NotEnoughDataError
from tests.helpers.runs import write_coco

CLASSES = ("dog", "cat")


def detection_set(
    images: Path, annotations: Path, classes: tuple[str, ...], calibration: Path | None = None
) -> DetectionSet:
    return datasets.detection_set(datasets.split_in_halves(validate_coco(annotations, images)), classes, calibration)


def zero_shot_set(images: Path, annotations: Path) -> ZeroShotSet:
    return datasets.zero_shot_set(datasets.split_in_halves(validate_coco(annotations, images)))


@pytest.fixture
def coco(tmp_path: Path) -> tuple[Path, Path]:
    return write_coco(tmp_path)


def _change(file: Path, change) -> Path:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    return file


def test_every_second_image_calibrates_and_the_others_evaluate(coco: tuple[Path, Path]):
    data = detection_set(*coco, CLASSES)
    assert data.calibration.ids == (1, 3, 5)
    assert data.evaluation.ids == (0, 2, 4)
    assert {box["image_id"] for box in data.annotations["annotations"]} == {0, 2, 4}


def test_class_indices_follow_the_detector_not_the_file(coco: tuple[Path, Path]):
    assert detection_set(*coco, CLASSES).category_ids == (2, 1)


def test_images_are_rgb(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 4, 3), (0, 0, 255), np.uint8))
    assert load_rgb(tmp_path / "red.png")[0, 0].tolist() == [255, 0, 0]


def test_a_file_that_is_not_json_is_named(coco: tuple[Path, Path]):
    coco[1].write_text("P6 not json")
    with pytest.raises(BenchError, match=r"instances.json is not JSON"):
        validate_coco(coco[1], coco[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("categories"), "no list 'categories'"),
        (lambda data: data["categories"][1].pop("name"), r"categories\[1\] lacks a name"),
        (lambda data: data["images"][2].pop("file_name"), r"images\[2\] lacks file_name"),
        (lambda data: data["images"][3].update(id=None), r"images\[3\] lacks an id"),
        (lambda data: data.update(images=[]), "no list 'images'"),
    ],
)
def test_json_that_is_not_coco_is_refused_with_the_place(coco: tuple[Path, Path], change, message: str):
    with pytest.raises(BenchError, match=message) as error:
        validate_coco(_change(coco[1], change), coco[0])
    assert "--coco-annotations" in error.value.hint


def test_a_json_list_is_not_coco(coco: tuple[Path, Path]):
    coco[1].write_text("[]")
    with pytest.raises(BenchError, match="is not COCO"):
        validate_coco(coco[1], coco[0])


def test_absent_images_are_counted_and_named(coco: tuple[Path, Path]):
    (coco[0] / "002.jpg").unlink()
    with pytest.raises(BenchError, match=r"names 1 of 6 images .*002.jpg"):
        detection_set(*coco, CLASSES)


def test_a_class_without_a_category_is_not_judged_and_counted(coco: tuple[Path, Path]):
    data = detection_set(*coco, ("cat", "horse", "dog"))
    assert (data.judged_classes, data.category_ids) == ((0, 2), (1, 2))
    assert [(each.code, each.count, each.examples) for each in data.notices] == [("classes-not-judged", 1, ("horse",))]


def test_boxes_of_a_category_that_the_detector_does_not_know_are_counted(coco: tuple[Path, Path]):
    _change(coco[1], lambda data: data["annotations"][2].update(category_id=2))
    data = detection_set(*coco, ("dog",))
    assert [(each.code, each.count, each.examples) for each in data.notices] == [("categories-unknown", 2, ("cat",))]


def test_classes_of_another_data_set_are_refused(coco: tuple[Path, Path]):
    with pytest.raises(BenchError, match="no category for any of the detector's 2 classes: it has cat, dog, the"):
        detection_set(*coco, ("car", "horse"))


@pytest.mark.parametrize("classes", [("Dog", " cat"), ("dog", "CAT")])
def test_names_that_differ_in_case_alone_are_one_class(coco: tuple[Path, Path], classes: tuple[str, ...]):
    data = detection_set(*coco, classes)
    assert data.category_ids == (2, 1)
    assert [each.code for each in data.notices] == ["category-names"]


def test_a_calibration_folder_replaces_the_split(coco: tuple[Path, Path], tmp_path: Path):
    other = write_coco(tmp_path / "other", side=128)[0]
    for file in other.iterdir():
        file.rename(file.with_name(f"other-{file.name}"))
    data = detection_set(*coco, CLASSES, other)
    assert len(data.evaluation) == 6
    assert len(data.calibration) == 6
    assert data.calibration.load(0).shape == (128, 128, 3)


def test_calibration_images_that_are_evaluation_images_are_refused_under_any_name(
    coco: tuple[Path, Path], tmp_path: Path
):
    calibration = tmp_path / "calibration"
    calibration.mkdir()
    (calibration / "renamed.jpg").write_bytes((coco[0] / "003.jpg").read_bytes())
    fault = detection_set(*coco, CLASSES, calibration).calibration_fault
    assert re.search(r"share 1 of 6 images: .*003.jpg", str(fault))


def test_what_is_wrong_with_the_calibration_concerns_only_who_calibrates(coco: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path / "empty", "holds no image"), (tmp_path / "nowhere", "folder not found")):
        data = detection_set(*coco, CLASSES, folder)
        assert len(data.evaluation) == 6
        assert data.calibration_fault is not None and said in str(data.calibration_fault)
        # It was asked for and is not there: no case that is merely not for this data.
        assert not isinstance(data.calibration_fault, NotEnoughDataError)


def test_files_of_a_mac_are_no_calibration_images(coco: tuple[Path, Path], tmp_path: Path):
    folder = write_coco(tmp_path / "other", side=128)[0]
    (folder / "._000.jpg").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        ")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    for file in folder.glob("00*.jpg"):
        file.rename(file.with_name(f"other-{file.name}"))
    data = detection_set(*coco, CLASSES, folder)
    assert len(data.calibration) == 6 and data.calibration_fault is None
    assert {each.code: each.examples for each in data.notices} == {
        "foreign-files": ("._000.jpg",),
        "images-damaged-calibration": ("broken.jpg",),
    }


def test_one_image_evaluates_and_leaves_nothing_to_calibrate_on(tmp_path: Path):
    coco = write_coco(tmp_path, images=1)
    data = detection_set(*coco, CLASSES[1:])
    assert len(data.evaluation) == 1 and isinstance(data.calibration_fault, NotEnoughDataError)
    crops = zero_shot_set(*coco)
    assert len(crops.evaluation) == 1 and isinstance(crops.calibration_fault, NotEnoughDataError)


def test_zero_shot_crops_carry_the_name_of_their_category(coco: tuple[Path, Path]):
    data = zero_shot_set(*coco)
    assert data.prompts == ("a photo of a cat", "a photo of a dog")
    assert not set(data.prompts) & set(data.calibration_prompts)
    assert data.evaluation.ids == (1, 3, 5)  # annotations of the images 0, 2, 4
    assert [data.prompts[label] for label in data.labels] == ["a photo of a cat"] * 3
    assert data.evaluation.load(1).shape == (97, 77, 3)  # 80 × 60 and a margin of 8 on each side


def test_a_picture_under_two_names_does_not_calibrate(coco: tuple[Path, Path]):
    images, annotations = coco
    (images / "001.jpg").write_bytes((images / "004.jpg").read_bytes())
    data = detection_set(images, annotations, CLASSES)
    assert data.calibration.ids == (3, 5) and data.evaluation.ids == (0, 2, 4)
    crops = zero_shot_set(images, annotations)
    assert crops.calibration.ids == (4, 6) and crops.evaluation.ids == (1, 3, 5)
    for one, other in ((3, 0), (5, 2)):
        (images / f"00{one}.jpg").write_bytes((images / f"00{other}.jpg").read_bytes())
    assert "no image is left to calibrate" in str(detection_set(images, annotations, CLASSES).calibration_fault)


def test_overlap_is_refused_in_words():
    with pytest.raises(BenchError, match="share 2 of 3 images: 1, 2"):
        refuse_overlap([1, 2, 9], [1, 2, 3], "images")
    refuse_overlap([1], [2], "images")
