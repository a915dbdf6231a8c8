import json
import re
from pathlib import Path

import pytest

from reports.findings.claims import HELD, NOT_HELD, NOT_MEASURED, PROMISES, UNCLEAR, Claim, claims
from reports.github.job_summary import job_summary
from reports.html.page import render, write_report
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, row, session_row

YOLO_FP16, YOLO_INT8, TOWERS, PIPELINE, FP16, INT8, SIZES, BUILDS = (text for text, _ in PROMISES)
BASELINE, HALF, QUARTER = (case(*name) for name in (("pytorch", "fp32"), ("tensorrt", "fp16"), ("tensorrt", "int8")))
IMAGE, TEXT = (case("tensorrt", "fp16", model=tower) for tower in ("clip-image", "clip-text"))


def run(*answers: Row, **suite: object) -> list[Row]:
    return [session_row(gpu="NVIDIA H200", **suite), *answers, end_row()]


def timed(case: dict, p50: float, ratio: float = 1.0, *, spread: float = 0.004, **values: object) -> list[Row]:
    return [build(case, **values), card_speed(case, p50), accuracy(case, ratio, spread=spread)]


def base(p50: float, model: str = "yolov8n", batch: int = 8) -> list[Row]:
    return timed(case("pytorch", "fp32", model=model, batch=batch), p50)


def said(rows: list[Row], text: str) -> Claim:
    return next(claim for claim in claims(rows) if claim.text == text)


@pytest.mark.parametrize(
    ("p50", "verdict", "why"),
    [
        (10.0, HELD, "At least 3×."),  # 4×
        (5.0, HELD, "More than claimed."),  # 8×
        (16.0, NOT_HELD, "Less than 3×."),  # 2.5×
        (13.3, UNCLEAR, "The interval reaches across 3×."),  # 3.01×, each median ±1 %
        (13.05, UNCLEAR, "Within 3 % of 3×: two runs may differ by as much."),  # 3.07×
        (13.65, UNCLEAR, "Within 3 % of 3×: two runs may differ by as much."),  # 2.93×
    ],
)
def test_a_speed_is_held_against_its_range_by_its_interval(p50: float, verdict: str, why: str):
    claim = said(run(*base(40.0), *timed(HALF, p50)), YOLO_FP16)
    assert (claim.verdict, claim.why) == (verdict, why)
    assert re.match(rf"YOLOv8n · TensorRT FP16 · batch 8: {40 / p50:.2f}× \([\d.]+–[\d.]+\)\.$", claim.found)


def test_an_interval_that_was_not_recorded_is_not_certain():
    speed = card_speed(HALF, 4.0)
    del speed["values"]["latency_ms"]["low"]
    claim = said(run(*base(40.0), build(HALF), speed, accuracy(HALF, 1.0)), YOLO_FP16)
    assert (claim.verdict, claim.why) == (UNCLEAR, "No interval was recorded.")


def test_the_fastest_engine_that_passes_at_the_largest_batch_counts():
    best, failing = case("torch-tensorrt", "fp16"), case("tensorrt-cuda-graph", "fp16")
    small, other = case("tensorrt", "fp16", batch=1), case("onnxruntime-cuda", "fp16")
    rows = run(
        *(*base(40.0), *timed(HALF, 10.0), *timed(best, 9.0), *timed(failing, 2.0, 0.9), *timed(other, 1.0)),
        *(*base(9.0, batch=1), *timed(small, 0.5)),
    )
    assert said(rows, YOLO_FP16).found.startswith("YOLOv8n · Torch-TensorRT FP16 · batch 8: 4.44×")


def test_a_fast_engine_that_fails_its_gate_breaks_the_promise():
    claim = said(run(*base(40.0), *timed(QUARTER, 6.0, 0.93)), YOLO_INT8)
    assert claim.verdict == NOT_HELD and claim.found.endswith("6.67× (6.57–6.76). It fails its gate.")
    assert claim.why == (
        "No engine passes its gate; the fastest keeps 93.0\u202f% (92.6–93.4) of the baseline's mAP50-95."
    )


