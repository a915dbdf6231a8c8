import json

import pytest

from fixtures import ROOT
from reports.analysis.exit_status import exit_status
from reports.analysis.recommendation import Recommendation, recommend
from reports.findings.base import LEVELS, Code, Finding
from reports.findings.run import find
from reports.record.schema import Status
from reports.record.store import read_rows
from tests.findings.verdict import GOLDEN, lines, runs
from tests.helpers.rows import accuracy, answered, build, card_speed, case, end_row, metric, row, session_row, speed

BASELINE = case("pytorch", "fp32")
ORT = case("onnxruntime", "fp32")
FP16 = case("onnxruntime", "fp16")
INT8 = case("onnxruntime", "int8")
GOOD = [session_row(), *answered(BASELINE, 80.0), *answered(ORT, 50.0), end_row()]


def _found(rows: list[dict], level: str = "") -> list[Finding]:
    return [finding for finding in find(rows) if not level or finding.level == level]


def _codes(rows: list[dict], level: str = "") -> list[Code]:
    return [finding.code for finding in _found(rows, level)]


def _one(rows: list[dict], code: Code) -> Finding:
    (finding,) = (finding for finding in find(rows) if finding.code == code)
    return finding


def _session(*rows: dict, exit_status: int = 0) -> list[dict]:
    return [session_row(), *answered(BASELINE, 80.0), *rows, end_row(exit_status)]


def _choice(rows: list[dict]) -> Recommendation:
    (choice,) = recommend(rows)
    return choice


def test_the_wording_of_every_finding_is_pinned_here_alone() -> None:
    """`python -m tests.findings.verdict` writes the file again."""
    assert lines() == GOLDEN.read_text(encoding="utf-8")


def test_every_code_is_in_the_golden_file() -> None:
    assert {finding.code for found in runs().values() for finding in found} == set(Code)


def test_codes_levels_and_places_are_what_a_report_reads() -> None:
    """report.json has them as plain words."""
    for finding in find(_session(*answered(INT8, 30.0, 0.93))):
        assert json.loads(json.dumps(finding.to_dict()))["code"] == str(finding.code)
        assert finding.level in LEVELS and finding.text == finding.to_dict()["text"]


def test_a_good_run_is_one_green_line() -> None:
    (finding,) = find(GOOD)
    assert (finding.code, finding.level, finding.data["judged"]) == (Code.RUN_NOTHING_FAILED, "ok", 2)


def test_a_failed_gate_says_what_is_kept_and_what_is_asked() -> None:
    rows = _session(*answered(INT8, 30.0, 0.934), exit_status=1)
    assert _codes(rows, "fail") == [Code.GATE_FAILED] and not _found(rows, "ok")
    finding = _one(rows, Code.GATE_FAILED)
    assert finding.cases == (INT8["id"],) and finding.where == "YOLOv8n · ONNX Runtime INT8 · batch 8"
    assert finding.data == {
        "metric": "mAP50-95",
        "ratio": 0.934, "low": pytest.approx(0.926), "high": pytest.approx(0.942), "least": pytest.approx(0.98)
    }  # fmt: skip


def test_a_gate_that_failed_for_another_reason_than_the_ratio_gives_that_reason() -> None:
    failed = accuracy(INT8, 0.99, outcome="failed", reason="class 3 lost everything")
    assert (
        "class 3 lost everything" in _one(_session(build(INT8), speed(INT8, 30.0), failed), Code.GATE_FAILED).sentence
    )


def test_the_gate_of_the_session_is_the_one_that_was_asked_for() -> None:
    rows = _session(*answered(INT8, 30.0, 0.97))
    rows[0]["settings"]["tolerance"] = 0.05
    rows[-2]["outcome"] = "passed"
    assert not _found(rows, "fail")
    assert _one(rows, Code.RUN_NOTHING_FAILED).data["least"] == pytest.approx(0.95)


def test_an_error_is_named_with_the_first_line_of_what_happened() -> None:
    crash = row(INT8, "speed", outcome="error", reason="RuntimeError: out of memory\n  at line 7")
    rows = _session(build(INT8), crash)
    assert _codes(rows, "fail") == [Code.STAGE_ERROR]
    finding = _one(rows, Code.STAGE_ERROR)
    assert finding.data == {"stage": "speed", "reason": "RuntimeError: out of memory"}
    assert finding.cases == (INT8["id"],)


