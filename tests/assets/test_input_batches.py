"""Batches for timing, and that an item which cannot be read fails every time it is asked for."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.assets.input_batches import InputBatches
from fixtures.datasets.base import Images
from fixtures.errors import BenchError

MODEL: Any = SimpleNamespace(
    name="model", prepare=lambda images: torch.tensor([float(image.mean()) for image in images])
)


def _batches(items: Any) -> InputBatches:
    sources: Any = SimpleNamespace(evaluation_items=lambda _: items)
    return InputBatches(sources)


def _image(number: int) -> np.ndarray:
    return np.full((2, 2, 3), number, np.uint8)


def _rows(batches: list[torch.Tensor]) -> list[list[float]]:
    return [batch.tolist() for batch in batches]


def test_batches_follow_each_other_and_items_repeat_where_there_are_too_few():
    read = []

    def load(number: int) -> np.ndarray:
        read.append(number)
        return _image(number)

    batches = _batches(Images("five", (0, 1, 2, 3, 4), load))
    assert _rows(batches.first(MODEL, 2, 1)) == [[0, 1]]
    assert _rows(batches.first(MODEL, 2, 4)) == [[0, 1], [2, 3], [4, 0], [1, 2]]
    assert read == [0, 1, 2, 3, 4], "each is read once"
    assert _rows(batches.first(MODEL, 3, 1)) == [[0, 1, 2]]
    prompts = _batches(("a", "b"))
    words: Any = SimpleNamespace(name="text", prepare=list)
    assert prompts.first(words, 3, 2) == [["a", "b", "a"], ["b", "a", "b"]]


def test_an_image_that_cannot_be_read_fails_again_and_heals_where_it_is_put_back():
    """The second attempt once went on behind it: a half-used iterator ends, and the images before it repeat."""
    broken = {2}

    def load(number: int) -> np.ndarray:
        if number in broken:
            raise BenchError(f"image cannot be decoded: {number}", hint="replace the file")
        return _image(number)

    batches = _batches(Images("four", (0, 1, 2, 3), load))
    for _ in range(3):
        with pytest.raises(BenchError, match="cannot be decoded: 2"):
            batches.first(MODEL, 1, 4)
    broken.clear()
    assert _rows(batches.first(MODEL, 1, 5)) == [[0], [1], [2], [3], [0]]
