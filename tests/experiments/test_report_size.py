"""The page of a full matrix with 60 nights stays small enough to be sent around: below a megabyte."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures import ROOT
from fixtures.accuracy.examples import thumbnail
from reports.history import store
from reports.html.page import render
from reports.record.schema import Row
from reports.record.store import read_rows

PUBLISHED = ROOT / "reports" / "published" / "h200" / "rows.jsonl"
NIGHTS, MOST_BYTES = 60, 1_000_000


def _rows(batches: tuple[int, ...]) -> list[Row]:
    """The published rows at these batch sizes, with the thumbnails that were taken out of the published record."""
    luck = np.random.default_rng(0)
    photograph = np.clip(np.cumsum(luck.normal(0, 6, (480, 640, 3)), axis=1) + 128, 0, 255).astype(np.uint8)
    picture = thumbnail(photograph)
    session, *rows = read_rows(PUBLISHED)
    cases = [row for row in rows if row["kind"] == "case"]
    full: list[Row] = [session]
    for row, batch in ((row, batch) for row in cases for batch in batches):
        again = copy.deepcopy(row)
        again["case"] |= {"id": row["case"]["id"].replace("-b8", f"-b{batch}"), "batch": batch}
        for one in again["values"].get("changed_images") or []:
            one["picture"] = picture
        full.append(again)
    return [*full, rows[-1]]


@pytest.mark.parametrize("batches", [(8,), (1, 8)], ids=["every case has its charts", "few have"])
def test_a_full_matrix_with_sixty_nights_is_below_a_megabyte(tmp_path: Path, batches: tuple[int, ...]):
    rows = _rows(batches)
    store.append(tmp_path, rows)
    last = store.load(tmp_path)
    at = pd.to_datetime(rows[0]["at"])
    earlier = [
        last.assign(session=f"{night:03}", at=(at - pd.Timedelta(days=NIGHTS - night)).isoformat())
        for night in range(1, NIGHTS)
    ]
    page = render(rows, pd.concat([*earlier, last], ignore_index=True))
    assert page.count("<img ") >= 24 and f"The last {NIGHTS} nights" in page
    assert len(page.encode()) < MOST_BYTES
