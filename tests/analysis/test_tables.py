import math
import random

import pandas as pd
import pytest

from reports.analysis.cases import summarize
from reports.analysis.tables import COLUMNS, build_metric_table, build_table, layers_text, records
from reports.record.ratio import speed_ratio
from reports.record.results import Latency
from tests.helpers.rows import accuracy, answered, build, card_speed, case, metric, row, session_row, speed

BASELINE = case("pytorch", "fp32")
INT8 = case("onnxruntime", "int8")


def _line(rows: list[dict], case_id: str) -> dict:
    return {line["case"]: line for line in records(build_table(rows))}[case_id]


def test_one_line_a_case_with_the_promised_columns_and_types() -> None:
    table = build_table([session_row(), *answered(BASELINE, 80.0), *answered(INT8, 40.0, 0.99)])
    assert list(table["case"]) == [BASELINE["id"], INT8["id"]]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS


def test_an_empty_session_gives_an_empty_table_with_all_columns() -> None:
    table = build_table([session_row()])
    assert table.empty
    assert list(table.columns) == list(COLUMNS)


def test_speedup_is_the_ratio_of_the_medians_with_both_intervals_in_quadrature() -> None:
    rows = [session_row(), speed(BASELINE, 80.0, spread=0.03), speed(INT8, 40.0, spread=0.04)]
    line = _line(rows, INT8["id"])
    assert line["speedup"] == pytest.approx(2.0)
    assert line["speedup_low"] == pytest.approx(2.0 * (1 - 0.05))
    assert line["speedup_high"] == pytest.approx(2.0 * (1 + 0.05))


def test_each_side_of_the_speedup_uses_the_half_widths_that_push_it_there() -> None:
    skewed = Latency(10.0, 9.9, 11.0, None, None, None, "host clock")
    exact = Latency(20.0, 20.0, 20.0, None, None, None, "host clock")
    ratio = speed_ratio(skewed, exact)
    assert ratio is not None and ratio.low is not None and ratio.high is not None
    assert (ratio.low, ratio.high) == pytest.approx((2.0 * 0.9, 2.0 * 1.01))


def test_the_quadrature_interval_covers_the_true_ratio_of_two_noisy_medians() -> None:
    # 95 % intervals of two independent normal estimates: the combined one must cover in about 95 % of trials.
    rng, covered, trials = random.Random(7), 0, 2000
    for _ in range(trials):
        a, b = rng.gauss(40.0, 0.4), rng.gauss(80.0, 1.2)
        one = Latency(a, a - 1.96 * 0.4, a + 1.96 * 0.4, None, None, None, "host clock")
        two = Latency(b, b - 1.96 * 1.2, b + 1.96 * 1.2, None, None, None, "host clock")
        ratio = speed_ratio(one, two)
        assert ratio is not None and ratio.low is not None and ratio.high is not None
        covered += ratio.low <= 2.0 <= ratio.high
    assert 0.93 < covered / trials < 0.97


