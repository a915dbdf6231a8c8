"""One function says what makes a timing doubtful, and every place that speaks of timings follows it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reports.analysis.answer import answers
from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.recommendation import recommend
from reports.analysis.timing_quality import at_power_limit, caveats, gpu_contended, unreliable
from reports.compare.runs import UNCLEAR, compare
from reports.findings import tensorrt_engines
from reports.findings.base import Session
from reports.github.job_summary import annotations, job_summary
from reports.history.store import session_lines
from reports.html.case_details import USUAL, explain
from reports.html.page import render
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, session_row, speed

BASELINE, FAST = case("pytorch", "fp32"), case("tensorrt", "fp16")
COUNT = 600
QUIET = np.random.default_rng(0).normal(1.0, 0.002, COUNT)
HALF = np.arange(COUNT) / COUNT


def samples(shape: Any = 1.0) -> list[float]:
    return (2.0 * QUIET * shape).tolist()


def timing(shape: Any = 1.0, **changed: Any) -> Row:
    """The speed of FAST on a GPU, 2 ms; its calls have this shape over time."""
    return card_speed(FAST, 2.0, **{"samples_ms": samples(shape), **changed})


def shorter() -> Row:
    row = timing()
    row["values"]["end_to_end"]["latency_ms"]["p50"] = 1.9
    return row


# Each way in which a timing may be doubtful, as a record has it.
DOUBTFUL: dict[str, Callable[[], Row]] = {
    "timing.unsteady": lambda: timing(steady=False),
    "timing.step": lambda: timing(np.where(HALF < 0.7, 1.0, 1.2)),
    "timing.drift": lambda: timing(1 + 0.2 * HALF),
    "timing.wander": lambda: timing(1 + 0.1 * (np.arange(COUNT) // 40 % 2)),
    "timing.spread": lambda: timing(np.random.default_rng(1).normal(1.0, 0.04, COUNT)),
    "timing.wide_interval": lambda: timing(latency_ms={"p50": 2.0, "low": 1.9, "high": 2.1}),
    "timing.shorter_with_copies": shorter,
    "gpu.throttled": lambda: timing(state={"throttled": True, "reasons": {"HwSlowdown": 0.9}}),
    "gpu.shared": lambda: timing(state={"foreign": "1 process beside ours computed on the card"}),
}


def run(timed: Row, session: str = "s1") -> list[Row]:
    """A run whose baseline is reliable and whose only engine was timed so."""
    rows = [
        session_row(gpu="NVIDIA H200", card={"name": "NVIDIA H200", "driver": "580.1"}),
        *(build(BASELINE), card_speed(BASELINE, 8.0, samples_ms=samples(4.0)), accuracy(BASELINE, 1.0)),
        *(build(FAST), timed, accuracy(FAST, 1.0)),
        end_row(),
    ]
    return [{**row, "session": session} for row in rows]


def engine(rows: list[Row]) -> CaseSummary:
    return next(case for case in summarize(rows) if case.id == FAST["id"])


def in_table(rows: list[Row], words: str) -> bool:
    """The main table's remarks beside the engine (report.html.j2)."""
    page = render(rows)
    table = page[page.index('id="table"') : page.index('id="why"')]
    return f'TensorRT FP16</a><span class="ship">ship</span><span class="remarks">{words}' in table


def in_details(rows: list[Row], words: str) -> bool:
    """The headline of the case's fold (html/case_details.py)."""
    (headline,) = (each.headline for each in explain(summarize(rows))["yolov8n"] if each.case.id == FAST["id"])
    assert (headline == USUAL) == (words not in headline)
    return words in headline


def in_comparison(rows: list[Row], _: str) -> bool:
    """A run with the same engine 8 % slower gives no verdict (compare/runs.py)."""
    other = run(card_speed(FAST, 2.16, samples_ms=samples(1.08)), "s2")
    (pair,) = (pair for pair in compare(other, rows).pairs if pair.after.id == FAST["id"])
    return pair.verdict == UNCLEAR


