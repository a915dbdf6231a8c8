"""SHA-256 of the files that a record or a bundle names."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def content_sha256(path: Path, parts: Sequence[Path] = ()) -> str:
    """SHA-256 of all that an artifact consists of: of its file alone, or of the names and hashes of file and parts.

    Names are from the file's own folder. Raises `OSError`.
    """
    if not parts:
        return file_sha256(path)
    lines = "".join(f"{each.relative_to(path.parent)} {file_sha256(each)}\n" for each in (path, *parts))
    return hashlib.sha256(lines.encode()).hexdigest()
