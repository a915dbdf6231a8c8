import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fixtures.datasets.base import refuse_empty, refuse_overlap
from fixtures.datasets.coco import detection_set, load_rgb, read_annotations, zero_shot_set
from fixtures.errors import BenchError
from tests.helpers.runs import write_coco

CLASSES = ("dog", "cat")


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
        read_annotations(coco[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("categories"), "no list 'categories'"),
        (lambda data: data["annotations"][2].pop("bbox"), r"annotations\[2\] lacks bbox"),
        (lambda data: data.update(images=[]), "no list 'images'"),
    ],
)
def test_json_that_is_not_coco_is_refused_with_the_place(coco: tuple[Path, Path], change, message: str):
    with pytest.raises(BenchError, match=message) as error:
        read_annotations(_change(coco[1], change))
    assert "--coco-annotations" in error.value.hint


def test_a_json_list_is_not_coco(coco: tuple[Path, Path]):
    coco[1].write_text("[]")
    with pytest.raises(BenchError, match="is not COCO"):
        read_annotations(coco[1])


def test_absent_images_are_counted_and_named(coco: tuple[Path, Path]):
    (coco[0] / "002.jpg").unlink()
    with pytest.raises(BenchError, match=r"names 1 of 6 images .*002.jpg"):
        detection_set(*coco, CLASSES)


def test_a_class_without_a_category_is_refused(coco: tuple[Path, Path]):
    with pytest.raises(BenchError, match="no category for 1 of the detector's 2 classes: horse"):
        detection_set(*coco, ("cat", "horse"))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 this is no picture"])
def test_a_corrupt_jpeg_is_named(coco: tuple[Path, Path], content: bytes):
    (coco[0] / "000.jpg").write_bytes(content)
    data = detection_set(*coco, CLASSES)
    with pytest.raises(BenchError, match=r"cannot be decoded: .*000.jpg"):
        data.evaluation.load(0)


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
    with pytest.raises(BenchError, match=r"share 1 of 6 images: .*003.jpg"):
        detection_set(*coco, CLASSES, calibration)


def test_an_empty_calibration_folder_is_refused(coco: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match="holds no image"):
        detection_set(*coco, CLASSES, tmp_path / "empty")


def test_one_image_leaves_nothing_to_calibrate_on(tmp_path: Path):
    with pytest.raises(BenchError, match="holds no image"):
        detection_set(*write_coco(tmp_path, images=1), CLASSES)


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
    with pytest.raises(BenchError, match="calibration set holds no image"):
        detection_set(images, annotations, CLASSES)


def test_overlap_and_emptiness_are_refused_in_words():
    with pytest.raises(BenchError, match="share 2 of 3 images: 1, 2"):
        refuse_overlap([1, 2, 9], [1, 2, 3], "images")
    refuse_overlap([1], [2], "images")
    with pytest.raises(BenchError, match="no prompt"):
        refuse_empty([], "prompt")
