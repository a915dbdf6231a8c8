"""A description that does not fit its network: an error that names the tensor, before anything is built."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from fixtures.assets.loader import SuiteAssets
from fixtures.backends import registry
from fixtures.errors import BenchError
from fixtures.models.tao.loading import load_tao
from fixtures.plan.refusals import refusals
from fixtures.plan.suite import Suite
from fixtures.plan.tao import read_description
from tests.helpers.tao_networks import export, write_description

CLASSES, SIDE = ["person", "bag", "face"], 64


class Small(nn.Module):
    """Outputs of these channels at stride 16."""

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(3, count, 16, stride=16) for count in channels)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(head(images) for head in self.heads)


class Pairs(nn.Module):
    """Boxes [B, 16, 1, 4] and scores [B, 16, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4 + len(CLASSES), 16, stride=16)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.head(images).flatten(2).transpose(1, 2)
        return outputs[..., None, :4], outputs[..., 4:]


def detectnet(folder: Path, **changed: str | int | list[str] | list[int]) -> Path:
    """The description of a DetectNet_v2 of three classes, changed."""
    names = ["output_cov/Sigmoid", "output_bbox/BiasAdd"]
    export(Small(3, 12), SIDE, folder / "net.onnx", "input_1", names)
    fields = {"kind": "detectnet_v2", "artifact": "net.onnx", "classes": CLASSES, "size": [SIDE, SIDE], **changed}
    return write_description(folder / "net.toml", **fields)


def yolo(folder: Path, **changed: str | int | list[str] | list[int]) -> Path:
    """The description of a YOLOv4 without a plugin node, changed."""
    export(Pairs(), SIDE, folder / "net.onnx", "Input", ["box", "cls"])
    fields = {"kind": "yolo_v4", "artifact": "net.onnx", "classes": CLASSES, "size": [SIDE, SIDE], **changed}
    return write_description(folder / "net.toml", **fields)


def classifier(folder: Path, **changed: str | int | list[str] | list[int]) -> Path:
    """The description of a classifier without `predictions/Softmax`, changed."""
    export(Small(3), SIDE, folder / "net.onnx", "input_1", ["logits"])
    fields = {"kind": "classification", "artifact": "net.onnx", "classes": CLASSES, "size": [SIDE, SIDE], **changed}
    return write_description(folder / "net.toml", **fields)


@pytest.mark.parametrize(
    ("make", "changed", "named"),
    [
        (detectnet, {"classes": ["person", "bag"]}, "'output_cov/Sigmoid' is [2, 3, 4, 4]"),
        (detectnet, {"stride": 32}, "'output_cov/Sigmoid' is [2, 3, 4, 4]"),
        (detectnet, {"boxes": "output_cov/Sigmoid"}, "'output_cov/Sigmoid' is [2, 3, 4, 4]"),
        (detectnet, {"coverage": "output_cov"}, "no tensor 'output_cov' (coverage)"),
        (detectnet, {"size": [64, 96]}, "its input 'input_1' is [0, 3, 64, 64]"),
        (detectnet, {"input": "Input"}, "no input 'Input'"),
        (classifier, {}, "no tensor 'predictions/Softmax' (probabilities)"),
        (classifier, {"probabilities": "logits"}, "'logits' is [2, 3, 4, 4]"),
        (yolo, {}, "no BatchedNMS node"),
        (yolo, {"boxes": "cls", "scores": "cls"}, "'cls' is [2, 16, 3]"),
        (yolo, {"boxes": "box", "scores": "cls", "classes": ["person"]}, "'cls' is [2, 16, 3]"),
    ],
)
def test_the_error_names_the_tensor(
    make: Callable[..., Path], changed: dict[str, str], named: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchError) as raised:
        load_tao(make(tmp_path, **changed))
    assert named in raised.value.what
    assert raised.value.hint


def test_descriptions_that_fit_are_taken(tmp_path: Path) -> None:
    assert load_tao(detectnet(tmp_path)).class_names() == CLASSES
    # As TensorFlow writes names, though the graph is without.
    assert load_tao(detectnet(tmp_path, input="input_1:0", coverage="output_cov/Sigmoid:0")).class_names() == CLASSES
    by_name = load_tao(yolo(tmp_path, boxes="box", scores="cls"))
    assert by_name.module()(torch.zeros(5, 3, SIDE, SIDE)).shape == (5, 16, 7)


