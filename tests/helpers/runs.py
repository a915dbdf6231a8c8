"""What several tests make: raw options, small images, a small COCO data set."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def raw_options(**changed: str | bool) -> dict[str, str | bool]:
    """The command line without any option, but for what is `changed`."""
    names = (
        "yolo", "clip", "coco_images", "coco_annotations", "calibration_images", "models", "backends",
        "data", "scenes", "templates",
        "precisions", "batches", "measure_seconds", "engine_cache", "output", "resume", "shard", "history",
    )  # fmt: skip
    raw: dict[str, str | bool] = dict.fromkeys(names, "")
    numbers = {"tolerance": "0.02", "energy_seconds": "5", "engine_cache_limit": "20", "trt_workspace": "4096"}
    return (
        raw
        | {
            "suite": "auto",
            "device": "auto",
            "trt_level": "3",
            "case_seconds": "3600",
            "processes": "1",
            "rebuild": False,
        }
        | numbers
        | changed
    )


def write_coco(folder: Path, images: int = 6, side: int = 160) -> tuple[Path, Path]:
    """A COCO data set on disk: random images, one box each, of the categories 'cat' and 'dog'."""
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


ROOT = Path(__file__).parent.parent


def run_bench(*options: str, cwd: Path = ROOT, **more: Any) -> subprocess.CompletedProcess[str]:
    """`pytest bench/ --benchmark-only` in a process of its own, on the embedded suite and the CPU.

    A process of its own, because that is what users start: options, hooks, exit status and all.
    """
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", "-v", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--device", "cpu", *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        **more,
    )
