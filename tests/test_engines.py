import json
from pathlib import Path

import pytest

from fixtures.engines import MANIFEST, EngineCache
from fixtures.errors import BenchError


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


@pytest.mark.parametrize("damage", ["truncate", "change", "no manifest", "torn manifest", "no file"])
def test_a_damaged_engine_is_built_again(tmp_path: Path, damage: str):
    build = Builder()
    path = EngineCache(tmp_path).get("case", "f", {}, build).path
    manifest = path.parent / MANIFEST
    if damage == "truncate":
        path.write_bytes(b"eng")
    elif damage == "change":
        path.write_bytes(b"enginE")
    elif damage == "no file":
        path.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text(manifest.read_text()[:20])
    again = EngineCache(tmp_path).get("case", "f", {}, build)
    assert build.calls == 2
    assert again.path.read_bytes() == b"engine"
    assert not again.cached


def test_rebuild_builds_once_a_session(tmp_path: Path):
    build = Builder()
    EngineCache(tmp_path).get("case", "f", {}, build)
    cache = EngineCache(tmp_path, rebuild=True)
    first, second = (cache.get("case", "f", {}, build) for _ in range(2))
    assert build.calls == 2
    assert not first.cached
    assert not second.cached  # this session built it, if not just now


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path):
    def fail(path: Path) -> dict[str, object]:
        path.write_bytes(b"half")
        raise RuntimeError("builder crashed")

    with pytest.raises(RuntimeError, match="builder crashed"):
        EngineCache(tmp_path).get("case", "f", {}, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BenchError, match=r"(?s)file.*--engine-cache"):
        EngineCache(tmp_path / "file" / "cache").get("case", "f", {}, Builder())


def test_the_manifest_says_what_the_engine_was_made_from(tmp_path: Path):
    path = EngineCache(tmp_path).get("case", "f", {"precision": "int8"}, Builder()).path
    assert json.loads((path.parent / MANIFEST).read_text())["ingredients"] == {"precision": "int8"}
