"""The stages of a pipeline as a run measures them: its row of speed, its row of accuracy, and its gate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixtures import ROOT
from fixtures.photos.decode import read_header
from fixtures.photos.drawn import drawn_photos
from fixtures.pipeline.measuring import photo_sets, stages
from fixtures.pipeline.measuring.cases import PipelineCase
from fixtures.pipeline.measuring.photo_sets import enlarged, labelled_photos, timed_photos
from fixtures.pipeline.spec import BASELINE, EngineName, PipelineSpec
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from fixtures.timing.sampler import SamplerSettings
from reports.record.pipeline import PipelineAccuracy, PipelineSpeed
from tests.helpers.runs import raw_options

PHOTOS = 12
ORT = EngineName("onnxruntime", "fp32")
FAST = PipelineCase(PipelineSpec("simplejpeg", "fast", ORT, ORT, "batched", "threads", batch=4), "coco")
QUICK = replace(SamplerSettings.within(0.5), warmup_min_s=0.0, min_measured_s=0.0)


@pytest.fixture
def workbench(engine_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setitem(photo_sets.COUNTS, "cpu", {"coco": PHOTOS})
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(engine_cache)), ROOT)
    return open_workbench(options, choose_suite(options, ROOT), lambda _: None)


def test_the_row_of_speed_says_what_photos_were_timed(workbench: Workbench) -> None:
    measured = stages.run_stage(workbench, FAST, "speed", "cpu", QUICK, 0.02)
    speed = measured.result
    assert isinstance(speed, PipelineSpeed) and speed.photos_per_second and speed.latency_ms
    # Cameras write baseline JPEGs in colour: of the drawn photos those alone are timed.
    timed = timed_photos(labelled_photos(workbench, "coco", "cpu")).photos
    assert 0 < len(timed) < PHOTOS
    sizes = [read_header(photo.read()) for photo in timed]
    assert speed.photo_megapixels == pytest.approx(sizes[0].shown_size[0] * sizes[0].shown_size[1] / 1e6)
    assert speed.photo_bytes == pytest.approx(np.mean([photo.path.stat().st_size for photo in timed]))
    assert f"{speed.photos_per_second:.1f} photos/s" in measured.headline and not measured.failure


def test_the_baseline_keeps_its_own_answers_and_a_wrong_pipeline_closes_the_gate(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = stages.run_stage(workbench, PipelineCase(BASELINE, "coco"), "accuracy", "cpu", QUICK, 0.02)
    assert isinstance(own.result, PipelineAccuracy) and not own.failure
    assert {metric.name for metric in own.result.metrics} == {"mAP50-95", "zero-shot agreement", "zero-shot top-1"}
    assert all(metric.ratio_value == 1.0 for metric in own.result.metrics) and own.result.flips == 0
    assert own.result.photos == PHOTOS and not own.result.failed_photos

    fast = stages.run_stage(workbench, FAST, "accuracy", "cpu", QUICK, 0.02)
    assert isinstance(fast.result, PipelineAccuracy) and fast.result.embedding_cosine_worst > 0.9

    # The answers of a pipeline that mixes up its photos.
    predict = stages.predict

    def mixed_up(*arguments: object) -> stages.Predictions:
        right = predict(*arguments)
        return replace(right, embeddings=np.roll(right.embeddings, 5, axis=0))

    monkeypatch.setattr(stages, "predict", mixed_up)
    wrong = stages.run_stage(workbench, FAST, "accuracy", "cpu", QUICK, 0.02)
    assert "zero-shot agreement is 0." in wrong.failure and "the gate asks for 0.9800" in wrong.failure


def test_enlarged_photos_keep_their_boxes_where_they_were(workbench: Workbench) -> None:
    small = drawn_photos(workbench.cache, 3, (96, 64))
    large = enlarged(workbench.cache, small, 240)
    assert [photo.name for photo in large.photos.photos] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    scales = {}
    for before, after, photo in zip(
        small.annotations["images"], large.annotations["images"], large.photos.photos, strict=True
    ):
        header = read_header(photo.read())
        # As stored, before the turn that the camera notes.
        assert max(header.shown_size) == 240 == max(after["width"], after["height"])
        scales[before["id"]] = after["width"] / before["width"]
    for before, after in zip(small.annotations["annotations"], large.annotations["annotations"], strict=True):
        scale = scales[before["image_id"]]
        assert after["bbox"] == pytest.approx([side * scale for side in before["bbox"]], rel=0.05)
    again = enlarged(workbench.cache, small, 240)
    assert [photo.path for photo in again.photos.photos] == [photo.path for photo in large.photos.photos]
