"""The embedded job opens no connection and asks no name server, from Python or from native code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.embedded_job import EmbeddedJob, watched_environment


def test_the_watch_sees_a_look_up(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.getaddrinfo('localhost', 80)\nexcept OSError: pass"
    done = subprocess.run(
        [sys.executable, "-c", code], env=watched_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert "NETWORK socket.getaddrinfo" in done.stderr


def test_the_job_asks_nobody_from_python(embedded_job: EmbeddedJob) -> None:
    assert "NETWORK" not in embedded_job.stdout + embedded_job.stderr


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed (apt install strace)")
def test_the_job_asks_nobody_from_native_code(embedded_job: EmbeddedJob) -> None:
    """ONNX Runtime reports usage from C++, which no Python hook can see."""
    asked = [line for line in (embedded_job.output.parent / "trace").read_text().splitlines() if "AF_INET" in line]
    assert not asked
