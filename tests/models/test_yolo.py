from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from fixtures.errors import BenchError
from fixtures.models.detector import load_detector
from fixtures.models.onnx_export import export_onnx
from fixtures.models.yolo import YoloModel
from fixtures.precision.onnx_session import open_session, run


@pytest.fixture(scope="module")
def model(untrained_checkpoint: Path) -> YoloModel:
    return load_detector(untrained_checkpoint, "cat-dog")


def _raw(*anchors: list[float]) -> torch.Tensor:
    """An output for one image and two classes: each anchor is cx, cy, w, h, score of cat, score of dog."""
    return torch.tensor(anchors).T[None]


def test_a_checkpoint_says_what_it_is(model: YoloModel, untrained_checkpoint: Path):
    assert model.image_size == 64
    assert model.class_names() == ["cat", "dog"]
    assert model.weights.trained
    assert model.weights.size_bytes == untrained_checkpoint.stat().st_size
    assert len(model.weights.sha256) == 64


def test_images_become_letterboxed_rgb_between_0_and_1(model: YoloModel):
    image = np.zeros((32, 64, 3), np.uint8)
    image[..., 0] = 255
    inputs = model.prepare([image, image])
    assert inputs.shape == (2, 3, 64, 64)
    assert inputs[0, :, 32, 32].tolist() == [1, 0, 0]
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([114 / 255] * 3)


def test_the_module_answers_one_tensor_like_ultralytics_own_forward(model: YoloModel):
    from ultralytics import YOLO

    inputs = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        ours = model.module()(inputs)
        theirs = YOLO(model.weights.path).model.float().eval()(inputs)[0]
    assert ours.shape == (2, 4 + 2, 84)
    # BatchNorm is folded in ours alone, so only rounding differs.
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_graph_holds_its_anchors_and_the_widths_of_its_halves(model: YoloModel, tmp_path: Path):
    """What does not depend on the image is no work for an engine."""
    export_onnx(model, torch.rand(2, 3, 64, 64), tmp_path / "yolo.onnx")
    graph = onnx.load(tmp_path / "yolo.onnx").graph
    operators = {node.op_type for node in graph.node}
    assert not operators & {"Range", "ConstantOfShape", "Expand", "Cast"}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    splits = [node for node in graph.node if node.op_type == "Split"]
    assert len(splits) == 8
    assert all(node.input[1] in constants for node in splits)


def test_a_graph_answers_like_its_module_at_any_batch(model: YoloModel, tmp_path: Path):
    export_onnx(model, torch.rand(2, 3, 64, 64), tmp_path / "yolo.onnx")
    inputs = torch.rand(5, 3, 64, 64)
    with torch.no_grad():
        expected = model.module()(inputs)
    session = open_session(tmp_path / "yolo.onnx")
    answer = torch.from_numpy(run(session, {"images": inputs.numpy()})["output0"])
    torch.testing.assert_close(answer, expected, rtol=1e-3, atol=1e-3)


def test_detections_are_in_pixels_of_the_original_image(model: YoloModel):
    output = _raw([32, 32, 16, 8, 0.9, 0.1])
    (found,) = model.detections(output, [(64, 128)])  # twice as wide: scale 0.5, bars of 16 above and below
    assert found.shape == (1, 6)
    assert found[0].tolist() == pytest.approx([48, 24, 80, 40, 0.9, 0], abs=1e-4)


def test_overlapping_boxes_of_one_class_are_suppressed_and_of_two_are_not(model: YoloModel):
    same = _raw([32, 32, 16, 16, 0.9, 0], [32.5, 32, 16, 16, 0.8, 0])
    other = _raw([32, 32, 16, 16, 0.9, 0], [32.5, 32, 16, 16, 0, 0.8])
    assert len(model.detections(same, [(64, 64)])[0]) == 1
    assert len(model.detections(other, [(64, 64)])[0]) == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_anchor_that_is_not_finite_reaches_the_score_as_nan(model: YoloModel, bad: float):
    output = _raw([32, 32, 16, 16, 0.9, 0], [bad, 10, 16, 16, 0.9, 0])
    (found,) = model.detections(output, [(64, 64)])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()
    assert len(found) == 2


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(BenchError, match=r"(?s)not found: .*nothing.pt.*--suite embedded"):
        load_detector(tmp_path / "nothing.pt", "nothing")


@pytest.mark.parametrize("content", ["truncated", "text", "empty"])
def test_damaged_weights_are_named(untrained_checkpoint: Path, tmp_path: Path, content: str):
    path = tmp_path / "damaged.pt"
    whole = untrained_checkpoint.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"<html>404</html>", "empty": b""}[content])
    with pytest.raises(BenchError, match=r"(?s)cannot be read: .*damaged.pt.*download or copy it again"):
        load_detector(path, "damaged")


def test_a_checkpoint_that_is_no_detector_is_refused(tmp_path: Path):
    from ultralytics.nn.tasks import ClassificationModel

    path = tmp_path / "classifier.pt"
    torch.save({"model": ClassificationModel("yolov8n-cls.yaml", nc=3, verbose=False), "train_args": {}}, path)
    with pytest.raises(BenchError, match=r"holds no plain detector: its task is classify"):
        load_detector(path, "classifier")


def test_a_checkpoint_of_another_library_is_refused(tmp_path: Path):
    path = tmp_path / "state.pt"
    torch.save({"model": {"layer.weight": torch.zeros(3)}}, path)
    with pytest.raises(BenchError, match=r"cannot be read: .*state.pt"):
        load_detector(path, "state")
