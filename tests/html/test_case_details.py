import re

import numpy as np
import pytest

from fixtures import ROOT
from reports.analysis.cases import summarize
from reports.analysis.stationarity import WINDOWS, movement
from reports.charts.samples import picture
from reports.html.case_details import MOST_PICTURES, USUAL, Why, explain
from reports.html.page import render
from reports.record.schema import Row
from reports.record.store import read_rows
from tests.helpers.rows import accuracy, answered, build, card_speed, case, end_row, row, session_row, speed

FP32, INT8 = case("pytorch", "fp32"), case("tensorrt", "int8")
SEED, COUNT = 0, 600
SHORTER = "shorter with copies than without"


def noise(share: float = 0.01, count: int = COUNT, seed: int = SEED) -> np.ndarray:
    return 2.0 * np.exp(np.random.default_rng(seed).normal(0, share, count))


def why(*rows: Row) -> Why:
    return explain(summarize([session_row(gpu="NVIDIA H200"), *rows, end_row()]))["yolov8n"][0]


def facts(*rows: Row) -> dict[str, str]:
    return dict(why(*rows).facts)


def test_a_step_and_a_drift_are_told_with_their_size():
    stepped = noise() * np.where(np.arange(COUNT) < COUNT * 0.7, 1.0, 1.05)
    assert movement(stepped).kind == "step"
    assert re.match(r"a step after 70% of the samples: (4\.[5-9]|5\.[0-5]) % longer", movement(stepped).text)
    drifted = movement(noise() * np.linspace(1.0, 0.94, COUNT))
    assert drifted.kind == "drift" and re.match(r"a drift: [56]\.\d % shorter at the end", drifted.text)


def test_noise_and_lone_outliers_are_neither_step_nor_drift():
    for seed in range(300):
        samples = noise(0.03, 120, seed)
        samples[seed % 120] *= 3
        assert movement(samples).kind == "level", seed


def test_stretches_that_differ_much_are_not_called_a_level_without_step_and_drift():
    quiet, uneven, wide = (movement(noise(share, 120)) for share in (0.005, 0.03, 0.1))
    assert quiet.text.startswith("no step and no drift; nine in ten")
    assert uneven.kind == "level" and uneven.text.startswith("the level is uneven; nine in ten")
    assert wide.kind == "spread" and wide.text.startswith("the level is not one; nine in ten")


def test_a_timing_that_moved_is_not_called_usual_in_its_fold_nor_in_the_table():
    odd = card_speed(FP32, 2.0)
    odd["values"]["latency_ms"] |= {"low": 1.9, "high": 2.02}
    odd["values"]["end_to_end"]["latency_ms"]["p50"] = 1.9
    told = "its median is known to 6.0 % only"
    assert why(odd).headline == f"{told} and {SHORTER}"
    page = render([session_row(gpu="NVIDIA H200"), odd, end_row()])
    assert f'<span class="remarks">{told}; {SHORTER}</span>' in page
    assert why(card_speed(FP32, 2.0, samples_ms=noise(0.002).tolist())).headline == USUAL


def test_device_times_that_spread_as_launches_do_are_rough_and_those_of_a_cpu_are_not():
    """Three equal runs had such medians up to 9 % apart, whatever their intervals said."""
    for spread, said in ((0.008, USUAL), (0.04, "its calls spread widely")):
        assert why(card_speed(FP32, 2.0, samples_ms=noise(spread).tolist())).headline == said
        assert why(speed(FP32, 2.0, samples_ms=noise(spread).tolist())).headline == USUAL


