"""One sentence a model: what is to be shipped, in which batch, and how certain it is."""

import pytest

from reports.analysis.answer import ModelAnswer, answers, as_data, status
from reports.analysis.cases import summarize
from reports.analysis.certainty import BASELINE, CERTAIN, FAILS, LIKELY, NOT_JUDGED
from reports.findings.reading import read
from reports.html.case_details_gpu import callers_words
from reports.record.schema import Row
from tests.helpers.rows import accuracy, answered, build, case, end_row, row, session_row, speed

BASE, FAST, INT8 = case("pytorch", "fp32"), case("tensorrt", "fp16"), case("tensorrt-cuda-graph", "int8")


def _one(*rows: Row) -> ModelAnswer:
    (answer,) = answers([session_row(), *rows, end_row()])
    return answer


def _told(case: Row, p50: float, ratio: float = 1.0, spread: float = 0.008, **values: object) -> list[Row]:
    return [build(case), speed(case, p50, **values), accuracy(case, ratio, spread=spread)]


def test_a_sentence_names_engine_speed_batch_and_accuracy() -> None:
    answer = _one(*answered(BASE, 80.0), *answered(FAST, 20.0), *answered(INT8, 10.0, 0.995))
    assert answer.sentence == (
        "YOLOv8n: ship TensorRT INT8 + CUDA graph: 800 img/s at batch 8, 8.00× as fast as PyTorch FP32, "
        "keeps 99.5\u202f% of its mAP50-95."
    )
    assert answer.throughput.accuracy == CERTAIN
    assert answer.throughput.runner_up is not None and answer.throughput.runner_up.id == FAST["id"]
    assert answer.latency is None


def test_an_interval_below_the_gate_makes_the_accuracy_likely() -> None:
    answer = _one(*answered(BASE, 80.0), *_told(FAST, 20.0, 0.99, spread=0.02))
    assert answer.throughput.accuracy == LIKELY
    assert answer.sentence.endswith("; more images would make the accuracy certain.")


def test_the_fastest_of_those_that_pass_is_told_and_not_the_fastest() -> None:
    answer = _one(*answered(BASE, 80.0), *answered(FAST, 20.0), *answered(INT8, 10.0, 0.9))
    assert answer.throughput.shown.id == FAST["id"]


def test_throughput_takes_the_batch_with_the_most_images_and_latency_batch_1() -> None:
    rows: list[Row] = []
    for batch, p50 in ((1, 5.0), (8, 20.0), (32, 100.0)):
        rows += [
            *answered(case("pytorch", "fp32", batch=batch), 4 * p50),
            *answered(case("tensorrt", "fp16", batch=batch), p50),
        ]
    answer = _one(*rows)
    assert answer.throughput.batch == 8 and answer.latency is not None and answer.latency.batch == 1
    assert not answer.same_batch
    assert answer.sentence.endswith("; for one image at a time the same, 5.00\u202fms.")
    assert [choice.batch for choice in answer.choices] == [1, 8, 32]


def test_of_batches_as_fast_as_each_other_the_smallest_counts() -> None:
    rows: list[Row] = []
    for batch, p50 in ((8, 20.0), (32, 79.0)):
        rows += [
            *answered(case("pytorch", "fp32", batch=batch), 4 * p50),
            *answered(case("tensorrt", "fp16", batch=batch), p50),
        ]
    assert _one(*rows).throughput.batch == 8


def test_another_engine_for_one_image_at_a_time_is_named() -> None:
    one, other = case("pytorch", "fp32", batch=1), case("torch-compile", "fp32", batch=1)
    answer = _one(*answered(BASE, 80.0), *answered(FAST, 20.0), *answered(one, 10.0), *answered(other, 8.0))
    assert "; for one image at a time torch.compile FP32, 8.00\u202fms." in answer.sentence


def test_only_batch_1_is_both() -> None:
    one, fast = case("pytorch", "fp32", batch=1), case("tensorrt", "fp16", batch=1)
    answer = _one(*answered(one, 10.0), *answered(fast, 2.0))
    assert answer.same_batch and "one image at a time" not in answer.sentence


def test_a_tie_names_both() -> None:
    other = case("trtexec", "fp16")
    answer = _one(*answered(BASE, 80.0), *answered(FAST, 20.0), *answered(other, 20.1))
    assert "ship TensorRT FP16 or trtexec FP16 (equally fast): 400 img/s" in answer.sentence


def test_nothing_faster_than_the_baseline_is_said() -> None:
    answer = _one(*answered(BASE, 10.0), *answered(FAST, 20.0))
    assert answer.sentence == "YOLOv8n: nothing that passes is faster than PyTorch FP32 itself: 800 img/s at batch 8."
    assert answer.throughput.accuracy == BASELINE


def test_without_anything_that_passes_there_is_no_recommendation() -> None:
    wrong = [build(BASE), speed(BASE, 80.0), row(BASE, "accuracy", outcome="failed", reason="no boxes")]
    answer = _one(*wrong, *answered(FAST, 20.0, 0.9))
    assert answer.throughput.ship == () and answer.throughput.accuracy == FAILS
    assert answer.sentence.startswith("YOLOv8n: no recommendation, nothing passes; measured TensorRT FP16: 400 img/s")


def test_without_a_judged_accuracy_there_is_no_recommendation() -> None:
    answer = _one(build(BASE), speed(BASE, 80.0), build(FAST), speed(FAST, 20.0))
    assert answer.throughput.accuracy == NOT_JUDGED
    assert "no recommendation, accuracy was not judged; measured TensorRT FP16: 400 img/s at batch 8" in answer.sentence


