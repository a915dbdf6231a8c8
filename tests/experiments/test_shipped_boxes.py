"""When two lists of boxes count as the same."""

import pytest
import torch

from tests.experiments.shipped_boxes import LEAST_IOU, least_overlap

BOXES = torch.tensor([[0, 0, 100, 100, 0.9, 1], [200, 200, 300, 300, 0.8, 2]])


def _changed(row: int, column: int, value: float) -> torch.Tensor:
    boxes = BOXES.clone()
    boxes[row, column] = value
    return boxes


def test_the_same_boxes_in_another_order_are_the_same():
    assert least_overlap(BOXES, BOXES.flip(0)) == 1
    assert least_overlap(BOXES[:0], BOXES[:0]) == 1


@pytest.mark.parametrize(
    "theirs", [_changed(0, 5, 2), _changed(1, 0, 202), BOXES[:1], torch.cat([BOXES[:1], BOXES[:1]]), BOXES[:0]]
)
def test_another_class_place_or_number_is_not(theirs: torch.Tensor):
    assert least_overlap(BOXES, theirs) <= LEAST_IOU
