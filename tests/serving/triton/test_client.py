"""The client of the KServe protocol against a real Triton."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from fixtures.serving.closed_loop import closed_loop
from fixtures.serving.transport import Endpoint, NoAnswerError, ServiceError
from fixtures.serving.triton.client import TritonClient
from fixtures.serving.triton.installation import TritonInstallation
from fixtures.serving.triton.repository import write_repository
from fixtures.serving.triton.server import running_triton
from fixtures.serving.triton.shared_memory import shared_slots
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.embedding_server import embedding_server
from tests.serving.triton.conftest import toy_model

SETTINGS = SamplerSettings(warmup_min_s=0.1, window=5, warmup_max_s=0.5, min_samples=50, max_measured_s=1.0)


def tensor(seed: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, 4)).astype(np.float32)


def answer(of: np.ndarray) -> np.ndarray:
    return of.reshape(len(of), 12) * 2 + 1


def test_a_server_tells_its_models_and_their_tensors(client: TritonClient) -> None:
    info = client.describe("toy")

    assert client.name() == "triton 2.51.0"
    assert client.models() == ("toy",) and client.max_batch("toy") == 8
    assert [(each.name, each.datatype, each.shape) for each in (*info.inputs, *info.outputs)] == [
        ("x", "FP32", (-1, 3, 4)),
        ("y", "FP32", (-1, 12)),
    ]


def test_a_tensor_goes_there_and_comes_back(client: TritonClient) -> None:
    for count in (1, 3, 8):
        given = tensor(count, count)
        np.testing.assert_array_equal(client.infer("toy", "x", given, "y"), answer(given))


def test_a_view_of_another_tensor_is_sent_as_it_is_seen(client: TritonClient) -> None:
    given = tensor(0, 8)[::2].transpose(0, 2, 1).reshape(4, 3, 4)[:, ::-1]

    np.testing.assert_array_equal(client.infer("toy", "x", given, "y"), answer(np.ascontiguousarray(given)))


def test_the_server_counts_images_and_time(client: TritonClient) -> None:
    before = client.statistics("toy")
    client.infer("toy", "x", tensor(0, 5), "y")
    end = time.monotonic() + 5
    # It counts a request after it has answered it.
    while (after := client.statistics("toy")).execution_count == before.execution_count and time.monotonic() < end:
        time.sleep(0.01)

    assert after.inference_count - before.inference_count == 5
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns


def test_shared_memory_gives_the_same_and_leaves_nothing_behind(client: TritonClient) -> None:
    given = tensor(1)
    before = set(Path("/dev/shm").iterdir())
    with shared_slots(client, 3, given.nbytes, 2 * 12 * 4) as slots:
        for caller in (0, 2, 1, 2):
            sent = given + caller
            place, taken = slots.put(caller, sent), slots.taken[caller]
            found = np.array(client.infer_shared("toy", "x", sent, place, "y", taken, slots.view))
            np.testing.assert_array_equal(found, answer(sent))

    assert {each for each in Path("/dev/shm").iterdir() if "bench-" in each.name} <= before


@pytest.mark.parametrize(
    ("model", "name", "given", "output", "said"),
    [
        ("other", "x", tensor(0), "y", "unknown model"),
        ("toy", "z", tensor(0), "y", "unexpected inference input"),
        ("toy", "x", tensor(0), "z", "unexpected inference output"),
        ("toy", "x", np.zeros((2, 3, 5), np.float32), "y", "unexpected shape"),
        ("toy", "x", np.zeros((9, 3, 4), np.float32), "y", "must be <= 8"),
        ("toy", "x", np.zeros((2, 3, 4), np.int64), "y", "data-type"),
    ],
)
def test_what_the_server_refuses_is_an_error_in_its_words(
    model: str, name: str, given: np.ndarray, output: str, said: str, client: TritonClient
) -> None:
    with pytest.raises(ServiceError, match=f"refuses: status 4.*{said}"):
        client.infer(model, name, given, output)


def test_a_server_that_is_no_triton_is_an_error() -> None:
    with embedding_server() as service, pytest.raises(ServiceError, match="refuses: status 404"):
        TritonClient(Endpoint(service.url)).describe("toy")


def test_a_server_killed_in_the_middle_of_a_loop_is_an_error(installation: TritonInstallation, tmp_path: Path) -> None:
    write_repository(tmp_path / "repository", [toy_model(tmp_path)])
    before = set(Path("/dev/shm").iterdir())
    with running_triton(installation, tmp_path / "repository", tmp_path / "log") as running:
        client = TritonClient(Endpoint(running.url))

        def send(number: int) -> None:
            if number == 60:
                os.kill(running.pid, signal.SIGKILL)
            client.infer("toy", "x", tensor(number), "y")

        with pytest.raises(NoAnswerError, match="no whole answer"):
            closed_loop(send, 4, SETTINGS, lambda: None)

    assert {each for each in Path("/dev/shm").iterdir() if each.name.startswith("bench_")} <= before


def test_a_server_that_cannot_start_says_why(installation: TritonInstallation, tmp_path: Path) -> None:
    model = toy_model(tmp_path)
    write_repository(tmp_path / "repository", [model])
    model.engine.write_bytes(b"no graph")

    with (
        pytest.raises(ServiceError, match="Triton did not start") as caught,
        running_triton(installation, tmp_path / "repository", tmp_path / "log"),
    ):
        raise AssertionError("it is not ready")

    assert "  | " in caught.value.what
    assert "failed to load 'toy'" in caught.value.what, "the reason, and not the end of a table"