def test_the_baseline_is_one_by_definition() -> None:
    line = _line([session_row(), speed(BASELINE, 80.0)], BASELINE["id"])
    assert (line["speedup"], line["speedup_low"], line["speedup_high"]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("other", [case("pytorch", "fp32", batch=1), case("pytorch", "fp32", model="clip-image")])
def test_another_batch_or_model_is_no_baseline(other: dict) -> None:
    assert _line([session_row(), speed(other, 80.0), speed(INT8, 40.0)], INT8["id"])["speedup"] is None


def test_host_times_are_never_divided_by_device_times() -> None:
    rows = [session_row(), speed(BASELINE, 80.0), speed(INT8, 40.0, instrument="CUDA events")]
    line = _line(rows, INT8["id"])
    assert line["speedup"] is None
    assert "timed by CUDA events, the baseline by host clock" in line["problem"]


def test_the_speedup_on_a_card_is_of_device_times_with_the_end_to_end_latency_beside_it() -> None:
    line = _line([session_row(gpu="x"), card_speed(BASELINE, 4.0), card_speed(INT8, 1.0)], INT8["id"])
    assert line["speedup"] == pytest.approx(4.0)  # end-to-end it would be 4.5 / 1.5 = 3
    assert (line["quantity"], line["images_per_second"]) == ("device time", 8000.0)
    assert (line["p50_ms"], line["end_to_end_p50_ms"]) == (1.0, 1.5)


def test_what_a_card_adds_stands_in_columns_of_its_own() -> None:
    state = {"throttled": True, "foreign": "1 process beside ours"}
    values = {"energy": {"joules_per_image": 0.0123, "mean_power_w": 323.4}, "throttled_retries": 1}
    line = _line([session_row(gpu="x"), card_speed(INT8, 1.0, state=state, **values)], INT8["id"])
    assert line["energy_mj_per_image"] == pytest.approx(12.3)
    assert (line["memory_peak_bytes"], line["share_of_peak"]) == (917_569_536, 0.0163)
    assert (line["sm_clock_mhz"], line["temperature_max_c"], line["energy_pass_power_w"]) == (1980.0, 46.0, 323.4)
    assert (line["throttled"], line["throttled_repeats"]) == (True, 1)
    assert line["foreign_processes"] == "1 process beside ours"


def test_a_cpu_leaves_the_columns_of_a_card_empty() -> None:
    line = _line([session_row(), speed(INT8, 40.0)], INT8["id"])
    of_a_card = ("end_to_end_p50_ms", "memory_peak_bytes", "energy_mj_per_image", "share_of_peak", "throttled")
    assert [line[name] for name in of_a_card] == [None] * 5
    assert line["quantity"] == "end-to-end latency"


@pytest.mark.parametrize("question", ["build", "speed"])
def test_the_gate_fails_where_the_engine_or_its_reading_is_refuted(question: str) -> None:
    rows = [build(INT8), speed(INT8, 40.0), accuracy(INT8, 1.0)]
    for each in rows:
        if each["question"] == question:
            each |= {"outcome": "failed", "reason": "it is not what it should be"}
    line = _line([session_row(), *rows], INT8["id"])
    assert (line["gate"], line["status"]) == ("fail", "failed")
    assert line["reason"] == f"{question} failed: it is not what it should be"


def test_a_reading_above_the_peak_is_not_believed_as_a_pass() -> None:
    rows = [session_row(gpu="x"), build(INT8), card_speed(INT8, 1.0, share_of_peak=1.3), accuracy(INT8, 1.0)]
    assert "its reading is 1.30 of the card's peak" in _line(rows, INT8["id"])["problem"]


def test_a_later_row_for_the_same_question_replaces_the_earlier_one() -> None:
    rows = [session_row(), speed(INT8, 40.0), speed(INT8, 50.0)]
    assert _line(rows, INT8["id"])["p50_ms"] == 50.0
    assert len(build_table(rows)) == 1


def test_only_the_last_session_of_a_record_is_shown() -> None:
    rows = [session_row(), *answered(BASELINE, 80.0), session_row(), *answered(INT8, 40.0)]
    assert list(build_table(rows)["case"]) == [INT8["id"]]


def test_the_metric_shown_is_the_gated_one_with_the_worst_ratio() -> None:
    metrics = [metric("top-1", 0.99), metric("agreement", 0.985), metric("cosine", 0.5, gated=False)]
    rows = [session_row(), accuracy(INT8, 1.0, metrics=metrics)]
    line = _line(rows, INT8["id"])
    assert (line["metric"], line["accuracy_ratio"]) == ("agreement", 0.985)
    assert list(build_metric_table(rows)["metric"]) == ["top-1", "agreement", "cosine"]


@pytest.mark.parametrize(
    ("rows", "gate", "status"),
    [
        ([accuracy(INT8, 0.99)], "pass", "passed"),
        ([accuracy(INT8, 0.93)], "fail", "failed"),
        ([accuracy(INT8, 0.99, outcome="failed", reason="worst class")], "fail", "failed"),
        ([accuracy(INT8, 0.99, judged=False, reason="not judged: untrained weights")], "not judged", "passed"),
        ([row(INT8, "accuracy", outcome="skipped", reason="no labels")], "not judged", "skipped"),
        ([row(INT8, "accuracy", outcome="error", reason="out of memory")], "error", "error"),
        ([accuracy(INT8, 0.99), row(INT8, "speed", outcome="error", reason="killed")], "error", "error"),
        ([accuracy(INT8, 0.93), row(INT8, "speed", outcome="error", reason="killed")], "fail", "error"),
        ([speed(INT8, 40.0)], "–", "passed"),
        ([row(INT8, "matrix", outcome="skipped", reason="no GPU")], "–", "skipped"),
    ],
)
def test_gate_and_status(rows: list[dict], gate: str, status: str) -> None:
    line = _line([session_row(), *rows], INT8["id"])
    assert (line["gate"], line["status"]) == (gate, status)


def test_a_pass_is_not_believed_beside_a_ratio_that_fails() -> None:
    line = _line([session_row(), accuracy(INT8, 0.93, outcome="passed")], INT8["id"])
    assert (line["gate"], line["status"]) == ("fail", "failed")
    assert "recorded as passed, but the ratio of mAP50-95 is 0.9300" in line["problem"]


def test_judged_without_a_gated_metric_is_not_a_pass() -> None:
    line = _line([session_row(), accuracy(INT8, 1.0, metrics=[])], INT8["id"])
    assert line["gate"] == "not judged"
    assert "no gated metric" in line["problem"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("accuracy", "scored engine is not the timed engine"),
        ("speed", "scored engine is not the timed engine; timed engine is not the built engine"),
        ("build", "timed engine is not the built engine"),
    ],
)
def test_another_engine_than_the_timed_one_is_a_problem(changed: str, message: str) -> None:
    rows = answered(INT8, 40.0)
    for each in rows:
        if each["question"] == changed:
            each["values"]["engine_sha256"] = "another"
    assert _line([session_row(), *rows], INT8["id"])["problem"] == message


