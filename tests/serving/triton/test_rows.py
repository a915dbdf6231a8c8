"""The rows of a real Triton: a known answer, the gate, loads; and the server with NumPy 2, which answers zeros."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.runner.workbench import Workbench
from fixtures.serving.cases import PLAIN, START, ServingCase
from fixtures.serving.results import KnownAnswerError
from fixtures.serving.stages import run_stage
from fixtures.serving.transport import ServiceError
from fixtures.serving.triton import repository, rows
from fixtures.serving.triton.installation import TritonInstallation, install
from fixtures.serving.triton.repository import write_repository
from fixtures.serving.triton.server import running_triton
from fixtures.timing.sampler import SamplerSettings
from reports.record.schema import Status
from reports.record.serving import ServingAccuracy, ServingSpeed, read_serving
from reports.record.store import last_session, read_rows
from tests.helpers.runs import run_here

SETTINGS = SamplerSettings(
    warmup_min_s=0.1, window=5, warmup_max_s=0.5, min_measured_s=0.1, min_samples=30, max_measured_s=0.5
)
IMAGES = ServingCase("triton", "clip-image", "zero-shot", START, "", *PLAIN)
BOXES = ServingCase("triton", "yolov8n", "detection", START, "", *PLAIN)
# Engines of the suite's own in Triton's process; the second is built for one size of batch.
ENGINES = [
    replace(BOXES, backend="pytorch"),
    replace(IMAGES, backend="pytorch"),
    replace(IMAGES, backend="torch-compile"),
]


@pytest.fixture
def trap(triton_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Triton whose Python has NumPy 2: its Python backend reads one number in every place, and no error is told."""
    made = install(triton_folder / "triton-numpy2", print, ("numpy>=2", "onnxruntime"))
    monkeypatch.setattr(rows, "install", lambda *_: made)


@pytest.mark.parametrize("served", [BOXES, IMAGES, *ENGINES], ids=lambda served: served.id)
def test_a_server_of_the_suite_answers_as_the_engine_in_this_process(
    served: ServingCase, workbench: Workbench, options: Options
) -> None:
    found = run_stage(workbench, served, "accuracy", options, SETTINGS)

    assert not found.failure and not found.skipped
    assert isinstance(found.result, ServingAccuracy)
    assert found.result.same_as_engine == 1.0 and (found.result.worst_error or 0.0) <= rows.SAME_ERROR
    assert found.result.device == "the CPU"
    gated = [metric for metric in found.result.metrics if metric.gated]
    assert gated and all((metric.ratio_value or 0) >= 0.98 for metric in gated)


