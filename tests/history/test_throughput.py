"""Pipelines and served models over the nights: kept, told where they became slower, and quiet where they did not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.__main__ import main
from reports.findings.base import Code
from reports.findings.reading import read
from reports.history.session_regressions import Regression, judge
from reports.history.store import append, load
from reports.html.page import render
from reports.record.pipeline import PipelineSpeed, StageTime
from reports.record.schema import Row
from tests.helpers import serving
from tests.helpers.pipelines import pipeline_row
from tests.helpers.rows import FAST, build, card_speed, end_row, night
from tests.helpers.serving import serving_row

PIPELINE, MODEL = "photo-fast", "triton-yolov8n"
URL = "http://host:8000"
NOISE = 0.01


def pipeline(photos_per_second: float, half: float = 0.03, steady: bool = False) -> Row:
    """As most pipelines on an H200 were: not steady, and known to a few percent."""
    speed = PipelineSpeed(
        stages=tuple(StageTime(name=name, wall_ms=1.0, cpu_ms=1.0) for name in ("decode", "detector")),
        whole_ms=2.0,
        photos_per_second=photos_per_second,
        low=photos_per_second * (1 - half),
        high=photos_per_second * (1 + half),
        overlap="serial",
        steady=steady,
    )
    return pipeline_row(PIPELINE, speed=speed)


def served(*p50_ms: float) -> Row:
    """Loads of 1, 4 and 16 callers at these milliseconds a request."""
    loads = (serving.load(callers, ms) for callers, ms in zip((1, 4, 16), p50_ms, strict=True))
    return serving_row(MODEL, serving.speed(*loads))


def nights(folder: Path, slower_pipeline: float = 1.0, slower_loads: tuple[float, ...] = (1.0, 1.0, 1.0)) -> list[Row]:
    """Thirty nights, from the 26th on slower by these factors; the rows of the last."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for number in range(30):
        late = number >= 25
        at = [float(np.exp(rng.normal(0, NOISE))) for _ in range(4)]
        ms = [10.0 * each * (slower if late else 1.0) for each, slower in zip(at[1:], slower_loads, strict=True)]
        rows = night(number, pipeline(700 * at[0] / (slower_pipeline if late else 1.0)), served(*ms))
        append(folder, rows)
    return rows


def told(folder: Path, session: str = "s029") -> list[tuple[str, str, str]]:
    return [(each.kind, each.case, each.figure) for each in judge(load(folder), session)]


def test_a_session_keeps_its_pipelines_and_each_load_of_its_served_models(tmp_path: Path) -> None:
    append(tmp_path, night(0, pipeline(700.0), served(10.0, 10.0, 10.0)))
    kept = load(tmp_path).set_index("case")["throughput_per_second"]
    assert list(kept.index) == [
        f"{PIPELINE}-12mp",
        MODEL,
        *(f"{MODEL} at {URL}, {callers}" for callers in ("1 caller", "4 callers", "16 callers")),
    ]
    assert list(kept.drop(MODEL)) == pytest.approx([700.0, 100.0, 400.0, 1600.0])


def test_a_slower_pipeline_is_a_regression(tmp_path: Path) -> None:
    rows = nights(tmp_path, slower_pipeline=1.10)
    (slower,) = judge(load(tmp_path), "s029")
    assert (slower.kind, slower.case, slower.level) == ("regression", f"{PIPELINE}-12mp", "fail")
    size, rest = slower.sentence.split(" lower since ")
    assert size.startswith(("throughput is 8.", "throughput is 9.")) and rest.startswith("2026-01-02 (commit c24..c25")
    low, high = map(float, size.split("(")[1].rstrip(")").split("–"))
    assert 6 < low < 9.1 < high < 12
    # On the page, too, and in what the run comes to.
    assert f"{PIPELINE}-12mp: {slower.sentence}." in render(rows, load(tmp_path))
    assert [each.code for each in read([*rows, {**end_row(7), "session": "s029"}], [slower]).broken] == [Code.HISTORY]


def test_a_served_model_that_is_slower_under_many_callers_alone_is_told_of_them_alone(tmp_path: Path) -> None:
    nights(tmp_path, slower_loads=(1.0, 1.0, 1.12))
    assert told(tmp_path) == [("regression", f"{MODEL} at {URL}, 16 callers", "throughput")]


def test_those_that_stayed_the_same_are_not_told_and_a_faster_one_neither(tmp_path: Path) -> None:
    nights(tmp_path / "same")
    nights(tmp_path / "faster", slower_pipeline=0.8, slower_loads=(0.8, 0.8, 0.8))
    assert told(tmp_path / "same") == told(tmp_path / "faster") == []


def test_a_threshold_names_a_pipeline(tmp_path: Path) -> None:
    nights(tmp_path, slower_pipeline=1.10)
    (tmp_path / "thresholds.toml").write_text('["photo-*"]\nspeed = 0.2\n')
    assert told(tmp_path) == []


def test_another_server_begins_another_series(tmp_path: Path) -> None:
    for number in range(30):
        row = served(*((10.0,) * 3 if number < 25 else (20.0,) * 3))
        if number >= 25:
            row["serving"] = {**row["serving"], "server": "http://elsewhere:8000"}
        append(tmp_path, night(number, row))
    assert told(tmp_path) == []


def broken_night(folder: Path, *rows: Row) -> list[Regression]:
    good = (build(FAST), card_speed(FAST, 2.0))
    append(folder, night(0, *good, pipeline(700.0), served(10.0, 10.0, 10.0)))
    append(folder, night(1, *good, *rows))
    return judge(load(folder), "s001")


def test_what_gives_no_answer_any_more_has_vanished_once(tmp_path: Path) -> None:
    refused = serving_row(MODEL, None, "error", "the connection was refused")
    cannot: dict[str, Any] = pipeline_row(PIPELINE)
    gone = broken_night(tmp_path, cannot, refused)
    assert [(each.kind, each.case) for each in gone] == [
        ("vanished", f"{PIPELINE}-12mp"),
        ("vanished", MODEL),
    ]
    assert "was skipped" in gone[0].sentence and "nvimagecodec needs an NVIDIA GPU" in gone[0].sentence
    # The error itself is told, with its reason; that it is gone is not told beside it.
    own = [*night(1, cannot, refused), {**end_row(6), "session": "s001"}]
    codes = [each.code for each in read(own, gone).broken]
    assert codes.count(Code.HISTORY) == 1 and Code.SERVING_ERROR in codes


def test_a_night_without_them_says_nothing_and_one_with_them_alone_nothing_of_the_cases(tmp_path: Path) -> None:
    assert broken_night(tmp_path / "without") == []
    append(tmp_path / "alone", night(0, build(FAST), card_speed(FAST, 2.0), pipeline(700.0)))
    append(tmp_path / "alone", night(1, pipeline(700.0)))
    assert told(tmp_path / "alone", "s001") == []


def test_history_show_has_their_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nights(tmp_path, slower_pipeline=1.10)
    assert main(["history", "show", str(tmp_path), "--case", "photo-"]) == 0
    shown = capsys.readouterr().out
    assert "throughput" in shown and " per second" in shown and "regression: throughput is" in shown