def in_job_summary(rows: list[Row], words: str) -> bool:
    """A mark beside the figure and an annotation (github/job_summary.py)."""
    marked = "(rough)" in job_summary(rows)
    told = f"title={FAST['id']} is a rough timing::Take it as rough: {words.replace('%', '%25')}"
    assert marked == (told in "".join(annotations(rows)))
    return marked


def in_claims(rows: list[Row], _: str) -> bool:
    """The doubts that a promise about TensorRT is told with (findings/tensorrt_engines.py)."""
    return bool(tensorrt_engines.doubts(Session(rows, summarize(rows), 0.98), engine(rows)))


def in_recommendation(rows: list[Row], _: str) -> bool:
    """The advice to run it again (analysis/recommendation.py)."""
    (choice,) = recommend(rows)
    assert choice.case_ids == (FAST["id"],)
    return "run it again" in choice.text


def in_history(rows: list[Row], _: str) -> bool:
    """Kept out of every baseline (history/store.py)."""
    (line,) = (line for line in session_lines(rows) if line.get("case") == FAST["id"])
    return not line["trusted_speed"]


PLACES = (in_table, in_details, in_comparison, in_job_summary, in_claims, in_recommendation, in_history)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("code", DOUBTFUL)
def test_every_place_follows_every_caveat(code: str, place: Callable[[list[Row], str], bool]) -> None:
    rows = run(DOUBTFUL[code]())
    (caveat,) = caveats(engine(rows))
    assert caveat.code == code
    assert place(rows, caveat.words)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_place_doubts_a_reliable_timing(place: Callable[[list[Row], str], bool]) -> None:
    rows = run(timing())
    assert not caveats(engine(rows))
    assert not place(rows, "\N{BULLET}")


def test_a_drifting_timing_is_no_baseline_of_a_history_on_a_cpu_either() -> None:
    for shape, trusted in ((1.0, True), (1 + 0.2 * HALF, False)):
        lines = session_lines([session_row(), build(FAST), speed(FAST, 2.0, samples_ms=samples(shape)), end_row()])
        assert (lines[-1]["trusted_speed"], lines[-1]["trusted_end_to_end"]) == (trusted, trusted)


def test_the_second_clock_is_doubted_for_itself() -> None:
    """It makes no claim about device time, and the page says it all the same."""
    row = timing()
    row["values"]["end_to_end"]["steady"] = False
    rows = run(row)
    assert [each.code for each in caveats(engine(rows))] == ["timing.end_to_end_unsteady"]
    assert not unreliable(engine(rows)) and in_table(rows, "end-to-end not steady")
    (line,) = (line for line in session_lines(rows) if line.get("case") == FAST["id"])
    assert (line["trusted_speed"], line["trusted_end_to_end"]) == (True, False)


def test_a_difference_far_beyond_what_the_level_moved_holds() -> None:
    """A timing that drifted by 20 % is slower than one that takes a third of it."""
    drifted = run(timing(1 + 0.2 * HALF))
    fast = run(card_speed(FAST, 0.6, samples_ms=samples(0.3)), "s2")
    (pair,) = (pair for pair in compare(drifted, fast).pairs if pair.after.id == FAST["id"])
    assert pair.verdict == "faster"


@pytest.mark.parametrize("process", [1, 2, 3])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_drift_in_any_process_is_told(place: Callable[[list[Row], str], bool], process: int) -> None:
    each = [{"p50_ms": 2.0, "samples_ms": samples(), "steady": True} for _ in range(3)]
    each[process - 1]["samples_ms"] = samples(1 + 0.2 * HALF)
    row = timing(processes=each)
    del row["values"]["samples_ms"]
    rows = run(row)
    (caveat,) = caveats(engine(rows))
    assert (caveat.code, caveat.process) == ("timing.drift", process)
    assert place(rows, f"a drift while it was measured in process {process}")


