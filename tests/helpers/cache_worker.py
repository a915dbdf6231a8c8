"""A session with the engine cache in a process of its own, steered by files: real locks need real processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures import ROOT

# Longer than any test takes: a process that nobody steers ends by itself.
ALONE_S = 30.0


class Worker:
    """Asks the cache in `root` for the engine `label`. It builds until the file `signals/go` is there, and lives
    on until `signals/end` is. `signals/builds` gets a line with its process id for each build.
    """

    def __init__(self, root: Path, label: str, signals: Path) -> None:
        command = [sys.executable, "-m", "tests.helpers.cache_worker", str(root), label, str(signals)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.said: list[str] = []

    def hear(self, wanted: str) -> None:
        """Wait until it says `wanted`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            if wanted in line:
                return
        pytest.fail(f"ended without a word of {wanted!r}: {self.said}")

    def finish(self) -> list[str]:
        """Wait for its end; all that it said."""
        assert self.process.stdout is not None
        self.said += [line.strip() for line in self.process.stdout]
        assert self.process.wait() == 0
        self.process.stdout.close()
        return self.said

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def _say(text: str) -> None:
    print(text, flush=True)


def _wait_for(signal: Path) -> None:
    deadline = time.monotonic() + ALONE_S
    while not signal.exists():
        if time.monotonic() > deadline:
            sys.exit(f"nobody gave {signal}")
        time.sleep(0.01)


def _main(root: Path, label: str, signals: Path) -> None:
    from fixtures.cache.engine_cache import EngineCache

    def build(path: Path) -> dict[str, object]:
        with (signals / "builds").open("a") as builds:
            builds.write(f"{os.getpid()}\n")
        path.write_bytes(b"half an ")
        _say("building")
        _wait_for(signals / "go")
        with path.open("ab") as file:
            file.write(b"engine")
        return {}

    cache = EngineCache(root, progress=_say)
    artifact = cache.get(label, "engine", {}, build)
    _say(f"cached: {artifact.cached}, {artifact.path.read_text()}")
    _wait_for(signals / "end")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
