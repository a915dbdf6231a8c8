"""data.yaml and label files: read as Ultralytics reads them, and each line that is no label counted."""

from pathlib import Path

import pytest
import yaml

from fixtures.assets.loader import SuiteAssets
from fixtures.datasets.validation.annotations import AnnotatedImages
from fixtures.datasets.validation.yolo import label_file, read_data_yaml, validate_yolo
from fixtures.errors import BenchError, NotEnoughDataError
from fixtures.plan.suite import Suite
from tests.helpers.departures import CLASSES, PICTURES, base, picture, seen, seen_in


def write(folder: Path, labels: dict[str, str] | None = None, **changed: object) -> Path:
    """The set of `departures.base` in YOLO's format: all of it as val, three other pictures as train."""
    coco = base()
    for split in ("val", "train"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
    for name, content in PICTURES.items():
        (folder / "images/val" / name).write_bytes(content)
    for number in range(3):
        (folder / f"images/train/{number}.png").write_bytes(picture(50, 60, 100 + number))
        (folder / f"labels/train/{number}.txt").write_text("0 0.5 0.5 0.9 0.9\n")
    images = {image["id"]: image for image in coco["images"]}
    lines: dict[str, list[str]] = {}
    for box in coco["annotations"]:
        image = images[box["image_id"]]
        (x, y, w, h), width, height = box["bbox"], image["width"], image["height"]
        numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        line = f"{box['category_id'] - 1} {' '.join(map(repr, numbers))}"
        lines.setdefault(Path(image["file_name"]).stem, []).append(line)
    for stem, own in lines.items():
        (folder / "labels/val" / f"{stem}.txt").write_text("\n".join(own))
    for name, content in (labels or {}).items():
        (folder / "labels/val" / name).write_text(content)
    content = {"path": str(folder), "train": "images/train", "val": "images/val", "names": dict(enumerate(CLASSES))}
    file = folder / "data.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in (content | changed).items() if value is not None}))
    return file


def val(file: Path) -> AnnotatedImages:
    return validate_yolo(read_data_yaml(file), "val")


def without_crowds() -> object:
    return {(*each[:3], False) for each in seen_in(base())}


def test_labels_are_the_boxes_of_the_same_set_in_coco(tmp_path: Path):
    data = val(write(tmp_path))
    assert seen(data) == without_crowds() and data.notices == ()
    assert [category.name for category in data.categories] == list(CLASSES)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": None},
        {"path": None, "val": "../images/val", "train": "../images/train"},
        {"names": list(CLASSES), "nc": 4},
        {"val": ["images/val"]},
        {"val": "images\\val"},
    ],
)
def test_the_ways_of_writing_a_data_yaml(tmp_path: Path, changed: dict[str, object]):
    assert seen(val(write(tmp_path, **changed))) == without_crowds()


def test_a_list_of_images_is_a_split(tmp_path: Path):
    file = write(tmp_path, val="val.txt")
    (tmp_path / "val.txt").write_text("".join(f"./images/val/{name}\n" for name in PICTURES))
    assert seen(val(file)) == without_crowds()
    (tmp_path / "val.txt").write_text("./images/val/nowhere.png\n")
    with pytest.raises(BenchError, match=r"names 1 of 1 images that are not there"):
        val(file)


def test_the_last_folder_called_images_becomes_labels():
    assert label_file(Path("/images/a/images/val/x.jpg")) == Path("/images/a/labels/val/x.txt")
    assert label_file(Path("/data/x.jpg")) == Path("/data/x.txt")


