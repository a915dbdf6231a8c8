"""FP32 graph → FP16 graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures.backends.trt.typed_layers import typed_layers
from fixtures.embedded.weights import clip_path
from fixtures.models.clip import load_clip
from fixtures.models.onnx_export import EXAMPLE_BATCH, export_onnx
from fixtures.precision import fp16
from fixtures.precision.box_coordinates import is_table
from fixtures.precision.fp16 import to_fp16
from fixtures.precision.onnx_session import open_session, run
from tests.helpers.networks import FLOAT_IO, element_types, image_feeds, initializers, io_types, write_detector


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


@pytest.fixture(scope="module")
def detector(detector_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FP16 graph of the embedded YOLOv8n."""
    path = tmp_path_factory.mktemp("boxes") / "fp16.onnx"
    to_fp16(detector_graph, path)
    return path


def convert_wholly(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The FP16 graph as it is without the rule for coordinates."""
    with monkeypatch.context() as patched:
        patched.setattr(fp16, "coordinate_nodes", lambda _: ())
        to_fp16(source, target)
    return target


def test_coordinates_stay_fp32_behind_casts_and_every_layer_is_fp16(detector: Path):
    half = onnx.load(detector)
    types = element_types(half)
    assert io_types(half) == FLOAT_IO
    layers = typed_layers(half)
    assert set(layers) == {"fp16"} and layers["fp16"] > 60
    casts = [node for node in half.graph.node if node.op_type == "Cast"]
    writers = {name: node.op_type for node in half.graph.node for name in node.output}
    # The distances, which the expectation over bins writes, and the scores.
    assert [writers.get(node.input[0], "input") for node in casts] == ["input", "Conv", "Sigmoid"]
    tail = {name for node in half.graph.node if types.get(node.output[0]) == TensorProto.FLOAT for name in node.output}
    operators = sorted(node.op_type for node in half.graph.node if tail & set(node.output) and node not in casts)
    # The Concat that writes the output is none of them: the graph's own outputs are not among inferred types.
    assert operators == sorted(["Reshape", "Slice", "Slice", "Sub", "Add", "Add", "Div", "Sub", "Concat", "Mul"])
    assert [node.op_type for node in half.graph.node if node.output[0] == "output0"] == ["Concat"]
    tables = [tensor for tensor in half.graph.initializer if is_table(tensor.dims) and tensor.data_type == 1]
    assert [list(tensor.dims) for tensor in tables] == [[1, 2, 8400]] * 2


def test_boxes_agree_with_fp32_where_a_wholly_converted_graph_moves_them(
    detector_graph: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = convert_wholly(detector_graph, tmp_path / "whole.onnx", monkeypatch)
    (feed,) = image_feeds(1, seed=0, side=640)
    expected, found, moved = (
        run(open_session(path), feed)["output0"][:, :4] for path in (detector_graph, detector, whole)
    )
    # Pixels. What is left comes from the distances, which are FP16.
    assert np.abs(found - expected).max() < 0.1
    assert np.abs(moved - expected).max() > 0.25
    assert np.abs(found - expected).mean() < 0.25 * np.abs(moved - expected).mean()


def test_a_graph_without_coordinates_is_converted_wholly(graphs: tuple[Path, Path], tmp_path: Path, monkeypatch):
    towers = load_clip(str(clip_path()), allow_download=False)
    inputs = towers[0].prepare([np.zeros((32, 32, 3), np.uint8)] * EXAMPLE_BATCH), towers[1].prepare(["a", "b"])
    sources = [graphs[0]]
    for tower, example in zip(towers, inputs, strict=True):
        sources.append(tmp_path / f"{tower.input_name}.onnx")
        export_onnx(tower, example, sources[-1])
    for source in sources:
        to_fp16(source, tmp_path / "fp16.onnx")
        whole = convert_wholly(source, tmp_path / "whole.onnx", monkeypatch)
        assert (tmp_path / "fp16.onnx").read_bytes() == whole.read_bytes(), source.name


def test_a_constant_that_layers_and_coordinates_share_is_there_in_both_types(tmp_path: Path):
    """Two ends of which one is a layer's, and an output that the coordinates read."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"], "doubled"),
        helper.make_node("MatMul", ["doubled", "w"], ["distances"], "layer"),
        helper.make_node("Mul", ["distances", "two"], ["far"], "far"),
        helper.make_node("Add", ["far", "anchors"], ["boxes"], "boxes"),
    ]
    constants = [
        numpy_helper.from_array(np.full((), 2, np.float32), "two"),
        numpy_helper.from_array(np.eye(3, dtype=np.float32), "w"),
        numpy_helper.from_array(np.full((2, 3), 639.25, np.float32), "anchors"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "boxes", "distances")]
    graph = helper.make_graph(nodes, "shared", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "fp32.onnx")
    to_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    half = onnx.load(tmp_path / "fp16.onnx")
    assert [value.name for value in half.graph.output] == ["boxes", "distances"] and io_types(half) == FLOAT_IO
    kinds = {name: str(values.dtype) for name, values in initializers(half).items()}
    assert kinds == {"two": "float16", "two_fp32": "float32", "w": "float16", "anchors": "float32"}
    answer = run(open_session(tmp_path / "fp16.onnx"), {"x": np.ones((2, 3), np.float32)})
    assert (answer["distances"] == 2).all() and (answer["boxes"] == 643.25).all()
