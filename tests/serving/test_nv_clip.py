"""The client of NV-CLIP against a real HTTP server with its schema, with every fault that a service has shown."""

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from fixtures.errors import BenchError
from fixtures.serving.nv_clip import MOST_INPUTS, NvClip, WithdrawnError, image_input, service_faults
from fixtures.serving.retries import RequestBudget, RetryPolicy
from fixtures.serving.transport import ApiKey, Endpoint, NoAnswerError, ServiceError
from tests.helpers.embedding_server import FAULTS, MODEL, Service, embedding_server, embeddings

KEY = "nvapi-not-a-real-key-7f3a"
PROMPTS = [f"a photo of {number} red circles" for number in range(5)]
# The waits are told, and not waited.
POLICY = RetryPolicy(attempts=4)


def client(
    service: Service,
    limit: int = 1000,
    waits: list[float] | None = None,
    key: ApiKey | None = None,
    deadline_s: float = 30.0,
    policy: RetryPolicy = POLICY,
) -> NvClip:
    noted: Callable[[float], None] = (waits if waits is not None else []).append
    return NvClip(Endpoint(f"{service.url}/v1", key, deadline_s=deadline_s), MODEL, RequestBudget(limit), policy, noted)


def test_texts_and_images_are_those_of_the_model() -> None:
    rng = np.random.default_rng(0)
    images = [image_input(rng.integers(0, 256, (40 + number, 60, 3), np.uint8)) for number in range(3)]
    mixed = [PROMPTS[0], *images, PROMPTS[1]]
    with embedding_server() as service:
        found = client(service).embed(mixed)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, embeddings(mixed))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_mended_by_another_attempt(fault: str) -> None:
    """The first answer is right, so that a wrong dimension can be told; the second is not."""
    with embedding_server(lambda number: fault if number == 1 else "", slow_s=0.1) as service:
        embeddings(PROMPTS)  # known before: a deadline is short only for what is slow on purpose
        nv_clip = client(service, deadline_s=1.0 if fault == "slow body" else 30.0)
        first, second = nv_clip.embed(PROMPTS), nv_clip.embed(PROMPTS[::-1])

    np.testing.assert_array_equal(first, embeddings(PROMPTS))
    np.testing.assert_array_equal(second, embeddings(PROMPTS[::-1]))
    mended = fault != "wrong order"
    assert nv_clip.counts.retries == mended and nv_clip.counts.inputs == 10
    assert bool(service_faults(nv_clip.counts)) is mended


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("wrong order", "wrong dimension")])
def test_a_fault_that_stays_is_an_error_in_a_line(fault: str) -> None:
    with embedding_server(lambda _: fault, slow_s=0.1) as service:
        nv_clip = client(service, deadline_s=0.3)
        with pytest.raises(ServiceError, match="no right answer in 4 attempts; the last: ") as caught:
            nv_clip.embed(PROMPTS)

    assert service.requests == 4 and nv_clip.counts.inputs == 0
    assert "\n" not in caught.value.what and len(caught.value.what) < 400


def test_a_dimension_that_changes_and_stays_is_an_error() -> None:
    with embedding_server(lambda number: "wrong dimension" if number else "") as service:
        nv_clip = client(service)
        nv_clip.embed(PROMPTS)
        with pytest.raises(ServiceError, match="127 numbers in place of 128"):
            nv_clip.embed(PROMPTS)


def test_ten_thousand_embeddings_with_two_percent_faults() -> None:
    """None lost, none double: each row is that of its own input, and each input was counted once."""
    rng = random.Random(0)
    # A slow body has a test of its own: with a deadline so short a busy machine is a fault too.
    kinds = [fault for fault in FAULTS if fault != "slow body"]
    faults = [rng.choice(kinds) if rng.random() < 0.02 else "" for _ in range(2000)]
    prompts = [f"{number} of 1000" for number in range(1000)] * 10
    rng.shuffle(prompts)
    with embedding_server(lambda number: faults[number]) as service:
        nv_clip = client(service, limit=2000)
        found = nv_clip.embed(prompts)

    assert found.shape == (10_000, 128)
    met = [fault for fault in faults[: service.requests] if fault not in ("", "wrong order")]
    assert len(met) >= 2 and nv_clip.counts.retries == len(met)
    assert nv_clip.counts.inputs == 10_000 and nv_clip.counts.requests == service.requests == 157 + len(met)
    assert service.answered == prompts, "what was sent whole, each once and in order"
    np.testing.assert_array_equal(found, embeddings(prompts))


