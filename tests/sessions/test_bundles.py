"""From a session to a bundle and back, each step as a user takes it: `pytest bench/`, `reports ship`, `verify`."""

import re
from pathlib import Path

import pytest

from fixtures.bundle.command import HOLDS, main
from reports.__main__ import main as reports_main
from reports.bundle.reading import read_bundle
from tests.helpers.runs import run_here

TEXT = ("--suite", "embedded", "--models", "clip-text", "--backends", "onnxruntime", "--precisions", "fp32")


def test_a_session_is_shipped_and_verified_in_a_process_of_its_own(
    engine_cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    cache = ("--engine-cache", str(engine_cache))
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    done = run_here(*TEXT, *cache, "--batches", "1", "--measure-seconds", "0.3", "--output", str(run))
    assert done.returncode == 0, done.stdout + done.stderr
    assert reports_main(["ship", str(run), "--model", "clip-text", "--for", "latency", "--output", str(bundle)]) == 0
    capfd.readouterr()
    assert main(["verify", str(bundle), *cache, "--speed-tolerance", "0.9"]) == HOLDS
    said = capfd.readouterr()
    assert said.out.count("exactly the same") == 2
    then, now = (float(found) for found in re.findall(r"([\d.]+) img/s", said.out))
    assert then == pytest.approx(read_bundle(bundle).bundle.speed.images_per_second, abs=0.06) and now > 0
    assert "… clip-text-onnxruntime-fp32-b1: loaded, timed and judged" in said.err