@pytest.mark.parametrize(
    ("base", "fast", "words"),
    [
        ({}, {"steady": False}, "its timing is rough, run it again"),
        ({"steady": False}, {}, "the speed-up is rough"),
    ],
)
def test_a_rough_timing_is_told_in_the_sentence(base: dict[str, bool], fast: dict[str, bool], words: str) -> None:
    assert words in _one(*_told(BASE, 80.0, **base), *_told(FAST, 20.0, **fast)).sentence


def test_a_backend_without_a_name_here_keeps_its_own() -> None:
    assert "ship openvino FP16: " in _one(*answered(BASE, 80.0), *answered(case("openvino", "fp16"), 20.0)).sentence


def test_the_data_have_the_figures_of_the_sentence() -> None:
    (answer,) = as_data([_one(*answered(BASE, 80.0), *answered(FAST, 20.0, 0.995))])
    assert answer["throughput"] == {
        "batch": 8, "case_ids": [FAST["id"]], "images_per_second": 400.0, "ms_per_image": 2.5, "speedup": 4.0,
        "accuracy": CERTAIN, "rough": False,
    }  # fmt: skip
    assert answer["latency"] is None


def test_nothing_timed_has_no_answer() -> None:
    assert answers([session_row(), end_row()]) == []


def test_the_status_counts_each_case_once_by_what_broke_it() -> None:
    crash = row(case("torch-compile", "fp16"), "build", outcome="error", reason="no compiler")
    lie = [
        row(case("trtexec", "int8"), "build", outcome="failed", reason="none of its layers"),
        speed(case("trtexec", "int8"), 5.0),
    ]
    rows = [session_row(), *answered(BASE, 80.0), *answered(FAST, 20.0, 0.9), crash, *lie, end_row()]
    answer = status(summarize(rows), 0.98, worse=1, finished=True)
    assert answer.words == ("1 failed the gate", "1 cannot be trusted", "1 crashed", "1 became worse")
    assert answer.ran == 4 and answer.judged == 2


def test_a_run_without_its_end_did_not_finish() -> None:
    assert read([session_row(), *answered(BASE, 80.0)]).status.words == ("the run did not finish",)


def test_a_run_in_which_all_is_well_has_one_good_line() -> None:
    assert read([session_row(), *answered(BASE, 80.0), end_row()]).status.all_well == "All 1 case passed"
    assert read([session_row(), end_row()]).status.all_well == "Nothing was measured"
    assert read([session_row(), build(BASE), speed(BASE, 80.0), end_row()]).status.all_well == "1 case measured"


def _streams(case: Row, streams: int) -> Row:
    return case | {"id": f"{case['id']}-s{streams}", "streams": streams}


def test_several_streams_compete_for_throughput_against_the_baseline_of_one_caller() -> None:
    several = _streams(FAST, 2)
    answer = _one(
        *answered(BASE, 80.0), *answered(_streams(BASE, 2), 40.0), *answered(FAST, 20.0), *_told(several, 16.0)
    )
    assert [case.id for case in answer.throughput.ship] == [several["id"]]
    assert "ship TensorRT FP16, 2 streams: 500 img/s at batch 8, 5.00× as fast as PyTorch FP32" in answer.sentence


def test_one_image_at_a_time_is_a_matter_of_one_caller() -> None:
    alone, base = case("tensorrt", "fp16", batch=1), case("pytorch", "fp32", batch=1)
    answer = _one(*answered(base, 20.0), *answered(alone, 5.0), *answered(_streams(alone, 4), 2.0))
    assert answer.latency is not None
    assert [case.id for case in answer.latency.ship] == [alone["id"]]


def test_what_uses_more_memory_than_the_limit_is_not_recommended() -> None:
    session = session_row() | {"settings": session_row()["settings"] | {"memory_limit_bytes": 11e9}}

    def with_memory(case: Row, p50: float, gigabytes: float | None) -> list[Row]:
        card = {"samples": 5, "memory_peak_bytes": gigabytes and gigabytes * 1e9}
        return [build(case), speed(case, p50, card=card), accuracy(case, 1.0)]

    rows = [*with_memory(BASE, 80.0, 1.0), *with_memory(FAST, 20.0, 10.9), *with_memory(INT8, 10.0, 13.1)]
    (answer,) = answers([session, *rows, end_row()])
    assert [case.id for case in answer.throughput.ship] == [FAST["id"]]
    assert "uses 13.1 GB of GPU memory, more than the limit of 11 GB" in answer.throughput.choice.text
    (unlimited,) = answers([session_row(), *rows, end_row()])
    assert [case.id for case in unlimited.throughput.ship] == [INT8["id"]]
    unknown = [*with_memory(BASE, 80.0, 1.0), *with_memory(INT8, 10.0, None)]
    (answer,) = answers([session, *unknown, end_row()])
    assert INT8["id"] not in [case.id for case in answer.throughput.ship]


def test_what_a_batch_takes_while_others_are_served_stands_in_the_details() -> None:
    several = _streams(FAST, 2)
    under_load = {"p50": 31.0, "p25": 30.0, "p75": 32.0, "p99": 40.0}
    rows = [
        *answered(BASE, 80.0),
        build(several),
        speed(several, 16.0, under_load_ms=under_load),
        accuracy(several, 1.0),
    ]
    (answer,) = (each for each in summarize([session_row(), *rows]) if each.streams == 2)
    assert callers_words(answer) == (
        "With 2 callers at the same time half of the batches take 31.0\u202fms or less, 99 of 100 within 40.0\u202fms. "
        "Images a second are those of all callers together."
    )
    assert callers_words(next(each for each in summarize([session_row(), *rows]) if each.streams == 1)) == ""
