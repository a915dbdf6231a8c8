"""Which layers of a TensorRT network are constrained to FP32, on networks as its parser makes them of real graphs."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures.backends.base import EngineOptions
from fixtures.backends.trt import builder
from fixtures.backends.trt.fp32_constraints import keep_coordinates
from fixtures.embedded.weights import clip_path
from fixtures.models.clip import load_clip
from fixtures.models.onnx_export import export_onnx
from fixtures.precision.fp16 import to_fp16
from tests.backends.trt.test_builder import Config, tensorrt
from tests.helpers.networks import write_detector

OBEY = "OBEY_PRECISION_CONSTRAINTS"
# How the parser of 8.6 imports the operators of these graphs (builtin_op_importers.cpp of onnx-tensorrt).
OPERATORS = {
    "ELEMENTWISE": "Add Sub Mul Div Equal Less Greater LessOrEqual GreaterOrEqual",
    "SHUFFLE": "Reshape Transpose Squeeze Unsqueeze Flatten",
    "MATRIX_MULTIPLY": "MatMul",
    "SLICE": "Slice Split Expand",
    "CONVOLUTION": "Conv",
    "CONCATENATION": "Concat",
    "ACTIVATION": "Sigmoid",
    "SOFTMAX": "Softmax",
    "SHAPE": "Shape",
    "POOLING": "MaxPool",
    "RESIZE": "Resize",
    "GATHER": "Gather",
    "CAST": "Cast",
    "NORMALIZATION": "LayerNormalization",
    "SELECT": "Where Trilu",
    "TOPK": "ArgMax",
    "FILL": "Range ConstantOfShape",
}
KINDS = {op: kind for kind, operators in OPERATORS.items() for op in operators.split()}
Type = Enum("Type", ["float32", "float16", "int32"])
TYPES = {TensorProto.FLOAT: Type.float32, TensorProto.FLOAT16: Type.float16}


@dataclass
class Tensor:
    name: str
    dtype: Type
    shape: tuple[int, ...] = ()

    @property
    def is_shape_tensor(self) -> bool:
        return self.dtype is Type.int32


@dataclass
class Layer:
    """A layer as the bindings of 8.6 show it: its base class alone."""

    name: str
    kind: str
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    precision: Type | None = None
    output_types: dict[int, Type] = field(default_factory=dict)

    @property
    def type(self) -> Any:
        return SimpleNamespace(name=self.kind)

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    def get_input(self, index: int) -> Tensor | None:
        return self.inputs[index]

    def get_output(self, index: int) -> Tensor:
        return self.outputs[index]

    def set_output_type(self, index: int, kind: Type) -> None:
        self.output_types[index] = kind


class Network:
    """What a parser makes of an ONNX graph: constants become layers, and a constant of fewer axes is reshaped first."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        inferred = onnx.shape_inference.infer_shapes(model).graph
        types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
        self.layers: list[Layer] = []
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.tensors = {value.name: Tensor(value.name, Type.float32) for value in model.graph.input}
        for node in model.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = node.attribute[0].t
                continue
            inputs = [self._read(name, node.op_type) for name in node.input]
            for name in node.output:
                self.tensors[name] = Tensor(name, TYPES.get(types.get(name, 0), Type.int32))
            self._add(node.name, KINDS[node.op_type], inputs, [self.tensors[name] for name in node.output])

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def get_layer(self, index: int) -> Layer:
        return self.layers[index]

    @property
    def constrained(self) -> list[str]:
        """The layers that were told anything at all."""
        return [layer.name for layer in self.layers if layer.precision or layer.output_types]

    def _read(self, name: str, op: str) -> Tensor | None:
        if name not in self.constants:
            return self.tensors.get(name)
        constant = self.constants[name]
        shape, kind = tuple(constant.dims), TYPES.get(constant.data_type, Type.int32)
        made = self._add(name, "CONSTANT", [], [Tensor(f"{name} {len(self.layers)}", kind, shape)])
        if KINDS[op] != "ELEMENTWISE" or len(shape) >= 3:
            return made
        wider = Tensor(f"{name} {len(self.layers)}", kind, (1,) * (3 - len(shape)) + shape)
        return self._add(f"(Unnamed Layer* {len(self.layers)}) [Shuffle]", "SHUFFLE", [made, None], [wider])

    def _add(self, name: str, kind: str, inputs: list[Tensor | None], outputs: list[Tensor]) -> Tensor:
        self.layers.append(Layer(name, kind, inputs, outputs))
        return outputs[0]


