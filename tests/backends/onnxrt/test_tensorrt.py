"""ONNX Runtime's TensorRT provider: what it is told, what it may not hide, and the graph that it gets."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from fixtures.backends.base import EngineOptions, Job
from fixtures.backends.onnxrt import tensorrt as provider
from fixtures.backends.onnxrt.tensorrt import OnnxRuntimeTensorRT, fix_batch, leftovers, plans_beside
from fixtures.backends.trt.inspector import WeightCount
from fixtures.backends.trt.typed_layers import checked_by_size, typed_layers
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case
from fixtures.precision.fp16 import to_fp16
from fixtures.precision.int8 import Int8Settings, to_int8
from fixtures.precision.onnx_session import open_session
from tests.helpers.networks import image_feeds, write_detector

LAYERS = 7


def _node(name: str, operator: str, where: str) -> dict[str, Any]:
    """An event as ONNX Runtime's profiler writes it."""
    return {"cat": "Node", "name": f"{name}_kernel_time", "args": {"op_name": operator, "provider": where}}


COMPILED = _node("TRTKernel_graph_main_0", "TRTKernel_graph_main_0", "TensorrtExecutionProvider")


def test_precision_is_left_to_the_graph(tmp_path: Path):
    """Either flag makes the provider's network weakly typed, and TensorRT may then ignore the graph's types."""
    options = provider.provider_options(EngineOptions(256, 4), tmp_path, stream=7, device=1)
    assert options["trt_fp16_enable"] == options["trt_int8_enable"] == "False"
    assert options["user_compute_stream"] == "7" and options["device_id"] == "1"
    assert options["trt_max_workspace_size"] == str(256 * 2**20)
    assert options["trt_builder_optimization_level"] == "4"
    assert options["trt_engine_cache_path"] == str(tmp_path)


def test_a_timing_cache_is_a_folder_to_the_provider(tmp_path: Path):
    options = provider.provider_options(EngineOptions(0, timing_cache=tmp_path / "timings"), tmp_path, 0, 0)
    assert options["trt_timing_cache_path"] == str(tmp_path / "onnxruntime-tensorrt-system-timings")
    assert "trt_max_workspace_size" not in options


def test_the_options_are_those_that_onnx_runtime_knows():
    """The names come from its own library, in which the parser keeps them."""
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
    if not library.exists():
        pytest.skip("the installed onnxruntime has no TensorRT provider (pip install onnxruntime-gpu)")
    known = library.read_bytes()
    for name in provider.provider_options(EngineOptions(timing_cache=Path("t")), Path(), 0, 0):
        assert name.encode() in known, name


def test_a_graph_wholly_in_tensorrt_needs_no_note():
    assert leftovers([COMPILED, {"cat": "Session", "name": "model_run", "args": {}}]) == ()


def test_small_nodes_elsewhere_are_named():
    note = leftovers([COMPILED, _node("/argmax", "ArgMax", "CUDAExecutionProvider")])
    assert note == ("nodes outside TensorRT: 1 ArgMax on CUDAExecutionProvider",)


def test_a_layer_on_another_provider_fails_the_build():
    with pytest.raises(BenchError, match="1 weighted nodes outside TensorRT: /stem/Conv"):
        leftovers([COMPILED, _node("/stem/Conv", "Conv", "CUDAExecutionProvider")])


def test_a_session_without_tensorrt_fails_the_build():
    with pytest.raises(BenchError, match="ran no node on TensorrtExecutionProvider"):
        leftovers([_node("/argmax", "ArgMax", "CPUExecutionProvider")])


def test_the_graph_is_made_for_its_batch(tmp_path: Path):
    model = onnx.load(write_detector(tmp_path / "any.onnx"))
    fix_batch(model, 3)
    onnx.save(model, tmp_path / "three.onnx")
    session = open_session(tmp_path / "three.onnx")
    assert session.get_inputs()[0].shape == [3, 3, 32, 32]
    assert session.get_outputs()[0].shape == [3, 9, 16, 16]
    images = np.concatenate([feed["images"] for feed in image_feeds(3, seed=0)])
    (answer,) = session.run(None, {"images": images})
    (expected,) = open_session(tmp_path / "any.onnx").run(None, {"images": images})
    np.testing.assert_array_equal(answer, expected)


