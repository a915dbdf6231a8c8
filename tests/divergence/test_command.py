"""Where two computations of one network part: measures, probe points, the search, and the command on real graphs."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from fixtures.divergence.command import Settings, compare, main
from fixtures.divergence.probes import ProbedGraph, ancestors, shared_points
from fixtures.divergence.report import Findings, as_json, as_text, rows_of
from fixtures.divergence.runners import Comparison, Run, Side, onnxruntime_run
from fixtures.divergence.search import (
    Cuts,
    Reading,
    Search,
    new_error,
    output_error,
    relative_error,
    snr_db,
    spaced,
)
from fixtures.errors import BenchError
from fixtures.precision.fp16 import to_fp16
from fixtures.precision.int8 import Int8Settings, to_int8
from fixtures.precision.onnx_session import Feed, Outputs
from tests.helpers.networks import image_feeds, write_detector

CONVOLUTIONS = tuple(f"/{name}/Conv" for name in ("stem", "loud", "inner", "down", "neck", "boxes", "classes"))
FEEDS = image_feeds(2, seed=0)
# A library in this process may flush subnormals to zero (compiled with -ffast-math): then there are none to draw.
NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)
ARRAYS = st.lists(NUMBERS, min_size=3, max_size=3).map(lambda values: np.array(values, np.float32))


def silent(_: str) -> None:
    """No progress."""


# Measures


@given(ARRAYS, st.floats(0.001, 10))
def test_the_relative_error_is_that_of_the_scale(array, scale):
    if np.abs(array).max() < 1e-3:
        array = array + 1
    assert relative_error([array], [array], [array]) == 0
    assert relative_error([array], [array * (1 + scale)], [array]) == pytest.approx(scale, rel=1e-2)


def test_all_arrays_count_together():
    a, b = [np.array([3.0]), np.array([4.0])], [np.array([3.0]), np.array([5.0])]
    assert relative_error(a, b, a) == pytest.approx(1 / 5)
    assert relative_error(a, b, scale=[np.array([10.0])]) == pytest.approx(1 / 10)


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        ([0.0], [0.0], 0.0),
        ([0.0], [1.0], math.inf),
        ([1.0], [math.nan], math.inf),
        ([1.0], [math.inf], math.inf),
        ([-math.inf, 1.0], [-math.inf, 1.0], 0.0),
        ([math.nan, 1.0], [math.nan, 1.0], 0.0),
    ],
)
def test_values_that_are_not_finite_are_as_wrong_as_can_be_unless_both_sides_have_them(first, second, error):
    assert relative_error([np.array(first)], [np.array(second)], [np.array(first)]) == error


def test_pixels_do_not_hide_the_probabilities_beside_them():
    before = [np.array([[[600.0], [300.0], [0.9]]])]
    after = [np.array([[[600.0], [300.0], [0.0]]])]
    assert output_error(before, after, before, Cuts()) < 0.002
    assert output_error(before, after, before, Cuts(1, (2,))) == 1


def test_a_tenth_is_20_db_and_no_error_is_infinitely_many():
    assert snr_db(0.1) == pytest.approx(20)
    assert snr_db(0.0) == math.inf
    assert snr_db(math.inf) == -math.inf


def test_new_is_what_the_inputs_do_not_explain():
    assert new_error(0.5, 0.3) == pytest.approx(0.4)
    assert new_error(0.2, 0.3) == 0
    assert new_error(math.inf, 0.3) == math.inf
    assert new_error(math.inf, math.inf) == 0


@given(st.integers(1, 200), st.integers(1, 20))
def test_spaced_names_are_few_in_order_and_cut_evenly(length, count):
    names = [str(number) for number in range(length)]
    chosen = [int(name) for name in spaced(names, count)]
    assert chosen == sorted(set(chosen)) and len(chosen) == min(length, count)
    if length > count:
        gaps = [b - a - 1 for a, b in zip([-1, *chosen], [*chosen, length], strict=True)]
        assert max(gaps) - min(gaps) <= 1


# The search, on networks of names alone


@st.composite
def networks(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Parents of each name; every name leads to the last, "end"."""
    count = draw(st.integers(1, 25))
    parents = {}
    for index in range(count):
        chosen = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        parents[f"t{index}"] = tuple(f"t{parent}" for parent in sorted(chosen))
    read = {parent for names in parents.values() for parent in names}
    return parents | {"end": tuple(name for name in parents if name not in read)}


