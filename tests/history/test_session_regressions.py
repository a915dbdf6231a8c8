from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.__main__ import main
from reports.errors import ReportError
from reports.findings.history import history_findings
from reports.findings.run import find
from reports.github.job_summary import annotations, job_summary
from reports.history.regressions import TRACKED, Verdict
from reports.history.session_regressions import WORSE, Regression, judge, sentence
from reports.history.store import COLUMNS, append, load
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.rows import FAST, accuracy, build, card_speed, case, end_row, night, row
from tests.html.test_page import _Page

OTHER = case("pytorch", "fp32")
BATCH_1 = case("tensorrt", "fp16", batch=1)
INT8 = case("tensorrt", "int8")
RNG_SEED, NOISE = 0, 0.004


def nights(folder: Path, count: int = 30, slow_from: int = 99, share: float = 1.06, **slow: str) -> None:
    """`count` sessions of FAST at 2 ms; from `slow_from` on it takes `share` of that, in the environment `slow`."""
    rng = np.random.default_rng(RNG_SEED)
    for number in range(count):
        late = number >= slow_from
        p50 = 2.0 * float(np.exp(rng.normal(0, NOISE))) * (share if late else 1.0)
        append(folder, night(number, build(FAST), card_speed(FAST, p50), **(slow if late else {})))


def kinds(history: pd.DataFrame, session: str) -> list[tuple[str, str]]:
    return [(one.kind, one.figure) for one in judge(history, session)]


def test_a_confirmed_loss_is_a_regression_with_its_size_its_commits_and_what_changed(tmp_path: Path):
    nights(tmp_path, slow_from=25, driver="581.7", torch="2.16.0", commit="f00dfeed" * 5)
    slower, end_to_end = judge(load(tmp_path), "s029")
    assert (slower.kind, slower.case, slower.figure, slower.level) == ("regression", FAST["id"], "device time", "fail")
    size, rest = slower.sentence.split(" longer since ")
    assert size.startswith(("device time is 5.", "device time is 6."))
    low, high = map(float, size.split("(")[1].rstrip(")").split("–"))
    assert low < 6 < high < 8
    assert rest == "2026-01-02 (commit c24..f00dfee; driver 580.1 → 581.7 and torch 2.15.0 → 2.16.0)"
    assert end_to_end.figure == "end-to-end latency"


def test_a_case_that_stayed_the_same_or_came_back_is_not_told(tmp_path: Path):
    nights(tmp_path / "same")
    assert judge(load(tmp_path / "same"), "s029") == []
    for number in range(40):
        append(tmp_path / "back", night(number, build(FAST), card_speed(FAST, 2.2 if 20 <= number < 30 else 2.0)))
    back = load(tmp_path / "back")
    assert judge(back, "s039") == [] and ("regression", "device time") in kinds(back, "s029")


def test_a_cell_that_never_ran_does_not_make_those_left_out_vanish(tmp_path: Path):
    """With -k a night has fewer cases; that its backend cannot do INT8 was so before."""
    refused = row(case("pytorch", "int8"), "matrix", outcome="skipped", reason="needs a graph")
    everything = (build(FAST), card_speed(FAST, 2.0), build(OTHER), card_speed(OTHER, 8.0), refused)
    append(tmp_path, night(0, *everything))
    append(tmp_path, night(1, build(FAST), card_speed(FAST, 2.0), build(INT8), card_speed(INT8, 2.0), refused))
    assert kinds(load(tmp_path), "s001") == []


def test_later_sessions_do_not_count(tmp_path: Path):
    nights(tmp_path, slow_from=25)
    assert judge(load(tmp_path), "s024") == []
    assert kinds(load(tmp_path), "s025") == [("unclear", "device time"), ("unclear", "end-to-end latency")]


def test_a_doubt_says_what_is_missing_and_is_told_only_of_a_figure_of_this_session(tmp_path: Path):
    nights(tmp_path, slow_from=29)
    doubt = judge(load(tmp_path), "s029")[0]
    assert (doubt.kind, doubt.level) == ("unclear", "warn")
    assert doubt.sentence.startswith("device time may be ") and "not sure: 1 night only" in doubt.sentence
    append(tmp_path, night(30, build(FAST), card_speed(FAST, 2.0, steady=False)))
    assert judge(load(tmp_path), "s030") == []


def test_a_regression_stays_through_a_night_without_the_figure_but_not_without_the_case(tmp_path: Path):
    nights(tmp_path, slow_from=25)
    append(tmp_path, night(30, build(FAST), card_speed(FAST, 2.0, steady=False)))
    append(tmp_path, night(31, build(OTHER), card_speed(OTHER, 9.0)))
    assert kinds(load(tmp_path), "s030")[0] == ("regression", "device time")
    assert judge(load(tmp_path), "s031") == []


def test_another_device_has_its_own_past(tmp_path: Path):
    nights(tmp_path, slow_from=25)
    other = night(30)
    other[0]["environment"]["gpu"] = "NVIDIA L4"
    append(tmp_path, other)
    assert judge(load(tmp_path), "s030") == []


