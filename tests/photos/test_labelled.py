import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.cache.engine_cache import EngineCache
from fixtures.datasets.base import DetectionSet
from fixtures.datasets.coco import detection_set, split_in_halves
from fixtures.datasets.validation.coco import validate_coco
from fixtures.photos.decode import decode_rgb
from fixtures.photos.labelled import as_photos, reencoded


@pytest.fixture
def coco(tmp_path: Path) -> tuple[Path, Path]:
    """Eight images at 4:4:4 with a red square each."""
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 90, (48, 64, 3), dtype=np.uint8)
        pixels[10:30, 5:25] = (200, 20, number)
        Image.fromarray(pixels).save(images / f"{number}.jpg", quality=95, subsampling="4:4:4")
    annotations = {
        "images": [{"id": n + 3, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(8)],
        "annotations": [
            {"id": n + 1, "image_id": n + 3, "category_id": 7, "bbox": [5, 10, 20, 20], "area": 400, "iscrowd": 0}
            for n in range(8)
        ],
        "categories": [{"id": 7, "name": "square"}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(annotations))
    return images, path


def _squares(images: Path, annotations: Path) -> DetectionSet:
    return detection_set(split_in_halves(validate_coco(annotations, images)), ["square"])


def test_evaluation_images_become_photos_and_keep_their_boxes(coco: tuple[Path, Path]):
    images, annotations = coco
    photos = as_photos(_squares(images, annotations), images, limit=3)
    assert [photo.name for photo in photos.photos] == ["0.jpg", "2.jpg", "4.jpg"]
    assert [image["id"] for image in photos.annotations["images"]] == [0, 1, 2]
    assert [box["image_id"] for box in photos.annotations["annotations"]] == [0, 1, 2]
    assert photos.labels == (None, None, None) and len(photos.prompts) > 50


def test_reencoded_photos_have_half_the_colour_and_the_same_content(coco: tuple[Path, Path], tmp_path: Path):
    images, annotations = coco
    before = as_photos(_squares(images, annotations), images)
    after = reencoded(EngineCache(tmp_path / "cache"), before)
    assert [photo.name for photo in after.photos] == [photo.name for photo in before.photos]
    for old, new in zip(before.photos, after.photos, strict=True):
        with Image.open(io.BytesIO(old.read())) as image:
            assert image.layer[0][1:3] == (1, 1)
        with Image.open(io.BytesIO(new.read())) as image:
            assert image.layer[0][1:3] == (2, 2)
        difference = np.abs(decode_rgb(old.read()).astype(int) - decode_rgb(new.read()).astype(int))
        assert 0.5 < difference.mean() < 25
    assert reencoded(EngineCache(tmp_path / "cache"), before) == after