def test_a_regression_night_and_one_with_nothing_to_run_say_so_and_nothing_else_of_the_status() -> None:
    rows = [*_session(*answered(ORT, 50.0))[:-1], end_row(7)]
    assert not _found(rows, "fail") and Code.RUN_SLOWER in _codes(rows, "info")
    idle = [session_row(), row(ORT, "matrix", outcome="skipped", reason="no ONNX Runtime"), end_row(5)]
    assert _codes(idle, "fail") == [Code.MATRIX_NOTHING_RUNS]


def test_another_scored_engine_than_the_timed_one_is_a_failure() -> None:
    rows = _session(build(INT8), speed(INT8, 30.0), accuracy(INT8, 0.99, engine="another"))
    assert exit_status(rows) == Status.GATE_FAILED
    assert _codes(rows, "fail") == [Code.RECORD_INCONSISTENT]
    assert _one(rows, Code.RECORD_INCONSISTENT).cases == (INT8["id"],)


def test_values_that_cannot_be_read_are_told_with_their_place_and_are_no_failure() -> None:
    rows = _session(build(INT8, size_bytes="big", layers=[1]), speed(INT8, 30.0), accuracy(INT8, 0.99))
    assert _codes(rows, "warn") == [Code.RECORD_DAMAGED] and not _found(rows, "fail")
    finding = _one(rows, Code.RECORD_DAMAGED)
    assert (finding.cases, finding.data) == ((INT8["id"],), {"count": 2})
    assert "build size_bytes: " in finding.sentence and "build layers: " in finding.sentence


def test_a_precision_that_did_not_pay_is_said_plainly() -> None:
    rows = _session(*answered(ORT, 50.0), *answered(INT8, 80.6, 0.99))
    assert _codes(rows, "warn") == [Code.PRECISION_SLOWER]
    finding = _one(rows, Code.PRECISION_SLOWER)
    assert finding.data == {INT8["id"]: pytest.approx(50 / 80.6)} and "the same engine's FP32" in finding.text


def test_a_precision_is_compared_with_the_baseline_where_its_backend_has_no_fp32() -> None:
    finding = _one(_session(*answered(INT8, 100.0, 0.99)), Code.PRECISION_SLOWER)
    assert finding.data == {INT8["id"]: pytest.approx(0.8)} and "PyTorch FP32" in finding.text


def test_a_precision_within_the_noise_is_neither_slower_nor_faster() -> None:
    rows = _session(*answered(INT8, 80.2, 0.99))
    assert not _found(rows, "warn")
    finding = _one(rows, Code.PRECISION_NO_CLEAR_GAIN)
    assert (finding.cases, finding.data["against"]) == ((INT8["id"],), "PyTorch FP32")


def test_a_gain_that_is_not_clear_says_over_what_even_where_the_baseline_is_far_behind() -> None:
    """1.6 times as fast as the baseline, and hardly faster than the same engine's FP32."""
    finding = _one(_session(*answered(ORT, 50.0), *answered(FP16, 49.5, 0.99)), Code.PRECISION_NO_CLEAR_GAIN)
    assert (finding.cases, finding.data["against"]) == ((FP16["id"],), "the same engine's FP32")


@pytest.mark.parametrize("rough", ["case", "reference"])
def test_a_precision_whose_timing_is_rough_is_not_said_to_be_slower(rough: str) -> None:
    spreads = {"case": (0.01, 0.04), "reference": (0.04, 0.01)}[rough]
    timed = [
        speed(each, p50, spread=spread) for each, p50, spread in zip((ORT, INT8), (50.0, 70.0), spreads, strict=True)
    ]
    rows = _session(build(ORT), build(INT8), *timed, accuracy(INT8, 0.99), accuracy(ORT, 1.0))
    assert Code.PRECISION_SLOWER not in _codes(rows)
    assert _one(rows, Code.PRECISION_NO_CLEAR_GAIN).cases == (INT8["id"],)
    # No level that moved is known to have doubled.
    timed[1] = speed(INT8, 150.0, spread=spreads[1])
    rows = _session(build(ORT), build(INT8), *timed, accuracy(INT8, 0.99), accuracy(ORT, 1.0))
    assert _one(rows, Code.PRECISION_SLOWER).data == {INT8["id"]: pytest.approx(1 / 3)}