def test_an_engine_that_is_not_what_its_name_says_measures_nothing():
    lie = row(QUARTER, "build", build(QUARTER)["values"], outcome="failed", reason="of 64 layers none is INT8")
    rows = run(*base(40.0), lie, card_speed(QUARTER, 6.0), accuracy(QUARTER, 1.0))
    for text in (YOLO_INT8, INT8):
        claim = said(rows, text)
        assert (claim.verdict, claim.found) == (NOT_MEASURED, "")
        assert claim.why == "TensorRT: of 64 layers none is INT8."
    assert said(rows, SIZES).verdict == NOT_MEASURED


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([], "No TensorRT engine of it was asked for."),
        ([row(HALF, "matrix", outcome="skipped", reason="no TensorRT")], "Its TensorRT engines did not run"),
        ([row(HALF, "build", outcome="error", reason="out of memory\nat layer 3")], "TensorRT: out of memory."),
        ([build(HALF), card_speed(HALF, 4.0)], "TensorRT: its accuracy was not judged."),
    ],
)
def test_what_was_not_measured_says_why(answers: list[Row], why: str):
    claim = said(run(*base(40.0), *answers), YOLO_FP16)
    assert (claim.verdict, claim.found) == (NOT_MEASURED, "")
    assert claim.why.startswith(why)


def test_without_the_baseline_no_speed_is_known():
    assert said(run(*timed(HALF, 4.0)), YOLO_FP16).why == "TensorRT: PyTorch FP32 was not timed beside it."


def test_an_unsteady_timing_is_told_of():
    rows = run(*base(40.0), build(HALF), card_speed(HALF, 10.0, steady=False), accuracy(HALF, 1.0))
    assert "not steady: take it as rough" in said(rows, YOLO_FP16).why


def test_a_disturbed_baseline_is_told_of():
    baseline = case("pytorch", "fp32")
    rows = run(build(baseline), card_speed(baseline, 40.0, state={"throttled": True}), *timed(HALF, 10.0))
    assert "or while the baseline was timed" in said(rows, YOLO_FP16).why


def test_a_baseline_that_is_not_what_its_name_says_gives_no_speed():
    baseline = case("pytorch", "fp32")
    lie = row(baseline, "build", build(baseline)["values"], outcome="failed", reason="it computes in TF32")
    claim = said(run(lie, card_speed(baseline, 40.0), *timed(HALF, 10.0)), YOLO_FP16)
    assert claim.verdict == NOT_MEASURED


def test_trtexec_builds_with_tensorrt_too():
    claim = said(run(*base(40.0), *timed(case("trtexec", "fp16"), 10.0)), YOLO_FP16)
    assert claim.verdict == HELD and "trtexec FP16" in claim.found


def test_both_towers_must_hold():
    towers = [*base(6.0, "clip-image"), *timed(IMAGE, 3.5), *base(4.0, "clip-text")]
    assert said(run(*towers, *timed(TEXT, 2.3)), TOWERS).verdict == HELD
    slow = said(run(*towers, *timed(TEXT, 3.5)), TOWERS)
    assert slow.verdict == NOT_HELD
    assert slow.why == "CLIP image: At least 1.5×. CLIP text: Less than 1.5×."
    lacking = said(run(*towers), TOWERS)
    assert lacking.verdict == NOT_MEASURED and "CLIP text: No TensorRT engine" in lacking.why


def test_the_pipeline_is_the_ratio_of_the_sums_of_the_medians():
    rows = run(*base(6.0, "clip-image"), *timed(IMAGE, 2.0), *base(4.0, "clip-text"), *timed(TEXT, 2.0))
    claim = said(rows, PIPELINE)
    # 10 ms over 4 ms. The medians are known to ±1 %: the sums to √(6² + 4²) / 10 and √(2² + 2²) / 4 %, together
    # to √(0.721² + 0.707²) = 1.01 %.
    assert claim.verdict == HELD
    assert "batch 8: 2.50× (2.47–2.53), 10.0 ms became 4.00 ms." in claim.found


def test_the_pipeline_needs_one_batch_of_both_towers():
    text = case("tensorrt", "fp16", model="clip-text", batch=1)
    rows = run(*base(6.0, "clip-image"), *timed(IMAGE, 2.0), *base(4.0, "clip-text", 1), *timed(text, 2.0))
    assert said(rows, PIPELINE).why == "No batch was timed of both towers."
    half = run(*base(6.0, "clip-image"), *timed(IMAGE, 2.0))
    assert said(half, PIPELINE).why == "No TensorRT engine of it was asked for."


