"""Calibration, search and final figure share no image, by content."""

from dataclasses import replace

import numpy as np
import pytest

from fixtures.datasets.base import DetectionSet, Images, ZeroShotSet
from fixtures.datasets.synthetic.dataset import detection_set, zero_shot_set
from fixtures.errors import BenchError, NotEnoughDataError
from fixtures.search.sets import CALIBRATE, EVALUATE, SEARCH, Hashes, Sets, hash_of, make_sets, refuse_overlap


def drawn(image_id: int) -> np.ndarray:
    return np.random.default_rng(image_id).integers(0, 255, (4, 4, 3), np.uint8)


def scenes(ids=range(40), calibration=range(100, 104), load=drawn, classes: int = 8) -> ZeroShotSet:
    return ZeroShotSet(
        "scenes",
        Images("calibration", tuple(calibration), load),
        Images("evaluation", tuple(ids), load),
        tuple(f"a photo of {number}" for number in range(classes)),
        ("a drawing",),
        tuple(number % classes for number, _ in enumerate(ids)),
    )


def split(data, text: bool = False, seed: int = 0) -> Sets:
    return make_sets(data, Hashes.of(data), text, seed)


def test_images_are_split_in_halves_with_their_labels():
    sets = split(scenes())
    assert isinstance(sets.search, ZeroShotSet) and isinstance(sets.evaluate, ZeroShotSet)
    assert len(sets.search.evaluation) == len(sets.evaluate.evaluation) == 20
    assert {*sets.search.evaluation.ids} | {*sets.evaluate.evaluation.ids} == set(range(40))
    for half in (sets.search, sets.evaluate):
        assert half.labels == tuple(image_id % 8 for image_id in half.evaluation.ids)
    assert [len(sets.contents[part]) for part in (CALIBRATE, SEARCH, EVALUATE)] == [4, 20, 20]


def test_the_split_follows_from_content_and_seed_alone():
    first, shuffled = split(scenes()), split(scenes(ids=tuple(reversed(range(40)))))
    assert {*first.search.evaluation.ids} == {*shuffled.search.evaluation.ids}
    assert {*first.search.evaluation.ids} != {*split(scenes(), seed=1).search.evaluation.ids}


def test_copies_of_an_image_come_into_one_set():
    data = scenes(ids=range(60), load=lambda image_id: drawn(image_id % 30 if image_id < 60 else image_id))
    sets = split(data)
    assert not sets.contents[SEARCH] & sets.contents[EVALUATE]
    assert {image_id % 30 for image_id in sets.search.evaluation.ids}.isdisjoint(
        image_id % 30 for image_id in sets.evaluate.evaluation.ids
    )


def test_an_image_that_also_calibrates_is_refused_whatever_it_is_called():
    data = scenes(load=lambda image_id: drawn(7 if image_id == 101 else image_id))
    with pytest.raises(BenchError, match=r"data to calibrate and the data to (search|evaluate) share 1 of 20"):
        split(data)


def test_a_set_cannot_be_made_of_data_that_overlaps():
    data = scenes()
    with pytest.raises(BenchError, match="data to search and the data to evaluate share 1 of 2"):
        Sets(data, data, {SEARCH: frozenset("ab"), EVALUATE: frozenset("bc")})
    refuse_overlap({SEARCH: "ab", EVALUATE: "cd"})


def test_a_text_tower_is_judged_on_prompts_that_the_search_has_not_read():
    sets = split(scenes(), text=True)
    assert isinstance(sets.search, ZeroShotSet) and isinstance(sets.evaluate, ZeroShotSet)
    assert len(sets.search.prompts) == len(sets.evaluate.prompts) == 4
    assert not {*sets.search.prompts} & {*sets.evaluate.prompts}
    for half in (sets.search, sets.evaluate):
        told = [half.prompts[label] for label in half.labels]
        assert told == [f"a photo of {image_id % 8}" for image_id in half.evaluation.ids]


def test_templates_of_a_class_stay_together():
    data = replace(
        scenes(classes=4), prompts=tuple(f"{word} {number}" for number in range(4) for word in ("a", "b")), templates=2
    )
    half = split(data, text=True).search
    assert isinstance(half, ZeroShotSet)
    assert [prompt[2:] for prompt in half.prompts[::2]] == [prompt[2:] for prompt in half.prompts[1::2]]
    assert max(half.labels) == 1


def test_a_prompt_that_also_calibrates_is_refused():
    with pytest.raises(BenchError, match="data to calibrate"):
        split(replace(scenes(), calibration_prompts=("a photo of 3",)), text=True)


def test_too_few_images_or_classes_are_refused():
    with pytest.raises(NotEnoughDataError, match="9 images to search, of 18"):
        split(scenes(ids=range(18)))
    with pytest.raises(NotEnoughDataError, match="3 classes"):
        split(scenes(classes=3), text=True)


def test_boxes_go_with_their_images():
    sets = split(detection_set(calibration=2, evaluation=24))
    for half in (sets.search, sets.evaluate):
        assert isinstance(half, DetectionSet)
        assert {each["id"] for each in half.annotations["images"]} == set(half.evaluation.ids)
        assert {each["image_id"] for each in half.annotations["annotations"]} <= set(half.evaluation.ids)


def test_the_embedded_sets_share_nothing():
    for text in (False, True):
        sets = split(zero_shot_set(calibration=4, evaluation=64), text=text)
        assert len(sets.contents) == 3


def test_a_hash_is_of_the_content_and_its_shape():
    assert hash_of(drawn(1)) == hash_of(drawn(1).copy()) != hash_of(drawn(2))
    assert hash_of(np.zeros((2, 3), np.uint8)) != hash_of(np.zeros((3, 2), np.uint8))