class Bench:
    """Readings of a network in which `broken` adds an error that everything below it inherits."""

    def __init__(self, parents: Mapping[str, Sequence[str]], broken: str, disturbing: Sequence[str] = ()) -> None:
        above = ancestors(parents)
        self.parted = {name for name in parents if name == broken or broken in above[name]}
        self.disturbing = set(disturbing)
        self.asked: list[Sequence[str]] = []

    def measure(self, names: Sequence[str]) -> dict[str, Reading]:
        self.asked.append(names)
        moved = 1.0 if self.disturbing.intersection(names) else 0.0
        return {name: Reading(0.0 if moved or name not in self.parted else 1.0, moved, not moved) for name in names}

    def search(self, parents: Mapping[str, Sequence[str]], width: int = 1, builds: int = 1000) -> Search:
        return Search(parents, {"end": Reading(1.0, 0.0, True)}, self.measure, 0.1, width, builds)


@given(networks(), st.data(), st.integers(1, 5))
def test_bisection_finds_the_broken_point_of_any_network(parents, data, width):
    broken = data.draw(st.sampled_from(sorted(parents)))
    bench = Bench(parents, broken)
    search = bench.search(parents, width)
    assert search.bisect("end") == broken
    assert all(search.agrees(name) for name in parents[broken])
    names = [name for group in bench.asked for name in group]
    assert len(names) == len(set(names))
    assert all(len(group) <= width for group in bench.asked)


@given(networks(), st.data(), st.integers(1, 5))
def test_with_disturbing_probes_the_answer_is_the_first_that_can_be_seen(parents, data, width):
    broken = data.draw(st.sampled_from(sorted(parents)))
    disturbing = data.draw(st.sets(st.sampled_from(sorted(set(parents) - {"end"}) or ["t0"])))
    bench = Bench(parents, broken, disturbing)
    search = bench.search(parents, width)
    found = search.bisect("end")
    assert found in bench.parted and found not in disturbing
    assert all(search.agrees(name) for name in search.above(found))
    assert search.inherited(found) == 0
    if broken not in disturbing:
        assert found == broken


def test_a_chain_of_a_hundred_takes_three_builds_of_four_probes_and_a_check():
    chain = {f"t{index}": (f"t{index - 1}",) if index else () for index in range(100)} | {"end": ("t99",)}
    bench = Bench(chain, "t37")
    assert bench.search(chain, width=4).bisect("end") == "t37"
    assert len(bench.asked) <= 4


def test_one_disturbing_probe_of_a_group_is_singled_out():
    chain = {f"t{index}": (f"t{index - 1}",) if index else () for index in range(4)} | {"end": ("t3",)}
    bench = Bench(chain, "t3", disturbing=["t1"])
    search = bench.search(chain, width=4)
    search.scan()
    assert [name for name, reading in search.readings.items() if not reading.reliable] == ["t1"]
    assert search.has_parted("t3") and search.agrees("t0") and search.agrees("t2")


def test_a_search_whose_builds_are_spent_says_so_and_keeps_what_it_knows():
    chain = {f"t{index}": (f"t{index - 1}",) if index else () for index in range(100)} | {"end": ("t99",)}
    search = Bench(chain, "t37").search(chain, width=1, builds=2)
    assert search.bisect("end") in {f"t{index}" for index in range(38, 100)}
    assert search.cut_short
    done = Bench(chain, "t37").search(chain, width=1)
    done.bisect("end")
    assert not done.cut_short


# Graphs


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("divergence") / "net.onnx")


def damaged(source: Path, target: Path, layer: str, factor: float = 4.0) -> Path:
    """The graph with the weights of one layer multiplied."""
    model = onnx.load(source)
    weight = next(node.input[1] for node in model.graph.node if node.name == layer)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), weight))
    onnx.save_model(model, target)
    return target


def quantised(source: Path, target: Path) -> Path:
    """The INT8 graph with every layer quantised that structure allows, whatever it costs."""
    to_int8(source, target, FEEDS, Int8Settings(calibrator="max", noise_budget=1.0), silent)
    return target


def find(first: Path, second: Path, folder: Path, run: Run = onnxruntime_run, **changed: bool) -> Findings:
    """Compare two graphs, the first in ONNX Runtime, the second in `run`."""
    one, other = ProbedGraph(first), ProbedGraph(second)
    settings = Settings(tolerance=0.1, scan=changed.get("scan", False), width=3, builds=40)
    sides = (Side("one", one, onnxruntime_run), Side("other", other, run))
    comparison = Comparison(sides, FEEDS, settings.tolerance, folder, silent)
    return compare(shared_points(one, other), comparison, settings, "2 images")


def test_probe_points_are_what_layers_and_joins_read_never_a_convolution_before_its_activation(graph):
    points = ProbedGraph(graph).points
    writers = [ProbedGraph(graph).producer(name).name for name in points]
    assert writers == [
        "/Mul",
        "/Mul_1",
        "/Add",
        "/up/Resize",
        "/Concat",
        "/Mul_4",
        "/boxes/Conv",
        "/classes/Conv",
        "/Sigmoid_5",
    ]


