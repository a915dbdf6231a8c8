"""Does anything that interrupts a question shift an answer? `pytest-timeout` at ten moments of a real run of six cases,
and `pytest-rerunfailures` beside an image that cannot be read.

    python -m tests.experiments.interruptions [--moments 10] [--engine-cache DIR]

Each disturbed run is resumed without the limit; every row must be of its own question or an error, and the resumed run
must have the outcomes and the engines of one that nobody disturbed. Exit status 1 where one is not so.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reports.record.schema import Row
from reports.record.store import last_session, read_rows
from tests.helpers.runs import run_here, write_coco

SIX = (
    *("--suite", "embedded", "--models", "clip-image,clip-text", "--precisions", "fp32,int8", "--batches", "1"),
    *("--backends", "pytorch,onnxruntime", "--measure-seconds", "0.5"),
)
# What only a row of this question has.
OWN = {"build": "build_seconds", "speed": "latency_ms", "accuracy": "metrics"}
FIRST_LIMIT_S, LAST_LIMIT_S = 0.1, 3.0

Answers = dict[tuple[str, str], Row]


def answers(output: Path) -> Answers:
    """The last row of each (case, question) of the session in `output`."""
    rows = last_session(read_rows(output / "rows.jsonl"))
    return {(row["case"]["id"], row["question"]): row for row in rows if row["kind"] == "case"}


def kept(found: Answers) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What two runs on one machine have in common: outcome and engine of each row."""
    return {key: (row["outcome"], row["values"].get("engine_sha256")) for key, row in found.items()}


def foreign(found: Answers) -> list[tuple[str, str]]:
    """The rows that are neither an error or a skip nor of their own question."""
    return [
        key
        for key, row in found.items()
        if row["outcome"] not in ("error", "skipped")
        and (OWN[key[1]] not in row["values"] or any(OWN[each] in row["values"] for each in OWN if each != key[1]))
    ]


def interrupted(folder: Path, cache: Path, moments: int) -> bool:
    """`pytest-timeout` at `moments` moments: whether all went well. Prints a line for each."""
    base = (*SIX, "--engine-cache", str(cache))
    quiet = run_here(*base, "--output", str(folder / "quiet"))
    if quiet.returncode:
        sys.exit(quiet.stdout + quiet.stderr)
    undisturbed = kept(answers(folder / "quiet"))
    well = True
    for moment in range(moments):
        limit_s = FIRST_LIMIT_S * (LAST_LIMIT_S / FIRST_LIMIT_S) ** (moment / max(1, moments - 1))
        output = folder / f"moment-{moment}"
        # Half of them into an empty cache: a build takes longer than what follows it.
        own = (*SIX, "--engine-cache", str(folder / f"engines-{moment}")) if moment % 2 else base
        run_here(*own, "--output", str(output), "--timeout", f"{limit_s:.3f}", "--timeout-method", "signal")
        found = answers(output)
        errors = sum(row["outcome"] == "error" for row in found.values())
        wrong = foreign(found)
        again = run_here(*own, "--resume", str(output))
        equal = {key: each[0] for key, each in kept(answers(output)).items()} == {
            key: each[0] for key, each in undisturbed.items()
        }
        # Two builds of one graph need not be the same bytes; engines from one cache are.
        equal &= bool(moment % 2) or kept(answers(output)) == undisturbed
        well &= not wrong and again.returncode == 0 and equal
        print(
            f"limit {limit_s:5.2f} s: {len(found):2d} rows, {errors:2d} errors, {len(wrong)} of another question; "
            f"resumed: exit {again.returncode}, {'equal' if equal else 'NOT EQUAL'} to the undisturbed run",
            flush=True,
        )
    return well


def unreadable(folder: Path, cache: Path) -> bool:
    """An evaluation image that cannot be read, with attempts to spare: was it left out and counted, no stage
    repeated for it, and another run asked for once the image is back and the data another?
    """
    from ultralytics.nn.tasks import DetectionModel

    images, annotations = write_coco(folder / "coco")
    broken = images / "004.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(b"no picture")
    checkpoint = folder / "cat-dog.pt"
    network = DetectionModel("yolov8n.yaml", ch=3, nc=2, verbose=False)
    network.names = {0: "cat", 1: "dog"}
    torch.save({"model": network, "train_args": {"imgsz": 64, "task": "detect"}}, checkpoint)
    options = (
        *("--yolo", str(checkpoint), "--coco-images", str(images), "--coco-annotations", str(annotations)),
        *("--models", "cat-dog", "--backends", "pytorch", "--precisions", "fp32", "--batches", "1"),
        *("--measure-seconds", "0.2", "--engine-cache", str(cache), "-m", "build or speed"),
    )
    output = folder / "unreadable"
    done = run_here(*options, "--output", str(output), "--reruns", "2")
    rows = last_session(read_rows(output / "rows.jsonl"))
    notices = [(each["code"], each["count"]) for each in rows[0]["suite"]["notices"]]
    stages = [(row["question"], row["outcome"]) for row in rows if row["kind"] == "case"]
    wrong = foreign(answers(output))
    broken.write_bytes(whole)
    healed = run_here(*options, "--resume", str(output))
    print(f"unreadable image: exit {done.returncode}, {stages}, counted {notices}; put back: exit {healed.returncode}")
    well = done.returncode == 0 and stages == [("build", "passed"), ("speed", "passed")] and not wrong
    return well and ("images-damaged", 1) in notices and healed.returncode == 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where no answer was shifted and every resumed run equals the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=10, help="how many limits to try (10)")
    parser.add_argument("--engine-cache", default="", help="where warm engines lie already (none)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cache = Path(asked.engine_cache or folder / "engines")
        well = interrupted(folder, cache, asked.moments)
        well &= unreadable(folder, cache)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
