"""The list of what GPUs have seen: written from the published runs, and the page holds what they say."""

import copy
from pathlib import Path

import pytest

from fixtures.doctor import support_page
from reports.record.schema import RECORD
from reports.record.store import Recorder, read_rows
from reports.record.tries import WORKS

ROWS = read_rows(support_page.PUBLISHED / "h200" / RECORD)


def test_the_page_is_what_the_published_runs_say():
    text = support_page.PAGE.read_text(encoding="utf-8")
    assert support_page.page(text) == text, "run `python -m fixtures.doctor.support_page`"


def test_a_line_written_by_hand_does_not_stay():
    text = support_page.PAGE.read_text(encoding="utf-8")
    assert support_page.page(text.replace("| `trtexec` | not yet", "| `trtexec` | NVIDIA H200: 3 models")) == text
    with pytest.raises(ValueError, match="the page has no"):
        support_page.page("nothing to fill")


def test_a_published_run_changes_the_list(tmp_path: Path):
    rows = copy.deepcopy([row for row in ROWS if row["kind"] != "case" or row["case"]["backend"] == "tensorrt"])
    rows[0]["environment"]["gpu"] = "NVIDIA GeForce RTX 2080 Ti"
    for row in rows[1:-1]:
        row["case"]["backend"] = "torch-tensorrt"
    (tmp_path / "night").mkdir()
    with Recorder(tmp_path / "night" / RECORD) as recorder:
        for row in rows:
            recorder.write(row)
    written = support_page.page(support_page.PAGE.read_text(encoding="utf-8"), tmp_path)
    assert written.count("NVIDIA GeForce RTX 2080 Ti: 3 models") == 3 and "NVIDIA H200" not in written.split("##")[0]
    line = next(line for line in written.splitlines() if line.startswith("| `torch-tensorrt` | NVIDIA"))
    assert "not yet" not in line


def test_only_what_was_timed_on_a_gpu_counts():
    seen = {(each.backend, each.precision): each for each in support_page.seen_in(ROWS)}
    assert ("trtexec", "fp32") not in seen  # listed there with the reason why it cannot run
    assert seen["ultralytics-engine", "int8"].failed == 1
    on_cpu = copy.deepcopy(ROWS[:1])
    on_cpu[0]["settings"]["device"] = "cpu"
    assert support_page.seen_in([*on_cpu, *ROWS[1:]]) == []


def test_small_networks_that_worked_there_count_as_such():
    one = {"network": "try-yolo", "backend": "trtexec", "precision": "fp16", "outcome": WORKS, "tolerance": 0.05}
    rows = [{**ROWS[0], "tries": [one, {**one, "precision": "int8", "outcome": "fails"}]}, *ROWS[1:]]
    line = next(each for each in support_page.table(support_page.seen_in(rows)).splitlines() if "`trtexec`" in each)
    assert line == "| `trtexec` | not yet | NVIDIA H200: small networks | not yet |"
