"""Every CPU backend answers the same tensors for the same module, and says what it really is."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import psutil
import pytest
import torch
from torch import nn

from fixtures.backends import registry
from fixtures.backends.base import EngineInfo, Job
from fixtures.backends.onnxrt.cpu import layers_of, open_session
from fixtures.backends.pytorch import compile as compile_backend
from fixtures.backends.pytorch import eager
from fixtures.backends.pytorch.compile import TorchCompile
from fixtures.backends.pytorch.eager import PyTorchEager
from fixtures.models.onnx_export import export_onnx
from fixtures.plan.matrix import PRECISIONS, Case
from fixtures.precision.fp16 import to_fp16
from fixtures.precision.int8 import Int8Settings, to_int8

BATCH = 2
TASK = "detection"


class Small(nn.Module):
    """Two convolutions and a linear layer: three layers with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU())
        self.linear = nn.Linear(32, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.convolutions(images).mean(dim=(2, 3)))


def _module() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small().eval()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    paths = {precision: folder / f"{precision}.onnx" for precision in ("fp32", "fp16")}
    small = SimpleNamespace(module=_module, input_name="images", output_name="output0")
    export_onnx(small, torch.rand(BATCH, 3, 16, 16), paths["fp32"])
    to_fp16(paths["fp32"], paths["fp16"])
    return paths


def _job(backend: str, precision: str, graphs: dict[str, Path]) -> Job:
    example = torch.rand(BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return Job(Case("small", "detection", backend, precision, BATCH), "cpu", _module, graphs[precision], example)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "name", [name for name in registry.NAMES if not registry.unsupported_reason(name, "fp32", "cpu", TASK)]
)
def test_an_engine_answers_like_the_module_it_was_built_from(
    name: str, precision: str, graphs: dict[str, Path], tmp_path: Path
):
    backend = registry.backend(name)
    job = _job(name, precision, graphs)
    path = tmp_path / backend.file_name
    built = backend.build(job, path)
    answer = backend.load(job, path)(job.example)
    with torch.no_grad():
        expected = _module()(job.example)
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, expected, rtol=0, atol={"fp32": 1e-5, "fp16": 5e-3}[precision])
    assert sum(built.layers.values()) == 3


def test_an_engine_answers_from_its_file_not_from_the_module(graphs: dict[str, Path], tmp_path: Path):
    """Scored is what was built: weights changed in the file change the answer."""
    from safetensors.torch import load_file, save_file

    backend = registry.backend("pytorch")
    job = _job("pytorch", "fp32", graphs)
    path = tmp_path / backend.file_name
    backend.build(job, path)
    save_file({name: tensor * 0 for name, tensor in load_file(path).items()}, path)
    assert not backend.load(job, path)(job.example).any()


def test_a_compile_worker_that_does_not_hear_is_ended(monkeypatch: pytest.MonkeyPatch):
    """PyTorch 2.5 gives up after 10 s; the build must not, and nothing may run on."""
    from torch._inductor import async_compile

    code = "import time; print(flush=True); time.sleep(60)"
    deaf, other = (
        subprocess.Popen([sys.executable, "-c", code, word], stdout=subprocess.PIPE)
        for word in ("torch/_inductor/compile_worker/__main__.py", "something-else")
    )
    for process in (deaf, other):
        assert process.stdout is not None and process.stdout.readline()

    def gives_up() -> None:
        raise subprocess.TimeoutExpired("worker", 10)

    monkeypatch.setattr(async_compile, "shutdown_compile_workers", gives_up)
    try:
        compile_backend._end_compile_workers()
        assert not psutil.pid_exists(deaf.pid) and other.poll() is None
    finally:
        for process in (deaf, other):
            process.kill()
            process.communicate()


def test_compiled_engines_need_neither_each_other_nor_the_folder_they_were_made_in(
    graphs: dict[str, Path], tmp_path: Path
):
    """The engine cache renames their folders: a load must not compile again, and what PyTorch 2.5 wrote beside the
    first engine, a header that all kernels include, is no longer there for the second.
    """
    from torch._dynamo.utils import counters

    job = _job("torch-compile", "fp32", graphs)
    for name in ("first", "second"):
        (tmp_path / "scratch").mkdir()
        # Not the same kernels again: they would be found, compiled, in memory.
        job = replace(job, example=torch.cat([job.example, job.example]))
        TorchCompile().build(job, tmp_path / "scratch" / "weights.safetensors")
        (tmp_path / "scratch").rename(tmp_path / name)
    counters.clear()
    TorchCompile().load(job, tmp_path / "second" / "weights.safetensors")
    hits = {name: count for name, count in counters["inductor"].items() if "cache_hit" in name or "cache_miss" in name}
    assert hits.get("fxgraph_cache_miss", 0) == 0, hits


def test_no_compile_worker_is_left_to_share_the_cores_with_a_measurement(graphs: dict[str, Path], tmp_path: Path):
    """On a card Inductor starts a worker a core; on a CPU it needs none, so the test starts them."""
    from torch._inductor import config
    from torch._inductor.async_compile import AsyncCompile, shutdown_compile_workers

    shutdown_compile_workers()
    before = set(psutil.Process().children(recursive=True))
    job, path = _job("torch-compile", "fp32", graphs), tmp_path / "weights.safetensors"
    with config.patch(compile_threads=2):
        AsyncCompile.process_pool()
        started = set(psutil.Process().children(recursive=True)) - before
        TorchCompile().build(job, path)
        TorchCompile().load(job, path)
    assert started
    assert not set(psutil.Process().children(recursive=True)) - before


