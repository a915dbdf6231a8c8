"""The clock of a card without a card: what it asks, and when."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fixtures.instruments.cuda_events import CudaEventClock

BATCHES = [torch.zeros(1, 3, 2, 2) + number for number in range(64)]


class Recording:
    """An engine that records a graph for every input it meets, as `GraphReplay` does; a call of it moves `now_ms`."""

    def __init__(self) -> None:
        self.met: set[int] = set()
        self.now_ms = 0.0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.now_ms += 3.0 if batch.data_ptr() in self.met else 19.0
        self.met.add(batch.data_ptr())
        return batch


def event(engine: Recording) -> Any:
    """Of the two methods of an event that a clock uses."""
    mark = SimpleNamespace(at=0.0)
    mark.record = lambda: setattr(mark, "at", engine.now_ms)
    mark.synchronize = lambda: None
    mark.elapsed_time = lambda end: end.at - mark.at
    return mark


def test_no_sample_holds_the_recording_of_a_graph():
    engine = Recording()
    clock = CudaEventClock(engine, BATCHES, _start=event(engine), _end=event(engine))
    assert len(engine.met) == 64
    assert {clock.timed_call(call) for call in range(130)} == {0.003}


def test_a_clock_needs_a_batch():
    with pytest.raises(ValueError, match="at least one input batch"):
        CudaEventClock(Recording(), [], _start=None, _end=None)
