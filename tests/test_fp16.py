"""FP32 graph → FP16 graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from fixtures.precision.fp16 import to_fp16
from fixtures.precision.running import open_session, run
from tests.small_nets import FLOAT_IO, image_feeds, io_types, write_detector


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("fp16")
    source = write_detector(folder / "fp32.onnx")
    to_fp16(source, folder / "fp16.onnx")
    return source, folder / "fp16.onnx"


def test_weights_are_fp16_and_the_boundary_is_fp32(graphs: tuple[Path, Path]):
    half = onnx.load(graphs[1])
    assert io_types(half) == FLOAT_IO
    weights = [tensor for tensor in half.graph.initializer if len(tensor.dims) >= 2]
    assert len(weights) == 7
    assert {tensor.data_type for tensor in weights} == {TensorProto.FLOAT16}
    assert graphs[1].stat().st_size < 0.7 * graphs[0].stat().st_size


def test_everything_between_the_two_casts_computes_in_fp16(graphs: tuple[Path, Path]):
    half = onnx.load(graphs[1])
    assert next(node.input[0] for node in half.graph.node if node.op_type == "Cast") == "images"
    assert sum(node.op_type == "Cast" for node in half.graph.node) == 2
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 7
    assert {types[node.output[0]] for node in convolutions} == {TensorProto.FLOAT16}


def test_resize_keeps_constant_fp32_scales(graphs: tuple[Path, Path]):
    half = onnx.load(graphs[1])
    resize = next(node for node in half.graph.node if node.op_type == "Resize")
    scales = next(tensor for tensor in half.graph.initializer if tensor.name == resize.input[2])
    assert scales.data_type == TensorProto.FLOAT


def test_answers_agree_with_fp32_at_any_batch(graphs: tuple[Path, Path]):
    single, half = (open_session(path) for path in graphs)
    feed = {"images": np.concatenate([feed["images"] for feed in image_feeds(3, seed=1)])}
    expected, found = run(single, feed)["output0"], run(half, feed)["output0"]
    assert found.dtype == np.float32
    # FP16 rounds to 2^-11 relative; a handful of layers stay within a few of those.
    assert np.abs(found - expected).max() < 2**-7 * np.abs(expected).max()
    assert (found != expected).any()


def test_the_same_graph_twice_gives_the_same_bytes(graphs: tuple[Path, Path], tmp_path: Path):
    to_fp16(graphs[0], tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == graphs[1].read_bytes()
