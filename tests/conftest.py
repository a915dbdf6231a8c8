"""Networks that several test modules share. Made once a session; untrained unless they are the embedded ones.

Imports nothing heavy: the process that hands out the tests to others (pytest-xdist) loads this file too.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.embedded_job import EmbeddedJob
from tests.helpers.embedded_job import embedded_job as make_embedded_job


def pytest_configure() -> None:
    """Many tests run sessions of their own: no worker of pytest-xdist, as which pytest-benchmark would take them."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `pytest -n 2`."""
    from tests.helpers.scheduling import ByModule

    return ByModule(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """A million objects that stay: to look through them again and again would take a quarter of the collection, and
    a quarter of a second at each later call of the garbage collector.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real thing run where the real thing is."""
    import torch

    if not torch.cuda.is_available():
        reason = pytest.mark.skip(reason=f"PyTorch {torch.__version__} sees no CUDA device here")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(reason)


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """One engine cache for all tests that do not ask what is built, also those in other processes of pytest-xdist."""
    return _of_all_processes(tmp_path_factory, request.config) / "engines"


@pytest.fixture(scope="session")
def embedded_job(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> EmbeddedJob:
    """A whole run of the embedded suite, one for all tests."""
    return make_embedded_job(_of_all_processes(tmp_path_factory, request.config) / "embedded-job")


def _of_all_processes(factory: pytest.TempPathFactory, config: pytest.Config) -> Path:
    """A folder of this session that the processes of pytest-xdist share."""
    own = factory.getbasetemp()
    return own.parent if hasattr(config, "workerinput") else own


@pytest.fixture
def on_a_side_stream() -> Iterator[None]:
    """The default stream cannot record a CUDA graph, and a case is not timed on it either."""
    import torch

    with torch.cuda.stream(torch.cuda.Stream()):
        yield


@pytest.fixture(scope="session")
def untrained_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLOv8n for two classes at 64×64 with random weights, as Ultralytics saves one."""
    import torch
    from ultralytics.nn.tasks import DetectionModel

    path = tmp_path_factory.mktemp("weights") / "cat-dog.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DetectionModel("yolov8n.yaml", ch=3, nc=2, verbose=False)
    network.names = {0: "cat", 1: "dog"}
    torch.save({"model": network, "train_args": {"imgsz": 64, "task": "detect"}}, path)
    return path


@pytest.fixture(scope="session")
def detector_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded YOLOv8n as an FP32 graph for images of 640×640, where coordinates are large."""
    import torch

    from fixtures.embedded.weights import load_yolo, yolo_path
    from fixtures.models.base import Weights
    from fixtures.models.onnx_export import export_onnx
    from fixtures.models.yolo import YoloModel

    path = tmp_path_factory.mktemp("detector") / "fp32.onnx"
    weights = Weights("yolov8n-shapes", str(yolo_path()), "", 0, trained=True)
    export_onnx(YoloModel("yolov8n-shapes", weights, load_yolo, 640), torch.zeros(2, 3, 640, 640), path)
    return path
