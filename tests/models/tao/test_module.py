"""A graph's PyTorch module: the same arithmetic as ONNX Runtime's, operator by operator, or a refusal."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fixtures.errors import BenchError
from fixtures.models.tao.graph import Artifact, prune
from fixtures.models.tao.module import module_of
from fixtures.models.tao.padding import explicit_padding
from fixtures.models.tao.running import run
from fixtures.models.tao.shapes import fold_shapes, lift_constants
from fixtures.plan.tao import Classification

HERE = Path("net.onnx")
RANDOM = np.random.default_rng(1)


def graph(*nodes: onnx.NodeProto, opset: int = 17, side: int = 9, **constants: np.ndarray) -> onnx.ModelProto:
    """`images` [batch, 4, side, side] → what the last node writes."""
    made = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 4, side, side])],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def weights(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, ["images", *inputs], ["y"], **attributes)


CASES = {
    "Conv, same padding above": graph(
        node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2]), w=weights(6, 4, 3, 3), side=8
    ),
    "Conv, same padding below": graph(
        node("Conv", "w", "b", auto_pad="SAME_LOWER", strides=[2, 2]), w=weights(6, 4, 2, 2), b=weights(6)
    ),
    "Conv, unequal pads": graph(node("Conv", "w", pads=[0, 1, 2, 0]), w=weights(6, 4, 3, 3)),
    "Conv, groups": graph(node("Conv", "w", group=4, dilations=[2, 2], pads=[2, 2, 2, 2]), w=weights(4, 1, 3, 3)),
    "BatchNormalization": graph(
        node("BatchNormalization", "s", "b", "m", "v", epsilon=1e-3),
        s=weights(4), b=weights(4), m=weights(4), v=np.abs(weights(4)),
    ),
    "MaxPool, same padding": graph(node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")),
    "AveragePool": graph(node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)),
    "AveragePool without its padding": graph(node("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    "GlobalAveragePool": graph(node("GlobalAveragePool")),
    "LeakyRelu": graph(node("LeakyRelu", alpha=0.1)),
    "Softmax": graph(node("Softmax", axis=1)),
    "Clip": graph(node("Clip", "low", "high"), low=np.float32(0.2), high=np.float32(0.7)),
    "Slice": graph(node("Slice", "a", "b", "axes", "steps"), a=whole(1), b=whole(-1), axes=whole(2), steps=whole(2)),
    "Pad": graph(node("Pad", "p"), p=whole(0, 0, 1, 2, 0, 0, 3, 4)),
    "Resize": graph(
        node("Resize", "", "s", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        s=np.array([1, 1, 2, 3], np.float32),
    ),
    "ReduceMean": graph(node("ReduceMean", axes=[2, 3], keepdims=0)),
    "Mish": graph(
        helper.make_node("Softplus", ["images"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Mul", ["images", "b"], ["y"]),
    ),
    "Gemm": graph(
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"]),
        w=weights(324, 5), b=weights(5),
    ),
    "MatMul, Reshape of a shape that is worked out": graph(
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["images", "wanted"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
        first=whole(0), rest=whole(36, -1), w=weights(9, 5),
    ),
    "Split, Transpose, Squeeze, Unsqueeze": graph(
        helper.make_node("Split", ["images", "lengths"], ["a", "b"], axis=1),
        helper.make_node("Squeeze", ["a", "axis"], ["c"]),
        helper.make_node("Unsqueeze", ["c", "axis"], ["d"]),
        helper.make_node("Concat", ["d", "b"], ["e"], axis=1),
        helper.make_node("Transpose", ["e"], ["y"], perm=[0, 2, 3, 1]),
        lengths=whole(1, 3), axis=whole(1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_in_onnx_runtime(name: str) -> None:
    model = CASES[name]
    images = RANDOM.random((3, 4, *(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[2:])))
    (wanted,) = run(model, HERE, images := images.astype(np.float32))
    explicit_padding(model)
    lift_constants(model)
    fold_shapes(model, HERE)
    prune(model)
    with torch.no_grad():
        np.testing.assert_allclose(module_of(model, HERE)(torch.from_numpy(images)).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (graph(node("Hardmax")), "Hardmax (writes 'y'): no such operator here"),
        (graph(node("Resize", "", "s", mode="linear"), s=np.array([1, 1, 2, 2], np.float32)), "nearest pixel"),
        (graph(node("Conv", "w", auto_pad="SAME_UPPER"), w=weights(6, 4, 3, 3)), "auto_pad"),
    ],
)
def test_what_is_not_translated_is_refused_by_name(model: onnx.ModelProto, said: str) -> None:
    with pytest.raises(BenchError) as raised:
        module_of(model, HERE)
    assert said in raised.value.what


def test_a_module_that_answers_otherwise_is_no_baseline(tmp_path: Path) -> None:
    model = graph(node("Relu"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    onnx.save_model(model, tmp_path / "net.onnx")
    artifact = Artifact(tmp_path / "net.onnx", Classification(artifact="net.onnx", classes=("a",), size=(9, 9)))
    artifact.check_module(model, torch.nn.ReLU())
    with pytest.raises(BenchError, match="answers otherwise than ONNX Runtime"):
        artifact.check_module(model, torch.nn.Sigmoid())
    with pytest.raises(BenchError, match="answers otherwise than ONNX Runtime"):
        artifact.check_module(model, torch.nn.Flatten())
