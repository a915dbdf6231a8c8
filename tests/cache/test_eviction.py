import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.cache.engine_cache import EngineCache, say_nothing
from fixtures.cache.eviction import MANIFEST, SESSIONS, artifacts, total_bytes
from fixtures.locks import LOCKS, hold
from tests.helpers.cache_worker import ROOT, Worker

MEGABYTE = 1_000_000
INCREMENTS = 15


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    folder = tmp_path / "signals"
    folder.mkdir()
    return folder


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def _write_megabyte(path: Path) -> dict[str, object]:
    path.write_bytes(bytes(MEGABYTE))
    return {}


def _fill(root: Path, *labels: str) -> None:
    """Artifacts of 1 MB from a session that is over; the first was used longest ago."""
    cache = EngineCache(root)
    for age, label in enumerate(reversed(labels), start=1):
        folder = cache.get(label, "engine", {}, _write_megabyte).path.parent
        os.utime(folder / MANIFEST, (1e9 - age, 1e9 - age))


def _labels(root: Path) -> set[str]:
    return {folder.name.rpartition("-")[0] for folder in artifacts(root)}


def test_two_processes_do_not_build_the_same_engine(tmp_path: Path, signals: Path, workers: list[Worker]):
    root = tmp_path / "cache"
    (signals / "end").touch()
    workers.append(first := Worker(root, "engine", signals))
    first.hear("building")
    workers.append(second := Worker(root, "engine", signals))
    second.hear("waiting for")
    assert f"waiting for process {first.process.pid} on" in second.said[-1]
    (signals / "go").touch()
    assert first.finish()[-1] == "cached: False, half an engine"
    assert second.finish()[-1] == "cached: True, half an engine"
    assert len(second.said) == 2  # it waited once, and built nothing
    assert (signals / "builds").read_text().split() == [str(first.process.pid)]


def test_who_waits_builds_when_the_builder_is_killed(tmp_path: Path, signals: Path, workers: list[Worker]):
    root = tmp_path / "cache"
    (signals / "end").touch()
    workers.append(first := Worker(root, "engine", signals))
    first.hear("building")
    workers.append(second := Worker(root, "engine", signals))
    second.hear("waiting for")
    first.kill()
    (signals / "go").touch()
    assert second.finish()[-1] == "cached: False, half an engine"
    assert (signals / "builds").read_text().split() == [str(first.process.pid), str(second.process.pid)]


def test_what_the_dead_left_is_cleared_and_what_the_living_build_is_not(
    tmp_path: Path, signals: Path, workers: list[Worker]
):
    root = tmp_path / "cache"
    (root / "notes of somebody").mkdir(parents=True)
    (signals / "end").touch()
    workers += (Worker(root, "dead", signals), Worker(root, "alive", signals))
    for worker in workers:
        worker.hear("building")
    workers[0].kill()
    EngineCache(root).get("another", "engine", {}, _write_megabyte)
    assert {path.name.rpartition("-")[0] for path in root.glob("*-*")} == {"alive", "another"}
    assert (root / "notes of somebody").is_dir()
    (signals / "go").touch()
    assert workers[1].finish()[-1] == "cached: False, half an engine"


