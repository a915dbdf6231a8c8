"""The page's section of pipelines."""

import pytest

from reports.charts.pipeline_stages import LEFT, RIGHT, WIDTH
from reports.findings.reading import read
from reports.findings.text import as_lines
from reports.github.job_summary import annotations, job_summary
from reports.html.page import render
from reports.html.pipeline_section import pipeline_cards, pipeline_section, pipeline_text
from reports.record.pipeline import PipelineSpeed, StageTime
from tests.findings.verdict import pipelines
from tests.helpers.pipelines import pipeline_row
from tests.helpers.rows import end_row, session_row

NAIVE = {"decode": 128.0, "preprocess": 60.0, "detector": 0.6, "nms": 0.6, "image tower": 0.6}
FAST = {"decode": 1.5, "preprocess": 0.2, "detector": 0.1, "nms": 0.1, "image tower": 0.1}


def speed(stages, rate, **more):
    times = tuple(StageTime(name=name, wall_ms=ms, cpu_ms=ms) for name, ms in stages.items())
    fields = {"whole_ms": sum(stages.values()), "overlap": "serial", "batch": 8, "cores": 16, "latency_ms": 200.0}
    return PipelineSpeed(stages=times, photos_per_second=rate, **{**fields, **more})


def section(given):
    reading = read(given)
    return pipeline_section(reading.pipelines, reading.seen.pipelines)


def told(given):
    reading = read(given)
    return pipeline_text(reading.pipelines, reading.seen.pipelines)


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
    assert "Change decoding first" in page
    large, small = section(rows()).sets
    assert large.claim == "held" and small.claim == "not measured"
    assert "1 is" not in small.sentence and small.sentence.startswith("COCO-size photos: not measured")
    assert "photos an hour instead of" in large.headline
    assert [picture.title for picture in large.pictures] == [
        "baseline: Pillow, PyTorch FP32",
        "the fastest: nvimagecodec · reference · PyTorch FP32 · threads, batch 8",
    ]


def test_the_prediction_is_held_against_the_run_that_checks_it():
    (said,) = [each for each in section(rows()).sets[0].checks if "Prediction" in each]
    assert "within 10 %" in said


def test_a_prediction_that_does_not_hold_is_explained_where_it_is_shown():
    base = {"decode": 3.0, "nms": 0.6, "detector": 0.6, "image tower": 0.6}
    slowed = {**base, "detector": 0.1, "image tower": 0.1, "nms": 2.0}

    def said(stages, rate):
        given = [
            session_row(),
            pipeline_row("base", speed=speed(base, 208.3), baseline=True),
            pipeline_row("engines", speed=speed(stages, rate), detector="onnxruntime-fp32"),
            pipeline_row("engines", accuracy="passed", detector="onnxruntime-fp32"),
        ]
        (line,) = [each for each in section(given).sets[0].checks if "Prediction" in each]
        return line

    shared = said(slowed, 192.3)
    assert "not within 10 %" in shared and "NMS, 0.600 → 2.00 ms" in shared and "3.60 ms a photo" in shared
    drifted = said({**slowed, "nms": 0.6}, 208.3)
    assert "not within 10 %" in drifted and "In the serial passes it brought 1.26×" in drifted
    assert said({**slowed, "nms": 0.6}, 263.2).endswith("within 10 %.")


def test_what_comes_from_the_record_is_escaped_and_reasons_are_listed():
    page = render(rows())
    assert "<b>other</b>" not in page and "&lt;b&gt;other&lt;/b&gt;-12mp: the decoder nvimagecodec needs" in page


def test_both_waterfalls_have_one_scale():
    common, best = section(rows()).sets[0].pictures
    across = WIDTH - LEFT - RIGHT
    assert f'width="{across:.1f}"' not in best.svg
    widths = [float(part.split('"')[0]) for part in str(common.svg).split(' width="')[2:]]
    assert max(widths) == pytest.approx(across * 128 / sum(NAIVE.values()), rel=0.01)


def test_a_session_without_pipelines_has_no_section():
    assert section([session_row()]) is None
    assert "From the photo to the answer" not in render([session_row()])


@pytest.mark.parametrize("change", [{"failed_photos": {"a.jpg": "cut off"}}, {"whole_ms": 400.0}])
def test_doubts_of_the_measurement_are_said(change):
    given = [session_row(), pipeline_row("base", speed=speed(NAIVE, 5.3, **change), baseline=True)]
    assert section(given).sets[0].checks


def test_the_terminal_is_told_the_same():
    said = "\n".join(told(rows()))
    assert (
        "decoding takes 67\u202f% of the time; change that first" in said
        and 'claim "combined pipeline 2-3x": held' in said
    )
    assert "113" in said and "bottleneck" in said
    assert told([session_row()]) == []


def test_a_session_of_pipelines_alone_counts_them_and_gives_their_answer():
    given = [*rows()[:-1], end_row()]
    reading = read(given)
    assert reading.status.all_well == "All 3 pipelines passed" and reading.status.words == ()
    assert reading.sentences == (section(given).sets[0].sentence,)
    page = render(given)
    assert "Nothing was measured" not in page and "All 3 pipelines passed" in page
    (card,) = pipeline_cards(reading.pipelines)
    assert (card.rate, card.speedup, card.claim, card.accuracy) == ("600", "113×", "held", "certain")
    assert card.sentence in page and "Change decoding first" in page
    assert "113×" in "\n".join(as_lines(reading)) and card.sentence.split(":")[1].strip()[:20] in job_summary(given)


def test_failed_and_crashed_pipelines_are_what_broke():
    reading = read(pipelines())
    assert reading.status.words == ("1 pipeline failed", "1 pipeline crashed")
    assert [each.code for each in reading.broken] == ["pipeline.error", "pipeline.failed"]
    assert reading.quietness and reading.quietness.answer.endswith("1 of 2 throughputs are rough")
    assert "out of memory" in reading.broken[0].line and "keeps 50.0" in reading.broken[1].line
    page, summary = render(pipelines()), job_summary(pipelines())
    for told in (page, summary, "\n".join(annotations(pipelines()))):
        assert "out of memory" in told and "keeps 50.0" in told
    assert "1 pipeline failed; 1 pipeline crashed." in as_lines(reading)
    assert not any(finding.code == "run.unexplained_exit_status" for finding in reading.found)


def test_one_that_only_may_pass_is_not_certain():
    given = [row for row in rows() if not (row.get("question") == "accuracy" and row["pipeline"]["id"] == "fast-12mp")]
    given.append(pipeline_row("fast", accuracy="passed", decoder="nvimagecodec", low=0.9))
    assert pipeline_cards(read(given).pipelines)[0].accuracy == "likely"


def test_where_nothing_is_faster_the_sentence_says_so():
    slow = [
        session_row(),
        pipeline_row("base", speed=speed(NAIVE, 5.3), baseline=True),
        pipeline_row("slow", speed=speed(NAIVE, 5.0), decoder="opencv"),
        pipeline_row("slow", accuracy="passed", decoder="opencv"),
    ]
    reading = read(slow)
    assert reading.sentences == (
        "12 MP photos: nothing that passes is faster than the baseline: 5.30 photos a second.",
    )
    assert pipeline_cards(reading.pipelines)[0].claim == "not held"