def test_a_timing_that_moved_is_told_of_and_a_winner_with_it_is_recommended_with_a_doubt() -> None:
    rows = _session(build(ORT), speed(ORT, 50.0, spread=0.03), accuracy(ORT, 1.0))
    assert _codes(rows, "warn") == [Code.TIMING_MOVED]
    finding = _one(rows, Code.TIMING_MOVED)
    assert (finding.cases, finding.data) == ((ORT["id"],), {"count": 1, "of": 2})
    assert "Its timing was not steady" in _choice(rows).text
    assert not _found(_session(build(ORT), speed(ORT, 50.0, spread=0.024), accuracy(ORT, 1.0)), "warn")


def test_a_call_that_is_shorter_with_its_copies_than_without_is_a_warning() -> None:
    odd = card_speed(FP16, 5.0)
    odd["values"]["end_to_end"]["latency_ms"]["p50"] = 4.9
    assert _codes(_on_card(build(FP16), odd, accuracy(FP16, 1.0)), "warn") == [Code.TIMING_SHORTER_WITH_COPIES]
    assert Code.PRECISION_SLOWER not in _codes(_on_card(odd))


PUBLISHED = read_rows(ROOT / "reports" / "published" / "h200" / "rows.jsonl")


def test_the_published_run_says_which_of_its_timings_moved_and_which_cannot_be() -> None:
    moving, impossible = (_one(PUBLISHED, code) for code in (Code.TIMING_MOVED, Code.TIMING_SHORTER_WITH_COPIES))
    assert {"yolov8n-coco-torch-compile-fp16-b8", "clip-text-pytorch-fp16-b8"} <= set(moving.cases)
    assert impossible.data == {"count": 7, "of": 45} and Code.PRECISION_SLOWER not in _codes(PUBLISHED)
    bound = _one(PUBLISHED, Code.TIMING_LAUNCH_BOUND)
    assert bound.data == {"count": 12, "of": 45}
    assert "clip-text" not in bound.text, "they are named in the warning"
    unclear = [each for each in find(PUBLISHED) if each.code == Code.PRECISION_NO_CLEAR_GAIN]
    assert "clip-text-pytorch-fp16-b8" in unclear[0].cases and unclear[0].data["against"] == "the same engine's FP32"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"layers": {"fp32": 64}}, "64 FP32"),
        ({"layers": {"fp16": 9, "fp32": 55}, "notes": ["The runtime computes in FP32 here."]}, "only partly FP16"),
    ],
)
def test_a_silent_fp32_engine_is_found_out(values: dict, what: str) -> None:
    rows = _session(build(FP16, **values), speed(FP16, 30.0), accuracy(FP16, 1.0))
    assert _codes(rows, "warn") == [Code.PRECISION_NOT_AS_ASKED]
    assert what in _one(rows, Code.PRECISION_NOT_AS_ASKED).sentence


def test_a_kept_fp32_layer_is_no_silent_fp32() -> None:
    kept = build(INT8, layers={"int8": 57, "fp32": 7}, notes=["The head stays in FP32."])
    assert not _found(_session(kept, speed(INT8, 30.0), accuracy(INT8, 0.99)), "warn")


def test_a_build_that_is_not_the_precision_asked_for_is_a_failure_told_once() -> None:
    values = build(FP16, layers={"fp32": 64})["values"]
    reason = "asked for FP16, but of 64 layers the engine computes 64 in FP32"
    lie = [row(FP16, "build", values, outcome="failed", reason=reason), speed(FP16, 20.0), accuracy(FP16, 1.0)]
    rows = _session(*answered(ORT, 50.0), *lie, exit_status=1)
    assert _codes(rows) == [Code.STAGE_FAILED]
    assert _one(rows, Code.STAGE_FAILED).data == {"stage": "build", "reason": reason}
    choice = _choice(rows)
    assert choice.engines == ("ONNX Runtime FP32",)
    assert f"failed its build question: {reason}" in choice.text