def test_scores_by_class_as_onnx_non_max_suppression_reads_them(tmp_path: Path) -> None:
    path = yolo(tmp_path, boxes="box", scores="cls")
    straight, images = load_tao(path).module(), torch.rand(2, 3, SIDE, SIDE)
    model = onnx.load(tmp_path / "net.onnx")
    model.graph.node.append(onnx.helper.make_node("Transpose", ["cls"], ["by class"], perm=[0, 2, 1]))
    onnx.save_model(model, tmp_path / "net.onnx")
    path.write_text(path.read_text().replace('"cls"', '"by class"'))
    torch.testing.assert_close(load_tao(path).module()(images), straight(images))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("kind = 'ssd'", "Invalid value 'ssd'"),
        ("kind = 'classification'", "missing required field `artifact`"),
        ("kind = 'classification'\nartifact = 'a'\nclasses = ['a', 'a']\nsize = [1, 1]", "`classes` needs a name"),
        ("kind = 'classification'\nartifact = 'a'\nclasses = ['a']\nsize = [1, 1]\nstrid = 1", "unknown field `strid`"),
        ("kind = 'classification'\nartifact = 'a'\nclasses = ['a']\nsize = [8, 8]\nstd = [1, 0, 1]", "cannot be 0"),
        ("kind = 'detectnet_v2'\nartifact = 'a'\nclasses = ['a']\nsize = [8, 8]", "does not divide"),
        ("kind = 'yolo_v4'\nartifact = 'a'\nclasses = ['a']\nsize = [8, 8]\nboxes = 'b'", "belong together"),
        ("kind = 'yolo_v4'\nartifact = 'a.onnx'\nclasses = ['a']\nsize = [8, 8]", "its artifact is not there"),
        ("kind = 'yolo_v4'\nartifact = 'a'\nclasses = ['a']\nsize = [8, 8]\nresize = 'centre-crop'", "the whole image"),
        ("kind =", "no description"),
    ],
)
def test_a_description_that_is_none(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(BenchError) as raised:
        read_description(tmp_path / "net.toml")
    assert named in raised.value.what


def test_a_file_that_is_no_graph_and_a_batch_that_is_fixed(tmp_path: Path) -> None:
    path = detectnet(tmp_path)
    whole = onnx.load(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"not a graph")
    with pytest.raises(BenchError, match="is no ONNX graph"):
        load_tao(path)
    whole.graph.initializer.append(onnx.numpy_helper.from_array(torch.zeros(1, 3, 4, 4).numpy(), "one"))
    whole.graph.node.append(onnx.helper.make_node("Concat", ["output_cov/Sigmoid", "one"], ["cov"], axis=1))
    onnx.save_model(whole, tmp_path / "net.onnx")
    with pytest.raises(BenchError, match="does not run its graph at a batch of 2"):
        load_tao(detectnet_of(path, coverage="cov"))


def detectnet_of(path: Path, **changed: str) -> Path:
    """The description in `path`, with more fields."""
    path.write_text("\n".join([path.read_text(), *(f"{name} = {value!r}" for name, value in changed.items())]))
    return path


def test_a_backend_that_starts_from_checkpoints_says_so() -> None:
    reason = registry.unsupported_reason("ultralytics-engine", "fp32", "cpu", "tao-detection")
    assert "a TAO artifact is a graph" in reason


def test_a_graph_that_cannot_be_a_baseline_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    path = classifier(tmp_path, probabilities="hard")
    model = onnx.load(tmp_path / "net.onnx")
    nodes = (
        onnx.helper.make_node("GlobalAveragePool", ["logits"], ["mean"]),
        onnx.helper.make_node("Hardmax", ["mean"], ["hard"], axis=1),
    )
    model.graph.node.extend(nodes)
    onnx.save_model(model, tmp_path / "net.onnx")
    suite = Suite("real", "", scenes="nowhere", tao=str(path), tao_task="tao-classification")
    messages: list[str] = []
    described = SuiteAssets(suite, progress=messages.append).describe({"net"})
    assert "Hardmax (writes 'hard'" in described["tao"]["error"]
    assert "folder of scenes not found" in described["tao data"]["error"]
    with pytest.raises(BenchError, match="Hardmax"):
        refusals(described, suite.models()[-1:])
    path.write_text(path.read_text().replace('"hard"', '"mean"'))
    described = SuiteAssets(suite, progress=messages.append).describe({"net"})
    assert described["tao"]["kind"] == "TAO classifier"
    assert "no artifact of NVIDIA's was seen" in messages[-1]