def test_renditions_share_their_points_and_a_probe_shows_what_the_layer_reads(graph, tmp_path):
    fp32, int8 = ProbedGraph(graph), ProbedGraph(quantised(graph, tmp_path / "int8.onnx"))
    to_fp16(graph, tmp_path / "fp16.onnx")
    assert shared_points(fp32, int8) == fp32.points
    assert shared_points(fp32, ProbedGraph(tmp_path / "fp16.onnx")) == fp32.points
    shown = int8.save(int8.points, tmp_path / "probed.onnx")
    stem = onnxruntime_run(tmp_path / "probed.onnx", FEEDS)[0][shown[fp32.points[0]]]
    assert len(np.unique(stem)) <= 255


def test_probes_leave_the_quantised_pairs_of_the_graph_alone(graph, tmp_path):
    int8 = ProbedGraph(quantised(graph, tmp_path / "int8.onnx"))
    int8.save(int8.points, tmp_path / "probed.onnx")
    plain, probed = (onnx.load(path).graph for path in (int8.path, tmp_path / "probed.onnx"))
    assert list(probed.node)[: len(plain.node)] == list(plain.node)
    assert not {output.name for output in probed.output} & {
        node.output[0] for node in plain.node if node.op_type == "DequantizeLinear"
    }


@pytest.mark.parametrize("scan", [True, False], ids=["scan", "bisect"])
@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_a_damaged_layer_is_named_and_no_other(graph, tmp_path, layer, scan):
    found = find(graph, damaged(graph, tmp_path / "bad.onnx", layer), tmp_path, scan=scan)
    (parting,) = found.first_divergences
    assert parting.layers == (layer,)
    assert parting.inherited < 1e-6
    assert not found.agree and not found.spent and not found.disturbing


def test_a_layer_that_writes_nan_is_named(graph, tmp_path):
    found = find(graph, damaged(graph, tmp_path / "bad.onnx", "/inner/Conv", factor=math.nan), tmp_path)
    assert [row.layers for row in found.first_divergences] == [("/inner/Conv",)]
    assert found.first_divergences[0].error == math.inf and not found.disturbing
    assert as_json(found)["outputs"] == {"output0": None}


def test_the_branches_of_an_output_are_found_behind_a_cast_too(graph, tmp_path):
    to_fp16(graph, tmp_path / "fp16.onnx")
    axis, names = ProbedGraph(tmp_path / "fp16.onnx").branches("output0")
    assert axis == 1 and names == ProbedGraph(graph).branches("output0")[1]


def test_the_same_graph_twice_agrees_everywhere(graph, tmp_path):
    found = find(graph, graph, tmp_path, scan=True)
    assert found.agree and not found.first_divergences
    assert {row.error for row in found.rows} == {0.0}


def test_the_layer_that_quantisation_ruins_is_named(graph, tmp_path):
    found = find(graph, quantised(graph, tmp_path / "int8.onnx"), tmp_path, scan=True)
    assert found.first_divergences[0].layers == ("/loud/Conv",)


def test_errors_that_only_add_up_are_no_parting(graph):
    chain = {"/Mul_output_0": (), "/Add_output_0": ("/Mul_output_0",), "output0": ("/Add_output_0",)}
    errors = {"/Mul_output_0": 0.08, "/Add_output_0": 0.11, "output0": 0.12}
    readings = {name: Reading(error, 0.0, True) for name, error in errors.items()}
    search = Search(chain, readings, lambda _: {}, tolerance=0.1, width=1, builds_left=1)
    rows = rows_of(search, ProbedGraph(graph))
    assert not any(row.parts for row in rows)
    assert [row.tensor for row in rows if row.gradual] == ["/Add_output_0"]


def fusing(broken: Path, sound: Path, hidden: str) -> Run:
    """A builder that computes a layer wrong unless it is asked for the tensor behind that layer."""

    def run(path: Path, feeds: Sequence[Feed]) -> list[Outputs]:
        model = onnx.load(path)
        probed = [output for output in model.graph.output if output.name in ProbedGraph(sound).points]
        source = sound if hidden in {output.name for output in probed} else broken
        really = onnx.load(source)
        really.graph.output.extend(probed)
        onnx.save_model(really, path.with_name("really.onnx"))
        return onnxruntime_run(path.with_name("really.onnx"), feeds)

    return run


