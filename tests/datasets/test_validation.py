"""What people's annotation files hold, and what becomes of each kind."""

import codecs
import json
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.datasets.notices import CHANGES_THE_SCORE
from fixtures.datasets.validation.annotations import AnnotatedImages
from fixtures.datasets.validation.coco import validate_coco
from fixtures.datasets.validation.pictures import decoded_size, load_rgb
from fixtures.errors import BenchError
from tests.helpers import departures
from tests.helpers.departures import ALL, AS_MEANT, COUNTED, PICTURES, REFUSED, base, seen, seen_in, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures, written once; each test writes its own annotations beside them."""
    folder = tmp_path_factory.mktemp("set")
    write(folder, base())
    return folder


def validated(folder: Path, coco: Any) -> AnnotatedImages:
    return validate_coco(*write(folder, coco, {}))


def changed(kind: str) -> dict[str, Any]:
    coco = base()
    ALL[kind](coco, random.Random(0))
    return coco


def codes(data: AnnotatedImages) -> dict[str, int]:
    return {notice.code: notice.count for notice in data.notices}


def test_a_file_as_it_should_be_is_taken_as_it_is(folder: Path):
    data = validated(folder, base())
    assert seen(data) == seen_in(base()) and data.notices == ()
    assert [image.id for image in data.images] == list(range(10, 20))
    assert [(image.height, image.width) for image in data.images[:2]] == [(120, 160), (160, 120)]


@pytest.mark.parametrize("kind", AS_MEANT)
def test_what_has_one_meaning_is_read_so(folder: Path, kind: str):
    data = validated(folder, changed(kind))
    assert seen(data) == seen_in(base())
    assert not [notice for notice in data.notices if notice.changes_score] or kind == "boxes turned"


@pytest.mark.parametrize("kind", COUNTED)
def test_what_cannot_be_scored_is_left_out_and_counted(folder: Path, kind: str):
    coco = changed(kind)
    data = validated(folder, coco)
    told = [notice for notice in data.notices if notice.code in CHANGES_THE_SCORE]
    assert told and all(0 < len(notice.examples) <= 3 <= 3 + notice.count for notice in told)
    # The others are as they were.
    assert seen(data) - seen_in(base()) == set() or kind == "slivers"
    if kind not in ("slivers",) and "outside" not in kind and not kind.startswith("annotation"):
        assert len(seen_in(base()) - seen(data)) == sum(notice.count for notice in told)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_what_it_says_is_refused(folder: Path, kind: str):
    with pytest.raises(BenchError) as error:
        validated(folder, changed(kind))
    assert "a.json" in error.value.what and error.value.hint


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("corners", r"look like corners .*: \d+ of 60 \(\d+%\) leave their image as sizes"),
        ("centres", r"look like centres"),
        ("fractions", r"look like fractions .*: 60 of 60"),
        (
            "images half as large",
            r"sizes of image and annotation differ in 10 of 10 images: 0000.png is 160×120, annot",
        ),
        ("two categories of one name", r"two categories are called 'person': ids 1, 2, each with boxes"),
        ("two images of one id", r"two images have the id \d+: 000\d.png and 000[12].png"),
        ("an absent image", r"names 1 of 10 images that .* does not hold: nowhere.png"),
    ],
)
def test_a_refusal_says_what_and_where(folder: Path, kind: str, said: str):
    with pytest.raises(BenchError, match=said):
        validated(folder, changed(kind))


def test_percentages_are_recognised(tmp_path: Path):
    coco, pictures = base(), {}
    for number, image in enumerate(coco["images"]):
        image |= {"width": 640, "height": 480}
        pictures[image["file_name"]] = departures.picture(480, 640, number)
    for box in coco["annotations"]:
        box["bbox"] = [value / 4 for value in box["bbox"]]
    with pytest.raises(BenchError, match="look like percentages"):
        validate_coco(*write(tmp_path, coco, pictures))


def test_boxes_are_clipped_to_their_image_and_what_is_left_of_none_goes(folder: Path):
    coco = base()
    image = coco["images"][0]  # 160×120
    for number, box in enumerate(([150, 10, 30, 30], [-8, -8, 20, 20], [159.5, 5, 40, 40], [100, 100, 60.4, 20.4])):
        coco["annotations"][number] |= {"image_id": image["id"], "bbox": box}
    data = validated(folder, coco)
    found = {box.bbox for box in data.boxes if box.image_id == image["id"]}
    # Less than a pixel over the edge is rounding, and stays.
    assert {(150.0, 10.0, 10.0, 30.0), (0.0, 0.0, 12.0, 12.0), (100.0, 100.0, 60.4, 20.4)} <= found
    assert codes(data) == {"boxes-clipped": 2, "boxes-outside": 1}


def test_a_byte_order_mark_and_utf_16_are_read(folder: Path):
    text = json.dumps(base())
    for content in (codecs.BOM_UTF8 + text.encode(), text.encode("utf-16")):
        data = validated(folder, content)
        assert seen(data) == seen_in(base()) and codes(data) == {"encoding": 1}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[" * 5000, b'{"images": ' + b"9" * 5000, b"\xe9 latin"]
)
def test_bytes_that_are_no_json_are_refused(folder: Path, content: bytes):
    with pytest.raises(BenchError, match=r"a\.json is not (JSON|COCO)"):
        validated(folder, content)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8 no picture", PICTURES["0003.png"][:-20]])
def test_a_damaged_image_is_left_out_with_its_boxes_and_named(tmp_path: Path, content: bytes):
    data = validate_coco(*write(tmp_path, base(), PICTURES | {"0003.png": content}))
    assert "0003.png" not in {image.name for image in data.images}
    assert [(notice.code, notice.count, notice.examples) for notice in data.notices] == [
        ("images-damaged", 1, ("0003.png",))
    ]
    assert len(data.boxes) == len(base()["annotations"]) - departures.BOXES
    with pytest.raises(BenchError, match=r"none of the 10 images .* can be decoded"):
        validate_coco(*write(tmp_path, base(), dict.fromkeys(PICTURES, content)))


def test_a_truncated_jpeg_is_damaged_and_one_with_bytes_behind_its_end_is_not(tmp_path: Path):
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))[1].tobytes()
    for content, size in ((whole, (40, 60)), (whole + b"\0" * 30, (40, 60)), (whole[:-300], None), (whole[:200], None)):
        (tmp_path / "x.jpg").write_bytes(content)
        assert decoded_size(tmp_path / "x.jpg") == size


def test_single_images_of_another_size_are_left_out_and_half_of_them_refused(tmp_path: Path):
    coco = base()
    coco["images"][4]["width"] = 999
    data = validate_coco(*write(tmp_path, coco))
    assert "0004.png" not in {image.name for image in data.images}
    assert codes(data) == {"images-of-another-size": 1}
    assert data.notices[0].examples == ("0004.png is 130×110, annotated as 999×110",)
    for image in coco["images"][5:]:
        image["height"] = 7
    with pytest.raises(BenchError, match="sizes of image and annotation differ in 6 of 10"):
        validate_coco(*write(tmp_path, coco))


@pytest.mark.parametrize("orientation", [1, 6, 8, 3])
def test_the_size_of_an_image_is_that_of_the_decoded_picture(tmp_path: Path, orientation: int):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40)).save(tmp_path / "x.jpg", exif=exif)
    assert decoded_size(tmp_path / "x.jpg") == load_rgb(tmp_path / "x.jpg").shape[:2]


def test_names_that_two_files_fit_are_refused(tmp_path: Path):
    coco = base()
    coco["images"][0]["file_name"] = "train/0000.png"
    coco["images"][1]["file_name"] = "val/0000.png"
    with pytest.raises(BenchError, match=r"several names of images fit one file .*: 0000.png"):
        validate_coco(*write(tmp_path, coco))


def test_the_folder_that_holds_the_images_is_named(tmp_path: Path):
    file, images = write(tmp_path, base())
    images.rename(tmp_path / "val2017")
    (tmp_path / "all").mkdir()
    (tmp_path / "val2017").rename(tmp_path / "all" / "val2017")
    with pytest.raises(BenchError) as error:
        validate_coco(file, tmp_path / "all")
    assert error.value.hint == f"give --coco-images {tmp_path / 'all' / 'val2017'}: it holds the first of them"


def test_an_image_that_another_file_was_read_for_keeps_its_boxes(folder: Path):
    """Ids that read alike and are two ("7", "007") stay two."""
    coco = base()
    for image, name in zip(coco["images"][:2], ("7", "007"), strict=True):
        for box in coco["annotations"]:
            if box["image_id"] == image["id"]:
                box["image_id"] = name
        image["id"] = name
    assert seen(validated(folder, coco)) == seen_in(base())


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kinds=st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=3), seed=st.integers(0, 2**32))
def test_departures_by_chance_are_right_counted_or_refused(folder: Path, kinds: list[str], seed: int):
    """tests/experiments/fuzz_annotations.py does so two thousand times."""
    coco = base()
    departures.depart(coco, kinds, random.Random(seed))
    departures.check(lambda: validated(folder, coco), kinds)


def test_a_set_of_crowds_alone_is_refused(folder: Path):
    coco = base()
    for annotation in coco["annotations"]:
        annotation["iscrowd"] = True
    with pytest.raises(BenchError, match=r"all of its \d+ boxes are marked as crowds"):
        validated(folder, coco)