@pytest.mark.parametrize(
    ("kernels", "arithmetic", "on_request"),
    [(False, False, True), (False, None, True), (True, False, False), (False, True, False)],
)
def test_fp16_of_a_module_waits_to_be_asked_for_where_neither_cpu_nor_pytorch_has_it(
    kernels: bool, arithmetic: bool | None, on_request: bool, monkeypatch: pytest.MonkeyPatch
):
    """Compiled it waits on every CPU: the build takes as long as that of FP32."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: kernels, raising=False)
    monkeypatch.setattr(eager, "has_fp16_arithmetic", lambda: arithmetic)
    waiting = {"pytorch": on_request, "torch-compile": True}
    for name, precision in itertools.product(registry.NAMES, PRECISIONS):
        if not registry.unsupported_reason(name, precision, "cpu", TASK):
            waits = precision == "fp16" and waiting.get(name, False)
            assert bool(registry.on_request_reason(name, precision, "cpu")) is waits, name
        assert registry.on_request_reason(name, precision, "cuda") == ""
    assert registry.unsupported_reason("pytorch", "fp16", "cpu", TASK) == ""


def test_fp16_on_a_cpu_without_it_is_said_plainly(
    graphs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(eager, "computes_in_fp16", lambda: False)
    built = registry.backend("pytorch").build(_job("pytorch", "fp16", graphs), tmp_path / "weights")
    assert "no FP16 arithmetic" in built.notes[0]


@pytest.mark.parametrize("name", ["pytorch", "torch-compile"])
def test_int8_of_a_module_is_refused_with_a_reason(name: str):
    assert "ONNX graph" in registry.unsupported_reason(name, "int8", "cpu", TASK)


def test_torch_compile_without_a_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "apt install g++" in registry.unsupported_reason("torch-compile", "fp32", "cpu", TASK)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("name", ["pytorch", "torch-compile"])
def test_a_card_that_pytorch_cannot_see_is_a_reason(name: str):
    assert "sees no CUDA device" in registry.unsupported_reason(name, "fp32", "cuda", TASK)


def test_the_cpu_provider_does_not_answer_for_a_gpu():
    assert "CPU provider" in registry.unsupported_reason("onnxruntime", "fp32", "cuda", TASK)


def _threads_of_a_session(graph: Path) -> int:
    """Beside the one that calls."""
    before = psutil.Process().num_threads()
    session = open_session(graph)
    more = psutil.Process().num_threads() - before
    del session
    return more


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("4", 4), ("3,2", 3)])
def test_onnxruntime_takes_the_threads_that_pytorch_takes(
    asked: str, threads: int, graphs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert 1 + _threads_of_a_session(graphs["fp32"]) == threads


@pytest.mark.parametrize("asked", ["", "many", "-1", "0"])
def test_without_a_number_onnxruntime_takes_as_many_as_ever(
    asked: str, graphs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    expected = _threads_of_a_session(graphs["fp32"])
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert _threads_of_a_session(graphs["fp32"]) == expected


def test_a_backend_whose_package_is_missing_is_listed_not_raised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.CATALOGUE, "absent", "fixtures.backends.no_such_module:Nothing")
    assert "cannot be imported" in registry.unsupported_reason("absent", "fp32", "cpu", TASK)


def test_layers_are_counted_by_the_type_they_compute_in(graphs: dict[str, Path]):
    assert layers_of(onnx.load(graphs["fp32"])) == {"fp32": 3}
    assert layers_of(onnx.load(graphs["fp16"])) == {"fp16": 3}


def test_a_simulated_int8_layer_counts_as_fp32(graphs: dict[str, Path], tmp_path: Path):
    """ONNX Runtime fuses Q/DQ into a MatMul but not, without a pair on its output, into a convolution."""
    feeds = [{"images": np.random.default_rng(seed).random((1, 3, 16, 16), np.float32)} for seed in range(4)]
    path = tmp_path / "int8.onnx"
    to_int8(graphs["fp32"], path, feeds, Int8Settings(noise_budget=1.0), lambda _: None)
    built = registry.backend("onnxruntime").build(_job("onnxruntime", "int8", {"int8": path}), tmp_path / "engine")
    assert sum(built.layers.values()) == 3
    assert built.layers["fp32"] >= 1
    assert "Read its accuracy, not its speed" in built.simulated
    assert not built.precision_mismatch("int8")


@pytest.mark.parametrize(
    ("asked", "layers", "fine"),
    [
        ("fp32", {"fp32": 3}, True),
        ("fp32", {"fp32": 2, "fp16": 1}, False),
        ("fp16", {"fp16": 2, "fp32": 2}, True),
        ("fp16", {"fp32": 3}, False),
        ("int8", {"int8": 1, "fp16": 2}, False),
        ("fp16", {}, False),
    ],
)
def test_an_engine_that_is_not_what_was_asked_for_is_told(asked: str, layers: dict[str, int], fine: bool):
    assert bool(EngineInfo(layers).precision_mismatch(asked)) is not fine


def test_a_backend_made_for_one_task_refuses_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(PyTorchEager, "tasks", ("detection",))
    assert registry.unsupported_reason("pytorch", "fp32", "cpu", "detection") == ""
    assert "made for detection" in registry.unsupported_reason("pytorch", "fp32", "cpu", "zero-shot")
