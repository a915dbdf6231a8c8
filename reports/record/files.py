"""Files that appear whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` beside `path`, then move it there: a reader never sees half of it, and a crash leaves the old.

    Makes the folders that are missing. Text is written as UTF-8; a path on Linux may hold bytes that are no text, and
    these become question marks rather than an error. Raises `OSError`; nothing of the attempt is left then.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)  # mkstemp makes it private; these files are made to be read by others
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