def test_one_lock_is_held_by_one_process(tmp_path: Path):
    """Two processes count in one side file; without the lock they would overwrite each other's numbers."""
    code = f"""
from pathlib import Path
from fixtures.cache.engine_cache import EngineCache
from fixtures.locks import hold
cache = EngineCache(Path({str(tmp_path)!r}))
for _ in range({INCREMENTS}):
    with hold(Path({str(tmp_path)!r}), "count", print):
        path = cache.side_file("count")
        path.write_text(str(int(path.read_text() if path.exists() else 0) + 1))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert EngineCache(tmp_path).side_file("count").read_text() == str(2 * INCREMENTS)


def test_the_least_recently_used_go_first(tmp_path: Path):
    _fill(tmp_path, "old", "middle", "young")
    said: list[str] = []
    cache = EngineCache(tmp_path, limit_bytes=int(2.5 * MEGABYTE), progress=said.append)
    cache.get("new", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"young", "new"}
    assert [line.rpartition("-")[0] for line in said] == ["old", "middle"]
    assert all("deleted from the engine cache, 1.0 MB" in line for line in said)


def test_a_hit_is_a_use(tmp_path: Path):
    _fill(tmp_path, "old", "young")
    EngineCache(tmp_path).get("old", "engine", {}, _write_megabyte)
    EngineCache(tmp_path, limit_bytes=int(2.5 * MEGABYTE)).get("new", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"old", "new"}


def test_without_a_limit_nothing_goes(tmp_path: Path):
    _fill(tmp_path, "old", "young")
    EngineCache(tmp_path).get("new", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"old", "young", "new"}


def test_what_this_session_used_stays_and_the_excess_is_told_once(tmp_path: Path):
    _fill(tmp_path, "old", "young")
    said: list[str] = []
    cache = EngineCache(tmp_path, limit_bytes=MEGABYTE, progress=said.append)
    for label in ("old", "first", "second"):
        cache.get(label, "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"old", "first", "second"}
    deleted, excess = said
    assert deleted.startswith("young")
    assert "holds 2.0 MB, over its limit of 1.0 MB" in excess


def test_what_another_living_session_used_stays(tmp_path: Path, signals: Path, workers: list[Worker]):
    root = tmp_path / "cache"
    _fill(root, "theirs")
    workers.append(other := Worker(root, "theirs", signals))
    other.hear("cached: True")
    os.utime(artifacts(root)[0] / MANIFEST, (1, 1))
    EngineCache(root, limit_bytes=1).get("first", "engine", {}, _write_megabyte)
    assert _labels(root) == {"theirs", "first"}
    other.kill()
    EngineCache(root, limit_bytes=1).get("second", "engine", {}, _write_megabyte)
    assert _labels(root) == {"second"}
    assert len(list((root / SESSIONS).glob("*.used"))) == 1  # the lists of the dead went with them


def test_what_is_locked_stays(tmp_path: Path):
    _fill(tmp_path, "old")
    (old,) = artifacts(tmp_path)
    with hold(tmp_path, old.name, say_nothing):
        EngineCache(tmp_path, limit_bytes=1).get("new", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"old", "new"}


def test_folders_of_others_are_never_deleted(tmp_path: Path):
    _fill(tmp_path, "old")
    (old,) = artifacts(tmp_path)
    elsewhere = shutil.move(old, tmp_path / "elsewhere")
    old.symlink_to(elsewhere)
    with hold(tmp_path, "notes", say_nothing):
        (tmp_path / "notes").mkdir()
    cache = EngineCache(tmp_path, limit_bytes=1)
    cache.get("new", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"new"}
    assert old.is_symlink()
    assert (tmp_path / "notes").is_dir()
    assert (elsewhere / "engine").stat().st_size == MEGABYTE


def test_an_engine_with_side_files_counts_with_all_of_them(tmp_path: Path):
    def build(path: Path) -> dict[str, object]:
        (path.parent / "kernels").mkdir()
        _write_megabyte(path.parent / "kernels" / "kernel.so")
        return _write_megabyte(path)

    cache = EngineCache(tmp_path)
    cache.get("compiled", "engine", {}, build)
    assert 2 * MEGABYTE < total_bytes(artifacts(cache.root)) < 2.1 * MEGABYTE
    cache.get("new", "engine", {}, _write_megabyte)
    del cache
    EngineCache(tmp_path, limit_bytes=int(2.5 * MEGABYTE)).get("newest", "engine", {}, _write_megabyte)
    assert _labels(tmp_path) == {"new", "newest"}


def test_a_file_with_two_names_counts_once(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _write_megabyte(tmp_path / "a" / "graph")
    os.link(tmp_path / "a" / "graph", tmp_path / "b" / "engine")
    assert total_bytes([tmp_path / "a", tmp_path / "b"]) == MEGABYTE


def test_an_artifact_that_cannot_be_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _fill(tmp_path, "old")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)  # root, who may run this, is refused nothing
    said: list[str] = []
    EngineCache(tmp_path, limit_bytes=1, progress=said.append).get("new", "engine", {}, _write_megabyte)
    assert "cannot be deleted from the engine cache: Permission denied" in said[0]


def test_a_lock_leaves_no_holder_behind(tmp_path: Path):
    with hold(tmp_path, "name", say_nothing):
        assert str(os.getpid()) in (tmp_path / LOCKS / "name.holder").read_text()
    assert not (tmp_path / LOCKS / "name.holder").exists()