def test_a_slow_walk_is_a_drift(tmp_path: Path):
    rng = np.random.default_rng(RNG_SEED)
    for number in range(60):
        p50 = 2.0 * float(np.exp(0.002 * number + rng.normal(0, NOISE)))
        append(tmp_path, night(number, build(FAST), card_speed(FAST, p50)))
    drift = judge(load(tmp_path), "s059")[0]
    assert (drift.kind, drift.level) == ("drift", "warn")
    assert drift.sentence.startswith("device time drifted: 1") and "[" not in drift.sentence


def _verdict(figure: str, change: float, low: float, high: float, commit: str = "") -> Verdict:
    sides = ({"session": name, "at": "2026-11-20T01:00:00+00:00", "commit": commit} for name in ("s1", "s2"))
    return Verdict("confirmed", "card", "case", figure, change, low, high, 3, "", *sides, {})


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (
            _verdict("accuracy ratio", -0.011, -0.02, 0.001),
            "accuracy ratio is 1.1 points (-0.1–2.0) lower",
        ),
        (_verdict("build seconds", 1.3, 1.2, 1.4), "build seconds are 30.0\u202f% (20.0–40.0) more"),
        (_verdict("size", 1.06, 1.06, 1.06), "size is 6.0\u202f% (6.0–6.0) larger"),
    ],
)
def test_a_figure_is_worse_in_its_own_words_and_unit(verdict: Verdict, said: str):
    assert sentence(verdict) == f"{said} since 2026-11-20 (session s1..s2; same versions)"


def test_one_commit_on_both_sides_is_said_to_be_the_same():
    verdict = _verdict("size", 1.06, 1.06, 1.06, "0123456789+changes")
    assert "(same commit 0123456+; same versions)" in sentence(verdict)


def test_every_watched_figure_has_its_words():
    assert {figure.name for figure in TRACKED} == set(WORSE)


def _two_nights(folder: Path, *tonight: Row, before: tuple[Row, ...] = (), driver: str = "580.1") -> list[Regression]:
    first = [build(OTHER), card_speed(OTHER, 9.0), build(FAST), card_speed(FAST, 2.0), *before]
    append(folder, night(0, *first))
    append(folder, night(1, *tonight, driver=driver))
    return judge(load(folder), "s001")


def test_a_case_that_gave_an_answer_and_now_gives_none_has_vanished(tmp_path: Path):
    stopped = row(FAST, "build", outcome="error", reason="CudaError: out of memory\nmore")
    (gone,) = _two_nights(tmp_path, build(OTHER), card_speed(OTHER, 9.0), stopped, driver="581.7")
    assert (gone.kind, gone.case, gone.level) == ("vanished", FAST["id"], "fail")
    assert gone.sentence == (
        "gave an answer on 2026-01-01, now it stopped with an error (commit c0..c1; driver 580.1 → 581.7): "
        "build error: CudaError: out of memory"
    )


def test_a_case_that_failed_its_gate_gave_an_answer_before_and_gives_one_now(tmp_path: Path):
    skipped = row(FAST, "matrix", outcome="skipped", reason="no card")
    failed = accuracy(FAST, 0.9)
    assert _two_nights(tmp_path / "now", build(OTHER), failed) == []
    (gone,) = _two_nights(tmp_path / "before", build(OTHER), skipped, before=(failed,))
    assert "now it was skipped" in gone.sentence and gone.sentence.endswith(": matrix skipped: no card")


def test_a_case_that_gave_no_answer_before_has_not_vanished(tmp_path: Path):
    stopped = row(INT8, "build", outcome="error", reason="no kernel")
    assert _two_nights(tmp_path, build(OTHER), build(FAST), stopped, before=(stopped,)) == []


def test_nothing_has_vanished_where_nothing_ran(tmp_path: Path):
    stopped = [row(one, "build", outcome="error", reason="the disk is full") for one in (OTHER, FAST)]
    assert _two_nights(tmp_path, *stopped) == []


def test_a_smaller_matrix_is_no_loss_but_a_hole_in_one_that_failed_is(tmp_path: Path):
    both = build(BATCH_1)
    assert _two_nights(tmp_path / "backend", build(OTHER)) == []
    assert _two_nights(tmp_path / "batch", build(OTHER), build(FAST), before=(both,)) == []
    idle = row(INT8, "build", outcome="error", reason="it crashed")
    fp16 = case("pytorch", "fp16")
    assert _two_nights(tmp_path / "precision", build(OTHER), idle) == []
    assert _two_nights(tmp_path / "other batch", build(OTHER), build(FAST), idle, before=(both,)) == []
    (gone,) = _two_nights(tmp_path / "hole", build(fp16), idle)
    assert gone.case == FAST["id"] and "now it is not in this session" in gone.sentence


def test_a_session_that_the_history_does_not_have_is_an_error(tmp_path: Path):
    with pytest.raises(ReportError, match="does not have session s7"):
        judge(load(tmp_path), "s7")
    assert list(load(tmp_path).columns) == list(COLUMNS)


