import itertools

import numpy as np
import pytest

from fixtures.datasets.synthetic import dataset
from fixtures.datasets.synthetic.outlines import COLOURS, SHAPES
from fixtures.datasets.synthetic.scene import LEAST_VISIBLE, LEAST_VISIBLE_PIXELS, Scene, draw
from fixtures.errors import BenchError

SOME_IDS = dataset.EVALUATION_IDS[:60]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [dataset.detection_scene(image_id) for image_id in SOME_IDS]


def test_an_id_is_always_the_same_picture_bit_for_bit():
    for scene in (dataset.detection_scene, dataset.zero_shot_scene):
        make = scene.__wrapped__  # drawn each time, and not remembered
        first, between, again = make(4_000_007), make(4_000_008), make(4_000_007)
        np.testing.assert_array_equal(first.image, again.image)
        np.testing.assert_array_equal(first.owner, again.owner)
        assert first.objects == again.objects
        assert not np.array_equal(first.image, between.image)


def test_images_are_rgb_bytes_of_the_promised_size():
    detection, zero_shot = dataset.detection_set(2, 2), dataset.zero_shot_set(2, 2)
    for images, side in ((detection.evaluation, 256), (zero_shot.calibration, 64)):
        for image in images:
            assert image.shape == (side, side, 3) and image.dtype == np.uint8
            assert image.std() > 5


def test_boxes_lie_inside_and_are_tight_around_the_visible_pixels(scenes: list[Scene]):
    boxes = 0
    for scene in scenes:
        for number, each in enumerate(scene.objects, start=1):
            rows, columns = np.nonzero(scene.owner == number)
            x, y, width, height = each.box
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
            assert 0 <= x < x + width <= 256 and 0 <= y < y + height <= 256
            assert each.visible_pixels == len(rows)
            boxes += 1
    assert boxes > 3 * len(scenes)


def test_an_object_that_is_nearly_hidden_is_no_object(scenes: list[Scene]):
    fractions = [each.visible_fraction for scene in scenes for each in scene.objects]
    assert min(fractions) >= LEAST_VISIBLE
    assert min(each.visible_pixels for scene in scenes for each in scene.objects) >= LEAST_VISIBLE_PIXELS
    # Occlusion is there at all: the rule above has something to do.
    assert sum(fraction < 0.8 for fraction in fractions) > len(fractions) / 20


def test_hidden_objects_leave_no_trace_in_the_owner_map(scenes: list[Scene]):
    for scene in scenes:
        assert set(np.unique(scene.owner)) - {0} == set(range(1, len(scene.objects) + 1))


def test_every_class_occurs_and_none_dominates(scenes: list[Scene]):
    count = np.bincount([each.shape for scene in scenes for each in scene.objects], minlength=len(SHAPES))
    assert len(SHAPES) >= 10
    assert count.min() > 0 and count.max() < 4 * count.mean()


def test_an_object_shows_its_colour_where_it_owns_pixels():
    """Labels and pixels agree: a clean drawing of a red object is reddest where the object is."""
    clean = dataset.Style(64, (1, 1), (20.0, 22.0), (0, 0), (0, 0), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0), 1.0)
    channel = {"red": 0, "green": 1, "blue": 2}
    seen = set()
    for seed in range(60):
        scene = draw(np.random.default_rng(seed), clean)
        colour = COLOURS[scene.objects[0].colour]
        if colour in channel:
            mean = scene.image[scene.owner == 1].mean(axis=0)
            assert mean.argmax() == channel[colour], (seed, colour, mean)
            seen.add(colour)
    assert seen == set(channel)


def test_the_splits_share_no_id():
    ranges = (dataset.TRAINING_IDS, dataset.VALIDATION_IDS, dataset.CALIBRATION_IDS, dataset.EVALUATION_IDS)
    for one, other in itertools.combinations(ranges, 2):
        assert one.stop <= other.start
    for data in (dataset.detection_set(5, 7), dataset.zero_shot_set(5, 7)):
        assert len(data.calibration) == 5 and len(data.evaluation) == 7
        assert not set(data.calibration.ids) & set(data.evaluation.ids)


def test_coinciding_id_ranges_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "CALIBRATION_IDS", dataset.EVALUATION_IDS)
    for make in (dataset.detection_set, dataset.zero_shot_set):
        with pytest.raises(BenchError, match=r"share 3 of 3 image ids: 4000000"):
            make(3, 3)


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_an_impossible_number_of_images_is_refused(count: int):
    with pytest.raises(BenchError, match=r"(?s)cannot give.*ask for 0 to 1000000"):
        dataset.detection_set(0, count)


def test_the_annotations_are_coco_of_the_evaluation_images_alone():
    data = dataset.detection_set(2, 6)
    annotations = data.annotations
    assert [image["id"] for image in annotations["images"]] == list(data.evaluation.ids)
    assert {each["image_id"] for each in annotations["annotations"]} <= set(data.evaluation.ids)
    assert tuple(category["id"] for category in annotations["categories"]) == data.category_ids
    assert [category["name"] for category in annotations["categories"]] == list(SHAPES)
    assert [each["id"] for each in annotations["annotations"]] == list(range(1, 1 + len(annotations["annotations"])))
    first = dataset.detection_scene(data.evaluation.ids[0]).objects
    written = [each for each in annotations["annotations"] if each["image_id"] == data.evaluation.ids[0]]
    assert [(each["category_id"], tuple(each["bbox"])) for each in written] == [
        (each.shape, tuple(map(float, each.box))) for each in first
    ]


def test_a_label_names_the_prompt_that_describes_the_image():
    data = dataset.zero_shot_set(0, 40)
    assert len(data.prompts) == len(set(data.prompts)) == len(SHAPES) * len(COLOURS) >= 40
    assert len(data.labels) == 40
    for image_id, label in zip(data.evaluation.ids, data.labels, strict=True):
        (each,) = dataset.zero_shot_scene(image_id).objects
        assert data.prompts[label].split()[-2:] == [COLOURS[each.colour], SHAPES[each.shape]]


def test_calibration_captions_describe_the_calibration_images_in_other_words():
    data = dataset.zero_shot_set(40, 1)
    assert len(data.calibration_prompts) == 40
    assert not set(data.calibration_prompts) & set(data.prompts)
    for image_id, text in zip(data.calibration.ids, data.calibration_prompts, strict=True):
        (each,) = dataset.zero_shot_scene(image_id).objects
        assert f"{COLOURS[each.colour]} {SHAPES[each.shape]}" in text
        assert ("small" in text) == (each.radius < dataset.SMALL_BELOW)
        assert ("large" in text) == (each.radius > dataset.LARGE_ABOVE)


def test_articles_are_english():
    assert dataset.thing(SHAPES.index("circle"), COLOURS.index("orange")) == "an orange circle"
    assert dataset.thing(SHAPES.index("star"), COLOURS.index("orange"), "small") == "a small orange star"
