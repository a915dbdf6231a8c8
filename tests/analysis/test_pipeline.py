"""What decides a pipeline's speed, by its stage times."""

import msgspec
import pytest

from reports.analysis.pipeline import (
    HELD,
    NOT_HELD,
    NOT_MEASURED,
    check_prediction,
    compare_pipelines,
    exchanges,
    limits,
    reached,
    sum_of_stages,
)
from reports.record.pipeline import PipelineSpeed, StageTime, read_pipelines
from tests.helpers.pipelines import pipeline_row

NAIVE = {"decode": 128.0, "preprocess": 60.0, "detector": 0.6, "nms": 0.6, "image tower": 0.6, "labels": 0.2}
FAST = {"decode": 4.0, "preprocess": 2.0, "detector": 0.1, "nms": 0.1, "image tower": 0.1, "labels": 0.1}


def speed(stages=NAIVE, overlap="serial", workers=0, cores=2, rate=None, cpu=1.0, whole=None):
    times = tuple(StageTime(name=name, wall_ms=ms, cpu_ms=ms * cpu) for name, ms in stages.items())
    total = sum(stages.values())
    return PipelineSpeed(
        stages=times, whole_ms=whole or total, photos_per_second=rate or 1000 / total, overlap=overlap, workers=workers,
        cores=cores,
    )  # fmt: skip


def test_engines_however_fast_bring_what_amdahl_allows():
    found = {each.name: each for each in exchanges(speed(), speed(FAST))}
    assert found["the engines"].limit == pytest.approx(190 / (190 - 1.2))
    assert found["the engines"].speedup == pytest.approx(190 / (190 - 1.2 + 0.2))
    assert found["decode"].speedup == pytest.approx(190 / (190 - 128 + 4))
    assert next(iter(found)) == "decode"


def test_a_serial_pipeline_is_limited_by_its_caller():
    (limit,) = limits(speed())
    assert limit.resource == "one caller" and limit.stage == "decode"
    assert reached(speed()) == pytest.approx(1.0)


def test_on_a_cpu_the_cores_are_shared_by_workers_and_networks():
    stages = {"decode": 20.0, "detector": 20.0}
    found = limits(speed(stages, "threads", workers=2, cores=2))
    allowed = {limit.resource: limit.photos_per_second for limit in found}
    assert allowed == pytest.approx({"the networks": 50, "2 cores": 50, "2 workers": 100})


def test_on_a_gpu_the_workers_are_the_limit_where_decoding_is_slow():
    stages = {"decode": 30.0, "detector": 0.3}
    scarcest = limits(speed(stages, "threads", workers=16, cores=16, cpu=0.5))[0]
    assert (scarcest.resource, scarcest.stage) == ("16 workers", "decode")
    assert scarcest.photos_per_second == pytest.approx(16 / 0.030)


def test_stages_that_do_not_add_up_are_seen():
    assert sum_of_stages(speed(whole=250.0)) == pytest.approx(0.76)


def test_a_prediction_holds_where_the_other_stages_take_as_long_as_before():
    """Engines of 1.2 ms become 0.2 of 4.8 ms in all."""
    small = {"decode": 3.0, "nms": 0.6, "detector": 0.6, "image tower": 0.6}
    faster = {**small, "detector": 0.1, "image tower": 0.1}
    check = check_prediction(speed(small), speed(faster))
    assert check.predicted == pytest.approx(4.8 / 3.8) == check.measured
    assert check.holds and not check.rest_explains
    slowed = check_prediction(speed(small), speed({**faster, "nms": 2.0}))
    assert slowed.predicted == check.predicted and slowed.measured == pytest.approx(4.8 / 5.2)
    assert not slowed.holds and slowed.rest_explains
    assert (slowed.stage, slowed.stage_before_ms, slowed.stage_after_ms) == ("nms", 0.6, 2.0)
    assert (slowed.rest_before_ms, slowed.rest_after_ms) == pytest.approx((3.6, 5.0))
    drifted = check_prediction(speed(small), speed(faster, rate=1000 / 4.8))
    assert not drifted.holds and not drifted.rest_explains and drifted.serial == pytest.approx(4.8 / 3.8)


def test_what_to_change_first_is_said_and_the_claim_is_judged():
    rows = [
        pipeline_row("base", speed=speed(), baseline=True),
        pipeline_row("base", accuracy="passed", baseline=True),
        pipeline_row("engines", speed=speed({**NAIVE, "detector": 0.1, "image tower": 0.1}), detector="tensorrt-fp16"),
        pipeline_row("fast", speed=speed(FAST, "threads", 2, rate=300), decoder="simplejpeg", preprocessor="fast"),
        pipeline_row("fast", accuracy="passed", decoder="simplejpeg", preprocessor="fast"),
        pipeline_row("wrong", speed=speed(FAST, "threads", 2, rate=900), decoder="opencv", preprocessor="fast"),
        pipeline_row("wrong", accuracy="failed", decoder="opencv", preprocessor="fast"),
    ]
    large, small = compare_pipelines(read_pipelines(rows))
    assert large.claim == HELD and large.best.name.id == "fast-12mp"
    assert large.engines.name.id == "engines-12mp"
    assert large.sentence == (
        "12 MP photos: decoding takes 67\u202f% of the time; change that first (2.88× by the stage times); "
        "with all stages changed: 5.26 → 300 photos a second (57.0×); the engines alone: 1.01×."
    )
    assert small.claim == NOT_MEASURED and small.baseline is None


def test_less_than_twice_as_fast_does_not_hold_the_claim():
    rows = [
        pipeline_row("base", speed=speed(), baseline=True),
        pipeline_row("fast", speed=speed(FAST, rate=1.9 * 1000 / 190), decoder="simplejpeg"),
        pipeline_row("fast", accuracy="passed", decoder="simplejpeg"),
    ]
    assert compare_pipelines(read_pipelines(rows))[0].claim == NOT_HELD


def test_a_pipeline_that_nobody_judged_is_not_the_best():
    rows = [
        pipeline_row("base", speed=speed(), baseline=True),
        pipeline_row("fast", speed=speed(FAST), decoder="simplejpeg"),
    ]
    assert compare_pipelines(read_pipelines(rows))[0].best is None


def test_a_later_row_replaces_an_earlier_one_and_a_broken_value_is_left_out():
    first = pipeline_row("base", speed=speed(rate=1.0), baseline=True)
    second = pipeline_row("base", speed=speed(rate=2.0), baseline=True)
    second["values"]["latency_ms"] = "soon"
    (found,) = read_pipelines([first, second])
    assert found.speed.photos_per_second == 2.0 and found.speed.latency_ms is None


def test_a_decoder_on_a_gpu_is_one_however_many_feed_it_and_of_two_decoders_neither_is_the_limit():
    stages = {"decode": 1.0, "preprocess": 0.7, "detector": 0.3}
    times = msgspec.structs.replace(speed(stages, "threads", workers=2, cores=16, cpu=0.2), decoder_on_gpu=True)
    scarcest = limits(times)[0]
    assert (scarcest.resource, scarcest.photos_per_second) == ("the GPU's decoder", pytest.approx(1000))
    both = msgspec.structs.replace(times, second_decoder=True)
    assert "the GPU's decoder" not in {limit.resource for limit in limits(both)}
