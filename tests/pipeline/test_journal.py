import json
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from fixtures.errors import BenchError
from fixtures.pipeline.library.journal import FileState, Journal, state_of

ASKED = {"decoder": "pil", "yolo": "yolov8n.pt abc"}
STATE = FileState(10, 1_700_000_000_000_000_000)


def row(name: str, error: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "width": 4, "height": 3, "boxes": [], "scenes": [], "error": error, **more}


def test_answers_are_there_after_the_process_and_come_in_the_order_asked_for(tmp_path: Path):
    path = tmp_path / "a.journal"
    with Journal(path, ASKED) as journal:
        journal.append(row("b.jpg"), STATE)
        journal.append(row("ä 1.jpg", boxes=[{"label": "dog"}]), STATE)
    with Journal(path, ASKED) as journal:
        assert len(journal) == 2
        assert journal.is_answered("b.jpg", STATE) and not journal.is_answered("c.jpg", STATE)
        assert list(journal.rows(["ä 1.jpg", "absent.jpg", "b.jpg"])) == [
            row("ä 1.jpg", boxes=[{"label": "dog"}]),
            row("b.jpg"),
        ]


def test_every_place_to_be_killed_at_leaves_whole_answers(tmp_path: Path):
    """A killed process leaves a prefix of what it wrote: each prefix is tried."""
    path = tmp_path / "a.journal"
    with Journal(path, ASKED) as journal:
        for number in range(3):
            journal.append(row(f"{number}.jpg"), STATE)
    whole = path.read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Journal(path, ASKED) as journal:
            lines = sum(end <= cut for end in ends)
            assert len(journal) == max(lines - 1, 0)
            journal.append(row("again.jpg"), STATE)
        with Journal(path, ASKED) as journal:
            assert journal.is_answered("again.jpg", STATE)
        assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_a_changed_file_and_a_failed_photo_are_asked_again_and_the_last_answer_counts(tmp_path: Path):
    with Journal(tmp_path / "a.journal", ASKED) as journal:
        journal.append(row("a.jpg"), STATE)
        assert not journal.is_answered("a.jpg", FileState(11, STATE.modified_ns))
        journal.append(row("b.jpg", error="cut off"), STATE)
        assert not journal.is_answered("b.jpg", STATE)
        journal.append(row("b.jpg", width=9), STATE)
        assert journal.is_answered("b.jpg", STATE)
        assert [each["width"] for each in journal.rows(["a.jpg", "b.jpg"])] == [4, 9]


def test_answers_of_another_pipeline_are_not_mixed_in(tmp_path: Path):
    path = tmp_path / "a.journal"
    with Journal(path, ASKED) as journal:
        journal.append(row("a.jpg"), STATE)
    before = path.read_bytes()
    with pytest.raises(BenchError, match=r"answers to something else: decoder was pil, is opencv"):
        Journal(path, {**ASKED, "decoder": "opencv"})
    assert path.read_bytes() == before
    with Journal(path, ASKED) as journal:
        assert len(journal) == 1


@pytest.mark.parametrize("content", [b"no journal\n", b'{"format": 0, "asked": {}}\n', b"[]\n"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"a\.journal"):
        Journal(path, ASKED)
    assert path.read_bytes() == content


def test_two_writers_are_refused(tmp_path: Path):
    path = tmp_path / "a.journal"
    with Journal(path, ASKED), pytest.raises(BenchError, match="another process is writing"):
        Journal(path, ASKED)
    with Journal(path, ASKED):
        pass


def test_a_disk_that_takes_no_more_is_an_error_and_costs_no_answer(tmp_path: Path):
    path = tmp_path / "a.journal"
    with Journal(path, ASKED) as journal:
        journal.append(row("a.jpg"), STATE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
    try:
        with (
            Journal(path, ASKED) as journal,
            pytest.raises(BenchError, match=r"cannot be written.*\n.*free some space"),
        ):
            journal.append(row("b.jpg"), STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    with Journal(path, ASKED) as journal:
        assert journal.is_answered("a.jpg", STATE) and len(journal) == 1


def test_the_state_of_a_file_changes_with_it(tmp_path: Path):
    path = tmp_path / "a.jpg"
    assert state_of(path) == state_of(tmp_path / "other.jpg")
    path.write_bytes(b"1")
    before = state_of(path)
    path.write_bytes(b"22")
    assert before.size_bytes == 1 and state_of(path) != before
