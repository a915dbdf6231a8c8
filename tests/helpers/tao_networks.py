"""Networks with the interfaces of TAO's artifacts, on the backbone of the embedded detector, and the data they know.

NVIDIA's artifacts are not redistributable. Names, shapes and normalisation are theirs; the weights are this project's,
with a head that is fitted here in seconds to drawn scenes.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional

from fixtures.datasets.synthetic import dataset
from fixtures.datasets.synthetic.dataset import SHAPES, coco_annotations, detection_scene, zero_shot_scene
from fixtures.embedded.weights import load_yolo
from fixtures.models.base import Weights
from fixtures.models.yolo import YoloModel
from fixtures.plan.tao import CAFFE_MEAN

STRIDE, OFFSET, SCALE = 16, 0.5, 35
NO_WEIGHTS = Weights("", "", "", 0, trained=True)
EVALUATED = 32


@dataclass(frozen=True)
class Made:
    """An artifact's description file, and the PyTorch network that it was exported from."""

    description: Path
    twin: nn.Module


class Backbone(nn.Module):
    """The embedded detector up to its head: RGB in 0..1 [B, 3, H, W] → its features of stride 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        network = load_yolo()
        self.layers, self.head = network.model[:-1].eval(), network.model[-1].eval()
        for layer in self.layers.modules():
            if hasattr(layer, "forward_split"):
                layer.forward = layer.forward_split

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = [images]
        for layer in self.layers:
            places = [layer.f] if isinstance(layer.f, int) else layer.f
            read = [features[place if place == -1 else place + 1] for place in places]
            features.append(layer(read[0] if isinstance(layer.f, int) else read))
        return [features[place + 1] for place in self.head.f]


class Classifier(nn.Module):
    """`input_1` [B, 3, H, W], BGR in 0..255 less Keras' mean → `predictions/Softmax` [B, C]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.linear = nn.Linear(3 * len(SHAPES), classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The strongest answer of the detector for each of its classes at each stride."""
        scores = [head(each) for head, each in zip(self.backbone.head.cv3, self.backbone(rgb(images)), strict=True)]
        return torch.cat([functional.adaptive_max_pool2d(each, 1).flatten(1) for each in scores], dim=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.features(images)).softmax(dim=1)


class Grid(nn.Module):
    """`input_1` [B, 3, H, W], RGB in 0..1 → `output_cov/Sigmoid` [B, C, h, w] and `output_bbox/BiasAdd` [B, 4C, h, w].

    What the embedded detector says at stride 16, in DetectNet_v2's terms: its cells are centred 7.5 pixels before the
    detector's, and its distances are in units of 35 pixels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head, self.classes = self.backbone.head, classes
        self.bins = self.head.dfl.conv.weight.data.flatten()
        elsewhere = (STRIDE / 2 - OFFSET) / SCALE
        self.shift = torch.tensor([-elsewhere, -elsewhere, elsewhere, elsewhere])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        middle = self.backbone(images)[1]
        raw = self.head.cv2[1](middle)
        shares = raw.reshape(-1, 4, len(self.bins), *raw.shape[2:]).softmax(dim=2)
        distances = (shares * self.bins[None, None, :, None, None]).sum(dim=2)
        boxes = distances * (STRIDE / SCALE) + self.shift[None, :, None, None]
        return self.head.cv3[1](middle).sigmoid(), torch.cat([boxes] * self.classes, dim=1)


class Corners(nn.Module):
    """`Input` [B, 3, H, W], BGR in 0..255 less Keras' mean → corners [B, N, 1, 4] in 0..1 and scores [B, N, C]."""

    def __init__(self, side: int) -> None:
        super().__init__()
        network = load_yolo()
        self.detector, self.side = YoloModel("yolo", NO_WEIGHTS, lambda: network, side).module(), side

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.detector(rgb(images)).transpose(1, 2)
        centres, halves = features[..., :2], features[..., 2:4] / 2
        corners = torch.cat([centres - halves, centres + halves], dim=2) / self.side
        return corners.unsqueeze(2), features[..., 4:]


def rgb(images: torch.Tensor) -> torch.Tensor:
    """What Keras' "caffe" mode made, as RGB in 0..1."""
    pixels = images + torch.tensor(CAFFE_MEAN)[None, :, None, None]
    return torch.cat([pixels[:, 2:3], pixels[:, 1:2], pixels[:, 0:1]], dim=1) / 255