def test_a_reading_above_the_peak_is_a_failure_and_never_the_fastest() -> None:
    broken = card_speed(FP16, 0.1, share_of_peak=1.3, above_peak=True)
    reason = "80000 img/s is 1.30 of what this card can compute: the reading is broken, not fast"
    rows = _on_card(build(FP16), broken | {"outcome": "failed", "reason": reason}, accuracy(FP16, 1.0))
    assert _codes(rows, "fail") == [Code.STAGE_FAILED]
    assert _one(rows, Code.STAGE_FAILED).data == {"stage": "speed", "reason": reason}
    assert _choice(rows).engines == ("PyTorch FP32",)


def test_a_reading_above_the_peak_that_was_recorded_as_passed_is_a_failure_too() -> None:
    rows = _on_card(build(FP16), card_speed(FP16, 0.1, share_of_peak=1.3), accuracy(FP16, 1.0))
    assert _codes(rows, "fail") == [Code.RECORD_INCONSISTENT]
    assert "1.30" in _one(rows, Code.RECORD_INCONSISTENT).sentence
    assert _choice(rows).engines == ("PyTorch FP32",)


def _on_card(*rows: dict) -> list[dict]:
    baseline = (build(BASELINE), card_speed(BASELINE, 4.0), accuracy(BASELINE, 1.0))
    return [session_row(gpu="NVIDIA H200"), *baseline, *rows, end_row()]


def test_a_card_that_was_left_alone_is_one_sentence() -> None:
    slower = {"sm_clock_median_mhz": 1755.0, "sm_clock_share": 0.886, "temperature_max_c": 57}
    rows = _on_card(build(FP16), card_speed(FP16, 1.0, state=slower), accuracy(FP16, 1.0))
    assert _codes(rows) == [Code.RUN_NOTHING_FAILED, Code.GPU_UNDISTURBED]
    finding = _one(rows, Code.GPU_UNDISTURBED)
    assert finding.data == {"count": 2, "of": 2, "temperature_max_c": 57}
    assert "1755–1980 MHz" in finding.sentence and "89–100" in finding.sentence
    unwatched = _one([*rows[:-1], speed(ORT, 1.0), rows[-1]], Code.GPU_UNDISTURBED)
    assert (unwatched.data["count"], unwatched.data["of"]) == (2, 3)


def test_a_run_without_a_card_says_nothing_of_one() -> None:
    assert not any(code.startswith("gpu.") for code in _codes(_session(speed(ORT, 1.0))))


@pytest.mark.parametrize(
    "disturbed", [{"state": {"throttled": True}}, {"state": {"foreign": "x"}}, {"throttled_retries": 1}]
)
def test_a_card_that_was_disturbed_is_not_said_to_have_been_left_alone(disturbed: dict) -> None:
    rows = _on_card(build(FP16), card_speed(FP16, 1.0, **disturbed), accuracy(FP16, 1.0))
    assert Code.GPU_UNDISTURBED not in _codes(rows)


@pytest.mark.parametrize("repeats", [0, 2])
def test_a_throttled_measurement_is_a_warning_with_its_cause_and_its_repeats(repeats: int) -> None:
    state = {"throttled": True, "reasons": {"GpuIdle": 0.99, "HwThermalSlowdown": 0.2, "SwPowerCap": 0.8}}
    speeds = card_speed(FP16, 1.0, state=state, throttled_retries=repeats)
    rows = _on_card(build(FP16), speeds, accuracy(FP16, 1.0))
    assert _codes(rows, "warn") == [Code.GPU_THROTTLED]
    finding = _one(rows, Code.GPU_THROTTLED)
    assert (finding.cases, finding.data) == ((FP16["id"],), {"repeats": repeats})
    assert "its power limit and heat" in finding.sentence, "the most frequent reason first"


def test_a_busy_card_at_its_power_limit_is_a_note_that_says_what_it_sustains() -> None:
    state = {"throttled": True, "reasons": {"GpuIdle": 0.1, "SwPowerCap": 0.9}}
    rows = _on_card(build(FP16), card_speed(FP16, 1.0, state=state, throttled_retries=1), accuracy(FP16, 1.0))
    assert not _found(rows, "warn")
    finding = _one(rows, Code.GPU_AT_POWER_LIMIT)
    assert finding.sentence == "measured at the card's power limit: this is what the card sustains."
    assert (finding.cases, finding.data) == ((FP16["id"],), {"share": 0.9, "repeats": 1})
    # Nothing else was seen, which is still said, and no more than that.
    assert "No throttling but its power limit and no other process" in _one(rows, Code.GPU_UNDISTURBED).sentence
    assert Code.GPU_THROTTLED_AT_FIRST not in _codes(rows)


