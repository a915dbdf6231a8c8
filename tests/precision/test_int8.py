"""FP32 graph → calibrated INT8 graph: what it looks like, and that the method matters."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from fixtures.errors import BenchError
from fixtures.precision.int8 import Int8Settings, Int8Summary, to_int8
from fixtures.precision.onnx_session import open_session, run
from fixtures.precision.sensitivity import OutputNoise
from tests.helpers.networks import FLOAT_IO, export, image_feeds, initializers, io_types, write_detector

CALIBRATION = image_feeds(16, seed=0)
HELD_OUT = image_feeds(16, seed=1)
LOUD = {"/loud/Conv"}
FLOAT = {"/stem/Conv", "/boxes/Conv", "/classes/Conv"} | LOUD
QUANTISED = {"/inner/Conv", "/down/Conv", "/neck/Conv"}
Made = tuple[Path, Path, Int8Summary]


def silent(_: str) -> None:
    """Progress that nobody reads."""


def heard(source: Path, int8: Path) -> float:
    """The noise of a whole INT8 graph on inputs it was not calibrated on."""
    before, after = (open_session(path) for path in (source, int8))
    return OutputNoise([run(before, feed) for feed in HELD_OUT]).of([run(after, feed) for feed in HELD_OUT])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("int8")
    source = write_detector(folder / "fp32.onnx")
    return source, folder / "int8.onnx", to_int8(source, folder / "int8.onnx", CALIBRATION, Int8Settings(), silent)


@pytest.fixture(scope="module")
def graph(made: Made) -> onnx.GraphProto:
    return onnx.load(made[1]).graph


@pytest.fixture(scope="module")
def producer(graph: onnx.GraphProto) -> Callable[[str], str]:
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    return lambda name: made_by.get(name, "")


def layer(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.name == name)


@pytest.mark.parametrize("name", sorted(QUANTISED))
def test_a_quantised_layer_reads_input_and_weight_through_qdq_and_a_float_bias(
    name: str, graph: onnx.GraphProto, producer: Callable[[str], str]
):
    activation, weight, bias = layer(graph, name).input
    assert producer(activation) == producer(weight) == "DequantizeLinear"
    assert next(tensor for tensor in graph.initializer if tensor.name == bias).data_type == TensorProto.FLOAT


@pytest.mark.parametrize("name", sorted(FLOAT))
def test_a_layer_in_float_reads_nothing_quantised(name: str, graph: onnx.GraphProto, producer: Callable[[str], str]):
    assert "DequantizeLinear" not in {producer(tensor) for tensor in layer(graph, name).input}


def test_layers_and_what_carries_their_inputs_read_dequantised_tensors(graph: onnx.GraphProto):
    dequantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    readers = {node.op_type for node in graph.node if dequantised & set(node.input)}
    assert readers == {"Conv", "Add", "Concat", "Resize"}


def test_no_output_of_a_layer_is_quantised(graph: onnx.GraphProto, producer: Callable[[str], str]):
    quantisers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert "Conv" not in {producer(node.input[0]) for node in quantisers}


def test_integers_are_symmetric_int8_and_weights_have_a_scale_per_channel(made: Made, graph: onnx.GraphProto):
    constants = initializers(onnx.load(made[1]))
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
        assert (scale > 0).all()
    for name in QUANTISED:
        dequantize = next(node for node in graph.node if node.output[0] == layer(graph, name).input[1])
        quantize = next(node for node in graph.node if node.output[0] == dequantize.input[0])
        weight, scale = constants[quantize.input[0]], constants[quantize.input[1]]
        assert helper.get_node_attr_value(dequantize, "axis") == 0
        assert scale == pytest.approx(np.abs(weight).max(axis=(1, 2, 3)) / 127, rel=1e-4)


def test_the_graph_is_one_that_tensorrt_86_reads(made: Made):
    model = onnx.load(made[1])
    onnx.checker.check_model(model, full_check=True)
    assert io_types(model) == FLOAT_IO
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


def test_the_summary_says_what_the_graph_is_and_goes_into_json(made: Made):
    summary = made[2]
    assert set(summary.quantised) == QUANTISED
    assert {kept.name for kept in summary.kept_float} == FLOAT
    assert summary.calibration_images == len(CALIBRATION)
    ranked = [kept for kept in summary.kept_float if kept.noise_alone is not None]
    assert [kept.name for kept in ranked] == ["/loud/Conv"]
    assert set(summary.noise_alone) == QUANTISED | LOUD
    assert summary.noise <= Int8Settings().noise_budget < summary.noise_of_all
    assert json.loads(json.dumps(asdict(summary)))["noise_alone"] == summary.noise_alone


def test_the_noise_promised_on_calibration_inputs_holds_on_others(made: Made):
    assert heard(made[0], made[1]) == pytest.approx(made[2].noise, rel=0.5)


def test_calibrating_twice_gives_the_same_bytes(made: Made, tmp_path: Path):
    to_int8(made[0], tmp_path / "again.onnx", CALIBRATION, Int8Settings(), silent)
    assert (tmp_path / "again.onnx").read_bytes() == made[1].read_bytes()


def test_the_maximum_and_no_ranking_destroy_what_the_method_holds(made: Made, tmp_path: Path):
    naive = Int8Settings(calibrator="max", noise_budget=1.0)
    summary = to_int8(made[0], tmp_path / "naive.onnx", CALIBRATION, naive, silent)
    assert set(summary.quantised) == QUANTISED | LOUD
    ours, theirs = heard(made[0], made[1]), heard(made[0], tmp_path / "naive.onnx")
    assert ours < 0.01
    assert theirs > 5 * ours


def test_the_calibrators_differ_and_say_their_names(made: Made, tmp_path: Path):
    scales = {}
    for calibrator in ("error", "percentile", "max"):
        settings = replace(Int8Settings(noise_budget=1.0), calibrator=calibrator)
        summary = to_int8(made[0], tmp_path / f"{calibrator}.onnx", CALIBRATION, settings, silent)
        graph = onnx.load(tmp_path / f"{calibrator}.onnx")
        values = initializers(graph)
        scales[summary.calibrator] = sum(float(values[name].max()) for name in values if name.endswith("_scale"))
    assert len(set(scales.values())) == len(scales) == 3
    assert max(scales, key=lambda name: scales[name]) == "largest |x|"


def test_a_transformer_is_quantised_in_its_linear_layers_and_not_in_its_attention(tmp_path: Path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(ImageTokens(), Block(), Block(), Pool())
    source = export(network, torch.zeros(2, 3, 32, 32), tmp_path / "fp32.onnx", ("images", "output0"))
    int8 = tmp_path / "int8.onnx"
    summary = to_int8(source, int8, CALIBRATION, Int8Settings(), silent)
    assert len(summary.quantised) == 12
    assert all("MatMul" in name for name in summary.quantised)
    model = onnx.load(int8)
    readers = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[0].endswith("_dequantized")]
    assert {node.name for node in readers} == set(summary.quantised)
    constants = initializers(model)
    for node in readers:
        dequantize = next(other for other in model.graph.node if other.output[0] == node.input[1])
        assert helper.get_node_attr_value(dequantize, "axis") == 1
        assert constants[dequantize.input[1]].size > 1
    before, after = (open_session(path) for path in (source, int8))
    for feed in HELD_OUT:
        one, other = run(before, feed)["output0"].ravel(), run(after, feed)["output0"].ravel()
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.99


def test_a_layer_that_reads_the_input_itself_is_quantised_too(tmp_path: Path):
    network = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 8))
    source = export(network, torch.zeros(2, 32), tmp_path / "fp32.onnx", ("features", "output0"))
    feeds = [{"features": rows[None]} for rows in np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32)]
    summary = to_int8(source, tmp_path / "int8.onnx", feeds, Int8Settings(), silent)
    assert len(summary.quantised) == 1
    graph = onnx.load(tmp_path / "int8.onnx").graph
    assert next(node.op_type for node in graph.node if "features" in node.input) == "QuantizeLinear"


def test_calibration_inputs_that_are_not_numbers_are_refused(made: Made, tmp_path: Path):
    broken = [*CALIBRATION, {"images": np.full((1, 3, 32, 32), np.nan, np.float32)}]
    with pytest.raises(BenchError, match="out of its range"):
        to_int8(made[0], tmp_path / "nan.onnx", broken, Int8Settings(), silent)


def test_an_empty_calibration_set_is_refused(made: Made, tmp_path: Path):
    with pytest.raises(BenchError, match="no calibration inputs"):
        to_int8(made[0], tmp_path / "none.onnx", [], Int8Settings(), silent)


def test_a_graph_that_tensorrt_86_cannot_read_is_refused(made: Made, tmp_path: Path):
    model = onnx.load(made[0])
    model.opset_import[0].version = 18
    onnx.save_model(model, tmp_path / "new.onnx")
    with pytest.raises(BenchError, match="opset 18"):
        to_int8(tmp_path / "new.onnx", tmp_path / "int8.onnx", CALIBRATION, Int8Settings(), silent)


def test_a_graph_without_layers_is_refused(tmp_path: Path):
    source = export(torch.nn.SiLU(), torch.zeros(2, 3, 32, 32), tmp_path / "silu.onnx", ("images", "output0"))
    with pytest.raises(BenchError, match="no layer"):
        to_int8(source, tmp_path / "int8.onnx", CALIBRATION, Int8Settings(), silent)


def test_only_layers_that_stand_out_are_taken_out_above_the_budget(made: Made, tmp_path: Path):
    nobody = Int8Settings(noise_budget=0.0, outlier_share=1.0)
    assert set(to_int8(made[0], tmp_path / "all.onnx", CALIBRATION, nobody, silent).quantised) == QUANTISED | LOUD
    loud = Int8Settings(noise_budget=0.0, outlier_share=0.5)
    summary = to_int8(made[0], tmp_path / "loud.onnx", CALIBRATION, loud, silent)
    assert set(summary.quantised) == QUANTISED
    shares = {name: noise / sum(summary.noise_alone.values()) for name, noise in summary.noise_alone.items()}
    assert {name for name, share in shares.items() if share > 0.5} == LOUD


def test_an_impossible_budget_is_refused_rather_than_called_int8(made: Made, tmp_path: Path):
    strict = Int8Settings(noise_budget=0.0, outlier_share=0.0)
    with pytest.raises(BenchError, match=r"no layer of fp32\.onnx"):
        to_int8(made[0], tmp_path / "int8.onnx", CALIBRATION, strict, silent)
    assert not (tmp_path / "int8.onnx").exists()


def test_an_unknown_calibrator_is_refused():
    with pytest.raises(BenchError, match=r"entropy(.|\n)*error, percentile, max"):
        Int8Settings(calibrator="entropy")


class ImageTokens(torch.nn.Module):
    """Images [B, 3, 32, 32] → 16 tokens of 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = torch.nn.Conv2d(3, 32, 8, stride=8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.patch(images).flatten(2).transpose(1, 2)


class Block(torch.nn.Module):
    """A pre-norm transformer block with one attention head, written out as CLIP's is."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (torch.nn.Linear(32, 32) for _ in range(4))
        self.up, self.down = torch.nn.Linear(32, 128), torch.nn.Linear(128, 32)
        self.first, self.second = torch.nn.LayerNorm(32), torch.nn.LayerNorm(32)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        normed = self.first(tokens)
        weights = (self.query(normed) @ self.key(normed).transpose(1, 2) / 32**0.5).softmax(-1)
        tokens = tokens + self.out(weights @ self.value(normed))
        return tokens + self.down(torch.nn.functional.gelu(self.up(self.second(tokens))))


class Pool(torch.nn.Module):
    """Tokens → one embedding of 16 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.projection = torch.nn.LayerNorm(32), torch.nn.Linear(32, 16, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.projection(self.norm(tokens)[:, 0])
