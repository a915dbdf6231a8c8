"""Three ways to select boxes, one answer."""

import pytest
import torch

from fixtures.pipeline.nms.batched import BatchedNms
from fixtures.pipeline.nms.matrix import ROUNDS, MatrixNms
from fixtures.pipeline.nms.ultralytics import UltralyticsNms

CLASSES, ANCHORS = 5, 450


def crowded(batch=3, seed=0, objects=12):
    """Raw output with some objects, each seen by many anchors, as a detector gives it."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.zeros(batch, 4 + CLASSES, ANCHORS)
    for photo in range(batch):
        centres = torch.rand(objects, 2, generator=generator) * 500 + 50
        which = torch.randint(objects, (ANCHORS,), generator=generator)
        raw[photo, :2] = (centres[which] + torch.randn(ANCHORS, 2, generator=generator) * 6).T
        raw[photo, 2:4] = (80 + torch.randn(ANCHORS, 2, generator=generator) * 8).T
        raw[photo, 4:] = torch.rand(CLASSES, ANCHORS, generator=generator) ** 6
    return raw


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [BatchedNms, MatrixNms])
def test_the_boxes_that_ultralytics_selects(make, seed):
    raw = crowded(seed=seed)
    expected, found = UltralyticsNms(0.25).select(raw.clone()), make(0.25).select(raw.clone())
    kept = (expected[..., 4] > 0).sum(dim=1)
    assert torch.equal((found[..., 4] > 0).sum(dim=1), kept) and kept.min() > 5
    for photo, count in enumerate(kept):
        torch.testing.assert_close(found[photo, :count], expected[photo, :count], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("make", [UltralyticsNms, BatchedNms, MatrixNms])
def test_a_photo_without_objects_has_no_boxes(make):
    raw = torch.zeros(2, 4 + CLASSES, ANCHORS)
    assert not make(0.25).select(raw).any()


@pytest.mark.parametrize("make", [BatchedNms, MatrixNms])
def test_one_photo_does_not_suppress_another(make):
    raw = torch.zeros(2, 4 + CLASSES, ANCHORS)
    raw[:, :4, 0] = torch.tensor([100.0, 100.0, 50.0, 50.0])
    raw[:, 4, 0] = torch.tensor([0.9, 0.8])
    found = make(0.25).select(raw)
    torch.testing.assert_close(found[:, 0, 4], torch.tensor([0.9, 0.8]))


def test_a_chain_of_suppressions_is_followed_to_its_end():
    """Each box suppresses the next alone, so that every second one stays."""
    raw = torch.zeros(1, 4 + CLASSES, ANCHORS)
    boxes = ROUNDS
    step = 10.0  # of 100: neighbours overlap by 0.82, those after them by 0.67, below the threshold of 0.7
    raw[0, :4, :boxes] = torch.stack([100 + step * torch.arange(boxes), *torch.full((3, boxes), 100.0)])
    raw[0, 4, :boxes] = torch.linspace(0.9, 0.5, boxes)
    found, expected = MatrixNms(0.25).select(raw), UltralyticsNms(0.25).select(raw.clone())
    assert (found[..., 4] > 0).sum() == (expected[..., 4] > 0).sum() == boxes // 2
