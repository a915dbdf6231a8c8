"""The hashes by which an engine, its weights and its code are known."""

import hashlib
from pathlib import Path

from fixtures.hashing import sha256_of


def test_a_file_counts_to_its_last_byte(tmp_path: Path) -> None:
    """Larger than what is read at once."""
    content = bytes(range(256)) * 12_289
    path = tmp_path / "weights"
    path.write_bytes(content)
    assert len(content) > 3 << 20 and sha256_of(path) == hashlib.sha256(content).hexdigest()
    path.write_bytes(content[:-1] + b"x")
    assert sha256_of(path) != hashlib.sha256(content).hexdigest()


def test_a_folder_counts_with_names_and_contents(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "a").write_text("a")
        (tmp_path / folder / "b").write_text("b")
    assert sha256_of(tmp_path / "one") == sha256_of(tmp_path / "two")
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "c")
    renamed = sha256_of(tmp_path / "two")
    (tmp_path / "two" / "c").rename(tmp_path / "two" / "b")
    (tmp_path / "two" / "sub" / "a").write_text("another")
    assert len({sha256_of(tmp_path / "one"), renamed, sha256_of(tmp_path / "two")}) == 3
