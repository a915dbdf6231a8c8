"""Ultralytics' own export: what keeps it from running, what it is calibrated on, and what it is told."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
from torch import nn

from fixtures.backends.base import EngineOptions, Job
from fixtures.backends.compatibility import MODELOPT_ONNX_MODULES
from fixtures.backends.trt import ultralytics as ultralytics_engine
from fixtures.backends.trt.ultralytics import UltralyticsEngine, _calibration_yaml, _export, why_no_export
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case

SIDE = 64


def _installed(monkeypatch: pytest.MonkeyPatch, modelopt: str, *absent: str, cuda: str = "13.0") -> None:
    """A machine with this nvidia-modelopt, and all that its part for ONNX imports but what is `absent`."""
    monkeypatch.setattr(ultralytics_engine, "version", lambda _: modelopt)
    monkeypatch.setattr(ultralytics_engine.util, "find_spec", lambda name: None if name in absent else object())
    monkeypatch.setattr(torch.version, "cuda", cuda)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_tensorrt_that_ultralytics_excludes_is_refused(precision: str):
    assert "any TensorRT but 10.2.0" in why_no_export(precision, "10.2.0")
    assert why_no_export(precision, "10.3.0") == why_no_export(precision, "8.6.1.post1") == ""


def test_tensorrt_11_needs_modelopts_part_for_onnx_but_for_fp32(monkeypatch: pytest.MonkeyPatch):
    _installed(monkeypatch, "0.46.0")
    assert why_no_export("fp16", "11.1.0.106") == why_no_export("int8", "11.1.0.106") == ""
    # What the extra `gpu` installs: the package without what its part for ONNX imports.
    _installed(monkeypatch, "0.46.0", "onnx_graphsurgeon", "lief")
    for precision in ("fp16", "int8"):
        reason = why_no_export(precision, "11.1.0.106")
        assert "nvidia-modelopt 0.46.0 without onnx_graphsurgeon, lief" in reason
        assert 'pip install "nvidia-modelopt[onnx]>=0.44"' in reason
    assert why_no_export("fp32", "11.1.0.106") == why_no_export("fp16", "10.16.1") == ""


def test_an_absent_and_an_old_modelopt_are_told_apart(monkeypatch: pytest.MonkeyPatch):
    _installed(monkeypatch, "", *MODELOPT_ONNX_MODULES)
    assert "here is no nvidia-modelopt." in why_no_export("fp16", "11.0.0")
    _installed(monkeypatch, "0.43.0")
    assert "here is nvidia-modelopt 0.43.0." in why_no_export("fp16", "11.0.0")


def test_what_the_pip_line_costs_is_said(monkeypatch: pytest.MonkeyPatch):
    """The extra [onnx] holds onnxruntime-gpu at a build for CUDA 12."""
    _installed(monkeypatch, "", cuda="13.0")
    assert "environment of its own" in why_no_export("int8", "11.1.0")
    _installed(monkeypatch, "", cuda="12.8")
    assert "onnxruntime-gpu ~=1.24.2" in why_no_export("int8", "11.1.0")
    assert "environment of its own" not in why_no_export("int8", "11.1.0")


def test_the_backend_asks_for_the_precision_and_the_version(monkeypatch: pytest.MonkeyPatch):
    _installed(monkeypatch, "")
    monkeypatch.setattr(ultralytics_engine, "why_not_cuda", lambda _: "")
    monkeypatch.setattr(ultralytics_engine, "why_not_tensorrt", lambda: "")
    monkeypatch.setattr(ultralytics_engine, "tensorrt_version", lambda: "11.1.0.106")
    assert UltralyticsEngine().unsupported_reason("fp32", "cuda") == ""
    assert "modelopt.onnx" in UltralyticsEngine().unsupported_reason("int8", "cuda")


@pytest.mark.parametrize("package", ["torch", "onnx", "onnxscript", "nvidia-modelopt"])
def test_what_writes_the_graph_is_part_of_the_engines_key(package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ultralytics_engine, "tensorrt_version", lambda: "11.1.0.106")
    monkeypatch.setattr(ultralytics_engine, "version", lambda _: "1.0")
    before = UltralyticsEngine().cache_key(EngineOptions())
    if package == "torch":
        monkeypatch.setattr(torch, "__version__", "3.0.0")
    else:
        monkeypatch.setattr(ultralytics_engine, "version", lambda name: "2.0" if name == package else "1.0")
    after = UltralyticsEngine().cache_key(EngineOptions())
    assert {name for name in after if after[name] != before[name]} == {package}


class Wrapped(nn.Module):
    """As the suite's module holds it: Ultralytics' network in `network`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


def _calibration() -> list[torch.Tensor]:
    """Images as `Job.calibration` gives them, every pixel a whole 255th."""
    random = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=random) / 255 for _ in range(5)]


def _job(checkpoint: Path, precision: str, options: EngineOptions | None = None) -> Job:
    def module() -> nn.Module:
        return Wrapped(torch.load(checkpoint, weights_only=False)["model"])

    case = Case("small", "detection", "ultralytics-engine", precision, 2)
    return Job(case, "cuda", module, None, torch.rand(2, 3, SIDE, SIDE), options or EngineOptions(), _calibration)


