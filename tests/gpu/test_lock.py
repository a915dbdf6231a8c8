"""Two runs on one card: the second waits for the first and says so; a killed one leaves nothing behind."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from fixtures.cache.engine_cache import say_nothing
from fixtures.gpu import monitor
from fixtures.gpu.lock import alone_on
from fixtures.gpu.nvml import PendingWatch
from tests.helpers.faulty_backend import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from fixtures.gpu.lock import alone_on
with alone_on("GPU-1", print, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _holder(locks: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(locks), str(seconds)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_the_second_waits_and_names_the_first(tmp_path: Path):
    said: list[str] = []
    with _holder(tmp_path, 2.5) as holder:
        with alone_on("GPU-1", said.append, tmp_path):
            assert holder.wait() == 0
        assert f"waiting for process {holder.pid}" in said[0]


def test_another_card_is_free(tmp_path: Path):
    with _holder(tmp_path, 60) as holder:
        start = time.monotonic()
        with alone_on("GPU-2", say_nothing, tmp_path):
            assert time.monotonic() - start < 30
        holder.kill()


def test_a_killed_holder_leaves_the_card_free(tmp_path: Path):
    with _holder(tmp_path, 60) as holder:
        holder.kill()
        holder.wait()
    start = time.monotonic()
    with alone_on("GPU-1", say_nothing, tmp_path):
        assert time.monotonic() - start < 30


def test_where_nothing_can_be_locked_the_measurement_goes_on_and_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    with alone_on("GPU-1", said.append, tmp_path / "file"):
        pass
    assert "cannot be locked" in said[0]


def test_whatever_is_measured_on_a_card_is_measured_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sample and a comparison go the same way: through `GpuMonitor.watch`, which holds the lock."""
    monkeypatch.setattr(monitor, "torch_gpu", lambda: "GPU-1")
    monkeypatch.setattr(monitor, "open_watch", lambda _: PendingWatch("no driver here"))
    monkeypatch.setattr(monitor, "alone_on", partial(alone_on, locks=tmp_path))
    bench = monitor.GpuMonitor(say_nothing)

    def second_waits() -> subprocess.Popen[str]:
        second = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), "0"], cwd=ROOT, stdout=subprocess.DEVNULL, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(3)
        return second

    assert bench.watch(second_waits, None).result.wait(20) == 0
