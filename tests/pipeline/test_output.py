import csv
import json
import os
from pathlib import Path

import polars
import pytest

from fixtures.errors import BenchError
from fixtures.pipeline.base import Box, PhotoResult, Scene
from fixtures.pipeline.library.output import Row, as_row, check_output, write_output


@pytest.fixture
def rows() -> list[Row]:
    boxes = (Box(1.23456, 2, 3, 4, 0.98765432, "dog"), Box(0, 0, 1, 1, 0.5, "dog"), Box(0, 0, 1, 1, 0.4, "cat"))
    answered = PhotoResult("/x/a.jpg", 30, 40, boxes, (Scene("a beach", 0.31), Scene("a lake", 0.3)))
    return [
        as_row("ü/a, b.jpg", answered),
        as_row("plain.jpg", PhotoResult("/x/plain.jpg", 30, 40)),
        as_row("bad.jpg", PhotoResult("/x/bad.jpg", error="the JPEG is truncated")),
    ]


def test_a_row_says_what_the_result_says(rows: list[Row]):
    assert rows[0]["name"] == "ü/a, b.jpg" and (rows[0]["width"], rows[0]["height"]) == (40, 30)
    assert rows[0]["boxes"][0] == {"label": "dog", "score": 0.987654, "x1": 1.23, "y1": 2, "x2": 3, "y2": 4}
    assert rows[0]["scenes"] == [{"label": "a beach", "score": 0.31}, {"label": "a lake", "score": 0.3}]


@pytest.mark.parametrize("suffix", ["jsonl", "JSONL"])
def test_json_lines(rows: list[Row], tmp_path: Path, suffix: str):
    path = tmp_path / f"answers.{suffix}"
    write_output(path, rows)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == rows


def test_csv(rows: list[Row], tmp_path: Path):
    path = tmp_path / "answers.csv"
    write_output(path, rows)
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [each["name"] for each in found] == ["ü/a, b.jpg", "plain.jpg", "bad.jpg"]
    assert (found[0]["objects"], found[0]["scene"], found[0]["scene_score"]) == ("dog 2; cat 1", "a beach", "0.31")
    assert json.loads(found[0]["boxes"]) == rows[0]["boxes"]
    assert found[2]["error"] == "the JPEG is truncated" and found[2]["scene"] == ""


def test_parquet_has_its_types_whatever_the_rows(rows: list[Row], tmp_path: Path):
    path = tmp_path / "answers.parquet"
    write_output(path, rows)
    frame = polars.read_parquet(path)
    assert frame["name"].to_list() == [row["name"] for row in rows]
    assert [len(boxes) for boxes in frame["boxes"]] == [3, 0, 0]
    assert frame["boxes"][0][0]["label"] == "dog"
    assert frame["boxes"][0][0]["x1"] == pytest.approx(1.23)
    assert frame["error"].to_list() == ["", "", "the JPEG is truncated"]
    write_output(path, [])
    assert polars.read_parquet(path).schema == frame.schema and polars.read_parquet(path).is_empty()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_a_name_that_is_no_utf_8_is_written_all_the_same(tmp_path: Path, suffix: str):
    name = os.fsdecode(b"caf\xe9.jpg")
    path = tmp_path / f"answers.{suffix}"
    write_output(path, [as_row(name, PhotoResult(name, 1, 1))])
    assert path.stat().st_size > 0
    if suffix == "parquet":
        assert polars.read_parquet(path)["name"].to_list() == ["caf\N{REPLACEMENT CHARACTER}.jpg"]


def test_a_failed_write_leaves_the_older_file_and_no_draft(rows: list[Row], tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    write_output(path, rows[:1])

    def breaking() -> object:
        yield rows[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(BenchError, match="No space left"):
        write_output(path, breaking())
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["answers.jsonl"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("answers.xlsx", "suffix '.xlsx'"), ("absent/answers.csv", "folder does not exist"), ("answers", "suffix ''")],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path, name: str, words: str):
    with pytest.raises(BenchError, match=words):
        check_output(tmp_path / name)
    check_output(tmp_path / "answers.parquet")
