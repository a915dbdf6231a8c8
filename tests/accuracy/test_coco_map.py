"""mAP against pycocotools itself, on scenes with crowds, absent classes and missed images."""

import contextlib
import copy
import io
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fixtures.accuracy.coco_map import evaluate, map_ratio
from fixtures.accuracy.coco_matches import weighted_maps
from fixtures.accuracy.gate import is_certain
from fixtures.errors import BenchError

# Ids with gaps and out of order: class index and category id must not be mixed up.
CATEGORY_IDS = (7, 3, 90, 12, 41)
ABSENT_CATEGORY = 41


def scenes(n_images=12, seed=0, category_ids=CATEGORY_IDS, boxes_per_image=6, detections_per_image=40):
    """COCO annotations with some crowds, and detections of which some are near boxes and some are not.

    The first image holds no box, the second no detection, and the last category no box.
    """
    rng = np.random.default_rng(seed)
    images, annotations, detections = [], [], {}
    for number in range(n_images):
        image_id = 10 + 5 * number
        images.append({"id": image_id, "width": 640, "height": 480, "file_name": f"{image_id}.jpg"})
        classes = rng.integers(0, len(category_ids) - 1, boxes_per_image if number else 0)
        corner, size = rng.uniform(0, 300, (len(classes), 2)), rng.uniform(40, 150, (len(classes), 2))
        for class_index, (x, y), (w, h) in zip(classes, corner, size, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_ids[class_index],
                    "bbox": [float(x), float(y), float(w), float(h)],
                    "area": float(w * h),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
        near = rng.integers(0, len(classes), detections_per_image // 2) if len(classes) else np.zeros(0, int)
        jitter = rng.uniform(-12, 12, (len(near), 4))
        found = np.concatenate([corner[near], corner[near] + size[near]], axis=1) + jitter
        anywhere = rng.uniform(0, 300, (detections_per_image - len(near), 2))
        clutter = np.concatenate([anywhere, anywhere + rng.uniform(5, 200, anywhere.shape)], axis=1)
        detections[image_id] = np.concatenate(
            [
                np.concatenate([found, clutter]),
                rng.random((detections_per_image, 1)),
                np.concatenate([classes[near], rng.integers(0, len(category_ids), len(clutter))])[:, None],
            ],
            axis=1,
        )
    detections[images[1]["id"]] = np.zeros((0, 6))
    categories = [{"id": category_id, "name": f"class {category_id}"} for category_id in sorted(category_ids)]
    return {"images": images, "annotations": annotations, "categories": categories}, detections


def pycocotools_says(annotations, category_ids, detections):
    """mAP50-95 and mAP50 by pycocotools' own loaders, defaults and summary."""
    results = [
        {
            "image_id": image_id,
            "category_id": category_ids[int(row[5])],
            "bbox": [row[0], row[1], row[2] - row[0], row[3] - row[1]],
            "score": row[4],
        }
        for image_id, rows in detections.items()
        for row in rows.tolist()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(annotations)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


def repeated(annotations, detections, counts):
    """The set in which image i really occurs counts[i] times, copies next to each other."""
    images, boxes, found = [], [], {}
    for image, count in zip(annotations["images"], counts, strict=True):
        for copy_number in range(count):
            image_id = image["id"] * 100 + copy_number
            images.append({**image, "id": image_id})
            found[image_id] = detections[image["id"]]
            for box in annotations["annotations"]:
                if box["image_id"] == image["id"]:
                    boxes.append({**box, "id": len(boxes) + 1, "image_id": image_id})
    return {**annotations, "images": images, "annotations": boxes}, found


@pytest.mark.parametrize("seed", range(5))
def test_map_equals_pycocotools(seed):
    annotations, detections = scenes(seed=seed)
    score = evaluate(annotations, CATEGORY_IDS, detections)
    assert 0.05 < score.map50_95 < 0.9
    assert (score.map50_95, score.map50) == pytest.approx(
        pycocotools_says(annotations, CATEGORY_IDS, detections), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_weighted_maps_of_every_image_once_equals_pycocotools(seed):
    annotations, detections = scenes(seed=seed)
    score = evaluate(annotations, CATEGORY_IDS, detections)
    once = np.ones((1, len(score.image_ids)), dtype=np.int64)
    assert weighted_maps(score.matches, once)[0][0] == pytest.approx(score.map50_95, abs=1e-12)
    assert weighted_maps(score.matches, once)[1][0] == pytest.approx(score.map50, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_weighted_maps_equals_pycocotools_on_really_repeated_images(seed):
    annotations, detections = scenes(seed=seed)
    score = evaluate(annotations, CATEGORY_IDS, detections)
    counts = np.random.default_rng(seed).multinomial(12, np.full(12, 1 / 12))
    assert counts.max() > 1 and counts.min() == 0
    repeated_annotations, repeated_detections = repeated(annotations, detections, counts)
    expected = pycocotools_says(repeated_annotations, CATEGORY_IDS, repeated_detections)
    weighted = (
        weighted_maps(score.matches, counts[None])[0][0],
        weighted_maps(score.matches, counts[None])[1][0],
    )
    assert weighted == pytest.approx(expected, abs=1e-12)


def test_a_category_whose_images_are_not_drawn_is_left_out_of_the_mean():
    annotations, detections = scenes()
    rare = CATEGORY_IDS[0]
    # One box of this category is left, in the last image, and that image is not drawn.
    annotations["annotations"] = [box for box in annotations["annotations"] if box["category_id"] != rare]
    only = {"id": 9999, "image_id": 65, "category_id": rare, "bbox": [5.0, 5.0, 50.0, 50.0], "area": 2500.0}
    annotations["annotations"].append({**only, "iscrowd": 0})
    counts = np.array([1] * 11 + [0])
    drawn = {**annotations, "images": annotations["images"][:-1]}
    drawn["annotations"] = [box for box in annotations["annotations"] if box["image_id"] != 65]
    kept = {image_id: rows for image_id, rows in detections.items() if image_id != 65}
    score = evaluate(annotations, CATEGORY_IDS, detections)
    assert rare in score.per_category
    assert weighted_maps(score.matches, counts[None])[0][0] == pytest.approx(
        pycocotools_says(drawn, CATEGORY_IDS, kept)[0], abs=1e-12
    )


def test_detections_beyond_the_hundredth_of_a_category_do_not_count():
    annotations, detections = scenes(detections_per_image=700)
    score = evaluate(annotations, CATEGORY_IDS, detections)
    assert score.map50_95 == pytest.approx(pycocotools_says(annotations, CATEGORY_IDS, detections)[0], abs=1e-12)
    assert max(np.bincount(matches.image_index).max() for matches in score.matches) == 100


def test_perfect_detections_score_one_in_every_category():
    annotations, _ = scenes()
    score = evaluate(annotations, CATEGORY_IDS, _perfect(annotations))
    assert score.map50_95 == pytest.approx(1.0)
    assert set(score.per_category) == set(CATEGORY_IDS) - {ABSENT_CATEGORY}
    assert all(ap == pytest.approx(1.0) for ap in score.per_category.values())


def test_annotation_id_zero_is_found_like_any_other():
    annotations, _ = scenes(n_images=2)
    annotations["annotations"] = [{**annotations["annotations"][0], "id": 0, "iscrowd": 0}]
    assert evaluate(annotations, CATEGORY_IDS, _perfect(annotations)).map50_95 == pytest.approx(1.0)


def test_an_image_without_an_entry_is_one_in_which_nothing_was_found():
    annotations, detections = scenes()
    empty = {**detections, 20: np.zeros((0, 6))}
    absent = {image_id: rows for image_id, rows in detections.items() if image_id != 20}
    assert evaluate(annotations, CATEGORY_IDS, absent).map50_95 == pytest.approx(
        evaluate(annotations, CATEGORY_IDS, empty).map50_95
    )


def test_no_detection_at_all_scores_zero():
    annotations, detections = scenes()
    nothing = evaluate(annotations, CATEGORY_IDS, {})
    assert (nothing.map50_95, nothing.map50) == (0.0, 0.0)
    ratio = map_ratio(nothing, evaluate(annotations, CATEGORY_IDS, detections), "map50_95")
    assert (ratio.value, ratio.low, ratio.high) == (0.0, 0.0, 0.0)


def test_a_set_without_any_box_scores_zero():
    annotations, detections = scenes()
    score = evaluate({**annotations, "annotations": []}, CATEGORY_IDS, detections)
    assert (score.map50_95, score.per_category, score.matches) == (0.0, {}, ())


def test_a_baseline_that_finds_nothing_is_refused():
    annotations, detections = scenes()
    with pytest.raises(BenchError, match="nothing to compare with"):
        map_ratio(evaluate(annotations, CATEGORY_IDS, detections), evaluate(annotations, CATEGORY_IDS, {}), "map50")


@pytest.mark.parametrize("column", [0, 3, 4])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_unreadable_detection_is_counted_and_wrong(column, value):
    annotations, _ = scenes()
    perfect = _perfect(annotations)
    # The best score of all, and not a crowd: as a false positive it comes first and costs most.
    annotations["annotations"][-1]["iscrowd"] = 0
    image_id = annotations["annotations"][-1]["image_id"]
    spoiled = {**perfect, image_id: perfect[image_id].copy()}
    spoiled[image_id][-1, column] = value
    score = evaluate(annotations, CATEGORY_IDS, spoiled)
    missed = evaluate(annotations, CATEGORY_IDS, {**perfect, image_id: perfect[image_id][:-1]})
    assert (score.unreadable_detections, missed.unreadable_detections) == (1, 0)
    assert score.map50_95 < missed.map50_95 < 1.0


def test_a_detection_of_unreadable_class_is_wrong_in_every_class():
    annotations, _ = scenes()
    perfect = _perfect(annotations)
    garbage = np.array([[0.0, 0.0, 5.0, 5.0, 2.0, math.nan]])
    spoiled = {**perfect, 10: garbage}
    score = evaluate(annotations, CATEGORY_IDS, spoiled)
    assert score.unreadable_detections == 1
    assert all(ap < 1.0 for ap in score.per_category.values())


def test_a_box_turned_inside_out_is_a_false_positive():
    annotations, _ = scenes()
    perfect = _perfect(annotations)
    inside_out = np.array([[50.0, 50.0, 20.0, 60.0, 0.999, 0.0]])
    score = evaluate(annotations, CATEGORY_IDS, {**perfect, 10: inside_out})
    assert score.per_category[CATEGORY_IDS[0]] < 1.0


def test_nothing_given_is_changed_and_nothing_is_printed(capsys):
    annotations, detections = scenes()
    before = copy.deepcopy((annotations, detections))
    evaluate(annotations, CATEGORY_IDS, detections)
    assert annotations == before[0]
    assert all(np.array_equal(rows, before[1][image_id]) for image_id, rows in detections.items())
    assert capsys.readouterr() == ("", "")


def test_wrong_input_is_refused():
    annotations, detections = scenes()
    with pytest.raises(ValueError, match="without annotations"):
        evaluate(annotations, CATEGORY_IDS, {**detections, 999: np.zeros((0, 6))})
    with pytest.raises(ValueError, match="not below 5"):
        evaluate(annotations, CATEGORY_IDS, {10: np.array([[0, 0, 1, 1, 0.5, 5.0]])})
    with pytest.raises(ValueError, match="shape"):
        evaluate(annotations, CATEGORY_IDS, {10: np.zeros((3, 5))})
    with pytest.raises(ValueError, match="no image"):
        evaluate({**annotations, "images": []}, CATEGORY_IDS, {})


def test_ratio_of_a_score_with_itself_is_one_without_doubt():
    annotations, detections = scenes()
    score = evaluate(annotations, CATEGORY_IDS, detections)
    ratio = map_ratio(score, score, "map50_95")
    assert (ratio.value, ratio.low, ratio.high, ratio.n_images) == (1.0, 1.0, 1.0, 12)


def test_ratio_of_a_damaged_engine_lies_below_one_and_inside_its_interval():
    annotations, detections = scenes(n_images=40)
    damaged = _shifted(detections, 6.0)
    baseline = evaluate(annotations, CATEGORY_IDS, detections)
    ratio = map_ratio(evaluate(annotations, CATEGORY_IDS, damaged), baseline, "map50_95")
    assert ratio.low < ratio.value < ratio.high < 1.0


def test_pairing_narrows_the_interval():
    annotations, detections = scenes(n_images=40)
    baseline = evaluate(annotations, CATEGORY_IDS, detections)
    candidate = evaluate(annotations, CATEGORY_IDS, _shifted(detections, 1.0))
    paired = map_ratio(candidate, baseline, "map50_95")
    rng = np.random.default_rng(0)
    alone = [
        weighted_maps(score.matches, rng.multinomial(40, np.full(40, 1 / 40), size=1000))[0]
        for score in (candidate, baseline)
    ]
    low, high = np.quantile(alone[0] / alone[1], [0.025, 0.975])
    assert paired.high - paired.low < (high - low) / 2


def test_the_interval_narrows_with_more_images():
    widths = []
    for n_images in (10, 160):
        annotations, detections = scenes(n_images=n_images)
        scores = [evaluate(annotations, CATEGORY_IDS, found) for found in (_shifted(detections, 4.0), detections)]
        ratio = map_ratio(*scores, "map50_95")
        widths.append(ratio.high - ratio.low)
    assert widths[1] < widths[0] / 2


def test_one_image_bounds_nothing():
    annotations, _ = scenes(n_images=2)
    annotations["images"] = annotations["images"][1:]
    score = evaluate(annotations, CATEGORY_IDS, _perfect(annotations))
    ratio = map_ratio(score, score, "map50_95")
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 0.0, pytest.approx(1.0))
    assert not is_certain(ratio, 0.02)


def test_scores_of_different_images_are_not_compared():
    annotations, detections = scenes()
    fewer = {**annotations, "images": annotations["images"][:-1]}
    other = evaluate(fewer, CATEGORY_IDS, {k: v for k, v in detections.items() if k != 65})
    with pytest.raises(ValueError, match="different images"):
        map_ratio(other, evaluate(annotations, CATEGORY_IDS, detections), "map50")


def _perfect(annotations):
    """Every box found exactly, crowds too."""
    found = {image["id"]: [] for image in annotations["images"]}
    for number, box in enumerate(annotations["annotations"]):
        x, y, w, h = box["bbox"]
        score = 0.5 + 0.4 * number / len(annotations["annotations"])
        found[box["image_id"]].append([x, y, x + w, y + h, score, CATEGORY_IDS.index(box["category_id"])])
    return {image_id: np.array(rows).reshape(-1, 6) for image_id, rows in found.items()}


def _shifted(detections, pixels):
    return {image_id: rows + np.array([pixels] * 4 + [0, 0]) for image_id, rows in detections.items()}


def test_ratios_are_drawn_alike_for_every_engine():
    """A resample of one engine is of the same images as that of another: where all boxes are found, all are 1."""
    annotations, detections = scenes(n_images=20)
    perfect = evaluate(annotations, CATEGORY_IDS, _perfect(annotations))
    score = evaluate(annotations, CATEGORY_IDS, detections)
    assert perfect.resampled["map50_95"] == pytest.approx(np.ones(1000))
    again = evaluate(annotations, CATEGORY_IDS, detections)
    assert all(np.array_equal(score.resampled[name], again.resampled[name]) for name in ("map50_95", "map50"))
    assert np.all(score.resampled["map50"] >= score.resampled["map50_95"])
