"""Weights and data of a suite are read when a case needs them, and no sooner."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.assets import loader
from fixtures.assets.loader import SuiteAssets
from fixtures.cache.shared_results import SessionResults
from fixtures.datasets.synthetic import dataset
from fixtures.errors import BenchError
from fixtures.isolation.pool import WorkerPool
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.runs import raw_options

TO_DOWNLOAD = Suite("real", "asked for", yolo="detector.pt", clip="hub/clip", coco_images="images", download=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked for; nothing of it is found."""
    looked: list[str] = []

    def missing(source: Any, *_: Any, **__: Any) -> Any:
        looked.append(str(source))
        raise BenchError(f"{source} is not there", hint="")

    monkeypatch.setattr(loader, "read_clip", missing)
    monkeypatch.setattr(loader, "load_detector", missing)
    return looked


@pytest.mark.parametrize(
    ("models", "read", "left"),
    [
        (("detector",), {"yolo", "detection data"}, {"clip", "zero-shot data"}),
        (("clip-image", "clip-text"), {"clip", "zero-shot data"}, {"yolo", "detection data"}),
    ],
)
def test_what_no_case_needs_is_not_looked_for(
    models: tuple[str, ...], read: set[str], left: set[str], asked: list[str]
):
    described = SuiteAssets(TO_DOWNLOAD).describe(models)
    assert {key for key in left if described[key] == {"absent": "no case asks for it"}} == left
    assert all("absent" not in described[key] for key in read)
    assert ("hub/clip" in asked) == ("clip-image" in models)
    assert ("detector.pt" in asked) == ("detector" in models)


def test_the_network_is_asked_once_a_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    options = Options.from_values(raw_options(), tmp_path)
    processes = WorkerPool(options, TO_DOWNLOAD, SamplerSettings(), tmp_path, lambda _: None)
    monkeypatch.setattr(WorkerPool, "_at_work", lambda *_: None)
    monkeypatch.setattr(WorkerPool, "_send", lambda *_: {})
    assert processes._config.suite.download
    processes.describe(("detector",))
    assert not processes._config.suite.download
    processes.close()


def test_what_takes_long_is_done_once_a_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Scenes are drawn, a CLIP is loaded and hashed, calibration inputs are hashed by the first process alone."""
    embedded = Suite("embedded", "tests")
    first = SuiteAssets(embedded, SessionResults(tmp_path))
    known = [
        (len(data.calibration), data.evaluation.load(data.evaluation.ids[-1]))
        for data in (first.detection, first.zero_shot)
    ]
    towers = [first.model(tower) for tower in ("clip-image", "clip-text")]
    digests = [first.calibration_sha256(tower) for tower in towers]

    def again(*_: Any, **__: Any) -> Any:
        raise AssertionError("a second time")

    for name in ("detection_scene", "zero_shot_scene"):
        monkeypatch.setattr(dataset, name, again)
    monkeypatch.setattr(loader, "read_clip", again)
    second = SuiteAssets(embedded, SessionResults(tmp_path))
    for (count, image), data in zip(known, (second.detection, second.zero_shot), strict=True):
        assert len(data.calibration) == count
        assert np.array_equal(data.evaluation.load(data.evaluation.ids[-1]), image)
    assert [second.model(tower.name).weights for tower in towers] == [tower.weights for tower in towers]
    monkeypatch.setattr(SuiteAssets, "calibration_items", again)
    assert [second.calibration_sha256(tower) for tower in towers] == digests


def test_results_that_cannot_be_kept_are_worked_out_again(tmp_path: Path):
    nowhere = tmp_path / "absent"
    assert [SessionResults(nowhere).get("seven", lambda: 7) for _ in range(2)] == [7, 7]