def test_a_device_time_that_moved_says_how_in_its_headline():
    stepped = noise(0.002) * np.where(np.arange(COUNT) < COUNT * 0.7, 1.0, 1.05)
    assert "a step while it was measured" in why(card_speed(FP32, 2.0, samples_ms=stepped.tolist())).headline
    waves = card_speed(FP32, 2.0, samples_ms=(noise(0.002) * (1 + 0.1 * (np.arange(COUNT) // 40 % 2))).tolist())
    assert "moved to and fro while it was measured" in why(waves).headline
    assert facts(waves)["In the order of time"].startswith("The level moves to and fro, without one step or drift;")


def test_of_the_published_run_no_case_that_moved_is_called_usual():
    rows = read_rows(ROOT / "reports" / "published" / "h200" / "rows.jsonl")
    found = {each.case.id: each for model in explain(summarize(rows)).values() for each in model}
    assert "bound by its launches" in found["yolov8n-coco-pytorch-fp16-b8"].headline
    assert "its median is known to 16 % only" in found["yolov8n-coco-pytorch-fp16-b8"].headline
    assert "its calls spread widely" in found["clip-image-onnxruntime-cuda-fp16-b8"].headline
    assert SHORTER in found["clip-text-pytorch-fp16-b8"].headline
    usual = [each.case.latency for each in found.values() if each.headline == USUAL]
    assert len(usual) > 30
    assert all(one and (one.high_ms or 9.0) - (one.low_ms or 0.0) <= 0.05 * one.p50_ms for one in usual)


def test_a_level_that_goes_to_and_fro_is_no_step():
    waves = noise(0.002) * (1 + 0.1 * (np.arange(COUNT) // 40 % 2))
    assert movement(waves).kind == "wander"


def test_few_samples_say_nothing_about_their_order():
    assert movement(noise(count=30)).kind == ""
    assert picture(noise(count=5), {}, "few") is None


def test_the_picture_is_small_whatever_the_samples_and_has_whole_pixels():
    for count in (10, 61, 5000):
        drawn = str(picture(noise(0.2, count), {"p50": 2.0, "p90": 2.5, "p99": None}, "samples"))
        assert len(drawn) < 2200
        assert not re.search(r'd="[^"]*\.', drawn)
        assert "p50 2.00" in drawn and "p90 2.50" in drawn and "p99" not in drawn


def test_the_bars_hold_every_sample_and_the_line_every_stretch():
    drawn = str(picture(noise(), {}, "samples"))
    line = re.search(r'<path d="([^"]*)" class="line"', drawn)
    assert line and len(re.findall("[Mlh]", line[1])) == WINDOWS
    alike = str(picture(np.full(50, 3.0), {"p50": 3.0}, "alike"))  # no range at all
    assert "p50 3.00" in alike and "nan" not in alike


def test_names_of_close_percentiles_do_not_cover_each_other():
    drawn = str(picture(noise(), {"p50": 2.0, "p90": 2.0, "p99": 2.001}, "close"))
    heights = sorted(float(found) for found in re.findall(r'y="([\d.]+)" class="start">p', drawn))
    assert len(heights) == 3 and min(np.diff(heights)) >= 12


@pytest.mark.parametrize("wrong", [None, "fast", [None, "x", True], [float("nan"), -1.0], {}])
def test_samples_of_a_wrong_type_are_no_samples(wrong: object):
    assert why(speed(FP32, 2.0, samples_ms=wrong)).chart is None


def test_warm_up_end_and_card_are_told_in_words():
    state = {"sm_clock_min_mhz": 1700, "sm_clock_max_mhz": 1980, "temperature_first_c": 44, "temperature_last_c": 44}
    energy = {"mean_power_w": 323.4}  # the trace lags behind it
    found = facts(card_speed(FP32, 2.0, state=state, stop_reason="plateau", steady=False, energy=energy))
    assert found["Warm-up and end"] == (
        "Warmed up for 0.600 s, and two stretches of calls still did not agree; stopped because more samples brought "
        "nothing: the level itself moves (the 95 % interval of the median was then 2.0 % of it)."
    )
    assert found["Card"] == "Clock 1700 to 1980 MHz, 44 °C all the time, 323 W in the energy pass, not throttled."
    shares = facts(card_speed(FP32, 2.0, state=state, share_of_bandwidth=0.0193))
    assert "weights and images alone take 1.9\u202f% of the memory's bandwidth, not throttled." in shares["Card"]


def test_what_was_lost_what_it_was_built_of_and_what_it_cost_is_told():
    timed = [build(INT8, notes=["TF32 is off.", "FP16 allowed."], layers={"int8": 60, "fp16": 4}, work_seconds=30.0)]
    judged = accuracy(INT8, 0.9, details={"classes that lost most mAP50-95": "cat -0.020, dog -0.010"})
    found = facts(*({**one, "seconds": 20.5} for one in (*timed, judged)))
    assert found["Accuracy"] == "Classes that lost most mAP50-95: cat -0.020, dog -0.010."
    assert found["Layers"] == "60 INT8 + 4 FP16."
    assert found["Notes"] == "TF32 is off. FP16 allowed."
    assert found["Cost"] == (
        "Took 41.0 s (build 20.5 s, accuracy 20.5 s); 30.0 s were building, measuring and scoring."
    )


def test_a_lost_case_keeps_its_reason_as_it_stands_in_the_row():
    log = "EngineError: killed by signal 9\n[TRT] out of memory\n  <last line>"
    lost = why(row(INT8, "build", outcome="error", reason=log))
    assert lost.headline == "build stopped with an error"
    assert lost.told == (("build stopped with an error", log),)
    page = render([session_row(), row(INT8, "build", outcome="error", reason=log), end_row(6)])
    assert '<pre class="log">EngineError: killed by signal 9\n[TRT] out of memory\n  &lt;last line&gt;</pre>' in page


def test_a_case_that_never_ran_is_not_explained():
    skipped = row(INT8, "matrix", outcome="skipped", reason="no NVIDIA GPU")
    assert [each.case.id for each in explain(summarize([session_row(), speed(FP32, 2.0), skipped]))["yolov8n"]] == [
        FP32["id"]
    ]


def test_a_large_run_draws_the_unusual_and_the_recommended():
    cases = [case("pytorch", "fp32", batch=batch) for batch in range(1, MOST_PICTURES + 50)]
    rows = [
        speed(each, 2.0, samples_ms=noise(count=100).tolist(), steady=each["batch"] != 7, stop_reason="interval")
        for each in cases
    ]
    found = explain(summarize([session_row(), *rows]), {cases[11]["id"]})["yolov8n"]
    drawn = [each.case.batch for each in found if each.chart]
    assert len(drawn) == MOST_PICTURES and drawn[-1] < MOST_PICTURES + 2
    late = [{**each, "case": each["case"] | {"batch": 900 - each["case"]["batch"]}} for each in rows]
    again = explain(summarize([session_row(), *late]), {cases[-1]["id"]})["yolov8n"]
    assert {893, 900 - len(cases)} <= {each.case.batch for each in again if each.chart}  # the unusual, the recommended
    page = render([session_row(), *rows, end_row()])
    assert f"Of more than {MOST_PICTURES} cases" in page


def test_the_page_holds_no_raw_samples_and_tells_each_thing_once():
    samples = [round(value, 9) for value in noise(count=500).tolist()]
    details = {"flips": 17_171}
    rows = [build(FP32, notes=["a note of the builder"]), speed(FP32, 2.0, samples_ms=samples)]
    page = render([session_row(), *rows, accuracy(FP32, 1.0, details=details), *answered(INT8, 1.0), end_row()])
    assert not any(str(sample) in page for sample in samples)
    assert page.count("a note of the builder") == page.count("17171") == 1


def test_a_build_that_found_timings_of_earlier_ones_is_told():
    assert "282 kB of tactic timings" in facts(build(INT8, known_timings_bytes=282_400), speed(INT8, 2.0))["Notes"]
    assert "Notes" not in facts(build(INT8, known_timings_bytes=0), speed(INT8, 2.0))


def test_the_hashes_of_engine_and_graph_stand_in_full_where_they_are_known():
    files = facts(build(INT8, engine="ab" * 32, graph_sha256="cd" * 32), speed(INT8, 2.0, engine="ab" * 32))["Files"]
    assert files == f"Engine sha256 {'ab' * 32}, graph sha256 {'cd' * 32}."
    assert facts(build(INT8), speed(INT8, 2.0))["Files"] == f"Engine sha256 {INT8['id']}."


def test_of_the_images_that_changed_it_is_said_how_many_are_shown():
    flips = [{"image": place, "baseline": "cat", "engine": "dog", "picture": ""} for place in range(4)]
    some = accuracy(INT8, 1.0, details={"images with other objects": 20, "unreadable": 4}, changed_images=flips)
    assert facts(some)["Accuracy"] == "Images with other objects: 20 (4 of them below); unreadable: 4."
    every = accuracy(INT8, 1.0, details={"flips": 4}, changed_images=flips)
    assert facts(every)["Accuracy"] == "Flips: 4."


def test_what_a_build_wrote_stands_there_to_the_letter():
    found = why(build(FP32, log_tail=["TensorRT: warning <b>", "  done"]), speed(FP32, 2.0))
    assert ("The end of what the build wrote", "TensorRT: warning <b>\n  done") in found.told
    assert why(build(FP32, log_tail="no list"), speed(FP32, 2.0)).told == why(build(FP32), speed(FP32, 2.0)).told == ()
