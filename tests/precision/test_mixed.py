"""A precision for each part of a graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from fixtures.backends.trt.typed_layers import typed_layers
from fixtures.environment.folders import scratch_folder
from fixtures.precision.int8 import Int8Settings, int8_candidates, load_for_int8, measured_ranges
from fixtures.precision.int8_fp16 import takes_fp16_scales
from fixtures.precision.mixed import write_mixed
from fixtures.precision.onnx_session import Skeleton, open_session, run
from fixtures.precision.quantizable_layers import Layer, find_layers
from tests.helpers.networks import FLOAT_IO, image_feeds, io_types, write_detector

FEED = image_feeds(1, seed=3)[0]
NECK = ("/neck/Conv", "/Sigmoid_4", "/Mul_4")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("mixed") / "fp32.onnx")


@pytest.fixture(scope="module")
def calibrated(source: Path) -> tuple[dict[str, Layer], dict[str, float]]:
    layers, _ = int8_candidates(load_for_int8(source))
    with scratch_folder(source.parent) as folder:
        skeleton = Skeleton.of(load_for_int8(source), folder)
        return {layer.name: layer for layer in layers}, measured_ranges(
            skeleton, layers, image_feeds(8, seed=0), Int8Settings(), lambda _: None
        )


def answer(path: Path) -> np.ndarray:
    return run(open_session(path), FEED)["output0"]


def weight_types(path: Path) -> dict[str, int]:
    model = onnx.load(path)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {node.name: types[node.input[1]] for node in model.graph.node if node.op_type == "Conv"}


def test_nothing_chosen_changes_no_answer(source: Path, tmp_path: Path):
    write_mixed(source, tmp_path / "same.onnx", (), (), {}, fp16_scales=False)
    assert np.array_equal(answer(tmp_path / "same.onnx"), answer(source))


def test_a_part_in_fp16_stands_between_casts_and_the_rest_stays_fp32(source: Path, tmp_path: Path):
    path = tmp_path / "part.onnx"
    write_mixed(source, path, ("/inner/Conv",), (), {}, fp16_scales=False)
    types = weight_types(path)
    assert [name for name, kind in types.items() if kind == TensorProto.FLOAT16] == ["/inner/Conv"]
    assert [node.op_type for node in onnx.load(path).graph.node].count("Cast") == 2
    assert io_types(onnx.load(path)) == FLOAT_IO
    assert 0 < np.abs(answer(path) - answer(source)).max() < 0.05


def test_between_two_nodes_in_fp16_stands_no_cast(source: Path, tmp_path: Path):
    nodes = [node.name for node in load_for_int8(source).graph.node]
    write_mixed(source, tmp_path / "all.onnx", nodes, (), {}, fp16_scales=False)
    assert set(weight_types(tmp_path / "all.onnx").values()) == {TensorProto.FLOAT16}
    casts = [node for node in onnx.load(tmp_path / "all.onnx").graph.node if node.op_type == "Cast"]
    assert len(casts) == 2
    assert answer(tmp_path / "all.onnx") == pytest.approx(answer(source), abs=0.05)


def test_scalars_shared_constants_and_infinities_are_converted(tmp_path: Path):
    values = {"scalar": np.float32(0.5), "lowest": np.full(4, -3.4e38, np.float32)}
    nodes = [
        onnx.helper.make_node("Mul", ["x", "scalar"], ["half"], "half"),
        onnx.helper.make_node("Mul", ["half", "scalar"], ["quarter"], "quarter"),
        onnx.helper.make_node("Add", ["quarter", "lowest"], ["y"], "y"),
    ]
    floats = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    constants = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = onnx.helper.make_graph(nodes, "small", floats[:1], floats[1:], constants)
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save_model(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "small.onnx")
    write_mixed(tmp_path / "small.onnx", tmp_path / "half.onnx", ("half", "y"), (), {}, fp16_scales=False)
    found = run(open_session(tmp_path / "half.onnx"), {"x": np.ones(4, np.float32)})["y"]
    assert np.isfinite(found).all()


def test_layers_in_int8_beside_a_part_in_fp16(source: Path, tmp_path: Path, calibrated):
    layers, ranges = calibrated
    path = tmp_path / "mixed.onnx"
    write_mixed(source, path, NECK, [layers["/inner/Conv"]], ranges, fp16_scales=False)
    assert typed_layers(onnx.load(path)) == {"int8": 1, "fp16": 1, "fp32": len(find_layers(onnx.load(source))) - 2}
    assert np.isfinite(answer(path)).all()


def test_for_a_typed_builder_the_pairs_give_fp16_and_the_graph_says_that_it_is_ready(
    source: Path, tmp_path: Path, calibrated
):
    layers, ranges = calibrated
    path = tmp_path / "typed.onnx"
    write_mixed(source, path, ("/inner/Conv", "/Sigmoid_2", "/Mul_2"), [layers["/inner/Conv"]], ranges, True)
    model = onnx.load(path)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) == 4
    assert {types[node.input[1]] for node in pairs} == {TensorProto.FLOAT16}
    assert takes_fp16_scales(path)
    assert not takes_fp16_scales(source)
    fp32 = [name for name, kind in weight_types_of_float_layers(model).items() if kind == TensorProto.FLOAT]
    assert "/neck/Conv" in fp32
    assert answer(path) == pytest.approx(answer(source), abs=0.5)


def weight_types_of_float_layers(model: onnx.ModelProto) -> dict[str, int]:
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {
        node.name: types[node.input[1]]
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in types
    }
