"""A run with `--history`: it is appended, compared, and fails where the history confirms that something is worse."""

import copy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reports.history.store import append, load
from reports.record.schema import Row
from tests.helpers.fake_workers import Done, session

OPTIONS = ("--backends", "one,two", "--batches", "1")
ONE, TWO = "clip-text-one-fp32-b1", "clip-text-two-fp32-b1"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    """A run into an empty history."""
    history = tmp_path_factory.mktemp("history") / "nights"
    return _run(tmp_path_factory.mktemp("output") / "output", history), history


def _run(output: Path, history: Path, *options: str) -> Done:
    return session(output, *OPTIONS, "--history", str(history), *options)


def _night(rows: list[Row], night: int, size: float = 1.0) -> list[Row]:
    """The rows of a run as another night's, `night` days earlier, with engines `size` times as large."""
    rows = copy.deepcopy(rows)
    for row in rows:
        row["session"] = f"night-{night:03d}"
        row["at"] = (datetime.fromisoformat(row["at"]) - timedelta(days=night)).isoformat()
        values: dict[str, Any] = row.get("values", {})
        if "size_bytes" in values:
            values["size_bytes"] = round(values["size_bytes"] * size)
    return rows


def _failures(done: Done) -> tuple[int, int]:
    return done.junit["failures"], done.junit["errors"]


def test_the_first_night_is_kept_and_judges_nothing(first: tuple[Done, Path]):
    done, history = first
    assert done.status == 0, done.said
    assert set(load(history)["case"]) == {ONE, TWO}


def test_a_confirmed_loss_fails_the_night_by_a_status_of_its_own(first: tuple[Done, Path], tmp_path: Path):
    """Twenty nights with smaller engines, two as they are now, and this one. (Time is no figure on a busy machine.)"""
    for night in range(22, 0, -1):
        append(tmp_path / "history", _night(first[0].rows, night, 0.9 if night > 2 else 1.0))
    done = _run(tmp_path / "output", tmp_path / "history", "-m", "build or history")
    assert done.status == 7, done.said
    assert "Broken: CLIP text · one FP32 · batch 1: size +11." in done.said
    assert _failures(done) == (1, 0)
    page = (done.output / "report.html").read_text()
    assert "larger since" in page and 'id="since"' in page
    assert done.rows[-1]["exit_status"] == 7


def test_a_case_that_ran_before_and_is_lost_is_told(first: tuple[Done, Path], tmp_path: Path):
    rows = first[0].rows
    gone = copy.deepcopy([row for row in rows if row.get("case", {}).get("id") == TWO])
    for row in gone:
        row["case"] |= {"id": "clip-text-two-int8-b1", "precision": "int8"}
    append(tmp_path / "history", _night([*rows[:-1], *gone, rows[-1]], 1))
    done = _run(tmp_path / "output", tmp_path / "history", "--precisions", "fp32,int8", "-m", "build or history")
    assert done.status == 7, done.said
    assert "Broken: CLIP text · two INT8 · batch 1: gave an answer on " in done.said
    assert _failures(done) == (1, 0)


def test_a_foreign_file_is_set_aside_and_costs_the_comparison_alone(tmp_path: Path):
    history = tmp_path / "history"
    assert _run(tmp_path / "first", history, "-m", "build or history").status == 0
    (file,) = history.glob("*.jsonl")
    file.write_text("not a history\n")
    done = _run(tmp_path / "second", history, "-m", "build or history")
    assert done.status == 1
    assert "not a history of this suite" in done.said and "Traceback" not in done.said
    (aside,) = history.glob("*set-aside*")
    assert aside.read_text() == "not a history\n"
    assert done.rows[-1]["kind"] == "end"


def test_a_part_of_a_matrix_is_no_night(tmp_path: Path):
    done = _run(tmp_path / "output", tmp_path, "--shard", "1/2")
    assert done.status == 4
    assert "a part of a matrix is no session of its own" in done.said
