import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.cache.engine_cache import EngineCache
from fixtures.cache.eviction import MANIFEST, artifacts
from fixtures.environment.folders import scratch_folder
from fixtures.errors import BenchError
from fixtures.locks import LOCKS


class Builder:
    """Counts how often it is asked, and writes what it is told to."""

    def __init__(self, content: bytes = b"engine") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, path: Path) -> dict[str, object]:
        self.calls += 1
        path.write_bytes(self.content)
        return {"layers": {"fp32": 3}}


def test_an_engine_is_built_once_and_found_by_content(tmp_path: Path):
    build = Builder()
    first = EngineCache(tmp_path).get("case", "model.onnx", {"graph": "a"}, build)
    second = EngineCache(tmp_path).get("case", "model.onnx", {"graph": "a"}, build)
    assert build.calls == 1
    assert (first.cached, second.cached) == (False, True)
    assert first.path == second.path
    assert second.path.read_bytes() == b"engine"
    assert second.details == {"layers": {"fp32": 3}}
    assert second.build_seconds == first.build_seconds
    assert second.sha256 == first.sha256


def test_another_ingredient_is_another_engine(tmp_path: Path):
    build = Builder()
    cache = EngineCache(tmp_path)
    assert cache.get("case", "f", {"batch": 1}, build).path != cache.get("case", "f", {"batch": 8}, build).path
    assert build.calls == 2


def _truncate(path: Path) -> None:
    path.write_bytes(b"eng")


def _change(path: Path) -> None:
    path.write_bytes(b"enginE")


def _tear_the_manifest(path: Path) -> None:
    manifest = path.parent / MANIFEST
    manifest.write_text(manifest.read_text()[:20])


def _empty_the_manifest(path: Path) -> None:
    (path.parent / MANIFEST).write_text("[]")


def _lose_the_manifest(path: Path) -> None:
    (path.parent / MANIFEST).unlink()


def _make_it_from_something_else(path: Path) -> None:
    manifest = path.parent / MANIFEST
    manifest.write_text(manifest.read_text().replace('"graph": "a"', '"graph": "b"'))


def _link_the_file_elsewhere(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _link_the_folder_elsewhere(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.parent.rename(elsewhere)
    path.parent.symlink_to(elsewhere)


def _put_a_file_in_place_of_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_bytes(b"in the way")


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        _truncate,
        _change,
        _tear_the_manifest,
        _empty_the_manifest,
        _lose_the_manifest,
        _make_it_from_something_else,
        _link_the_file_elsewhere,
        _link_the_folder_elsewhere,
        _put_a_file_in_place_of_the_folder,
    ],
)
def test_a_damaged_or_foreign_engine_is_built_again(tmp_path: Path, damage: Callable[[Path], None]):
    build = Builder()
    path = EngineCache(tmp_path).get("case", "f", {"graph": "a"}, build).path
    damage(path)
    again = EngineCache(tmp_path).get("case", "f", {"graph": "a"}, build)
    assert build.calls == 2
    assert again.path.read_bytes() == b"engine"
    assert not again.path.is_symlink()
    assert not again.cached
    assert EngineCache(tmp_path).get("case", "f", {"graph": "a"}, build).cached


def test_an_engine_copied_under_the_name_of_another_is_not_run(tmp_path: Path):
    cache = EngineCache(tmp_path)
    one = cache.get("case", "f", {"batch": 1}, Builder(b"one")).path
    eight = cache.get("case", "f", {"batch": 8}, Builder(b"eight")).path
    shutil.rmtree(eight.parent)
    shutil.copytree(one.parent, eight.parent)
    assert cache.get("case", "f", {"batch": 8}, Builder(b"eight")).path.read_bytes() == b"eight"


def test_what_a_compiler_adds_beside_its_engine_does_not_spoil_it(tmp_path: Path):
    build = Builder()
    path = EngineCache(tmp_path).get("case", "f", {}, build).path
    (path.parent / "kernels").mkdir()
    (path.parent / "kernels" / "kernel.so").touch()
    assert EngineCache(tmp_path).get("case", "f", {}, build).cached
    EngineCache(tmp_path, rebuild=True).get("case", "f", {}, build)
    assert not (path.parent / "kernels").exists()