def test_a_throttled_measurement_whose_repeat_was_good_is_a_note() -> None:
    rows = _on_card(build(FP16), card_speed(FP16, 1.0, throttled_retries=1), accuracy(FP16, 1.0))
    assert not _found(rows, "warn")
    assert _one(rows, Code.GPU_THROTTLED_AT_FIRST).data == {"repeats": 1}


def test_other_processes_on_the_card_are_one_warning() -> None:
    said = [
        "3 processes beside ours computed on the card: 756 (1472 MiB)",
        "3 processes beside ours computed on the card: 8",
    ]
    disturbed = [card_speed(each, 1.0, state={"foreign": words}) for each, words in zip((ORT, INT8), said, strict=True)]
    rows = _on_card(*disturbed)
    assert _codes(rows, "warn") == [Code.GPU_SHARED]
    finding = _one(rows, Code.GPU_SHARED)
    assert (finding.cases, finding.data) == ((ORT["id"], INT8["id"]), {"count": 2, "of": 3})
    everywhere = _one([session_row(gpu="x"), *disturbed, end_row()], Code.GPU_SHARED)
    assert everywhere.data == {"count": 2, "of": 2}


@pytest.mark.parametrize("state", [{"throttled": True}, {"foreign": "1 process beside ours"}])
def test_a_winner_on_a_disturbed_card_is_recommended_with_that_warning(state: dict) -> None:
    rows = _on_card(build(FP16), card_speed(FP16, 1.0, state=state), accuracy(FP16, 1.0))
    assert "The card was throttled or not its own meanwhile" in _choice(rows).text
    calm = _on_card(build(FP16), card_speed(FP16, 1.0), accuracy(FP16, 1.0))
    assert "throttled" not in _choice(calm).text


def test_unsteady_timings_are_counted_and_named() -> None:
    rows = _session(build(ORT), speed(ORT, 50.0, steady=False), accuracy(ORT, 1.0))
    assert _codes(rows, "warn") == [Code.TIMING_UNSTEADY]
    finding = _one(rows, Code.TIMING_UNSTEADY)
    assert (finding.cases, finding.data) == ((ORT["id"],), {"count": 1, "of": 2})


def test_what_is_not_certain_is_one_sentence_with_the_images_that_would_have_to_be_more() -> None:
    towers = [case("onnxruntime", precision, model="clip-image") for precision in ("fp32", "fp16")]
    small = [
        *(build(each) for each in (INT8, FP16, *towers)),
        accuracy(INT8, 0.983, evaluation_images=64),
        accuracy(FP16, 0.999, evaluation_images=64),
        *(accuracy(each, 0.985, small_set=True, evaluation_images=256) for each in towers),
    ]
    finding = _one(_session(*small), Code.ACCURACY_UNCERTAIN)
    assert finding.cases == (INT8["id"], *(each["id"] for each in towers)) and finding.data["count"] == 3
    assert "on 64 images; every engine of CLIP image on 256 images" in finding.sentence
    assert "The other engines that pass are certain" in finding.sentence
    certain = [accuracy(each, 0.999, small_set=True, evaluation_images=16) for each in (FP16, *towers)]
    assert Code.ACCURACY_UNCERTAIN not in _codes(_session(*certain))


def test_a_run_without_its_end_did_not_finish() -> None:
    assert _codes(GOOD[:-1], "fail") == [Code.RUN_UNFINISHED]


@pytest.mark.parametrize(
    ("exit_status", "level", "code"),
    [
        (1, "fail", Code.RUN_UNEXPLAINED),
        (2, "warn", Code.RUN_INTERRUPTED),
        (3, "fail", Code.RUN_INTERNAL_ERROR),
    ],
)
def test_a_bad_exit_status_is_not_hidden(exit_status: int, level: str, code: Code) -> None:
    assert _codes([*GOOD[:-1], end_row(exit_status)], level) == [code]


def test_a_torn_line_is_mentioned() -> None:
    rows = [*GOOD[:-1], {"kind": "torn", "line": 8, "bytes": 12}]
    assert _one(rows, Code.RECORD_TORN).data == {"line": 8}


