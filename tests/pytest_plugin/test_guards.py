"""What a session is refused under, and from where it can be started."""

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import ROOT
from fixtures.pytest_plugin.guards import asks_for_cases


@pytest.mark.parametrize(
    ("arguments", "folder", "asks"),
    [
        (["bench/"], ROOT, True),
        (["bench/test_speed.py::test_speed[x]"], ROOT, True),
        (["."], ROOT, True),
        (["test_speed.py"], ROOT / "bench", True),
        (["tests"], ROOT, False),
        (["tests/plan", "bench"], ROOT, True),
    ],
)
def test_cases_are_told_from_the_suites_own_tests(arguments: list[str], folder: Path, asks: bool):
    assert asks_for_cases(arguments, folder) is asks


@pytest.mark.parametrize("more", [["--benchmark-only"], []])
def test_xdist_is_refused_in_words(more: list[str]):
    pytest.importorskip("xdist")
    done = _pytest([str(ROOT / "bench"), "-n", "2", *more], ROOT)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "runs cases side by side" in done.stderr and "INTERNALERROR" not in done.stdout + done.stderr


def test_the_suite_is_found_from_another_folder(tmp_path: Path):
    options = ["--collect-only", "-q", "--import-mode=importlib", "--backends", "pytorch", "--suite", "embedded"]
    done = _pytest([str(ROOT / "bench"), *options, "--device", "cpu"], tmp_path)
    assert not done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    assert "test_speed[yolov8n-pytorch-fp32-b1]" in done.stdout


def _pytest(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