def test_an_engine_is_built_where_it_stays(tmp_path: Path):
    """Compilers keep absolute paths in what they write; after a move they would compile again."""

    def build(path: Path) -> dict[str, object]:
        path.write_text(str(path))
        return {}

    artifact = EngineCache(tmp_path).get("case", "f", {}, build)
    assert artifact.path.read_text() == str(artifact.path)


def test_ingredients_may_be_tuples(tmp_path: Path):
    build = Builder()
    for _ in range(2):
        EngineCache(tmp_path).get("case", "f", {"shape": (1, 3)}, build)
    assert build.calls == 1


def test_to_find_an_engine_builds_none(tmp_path: Path):
    cache = EngineCache(tmp_path)
    assert cache.find("net", "net.bin", {"a": 1}) is None and not list(tmp_path.glob("net-*"))
    made = cache.get("net", "net.bin", {"a": 1}, Builder())
    for checked in (True, False):
        found = EngineCache(tmp_path).find("net", "net.bin", {"a": 1}, checked=checked)
        assert found and (found.sha256, found.path, found.cached) == (made.sha256, made.path, True)
        assert cache.find("net", "net.bin", {"a": 2}, checked=checked) is None
    assert EngineCache(tmp_path, rebuild=True).find("net", "net.bin", {"a": 1}) is None
    made.path.write_bytes(b"ENGINE")
    assert cache.find("net", "net.bin", {"a": 1}) is None
    unchecked = cache.find("net", "net.bin", {"a": 1}, checked=False)
    assert unchecked and unchecked.sha256 == made.sha256
    made.path.unlink()
    assert cache.find("net", "net.bin", {"a": 1}, checked=False) is None


def test_rebuild_builds_once_a_session(tmp_path: Path):
    build = Builder()
    EngineCache(tmp_path).get("case", "f", {}, build)
    cache = EngineCache(tmp_path, rebuild=True)
    first, second = (cache.get("case", "f", {}, build) for _ in range(2))
    assert build.calls == 2
    assert not first.cached
    assert not second.cached  # this session built it, if not just now


def test_rebuild_builds_once_for_all_processes_of_a_session(tmp_path: Path):
    build, shared = Builder(), tmp_path / "session"
    shared.mkdir()
    EngineCache(tmp_path / "cache").get("case", "f", {}, build)
    for _ in range(2):
        artifact = EngineCache(tmp_path / "cache", rebuild=True, rebuilt=shared).get("case", "f", {}, build)
        assert not artifact.cached
    assert build.calls == 2


def test_what_a_builder_lacks_is_not_blamed_on_the_cache(tmp_path: Path):
    def no_compiler(_path: Path) -> dict[str, object]:
        raise FileNotFoundError(2, "No such file or directory", "g++")

    def full(_path: Path) -> dict[str, object]:
        raise OSError(28, "No space left on device")

    with pytest.raises(RuntimeError, match=r"FileNotFoundError.*g\+\+"):
        EngineCache(tmp_path).get("case", "f", {}, no_compiler)
    with pytest.raises(BenchError, match=r"cannot be written.*No space"):
        EngineCache(tmp_path).get("case", "f", {}, full)