def classification(folder: Path, side: int = 96, images: int = 500) -> Made:
    """A classifier of the drawn shapes in `folder`, whose pictures it cuts as TAO does."""
    from fixtures.models.tao.images import prepared
    from fixtures.plan.tao import read_description

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Classifier(len(SHAPES))
    path = write_description(
        folder / "shapes_tao.toml",
        kind="classification",
        artifact="classifier.onnx",
        classes=list(SHAPES),
        size=[side, side],
        resize="stretch",
    )
    export(network, side, folder / "classifier.onnx", "input_1", ["predictions/Softmax"])
    scenes = [zero_shot_scene(number) for number in dataset.TRAINING_IDS[:images]]
    described = read_description(path)
    with torch.no_grad():
        parts = [
            network.features(prepared(described, [scene.image for scene in scenes[start : start + 50]]))
            for start in range(0, images, 50)
        ]
    features, labels = torch.cat(parts), torch.tensor([scene.objects[0].shape for scene in scenes])
    loss = nn.CrossEntropyLoss()
    fit(network.linear.parameters(), lambda: loss(network.linear(features), labels), steps=300)
    export(network, side, folder / "classifier.onnx", "input_1", ["predictions/Softmax"])
    return Made(path, network)


def detectnet_v2(folder: Path, side: int = 256) -> Made:
    """The embedded detector's answers at stride 16 behind DetectNet_v2's interface."""
    network = Grid(len(SHAPES))
    export(network, side, folder / "detectnet.onnx", "input_1", ["output_cov/Sigmoid", "output_bbox/BiasAdd"])
    path = write_description(
        folder / "detectnet_tao.toml",
        kind="detectnet_v2",
        artifact="detectnet.onnx",
        classes=list(SHAPES),
        size=[side, side],
    )
    return Made(path, network)


def yolo_v4(folder: Path, side: int = 256) -> Made:
    """The embedded detector behind YOLOv4's interface, with TensorRT's plugin node and its four outputs."""
    network, path = Corners(side), folder / "yolo_v4.onnx"
    export(network, side, path, "Input", ["box", "cls"])
    model = onnx.load(path)
    outputs = ["BatchedNMS", "BatchedNMS_1", "BatchedNMS_2", "BatchedNMS_3"]
    attributes = {
        "shareLocation": 1,
        "backgroundLabelId": -1,
        "numClasses": len(SHAPES),
        "topK": 200,
        "keepTopK": 200,
        "scoreThreshold": 0.001,
        "iouThreshold": 0.7,
        "isNormalized": 1,
        "clipBoxes": 1,
    }
    model.graph.node.append(
        helper.make_node("BatchedNMSDynamic_TRT", ["box", "cls"], outputs, "BatchedNMS_N", **attributes)
    )
    del model.graph.output[:]
    kinds = [TensorProto.INT32, *(TensorProto.FLOAT,) * 3]
    shapes = [["batch", 1], ["batch", 200, 4], ["batch", 200], ["batch", 200]]
    model.graph.output.extend(map(helper.make_tensor_value_info, outputs, kinds, shapes))
    onnx.save_model(model, path)
    described = write_description(
        folder / "yolo_v4_tao.toml", kind="yolo_v4", artifact=path.name, classes=list(SHAPES), size=[side, side]
    )
    return Made(described, network)


def scenes_by_class(folder: Path, count: int = 240) -> Path:
    """Drawn scenes on disk, a folder for each shape."""
    for number in range(count):
        scene = zero_shot_scene(dataset.EVALUATION_IDS[number])
        place = folder / SHAPES[scene.objects[0].shape]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{number:04d}.png"), scene.image[..., ::-1])
    return folder


def scenes_as_coco(folder: Path, count: int = 2 * EVALUATED) -> tuple[Path, Path]:
    """Drawn scenes on disk in COCO's format: the folder of the pictures, and the annotations."""
    ids = tuple(dataset.EVALUATION_IDS[:count])
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for number in ids:
        cv2.imwrite(str(pictures / f"{number}.png"), detection_scene(number).image[..., ::-1])
    annotations = folder / "instances.json"
    annotations.write_text(json.dumps(coco_annotations(ids)))
    return pictures, annotations


def fit(parameters: Sequence[nn.Parameter] | object, loss: Callable[[], torch.Tensor], steps: int) -> None:
    """Adam on the whole of the features at once."""
    optimiser = torch.optim.Adam(parameters, lr=0.01)  # type: ignore[arg-type]
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()


def export(network: nn.Module, side: int, path: Path, name: str, outputs: Sequence[str], opset: int = 12) -> None:
    """Write the network as TAO names it, of an opset that TAO exports, with a dynamic batch."""
    plain = [f"output_{number}" for number in range(len(outputs))]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.rand(2, 3, side, side)
        network.eval()(example)  # the detector keeps its anchors, so that they are constants
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=[name],
            output_names=plain,
            dynamic_axes={each: {0: "batch"} for each in (name, *plain)},
            opset_version=opset,
            dynamo=False,
        )
    model = onnx.load(path)
    renamed = dict(zip(plain, outputs, strict=True))
    for node in model.graph.node:
        node.input[:] = [renamed.get(each, each) for each in node.input]
        node.output[:] = [renamed.get(each, each) for each in node.output]
    for value in model.graph.output:
        value.name = renamed[value.name]
    onnx.save_model(model, path)


def write_description(path: Path, **fields: str | float | list[str] | list[int]) -> Path:
    """A TOML file of these fields."""
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items()))
    return path
