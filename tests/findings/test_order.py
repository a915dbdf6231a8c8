"""What broke comes first, each with what to do; everything else is a doubt of a kind, and nothing is lost."""

import re
from pathlib import Path
from typing import Any

from reports.findings.base import Code, Finding
from reports.findings.order import MEND, MEND_RUN, RESUME, Mend, Quietness, broken, doubts, doubts_line
from reports.findings.reading import Reading, read
from reports.history.session_regressions import judge
from reports.record.schema import Row
from tests.helpers.rows import accuracy, answered, build, card_speed, case, end_row, row, session_row
from tests.helpers.runs_to_read import rehearsal, troubled

BASE, WRONG, CRASHED = case("pytorch", "fp32"), case("tensorrt", "int8"), case("torch-compile", "fp16")
ROWS: list[Row] = [
    session_row(),
    *answered(BASE, 80.0),
    *answered(WRONG, 10.0, 0.9),
    row(CRASHED, "build", outcome="error", reason="no compiler"),
    end_row(6),
]


def test_every_failure_has_what_to_do_and_the_cases_it_is_about() -> None:
    found = {each.code: each for each in read(ROWS).broken}
    assert found[Code.GATE_FAILED].case_ids == (WRONG["id"],) and found[Code.STAGE_ERROR].case_ids == (CRASHED["id"],)
    assert found[Code.GATE_FAILED].mend == MEND[Code.GATE_FAILED]
    assert found[Code.STAGE_ERROR].line == (
        "YOLOv8n · torch.compile FP16 · batch 8: the build crashed: no compiler. "
        f"Its log is on the page. Once that is mended, run it again: {RESUME}"
    )
    assert (found[Code.STAGE_ERROR].happened, found[Code.GATE_FAILED].happened) == ("crashed", "failed the gate")


def test_a_command_stands_apart_from_the_sentences() -> None:
    for each in MEND.values():
        assert each.advice[0].isupper() and not re.search(r"--|python -m|pytest", each.advice)


def test_a_failure_of_the_run_itself_has_no_place() -> None:
    (found,) = read([session_row(), *answered(BASE, 80.0)]).broken
    assert (found.code, found.where, found.mend) == (Code.RUN_UNFINISHED, "", MEND_RUN)


def test_an_interval_that_reaches_the_gate_asks_for_more_images() -> None:
    near = [session_row(), *answered(BASE, 80.0), *answered(WRONG, 10.0, 0.975), end_row(1)]
    (found,) = read(near).broken
    assert found.mend == Mend("The interval reaches the gate: more evaluation images would decide.")
    assert f"{found.where}: {found.found} {found.advice}" in [finding.text for finding in read(near).found]


def _troubled(folder: Path) -> Reading:
    rows, history = troubled(folder)
    return read(rows, judge(history, rows[0]["session"]), history)


def test_a_history_says_since_when_and_tells_no_crash_twice(tmp_path: Path) -> None:
    reading = _troubled(tmp_path)
    crash, gate, slower = reading.broken
    assert crash.since == gate.since == "passed last on 2026-01-01, commit c18"
    assert slower.code == Code.HISTORY and slower.happened == "became worse"
    # Two figures of one case, since one day: one line.
    assert "device time is 25.0" in slower.found and " and end-to-end latency is 21.1" in slower.found
    assert slower.since == "since 2026-01-01 (commit c15..c16; same versions)" and "since" not in slower.found
    told = [each for each in reading.broken if any("torch-compile" in each_id for each_id in each.case_ids)]
    assert told == [crash]
    assert reading.status.worse == 1


def test_every_finding_is_either_broken_or_a_doubt(tmp_path: Path) -> None:
    for reading in (read(ROWS), read(rehearsal()), _troubled(tmp_path)):
        told = [finding for kind in reading.doubts for finding in kind.findings]
        left = [finding for finding in reading.found if finding not in told and finding.level != "fail"]
        assert left == [] and len(reading.found) >= 2


def test_a_kind_is_told_with_its_count_and_its_cases() -> None:
    kinds = {kind.code: kind for kind in read(rehearsal()).doubts}
    moved = kinds[Code.TIMING_MOVED]
    assert moved.title == "18 timings moved or spread" and len(moved.case_ids) == 18 and moved.level == "warn"
    assert kinds[Code.MATRIX_NOT_RUN].title == "108 cases did not run"


def test_a_code_without_a_title_is_told_under_its_own_name() -> None:
    (kind,) = doubts([Finding(Code.COMPARE_UNCLEAR, "warn", "Unclear.")])
    assert kind.title == "compare: unclear"


def test_the_line_names_the_gravest_kinds_and_counts_the_others() -> None:
    assert doubts_line(read(rehearsal()).doubts) == (
        "18 timings moved or spread; 26 accuracies not certain; 6 engines in another precision; "
        "12 engines slower than FP32; 3 notes"
    )
    assert doubts_line(()) == ""


def test_cases_last_well_on_different_days_have_no_one_answer() -> None:
    finding = Finding(Code.GATE_FAILED, "fail", "fails its gate", "two", ("a", "b"))
    assert broken([finding], [], {"a": "passed last on 2026-01-01", "b": "new in this session"})[0].since == ""
    assert broken([finding], [], {"a": "new in this session"})[0].since == "new in this session"


def test_whether_the_machine_was_quiet_is_told_in_few_words() -> None:
    watched = {"sm_clock_mhz": 1980.0, "foreign": "", "throttled": False}
    shared = {**watched, "foreign": "another process computed on the GPU: 4242"}

    def run(*states: dict[str, Any]) -> Quietness | None:
        rows = [session_row(gpu="NVIDIA H200")]
        for precision, state in zip(("fp32", "fp16"), states, strict=True):
            one = case("pytorch", precision)
            rows += [build(one), card_speed(one, 4.0, state=state), accuracy(one, 1.0)]
        return read([*rows, end_row()]).quietness

    assert run(watched, watched) == Quietness("quiet", "yes: no throttling and no other process was seen on the GPU")
    busy = run(watched, shared)
    assert busy == Quietness("busy", "no: 1 of 2 timings were disturbed") and busy.short == "no"
    on_cpu = read([session_row(), *answered(BASE, 80.0), *answered(WRONG, 10.0), end_row()]).quietness
    assert on_cpu == Quietness("not watched", "not watched (only a GPU is); 0 of 2 timings are rough")
    assert on_cpu.short == "not watched" and read([session_row(), end_row()]).quietness is None


def test_a_busy_card_at_its_power_limit_is_quiet() -> None:
    state = {"throttled": True, "reasons": {"SwPowerCap": 0.9}}
    limited = [build(BASE), card_speed(BASE, 4.0, state=state, throttled_retries=1), accuracy(BASE, 1.0)]
    quiet = read([session_row(gpu="NVIDIA H200"), *limited, end_row()]).quietness
    assert quiet == Quietness("quiet", "yes: no other process was seen on the GPU; 1 timing at its power limit")


def test_what_was_throttled_at_first_and_measured_again_is_quiet() -> None:
    again = [build(BASE), card_speed(BASE, 4.0, throttled_retries=1), accuracy(BASE, 1.0)]
    quiet = read([session_row(gpu="NVIDIA H200"), *again, end_row()]).quietness
    assert quiet == Quietness("quiet", "yes: 1 throttled timing measured again")


def test_a_case_that_became_worse_is_known_to_its_card(tmp_path: Path) -> None:
    rows, history = troubled(tmp_path / "history")
    found = read(rows, judge(history, rows[0]["session"]), history)
    assert found.became_worse and found.became_worse < {each.id for each in found.cases}
