"""A checkpoint is what it claims, or is refused while it is read; every family answers as its authors' code does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.errors import BenchError
from fixtures.models.detector import load_detector, read_checkpoint
from fixtures.models.rtdetr import RtDetrModel
from fixtures.models.yolo import HEAD_WITH_NMS, HEAD_WITHOUT_NMS, YoloModel


def _network(yaml: str, kind: str = "DetectionModel", **more: Any) -> Any:
    from ultralytics.nn import tasks

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(tasks, kind)(yaml, nc=2, verbose=False, **more)
    network.names = {0: "cat", 1: "dog"}
    return network


def _saved(path: Path, network: Any, **arguments: Any) -> Path:
    content = {"model": network, "train_args": {"imgsz": 64, "task": "detect"} | arguments}
    torch.save(content | arguments.pop("content", {}), path)
    return path


def _spread(network: Any) -> Any:
    """Scores that differ: fresh heads answer alike everywhere, and which of equals is best is chance."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for tensor in network.model[-1].parameters():
            tensor.normal_(0, 0.3)
    return network


@pytest.fixture(scope="module")
def network() -> Any:
    return _network("yolov8n.yaml", ch=3)


@pytest.fixture(scope="module")
def one_to_one(tmp_path_factory: pytest.TempPathFactory) -> YoloModel:
    network = _spread(_network("yolo26n.yaml", ch=3))
    model = load_detector(_saved(tmp_path_factory.mktemp("v26") / "v26.pt", network), "v26")
    assert isinstance(model, YoloModel)
    return model


def test_another_task_is_refused_by_its_name(tmp_path: Path):
    path = _saved(tmp_path / "pose.pt", _network("yolov8n-pose.yaml", "PoseModel", data_kpt_shape=(17, 3)))
    with pytest.raises(BenchError, match=r"pose.pt holds no plain detector: its task is pose \(keypoints\)"):
        load_detector(path, "pose")


def test_other_channels_than_rgb_are_refused(tmp_path: Path):
    with pytest.raises(BenchError, match=r"gray.pt takes images of 1 channels"):
        load_detector(_saved(tmp_path / "gray.pt", _network("yolov8n.yaml", ch=1)), "gray")


@pytest.mark.parametrize(
    ("size", "shape"), [(64, (64, 64)), ([64], (64, 64)), ([96, 64], (96, 64)), ("64", (64, 64)), (None, (640, 640))]
)
def test_the_input_has_the_shape_that_the_checkpoint_says(network: Any, tmp_path: Path, size: Any, shape: Any):
    assert read_checkpoint(_saved(tmp_path / "x.pt", network, imgsz=size)).image_shape == shape


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (650, r"says imgsz=650, but the stride of its network, 32, does not divide 650"),
        ([64, 100], r"the stride of its network, 32, does not divide 100"),
        ("large", r"says imgsz='large', which is no image size"),
        ([64, 64, 3], r"which is no image size"),
        (-64, r"which is no image size"),
    ],
)
def test_a_shape_that_the_network_cannot_take_is_refused(network: Any, tmp_path: Path, size: Any, said: str):
    with pytest.raises(BenchError, match=said):
        read_checkpoint(_saved(tmp_path / "x.pt", network, imgsz=size))


@pytest.mark.parametrize("names", [{0: "cat"}, ["cat", "dog", "cow"], None, {1: "cat", 2: "dog"}])
def test_names_that_do_not_fit_the_head_are_refused(tmp_path: Path, names: Any):
    network = _network("yolov8n.yaml", ch=3)
    network.names = names
    with pytest.raises(BenchError, match=r"class names for the 2 classes of its head"):
        read_checkpoint(_saved(tmp_path / "x.pt", network))


def test_tensors_that_are_not_finite_are_named(tmp_path: Path):
    network = _network("yolov8n.yaml", ch=3)
    network.state_dict()["model.0.conv.weight"][0] = float("nan")
    with pytest.raises(BenchError, match=r"1 tensors hold NaN or infinity, first model.0.conv.weight"):
        read_checkpoint(_saved(tmp_path / "x.pt", network))


def test_the_record_of_its_training_is_read(network: Any, tmp_path: Path):
    metrics = {"train_metrics": {"metrics/mAP50-95(B)": 0.37}}
    assert read_checkpoint(_saved(tmp_path / "x.pt", network, content=metrics)).recorded_map == 0.37
    assert read_checkpoint(_saved(tmp_path / "y.pt", network)).recorded_map is None


def test_the_head_is_named(network: Any, tmp_path: Path, one_to_one: YoloModel):
    assert load_detector(_saved(tmp_path / "x.pt", network), "x").head == HEAD_WITH_NMS
    assert one_to_one.head == HEAD_WITHOUT_NMS


