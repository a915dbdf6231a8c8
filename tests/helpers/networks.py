"""Small networks as ONNX graphs, and inputs for them: what the tests of the precisions rewrite."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import nn

LOUD = 60.0


class LoudDetector(nn.Module):
    """A stem, a residual block, an upsampling neck and two prediction heads, all with SiLU.

    Two channels of the stem are `LOUD` times as large as the others, and `loud` reads them through weights
    as much smaller: in FP32 nothing changes, in INT8 the other channels fall below one step. Real
    YOLOv8n does the same to its second C2f block.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.loud = nn.Conv2d(32, 32, 1)
        self.inner = nn.Conv2d(32, 32, 3, padding=1)
        self.down = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.neck = nn.Conv2d(80, 32, 1)
        self.boxes = nn.Conv2d(32, 4, 1)
        self.classes = nn.Conv2d(32, 5, 1)
        self.up = nn.Upsample(scale_factor=2)
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight)
            self.stem.weight[:2] *= LOUD
            self.loud.weight[:, :2] /= LOUD

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        silu = nn.functional.silu
        quiet = silu(self.loud(silu(self.stem(images))))
        block = quiet + silu(self.inner(quiet))
        low = silu(self.down(block))
        neck = silu(self.neck(torch.cat([self.up(low), block], dim=1)))
        return torch.cat([self.boxes(neck), self.classes(neck).sigmoid()], dim=1)


def export(network: nn.Module, example: torch.Tensor, path: Path, names: tuple[str, str]) -> Path:
    """Write `network` as an ONNX graph of opset 17 with a dynamic batch axis."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes={name: {0: "batch"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    return path


def write_detector(path: Path, seed: int = 0, side: int = 32) -> Path:
    """`LoudDetector` as a graph: `images` [B, 3, side, side] → `output0` [B, 9, side / 2, side / 2]."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LoudDetector()
    return export(network, torch.zeros(2, 3, side, side), path, ("images", "output0"))


def image_feeds(count: int, seed: int, side: int = 32, name: str = "images") -> list[dict[str, np.ndarray]]:
    """`count` single images of smooth random colours in 0..1, each a batch of its own."""
    random = np.random.default_rng(seed)
    coarse = random.random((count, 3, side // 4, side // 4), dtype=np.float32)
    smooth = np.kron(coarse, np.ones((1, 1, 4, 4), np.float32))
    noisy = np.clip(smooth + random.normal(0, 0.05, smooth.shape), 0, 1).astype(np.float32)
    return [{name: image[None]} for image in noisy]


def initializers(model: onnx.ModelProto) -> Mapping[str, np.ndarray]:
    """The constant tensors of a graph, by name."""
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """The element types of all that the nodes write, but for the graph's outputs."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}


def io_types(model: onnx.ModelProto) -> set[int]:
    """The element types of a graph's inputs and outputs."""
    return {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}


FLOAT_IO = {TensorProto.FLOAT}
