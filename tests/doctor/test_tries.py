"""Tries of small networks: what they are made of, every outcome, and a backend that is broken on purpose."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fixtures import ROOT
from fixtures.backends import registry
from fixtures.backends.base import EngineInfo, Job
from fixtures.doctor import tries
from fixtures.doctor.mending import pip_line
from fixtures.doctor.text import tried_summary, try_line
from fixtures.doctor.try_networks import TryAssets
from fixtures.doctor.try_worker import relative_error
from reports.errors import ReportError
from reports.record.tries import FAILS, NOT_TRIED, OTHER_PRECISION, WORKS, WRONG_ANSWER, Try, read_file, tries_of
from tests.helpers.toy_backend import Toy

NOTHING: Mapping[str, Any] = {"packages": {}, "torch": {}, "mend": []}
# Put into every Python of a run from outside, as Python's own `sitecustomize`.
SITE = """
import sys
sys.path.insert(0, {root!r})
import fixtures.backends.registry as catalogue
catalogue.CATALOGUE = {catalogue!r} | {{"pytorch": catalogue.CATALOGUE["pytorch"]}}
catalogue.NAMES = tuple(catalogue.CATALOGUE)
"""
BROKEN = ("crashes", "raises", "hangs", "zeros", "wide", "toy")


class _Broken(Toy):
    """A backend that says it runs here and goes wrong."""

    def __init__(self) -> None:
        self.name = self.engine_name = "broken"


class Crashes(_Broken):
    def build(self, job: Job, path: Path) -> EngineInfo:
        print("the library says something before it ends", flush=True)
        os.abort()


class Raises(_Broken):
    def build(self, job: Job, path: Path) -> EngineInfo:
        raise ImportError("libnvinfer.so.10: cannot open shared object file")


class Hangs(_Broken):
    def load(self, job: Job, path: Path) -> Any:
        time.sleep(3600)  # without a core, which the others need


class Zeros(_Broken):
    """Answers zeros, and calls it success."""

    def load(self, job: Job, path: Path) -> Any:
        shape = job.module()(job.example).shape
        return SimpleEngine(lambda _: torch.zeros(shape))


class Wide(_Broken):
    """Is asked for FP16 and computes in FP32."""

    def unsupported_reason(self, precision: str, device: str) -> str:
        return "" if precision == "fp16" else "FP16 alone"


class SimpleEngine:
    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._call(inputs)

    def synchronize(self) -> None:
        pass


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, str], Try], str]:
    """What the command finds of all of these and of PyTorch, in processes of its own; and what it printed."""
    folder = tmp_path_factory.mktemp("tries")
    kinds = {name: f"tests.doctor.test_tries:{name.title()}" for name in BROKEN if name != "toy"}
    # One by a name that has a package, so that there is something to mend.
    catalogue = kinds | {"toy": "tests.helpers.toy_backend:Toy", "onnxruntime": kinds["raises"]}
    (folder / "sitecustomize.py").write_text(SITE.format(root=str(ROOT), catalogue=catalogue))
    code = (
        "import sys; from fixtures.doctor import tries, command; tries.SECONDS_EACH = {'cpu': 8.0};"
        "tries.NETWORKS = tries.NETWORKS[1:2]; tries.SECONDS = {'cpu': 200.0};"
        "sys.exit(command.main(sys.argv[1:]))"
    )
    output = folder / "tries.json"
    done = subprocess.run(
        [sys.executable, "-c", code, "--device", "cpu", "--try", "--output", str(output)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {(each.backend, each.precision): each for each in read_file(output)}, done.stdout


def test_a_broken_backend_is_told_and_does_not_stop_the_others(tried):
    found, said = tried
    outcomes = {backend: found[backend, "fp16" if backend == "wide" else "fp32"].outcome for backend in BROKEN}
    assert outcomes == {
        "crashes": FAILS,
        "raises": FAILS,
        "hangs": FAILS,
        "zeros": WRONG_ANSWER,
        "wide": OTHER_PRECISION,
        "toy": WORKS,
    }
    assert found["pytorch", "fp32"].outcome == WORKS and found["pytorch", "fp32"].relative_error == 0.0
    assert "Tried on cpu" in said and f"{WRONG_ANSWER}: 1" in said


def test_what_was_said_last_stands_with_what_failed(tried):
    found, said = tried
    crashed, raised, hung = (found[name, "fp32"] for name in ("crashes", "raises", "hangs"))
    assert "SIGABRT" in crashed.detail and "the library says something" in " ".join(crashed.log_tail)
    assert "| the library says something" in said
    assert "libnvinfer.so.10" in raised.detail and raised.log_tail
    assert hung.detail == "no answer within 8 s: it was ended"
    # pip mends what is broken, and nobody knows that of what takes long.
    assert not hung.pip and found["onnxruntime", "fp32"].pip.startswith("pip install --force-reinstall onnxruntime")
    wrong, wide = found["zeros", "fp32"], found["wide", "fp16"]
    assert wrong.relative_error is not None and wrong.relative_error >= 1 and "are allowed" in wrong.detail
    assert wide.detail.startswith("asked for FP16, but of")


def test_what_is_left_when_the_time_is_up_is_not_tried():
    started: list[Try] = []
    found = tries.try_all("cpu", ["pytorch"], NOTHING, started.append, seconds=0.5)
    assert found and all(each.outcome == NOT_TRIED for each in found) and len(started) == len(found)


def test_every_backend_of_the_catalogue_is_asked(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        registry, "unsupported_reason", lambda name, precision, *_: asked.append((name, precision)) or ""
    )
    monkeypatch.setattr(registry, "on_request_reason", lambda *_: "")
    cases = tries.claimed("cuda", registry.NAMES)
    assert {backend for backend, _ in asked} == set(registry.NAMES) == {case.backend for case in cases}
    assert {case.model for case in cases} == {network for network, _ in tries.NETWORKS}
    monkeypatch.setattr(registry, "unsupported_reason", lambda *_: "absent")
    assert tries.claimed("cuda", registry.NAMES) == []


def test_the_small_networks_have_the_operators_of_the_large_ones_and_answer_to_their_inputs():
    assets = TryAssets()
    kinds = {type(module).__name__ for name, _ in tries.NETWORKS for module in assets.model(name).module().modules()}
    assert {"C2f", "SPPF", "Upsample", "Concat", "DFL", "Conv2d", "SiLU", "LayerNorm", "Embedding"} <= kinds
    for name, _ in tries.NETWORKS:
        model = assets.model(name)
        inputs = model.prepare(list(assets.evaluation_items(model))[:2])
        with torch.no_grad():
            answer, again = model.module()(inputs), assets.model(name).module()(inputs)
        assert torch.equal(answer, again)  # the same weights each time
        assert relative_error(answer.flip(0), answer, 0) > 1  # another image's answer is far off
        # Calibration inputs are others.
        assert not set(map(id, assets.evaluation_items(model))) & set(map(id, assets.calibration_items(model)))


def test_ultralytics_reads_the_small_detector_as_one_of_its_own(tmp_path: Path):
    """Its backend writes the module that it is given as a checkpoint, and exports that."""
    from ultralytics import YOLO

    network = TryAssets().model("try-yolo").module().network
    torch.save({"model": network, "train_args": {"imgsz": 64}}, tmp_path / "model.pt")
    loaded = YOLO(str(tmp_path / "model.pt"))
    assert loaded.task == "detect" and len(loaded.names) == 4


def test_the_distance_is_a_share_of_what_depends_on_the_input():
    wanted = torch.tensor([[100.0, 1.0], [100.0, -1.0]])
    assert relative_error(wanted, wanted, 0) == 0
    assert relative_error(torch.tensor([[100.0, 0.0], [100.0, 0.0]]), wanted, 0) == 1
    assert relative_error(torch.zeros(2, 2), wanted, 0) > 1
    for broken in (torch.full((2, 2), torch.nan), torch.zeros(2, 3)):
        assert relative_error(broken, wanted, 0) == float("inf")


@pytest.mark.parametrize(
    ("backend", "line"),
    [
        ("tensorrt-dynamic", 'pip install "tensorrt-cu12>=10"'),
        ("torch-tensorrt", "pip install torch==2.5.1 torch-tensorrt==2.5.0"),
        ("onnxruntime-cuda", '"onnxruntime-gpu>=1.20,<1.27"'),
        ("onnxruntime", "pip install --force-reinstall onnxruntime==1.23.2"),
        ("pytorch-cuda-graph", "pip install --force-reinstall torch==2.5.1"),
    ],
)
def test_each_backend_has_its_pip_line(backend: str, line: str):
    versions = {"torch": "2.5.1", "onnxruntime": "1.23.2"}
    found = {"packages": versions, "torch": {"version": "2.5.1", "cuda": "12.4"}, "mend": []}
    assert line in pip_line(backend, found)
    advised = {**found, "mend": [{"what": "", "pip": ["pip install torch==9 torch-tensorrt==9"]}]}
    assert (pip_line("torch-tensorrt", advised)) == "pip install torch==9 torch-tensorrt==9"


def test_a_line_has_what_a_reader_needs():
    one = Try(
        network="try-yolo", backend="tensorrt", precision="int8", outcome=FAILS, tolerance=0.5, detail="out of memory",
        log_tail=("[TRT] error",), pip="pip install tensorrt",
    )  # fmt: skip
    text = try_line(one)
    assert "try-yolo" in text and "tensorrt int8" in text and "| [TRT] error" in text and "pip install tensorrt" in text
    assert "1 tries" in tried_summary([one], 3.0)


def test_a_file_that_is_none_is_refused(tmp_path: Path):
    path = tmp_path / "tries.json"
    with pytest.raises(ReportError, match="no file of tries"):
        read_file(path)
    path.write_text(json.dumps({"tries": [{"network": 1}]}))
    with pytest.raises(ReportError, match="no file of tries"):
        read_file(path)
    assert tries_of({"tries": [{"network": 1}]}) == () and tries_of({}) == ()


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    from fixtures.doctor import command

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tries, "try_all", lambda *_, **__: ())
    monkeypatch.setattr(command, "WorkerFactory", lambda: SimpleNamespace(start_early=lambda: None))
    status = command.main(
        ["--backends", "pytorch", "--device", "cpu", "--try", "--output", str(tmp_path / "file" / "x")]
    )
    assert status == 2 and "cannot be written" in capsys.readouterr().err
