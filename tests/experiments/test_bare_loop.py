"""The suite's device times against a bare loop: which plans are looked for, and when the bar fails."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from reports.errors import ReportError
from reports.record.store import Recorder
from tests.experiments import bare_loop
from tests.helpers.rows import build, card_speed, case, end_row, session_row


def record(folder: Path, name: str, medians_ms: dict[str, float]) -> str:
    path = folder / f"{name}.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row(gpu="NVIDIA H200"))
        for backend, median in medians_ms.items():
            recorder.write(build(case(backend, "fp16")))
            recorder.write(card_speed(case(backend, "fp16"), median))
        recorder.write(end_row())
    return str(path)


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A cache that holds the engines which the rows name."""
    for backend in ("tensorrt", "tensorrt-cuda-graph"):
        folder = tmp_path / "engines" / backend
        folder.mkdir(parents=True)
        sha256 = card_speed(case(backend, "fp16"), 1.0)["values"]["engine_sha256"]
        (folder / "manifest.json").write_text(json.dumps({"sha256": sha256, "file": "model.plan"}))
    return tmp_path / "engines"


def process(_plan: bare_loop.Plan) -> float:
    return os.getpid()


def crash(_plan: bare_loop.Plan) -> float:
    os.abort()


def run(monkeypatch: pytest.MonkeyPatch, rounds: list[dict[str, float]], *arguments: str) -> int:
    answers = iter(rounds)
    monkeypatch.setattr(bare_loop, "prepare", lambda plans, _session, _folder: plans)
    monkeypatch.setattr(bare_loop, "bare_round", lambda _plans: next(answers))
    return bare_loop.main([*arguments, "--rounds", str(len(rounds))])


def test_medians_within_three_percent_hold(tmp_path, engines, monkeypatch, capsys):
    records = [record(tmp_path, str(at), {"tensorrt": ms, "pytorch": 9.0}) for at, ms in enumerate((1.0, 1.02, 1.5))]
    rounds = [{"yolov8n-tensorrt-fp16-b8": ms} for ms in (1.0, 3.0, 0.9)]
    assert run(monkeypatch, rounds, *records, "--engines", str(engines)) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 and "+2.00%" in out[0]
    assert out[-1] == "1 of 1 plans within 3% of a bare loop: held"


def test_one_plan_beyond_does_not(tmp_path, engines, monkeypatch, capsys):
    both = record(tmp_path, "a", {"tensorrt": 1.0, "tensorrt-cuda-graph": 1.04})
    found = {"yolov8n-tensorrt-fp16-b8": 1.0, "yolov8n-tensorrt-cuda-graph-fp16-b8": 1.0}
    assert run(monkeypatch, [found], both, "--engines", str(engines)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 2 plans within 3% of a bare loop: NOT held"


def test_a_plan_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    one = record(tmp_path, "a", {"tensorrt": 1.0})
    assert run(monkeypatch, [{}], one, "--engines", str(tmp_path)) == 2
    assert "name the engine cache of that run" in capsys.readouterr().err


def test_a_run_without_plans_cannot_be_compared(tmp_path, engines, monkeypatch, capsys):
    one = record(tmp_path, "a", {"pytorch": 1.0})
    assert run(monkeypatch, [{}], one, "--engines", str(engines)) == 2
    assert "timed a TensorRT plan" in capsys.readouterr().err


def test_the_loop_takes_the_images_of_the_suite(tmp_path):
    session = {"settings": dict.fromkeys(("yolo", "clip", "coco_images", "coco_annotations", "calibration_images"), "")}
    plans = [bare_loop.Plan(f"{model}-b4", model, "plan", 4, False, False) for model in ("clip-image", "clip-text")]
    ready = bare_loop.prepare(plans, session, tmp_path)
    images, prompts = (np.load(plan.inputs) for plan in ready)
    assert images.shape == (64, 4, 3, 64, 64) and images.dtype == np.float32
    assert prompts.shape[:2] == (64, 4) and prompts.dtype == np.int64
    assert not np.array_equal(images[0], images[1])


def test_every_plan_has_a_process_of_its_own():
    plans = [bare_loop.Plan(name, "clip-image", "plan", 4, False, False) for name in "abc"]
    found = bare_loop.bare_round(plans, process)
    assert list(found) == ["a", "b", "c"] and len({os.getpid(), *found.values()}) == 4


def test_a_plan_that_crashes_the_loop_is_named():
    with pytest.raises(ReportError, match=r"model\.plan ended its process"):
        bare_loop.bare_round([bare_loop.Plan("a", "clip-image", "model.plan", 4, False, False)], crash)