def test_a_missing_baseline_is_mentioned() -> None:
    rows = [session_row(), *answered(ORT, 50.0), end_row()]
    assert _codes(rows, "warn") == [Code.BASELINE_MISSING]
    assert _one(rows, Code.BASELINE_MISSING).where == "YOLOv8n · batch 8"


def test_what_was_not_judged_is_said_with_its_reason_and_is_no_pass() -> None:
    rows = [
        session_row(),
        speed(BASELINE, 80.0),
        accuracy(BASELINE, 1.0, judged=False, reason="not judged: untrained weights"),
        end_row(),
    ]
    assert _one(rows, Code.RUN_NOTHING_FAILED).data == {"judged": 0}
    assert _one(rows, Code.ACCURACY_NOT_JUDGED).sentence == "not judged: untrained weights"


def test_cells_that_did_not_run_are_counted() -> None:
    why = "no GPU: torch.cuda.is_available() says so; see nvidia-smi"
    cells = [row(case("tensorrt", each), "matrix", outcome="skipped", reason=why) for each in ("fp16", "int8")]
    other = row(case("trtexec", "fp16"), "matrix", outcome="skipped", reason="no trtexec.")
    finding = _one(_session(*cells, other), Code.MATRIX_NOT_RUN)
    assert finding.data == {"count": 3} and "2 (no GPU) and 1 (no trtexec)" in finding.sentence
    assert finding.place == "unanswered"


def test_an_empty_session_is_a_warning_not_a_pass() -> None:
    (finding,) = find([session_row(), end_row()])
    assert (finding.code, finding.level) == (Code.RUN_NOTHING_MEASURED, "warn")


def test_what_broke_stands_first_or_else_that_nothing_did() -> None:
    slow, failing = (
        [*answered(INT8, 80.6), *answered(case("trtexec", "int8"), 80.2)],
        [*answered(INT8, 80.6, 0.93), *answered(case("trtexec", "int8"), 80.2)],
    )
    for last, first in ((slow, "ok"), (failing, "fail")):
        rows = _session(*answered(ORT, 50.0), *last, *answered(FP16, 30.0, 0.983))
        levels = [finding.level for finding in find(rows)]
        assert levels == sorted(levels, key=LEVELS.index)
        assert {first, "warn", "info"} == set(levels)


def test_the_fastest_that_passes_is_recommended_with_its_runner_up() -> None:
    choice = _choice(_session(*answered(ORT, 50.0), *answered(FP16, 40.0)))
    assert (choice.engines, choice.case_ids) == (("ONNX Runtime FP16",), (FP16["id"],))
    assert "200 img/s, 2.00× (1.97–2.03) the speed of PyTorch FP32" in choice.text
    assert "keeps 100.0\u202f% (99.2–100.8) of the baseline's mAP50-95" in choice.text
    assert choice.runner_up == (
        "ONNX Runtime FP32: 160 img/s, 1.60× (1.58–1.62); it keeps 100.0\u202f% (99.2–100.8) of the baseline's mAP50-95"
    )


def test_a_faster_engine_that_fails_is_named_and_not_recommended() -> None:
    choice = _choice(_session(*answered(ORT, 50.0), *answered(INT8, 20.0, 0.93)))
    assert choice.engines == ("ONNX Runtime FP32",)
    assert "Faster, but not to be shipped: ONNX Runtime INT8 (400 img/s, 4.00×) fails its gate" in choice.text


@pytest.mark.parametrize(
    ("against", "words"),
    [
        ([speed(INT8, 20.0), accuracy(INT8, 0.99, engine="another")], "scored engine is not the timed engine"),
        ([speed(INT8, 20.0)], "was not judged"),
        ([speed(INT8, 20.0), accuracy(INT8, 0.99), row(INT8, "build", outcome="error", reason="x")], "ended as error"),
    ],
)
def test_an_engine_that_proves_nothing_is_not_recommended(against: list[dict], words: str) -> None:
    choice = _choice(_session(*answered(ORT, 50.0), *against))
    assert choice.engines == ("ONNX Runtime FP32",)
    assert words in choice.text


