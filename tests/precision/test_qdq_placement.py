"""Where Q/DQ pairs stand, and which tensors share a scale."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from fixtures.precision.int8 import Int8Settings, to_int8
from fixtures.precision.qdq_placement import narrow_parts, place_qdq, spread
from fixtures.precision.quantizable_layers import find_layers
from tests.helpers.networks import export, image_feeds, initializers, write_detector


class Block(nn.Module):
    """YOLOv8's C2f in small: half of the channels go on through a residual step, and all meet in a Concat."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Conv2d(3, 16, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(24, 8, 1)
        self.pool, self.free = nn.MaxPool2d(3, 1, 1), nn.Conv2d(8, 5, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        whole = nn.functional.silu(self.first(images))
        left, right = whole[:, :8], whole[:, 8:]
        step = right + nn.functional.silu(self.inner(right))
        together = nn.functional.silu(self.last(torch.cat([left, right, step], dim=1)))
        return self.free(self.pool(together))


class Halves(nn.Module):
    """A C2f of which one half is `half` channels wide: split, one half worked on, and all concatenated."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.half = half
        self.stem, self.first = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 2 * half, 1)
        self.inner, self.last = nn.Conv2d(half, half, 1), nn.Conv2d(3 * half, 64, 1)
        self.after, self.out = nn.Conv2d(64, 64, 1), nn.Conv2d(64, 40, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left, right = self.first(self.stem(images).relu()).relu().split((self.half, self.half), 1)
        together = torch.cat([left, right, self.inner(right).relu()], dim=1)
        return self.out(self.after(self.last(together).relu()).relu())


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Block()
    return export(network, torch.zeros(2, 3, 16, 16), tmp_path_factory.mktemp("nets") / "block.onnx", ("images", "out"))


def _layers(model: onnx.ModelProto, *names: str):
    return tuple(layer for layer in find_layers(model) if layer.name.strip("/").split("/")[0] in names)


def test_what_is_split_and_concatenated_shares_one_scale(block: Path):
    model = onnx.load(block)
    layers = _layers(model, "inner", "last")
    found = spread(model, layers)
    shared = found.groups[next(layer.activation for layer in layers if "last" in layer.name)]
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    together = sorted(makers[name] for name, group in found.groups.items() if group == shared)
    assert together == ["Add", "Concat", "Mul", "Slice", "Slice"]
    assert sorted(makers[name] for name in found.sources[shared]) == ["Add", "Mul"]


def test_what_is_added_to_an_int8_tensor_is_int8_with_a_scale_of_its_own(block: Path):
    model = onnx.load(block)
    groups = spread(model, _layers(model, "inner", "last")).groups
    (add,) = (node for node in model.graph.node if node.op_type == "Add")
    stays, joins = (groups[name] for name in add.input)
    assert stays == groups[add.output[0]] != joins
    assert joins in add.input


def test_a_sum_that_no_int8_layer_reads_has_float_inputs(block: Path):
    model = onnx.load(block)
    (add,) = (node for node in model.graph.node if node.op_type == "Add")
    assert add.output[0] not in spread(model, _layers(model, "free")).groups
    assert not set(add.input) & set(spread(model, _layers(model, "free")).groups)


def test_a_sum_of_float_tensors_alone_takes_no_int8_input(tmp_path: Path):
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.reads = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.reads(nn.functional.silu(self.left(images)) + nn.functional.silu(self.right(images)))

    model = onnx.load(export(Sum(), torch.zeros(2, 3, 16, 16), tmp_path / "sum.onnx", ("images", "out")))
    (add,) = (node for node in model.graph.node if node.op_type == "Add")
    assert set(spread(model, _layers(model, "reads")).groups) == set(add.output)


def test_what_no_int8_layer_reads_stays_in_float(block: Path):
    model = onnx.load(block)
    everything = spread(model, _layers(model, "inner", "last", "free"))
    without_free = spread(model, _layers(model, "inner", "last"))
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    assert {makers[name] for name in everything.groups.keys() - without_free.groups.keys()} == {"Mul", "MaxPool"}


def test_groups_do_not_depend_on_which_other_layers_are_int8(block: Path):
    model = onnx.load(block)
    everything = spread(model, find_layers(model)).groups
    some = spread(model, _layers(model, "inner")).groups
    assert some.items() <= everything.items()


def test_a_shared_scale_is_written_at_every_tensor_of_its_group(block: Path):
    model = onnx.load(block)
    layers = _layers(model, "inner", "last")
    groups = spread(model, layers).groups
    place_qdq(model, layers, dict.fromkeys(groups, 12.7))
    onnx.checker.check_model(model, full_check=True)
    scales = initializers(model)
    (scale,) = {float(scales[f"{name}_scale"]) for name in groups}
    assert scale == pytest.approx(0.1)


def test_an_input_of_the_graph_is_quantised_where_an_int8_layer_reads_it(block: Path):
    model = onnx.load(block)
    layers = _layers(model, "first")
    place_qdq(model, layers, {"images": 1.0})
    (first,) = (node for node in model.graph.node if node.name == layers[0].name)
    assert first.input[0] == "images_dequantized"


def test_the_output_of_the_graph_is_never_quantised(tmp_path: Path):
    model = onnx.load(write_detector(tmp_path / "net.onnx"))
    assert "output0" not in spread(model, find_layers(model)).groups


@pytest.mark.parametrize(("half", "narrowest"), [(16, {16}), (24, {24}), (32, set()), (48, set())])
def test_parts_of_less_than_a_channel_group_are_found(half: int, narrowest: set[int], tmp_path: Path):
    model = onnx.load(export(Halves(half), torch.zeros(2, 3, 16, 16), tmp_path / "halves.onnx", ("images", "out")))
    found = narrow_parts(model, spread(model, _layers(model, "first", "inner", "last", "after")))
    assert set(found.values()) == narrowest


def test_tokens_put_before_others_are_no_channels(tmp_path: Path):
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.work = nn.Linear(64, 64)
            self.token = nn.Parameter(torch.zeros(1, 1, 64))

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return self.work(torch.cat([self.token.expand(len(words), -1, -1), words], dim=1))

    model = onnx.load(export(Tokens(), torch.zeros(2, 8, 64), tmp_path / "tokens.onnx", ("words", "out")))
    assert not narrow_parts(model, spread(model, find_layers(model)))


@pytest.mark.parametrize(
    ("half", "float_layers"),
    [
        (16, {"stem": "channels", "inner": "channels", "last": "parts", "out": "raw"}),
        (32, {"stem": "channels", "out": "raw"}),
    ],
)
def test_what_would_be_copied_together_stays_in_float(half: int, float_layers: dict[str, str], tmp_path: Path):
    source = export(Halves(half), torch.zeros(2, 3, 16, 16), tmp_path / "halves.onnx", ("images", "out"))
    feeds = image_feeds(4, seed=0, side=16)
    summary = to_int8(source, tmp_path / "int8.onnx", feeds, Int8Settings(noise_budget=1.0), lambda _: None)
    kept = {layer.name.strip("/").split("/")[0]: layer.reason for layer in summary.kept_float}
    assert kept.keys() == float_layers.keys()
    assert all(word in kept[name] for name, word in float_layers.items())