def test_callers_side_by_side_lose_nothing() -> None:
    faults = itertools.cycle(["", "503", "", "", "half an answer", "", "429 now"])
    lock = threading.Lock()

    def next_fault(_: int) -> str:
        with lock:
            return next(faults)

    found: dict[int, np.ndarray] = {}
    batches = {number: [f"{number} {place}" for place in range(4)] for number in range(24)}
    with embedding_server(next_fault) as service:
        nv_clip = client(service, policy=RetryPolicy(attempts=12))

        def ask(number: int) -> None:
            found[number] = nv_clip.embed_batch(batches[number])

        threads = [threading.Thread(target=ask, args=(number,)) for number in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # A connection that breaks before the request is read is an attempt of which the service knows nothing.
    assert nv_clip.counts.inputs == 96 and nv_clip.counts.requests >= service.requests
    for number, batch in batches.items():
        np.testing.assert_array_equal(found[number], embeddings(batch))


def test_at_most_64_inputs_go_into_a_request() -> None:
    with embedding_server() as service:
        nv_clip = client(service)
        assert nv_clip.embed(["a"] * 65).shape == (65, 128)
        assert service.requests == 2
        with pytest.raises(ValueError, match="1 to 64 inputs, not 65"):
            nv_clip.embed_batch(["a"] * (MOST_INPUTS + 1))
        with pytest.raises(ValueError, match="nothing to embed"):
            nv_clip.embed([])


def test_waits_double_and_retry_after_is_obeyed() -> None:
    waits: list[float] = []
    with embedding_server(lambda number: {0: "503", 1: "500", 2: "429 now"}.get(number, "")) as service:
        client(service, waits=waits).embed(PROMPTS)

    assert 0.25 <= waits[0] <= 0.5 and 0.5 <= waits[1] <= 1.0 and waits[2] == 0


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [("7", 7, 7), (None, 1.0, 2.0), ("soon", 1.0, 2.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0), ("-3", 1.0, 2.0)],
)
def test_a_wait_is_what_the_server_asks_for_or_grows(asked: str | None, low: float, high: float) -> None:
    assert low <= RetryPolicy().wait_s(3, asked) <= high


def test_a_wait_has_a_longest() -> None:
    assert RetryPolicy().wait_s(30) <= 20
    with pytest.raises(BenchError, match="asks to wait for 3600 s"):
        RetryPolicy().wait_s(1, "3600")


def test_the_budget_counts_what_is_repeated() -> None:
    with embedding_server(lambda _: "503") as service:
        with pytest.raises(BenchError, match="budget of 3 requests is used up"):
            client(service, limit=3).embed(PROMPTS)

        assert service.requests == 3


def test_a_withdrawn_model_is_told_from_a_fault() -> None:
    with embedding_server() as service:
        nv_clip = NvClip(Endpoint(f"{service.url}/v1"), "nvidia/nvclip", RequestBudget(9), POLICY)
        with pytest.raises(WithdrawnError, match="has no model nvidia/nvclip: status 404"):
            nv_clip.embed(PROMPTS)

        assert service.requests == 1, "asked once: it will not come back"


def test_a_refused_key_is_an_error_that_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    """The server repeats the header that it refuses; neither the message nor urllib3's log has the key."""
    caplog.set_level(logging.DEBUG)
    with embedding_server(key="another") as service:
        nv_clip = client(service, key=ApiKey(KEY))
        with pytest.raises(ServiceError, match=r"status 401: .*not authorized: Bearer \[key\]") as caught:
            nv_clip.embed(PROMPTS)

    assert service.seen_keys == {f"Bearer {KEY}"}
    service.seen_keys.clear()
    assert KEY not in f"{caught.value!r} {caught.value} {caught.getrepr(style='long', showlocals=True)} {caplog.text}"


def test_a_right_key_is_answered() -> None:
    with embedding_server(key=KEY) as service:
        assert client(service, key=ApiKey(KEY)).embed(PROMPTS).shape == (5, 128)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with embedding_server() as service:
        pass
    with pytest.raises(NoAnswerError, match="the connection was refused"):
        Endpoint(service.url).get("v1/health/ready")
    with pytest.raises(ServiceError, match=r"no right answer in 4 attempts; the last: .*refused"):
        client(service).embed(PROMPTS)


def test_a_slow_body_ends_at_the_deadline() -> None:
    with embedding_server(lambda _: "slow body", slow_s=0.2) as service:
        start = time.monotonic()
        with pytest.raises(ServiceError, match=r"no whole answer: not within 0\.4 s"):
            client(service, deadline_s=0.4, policy=RetryPolicy(attempts=1)).embed(PROMPTS)

        assert time.monotonic() - start < 2
