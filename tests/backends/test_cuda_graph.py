"""CUDA graphs: one for each input, recorded on the stream that replays it."""

import pytest
import torch

from fixtures.backends import cuda_graph
from fixtures.backends.cuda_graph import MAX_GRAPHS, GraphReplay


@pytest.mark.gpu
@pytest.mark.usefixtures("on_a_side_stream")
def test_a_recorded_graph_answers_for_every_input_it_is_shown():
    layer = torch.nn.Linear(8, 8, device="cuda")
    streams = set()

    def double(x: torch.Tensor) -> torch.Tensor:
        streams.add(torch.cuda.current_stream())
        with torch.no_grad():
            return layer(x) * 2

    replay = GraphReplay(double)
    inputs = [torch.rand(4, 8, device="cuda") for _ in range(MAX_GRAPHS + 5)]
    for x in inputs:
        replay(x)
    assert streams == {torch.cuda.current_stream()}, "recorded on the stream that replays"
    for _ in range(2):
        for x in inputs:
            answer = replay(x).clone()
            torch.cuda.synchronize()
            torch.testing.assert_close(answer, double(x))


def test_a_graph_is_recorded_where_it_is_replayed_but_for_the_default_stream(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "default_stream", lambda: "default")
    for current, recording in (("default", None), ("side", "side")):
        monkeypatch.setattr(torch.cuda, "current_stream", lambda current=current: current)
        assert cuda_graph._recording_stream() == recording
