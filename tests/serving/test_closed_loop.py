"""A closed loop of callers: latency and rate of a server whose time is known."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fixtures.errors import BenchError
from fixtures.serving.closed_loop import closed_loop
from fixtures.timing.sampler import SamplerSettings

SERVICE_S = 0.004
SETTINGS = SamplerSettings(
    warmup_min_s=0.1, window=5, warmup_max_s=0.5, min_measured_s=0.1, min_samples=100, max_measured_s=3.0
)
# Sleeping is longer than asked for, by what a shared machine does meanwhile.
LENIENT = 0.5


class OneAtATime:
    """A server that needs `SERVICE_S` for a request and has no second worker."""

    def __init__(self) -> None:
        # First come, first served: a lock would let the last one in again.
        self.worker = ThreadPoolExecutor(1)
        self.numbers: list[int] = []

    def __call__(self, number: int) -> None:
        self.numbers.append(number)
        self.worker.submit(time.sleep, SERVICE_S).result()


@pytest.mark.parametrize("callers", [1, 4, 16])
def test_latency_and_rate_follow_littles_law(callers: int) -> None:
    # Little (Operations Research 9, 1961): what is inside is the rate times the time that each stays. On a busy machine
    # one of three loops has to be undisturbed.
    for _ in range(3):
        server = OneAtATime()
        loop = closed_loop(server, callers, SETTINGS, lambda server=server: len(server.numbers))
        mean_s = sum(loop.sampling.samples_s) / len(loop.sampling.samples_s)
        inside = loop.requests_per_second * mean_s
        if inside == pytest.approx(callers, rel=LENIENT):
            break
    assert inside == pytest.approx(callers, rel=LENIENT)
    assert loop.requests_per_second == pytest.approx(1 / SERVICE_S, rel=LENIENT)
    assert loop.rate.low <= loop.requests_per_second <= loop.rate.high
    assert 0 < loop.before < loop.after
    assert loop.client_cores < 1.5
    assert len(set(server.numbers)) == len(server.numbers), "each request once"


def test_callers_overlap() -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def send(_: int) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(SERVICE_S)
        with lock:
            inside -= 1

    closed_loop(send, 4, SETTINGS, lambda: None)

    assert most == 4


def test_a_server_that_goes_away_ends_the_loop_and_its_callers() -> None:
    def send(number: int) -> None:
        if number > 20:
            raise BenchError("the server has gone", hint="start it again")
        time.sleep(SERVICE_S)

    before = threading.active_count()
    with pytest.raises(BenchError, match="has gone"):
        closed_loop(send, 4, SETTINGS, lambda: None)

    assert threading.active_count() == before


def test_a_tail_needs_samples() -> None:
    few = closed_loop(lambda _: time.sleep(1e-3), 1, replace(SETTINGS, max_measured_s=0.3), lambda: None)
    # Beside other work no interval becomes narrow, and the loop goes on to its limit.
    patient = replace(SETTINGS, min_samples=700, max_measured_s=5.0)
    many = closed_loop(lambda _: time.sleep(1e-4), 1, patient, lambda: None)

    assert len(few.sampling.samples_s) < 662 and few.p99_s is None
    assert len(many.sampling.samples_s) >= 662 and many.p99_s is not None


def test_a_loop_needs_a_caller() -> None:
    with pytest.raises(ValueError, match="needs a caller"):
        closed_loop(lambda _: None, 0, SETTINGS, lambda: None)
