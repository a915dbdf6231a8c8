"""Images that an engine answers otherwise than the baseline: which are shown, in what words, and as what picture."""

import base64
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from fixtures.accuracy.coco_map import evaluate
from fixtures.accuracy.examples import (
    MOST_SHOWN,
    NOTHING_READABLE,
    THUMBNAIL_SIDE,
    changed_objects,
    flipped_answers,
    thumbnail,
)
from fixtures.accuracy.zero_shot import Flip
from fixtures.datasets.synthetic.dataset import detection_set
from reports.analysis.cases import CaseSummary, summarize
from reports.html.case_details import MOST_THUMBNAILS
from reports.html.changed_examples import PICTURE, changed_images
from reports.html.page import render
from tests.helpers.rows import accuracy, build, case, end_row, session_row, speed

PROMPTS = ("a cat", "a dog", "a bird")
INT8 = case("tensorrt", "int8")
NAMES = {1: "cat", 2: "dog"}
BOX = (10.0, 10.0, 40.0, 40.0)


def picture(image_id: int) -> np.ndarray:
    return np.full((60, 120, 3), (image_id, 0, 255 - image_id), dtype=np.uint8)


def test_a_thumbnail_is_a_small_jpeg_of_the_same_form_and_colour():
    uri = thumbnail(picture(200))
    assert PICTURE.fullmatch(uri) and len(uri) < 3000
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels.shape == (THUMBNAIL_SIDE // 2, THUMBNAIL_SIDE, 3)
    assert pixels.mean(axis=(0, 1)) == pytest.approx((200, 0, 55), abs=6)


def test_the_clearest_flips_are_shown_first_and_no_more_than_a_few():
    flips = [Flip(image, 0, 1, 0.01 * image) for image in range(9)] + [Flip(9, 2, None, 0.5)]
    shown = flipped_answers(flips, range(100, 110), PROMPTS, picture)
    assert [each.image for each in shown] == [109, 108, 107, 106] and len(shown) == MOST_SHOWN
    assert (shown[0].baseline, shown[0].engine) == ("a bird", NOTHING_READABLE)
    assert (shown[1].baseline, shown[1].engine) == ("a cat", "a dog")


def found(*detections: tuple[int, tuple[float, ...], float, int]) -> dict[int, np.ndarray]:
    images = {image for image, *_ in detections}
    return {
        image: np.array([[*box, score, index] for i, box, score, index in detections if i == image]) for image in images
    }


def test_objects_that_one_alone_sees_are_named_and_the_unsure_ones_are_not():
    boxes = [
        {"image_id": image, "category_id": 1, "bbox": [10, 10, 30, 30], "area": 900, "iscrowd": 0, "id": image}
        for image in (1, 2, 3)
    ]
    annotations = {
        "images": [{"id": image} for image in (1, 2, 3, 4)],
        "annotations": [*boxes, {**boxes[0], "category_id": 2, "image_id": 4, "id": 4}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    far = (50.0, 50.0, 80.0, 80.0)
    baseline = evaluate(annotations, (1, 2), found((1, BOX, 0.9, 0), (2, BOX, 0.9, 0), (3, BOX, 0.2, 0)))
    engine = evaluate(
        annotations, (1, 2), found((1, BOX, 0.3, 0), (2, far, 0.9, 0), (2, far, 0.8, 0), (3, far, 0.1, 0))
    )
    count, shown = changed_objects(engine, baseline, NAMES, picture)
    assert count == 1
    (only,) = shown
    assert (only.image, only.baseline, only.engine) == (2, "cat", "cat (wrong) ×2")
    assert changed_objects(baseline, baseline, NAMES, picture) == (0, ())
    _, (back,) = changed_objects(evaluate(annotations, (1, 2), found((1, BOX, 0.9, 0))), baseline, NAMES, picture)
    assert (back.baseline, back.engine) == ("cat", "nothing")


def test_a_real_scene_makes_a_thumbnail():
    data = detection_set(evaluation=1)
    assert PICTURE.fullmatch(thumbnail(data.evaluation.load(data.evaluation.ids[0])))


def shown_case(**values: object) -> CaseSummary:
    return summarize([session_row(), build(INT8), accuracy(INT8, 0.99, **values), end_row()])[0]


def test_the_page_shows_picture_and_both_answers_and_nothing_but_an_embedded_jpeg():
    flip = asdict(flipped_answers([Flip(0, 0, 1, 0.1)], (7,), ("<script>", "a dog"), picture)[0])
    hostile = {**flip, "picture": 'https://example.org/x.jpg"', "image": 8}
    judged = accuracy(INT8, 0.99, changed_images=[flip, hostile, "text"])
    page = render([session_row(), build(INT8), speed(INT8, 2.0), judged, end_row()])
    assert page.count("<img ") == 1 and flip["picture"] in page and "example.org" not in page
    assert "<b>&lt;script&gt;</b>" in page and "<b>a dog</b>" in page and 'alt="Evaluation image 7"' in page


@pytest.mark.parametrize("entries", [None, "text", 3, {}, ["a"], [None]])
def test_what_is_no_list_of_images_is_none(entries: object):
    assert changed_images(shown_case(changed_images=entries)) == ()


def test_a_row_without_them_has_none():
    assert changed_images(shown_case()) == ()


def test_a_large_page_keeps_the_words_and_saves_the_pictures():
    flip = asdict(flipped_answers([Flip(0, 0, 1, 0.1)], (7,), PROMPTS, picture)[0])
    rows = [session_row()]
    for batch in range(1, MOST_THUMBNAILS // 4 + 3):
        each = case("tensorrt", "int8", batch=batch)
        rows += [build(each), speed(each, 2.0), accuracy(each, 0.99, changed_images=[flip] * 4)]
    page = render([*rows, end_row()])
    assert page.count("<img ") == MOST_THUMBNAILS
    assert page.count("Image 7. Only the baseline sees: <b>a cat</b>") == MOST_THUMBNAILS + 8