@pytest.mark.parametrize("error", [RuntimeError("builder crashed"), KeyboardInterrupt()])
def test_a_failed_build_leaves_nothing_behind(tmp_path: Path, error: BaseException):
    def fail(path: Path) -> dict[str, object]:
        path.write_bytes(b"half")
        raise error

    cache = EngineCache(tmp_path)
    with pytest.raises(type(error)):
        cache.get("case", "f", {}, fail)
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    assert list((tmp_path / LOCKS).glob("*.holder")) == []
    said: list[str] = []
    EngineCache(tmp_path, progress=said.append).get("case", "f", {}, Builder())
    assert said == []  # the lock is free: nobody waited


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    cache = EngineCache(tmp_path / "file" / "cache")
    with pytest.raises(BenchError, match=r"(?s)file.*--engine-cache"):
        cache.get("case", "f", {}, Builder())
    with pytest.raises(BenchError, match=r"(?s)file.*--engine-cache"):
        cache.side_file("timing.cache")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_named(tmp_path: Path):
    def build(path: Path) -> dict[str, object]:
        path.write_bytes(b"half")
        Path("/dev/full").write_bytes(b"the other half")
        return {}

    with pytest.raises(BenchError, match=r"(?s)No space left on device.*free some space"):
        EngineCache(tmp_path).get("case", "f", {}, build)
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_full_disk_is_named_where_the_writer_has_no_word_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ONNX Runtime says "Protobuf serialization failed"; there is room again once its half a file is gone."""
    left: list[Path] = []

    def build(path: Path) -> dict[str, object]:
        with scratch_folder(path.parent) as folder:
            left.append(folder / "half")
            left[0].write_bytes(b"half")
            raise RuntimeError("serialization failed")

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0 if left and left[0].exists() else 1 << 30)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(BenchError, match=r"(?s)No space left on device.*free some space"):
        EngineCache(tmp_path).get("case", "f", {}, build)
    assert not left[0].exists()


def test_a_folder_that_can_only_be_read_serves_what_it_holds(tmp_path: Path):
    EngineCache(tmp_path).get("case", "f", {}, Builder())
    shutil.rmtree(tmp_path / LOCKS)
    (tmp_path / LOCKS).write_text("in the way")  # as good as read-only, also for root
    build = Builder()
    assert EngineCache(tmp_path).get("case", "f", {}, build).cached
    assert build.calls == 0
    with pytest.raises(BenchError, match="cannot be written"):
        EngineCache(tmp_path).get("another", "f", {}, build)
    with pytest.raises(BenchError, match="cannot be written"):
        EngineCache(tmp_path, rebuild=True).get("case", "f", {}, build)


def test_a_side_file_is_shared_and_no_artifact(tmp_path: Path):
    cache = EngineCache(tmp_path, limit_bytes=1)
    path = cache.side_file("timing.cache")
    path.write_bytes(bytes(100))
    cache.get("case", "f", {}, Builder())
    assert EngineCache(tmp_path).side_file("timing.cache").read_bytes() == bytes(100)
    assert len(artifacts(tmp_path)) == 1
    with pytest.raises(ValueError, match=r"\.\./escape"):
        cache.side_file("../escape")


def test_a_negative_limit_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="-1 bytes"):
        EngineCache(tmp_path, limit_bytes=-1)


def test_the_manifest_says_what_the_engine_was_made_from(tmp_path: Path):
    path = EngineCache(tmp_path).get("case", "f", {"precision": "int8"}, Builder()).path
    assert json.loads((path.parent / MANIFEST).read_text())["ingredients"] == {"precision": "int8"}


@pytest.mark.parametrize("damage", ["truncate", "delete", "swap"])
def test_files_that_an_engine_consists_of_are_checked_with_it(tmp_path: Path, damage: str):
    builds = []

    def build(path: Path) -> dict[str, object]:
        builds.append(path)
        path.write_text("graph")
        (path.parent / "plans").mkdir()
        (path.parent / "plans" / "one").write_text("a plan of TensorRT")
        (path.parent / "compiled").write_text("a compiler's own")
        return {"files": ["plans/one"]}

    first = EngineCache(tmp_path).get("case", "f", {}, build)
    assert first.size_bytes == len("graph") + len("a plan of TensorRT")
    (first.path.parent / "compiled").write_text("more")
    found = EngineCache(tmp_path).get("case", "f", {}, build)
    assert found.cached and found.sha256 == first.sha256
    plan = first.path.parent / "plans" / "one"
    if damage == "delete":
        plan.unlink()
    else:
        plan.write_text("a plan" if damage == "truncate" else "another of TensorR")
    again = EngineCache(tmp_path).get("case", "f", {}, build)
    assert not again.cached and len(builds) == 2 and again.sha256 == first.sha256
