"""Each fast preprocessor against the reference: Ultralytics' letterbox and transformers' CLIP processor."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor
from ultralytics.data.augment import LetterBox
from ultralytics.utils.ops import scale_boxes

from fixtures.pipeline.base import DecodedPhoto
from fixtures.pipeline.geometry import boxes_in_photo, clip_size, letterbox
from fixtures.pipeline.preprocessors.fast import FastPreprocessor
from fixtures.pipeline.preprocessors.matrix import MatrixPreprocessor, cubic, resize_matrix, triangle

DETECTOR, CLIP = 64, 32
SIZES = [(90, 120), (120, 90), (64, 64), (33, 190), (50, 40), (480, 641)]


def smooth(height, width):
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + 4 * y), np.cos(7 * y - 3 * x), np.sin(5 * (x + y))]
    return (127 + 120 * np.stack(waves, axis=2)).astype(np.uint8)


def photo(height, width):
    return DecodedPhoto(smooth(height, width), height, width)


def reference(pixels):
    boxed = LetterBox((DETECTOR, DETECTOR), auto=False)(image=pixels)
    sizes = {"size": {"shortest_edge": CLIP}, "crop_size": {"height": CLIP, "width": CLIP}}
    processor = CLIPImageProcessor(**sizes, do_normalize=False, do_rescale=False)
    crop = processor(images=[pixels.copy()], return_tensors="np")["pixel_values"][0]
    return boxed.transpose(2, 0, 1).astype(float), np.asarray(crop, dtype=float)


@pytest.mark.parametrize("size", SIZES)
def test_the_fast_way_gives_what_the_reference_gives(size):
    boxed, crop = reference(smooth(*size))
    inputs = FastPreprocessor(DETECTOR, CLIP).prepare([photo(*size)])
    assert np.array_equal(inputs.images[0].numpy(), boxed)
    assert np.abs(inputs.pixel_values[0].numpy() - crop).max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_matrices_give_what_the_reference_gives_where_nothing_can_alias(size):
    boxed, crop = reference(smooth(*size))
    inputs = MatrixPreprocessor(DETECTOR, CLIP, "cpu").prepare([photo(*size)])
    assert np.abs(inputs.images[0].numpy() - boxed).mean() < 2
    assert np.abs(inputs.pixel_values[0].numpy() - crop).max() <= 1


@pytest.mark.parametrize(
    ("kernel", "support", "filter_"), [(triangle, 1.0, Image.BILINEAR), (cubic, 2.0, Image.BICUBIC)]
)
@pytest.mark.parametrize(("size_in", "size_out"), [(100, 37), (41, 40), (17, 50)])
def test_a_resize_matrix_is_pillows(kernel, support, filter_, size_in, size_out):
    column = np.random.default_rng(1).random((size_in, 1)).astype(np.float32)
    expected = np.asarray(Image.fromarray(column, "F").resize((1, size_out), filter_))
    found = resize_matrix(size_in, size_out, kernel, support).numpy() @ column
    assert np.abs(found - expected).max() < 1e-5


def test_a_photo_that_was_reduced_lands_where_the_whole_one_does():
    whole = smooth(480, 640)
    reduced = np.array(Image.fromarray(whole).reduce(4))
    for make in (FastPreprocessor(DETECTOR, CLIP), MatrixPreprocessor(DETECTOR, CLIP, "cpu")):
        of_whole = make.prepare([DecodedPhoto(whole, 480, 640)])
        of_reduced = make.prepare([DecodedPhoto(reduced, 480, 640)])
        for a, b in ((of_whole.images, of_reduced.images), (of_whole.pixel_values, of_reduced.pixel_values)):
            assert (a.float() - b.float()).abs().mean() < 2


@pytest.mark.parametrize("size", SIZES)
def test_the_letterbox_is_ultralytics(size):
    params = LetterBox((DETECTOR, DETECTOR), auto=False).get_params({"img": smooth(*size)})
    place = letterbox(*size, DETECTOR)
    assert (place.width, place.height) == params["new_unpad"]
    assert (place.top, place.left) == (params["top"], params["left"])


@pytest.mark.parametrize("size", [(3, 1000), (1000, 3)])
def test_a_very_thin_photo_keeps_a_pixel(size):
    FastPreprocessor(DETECTOR, CLIP).prepare([photo(*size)])
    MatrixPreprocessor(DETECTOR, CLIP, "cpu").prepare([photo(*size)])


def test_boxes_go_back_into_the_photo_and_stay_in_it():
    rows = torch.zeros(1, 4, 6)
    rows[0, 0] = torch.tensor([10, 20, 30, 40, 0.9, 2])
    rows[0, 1] = torch.tensor([-10, -10, 100, 100, 0.5, 1])
    (found,) = boxes_in_photo(rows.numpy(), [(90, 120)], DETECTOR)
    expected = scale_boxes((DETECTOR, DETECTOR), rows[0, :2, :4].clone(), (90, 120))
    assert found.shape == (2, 6)
    np.testing.assert_allclose(found[:, :4], expected.numpy(), rtol=1e-5)
    assert found[1, :4].tolist() == [0, 0, 120, 90]


def test_clip_resizes_the_short_side():
    assert clip_size(90, 120, 32) == (32, 42)
    assert clip_size(120, 90, 32) == (42, 32)