@pytest.mark.parametrize(("p50", "spread"), [(49.7, 0.01), (51.0, 0.001)])
def test_engines_closer_than_two_runs_are_a_tie(p50: float, spread: float) -> None:
    other = [build(FP16), speed(FP16, p50, spread=spread), accuracy(FP16, 0.99)]
    choice = _choice(_session(build(ORT), speed(ORT, 50.0, spread=spread), accuracy(ORT, 1.0), *other))
    assert choice.tie
    assert "ONNX Runtime FP32 100.0\u202f%" in choice.text and "ONNX Runtime FP16 99.0\u202f%" in choice.text
    assert set(choice.engines) == {"ONNX Runtime FP32", "ONNX Runtime FP16"}
    assert choice.text.startswith("A tie:")
    assert choice.runner_up == "PyTorch FP32 (100 img/s, 1.00×)"


def test_an_engine_with_a_wide_interval_is_no_tie_but_may_be_as_fast() -> None:
    """ONNX Runtime INT8 on a busy CPU: 5.4 to 9.4 ms around 9.1, beside a steady 6.0 ms."""
    wide = [build(INT8), speed(INT8, 75.0, spread=0.4), accuracy(INT8, 0.99)]
    choice = _choice(_session(*answered(ORT, 50.0), *answered(FP16, 57.0), *wide))
    assert choice.engines == ("ONNX Runtime FP32",)
    assert "ONNX Runtime INT8 (107 img/s, 1.07×) may be as fast: the timing is too uncertain" in choice.text
    assert choice.runner_up is not None and "ONNX Runtime FP16" in choice.runner_up


def test_the_baseline_is_recommended_where_nothing_that_passes_is_faster() -> None:
    choice = _choice(_session(*answered(INT8, 20.0, 0.5)))
    assert choice.engines == ("PyTorch FP32",)
    assert "Nothing that passes is faster than PyTorch FP32 itself" in choice.text


def test_a_pass_that_is_not_certain_is_recommended_with_that_doubt() -> None:
    choice = _choice(_session(*answered(INT8, 20.0, 0.983)))
    assert choice.engines == ("ONNX Runtime INT8",)
    assert "The interval reaches below 98\u202f%" in choice.text


def test_a_gated_metric_that_is_better_and_less_certain_is_a_doubt_too() -> None:
    metrics = [metric("agreement", 0.985, spread=0.004), metric("top-1", 0.99, spread=0.03)]
    rows = _session(build(INT8), speed(INT8, 20.0), accuracy(INT8, 0.985, metrics=metrics))
    assert "The interval of top-1 (96.0–102.0) reaches below 98\u202f%" in _choice(rows).text
    assert Code.ACCURACY_UNCERTAIN in _codes(rows, "warn")


def test_where_every_engine_of_a_model_is_uncertain_it_is_said_once() -> None:
    rows = _session(*answered(INT8, 20.0, 0.985), *answered(FP16, 30.0, 0.985))
    assert "every engine of YOLOv8n on 256 images" in _one(rows, Code.ACCURACY_UNCERTAIN).sentence


def test_a_disturbed_baseline_makes_the_speedup_rough() -> None:
    shared = {"card": {"foreign": "1 process beside ours computed on the card"}}
    choice = _choice([*_session(*answered(ORT, 50.0)), speed(BASELINE, 80.0, **shared)])
    assert "while the baseline was timed, so that the speed-up is rough" in choice.text


def test_a_refuted_baseline_gives_no_speedup() -> None:
    lie = row(BASELINE, "build", build(BASELINE)["values"], outcome="failed", reason="it computes in TF32")
    rows = [*_session(*answered(ORT, 50.0)), lie]
    assert "×" not in _choice(rows).text
    assert "cannot be trusted" in _one(rows, Code.BASELINE_MISSING).sentence


def test_exactly_the_gate_passes_on_the_page_as_it_did_in_the_run() -> None:
    ratio = (49 / 68) / (50 / 68)  # 0.98 but for the last bit
    assert ratio < 0.98
    rows = _session(*answered(INT8, 20.0), accuracy(INT8, ratio, outcome="passed"))
    assert not _found(rows, "fail") and _choice(rows).engines == ("ONNX Runtime INT8",)
    assert "keeps 98.0\u202f%" in _choice(rows).text


