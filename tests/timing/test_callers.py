"""Several callers at the same time: what a round is, and that a caller who gets another's answer is found out."""

import threading

import pytest
import torch

from fixtures.backends.cuda_graph import GraphReplay
from fixtures.backends.pytorch.eager import ModuleEngine
from fixtures.timing.callers import StreamCallers, ThreadCallers
from fixtures.timing.sampler import SamplerSettings, sample

BATCHES = [torch.full((2, 3), float(number)) for number in range(4)]


class Doubling:
    """Answers twice the input, after `wait` has said so; counts its calls, and how many ran at the same time."""

    running = 0
    most = 0
    lock = threading.Lock()

    def __init__(self, wait=lambda: None):
        self.wait = wait
        self.calls = 0

    def __call__(self, inputs):
        with Doubling.lock:
            Doubling.running += 1
            Doubling.most = max(Doubling.most, Doubling.running)
        self.calls += 1
        self.wait()
        with Doubling.lock:
            Doubling.running -= 1
        return inputs * 2

    def synchronize(self):
        pass


class OneBuffer:
    """An engine for several callers that writes every answer into the same memory."""

    def __init__(self):
        self.buffer = torch.empty(2, 3)
        self.both = threading.Barrier(2)
        self.alone = True

    def __call__(self, inputs):
        self.buffer.copy_(inputs * 2)
        if threading.current_thread().name.startswith("caller"):
            self.both.wait(10)  # both have written before either answer is looked at
        return self.buffer

    def synchronize(self):
        pass


def test_a_round_asks_every_caller_the_same_number_of_batches():
    engines = [Doubling(), Doubling(), Doubling()]
    clock = ThreadCallers(engines, BATCHES, round_s=0.0)
    before = [engine.calls for engine in engines]
    assert clock.timed_call(0) > 0
    assert {engine.calls - count for engine, count in zip(engines, before, strict=True)} == {clock.rounds}
    assert clock.batches_per_call == 3 * clock.rounds == len(clock.batches_s)
    assert clock.disagreement == ""


def test_callers_run_at_the_same_time():
    Doubling.most = 0
    together = threading.Barrier(2)
    engines = [Doubling(), Doubling()]
    clock = ThreadCallers(engines, BATCHES, round_s=0.0)
    for engine in engines:
        engine.wait = lambda: together.wait(10)  # neither comes through without the other
    clock.timed_call(0)
    assert Doubling.most == 2


def test_a_round_has_so_many_batches_that_it_takes_long_enough():
    seconds = iter(number * 0.001 for number in range(10**6))
    clock = ThreadCallers([Doubling()], BATCHES, round_s=0.5, clock=lambda: next(seconds))
    assert clock.rounds > 50


def test_an_engine_that_does_not_hold_its_callers_apart_is_found_out():
    shared = OneBuffer()
    clock = ThreadCallers([shared, shared], BATCHES[:2], round_s=0.0)
    assert "got another answer than one caller alone gets (largest difference 2)" in clock.disagreement


def test_what_a_sampler_reads_of_rounds_is_a_time_of_all_its_batches():
    clock = ThreadCallers([Doubling(), Doubling()], BATCHES, round_s=0.002)
    (found,) = sample([clock.timed_call], SamplerSettings(warmup_min_s=0.01, min_measured_s=0.01, max_measured_s=0.2))
    timed = clock.batches_s[-len(found.samples_s) * clock.batches_per_call :]
    # Each caller's batches fill the round, and no caller takes longer than it.
    assert sum(timed) <= 2 * sum(found.samples_s)


def test_nobody_to_ask_is_an_error():
    with pytest.raises(ValueError, match="at least one engine"):
        ThreadCallers([Doubling()], [])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card")
def test_streams_answer_as_one_caller_does_and_a_shared_graph_is_found_out():
    module = torch.nn.Conv2d(3, 64, 3).half().cuda().eval()
    batches = [torch.randn(8, 3, 320, 320, device="cuda") for _ in range(3)]
    graph = GraphReplay(ModuleEngine(module, torch.float16, "cuda"))
    clock = StreamCallers([graph, graph.fork(), graph.fork()], batches)
    assert clock.disagreement == "" and clock.timed_call(0) > 0
    assert "got another answer" in StreamCallers([_Copying(graph)] * 2, batches).disagreement


class _Copying:
    """A graph whose callers all get their answers in one buffer."""

    def __init__(self, graph):
        self.graph = graph
        self.answer = torch.empty_like(graph(torch.zeros(8, 3, 320, 320, device="cuda")))

    def __call__(self, inputs):
        return self.answer.copy_(self.graph(inputs))

    def synchronize(self):
        torch.cuda.synchronize()