def test_the_calibration_set_is_the_suites_images_and_no_others(untrained_checkpoint: Path, tmp_path: Path):
    """Also where Ultralytics looks by default, its `val`, which otherwise are the images that judge the engine."""
    data = json.loads(
        _calibration_yaml(_job(untrained_checkpoint, "int8"), tmp_path, {0: "cat", 1: "dog"}).read_text("utf-8")
    )
    assert data["train"] == data["val"] and data["names"] == {"0": "cat", "1": "dog"}
    written = sorted((Path(data["path"]) / data["val"]).iterdir())
    wanted = _calibration()
    assert len(written) == len(wanted)
    for file, tensor in zip(written, wanted, strict=True):
        pixels = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        assert torch.equal(torch.from_numpy(pixels).permute(2, 0, 1) / 255, tensor[0]), file.name


class Config:
    """TensorRT's builder configuration, as far as it is set."""

    def __init__(self) -> None:
        self.cleared: list[str] = []
        self.profiling_verbosity = self.builder_optimization_level = None

    def clear_flag(self, flag: str) -> None:
        self.cleared.append(flag)

    def create_timing_cache(self, content: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: content + b"timed", combine=lambda *_: None)

    def set_timing_cache(self, timings: Any, ignore_mismatch: bool) -> bool:
        return True


class Builder:
    def create_builder_config(self) -> Config:
        return Config()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a `YOLO.export` was told that builds nothing, and the configuration that TensorRT gave it."""
    told: dict[str, Any] = {}
    tensorrt = SimpleNamespace(
        __version__="10.3.0",
        Builder=Builder,
        BuilderFlag=SimpleNamespace(TF32="TF32"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="DETAILED"),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)

    def export(model: Any, **settings: Any) -> str:
        told.update(settings, config=Builder().create_builder_config(), checkpoint=Path(model.ckpt_path))
        if "data" in settings:
            told["described"] = json.loads(Path(settings["data"]).read_text("utf-8"))
        made = Path(model.ckpt_path).with_suffix(".engine")
        made.write_bytes(b"engine")
        return str(made)

    monkeypatch.setattr(ultralytics_engine.YOLO, "export", export)
    return told


@pytest.mark.parametrize(("precision", "quantize"), [("fp32", None), ("fp16", 16), ("int8", 8)])
def test_the_export_is_told_precision_batch_and_the_suites_data(
    precision: str, quantize: int | None, untrained_checkpoint: Path, told: dict[str, Any], tmp_path: Path
):
    exported, _ = _export(_job(untrained_checkpoint, precision), tmp_path)
    assert exported.read_bytes() == b"engine" and exported.parent == tmp_path
    assert told["quantize"] == quantize
    assert (told["format"], told["batch"], told["imgsz"], told["device"]) == ("engine", 2, SIDE, 1)
    assert told["checkpoint"].parent == tmp_path and not {"half", "int8"} & set(told)
    if precision == "int8":
        assert told["described"]["path"] == str(tmp_path) and told["described"]["val"] == "images"
    else:
        assert "data" not in told


def test_the_builder_is_told_what_ultralytics_leaves_out(
    untrained_checkpoint: Path, told: dict[str, Any], tmp_path: Path
):
    options = EngineOptions(workspace_mb=512, builder_level=2, timing_cache=tmp_path / "timings")
    create = Builder.create_builder_config
    _, known_bytes = _export(_job(untrained_checkpoint, "fp16", options), tmp_path)
    assert told["workspace"] == 0.5 and known_bytes == 0
    assert told["config"].cleared == ["TF32"] and told["config"].profiling_verbosity == "DETAILED"
    assert told["config"].builder_optimization_level == 2
    assert (tmp_path / "tensorrt-10.3.0-timings").read_bytes() == b"timed"
    (again := tmp_path / "again").mkdir()
    assert _export(_job(untrained_checkpoint, "fp16", options), again)[1] == len(b"timed")
    # And for nobody else.
    assert Builder.create_builder_config is create


@pytest.mark.usefixtures("told")
def test_a_failed_export_is_a_sentence_and_leaves_tensorrt_as_it_was(
    untrained_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def export(*_: Any, **__: Any) -> str:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(ultralytics_engine.YOLO, "export", export)
    create = Builder.create_builder_config
    with pytest.raises(BenchError, match=r"could not export .*: no kernel"):
        _export(_job(untrained_checkpoint, "fp16"), tmp_path)
    assert Builder.create_builder_config is create


def _smooth() -> Mapping[str, torch.Tensor]:
    coarse = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    images = nn.functional.interpolate(coarse, size=SIDE, mode="bilinear").mul(255).round() / 255
    return {"calibration": images[:6], "asked": images[6:]}


@pytest.mark.gpu
# Its exporter warns of what it uses itself, which is nothing that this suite could mend.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 2e-2), ("int8", 0.5)])
def test_a_real_engine_answers_like_the_network(
    precision: str, tolerance: float, untrained_checkpoint: Path, tmp_path: Path
):
    backend = UltralyticsEngine()
    if reason := backend.unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    images = _smooth()
    network = torch.load(untrained_checkpoint, weights_only=False)["model"].float().eval()
    case = Case("small", "detection", backend.name, precision, 2)
    options = EngineOptions(builder_level=1)
    split = images["calibration"].split(1)
    job = Job(case, "cuda", lambda: Wrapped(network), None, images["asked"], options, lambda: split)
    path = tmp_path / backend.file_name
    with torch.cuda.stream(torch.cuda.Stream()):
        built = backend.build(job, path)
        assert not built.precision_mismatch(precision)
        engine = backend.load(job, path)
        answer = engine(images["asked"].cuda()).clone()
        engine.synchronize()
    with torch.no_grad():
        expected = network(images["asked"])[0]
    assert (answer.cpu() - expected).norm() <= tolerance * expected.norm()
