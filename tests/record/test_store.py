import errno
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from reports.errors import ReportError
from reports.record.schema import EndRow, new_session_id
from reports.record.store import Recorder, last_session, read_rows
from tests.helpers.rows import SESSION, build, case, end_row, session_row, speed

CASE = case("pytorch", "fp32")


def _write(path: Path, *rows: dict) -> None:
    with Recorder(path) as recorder:
        for row in rows:
            recorder.write(row)


def test_rows_come_back_in_order_from_folders_that_did_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one" / "rows.jsonl"
    rows = [session_row(), build(CASE), speed(CASE, 40.0), end_row()]
    _write(path, *rows)
    assert read_rows(path) == rows


def test_a_record_that_is_being_written_is_refused_to_another_run(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row())
        with pytest.raises(ReportError, match=r"(?s)another run is writing.*--output"):
            Recorder(path)
    Recorder(path).close()


def test_a_record_that_does_not_begin_with_its_session_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(end_row()) + "\n")
    with pytest.raises(ReportError, match="the first row must describe the session"):
        Recorder(path)


def test_a_row_is_readable_before_the_recorder_closes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row())
        assert len(read_rows(path)) == 1


def test_a_row_is_synced_to_the_disk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    _write(tmp_path / "rows.jsonl", session_row(), end_row())
    assert len(synced) == 2


def test_numbers_of_numpy_paths_and_nan_become_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    odd = {"size_bytes": np.int64(7), "ratio": math.nan, "path": Path("a"), "steady": np.bool_(True), "x": np.ones(2)}
    _write(path, session_row(), build(CASE, **odd))
    values = read_rows(path)[1]["values"]
    assert [values[key] for key in odd] == [7, None, "a", True, [1.0, 1.0]]


def test_a_dataclass_row_is_written_like_its_dict(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row())
        recorder.write(EndRow(SESSION, seconds=1.0, exit_status=0))
    assert read_rows(path)[1]["exit_status"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "cases"}, "kind 'cases'"),
        ({"question": "pace"}, "question 'pace'"),
        ({"outcome": "ok"}, "outcome 'ok'"),
        ({"case": {"id": "x"}}, "its case lacks model"),
        ({"values": None}, "values"),
        ({"session": None}, "names no session"),
    ],
)
def test_a_row_of_the_wrong_shape_is_refused_by_writer_and_reader(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    wrong = {**build(CASE), **change}
    with Recorder(path) as recorder:
        recorder.write(session_row())
        with pytest.raises(ValueError, match=message):
            recorder.write(wrong)
    with path.open("a") as file:
        file.write(json.dumps(wrong) + "\n")
    with pytest.raises(ReportError, match=rf"line 2: .*{message}"):
        read_rows(path)


def test_a_line_cut_off_by_a_crash_is_mentioned_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    _write(path, session_row(), build(CASE))
    with path.open("a") as file:
        file.write('{"kind": "case", "sess')
    assert read_rows(path) == [session_row(), build(CASE), {"kind": "torn", "line": 3, "bytes": 22}]


def test_a_new_session_may_follow_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    _write(path, session_row(), build(CASE))
    with path.open("a") as file:
        file.write('{"kind": "case"')
    _write(path, session_row(), end_row())
    rows = read_rows(path)
    assert [row["kind"] for row in rows] == ["session", "case", "torn", "session", "end"]
    assert last_session(rows) == [session_row(), end_row()]


def test_a_resumption_that_was_cut_off_at_once_is_forgiven_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    _write(path, session_row(), build(CASE))
    with path.open("a") as file:
        file.write('{"kind": "case"\n{"kind": "res')
    assert [row["kind"] for row in read_rows(path)] == ["session", "case", "torn", "torn"]
    _write(path, {**session_row(), "kind": "resume"}, end_row())
    assert [row["kind"] for row in read_rows(path)] == ["session", "case", "torn", "torn", "resume", "end"]


def test_a_torn_line_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    _write(path, session_row(), build(CASE), end_row())
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], lines[2]]) + "\n")
    with pytest.raises(ReportError, match=r"line 2: .*no JSON object"):
        read_rows(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0 a picture", b"[1, 2]\n", b'{"kind": "end", "session": "x"}\n']
)
def test_a_foreign_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(ReportError, match="foreign, line 1"):
        read_rows(path)


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**session_row(), "schema": 2}) + "\n")
    with pytest.raises(ReportError, match="schema is 2, this version reads 1"):
        read_rows(path)


def test_a_missing_record_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"absent\.jsonl: cannot read the record: No such file.*\n.*hint"):
        read_rows(tmp_path / "absent.jsonl")


def test_the_recorder_does_not_append_to_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(ReportError, match="line 1"):
        Recorder(path)
    assert path.read_text() == "my notes\n"


def test_a_folder_that_cannot_be_made_is_an_error_that_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"rows\.jsonl: cannot open.*\n.*writable output folder"):
        Recorder(tmp_path / "file" / "rows.jsonl")


def test_a_read_only_folder_is_an_error_that_says_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ReportError, match="Read-only file system"):
        Recorder(tmp_path / "rows.jsonl")


def test_a_full_disk_keeps_the_rows_before_and_leaves_no_half_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    real_write, room = os.write, [20]

    def write(file: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(file, data[: room.pop()])

    with Recorder(path) as recorder:
        recorder.write(session_row())
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(ReportError, match="No space left on device"):
                recorder.write(build(CASE))
        assert read_rows(path) == [session_row()]
        recorder.write(end_row())
    assert read_rows(path) == [session_row(), end_row()]


def test_a_disk_that_fails_at_the_sync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row())
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ReportError, match="No space left on device"):
            recorder.write(build(CASE))
    assert read_rows(path)[0] == session_row()


def test_session_ids_sort_by_time_and_differ() -> None:
    ids = {new_session_id() for _ in range(20)}
    assert len(ids) > 1
    assert all(len(name) == len(SESSION) for name in ids)
