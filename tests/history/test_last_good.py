from pathlib import Path

import pandas as pd

from reports.history.last_good import last_good
from reports.history.store import append, load
from reports.record.schema import Row
from tests.helpers.rows import FAST, accuracy, build, card_speed, case, night

OLD, NEW = case("tensorrt", "int8"), case("trtexec", "int8")


def _told(each: Row, ratio: float) -> list[Row]:
    return [build(each), card_speed(each, 2.0), accuracy(each, ratio)]


def _history(folder: Path) -> pd.DataFrame:
    append(folder, night(0, *_told(FAST, 1.0), *_told(OLD, 0.9)))
    append(folder, night(1, *_told(FAST, 1.0), *_told(OLD, 0.9)))
    append(folder, night(2, *_told(FAST, 0.9), *_told(OLD, 0.9), *_told(NEW, 0.9)))
    append(folder, night(3, *_told(FAST, 1.0)))  # later sessions do not count
    return load(folder)


def test_a_broken_case_was_last_well_in_an_earlier_session_or_never(tmp_path: Path) -> None:
    assert last_good(_history(tmp_path), "s002") == {
        FAST["id"]: "passed last on 2026-01-01, commit c1",
        OLD["id"]: "never passed in 2 earlier sessions",
        NEW["id"]: "new in this session",
    }


def test_a_first_session_knows_nothing(tmp_path: Path) -> None:
    assert last_good(_history(tmp_path), "s000") == {}


def test_what_is_well_is_not_told(tmp_path: Path) -> None:
    assert last_good(_history(tmp_path), "s003") == {}
