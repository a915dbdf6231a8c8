"""Graphs and engines are found again where nothing changed that makes them; the code that does is a part of that."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fixtures.assets import onnx_graphs
from fixtures.assets.loader import SuiteAssets
from fixtures.backends.base import Engine, EngineInfo, Job
from fixtures.backends.pytorch.eager import ModuleEngine, PyTorchEager
from fixtures.hashing import sha256_of_code
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner import engine_loader
from fixtures.runner.factory import open_workbench
from reports.record.hashing import content_sha256
from tests.helpers.runs import raw_options

FP16 = Case("clip-text", "zero-shot", "onnxruntime", "fp16", 1)
FP32 = Case("clip-text", "zero-shot", "pytorch", "fp32", 1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def _kinds(cache: Path) -> list[str]:
    """The artifacts without the hash in their names."""
    return sorted(folder.name.rsplit("-", 1)[0] for folder in cache.glob("clip-*"))


def _load(case: Case, cache: Path) -> None:
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(cache)), cache)
    open_workbench(options, choose_suite(options, cache), print).engines.load(case)


def _changed(package: str) -> Callable[[str], str]:
    return lambda asked: "changed" if asked == package else sha256_of_code(asked)


def test_the_same_code_finds_what_it_made(cache: Path):
    for _ in range(2):
        _load(FP16, cache)
        assert _kinds(cache) == ["clip-text-graph-fp16", "clip-text-graph-fp32", "clip-text-onnxruntime-fp16"]


def test_of_a_graph_whose_engine_is_there_only_the_hash_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its file is read where an engine is made from it, and made again there if it is not what it was."""
    _load(FP16, tmp_path)
    read: list[Path] = []
    monkeypatch.setattr(
        "fixtures.cache.entry.content_sha256", lambda path, parts: read.append(path) or content_sha256(path, parts)
    )
    _load(FP16, tmp_path)
    assert [path.parent.name.rsplit("-", 1)[0] for path in read] == ["clip-text-onnxruntime-fp16"]
    for graph in tmp_path.glob("clip-text-graph-*/model.onnx"):
        graph.unlink()  # an engine of ONNX Runtime is a link to it
        graph.write_bytes(b"another file by now")
    _load(FP16, tmp_path)
    (engine,) = tmp_path.glob("clip-text-onnxruntime-fp16-*/model.onnx")
    engine.write_bytes(b"and the engine as well")
    _load(FP16, tmp_path)
    assert all(path.stat().st_size > 1e5 for path in tmp_path.glob("clip-text-*/model.onnx"))


@pytest.mark.parametrize(
    ("package", "made_again"),
    [("fixtures.models", "clip-text-graph-fp32"), ("fixtures.precision", "clip-text-graph-fp16")],
)
def test_a_graph_of_other_code_is_not_used(package: str, made_again: str, cache: Path, monkeypatch: pytest.MonkeyPatch):
    _load(FP16, cache)
    before = _kinds(cache)
    monkeypatch.setattr(onnx_graphs, "sha256_of_code", _changed(package))
    _load(FP16, cache)
    # What follows from it has the same content, and is found.
    assert _kinds(cache) == sorted([*before, made_again])


def test_a_graph_of_another_version_of_a_package_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _load(FP16, tmp_path)
    before = _kinds(tmp_path)
    monkeypatch.setattr(onnx_graphs, "version", lambda package: f"another {package}")
    _load(FP16, tmp_path)
    assert _kinds(tmp_path) == sorted([*before, "clip-text-graph-fp16", "clip-text-graph-fp32"])


def test_an_engine_of_other_code_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _load(FP32, tmp_path)
    for others, package in enumerate(engine_loader.BUILDERS, start=1):
        monkeypatch.setattr(engine_loader, "sha256_of_code", _changed(package))
        _load(FP32, tmp_path)
        assert _kinds(tmp_path) == ["clip-text-pytorch-fp32"] * (1 + others), package


@pytest.mark.parametrize(("precision", "again"), [("fp32", 1), ("int8", 2)])
def test_an_engine_that_calibrates_by_itself_is_one_of_its_calibration(
    precision: str, again: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As Ultralytics' export does: no graph tells what it was calibrated on."""

    class Own(PyTorchEager):
        def build(self, job: Job, path: Path) -> EngineInfo:
            path.write_bytes(b"".join(each.numpy().tobytes() for each in job.calibration()))
            return EngineInfo({precision: 1})

        def load(self, job: Job, path: Path) -> Engine:
            return ModuleEngine(lambda inputs: inputs, torch.float32, "cpu")

    monkeypatch.setattr(engine_loader, "backend", lambda _name: Own())
    case = replace(FP32, precision=precision)
    _load(case, tmp_path)
    _load(case, tmp_path)
    assert len(_kinds(tmp_path)) == 1
    monkeypatch.setattr(SuiteAssets, "calibration_items", lambda *_: ("another prompt",))
    _load(case, tmp_path)
    assert len(_kinds(tmp_path)) == again


def test_code_is_its_python_files_and_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for name, files in {
        "made_one": {"part.py": "1"},
        "made_two": {"part.py": "1", "part.pyc": "2"},
        "made_three": {"part.py": "2"},
        "made_four": {"other.py": "1"},
        "made_five": {"part.py": "1", "below/part.py": "1"},
    }.items():
        for file, text in {"__init__.py": "", **files}.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        found.append(sha256_of_code(name))
        sys.modules.pop(name)
    one, two, *others = found
    assert one == two
    assert len({one, *others}) == 4
