"""Blocks of a network by the names in its graph."""

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from fixtures.errors import BenchError
from fixtures.precision.int8 import load_for_int8
from fixtures.search.groups import block_of, find_groups
from tests.helpers.networks import write_detector


@pytest.mark.parametrize(
    ("node", "block"),
    [
        ("/tower/encoder/layers.0/mlp/fc1/MatMul", "/tower/encoder/layers.0"),
        ("/model.22/cv2.0/cv2.0.0/conv/Conv", "/model.22"),
        ("/tower/embeddings/patch_embedding/Conv", "/tower/embeddings"),
        ("/projection/MatMul", "/projection"),
        ("/Concat_1", "/Concat_1"),
        ("Conv_3", "Conv_3"),
    ],
)
def test_a_block_is_the_outermost_element_of_a_list_else_two_parts_of_the_name(node: str, block: str):
    assert block_of(node) == block


def test_every_node_belongs_to_one_group_and_every_candidate_layer_too(tmp_path: Path):
    model = load_for_int8(write_detector(tmp_path / "detector.onnx"))
    groups = find_groups(model)
    nodes = [name for group in groups for name in group.nodes]
    assert sorted(nodes) == sorted(node.name for node in model.graph.node)
    assert [group.name for group in groups] == ["/stem", "/loud", "/inner", "/down", "/neck", "/boxes", "/classes"]
    assert [len(group.layers) for group in groups] == [0, 1, 1, 1, 1, 0, 0]


def test_a_graph_without_weights_has_nothing_to_choose():
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "relu")], "empty", floats[:1], floats[1:])
    with pytest.raises(BenchError, match="no layer with constant weights"):
        find_groups(helper.make_model(graph))
