"""A shipped detector in Ultralytics' own hands: its reader finds the metadata, and its predictor the same boxes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torchvision.ops import box_iou
from ultralytics.nn.backends.base import BaseBackend

from fixtures.backends.onnxrt.cpu import OrtEngine, open_session
from fixtures.models.yolo import YoloModel
from fixtures.runner.workbench import Workbench
from reports.bundle.format import CaseName
from reports.bundle.ultralytics import engine_header, header_bytes, metadata, suffix
from reports.errors import ReportError
from reports.record.results import DETECTOR, LETTERBOX, STRETCH, ModelInterface

IMAGES = 32
SCORE = 0.25
CASE = CaseName(model="yolov8n", task="detection", backend="tensorrt", precision="fp16", batch=8, dynamic_batch=False)
YOLO = ModelInterface(
    kind=DETECTOR,
    input_shape=(3, 480, 640),
    resize=LETTERBOX,
    class_names=("cat", "chien qui dort \N{SLEEPING SYMBOL}"),
    stride=32,
    nms=True,
)

needs_reader = pytest.mark.skipif(
    not hasattr(BaseBackend, "engine_header"), reason="this Ultralytics reads metadata inside its backends alone"
)


def test_ultralytics_predicts_the_same_boxes(shipped: Callable[[str], Path], workbench: Workbench):
    import ultralytics

    folder = shipped("yolov8n")
    model, engine = workbench.sources.yolo, OrtEngine(open_session(folder / "model.onnx"))
    assert isinstance(model, YoloModel)
    images = [workbench.sources.detection.evaluation[place] for place in range(IMAGES)]
    # Of other shapes than the network's too: what a photo is.
    images = [image if place % 2 else np.ascontiguousarray(image[: 150 + place]) for place, image in enumerate(images)]
    yolo = ultralytics.YOLO(str(folder / "yolo.onnx"), task="detect")
    boxes = 0
    for image in images:
        (own,) = model.detections(engine(model.prepare([image])), [image.shape[:2]])
        own = torch.from_numpy(own[own[:, 4] >= SCORE])
        (result,) = yolo.predict(np.ascontiguousarray(image[..., ::-1]), conf=SCORE, iou=0.7, verbose=False, save=False)
        theirs = result.boxes.data
        assert len(own) == len(theirs)
        if not len(own):
            continue
        best = box_iou(own[:, :4], theirs[:, :4]).max(dim=1)
        assert sorted(best.indices.tolist()) == list(range(len(own)))
        assert float(best.values.min()) > 0.99
        assert own[:, 5].tolist() == theirs[best.indices, 5].tolist()
        boxes += len(own)
        assert result.names == dict(enumerate(model.class_names()))
    assert boxes > IMAGES


@needs_reader
def test_its_reader_finds_the_metadata_of_a_graph(shipped: Callable[[str], Path]):
    base = pytest.importorskip("ultralytics.nn.backends.base")
    found = base.BaseBackend.read_metadata(shipped("yolov8n") / "yolo.onnx")
    assert (found["task"], found["stride"], found["imgsz"]) == ("detect", "32", "[256, 256]")
    graph, bare = (onnx.load(shipped("yolov8n") / name) for name in ("yolo.onnx", "model.onnx"))
    assert list(graph.graph.initializer) == list(bare.graph.initializer) and graph.graph.node == bare.graph.node


@needs_reader
def test_its_reader_finds_the_plan_behind_the_metadata_of_an_engine(tmp_path: Path):
    """By Ultralytics' own code, which the loading of an engine begins with; the rest needs TensorRT."""
    base = pytest.importorskip("ultralytics.nn.backends.base")
    entries, plan = metadata(CASE, YOLO, "2026-12-01T09:00:00+00:00"), bytes(range(256)) * 10
    path = tmp_path / "yolo.engine"
    path.write_bytes(engine_header(entries) + plan)
    offset, found = base.BaseBackend.engine_header(path)
    assert path.read_bytes()[offset:] == plan and offset == header_bytes(path)

    class Loaded(base.BaseBackend):
        """What of a backend needs no engine."""

        def load_model(self, weight: Path) -> None:
            self.apply_metadata(self.read_metadata(weight))

        def forward(self, im: torch.Tensor) -> torch.Tensor:
            return im

    loaded = Loaded(path, torch.device("cpu"))
    assert (loaded.task, loaded.stride, loaded.batch, loaded.channels) == ("detect", 32, 8, 3)
    assert (loaded.imgsz, loaded.end2end, loaded.dynamic) == ([480, 640], False, False)
    assert list(loaded.names.values()) == list(YOLO.class_names) and found["names"] == loaded.names


def test_a_plan_without_metadata_is_no_engine_of_ultralytics(tmp_path: Path):
    for content in (b"", b"\0" * 8, b"\xff\xff\xff\x7f" + b"{}", b"\x02\0\0\0[}plan"):
        (tmp_path / "model.engine").write_bytes(content)
        with pytest.raises(ReportError, match="is no engine of Ultralytics"):
            header_bytes(tmp_path / "model.engine")


@pytest.mark.parametrize(
    ("backend", "changed", "expected"),
    [
        ("tensorrt", {}, ".engine"),
        ("trtexec", {}, ".engine"),
        ("onnxruntime", {}, ".onnx"),
        ("onnxruntime-tensorrt", {}, ""),
        ("tensorrt", {"nms": False}, ""),  # corners, not centres: its NMS would take them for others
        ("tensorrt", {"resize": STRETCH}, ""),
        ("tensorrt", {"kind": "image tower"}, ""),
    ],
)
def test_what_ultralytics_would_run_wrongly_has_no_file_for_it(backend: str, changed: dict, expected: str):
    import msgspec

    case = msgspec.structs.replace(CASE, backend=backend)
    assert suffix(case, msgspec.structs.replace(YOLO, **changed)) == expected
