"""Images as TAO's loaders prepare them, and boxes back to where they lie in the image."""

import numpy as np
import pytest

from fixtures.models.tao.images import Placed, prepared
from fixtures.plan.tao import CAFFE_MEAN, Classification, DetectNetV2, Resize, YoloV4

RED = np.zeros((40, 80, 3), np.uint8)
RED[..., 0] = 255


def described(resize: Resize, size: tuple[int, int] = (64, 96)) -> Classification:
    return Classification(artifact="a", classes=("a",), size=size, resize=resize)


def test_detectnet_reads_rgb_in_0_to_1() -> None:
    pixels = prepared(DetectNetV2(artifact="a", classes=("a",), size=(32, 48)), [RED, RED])
    assert pixels.shape == (2, 3, 32, 48)
    assert pixels.mean(dim=(0, 2, 3)).tolist() == pytest.approx([1, 0, 0])


def test_caffe_mode_is_bgr_less_its_mean_in_a_letterbox_of_the_images_mean() -> None:
    pixels = prepared(YoloV4(artifact="a", classes=("a",), size=(64, 64)), [RED])
    wanted = [0 - CAFFE_MEAN[0], 0 - CAFFE_MEAN[1], 255 - CAFFE_MEAN[2]]
    assert pixels.amin(dim=(0, 2, 3)).tolist() == pytest.approx(wanted, abs=1e-3)
    assert pixels.amax(dim=(0, 2, 3)).tolist() == pytest.approx(wanted, abs=1e-3)


def test_the_crop_is_the_centre_of_an_image_of_32_pixels_more() -> None:
    image = np.zeros((96, 96, 3), np.uint8)
    image[16:80, 16:80] = 255
    assert np.allclose(
        prepared(described("centre-crop", (64, 64)), [image]), np.subtract(255, CAFFE_MEAN)[:, None, None]
    )
    assert prepared(described("centre-crop"), [np.zeros((1, 300, 3), np.uint8)]).shape == (1, 3, 64, 96)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_boxes_come_back_to_where_a_mark_lies_in_the_image(resize: Resize) -> None:
    image = np.zeros((200, 100, 3), np.uint8)
    image[60:140, 20:70] = 255
    pixels = prepared(described(resize), [image])[0, 0].numpy()
    rows, columns = np.nonzero(pixels > pixels.max() / 2)
    inside = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
    box = Placed.of(described(resize), 200, 100).in_image(inside, 200, 100)
    assert box[0] == pytest.approx([20, 60, 70, 140], abs=3)


def test_boxes_are_clipped_to_the_image() -> None:
    boxes = Placed.of(described("stretch"), 64, 96).in_image(np.array([[-5.0, -5, 200, 200]]), 64, 96)
    assert boxes.tolist() == [[0, 0, 96, 64]]
