"""The embedded job opens no connection and asks no name server, from Python or from native code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import COMMAND, ROOT

QUICK = ("--suite", "embedded", "--measure-seconds", "0.1", "--batches", "1", "-m", "speed or accuracy")
CELLS = ("--models", "yolov8n,clip-text", "--backends", "pytorch,onnxruntime", "--precisions", "fp32")
# Audit events of CPython for everything that names another host (docs: library/audit_events).
WATCH = """
import sys
HOSTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
def watch(event, args):
    if event in HOSTS and not (event == "socket.connect" and isinstance(args[1], (str, bytes))):
        sys.stderr.write(f"NETWORK {event} {args[1:]!r}\\n")
sys.addaudithook(watch)
"""


def _environment(tmp_path: Path) -> dict[str, str]:
    """A fresh user: own home, and a sitecustomize that watches every Python process of the run."""
    import os

    (tmp_path / "sitecustomize.py").write_text(WATCH)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "YOLO_", "ORT_"))}
    return clean | {"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}


def test_the_watch_sees_a_look_up(tmp_path: Path):
    code = "import socket\ntry: socket.getaddrinfo('localhost', 80)\nexcept OSError: pass"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert "NETWORK socket.getaddrinfo" in done.stderr


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a run from an empty engine cache wrote, and what strace saw of it, where that is installed."""
    folder = tmp_path_factory.mktemp("offline")
    trace = folder / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmmsg", "-o", str(trace)]
    folders = ("--engine-cache", str(folder / "e"), "--output", str(folder / "o"))
    command = [
        *(strace if shutil.which("strace") else []),
        *(sys.executable, "-m", "pytest", *COMMAND, *QUICK, *CELLS, *folders, "-s"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(folder), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, trace


def test_the_job_asks_nobody_from_python(job: tuple[str, Path]):
    assert "NETWORK" not in job[0]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed (apt install strace)")
def test_the_job_asks_nobody_from_native_code(job: tuple[str, Path]):
    """ONNX Runtime reports usage from C++, which no Python hook can see."""
    asked = [line for line in job[1].read_text().splitlines() if "AF_INET" in line]
    assert not asked
