"""Weights and data of a suite are read when a case needs them, and no sooner."""

from pathlib import Path
from typing import Any

import pytest

from fixtures import sources
from fixtures.errors import BenchError
from fixtures.instruments.sampler import SamplerSettings
from fixtures.isolation.processes import CaseProcesses
from fixtures.options import Options
from fixtures.sources import Sources
from fixtures.suite import Suite
from tests.making import raw_options

TO_DOWNLOAD = Suite("real", "asked for", yolo="detector.pt", clip="hub/clip", coco_images="images", download=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked for; nothing of it is found."""
    looked: list[str] = []

    def missing(source: Any, *_: Any, **__: Any) -> Any:
        looked.append(str(source))
        raise BenchError(f"{source} is not there", mend="")

    monkeypatch.setattr(sources, "load_clip", missing)
    monkeypatch.setattr(sources, "load_yolo", missing)
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
    described = Sources(TO_DOWNLOAD).describe(models)
    assert {key for key in left if described[key] == {"absent": "no case asks for it"}} == left
    assert all("absent" not in described[key] for key in read)
    assert ("hub/clip" in asked) == ("clip-image" in models)
    assert ("detector.pt" in asked) == ("detector" in models)


def test_the_network_is_asked_once_a_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    options = Options.from_values(raw_options(), tmp_path)
    processes = CaseProcesses(options, TO_DOWNLOAD, SamplerSettings(), tmp_path, lambda _: None)
    monkeypatch.setattr(CaseProcesses, "_at_work", lambda *_: None)
    monkeypatch.setattr(CaseProcesses, "_send", lambda *_: {})
    assert processes._assignment.suite.download
    processes.describe(("detector",))
    assert not processes._assignment.suite.download
    processes.close()
