import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.errors import BenchError
from fixtures.photos.base import Photo, PhotoError, PhotoFailure, describe_failures
from fixtures.photos.folder import photo_suffixes, photos_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "Fotos"
    for name in ("b.jpg", "a.PNG", "2024/Sommer/ü 1.jpeg", "2024/._x.jpg", "._b.jpg", ".trash/old.jpg", "notes.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def test_any_nesting_in_the_order_of_names_and_what_is_left_out_is_counted(folder: Path):
    found = photos_in(folder)
    assert [photo.name for photo in found] == ["2024/Sommer/ü 1.jpeg", "a.PNG", "b.jpg"]
    assert dict(found.ignored) == {"AppleDouble files (._*)": 2, "files of other kinds": 1, "hidden folders": 1}
    assert found.describe() == [
        f"3 photos in {folder}",
        "ignored: 2 AppleDouble files (._*), 1 files of other kinds, 1 hidden folders",
    ]


def test_links_in_a_circle_end(folder: Path):
    (folder / "2024" / "again").symlink_to(folder, target_is_directory=True)
    assert len(photos_in(folder)) == 3


def test_no_folder_and_no_photo_are_refused(tmp_path: Path):
    with pytest.raises(BenchError, match="not found"):
        photos_in(tmp_path / "absent")
    (tmp_path / "._a.jpg").touch()
    with pytest.raises(BenchError, match=r"holds no photo \(ignored: 1 AppleDouble"):
        photos_in(tmp_path)


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything: the refusal is the operating system's answer for one folder, given by hand."""
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("2024"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = photos_in(folder)
    assert [photo.name for photo in found] == ["a.PNG", "b.jpg"]
    assert found.failures == (PhotoFailure("2024", "the folder cannot be listed: Permission denied"),)


def test_suffixes_are_those_of_photos():
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif"} <= photo_suffixes()
    assert not {".pdf", ".eps", ".mpg", ".txt", ".h5", ".ico"} & photo_suffixes()


def test_reading_says_what_is_wrong(tmp_path: Path):
    with pytest.raises(PhotoError, match="gone since the folder was listed"):
        Photo(tmp_path / "gone.jpg", "gone.jpg").read()
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match=r"empty \(0 bytes\)"):
        Photo(tmp_path / "empty.jpg", "empty.jpg").read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_without_permission_is_named_as_another_user_sees_it(tmp_path: Path):
    path = tmp_path / "secret.jpg"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    path.chmod(0)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    child = os.fork()
    if child == 0:  # nobody, in a process of its own: an effective uid is given back with difficulty
        status = 1
        try:
            os.setuid(65534)
            Photo(path, "secret.jpg").read()
        except PhotoError as error:
            status = 0 if "no permission" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_failures_are_counted_and_three_are_named():
    failures = [PhotoFailure(f"{name}.jpg", "cut off") for name in "abcde"]
    assert describe_failures(failures, "could not be decoded") == (
        "5 photos could not be decoded: a.jpg (cut off), b.jpg (cut off), c.jpg (cut off) and 2 more"
    )
    assert describe_failures(failures[:1], "could not be decoded").startswith("1 photo could")
