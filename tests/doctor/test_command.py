"""The doctor end to end on the CPU, with packages absent and broken, and what it would say on a 2080 Ti."""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fixtures import ROOT
from fixtures.backends import registry
from fixtures.backends.compatibility import MODELOPT_ONNX_MODULES
from fixtures.backends.trt import trtexec_cli
from fixtures.doctor import command
from fixtures.doctor.command import cell, has_kernels, hint, load, rtx
from fixtures.doctor.command import trtexec as found_trtexec
from fixtures.doctor.text import WIDTH, as_text
from fixtures.environment.conflicts import Conflict
from fixtures.environment.gpu import Gpu, limits
from reports.record.known_faults import known_faults

CARD = Gpu("NVIDIA GeForce RTX 2080 Ti", (7, 5), "535.183.01", "12.2", 11264 * 2**20)


def doctor(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own that sees no card; `path` holds modules that come first."""
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": ""} | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-m", "fixtures.doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def found_on_turing(torch: str, cuda: str, **packages: str) -> dict:
    """What the examination of a machine with a 2080 Ti gives."""
    names = (
        "torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "torch-tensorrt", "tensorrt-cu12", "tensorrt-cu13",
        "nvidia-modelopt",
    )  # fmt: skip
    found = {
        "machine": {"python": "3.11.7", "executable": "/usr/bin/python", "platform": "Linux"},
        "gpu": asdict(CARD),
        "no_gpu": "",
        "device": "cuda",
        "packages": dict.fromkeys(names, "") | {"torch": torch, "nvidia-ml-py": "12.560.30"} | packages,
        "broken": {},
        "conflicts": [],
        "torch": {"version": torch, "cuda": cuda, "sees": CARD.name},
        "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
        "trtexec": "",
        "tensorrt_rtx": "",
        "without_a_row": {"a/project": "nobody could run it"},
        "modelopt_onnx_absent": list(MODELOPT_ONNX_MODULES[1:]),
        "limits": [asdict(limit) for limit in limits(CARD)],
        "known_faults": [],
        "cells": [
            {"backend": "tensorrt", "precision": "fp32", "only": [], "reason": "TensorRT is absent"},
            {"backend": "tensorrt", "precision": "fp16", "only": [], "reason": "TensorRT is absent"},
            {"backend": "pytorch", "precision": "fp32", "only": [], "reason": ""},
            {"backend": "pytorch", "precision": "fp16", "only": [], "reason": ""},
        ],
    }
    return {**found, "mend": [asdict(advice) for advice in hint(found)]}


def test_it_examines_a_machine_without_a_card():
    done = doctor()
    assert done.returncode == 0, done.stderr
    for title in ("This machine", "Packages", "What runs on cpu", "To mend"):
        assert f"\n{title}\n" in f"\n{done.stdout}"
    assert "CUDA_VISIBLE_DEVICES hides every card" in done.stdout
    assert all(name in done.stdout for name in registry.NAMES)
    assert "What this card cannot do" not in done.stdout
    # Every backend has answered, and the baseline runs wherever PyTorch does.
    assert "cannot be asked" not in done.stdout
    assert "  pytorch  " in done.stdout and "runs  runs" in done.stdout


def test_its_json_holds_the_same():
    done = doctor("--json", "--device", "cuda", "--backends", "pytorch,onnxruntime")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["device"] == "cuda" and found["gpu"] is None
    assert [cell["backend"] for cell in found["cells"]] == ["pytorch"] * 3 + ["onnxruntime"] * 3
    assert all(cell["reason"] and "cannot be asked" not in cell["reason"] for cell in found["cells"])
    assert "CUDA_VISIBLE_DEVICES" in found["mend"][0]["what"]
    assert "nvidia-modelopt" in found["packages"]


@pytest.mark.parametrize("arguments", [["--backends", "tensorflow"], ["--device", "tpu"], ["--nonsense"]])
def test_a_word_it_does_not_know_is_refused(arguments):
    done = doctor(*arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_a_package_that_does_not_load_is_a_finding(tmp_path):
    (tmp_path / "torch").mkdir()
    library = "libcudart.so.12: cannot open shared object file: No such file or directory"
    (tmp_path / "torch" / "__init__.py").write_text(f"raise OSError({library!r})\n")
    done = doctor("--backends", "pytorch,onnxruntime", path=tmp_path)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert f"torch does not load: OSError: {library} pip install --force-reinstall torch" in text
    assert "cannot be asked: OSError" in text


def test_an_absent_pytorch_is_a_finding(tmp_path):
    # A finder that knows no torch, as in an environment where it was never installed.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    done = doctor("--backends", "pytorch", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PyTorch is absent" in done.stdout and "pip install ." in done.stdout
    assert "runs  runs" not in done.stdout


def test_an_empty_folder_that_pip_left_behind_is_broken(tmp_path, monkeypatch):
    (tmp_path / "leftover").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    loaded, broken = load(["leftover", "never_installed", "json"])
    assert list(loaded) == ["json"]
    assert "__version__" in broken["leftover"] and "never_installed" not in broken


def test_the_2080_ti_with_pytorch_2_5_1_for_cuda_12_1():
    text = as_text(found_on_turing("2.5.1+cu121", "12.1"))
    assert "TF32" in text and "BF16" in text and "AMPERE_PLUS" in text and "FP8" in text
    assert "compute capability 7.5, 11 GiB" in text
    assert "535.183.01: CUDA 12.2, and packages built for any 12.x" in text
    assert "torch-tensorrt==2.5.0" in text and "whl/cu121" in text and "whl/cu124" in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    # One reason for two cells stands once.
    assert text.count("TensorRT is absent\n") == 1 and "[1]   [1]" in text


def test_a_whole_machine_has_nothing_to_mend():
    complete = {"torch-tensorrt": "2.5.0", "tensorrt-cu12": "10.3.0", "onnxruntime-gpu": "1.23.2"}
    found = found_on_turing("2.5.1+cu121", "12.1", **complete)
    assert found["mend"] == []
    assert "nothing: all that the card needs is here" in as_text(found)


def test_an_absent_onnxruntime_comes_with_the_extra_that_holds_it():
    """It is no dependency of the project itself: `pip install .` would leave it absent."""
    here = found_on_turing("2.5.1", "12.4") | {"device": "cpu", "providers": []}
    (advice,) = hint(here)
    assert advice.pip == ("pip install '.[cpu]'",)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(each.startswith("onnxruntime>") for each in project["optional-dependencies"]["cpu"])
    assert not any(each.startswith("onnxruntime") for each in project["dependencies"])


def _advised(found: dict, what: str) -> dict:
    """The one advice that speaks of `what`."""
    (advice,) = [each for each in found["mend"] if what in each["what"]]
    return advice


GPU_EXTRA = {"torch-tensorrt": "2.14.0", "tensorrt": "11.1.0.106", "onnxruntime-gpu": "1.32.0"}


def test_what_int8_needs_is_advised_where_it_is_of_use():
    found = found_on_turing("2.14.1", "13.0", **GPU_EXTRA)
    assert _advised(found, "nvidia-modelopt is absent")["pip"] == ("pip install nvidia-modelopt",)
    # Torch-TensorRT 2.5 has no INT8, and pip would move this PyTorch to get nvidia-modelopt.
    assert not any("modelopt" in each["what"] for each in found_on_turing("2.5.1+cu121", "12.1")["mend"])


def test_what_ultralytics_needs_with_tensorrt_11_is_advised():
    found = found_on_turing("2.14.1", "13.0", **GPU_EXTRA, **{"nvidia-modelopt": "0.46.0"})
    assert not any("nvidia-modelopt is absent" in each["what"] for each in found["mend"])
    advice = _advised(found, "Ultralytics")
    assert "without onnx_graphsurgeon" in advice["what"]
    assert advice["pip"] == ('pip install "nvidia-modelopt[onnx]>=0.44"',)
    old = found_on_turing("2.8.0", "12.8", **{"tensorrt-cu12": "10.12.0", "nvidia-modelopt": "0.46.0"})
    assert not any("Ultralytics" in each["what"] for each in old["mend"])


def test_a_tensorrt_that_one_of_two_engines_cannot_use_is_told():
    advice = _advised(found_on_turing("2.14.1", "13.0", **GPU_EXTRA), "onnxruntime-tensorrt needs TensorRT 10")
    assert "here is 11.1.0.106, as torch-tensorrt 2.14.0 brings it" in advice["what"] and not advice["pip"]
    early = GPU_EXTRA | {"torch-tensorrt": "2.12.1", "tensorrt": "10.16.1"}
    assert not any(
        "onnxruntime-tensorrt" in each["what"] for each in found_on_turing("2.12.0", "13.0", **early)["mend"]
    )


def _command(path: Path, prints: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def test_trtexec_is_looked_for_where_its_backend_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("TRTEXEC", raising=False)
    monkeypatch.setattr(trtexec_cli, "USUAL_PLACE", tmp_path / "usual")
    assert found_trtexec() == ""
    usual = _command(tmp_path / "usual", "&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec --help")
    assert found_trtexec() == f"{usual}, TensorRT 10.3.0"
    chosen = _command(tmp_path / "chosen", "&&&& RUNNING TensorRT.trtexec [TensorRT v8601] # trtexec --help")
    monkeypatch.setenv("TRTEXEC", str(chosen))
    assert found_trtexec() == f"{chosen}, TensorRT 8.6.1"
    monkeypatch.setenv("TRTEXEC", str(_command(tmp_path / "mute", "no banner")))
    assert "does not say which TensorRT it is" in found_trtexec()
    monkeypatch.setenv("TRTEXEC", str(tmp_path / "nowhere"))
    assert "does not run" in found_trtexec()


def test_tox_hands_the_choice_of_trtexec_on():
    lines = (ROOT / "tox.ini").read_text(encoding="utf-8").partition("pass_env =")[2].partition("\n\n")[0].split()
    assert trtexec_cli.VARIABLE in lines


def test_an_onnxruntime_for_another_cuda_is_mended():
    found = found_on_turing("2.5.1+cu121", "12.1", **{"onnxruntime-gpu": "1.31.1"})
    assert any('"onnxruntime-gpu>=1.20,<1.27"' in line for advice in found["mend"] for line in advice["pip"])


def test_a_driver_too_old_leads_to_one_pytorch_only():
    lines = [line for advice in found_on_turing("2.14.0", "13.0")["mend"] for line in advice["pip"]]
    assert [line for line in lines if "torch==" in line] == [lines[0]]
    assert "torch==2.8.0+cu128" in lines[0] and any("tensorrt-cu12" in line for line in lines)


@pytest.mark.parametrize(
    ("capability", "builds", "runs"),
    [
        ((7, 5), ["sm_75", "sm_90"], True),
        ((8, 6), ["sm_80"], True),
        ((7, 0), ["sm_75", "sm_90a"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_90"], False),
    ],
)
def test_a_package_has_kernels_for_a_card_or_not(capability, builds, runs):
    assert has_kernels(capability, builds) is runs


def test_packages_that_do_not_hold_together_are_told_with_their_lines():
    conflict = Conflict(
        "transformers", "torch", "transformers 5.24.0 needs torch>=2.6", ('pip install "transformers<5"',)
    )
    found = found_on_turing("2.5.1+cu121", "12.1") | {"device": "cpu", "conflicts": [asdict(conflict)]}
    (advice,) = hint(found)
    assert (advice.what, advice.pip) == (conflict.what, conflict.pip)


def test_known_faults_of_what_is_here_are_told():
    said = known_faults({"torch": "2.5.1+cu121"}, "cpu")
    text = as_text(found_on_turing("2.5.1+cu121", "12.1") | {"known_faults": said})
    assert "Known faults\n  - known fault of torch 2.5.1+cu121" in text
    assert "Known faults" not in as_text(found_on_turing("2.5.1+cu121", "12.1"))


@pytest.mark.parametrize(
    ("capability", "said", "unsaid"),
    [
        ((7, 5), ("refuses this card's 7.5", "supports Turing in name", "zeros"), ()),
        ((9, 0), ("refuses this card's 9.0",), ("Turing",)),
        ((8, 9), ("no backend of this suite uses it",), ("refuses", "Turing")),
        ((12, 0), ("no backend of this suite uses it",), ("refuses", "Turing")),
    ],
)
def test_tensorrt_for_rtx_is_told_where_it_is_installed(
    capability: tuple[int, int], said: tuple[str, ...], unsaid: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    card = replace(CARD, compute_capability=capability)
    assert rtx(["CUDAExecutionProvider"], card) == ""
    text = rtx(["NvTensorRTRTXExecutionProvider", "CPUExecutionProvider"], card)
    assert text.startswith("NvTensorRTRTXExecutionProvider is installed")
    assert all(each in text for each in said) and not any(each in text for each in unsaid)
    monkeypatch.setattr(command, "version", {"tensorrt-rtx": "1.7.1.116"}.get)
    assert rtx([], card).startswith("tensorrt-rtx 1.7.1.116 is installed")
    found = found_on_turing("2.5.1+cu121", "12.1") | {"tensorrt_rtx": text}
    assert "TensorRT for RTX\n  NvTensorRTRTX" in as_text(found)
    assert "TensorRT for RTX" not in as_text(found_on_turing("2.5.1+cu121", "12.1"))


def test_a_cell_that_runs_on_request_alone_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "on_request_reason", lambda *_: "this CPU has no FP16 arithmetic")
    assert cell("pytorch", "fp16", "cpu")["reason"] == (
        "runs with --precisions fp16 alone: this CPU has no FP16 arithmetic"
    )
