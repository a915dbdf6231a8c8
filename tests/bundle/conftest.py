"""A run of some cases of the embedded suite on the CPU, real engines in a real cache, and bundles shipped from it.

Judged on fewer images than the suite has, and in this process: a run of the main job would take a minute.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fixtures import ROOT
from fixtures.assets import loader
from fixtures.bundle import command
from fixtures.cache.engine_cache import say_nothing
from fixtures.datasets.synthetic import dataset
from fixtures.environment.collect import describe, keep_quiet
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.pytest_plugin.run_plan import RunPlan
from fixtures.runner.factory import open_workbench
from fixtures.runner.stages import CaseRunner
from fixtures.runner.workbench import Workbench
from fixtures.timing.sampler import SamplerSettings
from reports.__main__ import main as reports_main
from reports.bundle.format import DESCRIPTION, SUMS, Bundle
from reports.bundle.reading import checksums
from reports.record.hashing import file_sha256
from reports.record.schema import CASE_KIND, RECORD, STAGES, SessionRow, StageRow
from reports.record.store import Recorder
from tests.helpers.runs import raw_options

CASES = (
    Case("yolov8n", "detection", "onnxruntime", "fp16", 1),
    Case("clip-image", "zero-shot", "onnxruntime", "int8", 8),
    Case("clip-text", "zero-shot", "onnxruntime", "fp32", 1),
    Case("clip-text", "zero-shot", "pytorch", "fp32", 1),
)
SECONDS = 0.1
WHOLE_DETECTION, WHOLE_ZERO_SHOT = dataset.detection_set, dataset.zero_shot_set


@contextmanager
def few_images() -> Iterator[None]:
    """An embedded suite of some tens of images, for as long as this is open."""
    detection, zero_shot = partial(WHOLE_DETECTION, 8, 32), partial(WHOLE_ZERO_SHOT, 32, 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader.dataset, "detection_set", detection)
        patch.setattr(loader.dataset, "zero_shot_set", zero_shot)
        yield


@pytest.fixture(autouse=True)
def _few_images() -> Iterator[None]:
    """In the tests of this folder alone: other tests of the same process see the suite as it is."""
    with few_images():
        yield


@pytest.fixture(scope="session")
def plan(engine_cache: Path) -> RunPlan:
    keep_quiet(download=False)
    raw = raw_options(suite="embedded", device="cpu", engine_cache=str(engine_cache), measure_seconds=str(SECONDS))
    return RunPlan.make(Options.from_values(raw, ROOT), ROOT)


@pytest.fixture(scope="session")
def workbench(plan: RunPlan) -> Workbench:
    with few_images():
        return open_workbench(plan.options, plan.suite, say_nothing)


@pytest.fixture(scope="session")
def run(plan: RunPlan, workbench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    folder = tmp_path_factory.mktemp("run")
    runner = CaseRunner(workbench, SamplerSettings.within(SECONDS), plan.options.tolerance)
    with few_images(), Recorder(folder / RECORD) as recorder:
        suite = workbench.sources.describe({case.model for case in CASES})
        recorder.write(SessionRow("20261122T161000Z-1a2b", suite, plan.settings(), describe("cpu", ROOT)))
        for case in CASES:
            for stage in STAGES:
                answer = runner.ask(case, stage)
                outcome = "failed" if answer.failure else "passed"
                named = {"id": case.id, **asdict(case)}
                row = StageRow(
                    CASE_KIND, "20261122T161000Z-1a2b", named, stage, outcome, answer.values, answer.failure or None
                )
                recorder.write(row)
    return folder


@pytest.fixture(scope="session")
def shipped(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundle of a model, as `reports ship` writes it. Not to be changed: `copied` gives one of a test's own."""
    folder = tmp_path_factory.mktemp("shipped")

    def of(model: str) -> Path:
        output = folder / model
        if not output.exists():
            assert reports_main(["ship", str(run), "--model", model, "--output", str(output)]) == 0
        return output

    return of


@pytest.fixture
def copied(shipped: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    def copy(model: str) -> Path:
        return Path(shutil.copytree(shipped(model), tmp_path / model))

    return copy


@pytest.fixture
def measured() -> list[str]:
    """What the command measured, by the names of its processes."""
    return []


@pytest.fixture
def _here(workbench: Workbench, measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command measures in this process, with what the run has worked out."""

    class ThisProcess:
        def __init__(self, options: Options, *_: Any) -> None:
            self.options = options

        def call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
            measured.append(name)
            return function(workbench, *arguments)

        def close(self) -> None:
            pass

    monkeypatch.setattr(command, "WorkerPool", ThisProcess)


@pytest.fixture
def verify(_here: None, engine_cache: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The command's exit status and all that it says."""

    def call(folder: Path, *more: str) -> tuple[int, str]:
        capfd.readouterr()
        status = command.main(["verify", str(folder), "--engine-cache", str(engine_cache), *more])
        said = capfd.readouterr()
        return status, said.out + said.err

    return call


def read(folder: Path) -> Bundle:
    return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Bundle)


def write(folder: Path, bundle: Bundle) -> None:
    """Put another description into a bundle, with the hashes of what lies there: what a forger would do."""
    files = tuple(
        msgspec.structs.replace(
            each, sha256=file_sha256(folder / each.path), size_bytes=(folder / each.path).stat().st_size
        )
        for each in bundle.files
    )
    bundle = msgspec.structs.replace(bundle, files=files)
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(bundle))
    (folder / SUMS).write_bytes(checksums(folder, bundle))
