"""What of a graph can be INT8, and what its structure keeps in float."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures.precision.quantizable_layers import find_layers, kept_by_structure, name_nodes

LAST = "last layer: writes the raw predictions"


def graph(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    """A model around `nodes` from `x` to `y`; shapes matter nowhere here."""
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    made = helper.make_graph(nodes, "test", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


def node(op: str, inputs: str, output: str, **attributes: int) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def test_layers_are_nodes_with_a_constant_weight():
    model = graph(
        [
            node("Conv", "x conv_w conv_b", "conv"),
            node("MatMul", "conv matmul_w", "matmul"),
            node("MatMul", "matmul matmul", "attention"),
            node("Gemm", "attention gemm_w", "gemm", transB=1),
            node("Gemm", "gemm other_w", "other"),
            node("MatMul", "other batched_w", "batched"),
            node("Add", "batched conv_b", "y"),
        ],
        {
            "batched_w": (2, 64, 64),
            "conv_w": (8, 4, 3, 3),
            "conv_b": (8,),
            "matmul_w": (8, 16),
            "gemm_w": (32, 16),
            "other_w": (32, 64),
        },
    )
    layers = find_layers(model)
    assert [layer.name for layer in layers] == ["conv", "matmul", "gemm", "other"]
    assert [(layer.channels_in, layer.channels_out) for layer in layers] == [(4, 8), (8, 16), (16, 32), (32, 64)]
    assert [(layer.activation, layer.weight) for layer in layers][1] == ("conv", "matmul_w")


def test_the_channels_of_a_grouped_convolution_are_those_of_its_input():
    model = graph([node("Conv", "x w", "y", group=16)], {"w": (16, 1, 3, 3)})
    assert find_layers(model)[0].channels_in == 16


def test_narrow_layers_stay_in_float_and_do_not_hide_the_last_ones():
    # Two heads as YOLOv8 has them: one ends in a one-channel expectation over bins, one does not.
    model = graph(
        [
            node("Conv", "x rgb_w", "rgb"),
            node("Conv", "rgb body_w", "body"),
            node("Conv", "body head_w", "boxes"),
            node("Softmax", "boxes", "bins"),
            node("Conv", "bins expect_w", "distance"),
            node("Conv", "body head_w", "classes"),
            node("Concat", "distance classes", "y", axis=1),
        ],
        {"rgb_w": (32, 3, 3, 3), "body_w": (32, 32, 3, 3), "head_w": (32, 32, 1, 1), "expect_w": (1, 32, 1, 1)},
    )
    reasons = kept_by_structure(model, find_layers(model))
    assert {name: reason.split(":")[-1].strip() for name, reason in reasons.items()} == {
        "rgb": "nothing to gain",
        "distance": "nothing to gain",
        "boxes": "writes the raw predictions",
        "classes": "writes the raw predictions",
    }


@pytest.mark.parametrize(
    ("first", "second", "third", "kept"),
    [
        # A layer of half a channel group gains nothing.
        ((16, 64), (32, 32), (64, 32), {"first": "64 → 16 channels: nothing to gain", "y": LAST}),
        # A detector of five classes ends in its classes, and not before them.
        ((64, 64), (64, 64), (5, 64), {"y": LAST}),
    ],
)
def test_what_of_a_chain_stays_in_float(
    first: tuple[int, ...], second: tuple[int, ...], third: tuple[int, ...], kept: dict[str, str]
):
    shapes = {name: (*channels, 1, 1) for name, channels in (("w1", first), ("w2", second), ("w3", third))}
    nodes = [node("Conv", "x w1", "first"), node("Conv", "first w2", "second"), node("Conv", "second w3", "y")]
    model = graph(nodes, shapes)
    assert kept_by_structure(model, find_layers(model)) == kept


def test_a_layer_on_a_residual_path_is_not_a_last_one():
    model = graph(
        [
            node("MatMul", "x w", "first"),
            node("Add", "x first", "stream"),
            node("MatMul", "stream w", "second"),
            node("Add", "stream second", "end"),
            node("MatMul", "end w", "y"),
        ],
        {"w": (32, 32)},
    )
    assert set(kept_by_structure(model, find_layers(model))) == {"y"}


def test_nameless_nodes_get_names_of_their_own():
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"], name="Relu_0")]
    model = graph(nodes, {})
    name_nodes(model.graph)
    names = [node.name for node in model.graph.node]
    assert names == ["Relu_1", "Relu_0"]