def test_processes_that_have_other_levels_are_no_step() -> None:
    each = [{"p50_ms": 2.0 * level, "samples_ms": samples(level), "steady": True} for level in (1.0, 1.03)]
    row = timing(processes=each)
    del row["values"]["samples_ms"]
    assert caveats(engine(run(row))) == ()


def test_a_process_that_did_not_become_steady_is_told() -> None:
    each = [{"p50_ms": 2.0, "samples_ms": samples(), "steady": steady} for steady in (True, False)]
    found = caveats(engine(run(timing(steady=False, processes=each))))
    assert [(one.code, one.process) for one in found] == [("timing.unsteady", 2)]


def test_a_case_that_was_not_timed_has_no_caveat() -> None:
    (found,) = summarize([session_row(), build(FAST)])
    assert caveats(found) == () and not unreliable(found) and not gpu_contended(found)


LIMITED = {"throttled": True, "reasons": {"GpuIdle": 0.05, "SwPowerCap": 0.9}}


@pytest.mark.parametrize("place", PLACES[2:], ids=lambda place: place.__name__)
def test_a_busy_card_at_its_power_limit_is_no_doubt(place: Callable[[list[Row], str], bool]) -> None:
    rows = run(timing(state=LIMITED, throttled_retries=1))
    assert caveats(engine(rows)) == () and at_power_limit(engine(rows))
    assert not place(rows, "throttled")
    assert in_table(rows, "at the card&#39;s power limit") and in_details(rows, "at the card's power limit")


@pytest.mark.parametrize(
    ("reasons", "batch", "streams", "limited"),
    [
        ({"SwPowerCap": 0.9}, 8, 1, True),
        ({"SwPowerCap": 0.9}, 1, 2, True),
        # A lone sample of a change of clocks proves nothing.
        ({"SwPowerCap": 0.9, "HwSlowdown": 0.02}, 8, 1, True),
        # One image at a time: a caller that pauses between two may be served faster.
        ({"SwPowerCap": 0.9}, 1, 1, False),
        ({"SwPowerCap": 0.9, "HwSlowdown": 0.2}, 8, 1, False),
        ({"SwPowerCap": 0.9, "SwThermalSlowdown": 0.2}, 8, 2, False),
        ({"HwThermalSlowdown": 0.9}, 8, 2, False),
        ({"HwPowerBrakeSlowdown": 0.9}, 8, 2, False),
        ({"SwPowerCap": 0.08, "HwSlowdown": 0.08}, 8, 1, False),
        # Older records may not have the reasons.
        ({}, 8, 2, False),
    ],
)
def test_only_the_power_limit_alone_of_a_busy_card_is_what_it_sustains(
    reasons: dict[str, float], batch: int, streams: int, limited: bool
) -> None:
    each = {**case("tensorrt", "fp16", batch=batch), "streams": streams}
    state = {"throttled": True, "reasons": reasons}
    (found,) = summarize([session_row(gpu="x"), build(each), card_speed(each, 2.0, state=state), end_row()])
    assert at_power_limit(found) == limited and gpu_contended(found) != limited
    assert ("gpu.throttled" in [caveat.code for caveat in caveats(found)]) != limited


def test_the_second_clock_is_trusted_at_the_power_limit_too() -> None:
    rows = run(timing(state=LIMITED))
    timed = next(row for row in rows if row.get("question") == "speed" and row["case"]["id"] == FAST["id"])
    for state, trusted in ((LIMITED, True), ({"throttled": True, "reasons": {"HwSlowdown": 0.9}}, False)):
        timed["values"]["end_to_end"]["card"] = state
        (line,) = (line for line in session_lines(rows) if line.get("case") == FAST["id"])
        assert (line["trusted_speed"], line["trusted_end_to_end"]) == (True, trusted)


def test_power_limits_are_told_in_the_answer() -> None:
    (answer,) = answers(run(timing(state=LIMITED)))
    assert answer.sentence.endswith("; measured at the card's power limit: this is what the card sustains.")
    assert not answer.throughput.rough and answer.throughput.at_power_limit
