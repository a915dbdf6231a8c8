"""What a run records of its packages, and which of their habits it switches off."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from fixtures import ROOT
from fixtures.environment import collect
from fixtures.environment.collect import keep_quiet, packages, torch_build


@pytest.mark.parametrize(
    "package",
    ["tensorrt-cu12", "tensorrt-cu13", "nvidia-modelopt", "onnxscript", "nvidia-ml-py", "nvidia-cudnn-cu12"],
)
def test_what_an_engine_may_come_from_is_recorded(package: str, monkeypatch: pytest.MonkeyPatch):
    """`pip install tensorrt-cu12` installs no package of the name tensorrt."""
    monkeypatch.setattr(collect, "version", lambda name: "1.2.3" if name == package else "")
    assert packages()[package] == "1.2.3"


def test_what_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collect, "version", lambda _: "")
    monkeypatch.setattr(collect, "torch_build", lambda: "")
    assert packages() == {}


def test_pytorch_is_recorded_with_the_cuda_it_is_built_for():
    """PyPI's metadata say "2.14.1" of every build."""
    assert packages()["torch"] == torch_build() == torch.__version__


def test_pytorch_is_read_and_not_imported():
    code = "import sys; from fixtures.environment.collect import packages; packages(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_pytorch_that_does_not_name_itself_keeps_the_version_of_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    spec = type("Spec", (), {"origin": str(tmp_path / "torch" / "__init__.py")})()
    monkeypatch.setattr(collect.util, "find_spec", lambda _: spec)
    assert torch_build() == "" and packages()["torch"] == metadata.version("torch")
    monkeypatch.setattr(collect.util, "find_spec", lambda _: None)
    assert torch_build() == ""


@pytest.mark.parametrize("download", [True, False])
def test_nothing_is_installed_or_reported_while_a_run_measures(download: bool, monkeypatch: pytest.MonkeyPatch):
    """`--suite real` may fetch weights and data; a package that Ultralytics installs would change what is measured."""
    names = {*collect.QUIET, *collect.OFFLINE}
    for name in names:
        monkeypatch.delenv(name, raising=False)
    keep_quiet(download)
    here = {name: os.environ[name] for name in names if name in os.environ}
    for name in names:  # what the function set is not monkeypatch's to put back
        os.environ.pop(name, None)
    assert here["YOLO_AUTOINSTALL"] == "False" and here["ORT_DISABLE_TELEMETRY"] == "1"
    assert ("HF_HUB_OFFLINE" in here) is ("YOLO_OFFLINE" in here) is not download


def test_ultralytics_heeds_the_switch():
    code = "from fixtures.environment.collect import keep_quiet as quiet; quiet(True)"
    code += "; from ultralytics.utils import AUTOINSTALL"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(AUTOINSTALL)"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split()[-1] == "False", done.stderr
