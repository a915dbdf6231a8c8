"""Which graph a TensorRT builder gets, by version and precision."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto

from fixtures.backends.base import Job
from fixtures.backends.onnxrt.tensorrt import typed_layers, write_graph
from fixtures.backends.trt.strong_typing import typed_graph, typing_ingredients
from fixtures.plan.matrix import Case
from fixtures.precision.int8 import Int8Settings, to_int8
from tests.helpers.networks import image_feeds, write_detector


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    source = write_detector(folder / "fp32.onnx")
    to_int8(source, folder / "int8.onnx", image_feeds(8, seed=0), Int8Settings(), lambda _: None)
    return folder / "int8.onnx"


def _job(precision: str, graph: Path) -> Job:
    case = Case("small", "detection", "tensorrt", precision, 2)
    return Job(case, "cuda", torch.nn.Identity, graph, torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize(
    ("precision", "version"), [("int8", "8.6.1"), ("int8", "10.11.0.33"), ("fp16", "10.12.0.36"), ("fp32", "11.0.0.1")]
)
def test_the_graph_of_the_job_is_taken_as_it_is(precision: str, version: str, int8: Path, tmp_path: Path):
    with typed_graph(_job(precision, int8), tmp_path / "model.plan", version) as graph:
        assert graph == int8
    assert int8.exists()


@pytest.mark.parametrize("version", ["10.12.0.36", "11.1.0.2"])
def test_strong_typing_gets_int8_with_its_rest_in_fp16(version: str, int8: Path, tmp_path: Path):
    with typed_graph(_job("int8", int8), tmp_path / "model.plan", version) as graph:
        assert graph.parent == tmp_path
        assert TensorProto.FLOAT16 in {tensor.data_type for tensor in onnx.load(graph).graph.initializer}
    assert not list(tmp_path.iterdir()) and int8.exists()


def test_a_failed_build_leaves_no_scratch(int8: Path, tmp_path: Path):
    with pytest.raises(RuntimeError), typed_graph(_job("int8", int8), tmp_path / "model.plan", "11.0.0.1"):
        raise RuntimeError("the builder gives up")
    assert not list(tmp_path.iterdir())


def test_the_cache_tells_the_two_graphs_apart():
    assert typing_ingredients("10.11.0.33") == {"typing": "flags"}
    assert typing_ingredients("10.12.0.36") == {"typing": "strong", "int8_rest": "fp16"}
    assert typing_ingredients("11.0.0.1") == {"typing": "implied", "int8_rest": "fp16"}


def test_the_provider_of_onnx_runtime_gets_it_for_its_batch(int8: Path, tmp_path: Path):
    before = typed_layers(onnx.load(int8))
    layers = typed_layers(write_graph(_job("int8", int8), tmp_path / "model.onnx"))
    assert before["fp32"] and layers == {"int8": before["int8"], "fp16": before["fp32"]}
    written = onnx.load(tmp_path / "model.onnx")
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    assert typed_layers(written) == layers
    assert typed_layers(write_graph(_job("fp32", int8), tmp_path / "model.onnx")) == before
