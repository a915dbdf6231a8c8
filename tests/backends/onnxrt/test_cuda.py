"""ONNX Runtime's CUDA provider: what it is told, and that no answer comes from the CPU unseen."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from fixtures.backends.base import Job
from fixtures.backends.onnxrt import cuda as onnx_runtime_cuda
from fixtures.backends.onnxrt.cuda import (
    PROVIDER,
    BoundSession,
    OnnxRuntimeCuda,
    elsewhere,
    float_argmax,
    open_session,
    provider_options,
)
from fixtures.embedded.weights import clip_path
from fixtures.errors import BenchError
from fixtures.models.clip import load_clip
from fixtures.models.onnx_export import export_onnx
from fixtures.plan.matrix import Case
from fixtures.precision.fp16 import to_fp16
from tests.helpers.networks import write_detector

CPU = "CPUExecutionProvider"
SHAPE = (2, 3, 32, 32)


class Session:
    """A session as far as its opening is concerned: it says which providers it got."""

    got: Sequence[str] = ()
    asked: tuple[Any, ...] = ()

    def __init__(self, path: str, options: Any, providers: Any) -> None:
        type(self).asked = (path, options, providers)

    def get_providers(self) -> list[str]:
        return list(self.got)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[Session]:
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    # It would load CUDA's libraries, and print that there are none.
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=140_001))
    return Session


def test_a_session_that_fell_back_to_the_cpu_is_refused(session: type[Session], monkeypatch: pytest.MonkeyPatch):
    """ONNX Runtime itself only warns, and answers from the CPU."""
    monkeypatch.setattr(session, "got", (CPU,))
    with pytest.raises(BenchError, match=f"fell back to {CPU}: {PROVIDER} could not be loaded"):
        open_session(Path("model.onnx"), [(PROVIDER, provider_options())])


def test_loading_an_engine_asks_for_the_providers_too(
    session: type[Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(session, "got", (CPU,))
    case = Case("small", "detection", "onnxruntime-cuda", "fp32", 2)
    job = Job(case, "cuda", torch.nn.Identity, tmp_path / "model.onnx", torch.rand(SHAPE))
    with pytest.raises(BenchError, match="fell back"):
        OnnxRuntimeCuda().load(job, tmp_path / "model.onnx")


def test_the_provider_is_told_pytorchs_stream_and_card_and_no_tf32(
    session: type[Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(session, "got", (PROVIDER, CPU))
    open_session(tmp_path / "model.onnx", [(PROVIDER, provider_options())], profile=tmp_path)
    path, options, ((name, told),) = session.asked
    assert path == str(tmp_path / "model.onnx") and name == PROVIDER
    assert told == {"device_id": "1", "user_compute_stream": "140001", "use_tf32": "0"}
    assert options.enable_profiling and options.profile_file_prefix == str(tmp_path / "profile")


@pytest.mark.usefixtures("session")
def test_the_options_are_those_that_onnx_runtime_knows():
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.exists():
        pytest.skip("the installed onnxruntime has no CUDA provider (pip install onnxruntime-gpu)")
    known = library.read_bytes()
    for name in provider_options():
        assert name.encode() in known, name


def _event(name: str, operator: str, where: str) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "args": {"op_name": operator, "provider": where}}


def test_a_weighted_node_on_the_cpu_is_found_in_the_profile():
    profile = [
        _event("stem", "Conv", PROVIDER),
        _event("head", "Conv", CPU),
        _event("shape", "Gather", CPU),
        {"cat": "Session", "name": "model_run", "args": {}},
    ]
    assert elsewhere(profile, PROVIDER) == ["head"]


def test_without_the_provider_the_reason_names_the_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_runtime_cuda, "why_not_cuda", lambda _: "")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert "pip install onnxruntime-gpu" in OnnxRuntimeCuda().unsupported_reason("fp32", "cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, CPU])
    assert OnnxRuntimeCuda().unsupported_reason("fp16", "cuda") == ""
    assert "no INT8" in OnnxRuntimeCuda().unsupported_reason("int8", "cuda")


def test_without_a_card_the_reason_is_the_card():
    assert "NVIDIA card" in OnnxRuntimeCuda().unsupported_reason("fp32", "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
def test_argmax_of_integers_is_asked_of_floats_and_answers_the_same(kind: int):
    ids = helper.make_tensor_value_info("ids", kind, [3, 5])
    place = helper.make_tensor_value_info("place", TensorProto.INT64, [3])
    nodes = [helper.make_node("ArgMax", ["ids"], ["place"], "first", axis=1, keepdims=0)]
    model = helper.make_model(
        helper.make_graph(nodes, "text", [ids], [place]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    # CLIP's ends: the largest id, and the first of several; 49406 and 49407 are one number in FP16.
    numbers = np.array([[49406, 7, 49407, 0, 49407], [1, 1, 1, 1, 1], [5, 4, 3, 2, 49406]])
    feed = {"ids": numbers.astype(helper.tensor_dtype_to_np_dtype(kind))}

    def answer() -> list[int]:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])
        return session.run(None, feed)[0].tolist()

    before = answer()
    assert float_argmax(model) == 1
    assert before == answer() == [2, 0, 4]
    assert [node.op_type for node in model.graph.node] == ["Cast", "Sub", "ArgMax"]
    # No two numbers are equal: which of them a kernel takes is not left to it.
    model.graph.output.append(helper.make_tensor_value_info("ids_distinct", TensorProto.FLOAT, [3, 5]))
    distinct = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU]).run(["ids_distinct"], feed)[0]
    assert all(len(set(row)) == len(row) for row in distinct.tolist())
    assert float_argmax(model) == 0
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clips_text_tower_looks_for_the_end_of_a_text_among_floats(precision: str, tmp_path: Path):
    _, text = load_clip(str(clip_path()), allow_download=False)
    prompts = text.prepare(["a photo of a red circle", "a square"])
    export_onnx(text, prompts, tmp_path / "fp32.onnx")
    to_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    model = onnx.load(tmp_path / f"{precision}.onnx")

    def answer() -> np.ndarray:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])
        found: np.ndarray = session.run(None, {session.get_inputs()[0].name: prompts.numpy()})[0]
        return found

    before = answer()
    assert float_argmax(model) == 1
    assert np.array_equal(answer(), before)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 0.05)])
def test_a_real_engine_answers_like_the_graph_and_is_what_was_asked_for(
    precision: str, tolerance: float, tmp_path: Path
):
    from fixtures.backends.onnxrt import cpu as onnx_runtime

    backend = OnnxRuntimeCuda()
    if reason := backend.unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    fp32 = write_detector(tmp_path / "fp32.onnx")
    to_fp16(fp32, tmp_path / "fp16.onnx")
    example = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    expected = onnx_runtime.OrtEngine(onnx_runtime.open_session(fp32))(example)
    case = Case("small", "detection", backend.name, precision, SHAPE[0])
    job = Job(case, "cuda", torch.nn.Identity, tmp_path / f"{precision}.onnx", example)
    path = tmp_path / "engine" / backend.file_name
    path.parent.mkdir()
    with torch.cuda.stream(torch.cuda.Stream()):
        assert not backend.build(job, path).precision_mismatch(precision)
        engine = backend.load(job, path)
        assert isinstance(engine, BoundSession)
        # Two batches: each has a buffer of its own.
        for inputs, wanted in ((example, expected), (example[:1], expected[:1])):
            answer = engine(inputs.cuda()).clone()
            engine.synchronize()
            assert (answer.cpu() - wanted).norm() <= tolerance * wanted.norm()
