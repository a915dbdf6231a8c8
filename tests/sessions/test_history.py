"""A run with `--history`: it is appended, compared, and fails where the history confirms that something is worse."""

import copy
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reports.history.store import append, load
from reports.record.schema import Row
from reports.record.store import last_session, read_rows
from tests.helpers.runs import run_bench

OPTIONS = (
    *("--suite", "embedded", "--models", "clip-text", "--backends", "pytorch", "--precisions", "fp32,fp16"),
    *("--batches", "1", "--measure-seconds", "0.3"),
)
FP32, FP16 = "clip-text-pytorch-fp32-b1", "clip-text-pytorch-fp16-b1"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def first(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path, Path]:
    """A run into an empty history."""
    output, history = tmp_path_factory.mktemp("output"), tmp_path_factory.mktemp("history") / "nights"
    done = _run(cache, output, history)
    return done, output, history


def _run(cache: Path, output: Path, history: Path, *more: str) -> subprocess.CompletedProcess[str]:
    junit = ("--junitxml", str(output / "junit.xml"))
    return run_bench(
        *OPTIONS, *junit, "--engine-cache", str(cache), "--output", str(output), "--history", str(history), *more
    )


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


def _failures(output: Path) -> tuple[str | None, str | None]:
    suite = ElementTree.parse(output / "junit.xml").getroot()[0]
    return suite.get("failures"), suite.get("errors")


def test_the_first_night_is_kept_and_judges_nothing(
    first: tuple[subprocess.CompletedProcess[str], Path, Path],
):
    done, _, history = first
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(load(history)["case"]) == {FP32, FP16}


def test_a_confirmed_loss_fails_the_night_by_a_status_of_its_own(
    first: tuple[subprocess.CompletedProcess[str], Path, Path], cache: Path, tmp_path: Path
):
    """Twenty nights with smaller engines, two as they are now, and this one. (Time is no figure on a busy machine.)"""
    rows = last_session(read_rows(first[1] / "rows.jsonl"))
    for night in range(22, 0, -1):
        append(tmp_path / "history", _night(rows, night, 0.9 if night > 2 else 1.0))
    done = _run(cache, tmp_path, tmp_path / "history", "-m", "build or history")
    assert done.returncode == 7, done.stdout + done.stderr
    assert f"regression: {FP32}: size is 11." in done.stdout
    assert _failures(tmp_path) == ("1", "0")
    page = (tmp_path / "report.html").read_text()
    assert "larger since" in page and 'id="since"' in page
    assert read_rows(tmp_path / "rows.jsonl")[-1]["exit_status"] == 7


def test_a_case_that_ran_before_and_is_lost_is_told(
    first: tuple[subprocess.CompletedProcess[str], Path, Path], cache: Path, tmp_path: Path
):
    rows = last_session(read_rows(first[1] / "rows.jsonl"))
    gone = copy.deepcopy([row for row in rows if row.get("case", {}).get("id") == FP16])
    for row in gone:
        row["case"] |= {"id": "clip-text-pytorch-int8-b1", "precision": "int8"}
    append(tmp_path / "history", _night([*rows[:-1], *gone, rows[-1]], 1))
    done = _run(cache, tmp_path, tmp_path / "history", "--precisions", "fp32,int8", "-m", "build or history")
    assert done.returncode == 7, done.stdout + done.stderr
    assert "vanished: clip-text-pytorch-int8-b1" in done.stdout
    assert _failures(tmp_path) == ("1", "0")


def test_a_foreign_file_is_set_aside_and_costs_the_comparison_alone(cache: Path, tmp_path: Path):
    history = tmp_path / "history"
    assert _run(cache, tmp_path / "first", history, "-m", "build or history").returncode == 0
    (file,) = history.glob("*.jsonl")
    file.write_text("not a history\n")
    done = _run(cache, tmp_path / "second", history, "-m", "build or history")
    assert done.returncode == 1
    assert "not a history of this suite" in done.stdout and "Traceback" not in done.stdout
    (aside,) = history.glob("*set-aside*")
    assert aside.read_text() == "not a history\n"
    assert [row["kind"] for row in read_rows(tmp_path / "second" / "rows.jsonl")][-1] == "end"


def test_a_part_of_a_matrix_is_no_night(tmp_path: Path):
    done = run_bench(*OPTIONS, "--shard", "1/2", "--history", str(tmp_path))
    assert done.returncode == 4
    assert "a part of a matrix is no session of its own" in done.stderr
