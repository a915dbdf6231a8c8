"""Downloads against a server on this machine: resumed, checked, and said."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fixtures.assets import downloads
from fixtures.assets.downloads import RemoteFile, bar, fetch, fetch_coco
from fixtures.errors import BenchError

CONTENT = bytes(range(256)) * 20_000  # 5 MB: several reads


class Server(ThreadingHTTPServer):
    """Serves `files`, and cuts the connection after `cuts` bytes of an answer, once for each entry."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/file.bin": CONTENT}
        self.cuts: list[int] = []
        self.asked: list[str] = []
        self.ranges = True

    def remote(self, name: str = "file.bin") -> RemoteFile:
        content = self.files[f"/{name}"]
        address = f"http://127.0.0.1:{self.server_port}/{name}"
        return RemoteFile(address, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start : start + cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_comes_whole_with_a_bar_and_once(server: Server, tmp_path: Path):
    lines: list[str] = []
    path = fetch(server.remote(), tmp_path, lines.append)
    assert path.read_bytes() == CONTENT and [each.name for each in tmp_path.iterdir()] == ["file.bin"]
    assert any("file.bin: [" in line and "of 5 MB" in line for line in lines)
    fetch(server.remote(), tmp_path, lines.append)
    assert len(server.asked) == 1


def test_what_was_cut_off_is_gone_on_with(server: Server, tmp_path: Path):
    server.cuts = [1_500_000, 2_000_000]
    assert fetch(server.remote(), tmp_path, lambda _: None).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=1500000-", "bytes=3500000-"]


def test_an_earlier_session_is_gone_on_with(server: Server, tmp_path: Path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:4_000_000])
    assert fetch(server.remote(), tmp_path, lambda _: None).read_bytes() == CONTENT
    assert server.asked == ["bytes=4000000-"]


def test_a_server_that_cannot_resume_begins_again(server: Server, tmp_path: Path):
    server.ranges = False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:4_000_000])
    assert fetch(server.remote(), tmp_path, lambda _: None).read_bytes() == CONTENT


def test_another_content_is_not_kept(server: Server, tmp_path: Path):
    remote = server.remote()
    server.files["/file.bin"] = b"x" * len(CONTENT)
    with pytest.raises(BenchError, match=r"what came is not the file"):
        fetch(remote, tmp_path, lambda _: None)
    assert not list(tmp_path.iterdir())


def test_what_fails_says_where_and_keeps_what_came(server: Server, tmp_path: Path):
    server.cuts = [1000] * 5
    with pytest.raises(BenchError, match=r"what came is not the file|could not be downloaded"):
        fetch(server.remote(), tmp_path, lambda _: None)
    with pytest.raises(BenchError, match=r"404|Not Found"):
        fetch(RemoteFile(server.remote().address + "x", 10, ""), tmp_path, lambda _: None)


def test_a_disk_without_room_is_said_before(server: Server, tmp_path: Path):
    with pytest.raises(BenchError, match=r"huge.bin needs \d+ MB, and .* has \d+ MB left"):
        fetch(RemoteFile(server.remote().address.replace("file", "huge"), 10**18, ""), tmp_path, lambda _: None)
    assert not server.asked


def _archive(names: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return written.getvalue()


def test_coco_is_its_validation_set_alone(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server.files["/val2017.zip"] = _archive({"val2017/1.jpg": b"one", "val2017/2.jpg": b"two"})
    server.files["/annotations.zip"] = _archive(
        {downloads.ANNOTATION_MEMBER: b"{}", "annotations/captions.json": b"no"}
    )
    monkeypatch.setattr(downloads, "VAL2017", server.remote("val2017.zip"))
    monkeypatch.setattr(downloads, "ANNOTATIONS", server.remote("annotations.zip"))
    root = tmp_path / "coco"
    images, annotations = fetch_coco(root, lambda _: None)
    assert (images, annotations) == (root / "images/val2017", root / "annotations/instances_val2017.json")
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert found == ["annotations/instances_val2017.json", "images/val2017/1.jpg", "images/val2017/2.jpg"]
    fetch_coco(root, lambda _: None)
    assert len(server.asked) == 2


def test_the_whole_of_coco_is_a_gigabyte():
    assert downloads.VAL2017.size_bytes + downloads.ANNOTATIONS.size_bytes < 1.1e9


def test_a_bar_fills():
    assert [bar(share) for share in (0, 0.25, 1)] == [
        "[--------------------]   0 %",
        "[#####---------------]  25 %",
        "[####################] 100 %",
    ]