def with_types(trt: Any) -> Any:
    trt.float32, trt.float16 = Type.float32, Type.float16
    return trt


def kept(network: Network) -> set[str]:
    """What a builder's configuration is told when the coordinates of `network` are kept in FP32."""
    config = Config()
    keep_coordinates(with_types(tensorrt("8.6.1")), config, network)
    return config.flags - {"TF32"}


@pytest.fixture(scope="module")
def half(detector_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("constrained") / "fp16.onnx"
    to_fp16(detector_graph, path)
    return path


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_exactly_the_arithmetic_of_boxes_is_constrained(precision: str, detector_graph: Path, half: Path):
    """In the types of an INT8 graph, whose rest is FP32, and in those of an FP16 graph."""
    network = Network({"fp32": detector_graph, "fp16": half}[precision])
    assert kept(network) == {OBEY}
    names = [name.rsplit("/", 1)[-1] for name in network.constrained]
    assert sorted(names) == sorted(
        ["Reshape_1", "Slice", "Slice_1", "Sub", "Add_1", "Add_2", "Div_1", "Sub_1", "Concat_8", "Mul_2", "Concat_9"]
    )
    for layer in network.layers:
        if layer.name in network.constrained:
            assert layer.precision is Type.float32
            assert layer.output_types == {0: Type.float32}


def test_networks_without_coordinates_are_left_alone(tmp_path: Path):
    towers = load_clip(str(clip_path()), allow_download=False)
    examples = towers[0].prepare([np.zeros((32, 32, 3), np.uint8)] * 2), towers[1].prepare(["a", "b"])
    graphs = [write_detector(tmp_path / "detector.onnx")]
    for tower, example in zip(towers, examples, strict=True):
        graphs.append(tmp_path / f"{tower.input_name}.onnx")
        export_onnx(tower, example, graphs[-1])
    for graph in graphs:
        network = Network(graph)
        assert kept(network) == set()
        assert network.constrained == []


def test_a_probed_network_is_constrained_where_it_was(half: Path, tmp_path: Path):
    """Outputs in the middle, as the search for a divergence asks for them, are no ends of their own."""
    model = onnx.load(half)
    middle = next(node.output[0] for node in model.graph.node if node.op_type == "Add")
    model.graph.output.append(helper.make_tensor_value_info(middle, TensorProto.FLOAT16, None))
    onnx.save(model, tmp_path / "probed.onnx")
    plain, probed = Network(half), Network(tmp_path / "probed.onnx")
    assert kept(plain) == kept(probed) == {OBEY}
    assert probed.constrained == plain.constrained


def test_positions_of_fewer_axes_are_found_behind_their_reshape(tmp_path: Path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["distances"], "distances"),
        helper.make_node("Add", ["distances", "anchors"], ["boxes"], "boxes"),
    ]
    constants = [numpy_helper.from_array(np.ones(s, np.float32), n) for n, s in (("w", (2, 3, 1)), ("anchors", (2, 5)))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, c, 5]) for name, c in (("x", 3), ("boxes", 2))]
    graph = helper.make_graph(nodes, "boxes", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "boxes.onnx")
    network = Network(tmp_path / "boxes.onnx")
    assert kept(network) == {OBEY}
    assert network.constrained == ["boxes"]


@pytest.mark.parametrize(
    ("version", "precision", "flags"),
    [
        ("8.6.1", "fp32", set()),
        ("8.6.1", "fp16", {"FP16", OBEY}),
        ("8.6.1", "int8", {"FP16", "INT8", OBEY}),
        ("10.3.0", "int8", {"FP16", "INT8", OBEY}),
        ("10.12.0", "fp16", set()),
        ("11.1.0", "int8", set()),
    ],
)
def test_builders_that_take_types_as_hints_get_constraints(version: str, precision: str, flags: set[str], half: Path):
    """Not for FP32, where there is nothing to keep, and not under strong typing, which refuses them."""
    config, network = Config(), Network(half)
    trt = with_types(tensorrt(version))
    builder._configure(trt, config, network, builder.typing_of(version), precision, EngineOptions())
    assert config.flags == flags
    assert bool(network.constrained) == (OBEY in flags)