@pytest.mark.parametrize("served", [IMAGES, ENGINES[1]], ids=lambda served: served.id)
def test_loads_tell_client_from_server(served: ServingCase, workbench: Workbench, options: Options) -> None:
    found = run_stage(workbench, served, "speed", options, SETTINGS)

    assert isinstance(found.result, ServingSpeed)
    assert [(load.callers, load.shared_memory) for load in found.result.loads] == [
        (callers, shared) for shared in (False, True) for callers in (1, 4, 16)
    ]
    for load in found.result.loads:
        assert load.compute_ms and load.mean_ms and load.queue_ms is not None
        assert load.compute_ms < load.mean_ms
    assert found.result.loads[0].images_per_run == 1.0
    assert (found.result.loads[2].images_per_run or 0) > 1.5, "Triton puts requests of sixteen callers together"
    assert f"as by {served.backend} fp32 in this process" in found.result.known_answer
    assert f"Python backend over {served.backend} FP32 on the CPU" in found.result.server


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize("stage", ["speed", "accuracy"])
def test_zeros_that_are_called_success_are_caught_before_anything_is_timed(
    stage: str, workbench: Workbench, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that writes its answer by DLPack, as one on a GPU does: only what it reads is zeros."""
    by_dlpack = tmp_path / "model.py"
    text = repository.PYTHON_MODELS["python"].read_text(encoding="utf-8")
    plain = "triton.Tensor(self._output, np.ascontiguousarray(part))"
    # Kept for good: who hands over memory by DLPack must not free it, and NumPy's own hand-over is what breaks here.
    dlpack = "triton.Tensor.from_dlpack(self._output, KEPT.append(np.ascontiguousarray(part)) or KEPT[-1])"
    assert plain in text
    by_dlpack.write_text(f"KEPT = []\n{text.replace(plain, dlpack)}", encoding="utf-8")
    monkeypatch.setitem(repository.PYTHON_MODELS, "python", by_dlpack)

    with pytest.raises(KnownAnswerError, match="answers with success and a relative error of") as caught:
        run_stage(workbench, IMAGES, stage, options, SETTINGS)

    assert (
        "it is the answer to the tensor's first number in every place" in caught.value.what
        and "numpy<2" in caught.value.hint
    )


@pytest.mark.usefixtures("trap")
def test_an_empty_answer_that_is_called_success_is_caught_too(workbench: Workbench, options: Options) -> None:
    """The suite's own model.py there: its outputs are as lost as its inputs."""
    with pytest.raises(ServiceError, match="came as 0 bytes, not 512, with success") as caught:
        run_stage(workbench, IMAGES, "speed", options, SETTINGS)

    assert "numpy<2" in caught.value.hint


def test_a_server_of_the_users_is_judged_against_pytorch(
    workbench: Workbench, options: Options, installation: TritonInstallation, tmp_path: Path
) -> None:
    loaded = workbench.engines.load(Case("clip-image", "zero-shot", "onnxruntime", "fp32", 1))
    (example,) = workbench.engines.inputs.first(loaded.model, 1, 1)
    model = repository.served_model(loaded.model, "python", loaded.artifact.path, example, 8)
    write_repository(tmp_path / "repository", [model, replace(model, name="yolov8n")])
    with running_triton(installation, tmp_path / "repository", tmp_path / "log") as running:
        theirs = replace(IMAGES, server=running.url)
        judged = run_stage(workbench, theirs, "accuracy", options, SETTINGS)
        with pytest.raises(ServiceError, match=r"yolov8n of .*: its input pixel_values is FP32 \[-1, 3, 64, 64\]"):
            run_stage(workbench, replace(BOXES, server=running.url), "accuracy", options, SETTINGS)
        with pytest.raises(ServiceError, match=r"has no model clip-text .* it has clip-image, yolov8n"):
            run_stage(workbench, replace(theirs, model="clip-text"), "speed", options, SETTINGS)

    assert isinstance(judged.result, ServingAccuracy) and not judged.failure
    assert judged.result.same_as_engine is None, "nobody has the engine of another's server"
    assert all((metric.ratio_value or 0) >= 0.98 for metric in judged.result.metrics)


def test_answers_that_are_worse_close_the_gate(
    workbench: Workbench, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose answers go astray after the first requests: right when asked for what is known, wrong later."""
    own, asked = rows.ServedEngine.infer, []

    def infer(self: rows.ServedEngine, tensor: np.ndarray) -> np.ndarray:
        asked.append(len(tensor))
        found = own(self, tensor)
        return found if len(asked) <= rows.KNOWN_REQUESTS or len(asked) % 4 else found[:, ::-1].copy()

    monkeypatch.setattr(rows.ServedEngine, "infer", infer)
    found = run_stage(workbench, replace(IMAGES), "accuracy", options, SETTINGS)

    assert "zero-shot agreement is 0." in found.failure and "answers 0." in found.failure


def test_a_killed_server_costs_its_row_alone(triton_folder: Path, tmp_path: Path) -> None:
    killed = threading.Event()

    def kill_the_first() -> None:
        """Once it works: it has children, and they have computed."""
        while not killed.is_set():
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):  # it ended meanwhile
                    if process.name() == "tritonserver" and process.children():
                        time.sleep(4)
                        process.kill()
                        killed.set()
                        return
            time.sleep(0.05)

    thread = threading.Thread(target=kill_the_first, daemon=True)
    thread.start()
    done = run_here(
        *("--suite", "embedded", "--measure-seconds", "2", "-k", "serving", "--triton", "start"),
        *("--output", str(tmp_path), "--engine-cache", str(triton_folder)),
    )
    assert killed.is_set()
    thread.join()

    assert done.returncode == Status.CASE_LOST, done.stdout
    boxes, images = read_serving(last_session(read_rows(tmp_path / "rows.jsonl")))
    assert boxes.outcomes == {"speed": "error", "accuracy": "passed"}
    assert "no whole answer" in boxes.reasons["speed"]
    assert images.outcomes == {"speed": "passed", "accuracy": "passed"}, images.reasons
