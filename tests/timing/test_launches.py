"""What the reports make of an engine whose host launches slower than its card computes."""

from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.recommendation import recommend
from reports.analysis.tables import build_table, records
from reports.analysis.timing_quality import unreliable
from reports.compare.runs import compare
from reports.findings.run import find
from reports.github.job_summary import job_summary
from reports.html.case_details import explain
from reports.html.page import render
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, launch, session_row

BASELINE = case("pytorch", "fp32")
EAGER = case("pytorch", "fp16")
GRAPH = case("tensorrt-cuda-graph", "fp16")
PLAN = case("tensorrt", "fp16")


def timed(which: dict, device_ms: float, launch_ms: float, **values: float) -> list[Row]:
    per_second = 8e3 / max(device_ms, launch_ms)
    speed = card_speed(which, device_ms, launch=launch(launch_ms, **values), images_per_second=per_second)
    # The copies take as long as the rest.
    speed["values"]["end_to_end"]["latency_ms"]["p50"] = 2 * (device_ms + launch_ms)
    return [build(which), speed, accuracy(which, 1.0)]


ROWS = [
    session_row(gpu="NVIDIA H200"),
    *timed(BASELINE, 4.6, 3.7),
    *timed(EAGER, 2.0, 4.0),
    *timed(PLAN, 1.0, 1.3),
    *timed(GRAPH, 1.05, 0.02),
    end_row(),
]


def cases(rows: list[Row]) -> dict[str, CaseSummary]:
    return {each.id: each for each in summarize(rows)}


def test_a_speedup_is_what_one_caller_gets():
    found = cases(ROWS)
    speedups = {name: each.speedup.value for name, each in found.items() if each.speedup}
    assert speedups == {BASELINE["id"]: 1.0, EAGER["id"]: 4.6 / 4.0, PLAN["id"]: 4.6 / 1.3, GRAPH["id"]: 4.6 / 1.05}
    assert [name for name, each in found.items() if each.launch_bound] == [EAGER["id"], PLAN["id"]]


def test_a_baseline_that_is_bound_by_its_launches_is_not_faster_for_it():
    rows = [session_row(gpu="x"), *timed(BASELINE, 3.1, 3.5), *timed(GRAPH, 1.0, 0.02)]
    speedup = cases(rows)[GRAPH["id"]].speedup
    assert speedup and speedup.value == 3.5


def test_the_engine_that_gives_one_caller_more_is_recommended_though_the_card_is_quicker_with_another():
    (choice,) = recommend(ROWS)
    assert choice.engines == ("TensorRT FP16 + CUDA graph",)
    assert choice.runner_up and choice.runner_up.startswith("TensorRT FP16: 6\u202f154 img/s")


def test_a_baseline_whose_launches_moved_has_a_speedup_on_the_card_that_did_not():
    shaky = [session_row(gpu="x"), *timed(BASELINE, 3.1, 5.8, iqr=0.3), *timed(GRAPH, 1.0, 0.02), end_row()]
    (choice,) = recommend(shaky)
    assert "5.80×" in choice.text
    assert choice.text.endswith("so that the speed-up is rough; of the work on the card alone it is 3.10×.")
    (steady,) = recommend([session_row(gpu="x"), *timed(BASELINE, 3.1, 5.8), *timed(GRAPH, 1.0, 0.02), end_row()])
    assert "rough" not in steady.text and "on the card alone" not in steady.text


def test_the_verdict_names_them_and_says_what_helps():
    (told,) = [each.text for each in find(ROWS) if "launches" in each.text]
    assert told.startswith("2 of 4 timings are bound by the launches (the card waits for its host")
    assert "a CUDA graph launches at once" in told
    assert told.endswith("YOLOv8n · PyTorch FP16 · batch 8; YOLOv8n · TensorRT FP16 · batch 8.")


def test_table_and_page_have_the_launches_beside_the_device_time():
    lines = {each["case"]: each for each in records(build_table(ROWS))}
    assert (lines[EAGER["id"]]["p50_ms"], lines[EAGER["id"]]["launch_p50_ms"]) == (2.0, 4.0)
    page = render(ROWS)
    assert "the slower of the work on the card (device time) and the host&#39;s launches" in page
    assert page.count("bound by its launches") >= 2
    (fold,) = (each for each in explain(summarize(ROWS))["yolov8n"] if each.case.id == EAGER["id"])
    assert "bound by its launches" in fold.headline
    told = dict(fold.facts)["Launches"].replace("\u202f", " ")
    assert told.startswith("Half of the calls were launched within 4.00 ms; that is longer than the card computes")


def test_the_page_of_a_job_says_whose_speeds_they_are():
    text = job_summary(ROWS)
    assert "Speeds are what one caller gets" in text and "1.15×" in text


def test_launches_that_spread_make_a_speed_rough_only_where_they_decide_it():
    bound, free = timed(EAGER, 2.0, 4.0, iqr=0.05), timed(GRAPH, 1.0, 0.02, iqr=0.5)
    calm = timed(PLAN, 1.0, 1.3, iqr=0.01)
    found = cases([session_row(gpu="x"), *bound, *free, *calm])
    assert [name for name, each in found.items() if unreliable(each)] == [EAGER["id"]]


def test_a_call_is_asked_again_and_an_engine_that_waits_says_so():
    rows = timed(EAGER, 2.0, 4.0, repeats=3)
    waiting = card_speed(GRAPH, 2.0, launch={"queued": False})
    told = {each.case.id: each for each in explain(summarize([session_row(gpu="x"), *rows, waiting]))["yolov8n"]}
    assert "3 calls asked again, because the card had begun" in dict(told[EAGER["id"]].facts)["Launches"]
    assert dict(told[GRAPH["id"]].facts)["Launches"].startswith("The engine waits for the card within its call")
    assert "waits for the card: launches and device time in one" in render([session_row(gpu="x"), waiting, end_row()])
    assert cases([session_row(gpu="x"), waiting])[GRAPH["id"]].effective_latency


def test_a_record_without_launches_reads_as_before():
    rows = [session_row(gpu="x"), build(BASELINE), card_speed(BASELINE, 4.0), card_speed(GRAPH, 1.0), end_row()]
    (_, graph) = summarize(rows)
    assert graph.effective_latency == graph.latency and graph.launch is None and not graph.launch_bound
    page = render(rows)
    assert "Speeds are device time" in page and "launches" not in page


def test_two_runs_are_compared_by_what_the_card_did():
    """The host's pace is another every night, and no change of the engine."""
    earlier = [session_row(gpu="x"), *timed(EAGER, 2.0, 4.0), end_row()]
    later = [{**each, "session": "later"} for each in [session_row(gpu="x"), *timed(EAGER, 2.0, 4.4), end_row()]]
    (pair,) = compare(earlier, later).pairs
    assert pair.verdict == "same"
