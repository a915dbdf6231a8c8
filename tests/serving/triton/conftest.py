"""A real Triton for the tests that ask for one.

`BENCH_TRITON=FOLDER` names an engine cache in which NVIDIA's wheel may be downloaded and unpacked, once (55 MB and two
environments). Without it these tests are skipped: no test downloads anything unasked.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures import ROOT
from fixtures.cache.shared_results import SessionResults
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from fixtures.serving.transport import Endpoint
from fixtures.serving.triton.client import TritonClient
from fixtures.serving.triton.installation import TritonInstallation, install
from fixtures.serving.triton.repository import ServedModel, write_repository
from fixtures.serving.triton.server import RunningTriton, running_triton
from tests.helpers.runs import raw_options


@pytest.fixture(scope="session")
def triton_folder() -> Path:
    if not (named := os.environ.get("BENCH_TRITON")):
        pytest.skip("no Triton: BENCH_TRITON=FOLDER names where its wheel may be unpacked (tests/serving/triton)")
    return Path(named)


@pytest.fixture(scope="session")
def installation(triton_folder: Path) -> TritonInstallation:
    return install(triton_folder / "triton", print)


@pytest.fixture(scope="session")
def options(triton_folder: Path) -> Options:
    return Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(triton_folder)), ROOT)


@pytest.fixture(scope="session")
def workbench(options: Options) -> Iterator[Workbench]:
    found = open_workbench(options, Suite("embedded", "for tests"), print, SessionResults())
    yield found
    found.close()


def toy_model(folder: Path) -> ServedModel:
    """[n, 3, 4] → [n, 12]: twice, plus one."""
    graph = folder / "toy.onnx"
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Mul", ["flat", "two"], ["twice"]),
        helper.make_node("Add", ["twice", "one"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in (("x", (3, 4)), ("y", (12,)))
    ]
    numbers = [numpy_helper.from_array(np.float32(value), name) for name, value in (("two", 2), ("one", 1))]
    model = helper.make_model(
        helper.make_graph(nodes, "toy", ends[:1], ends[1:], numbers), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    onnx.save(model, graph)
    return ServedModel("toy", "python", graph, "x", "float32", (3, 4), "y", (12,), 8, threads=1)


@pytest.fixture(scope="module")
def running(installation: TritonInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    folder = tmp_path_factory.mktemp("triton")
    write_repository(folder / "repository", [toy_model(folder)])
    with running_triton(installation, folder / "repository", folder / "log") as found:
        yield found


@pytest.fixture
def client(running: RunningTriton) -> Iterator[TritonClient]:
    found = TritonClient(Endpoint(running.url))
    yield found
    found.endpoint.close()
