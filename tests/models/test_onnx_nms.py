"""NMS inside a detector's graph, as ONNX Runtime computes it, against Ultralytics' NMS outside."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from fixtures.backends.onnxrt.cpu import OrtEngine, open_session
from fixtures.backends.onnxrt.tensorrt import fix_batch
from fixtures.models import onnx_nms
from fixtures.models.onnx_export import OPSET
from fixtures.models.onnx_nms import OUTPUT_NAME, with_nms
from fixtures.models.yolo import MAX_DETECTIONS, NMS_CANDIDATES
from fixtures.pipeline.nms.ultralytics import UltralyticsNms
from fixtures.precision.int8_fp16 import to_int8_with_fp16_rest
from tests.pipeline.test_nms import ANCHORS, CLASSES, crowded


@pytest.fixture
def engine(tmp_path: Path):
    """Raw boxes in, detections out: a graph of one node, and NMS behind it."""

    def make(confidence: float = 0.25, anchors: int = ANCHORS, classes: int = CLASSES) -> OrtEngine:
        shape = ["batch", 4 + classes, anchors]
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("raw", "output0")]
        graph = helper.make_graph([helper.make_node("Identity", ["raw"], ["output0"])], "g", values[:1], values[1:])
        opset = helper.make_opsetid("", OPSET)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "raw.onnx")
        with_nms(tmp_path / "raw.onnx", tmp_path / "nms.onnx", classes, anchors, confidence)
        onnx.checker.check_model(str(tmp_path / "nms.onnx"), full_check=True)
        return OrtEngine(open_session(tmp_path / "nms.onnx"))

    return make


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """The same boxes, scores and classes in the same order, and nothing behind them."""
    torch.testing.assert_close(found, expected[:, : found.shape[1]], rtol=1e-5, atol=1e-3)
    assert not expected[:, found.shape[1] :].any()


@pytest.mark.parametrize("confidence", [0.25, 0.001])
@pytest.mark.parametrize("seed", range(3))
def test_the_boxes_that_ultralytics_selects(engine, seed, confidence):
    raw = crowded(seed=seed)
    detections, expected = engine(confidence)(raw), UltralyticsNms(confidence).select(raw.clone())
    assert detections.shape == (3, MAX_DETECTIONS, 6) and (expected[..., 4] > 0).sum(dim=1).min() > 5
    assert_same(detections, expected)


@pytest.mark.parametrize("wrong", ["confidence", "overlap", "most boxes"])
def test_another_threshold_selects_other_boxes(engine, wrong, monkeypatch):
    """The comparison above can fail."""
    raw = crowded()
    expected = UltralyticsNms(0.25).select(raw.clone())
    if wrong == "overlap":
        monkeypatch.setattr(onnx_nms, "NMS_IOU", 0.6)
    if wrong == "most boxes":
        monkeypatch.setattr(onnx_nms, "MAX_DETECTIONS", 5)
    with pytest.raises(AssertionError):
        assert_same(engine(0.3 if wrong == "confidence" else 0.25)(raw), expected)


def test_photos_without_objects_beside_one_with_some(engine):
    raw = crowded()
    raw[::2, 4:] = 0
    detections = engine()(raw)
    assert not detections[::2].any() and detections[1].any()
    assert not engine()(torch.zeros(2, 4 + CLASSES, ANCHORS)).any()


def test_a_box_is_selected_for_its_best_class_alone(engine):
    raw = torch.zeros(1, 4 + CLASSES, ANCHORS)
    raw[0, :, 7] = torch.tensor([100.0, 90.0, 20.0, 10.0, 0.3, 0.9, 0.5, 0.0, 0.8])
    (box,) = engine()(raw)[0][:1]
    torch.testing.assert_close(box, torch.tensor([90.0, 85.0, 110.0, 95.0, 0.9, 1.0]))
    assert not engine()(raw)[0][1:].any()


def test_the_best_anchors_of_many_and_all_of_few(engine):
    raw = torch.zeros(1, 4 + CLASSES, NMS_CANDIDATES + 500)
    places = torch.arange(raw.shape[2])
    raw[0, :4] = torch.stack([places * 30.0, places * 0.0, *torch.full((2, len(places)), 20.0)])
    raw[0, 4] = (places + 1) / (len(places) + 1)
    detections = engine(0.25, anchors=len(places))(raw)
    assert (detections[0, :, 4] > 0).all() and detections[0, 0, 4] == raw[0, 4].max()
    assert_same(detections, UltralyticsNms(0.25).select(raw.clone()))
    assert engine(0.25, anchors=20)(raw[..., -20:]).shape == (1, 20, 6)


def test_for_tensorrt_limits_and_sizes_are_constants(detector_graph, tmp_path):
    """The parser wants one number each for the limits, and the bindings a size before the engine runs."""
    path = tmp_path / "nms.onnx"
    with_nms(detector_graph, path, 12, 8400, 0.25)
    model = onnx.load(path)
    constants = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    (nms,) = (node for node in model.graph.node if node.op_type == "NonMaxSuppression")
    assert [constants[name] for name in nms.input[2:]] == [[1], [1], [1]]
    top = [node for node in model.graph.node if node.op_type == "TopK"]
    assert len(top) == 2 and all(node.input[1] in constants for node in top)
    fix_batch(model, 8)
    (output,) = model.graph.output
    assert output.name == OUTPUT_NAME
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [8, MAX_DETECTIONS, 6]


def test_an_fp16_rest_leaves_the_boxes_where_they_are(detector_graph, tmp_path):
    """What TensorRT gets for INT8 since 10.12: everything that is not INT8 in FP16, coordinates and NMS in FP32."""
    paths = [tmp_path / name for name in ("nms.onnx", "rest.onnx")]
    with_nms(detector_graph, paths[0], 12, 8400, 0.001)
    to_int8_with_fp16_rest(*paths)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(onnx.load(paths[1])).graph.value_info
    }
    assert TensorProto.FLOAT16 in types.values()
    added = [types[name] for name in types if name.startswith(onnx_nms.PREFIX)]
    assert len(added) > 20 and TensorProto.FLOAT16 not in added
    images = torch.rand(1, 3, 640, 640, generator=torch.Generator().manual_seed(0))
    exact, rounded = (OrtEngine(open_session(path))(images)[0] for path in paths)
    assert exact[0, 4] > 0
    torch.testing.assert_close(rounded[:3], exact[:3], rtol=0.02, atol=2.0)