def test_a_scored_engine_is_compared_with_the_built_one_where_none_was_timed() -> None:
    rows = [session_row(), build(INT8), accuracy(INT8, 0.99, engine="another")]
    assert _line(rows, INT8["id"])["problem"] == "scored engine is not the built engine"


def test_a_missing_hash_is_a_problem_when_the_other_is_known() -> None:
    rows = [session_row(), speed(INT8, 40.0, engine_sha256=None), accuracy(INT8, 0.99)]
    assert "one of their hashes is missing" in _line(rows, INT8["id"])["problem"]


def test_equal_engines_are_no_problem() -> None:
    assert _line([session_row(), *answered(INT8, 40.0)], INT8["id"])["problem"] is None


def test_sizes_layers_and_reasons() -> None:
    rows = [
        session_row(),
        build(INT8, size_bytes=3_000_000, weights_bytes=12_000_000, layers={"fp32": 7, "int8": 57}),
        row(INT8, "speed", outcome="error", reason="killed by signal 9"),
    ]
    line = _line(rows, INT8["id"])
    assert line["size_ratio"] == 0.25
    assert line["layers"] == "57 INT8 + 7 FP32"
    assert line["reason"] == "speed error: killed by signal 9"
    assert layers_text({}) is None


def test_values_of_a_wrong_type_are_missing_not_a_crash() -> None:
    wrong = {"images_per_second": "fast", "latency_ms": [1], "steady": "yes", "samples": None}
    line = _line([session_row(), row(INT8, "speed", wrong)], INT8["id"])
    assert [line[key] for key in ("images_per_second", "p50_ms", "steady", "samples")] == [None] * 4


def test_cases_are_ordered_by_model_and_batch() -> None:
    cases = [case("pytorch", "fp32", model=model, batch=batch) for model in ("yolov8n", "clip") for batch in (8, 1)]
    rows = [session_row(), *(speed(each, 10.0) for each in cases)]
    table = build_table(rows)
    assert list(zip(table["model"], table["batch"], strict=True)) == [
        ("yolov8n", 1),
        ("yolov8n", 8),
        ("clip", 1),
        ("clip", 8),
    ]


def test_records_hold_plain_python_values() -> None:
    line = _line([session_row(), *answered(INT8, 40.0)], INT8["id"])
    assert type(line["batch"]) is int and type(line["steady"]) is bool and line["p99_ms"] is None
    assert not any(value is pd.NA or (isinstance(value, float) and math.isnan(value)) for value in line.values())


def test_the_summary_names_an_engine_by_backend_and_precision() -> None:
    assert summarize([session_row(), speed(INT8, 1.0)])[0].name == "ONNX Runtime INT8"


def test_of_equal_ratios_the_least_certain_one_is_shown() -> None:
    """Agreement and top-1 tie at 1: the interval that decides is the wider one."""
    tied = [metric("agreement", 1.0, spread=0.004), metric("top-1", 1.0, spread=0.021)]
    line = _line([session_row(), accuracy(INT8, 1.0, metrics=tied)], INT8["id"])
    assert (line["metric"], line["accuracy_low"]) == ("top-1", pytest.approx(0.979))
