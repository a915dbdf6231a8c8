import io
import json
import os
import shutil
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import polars
import pytest
from PIL import Image

from fixtures.photos.base import Photo
from fixtures.pipeline import feeding
from fixtures.pipeline.library import command
from fixtures.pipeline.library.command import ANSWERED, INTERRUPTED, NOT_RUN, SOME_FAILED, Failures, main
from fixtures.pipeline.library.journal import FileState, Journal
from fixtures.pipeline.library.output import as_row
from fixtures.pipeline.library.predictor import PhotoPredictor, PredictorSettings

pytestmark = pytest.mark.usefixtures("kept_open")

SERIAL = ("--suite", "embedded", "--device", "cpu", "--engines", "pytorch-fp32", "--overlap", "serial", "--batch", "4")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each photo was asked."""
    counts: Counter[str] = Counter()
    keep = command._keep

    def counting(journal: Journal, photo: Photo, state: FileState, *rest: Any) -> None:
        counts[photo.name] += 1
        keep(journal, photo, state, *rest)

    monkeypatch.setattr(command, "_keep", counting)
    return counts


@pytest.fixture
def run(engine_cache: Path, tmp_path: Path) -> Any:
    def call(folder: Path, *more: str, output: str = "answers.jsonl") -> tuple[int, list[dict[str, Any]]]:
        path = tmp_path / output
        status = main([str(folder), "--output", str(path), "--engine-cache", str(engine_cache), *SERIAL, *more])
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and path.suffix == ".jsonl" else []
        return status, [json.loads(line) for line in lines]

    return call


def test_every_photo_has_boxes_and_scenes_in_the_order_of_names(photo_folder: Path, run: Any):
    status, rows = run(photo_folder)
    assert status == ANSWERED
    assert [row["name"] for row in rows] == [f"day {1 + (n >= 6)}/{n:02d}.jpg" for n in range(12)]
    assert {(row["width"], row["height"]) for row in rows} == {(640, 480), (480, 640)}
    assert sum(bool(row["boxes"]) for row in rows) >= 10
    assert all(len(row["scenes"]) == 5 and row["scenes"][0]["label"].startswith("a photo of") for row in rows)
    for row in rows:
        for box in row["boxes"]:
            assert 0 <= box["x1"] < box["x2"] <= row["width"] and 0 <= box["y1"] < box["y2"] <= row["height"]


def test_the_class_answers_as_the_command_does(
    photo_folder: Path, run: Any, opened: dict[PredictorSettings, PhotoPredictor]
):
    _, rows = run(photo_folder)
    *_, predictor = opened.values()
    found = predictor.predict([photo_folder / row["name"] for row in rows])
    assert [as_row(row["name"], result) for row, result in zip(rows, found, strict=True)] == rows


def test_parquet_and_csv_by_suffix(photo_folder: Path, run: Any, tmp_path: Path):
    for suffix in ("parquet", "csv"):
        status, _ = run(photo_folder, output=f"answers.{suffix}")
        assert status == ANSWERED
    assert len(polars.read_parquet(tmp_path / "answers.parquet")) == 12
    assert len((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()) == 13


def broken_photos(folder: Path, good: bytes) -> dict[str, str]:
    """Files of every kind of damage, and a word of what must be said of each; empty where it must be answered."""
    stream = io.BytesIO()
    Image.new("L", (10_000, 10_000), 90).save(stream, "JPEG")
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 15_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    contents = {
        "truncated.jpg": (good[: len(good) // 2], "truncated"),
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"Dear diary, this is no photo.", "not an image"),
        "large.jpg": (stream.getvalue(), ""),
        "huge.png": (huge, "megapixels"),
        "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(200), "pillow-heif"),
        "half a header.jpg": (good[:30], "ends"),
        "fine.jpg": (good, ""),
    }
    for name, (data, _) in contents.items():
        (folder / name).write_bytes(data)
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "._fine.jpg").write_bytes(b"\0\5\x16\7")
    return {name: word for name, (_, word) in contents.items()} | {"gone.jpg": "No such file"}


def test_broken_photos_are_named_with_the_reason_and_cost_no_other_photo(
    drawn_bytes: list[bytes], tmp_path: Path, run: Any, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "mixed"
    folder.mkdir()
    expected = broken_photos(folder, drawn_bytes[0])
    for number, data in enumerate(drawn_bytes):  # progressive, grey and CMYK ones among them
        (folder / f"{number:02d}.jpg").write_bytes(data)
    status, rows = run(folder)
    assert status == SOME_FAILED
    errors = {row["name"]: row["error"] for row in rows}
    for name, word in expected.items():
        assert word in errors[name] if word else not errors[name], f"{name}: {errors[name]!r}"
    assert not any(errors[f"{number:02d}.jpg"] for number in range(12))
    told = capsys.readouterr().err
    for name, word in expected.items():
        assert not word or f"not answered: {name}: " in told
    assert "1 AppleDouble" in told and "14 of 21 photos are answered" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_photo_without_read_permission_is_named_as_another_user_sees_it(drawn_bytes: list[bytes], tmp_path: Path):
    path = tmp_path / "secret.jpg"
    path.write_bytes(drawn_bytes[0])
    path.chmod(0)
    os.seteuid(65534)
    try:
        found = feeding.read(feeding.Photo("secret.jpg", path))
    finally:
        os.seteuid(0)
    assert isinstance(found, Exception) and "ermission" in str(found)


def test_an_interrupted_run_goes_on_and_asks_no_photo_twice(
    photo_folder: Path, run: Any, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    append = Journal.append

    def interrupting(journal: Journal, row: Any, state: FileState) -> None:
        append(journal, row, state)
        if len(journal) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupting)
        status, rows = run(photo_folder)
    assert status == INTERRUPTED and not rows and asked.total() == 5
    status, rows = run(photo_folder)
    assert status == ANSWERED and len(rows) == 12
    assert set(asked.values()) == {1}
    # A folder that has grown, and a photo that was edited: these two are asked.
    shutil.copyfile(photo_folder / "day 1" / "00.jpg", photo_folder / "new.jpg")
    os.utime(photo_folder / "day 2" / "07.jpg", ns=(1, 1))
    status, rows = run(photo_folder)
    assert status == ANSWERED and len(rows) == 13
    assert asked["new.jpg"] == 1 and asked["day 2/07.jpg"] == 2 and asked.total() == 14


def test_a_folder_that_vanishes_ends_the_run_in_a_sentence_and_is_taken_up_again(
    photo_folder: Path,
    run: Any,
    asked: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    away = tmp_path / "unmounted"
    append = Journal.append

    def vanishing(journal: Journal, row: Any, state: FileState) -> None:
        append(journal, row, state)
        if len(journal) == 2:
            photo_folder.rename(away)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", vanishing)
        status, rows = run(photo_folder)
    told = capsys.readouterr().err
    assert status == SOME_FAILED and "vanished during the run" in told
    assert 2 <= sum(not row["error"] for row in rows) < 12
    before = dict(asked)
    away.rename(photo_folder)
    status, rows = run(photo_folder)
    assert status == ANSWERED and len(rows) == 12 and not any(row["error"] for row in rows)
    assert all(count == 1 for name, count in asked.items() if name in before and before[name] and name < "day 1/02")


def test_a_sub_folder_that_vanishes_costs_its_photos_alone(
    photo_folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    append = Journal.append

    def vanishing(journal: Journal, row: Any, state: FileState) -> None:
        append(journal, row, state)
        if len(journal) == 1:
            shutil.rmtree(photo_folder / "day 2")

    monkeypatch.setattr(Journal, "append", vanishing)
    status, rows = run(photo_folder)
    assert status == SOME_FAILED
    assert [bool(row["error"]) for row in rows] == [False] * 6 + [False] * 2 + [True] * 4 or [
        bool(row["error"]) for row in rows
    ] == [False] * 6 + [True] * 6
    assert "and 1 more" in capsys.readouterr().err or rows[6]["error"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--engines", "onnxruntime"), "is no engine"),
        (("--engines", "a-fp32,b-fp32,c-fp32"), "too many"),
        (("--engines", "tensorrt-fp16"), "cannot run"),
        (("--batch", "1025"), "out of range"),
        (("--decoder", "magic"), "choose among"),
        (("--prompts", "absent.txt"), "cannot be read"),
        (("--output", "a.docx"), "no format is known"),
    ],
)
def test_a_wrong_call_ends_in_a_sentence(
    photo_folder: Path, run: Any, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
):
    status, _ = run(photo_folder, *more)
    told = capsys.readouterr().err
    assert status == NOT_RUN and words in told and "hint:" in told and "Traceback" not in told


def test_another_pipeline_does_not_add_to_the_answers_of_the_first(
    photo_folder: Path, run: Any, capsys: pytest.CaptureFixture[str]
):
    assert run(photo_folder)[0] == ANSWERED
    assert run(photo_folder, "--confidence", "0.5")[0] == NOT_RUN
    assert "confidence was 0.25, is 0.5" in capsys.readouterr().err
    # How stages overlap decides no answer.
    assert run(photo_folder, "--overlap", "threads", "--workers", "1")[0] == ANSWERED


def test_failures_are_grouped_by_reason_and_few_are_named():
    failures = Failures()
    for number in range(5):
        failures.add(command.PhotoFailure(f"{number}.jpg", "cut off"))
    failures.add(command.PhotoFailure("x.jpg", "empty"))
    assert failures.total == 6
    assert failures.lines() == [
        "not answered: 0.jpg, 1.jpg, 2.jpg and 2 more: cut off",
        "not answered: x.jpg: empty",
    ]