def test_the_fastest_of_the_unjudged_is_one_that_can_be_trusted() -> None:
    judged = {"judged": False, "metrics": [metric("top-1", 1.0, gated=False)]}
    broken = row(FP16, "speed", speed(FP16, 0.05)["values"], outcome="failed", reason="3.20 of the card's peak")
    rows = [session_row(), speed(BASELINE, 80.0), speed(ORT, 50.0), accuracy(ORT, 1.0, **judged), broken]
    text = _choice(rows).text
    assert "The fastest is ONNX Runtime FP32" in text
    assert "Not to be trusted: ONNX Runtime FP16" in text and "failed its speed question: 3.20 of" in text


def test_an_unsteady_winner_is_recommended_with_that_warning() -> None:
    choice = _choice(_session(build(ORT), speed(ORT, 50.0, steady=False), accuracy(ORT, 1.0)))
    assert "Its timing was not steady" in choice.text


def test_an_unsteady_baseline_makes_the_speedup_rough() -> None:
    choice = _choice([*_session(*answered(ORT, 50.0)), speed(BASELINE, 80.0, steady=False)])
    assert choice.engines == ("ONNX Runtime FP32",)
    assert "The baseline's timing was not steady" in choice.text


def test_nothing_is_recommended_without_judged_accuracy() -> None:
    judged = {"judged": False, "metrics": [metric("top-1", 1.0, gated=False)]}
    choice = _choice([session_row(), speed(BASELINE, 80.0), speed(ORT, 50.0), accuracy(ORT, 1.0, **judged)])
    assert choice.engines == ()
    assert "No engine's accuracy was judged" in choice.text


def test_nothing_is_recommended_where_only_the_baseline_ran() -> None:
    assert "Only the baseline was timed" in _choice(_session()).text


def test_nothing_is_recommended_where_nothing_passes() -> None:
    choice = _choice([session_row(), *answered(INT8, 20.0, 0.5), end_row()])
    assert choice.engines == ()
    assert "Nothing passes: no recommendation. Measured: ONNX Runtime INT8" in choice.text


def test_device_times_are_not_ranked_against_host_times() -> None:
    device = [build(FP16), speed(FP16, 1.0, instrument="CUDA events"), accuracy(FP16, 1.0)]
    choice = _choice(_session(*answered(ORT, 50.0), *device))
    assert choice.engines == ("ONNX Runtime FP32",)
    assert "FP16" not in choice.text


def test_each_model_and_batch_has_its_own_recommendation() -> None:
    rows = [session_row()]
    for model, batch in (("yolov8n", 1), ("yolov8n", 8), ("clip-image", 1)):
        rows += answered(case("pytorch", "fp32", model=model, batch=batch), 80.0)
        rows += answered(case("onnxruntime", "fp32", model=model, batch=batch), 50.0)
    assert [(choice.model, choice.batch) for choice in recommend(rows)] == [
        ("yolov8n", 1),
        ("yolov8n", 8),
        ("clip-image", 1),
    ]


@pytest.mark.parametrize(
    ("ratio", "spread", "words"),
    [
        (0.998, 0.0124, "0.2\u202f% (−1.0 to 1.4) of the mAP50-95, certain to keep 98\u202f%."),
        (0.985, 0.0124, "1.5\u202f% (0.3 to 2.7) of the mAP50-95, not certain to keep 98\u202f%."),
        (0.93, 0.008, "7.0\u202f% (6.2 to 7.8) of the mAP50-95, which fails the gate of 98\u202f%."),
        (0.9999, 0.001, "0.0\u202f% (−0.1 to 0.1) of the mAP50-95, certain to keep 98\u202f%."),
    ],
)
def test_what_int8_costs_is_one_line_with_its_certainty(ratio: float, spread: float, words: str) -> None:
    slower = answered(case("tensorrt", "int8"), 40.0, 0.99)
    choice = _choice(_session(build(INT8), speed(INT8, 30.0), accuracy(INT8, ratio, spread=spread), *slower))
    expected = f"INT8 (ONNX Runtime) costs {words}" if ratio > 0.98 else "INT8 (TensorRT) costs 1.0"
    assert choice.int8 is not None and choice.int8.startswith(expected)
    if ratio < 0.98:
        alone = _choice(_session(build(INT8), speed(INT8, 30.0), accuracy(INT8, ratio, spread=spread)))
        assert alone.int8 == f"INT8 (ONNX Runtime) costs {words}"


def test_without_a_judged_int8_engine_nothing_is_said_of_its_costs() -> None:
    assert _choice(_session(*answered(ORT, 50.0), speed(INT8, 10.0))).int8 is None
