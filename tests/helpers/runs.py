"""What several tests make: raw options, small images, a small COCO data set."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures import ROOT
from fixtures.plan.option_table import BENCH_OPTIONS


def raw_options(**changed: str | bool) -> dict[str, str | bool]:
    """The command line without any option, but for what is `changed`."""
    raw: dict[str, str | bool] = {option.key: option.default for option in BENCH_OPTIONS if not option.flag}
    return {**raw, "rebuild": False, **changed}


def write_coco(folder: Path, images: int = 6, side: int = 160) -> tuple[Path, Path]:
    """A COCO data set on disk: random images, one box each, of the categories 'cat' and 'dog'."""
    import cv2  # the process that hands out tests to others has no use for it

    pictures = folder / "images"
    pictures.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(images):
        cv2.imwrite(str(pictures / f"{index:03d}.jpg"), random.integers(0, 255, (side, side, 3), np.uint8))
    coco: dict[str, Any] = {
        "images": [
            {"id": index, "file_name": f"{index:03d}.jpg", "width": side, "height": side} for index in range(images)
        ],
        "annotations": [
            {
                "id": index + 1,
                "image_id": index,
                "category_id": 1 + index % 2,
                "bbox": [10, 20, 60, 80],
                "area": 4800,
                "iscrowd": 0,
            }
            for index in range(images)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(coco))
    return pictures, file


# Without pipelines, which have tests of their own: a session is about the matrix, and they take a minute.
BARE = (str(ROOT / "bench"), "--benchmark-only", "-v", "-p", "no:cacheprovider", "--device", "cpu")
COMMAND = (*BARE, "--pipelines", "none")


def run_bench(*options: str, cwd: Path = ROOT, **more: Any) -> subprocess.CompletedProcess[str]:
    """`pytest bench/ --benchmark-only` in a process of its own, on the embedded suite and the CPU.

    A process of its own, because that is what users start: options, hooks, exit status and all. It takes seconds to
    import what `run_here` shares: for what needs an environment or an end of its own.
    """
    return subprocess.run(
        [sys.executable, "-m", "pytest", *COMMAND, *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        **more,
    )


def run_here(*options: str) -> subprocess.CompletedProcess[str]:
    """The same within this process: options, hooks, record, exit status and report, and workers as ever.

    They fork off one process that has PyTorch loaded, the same for all tests.
    """
    return pytest_here([*COMMAND, *options])


def pytest_here(arguments: Sequence[str], *plugins: object) -> subprocess.CompletedProcess[str]:
    """`pytest.main` with what it writes."""
    streams = {}
    with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        patch.chdir(ROOT)
        for name in ("stdout", "stderr"):
            streams[name] = opened.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            patch.setattr(sys, name, streams[name])
        status = pytest.main(list(arguments), plugins=list(plugins))
        said = {}
        for name, stream in streams.items():
            stream.seek(0)
            said[name] = stream.read()
    return subprocess.CompletedProcess(list(arguments), int(status), **said)
