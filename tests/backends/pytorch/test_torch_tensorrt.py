"""Torch-TensorRT: what each version is told, and what is read back from the graph that it compiled."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from fixtures.backends.base import EngineOptions, Job
from fixtures.backends.pytorch import torch_tensorrt as torch_tensorrt_engine
from fixtures.backends.pytorch.torch_tensorrt import TorchTensorRT, compile_settings, read_back, typing_settings
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case
from tests.helpers.networks import LoudDetector

HALF_AND_FLOAT = {torch.float16, torch.float32}


@pytest.mark.parametrize(
    ("release", "precision", "expected"),
    [
        ((2, 5), "fp32", {"enabled_precisions": {torch.float32}}),
        ((2, 5), "fp16", {"enabled_precisions": HALF_AND_FLOAT}),
        ((2, 6), "fp16", {"use_explicit_typing": True}),
        ((2, 9), "fp16", {"use_explicit_typing": True}),
        ((2, 9), "int8", {"enabled_precisions": HALF_AND_FLOAT | {torch.int8}}),
        ((2, 10), "int8", {"use_explicit_typing": True}),
        ((2, 12), "fp16", {"use_explicit_typing": True}),
        ((2, 13), "fp16", {}),
        ((2, 14), "int8", {}),
    ],
)
def test_precision_is_asked_for_as_each_version_takes_it(release: tuple[int, int], precision: str, expected: dict):
    assert typing_settings(release, precision) == expected


@pytest.mark.parametrize("release", [(2, minor) for minor in range(10, 15)])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_what_later_versions_ignore_or_refuse_is_never_passed(release: tuple[int, int], precision: str):
    """2.13 drops `enabled_precisions` without a word, and the engine is FP32."""
    settings = typing_settings(release, precision) | compile_settings(release, EngineOptions())
    assert not {"enabled_precisions", "debug"} & set(settings)


def test_options_of_the_user_reach_the_compiler():
    settings = compile_settings((2, 8), EngineOptions(workspace_mb=256, builder_level=5))
    assert settings["workspace_size"] == 256 * 2**20
    assert settings["optimization_level"] == 5
    assert settings["disable_tf32"] is True
    assert compile_settings((2, 7), EngineOptions())["debug"] is True


class Compiled(nn.Module):
    """An engine in a compiled graph: what its inspector answers, without the engine."""

    def __init__(self, *weights: str) -> None:
        super().__init__()
        self.layers = [{"Name": "layer", "Weights": {"Type": kind, "Count": 8}} for kind in weights]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def get_layer_info(self) -> str:
        return json.dumps({"Layers": self.layers, "Bindings": []})


def _partitioned(**children: nn.Module) -> torch.fx.GraphModule:
    """A graph that calls its children one after another, as the partitioner leaves one."""
    graph = torch.fx.Graph()
    value = graph.placeholder("x")
    for name in children:
        value = graph.call_module(name, (value,))
    graph.output(value)
    return torch.fx.GraphModule(dict(children), graph)


def _in_torch(module: nn.Module, *shape: int) -> nn.Module:
    """A part that stays in PyTorch: operators as torch.export leaves them."""
    exported: nn.Module = torch.export.export(module.eval(), (torch.zeros(*shape),), strict=False).module()
    return exported


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sort(x)[0]


def test_layers_are_counted_over_all_engines():
    built = read_back(_partitioned(_run_on_acc_0=Compiled("Half", "Half"), _run_on_acc_1=Compiled("Float")))
    assert built.layers == {"fp16": 2, "fp32": 1}
    assert built.notes == ()


def test_an_operator_between_the_engines_is_a_note():
    built = read_back(
        _partitioned(
            _run_on_acc_0=Compiled("Int8"), _run_on_gpu_1=_in_torch(Sorted(), 2, 3), _run_on_acc_2=Compiled("Int8")
        )
    )
    assert built.layers == {"int8": 2}
    assert "1 aten.sort.default" in built.notes[0]


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3), nn.Linear(8, 4)])
def test_a_layer_that_stays_in_pytorch_fails_the_build(layer: nn.Module):
    left = _in_torch(layer, 1, 3, 8, 8)
    with pytest.raises(BenchError, match=r"left in PyTorch: aten\.(conv2d|linear)"):
        read_back(_partitioned(_run_on_acc_0=Compiled("Half"), _run_on_gpu_1=left))


def test_a_module_that_was_not_compiled_at_all_fails_the_build():
    """Below its smallest block the compiler gives back the graph that it got."""
    with pytest.raises(BenchError, match=r"aten\.conv2d"):
        read_back(_in_torch(nn.Conv2d(3, 4, 3), 1, 3, 8, 8))
    with pytest.raises(BenchError, match="no TensorRT engine"):
        read_back(_in_torch(Sorted(), 2, 3))


def test_an_engine_that_names_layers_only_fails_the_build():
    """So it would be without a debugger: the inspector knows names and no precision."""
    engine = Compiled()
    engine.layers = ["conv + silu", "linear"]  # type: ignore[assignment]
    with pytest.raises(BenchError, match="no TensorRT engine names a layer with weights"):
        read_back(_partitioned(_run_on_acc_0=engine))


def _versions(monkeypatch: pytest.MonkeyPatch, torch_version: str, cuda: str | None, installed: str) -> None:
    monkeypatch.setattr(torch, "__version__", torch_version)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    versions = {"torch-tensorrt": installed}
    monkeypatch.setattr(torch_tensorrt_engine, "version", lambda package: versions.get(package, ""))
    present = object() if installed else None
    monkeypatch.setattr(
        torch_tensorrt_engine.util, "find_spec", lambda name: present if name == "torch_tensorrt" else None
    )


def test_an_absent_package_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch):
    _versions(monkeypatch, "2.8.0", "12.8", "")
    reason = torch_tensorrt_engine.why_no_torch_tensorrt("fp16")
    assert "not installed" in reason and "torch-tensorrt==2.8.0" in reason


def test_a_package_for_another_pytorch_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    _versions(monkeypatch, "2.8.0", "12.8", "2.7.0")
    reason = torch_tensorrt_engine.why_no_torch_tensorrt("fp16")
    assert "torch-tensorrt 2.7.0 is installed" in reason and "torch-tensorrt==2.8.0" in reason


def test_a_package_for_another_cuda_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    _versions(monkeypatch, "2.10.0", "12.8", "2.10.0")
    assert "is built for CUDA 13.0" in torch_tensorrt_engine.why_no_torch_tensorrt("fp16")


def test_a_package_that_fits_runs_and_int8_needs_modelopt(monkeypatch: pytest.MonkeyPatch):
    _versions(monkeypatch, "2.8.0", "12.8", "2.8.0")
    assert torch_tensorrt_engine.why_no_torch_tensorrt("fp16") == ""
    assert "pip install nvidia-modelopt" in torch_tensorrt_engine.why_no_torch_tensorrt("int8")


@pytest.mark.parametrize(
    ("torch_version", "cuda", "installed"),
    [("2.5.1+cu124", "12.4", "2.5.0"), ("2.6.0", "12.4", "2.6.1"), ("2.7.1", "12.8", "2.7.0")],
)
def test_int8_weights_that_old_versions_fold_away_are_refused(
    torch_version: str, cuda: str, installed: str, monkeypatch: pytest.MonkeyPatch
):
    _versions(monkeypatch, torch_version, cuda, installed)
    assert torch_tensorrt_engine.why_no_torch_tensorrt("fp16") == ""
    reason = torch_tensorrt_engine.why_no_torch_tensorrt("int8")
    assert "constant_folding.py" in reason and "in FP16" in reason
    # The line that mends it: the first that keeps them, and not the version that is here.
    assert "torch-tensorrt==2.8.0" in reason and installed not in reason.split("later")[1]


def test_an_engine_is_found_by_the_cuda_that_pytorch_is_built_for(monkeypatch: pytest.MonkeyPatch):
    _versions(monkeypatch, "2.8.0+cu126", "12.6", "2.8.0")
    here = TorchTensorRT().cache_key(EngineOptions())
    _versions(monkeypatch, "2.8.0+cu128", "12.8", "2.8.0")
    assert TorchTensorRT().cache_key(EngineOptions()) != here


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_why_not_never_raises(device: str):
    assert TorchTensorRT().unsupported_reason("int8", device) or torch.cuda.is_available()


def _detector() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LoudDetector().eval()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_real_engine_answers_from_its_file(precision: str, tmp_path: Path):
    backend = TorchTensorRT()
    if reason := backend.unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    case = Case("small", "detection", backend.name, precision, 2)
    job = Job(case, "cuda", _detector, None, images, EngineOptions(builder_level=1), lambda: images.split(1))
    path = tmp_path / backend.file_name
    built = backend.build(job, path)
    assert not built.precision_mismatch(precision)
    with torch.no_grad():
        expected = _detector()(images)
    answer = backend.load(job, path)(images.cuda()).cpu()
    scale = float(expected.abs().max())
    tolerance = scale * {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.5}[precision]
    torch.testing.assert_close(answer, expected, rtol=0, atol=tolerance)