@pytest.mark.parametrize(
    ("text", "engine", "ratio", "verdict"),
    [
        (FP16, HALF, 0.9899, HELD),
        (FP16, HALF, 0.9855, UNCLEAR),
        (FP16, HALF, 0.9805, NOT_HELD),
        (INT8, QUARTER, 0.99, HELD),
        (INT8, QUARTER, 0.965, HELD),
        (INT8, QUARTER, 0.951, UNCLEAR),
        (INT8, QUARTER, 0.94, NOT_HELD),
    ],
)
def test_accuracy_is_held_against_its_bound(text: str, engine: Row, ratio: float, verdict: str):
    claim = said(run(*base(40.0), *timed(engine, 10.0, ratio)), text)
    assert claim.verdict == verdict
    assert "of mAP50-95." in claim.found


def test_the_worst_model_decides_accuracy_and_an_unjudged_one_is_named():
    rows = run(*base(40.0), *timed(HALF, 9.0, 0.999), *timed(IMAGE, 9.0, 0.9), build(TEXT), card_speed(TEXT, 1.0))
    claim = said(rows, FP16)
    assert claim.verdict == NOT_HELD
    assert "YOLOv8n: At least 98.5 %. CLIP image: Less than 98.5 %." in claim.why
    assert claim.why.endswith("Not judged: CLIP text.")


def test_sizes_and_builds_are_promises_about_every_engine():
    small = case("tensorrt", "fp16", batch=1)
    file = {"size_bytes": 10_000_000, "weights_bytes": 4_000_000, "build_seconds": 45.0, "engine": "one for both"}
    other = {"size_bytes": 6_000_000, "weights_bytes": 4_000_000, "build_seconds": 300.0, "cached": True}
    rows = run(*base(40.0), build(HALF, **file), build(small, **file), build(QUARTER, **other))
    rows[0]["settings"]["trt_level"] = 3
    size, took = said(rows, SIZES), said(rows, BUILDS)
    assert (size.verdict, size.why) == (HELD, "Smaller than claimed (below 2×): 1 of 2.")
    assert size.found.startswith("1.50× (YOLOv8n · TensorRT INT8 · batch 8) to ")
    assert took.verdict == NOT_HELD
    assert took.why.startswith("Slower than claimed (above 60 s): 1 of 2. The builder's level was 3. 1 came from the")


def test_a_build_that_found_timings_of_earlier_ones_holds_no_promise():
    warm = {"build_seconds": 40.0, "known_timings_bytes": 282_000}
    alone = said(run(*base(40.0), build(HALF, **warm)), BUILDS)
    assert alone.verdict == NOT_MEASURED and "none was a first one" in alone.why
    both = said(run(*base(40.0), build(HALF, **warm), build(QUARTER, build_seconds=300.0)), BUILDS)
    assert both.verdict == NOT_HELD and "Not counted: 1 that found" in both.why and "1 of 1" in both.why


def test_a_run_on_a_cpu_measures_none():
    rows = [session_row(), *base(40.0), *timed(HALF, 4.0), end_row()]
    assert {claim.verdict for claim in claims(rows)} == {NOT_MEASURED}
    assert said(rows, SIZES).why.endswith("Measured on a CPU: this tells nothing about a GPU.")
    assert "This run measured none of them." in render(rows)
    assert "Claims" not in job_summary(rows)


def test_page_data_and_job_summary_tell_the_claims(tmp_path: Path):
    rows = run(*base(40.0), *timed(HALF, 10.0), *timed(QUARTER, 9.0))
    html = render(rows)
    for claim in claims(rows):
        assert f"{claim.text}." in html and claim.found in html
    assert 'class="level fail">Not held<' in html and 'class="level ok">Held<' in html
    write_report(rows, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["claims"][0]["verdict"] == HELD
    page = job_summary(rows)
    assert f"| {YOLO_FP16} | **held** | YOLOv8n · TensorRT FP16 · batch 8: 4.00×" in page
    assert "Not measured in this run: 2 promises" in page


def test_a_promise_about_clip_says_that_its_images_were_generated():
    bases = [base(40.0, model=tower)[place] for tower in ("clip-image", "clip-text") for place in range(3)]
    rows = run(*bases, *timed(IMAGE, 25.0), *timed(TEXT, 25.0), **{"zero-shot data": {"name": "shapes"}})
    assert "mAP50 on generated images." in said(rows, FP16).found
    assert "Accuracy was judged on generated images." in said(rows, TOWERS).why
    assert said(rows, PIPELINE).why.count("generated images") == 1
    real = run(*bases, *timed(IMAGE, 25.0), *timed(TEXT, 25.0), **{"zero-shot data": {"name": "crops"}})
    assert not any("generated" in claim.found + claim.why for claim in claims(real))