@pytest.mark.parametrize("scan", [True, False], ids=["scan", "bisect"])
def test_a_divergence_that_vanishes_when_looked_at_is_not_believed_but_fenced_in(graph, tmp_path, scan):
    broken = damaged(graph, tmp_path / "bad.onnx", "/inner/Conv")
    (hidden,) = (name for name in ProbedGraph(graph).points if ProbedGraph(graph).producer(name).name == "/Add")
    found = find(graph, graph, tmp_path, fusing(broken, graph, hidden), scan=scan)
    assert [row.tensor for row in found.disturbing] == [hidden]
    (parting, *others) = found.first_divergences
    assert "/inner/Conv" in parting.layers and parting.hidden == (hidden,)
    # `down` reads the hidden tensor, and so does the Concat below it: the innermost that can be seen.
    assert parting.layers == ("/inner/Conv", "/down/Conv")
    assert not [row for row in others if "/inner/Conv" not in row.layers]
    assert f"probe disturbs at {hidden}" in as_text(found, 10)


def test_strangers_are_refused(graph, tmp_path):
    model = onnx.load(graph)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    onnx.save_model(model, tmp_path / "other.onnx")
    with pytest.raises(BenchError, match="no renditions of one network"):
        shared_points(ProbedGraph(graph), ProbedGraph(tmp_path / "other.onnx"))


@pytest.mark.parametrize(("content", "words"), [(None, "graph not found"), (b"no graph at all", "is no ONNX graph")])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(BenchError, match=words):
        ProbedGraph(tmp_path / "x.onnx")


# The command


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.npz"
    np.savez(path, images=np.concatenate([feed["images"] for feed in FEEDS]))
    return path


def test_without_a_divergence_bisection_asks_for_nothing_and_says_so(graph, stored, capsys):
    both = ["--backends", "onnxruntime", "onnxruntime-plain", "--inputs", str(stored), "--count", "2"]
    assert main([str(graph), *both, "--search", "bisect"]) == 0
    answer = capsys.readouterr().out
    assert "0 of 9 probe points read in 0 probed builds" in answer
    assert "--search scan" in answer


def test_the_command_answers_like_diff(graph, tmp_path, stored, capsys):
    bad, report = damaged(graph, tmp_path / "bad.onnx", "/down/Conv"), tmp_path / "found.json"
    given_inputs = ["--inputs", str(stored), "--count", "2", "--batch", "2"]
    assert main([str(graph), "--backends", "onnxruntime", "onnxruntime-plain", *given_inputs]) == 0
    assert "final output output0 agrees" in capsys.readouterr().out
    assert main([str(graph), str(bad), *given_inputs, "--json", str(report)]) == 1
    assert "1. /down/Conv" in capsys.readouterr().out
    content = json.loads(report.read_text())
    assert content["agree"] is False
    assert [row["layers"] for row in content["rows"] if row["parts"]] == [["/down/Conv"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backends", "onnxruntime"], "make no pair"),
        (["--backends", "onnxruntime", "onnxruntime"], "both sides are"),
        (["--count", "3", "--batch", "2"], "does not fill batches"),
        (["--probes-per-build", "-1"], "--probes-per-build: -1 is out of range"),
        (["--count", "9"], "holds 2 inputs"),
        (["--inputs", "nowhere.npz"], "nowhere.npz"),
        (["--images", "nowhere"], "no folder nowhere"),
        (["--suite", "embedded", "--model", "resnet"], "no embedded 'resnet'"),
        (["--suite", "embedded", "--model", "yolov8n"], "takes images of shape"),
        (["--suite", "embedded", "--model", "clip-text"], "the graph reads images"),
        (["--json", "/nowhere/found.json"], "--json /nowhere/found.json"),
    ],
)
def test_a_bad_call_says_what_is_wrong_and_how_to_mend_it(graph, stored, capsys, arguments, words):
    inputs = [] if {"--inputs", "--images", "--suite"} & set(arguments) else ["--inputs", str(stored)]
    backends = [] if "--backends" in arguments else ["--backends", "onnxruntime", "onnxruntime-plain"]
    count = [] if "--count" in arguments else ["--count", "2"]
    assert main([str(graph), *inputs, *backends, *count, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and "hint" in error


def test_tensorrt_without_a_card_is_refused_before_anything_is_built(graph, stored, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main([str(graph), "--inputs", str(stored), "--backends", "onnxruntime", "tensorrt"]) == 2
    assert "--backends tensorrt" in capsys.readouterr().err


def test_json_has_no_figure_that_json_lacks(graph, tmp_path):
    found = find(graph, graph, tmp_path, scan=True)
    assert "Infinity" not in json.dumps(as_json(found))


@pytest.mark.gpu
def test_tensorrt_and_onnxruntime_agree_on_a_sound_graph_and_part_on_a_damaged_one(graph, tmp_path, stored, capsys):
    both = ["--backends", "onnxruntime", "tensorrt", "--inputs", str(stored), "--count", "2", "--builder-level", "0"]
    assert main([str(graph), *both]) == 0
    bad = damaged(graph, tmp_path / "bad.onnx", "/down/Conv")
    assert main([str(graph), str(bad), *both]) == 1
    assert "1. /down/Conv" in capsys.readouterr().out
