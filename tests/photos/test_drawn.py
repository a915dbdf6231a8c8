import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fixtures.cache.engine_cache import EngineCache
from fixtures.errors import BenchError
from fixtures.photos import drawn
from fixtures.photos.base import LabelledPhotos
from fixtures.photos.decode import decode_rgb, read_header, taken_at
from fixtures.photos.drawn import Recipe, draw_photo, drawn_photos, encode, recipe, to_sensor

SMALL = (640, 480)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledPhotos:
    return drawn_photos(EngineCache(tmp_path_factory.mktemp("cache")), 16, SMALL)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_a_viewer_shows_is_what_was_drawn_for_each_orientation(orientation: int):
    shown = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(to_sensor(shown, orientation)).save(stream, "PNG", exif=exif)
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(Image.open(stream))), shown)
    np.testing.assert_array_equal(decode_rgb(stream.getvalue()), shown)


def test_a_photo_is_the_same_for_its_id_and_size_alone():
    first, other, again = draw_photo(4_000_000, SMALL), draw_photo(4_000_001, SMALL), draw_photo(4_000_000, SMALL)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.objects == again.objects
    assert not np.array_equal(first.pixels, other.pixels)


def test_recipes_cover_every_encoding_and_orientation_and_pair_them_anew():
    recipes = [recipe(number, SMALL) for number in range(64)]
    assert {how.orientation for how in recipes[:8]} == set(range(1, 9))
    assert Counter(how.encoding for how in recipes[:8]) == {"baseline": 5, "progressive": 1, "grey": 1, "cmyk": 1}
    assert {how.orientation for how in recipes if how.encoding == "cmyk"} == set(range(1, 9))


def test_files_are_what_their_recipe_says(labelled: LabelledPhotos):
    for number, photo in enumerate(labelled.photos):
        how = recipe(number, SMALL)
        data = photo.read()
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == SMALL and image.format == "JPEG"
            assert image.mode == {"grey": "L", "cmyk": "CMYK"}.get(how.encoding, "RGB")
            assert bool(image.info.get("progressive")) == (how.encoding == "progressive")
            if image.mode == "RGB":
                # (id, horizontal, vertical sampling, table): 2×2 luma samples for each of colour.
                assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
        assert read_header(data).orientation == how.orientation
        assert taken_at(data) is not None


def test_boxes_lie_in_the_photo_as_shown_and_tell_it_from_its_surroundings(labelled: LabelledPhotos):
    told = {image["id"]: image for image in labelled.annotations["images"]}
    assert any(image["height"] > image["width"] for image in told.values())
    for number, photo in enumerate(labelled.photos):
        pixels = decode_rgb(photo.read())
        assert pixels.shape[:2] == (told[number]["height"], told[number]["width"])
    for box in labelled.annotations["annotations"]:
        x, y, width, height = box["bbox"]
        assert min(x, y) >= 0 and min(width, height) > 0
        assert x + width <= told[box["image_id"]]["width"] and y + height <= told[box["image_id"]]["height"]


def test_the_main_object_stands_in_the_middle_square_alone():
    for image_id in range(4_000_000, 4_000_020):
        photo = draw_photo(image_id, SMALL)
        x, y, width, height = photo.main.box
        assert abs(x + width / 2 - 320) < 240 and abs(y + height / 2 - 240) < 240
        for each in photo.objects[:-1]:
            centre = each.box[0] + each.box[2] / 2
            assert centre < 80 or centre > 560


def test_a_grey_photo_has_no_prompt_and_the_others_one_each(labelled: LabelledPhotos):
    for number, label in enumerate(labelled.labels):
        assert (label is None) == (recipe(number, SMALL).encoding == "grey")
        assert label is None or 0 <= label < len(labelled.prompts)


def test_colours_survive_cmyk():
    pixels = draw_photo(4_000_000, SMALL).pixels
    how = Recipe(*SMALL, "baseline", 1)
    rgb, cmyk = (decode_rgb(encode(pixels, replace(how, encoding=name))).astype(int) for name in ("baseline", "cmyk"))
    # By blocks: at full size CMYK keeps other bits of the grain.
    rgb, cmyk = (image.reshape(60, 8, 80, 8, 3).mean(axis=(1, 3)) for image in (rgb, cmyk))
    assert np.abs(rgb - cmyk).mean() < 1


def test_written_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = EngineCache(tmp_path)
    first = drawn_photos(cache, 2, SMALL)
    monkeypatch.setattr(drawn, "draw_photo", lambda *_: pytest.fail("drawn again"))
    assert drawn_photos(cache, 2, SMALL) == first
    (first.photos.photos[1].path).write_bytes(b"damaged")
    with pytest.raises(pytest.fail.Exception):
        drawn_photos(cache, 2, SMALL)


@pytest.mark.parametrize(("count", "sensor"), [(0, SMALL), (-1, SMALL), (2, (480, 640)), (2, (32, 32))])
def test_what_is_no_set_is_refused(tmp_path: Path, count: int, sensor: tuple[int, int]):
    with pytest.raises(BenchError, match="cannot draw"):
        drawn_photos(EngineCache(tmp_path), count, sensor)


def test_the_embedded_detector_finds_them(labelled: LabelledPhotos):
    """Drawn photos are worth something to judge with: neither lost on the networks nor too easy."""
    import torch

    from fixtures.accuracy.coco_map import evaluate
    from fixtures.assets.loader import SuiteAssets
    from fixtures.plan.suite import Suite

    yolo = SuiteAssets(Suite("embedded", "")).yolo
    images = [decode_rgb(photo.read()) for photo in labelled.photos]
    with torch.no_grad():
        found = yolo.detections(yolo.module()(yolo.prepare(images)), [image.shape[:2] for image in images])
    score = evaluate(labelled.annotations, labelled.category_ids, dict(enumerate(found)))
    assert 0.4 < score.map50_95 < 0.95
