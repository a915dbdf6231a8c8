"""Pipelines in a session: collected behind the matrix, a row a stage, their reason where they cannot run."""

from pathlib import Path

import pytest

from reports.record.pipeline import PipelineSpeed, read_pipelines
from reports.record.schema import PIPELINE_KIND, Status
from reports.record.store import last_session, read_rows
from tests.helpers.runs import BARE, pytest_here

# One stage of one pipeline, on the smaller photos.
ONE = "test_pipeline_speed and simplejpeg and coco"
QUICK = ("--suite", "embedded", "--measure-seconds", "0.3")


def test_a_stage_of_a_pipeline_is_a_row_and_a_line_of_the_page(tmp_path: Path, engine_cache: Path) -> None:
    done = pytest_here([*BARE, *QUICK, "-k", ONE, "--output", str(tmp_path), "--engine-cache", str(engine_cache)])
    assert done.returncode == Status.PASSED, done.stdout
    rows = last_session(read_rows(tmp_path / "rows.jsonl"))
    (row,) = [row for row in rows if row["kind"] == PIPELINE_KIND]
    assert (row["question"], row["outcome"]) == ("speed", "passed") and row["seconds"] > 0
    (pipeline,) = read_pipelines(rows)
    assert isinstance(pipeline.speed, PipelineSpeed) and pipeline.speed.photos_per_second
    assert pipeline.name.decoder == "simplejpeg" and pipeline.name.photo_set == "coco" and not pipeline.name.baseline
    assert f"{row['pipeline']['id']}" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "test_pipeline_speed" in done.stdout


def test_pipelines_come_behind_the_matrix_each_through_its_stages(tmp_path: Path) -> None:
    done = pytest_here(
        [
            *(*BARE, *QUICK, "--collect-only", "-qq", "--pipelines", "all", "--backends", "pytorch,onnxruntime"),
            *("--precisions", "fp32", "--batches", "1", "--models", "yolov8n,clip-image", "--output", str(tmp_path)),
        ]
    )
    names = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    pipelines = [name for name in names if name.startswith("test_pipeline_")]
    assert len(pipelines) > 20 and not [name for name in pipelines if "nvimagecodec" in name], "it needs a GPU"
    history = [name for name in names if "history" in name]
    assert names == [*(name for name in names if name not in (*pipelines, *history)), *pipelines, *history]
    assert [name.partition("[")[0] for name in pipelines[:2]] == ["test_pipeline_speed", "test_pipeline_accuracy"]
    # The baseline first: all others are judged against it.
    assert "photo-pil-reference" in pipelines[0]


@pytest.mark.parametrize("arguments", [("--pipelines", "none"), ("--models", "clip-text")])
def test_no_pipeline_is_measured_where_none_is_asked_for_or_a_network_is_missing(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = pytest_here([*BARE, *QUICK, *arguments, "--collect-only", "-qq", "--output", str(tmp_path)])
    assert "::test_" in done.stdout and "test_pipeline_" not in done.stdout
