"""The predictor in Ray Data's `map_batches`, on two local workers."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import ROOT
from fixtures.pipeline.library.output import as_row
from fixtures.pipeline.library.predictor import PhotoPredictor, PredictorSettings, engine_name
from fixtures.pipeline.spec import PipelineSpec

ray = pytest.importorskip("ray", reason="Ray is not installed here: pip install 'ray[data]', the extra `ray`")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        # Two for the workers, and one for the task that reads: without it neither ever begins.
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": ":".join([str(ROOT), *filter(None, sys.path)])}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def settings(engine_cache: Path) -> PredictorSettings:
    engine = engine_name("pytorch-fp32")
    spec = PipelineSpec("pil", "fast", engine, engine, "batched", "serial", batch=4)
    return PredictorSettings(spec, suite="embedded", device="cpu", engine_cache=str(engine_cache))


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")
def test_two_workers_give_the_same_answers(photo_folder: Path, settings: PredictorSettings):
    import ray.data

    (photo_folder / "broken.jpg").write_bytes(b"Dear diary")
    paths = [str(path) for path in sorted(photo_folder.rglob("*.jpg"))]
    with PhotoPredictor(settings) as predictor:  # and builds the engines that the workers load
        here = [as_row(path, result) for path, result in zip(paths, predictor.predict(paths), strict=True)]
    photos = ray.data.read_binary_files(str(photo_folder), include_paths=True)
    answers = photos.repartition(4).map_batches(
        PhotoPredictor,
        fn_constructor_args=[settings],
        batch_size=4,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=1,
    )
    rows = sorted(answers.take_all(), key=lambda row: row["name"])
    assert [row["name"] for row in rows] == paths
    assert [row["error"] for row in rows] == [row["error"] for row in here]
    for there, local in zip(rows, here, strict=True):
        assert [_label(box) for box in there["boxes"]] == [_label(box) for box in local["boxes"]]
        assert [each["label"] for each in there["scenes"]] == [each["label"] for each in local["scenes"]]
        for ours, theirs in zip(local["boxes"], there["boxes"], strict=True):
            assert abs(ours["score"] - theirs["score"]) < 1e-3
            assert all(abs(ours[side] - theirs[side]) < 0.1 for side in ("x1", "y1", "x2", "y2"))


def _label(box: dict[str, Any]) -> str:
    return str(box["label"])