def test_layers_are_counted_by_the_types_of_the_graph(tmp_path: Path):
    fp32 = write_detector(tmp_path / "fp32.onnx")
    to_fp16(fp32, tmp_path / "fp16.onnx")
    assert typed_layers(onnx.load(fp32)) == {"fp32": LAYERS}
    assert typed_layers(onnx.load(tmp_path / "fp16.onnx")) == {"fp16": LAYERS}


def test_a_layer_is_int8_where_activation_and_weight_are(tmp_path: Path):
    fp32 = write_detector(tmp_path / "fp32.onnx")
    to_int8(fp32, tmp_path / "int8.onnx", image_feeds(4, seed=0), Int8Settings(noise_budget=1.0), lambda _: None)
    model = onnx.load(tmp_path / "int8.onnx")
    layers = typed_layers(model)
    assert layers["int8"] >= 1 and sum(layers.values()) == LAYERS
    # A quantised weight alone is a smaller file, no INT8 arithmetic.
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type == "Conv" and (pair := makers.get(node.input[0])) and pair.op_type == "DequantizeLinear":
            node.input[0] = makers[pair.input[0]].input[0]
    assert "int8" not in typed_layers(model)


def test_without_the_provider_the_reason_names_the_package():
    if provider.PROVIDER in onnxruntime.get_available_providers():
        pytest.skip("the installed ONNX Runtime has the provider")
    assert "has no TensorrtExecutionProvider" in provider.why_no_provider()


def test_without_tensorrt_10_the_reason_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider.PROVIDER])
    monkeypatch.setattr(provider, "LIBRARIES", ("libnvinfer.so.absent",))
    provider.load_tensorrt.cache_clear()
    try:
        reason = provider.why_no_provider()
    finally:
        provider.load_tensorrt.cache_clear()
    assert "libnvinfer.so.absent" in reason and ">=10,<11" in reason


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_why_not_never_raises(device: str):
    assert OnnxRuntimeTensorRT().unsupported_reason("int8", device) or torch.cuda.is_available()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_real_session_answers_like_the_graph(precision: str, tmp_path: Path):
    backend = OnnxRuntimeTensorRT()
    if reason := backend.unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    fp32 = write_detector(tmp_path / "fp32.onnx")
    graph = fp32 if precision == "fp32" else tmp_path / "fp16.onnx"
    if precision == "fp16":
        to_fp16(fp32, graph)
    images = torch.cat([torch.from_numpy(feed["images"]) for feed in image_feeds(2, seed=1)])
    case = Case("small", "detection", backend.name, precision, 2)
    job = Job(case, "cuda", torch.nn.Identity, graph, images)
    (tmp_path / "engine").mkdir()
    path = tmp_path / "engine" / backend.file_name
    built = backend.build(job, path)
    assert not built.precision_mismatch(precision)
    assert list((path.parent / provider.CACHE_FOLDER).glob("*.engine"))
    (expected,) = open_session(fp32).run(None, {"images": images.numpy()})
    answer = backend.load(job, path)(images.cuda()).cpu()
    tolerance = float(abs(expected).max()) * {"fp32": 1e-4, "fp16": 2e-2}[precision]
    torch.testing.assert_close(answer, torch.from_numpy(expected), rtol=0, atol=tolerance)


def test_the_plans_are_part_of_the_engine(tmp_path: Path):
    path = tmp_path / "model.onnx"
    plans = tmp_path / provider.CACHE_FOLDER
    plans.mkdir()
    with pytest.raises(BenchError, match="kept no TensorRT plan"):
        plans_beside(path)
    for name in ("b.engine", "a.engine"):
        (plans / name).touch()
    assert plans_beside(path) == ("tensorrt/a.engine", "tensorrt/b.engine")


def test_plans_too_large_for_what_was_ordered_are_told():
    counts = WeightCount(layers=10, weights=10_000_000)
    ordered = {"fp16": 9, "fp32": 1}
    assert checked_by_size(ordered, 21_000_000, counts) == ordered
    assert checked_by_size(ordered, 42_000_000, counts) == {"fp32": 10}
