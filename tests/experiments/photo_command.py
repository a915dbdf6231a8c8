"""How the command for photos holds up: 10 000 photos in one run, its memory, and ten kills at random.

    python -m tests.experiments.photo_command --output FOLDER [--photos 10000] [--kills 10]

Prints the memory of the last tenth of an undisturbed run against the first, then kills the same command at random
moments and takes it up again, and prints how often each photo was asked. The photos are a few hundred drawn ones of
320×240 pixels, under as many names as are asked for. Memory is that of all processes of the command, without the
pages of files, shared pages counted once (Pss_Anon and Pss_Shmem of /proc/PID/smaps_rollup).
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from fixtures import ROOT
from fixtures.datasets.synthetic.dataset import EVALUATION_IDS
from fixtures.photos.drawn import draw_photo, encode, recipe

SIZE = (320, 240)
DIFFERENT = 200
READ_EVERY_S = 0.25
MOST_GROWTH = 0.02
COUNTED = ("Pss_Anon:", "Pss_Shmem:")


@dataclass(frozen=True)
class Reading:
    """Of a running command: photos answered so far, and its memory in bytes."""

    answered: int
    memory_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    asked.output.mkdir(parents=True, exist_ok=True)
    folder = asked.output / "photos"
    _write_photos(folder, asked.photos)
    whole = asked.output / "whole.parquet"
    start = time.monotonic()
    growth = memory_growth(_watch(_start(folder, whole, asked), whole), asked.photos)
    seconds = time.monotonic() - start
    print(
        f"{asked.photos} photos in {seconds:.0f} s; memory of the last tenth against the first: {100 * growth:+.2f} %"
    )
    killed = asked.output / "killed.jsonl"
    kills = _kill_and_resume(folder, killed, asked, seconds)
    counts = Counter(json.loads(line)["name"] for line in killed.read_text(encoding="utf-8").splitlines())
    journal = f"{killed}.journal"
    written = Counter(json.loads(line)["name"] for line in Path(journal).read_text().splitlines()[1:])
    print(
        f"killed {kills} times; {len(counts)} of {asked.photos} photos answered, "
        f"{sum(count > 1 for count in counts.values())} twice in the output, "
        f"{sum(count > 1 for count in written.values())} asked again after their answer was kept"
    )
    same = _answers(killed) == _answers(_as_jsonl(folder, whole, asked))
    print(f"answers of the killed run {'are' if same else 'ARE NOT'} those of the undisturbed one")
    once = len(counts) == asked.photos and set(counts.values()) == {1} and set(written.values()) == {1}
    return 0 if growth <= MOST_GROWTH and once and same else 1


def memory_growth(readings: list[Reading], photos: int) -> float:
    """Median memory while the last tenth of the photos is answered over that of the first tenth, minus 1.

    The first tenth begins with the first answer: what is loaded before belongs to no photo.
    """
    tenth = photos / 10
    first = [each.memory_bytes for each in readings if 0 < each.answered <= tenth]
    last = [each.memory_bytes for each in readings if photos - tenth <= each.answered < photos]
    if not first or not last:
        raise SystemExit(f"too few readings ({len(first)} and {len(last)}): take more photos")
    return float(np.median(last) / np.median(first)) - 1


def _write_photos(folder: Path, count: int) -> None:
    """Links cost nothing, and are photos of their own to the command."""
    shutil.rmtree(folder, ignore_errors=True)
    stock = folder.parent / "stock"
    stock.mkdir(exist_ok=True)
    for number in range(min(DIFFERENT, count)):
        how = recipe(number, SIZE)
        (stock / f"{number}.jpg").write_bytes(encode(draw_photo(EVALUATION_IDS[number], how.shown_size).pixels, how))
    for number in range(count):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(stock / f"{number % DIFFERENT}.jpg", path)


def _start(folder: Path, output: Path, asked: argparse.Namespace) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "fixtures.pipeline", str(folder), "--output", str(output)]
    command += ["--suite", "embedded", "--device", "cpu", "--overlap", asked.overlap, "--workers", "1"]
    command += ["--engine-cache", str(asked.engine_cache), "--engines", asked.engines]
    with (asked.output / "command.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log, start_new_session=True)


def _watch(process: "subprocess.Popen[bytes]", output: Path) -> list[Reading]:
    readings = []
    lines = _Follow(output.with_name(output.name + ".journal"))
    answered = 0
    while process.poll() is None:
        answered += lines.new()
        # The first line is the header.
        readings.append(Reading(max(answered - 1, 0), _memory_bytes(process.pid)))
        time.sleep(READ_EVERY_S)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}: see {output.parent / 'command.log'}")
    return readings


class _Follow:
    """Counts the lines that are added to a file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def new(self) -> int:
        if not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        return data.count(b"\n")


def _memory_bytes(pid: int) -> int:
    """Proportional set size of a process and its descendants, without the pages of files.

    A library's pages are shared with every other program that has it loaded: of them each has a smaller part while
    another one runs, and a larger when it ends.
    """
    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            kept = Path(f"/proc/{each.pid}/smaps_rollup").read_text(encoding="ascii")
            total += sum(int(line.split()[1]) for line in kept.splitlines() if line.startswith(COUNTED)) * 1024
    except (psutil.Error, OSError):
        pass
    return total


def _kill_and_resume(folder: Path, output: Path, asked: argparse.Namespace, seconds: float) -> int:
    """Kill the command, all its processes at once, at moments spread over the run; the last start runs to its end."""
    rng = random.Random(asked.seed)
    journal = output.with_name(output.name + ".journal")
    kills = 0
    while kills < asked.kills:
        before = _lines(journal)
        process = _start(folder, output, asked)
        target = before + 1 + rng.randrange(asked.photos // (asked.kills + 1))
        limit = time.monotonic() + seconds * 2 + 60
        while process.poll() is None and _lines(journal) < target and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        print(f"kill {kills}: {before} lines before, {_lines(journal)} after", flush=True)
    process = _start(folder, output, asked)
    if process.wait():
        raise SystemExit(f"the command ended with {process.returncode}: see {output.parent / 'command.log'}")
    return kills


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _as_jsonl(folder: Path, whole: Path, asked: argparse.Namespace) -> Path:
    """The undisturbed run's journal, written out again as JSON Lines: no photo is asked."""
    output = whole.with_suffix(".jsonl")
    shutil.copyfile(f"{whole}.journal", f"{output}.journal")
    process = _start(folder, output, asked)
    if process.wait():
        raise SystemExit(f"the command ended with {process.returncode}")
    return output


def _answers(path: Path) -> list[str]:
    """Names, labels and whole pixels and hundredths: batches of other photos round the last digits otherwise."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        json.dumps(
            [
                row["name"],
                row["error"],
                [box["label"] for box in row["boxes"]],
                [scene["label"] for scene in row["scenes"][:1]],
            ]
        )
        for row in rows
    ]


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--engine-cache", type=Path, default=ROOT / ".engines")
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--overlap", default="threads")
    parser.add_argument("--engines", default="onnxruntime-fp32")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
