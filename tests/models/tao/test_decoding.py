"""From raw outputs to boxes: TAO's formulas worked by hand, clustering, thresholds, and what is not finite."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.models.tao.detectnet import DetectNet
from fixtures.models.tao.yolo_v4 import TaoYoloV4
from fixtures.plan.tao import DetectNetV2, YoloV4

GRID = DetectNetV2(artifact="a", classes=("a", "b"), size=(64, 96))
PAIRS = YoloV4(artifact="a", classes=("a", "b"), size=(100, 200), score_threshold=0.3, keep=2)


def network(kind: Any, described: Any) -> Any:
    """A network of a kind, without its graph."""
    made = object.__new__(kind)
    made.__dict__.update(SimpleNamespace(described=described, image_shape=described.size).__dict__)
    return made


def grid() -> np.ndarray:
    """Coverage [2, 4, 6] and boxes [8, 4, 6] in one, all zero."""
    return np.zeros((10, 4, 6), np.float32)


def detected(raw: np.ndarray, shape: tuple[int, int] = (64, 96)) -> np.ndarray:
    (found,) = network(DetectNet, GRID).detections(torch.from_numpy(raw[None]), [shape])
    return found


def test_a_cell_says_how_far_its_box_reaches_in_units_of_35_pixels() -> None:
    raw = grid()
    raw[1, 2, 3] = 0.8  # class b; the cell's centre is (3·16 + 0.5, 2·16 + 0.5)
    raw[2 + 4 : 2 + 8, 2, 3] = np.array([10, 5, 20, 15]) / 35
    assert detected(raw)[0] == pytest.approx([38.5, 27.5, 68.5, 47.5, 0.8, 1])
    # The image was twice as wide and as high.
    assert detected(raw, (128, 192))[0] == pytest.approx([77, 55, 137, 95, 0.8, 1])


def test_cells_of_one_object_are_one_box_and_those_of_another_class_stay() -> None:
    raw = grid()
    for label, cell, score in ((0, 2, 0.7), (0, 3, 0.9), (1, 3, 0.6)):
        raw[label, 2, cell] = score
        left = 0.5 + cell * 16 - 20
        raw[2 + 4 * label : 6 + 4 * label, 2, cell] = np.array([left, 20, 60 - left, 20]) / 35
    assert detected(raw)[:, 4:].tolist() == [pytest.approx([0.9, 0]), pytest.approx([0.6, 1])]


def test_below_the_threshold_there_is_nothing_and_a_broken_cell_is_a_broken_row() -> None:
    raw = grid()
    raw[0] = GRID.coverage_threshold
    assert len(detected(raw)) == 0
    raw[0, 0, 0], raw[3, 1, 1] = np.nan, np.inf
    assert np.isnan(detected(raw)).all() and len(detected(raw)) == 2


def test_yolo_takes_the_best_and_suppresses_as_the_plugin_does() -> None:
    raw = torch.tensor(
        [
            [0.1, 0.1, 0.5, 0.5, 0.9, 0.1],
            [0.1, 0.1, 0.5, 0.52, 0.8, 0.35],
            [0.6, 0.6, 0.9, 0.9, 0.2, 0.7],
            [0.6, 0.6, 0.9, 0.9, 0.31, float("nan")],
        ]
    )
    (found,) = network(TaoYoloV4, PAIRS).detections(raw[None], [(75, 150)])
    # A letterbox of the same proportions: shares of the input are shares of the image. `keep` leaves the third out.
    assert found[:2] == pytest.approx(np.array([[15, 7.5, 75, 37.5, 0.9, 0], [90, 45, 135, 67.5, 0.7, 1]]), abs=1e-3)
    assert len(found) == 3 and np.isnan(found[2]).all()


def test_of_a_class_no_more_than_top_k_are_suppressed() -> None:
    described = YoloV4(artifact="a", classes=("a",), size=(100, 100), top_k=3, iou_threshold=0.99)
    boxes = torch.tensor([[0.1 * index, 0, 0.1 * index + 0.05, 0.1, 0.5 + 0.01 * index] for index in range(8)])
    (found,) = network(TaoYoloV4, described).detections(boxes[None], [(100, 100)])
    assert found[:, 4].tolist() == pytest.approx([0.57, 0.56, 0.55])