SINCE = [
    Regression("regression", "a|b", "device time", "device time is 5.2 % longer"),
    Regression("vanished", "c", "answer", "gave an answer, now it was skipped"),
    Regression("unclear", "d", "size", "size may be larger"),
]
ROWS = [*night(0, build(FAST), card_speed(FAST, 2.0), accuracy(FAST, 1.0)), end_row()]


def test_the_summary_tells_it_after_the_verdict_and_does_not_say_that_nothing_failed():
    page = job_summary(ROWS, since=SINCE)
    assert "- ❌ **Regression** a&vert;b: device time is 5.2 % longer" in page
    assert "- ❌ **Vanished** c: " in page and "- ⚠️ **Unclear** d: size may be larger" in page
    assert page.index("Nothing failed in this run by itself.") < page.index("### Since when") < page.index("img/s |")
    assert "Since when" not in job_summary(ROWS) and "Nothing failed. The one" in job_summary(ROWS)


def test_annotations_are_errors_for_what_is_lost_and_warnings_for_doubts():
    assert annotations(ROWS, since=SINCE) == [
        "::error title=a|b%3A regression::device time is 5.2 %25 longer",
        "::error title=c%3A answer vanished::gave an answer, now it was skipped",
        "::warning title=d%3A unclear::size may be larger",
    ]
    assert annotations(ROWS) == []


def test_the_verdict_of_the_report_has_the_sentences_by_their_gravity():
    found = find(ROWS, history_findings(SINCE))
    assert [finding.level for finding in found[:2]] == ["fail", "fail"] and found[0].text.startswith("a|b: device time")
    doubt_only = find(ROWS, history_findings(SINCE[2:]))
    assert any(finding.text.startswith("Nothing failed. ") for finding in doubt_only)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    nights(tmp_path / "history", count=29, slow_from=26)
    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        for one in night(29, build(FAST), card_speed(FAST, 2.12)):
            recorder.write(one)
    return path


def test_the_commands_add_a_run_and_tell_what_is_worse(record: Path, capsys: pytest.CaptureFixture[str]):
    history = str(record.with_name("history"))
    assert main(["history", "add", str(record), "--history", history]) == 0
    assert capsys.readouterr().out.strip() == f"{history}/nvidia-h200--580.1.history.jsonl"
    assert main(["summary", str(record), "--annotations", "--history", history]) == 0
    told = capsys.readouterr().out
    assert "### Since when" in told and "%3A regression::device time is " in told
    assert main(["render", str(record), "--history", history]) == 0
    assert (
        "YOLOv8n · TensorRT FP16 · batch 8 : device time is " in _Page(record.with_name("report.html").read_text()).text
    )
    assert main(["render", str(record)]) == 0
    assert "longer since" not in record.with_name("report.html").read_text()


def test_a_broken_history_costs_the_page_its_own_part_only(record: Path, capsys: pytest.CaptureFixture[str]):
    history = str(record.with_name("history"))
    assert main(["summary", str(record), "--annotations", "--history", history]) == 2
    told = capsys.readouterr()
    assert told.out.startswith("::error title=Not compared with the history::the history does not have session s029")
    assert "## image-engine-bench" in told.out and "python -m reports history add" in told.err
    assert main(["render", str(record), "--history", history]) == 2


def test_a_run_that_stopped_before_its_first_answer_has_no_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with Recorder(tmp_path / "rows.jsonl") as recorder:
        recorder.write(night(0)[0])
    assert main(["summary", str(tmp_path / "rows.jsonl"), "--history", str(tmp_path)]) == 0
    assert "did not finish" in capsys.readouterr().out


def test_a_history_is_shown_as_a_table_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    nights(tmp_path, slow_from=26)
    append(tmp_path, night(30, build(FAST), card_speed(FAST, 2.1), row(INT8, "build", outcome="error", reason="x")))
    assert main(["history", "show", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "yolov8n-tensorrt-fp16-b8 on NVIDIA H200, 31 sessions, the last 2026-01-02: passed"
    head, device, _, _, size = shown[1:6]
    assert head.split() == ["figure", "nights", "latest", "level", "verdict"]
    assert device.split("  ")[1] == "device time" and " 31  2.10 ms  2.1" in device and "regression: device" in device
    assert size.startswith("  size") and size.endswith("6.50\u202fMB  6.50\u202fMB  –")
    assert "1 session, the last 2026-01-02: error: build error: x" in "\n".join(shown)
    assert main(["history", "show", str(tmp_path), "--case", "int8"]) == 0
    shown = capsys.readouterr().out
    assert "no figure to be trusted" in shown and "fp16" not in shown


def test_a_history_without_the_case_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["history", "show", str(tmp_path)]) == 0
    append(tmp_path, night(0))
    assert main(["history", "show", str(tmp_path), "--case", "openvino"]) == 0
    assert capsys.readouterr().out == "this history is empty\nno such case in this history\n"