def test_lines_that_are_no_label_are_counted(tmp_path: Path):
    box = "0.5 0.5 0.2 0.2"
    lines = [f"0 {box}", f"0 {box}", f"9 {box}", f"-1 {box}", f"x {box}", "0 0.5 0.5 0.2", f"0.5 {box}", f"0 {box} 0.9"]
    lines += ["1 nan 0.5 0.2 0.2", "2 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4", "3 0.5 0.5 0 0", "1 0.99 0.5 0.2 0.2"]
    data = val(write(tmp_path, {"0000.txt": "\n".join(lines)}))
    assert {notice.code: notice.count for notice in data.notices} == {
        "labels-unreadable": 7,
        "labels-twice": 1,
        "boxes-empty": 1,
        "boxes-clipped": 1,
    }
    assert data.notices[2].examples == () or data.notices[2].text
    found = [(box.category_id, tuple(round(v, 1) for v in box.bbox)) for box in data.boxes if box.image_id == 1]
    # 160×120; the polygon is the rectangle around it.
    assert found == [(0, (64.0, 48.0, 32.0, 24.0)), (2, (16.0, 12.0, 32.0, 36.0)), (1, (142.4, 48.0, 17.6, 24.0))]


def test_an_image_without_labels_has_no_object_and_a_folder_without_any_is_refused(tmp_path: Path):
    file = write(tmp_path)
    (tmp_path / "labels/val/0000.txt").unlink()
    assert len(val(file).images) == 10
    for path in (tmp_path / "labels/val").iterdir():
        path.unlink()
    with pytest.raises(BenchError, match=r"none of the 10 images of 'val' has a label file, such as .*0000.txt"):
        val(file)


def _rewritten(folder: Path, make) -> None:
    for path in (folder / "labels/val").glob("*.txt"):
        rows = [line.split() for line in path.read_text().splitlines()]
        path.write_text("\n".join(" ".join([row[0], *map(str, make(*map(float, row[1:])))]) for row in rows))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x, y, w, h: (x * 160, y * 120, w * 160, h * 120), "look like pixels instead of fractions: 60 of 60"),
        (lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2), "look like corners"),
        (lambda x, y, w, h: (x - w / 2, y - h / 2, w, h), "look like left, top, width and height"),
    ],
)
def test_labels_of_another_format_are_refused(tmp_path: Path, make, said: str):
    file = write(tmp_path)
    _rewritten(tmp_path, make)
    with pytest.raises(BenchError, match=said):
        val(file)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"val": None}, "it has no 'val'"),
        ({"names": None}, "'names' are no list"),
        ({"names": {0: "a", 2: "b"}}, "'names' are no list"),
        ({"nc": 7}, "nc says 7 classes, names has 4"),
        ({"names": ["a", "a", "b", "c"]}, "two classes are called 'a'"),
        ({"val": "images/test"}, "its images are not there"),
    ],
)
def test_a_data_yaml_that_cannot_be_used_is_refused(tmp_path: Path, changed: dict[str, object], said: str):
    with pytest.raises(BenchError, match=said):
        val(write(tmp_path, **changed))


def test_what_is_no_yaml_is_refused(tmp_path: Path):
    file = tmp_path / "data.yaml"
    for content in ("a: b: c", "- 1\n- 2", "\x00"):
        file.write_text(content)
        with pytest.raises(BenchError, match=r"data\.yaml (cannot be read|is no data\.yaml)"):
            read_data_yaml(file)


def _assets(file: Path) -> SuiteAssets:
    return SuiteAssets(Suite("real", "", data=str(file)))


def test_val_evaluates_and_train_calibrates(tmp_path: Path):
    split = _assets(write(tmp_path))._annotated
    assert (len(split.evaluation.images), len(split.calibration.images)) == (10, 3)
    without = _assets(write(tmp_path / "b", train=None))._annotated
    assert (len(without.evaluation.images), len(without.calibration.images)) == (5, 5)


def test_pictures_of_train_that_evaluate_as_well_calibrate_nothing(tmp_path: Path):
    file = write(tmp_path)
    (tmp_path / "images/train/copy.png").write_bytes(PICTURES["0004.png"])
    data = _assets(file).zero_shot
    assert data.calibration_fault is not None and not isinstance(data.calibration_fault, NotEnoughDataError)
    assert "1 images are in the calibration part and in the evaluation part: 0004.png" in str(data.calibration_fault)