def test_a_one_to_one_head_finds_what_its_authors_code_finds(one_to_one: YoloModel):
    images = [np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8) for seed in (1, 2)]
    inputs = one_to_one.prepare(images)
    with torch.no_grad():
        ours = one_to_one.detections(one_to_one.module()(inputs), [(64, 64)] * 2)
        network = one_to_one._load()
        theirs, _ = network(inputs)  # [B, 300, 6]: the authors' own choice, no NMS
    for found, every in zip(ours, theirs, strict=True):
        expected = every[every[:, 4] > 0.001]
        assert len(found) == len(expected)
        np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=1e-5)
        np.testing.assert_allclose(found[:, :4], expected[:, :4].clamp(0, 64), atol=1e-2)
        assert np.array_equal(found[:, 5], expected[:, 5])


def test_a_rectangle_is_filled_and_boxes_come_back(network: Any, tmp_path: Path):
    model = load_detector(_saved(tmp_path / "x.pt", network, imgsz=[64, 128]), "x")
    inputs = model.prepare([np.full((50, 100, 3), 255, np.uint8), np.full((200, 100, 3), 255, np.uint8)])
    assert inputs.shape == (2, 3, 64, 128)
    output = torch.zeros(1, 6, 3)
    output[0, :, 0] = torch.tensor([64.0, 32.0, 128.0, 64.0, 0.9, 0.1])
    (found,) = model.detections(output, [(50, 100)])
    assert found[0] == pytest.approx([0, 0, 100, 50, 0.9, 0], abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1), (20, 3000), (3, 7)])
def test_images_of_any_shape_are_prepared(network: Any, tmp_path: Path, shape: tuple[int, int]):
    model = load_detector(_saved(tmp_path / "x.pt", network), "x")
    assert model.prepare([np.zeros((*shape, 3), np.uint8)]).shape == (1, 3, 64, 64)


def _tiny_rtdetr(tmp_path: Path) -> Path:
    """RT-DETR's decoder on a backbone of a few layers; weights by chance."""
    from ultralytics.nn.tasks import RTDETRDetectionModel

    layers: dict[str, Any] = {
        "nc": 2,
        "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]]]
        + [[-1, 1, "Conv", [width, 3, 2]] for width in (32, 48, 64)],
        "head": [[[2, 3, 4], 1, "RTDETRDecoder", ["nc", 32, 20, 4, 4, 2, 64]]],
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RTDETRDetectionModel(layers, ch=3, nc=2, verbose=False)
    network.names = {0: "cat", 1: "dog"}
    return _saved(tmp_path / "rtdetr.pt", _spread(network))


def test_rt_detr_is_a_family(tmp_path: Path):
    model = load_detector(_tiny_rtdetr(tmp_path), "rtdetr")
    assert isinstance(model, RtDetrModel) and model.head == "transformer decoder, no NMS: the best 300"
    inputs = model.prepare([np.zeros((30, 90, 3), np.uint8)])
    assert inputs.shape == (1, 3, 64, 64)
    with torch.no_grad():
        output = model.module()(inputs)
    assert output.shape == (1, 20, 6)
    (found,) = model.detections(output, [(30, 90)])
    assert len(found) == 20  # pairs of query and class: as many as there are queries
    with torch.no_grad():
        theirs, _ = model._load()(inputs)
    if theirs.shape[2] == 6 and theirs.shape[1] == 20:  # newer versions choose within the head, as well
        np.testing.assert_allclose(found[:, 4], theirs[0, :, 4], atol=1e-5)


def test_queries_become_boxes_of_the_stretched_image(tmp_path: Path):
    model = load_detector(_tiny_rtdetr(tmp_path), "rtdetr")
    output = torch.tensor([[[0.5, 0.5, 0.2, 0.4, 0.9, 0.0], [float("nan")] * 6]])
    (found,) = model.detections(output, [(100, 200)])
    assert found[0] == pytest.approx([80, 30, 120, 70, 0.9, 0], abs=1e-4)
    assert np.isnan(found[-1]).all() and len(found) == 2


def test_a_graph_of_each_head_answers_like_its_module(tmp_path: Path, one_to_one: YoloModel):
    from fixtures.models.onnx_export import export_onnx
    from fixtures.precision.onnx_session import open_session, run

    for model in (one_to_one, load_detector(_tiny_rtdetr(tmp_path), "rtdetr")):
        inputs = model.prepare([np.random.default_rng(n).integers(0, 255, (40, 60, 3), np.uint8) for n in range(3)])
        graph = tmp_path / f"{model.name}.onnx"
        export_onnx(model, inputs, graph)
        with torch.no_grad():
            expected = model.module()(inputs).numpy()
        found = run(open_session(graph), {model.input_name: inputs.numpy()})[model.output_name]
        np.testing.assert_allclose(found, expected, atol=2e-3)


def _families() -> list[Callable[..., object]]:
    from fixtures.models import registry

    return [registry.detector_family(head).detector for head in registry.DETECTORS]


def test_every_line_of_the_registry_is_a_family():
    assert all(callable(each) for each in _families())
