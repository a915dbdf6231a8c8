"""The page's section of pipelines."""

import pytest

from reports.html.page import render
from reports.html.pipeline_section import pipeline_section, pipeline_text
from reports.record.pipeline import PipelineSpeed, StageTime
from tests.helpers.pipelines import pipeline_row
from tests.helpers.rows import session_row

NAIVE = {"decode": 128.0, "preprocess": 60.0, "detector": 0.6, "nms": 0.6, "image tower": 0.6}
FAST = {"decode": 1.5, "preprocess": 0.2, "detector": 0.1, "nms": 0.1, "image tower": 0.1}


def speed(stages, rate, **more):
    times = tuple(StageTime(name=name, wall_ms=ms, cpu_ms=ms) for name, ms in stages.items())
    fields = {"whole_ms": sum(stages.values()), "overlap": "serial", "batch": 8, "cores": 16, "latency_ms": 200.0}
    return PipelineSpeed(stages=times, photos_per_second=rate, **{**fields, **more})


def rows():
    return [
        session_row(),
        pipeline_row("base", speed=speed(NAIVE, 5.3), baseline=True),
        pipeline_row("base", accuracy="passed", baseline=True),
        pipeline_row("engines", speed=speed({**NAIVE, "detector": 0.1}, 5.31), detector="tensorrt-fp16"),
        pipeline_row("fast", speed=speed(FAST, 600.0, overlap="threads", workers=2), decoder="nvimagecodec"),
        pipeline_row("fast", accuracy="passed", decoder="nvimagecodec"),
        pipeline_row("<b>other</b>"),
    ]


def test_the_page_says_what_to_change_first_and_judges_the_claim_for_both_photo_sizes():
    page = render(rows())
    assert "From the photo to the answer" in page
    assert "Change decode first" in page
    large, small = pipeline_section(rows()).sets
    assert large.claim == "held" and small.claim == "not measured"
    assert "1 is" not in small.sentence and small.sentence.startswith("Not measured")
    assert "photos an hour instead of" in large.headline
    assert [picture.title for picture in large.pictures] == ["the common way", "the fastest: fast-12mp"]


def test_the_prediction_is_held_against_the_run_that_checks_it():
    (said,) = [each for each in pipeline_section(rows()).sets[0].checks if "Prediction" in each]
    assert "within 10 %" in said


def test_what_comes_from_the_record_is_escaped_and_reasons_are_listed():
    page = render(rows())
    assert "<b>other</b>" not in page and "&lt;b&gt;other&lt;/b&gt;-12mp: the decoder nvimagecodec needs" in page


def test_both_waterfalls_have_one_scale():
    common, best = pipeline_section(rows()).sets[0].pictures
    assert 'width="390.0"' not in best.svg
    widths = [float(part.split('"')[0]) for part in str(common.svg).split(' width="')[2:]]
    assert max(widths) == pytest.approx(390 * 128 / sum(NAIVE.values()), rel=0.01)


def test_a_session_without_pipelines_has_no_section():
    assert pipeline_section([session_row()]) is None
    assert "From the photo to the answer" not in render([session_row()])


@pytest.mark.parametrize("change", [{"failed_photos": {"a.jpg": "cut off"}}, {"whole_ms": 400.0}])
def test_doubts_of_the_measurement_are_said(change):
    given = [session_row(), pipeline_row("base", speed=speed(NAIVE, 5.3, **change), baseline=True)]
    assert pipeline_section(given).sets[0].checks


def test_the_terminal_is_told_the_same():
    said = "\n".join(pipeline_text(rows()))
    assert "Change decode first" in said and 'claim "combined pipeline 2-3x": held' in said
    assert "113" in said and "bottleneck" in said
    assert pipeline_text([session_row()]) == []
