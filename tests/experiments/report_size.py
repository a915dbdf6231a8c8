"""`python -m tests.experiments.report_size`: how large the page of a large run is, and how long it takes to write.

500 cases, each with every figure that a card gives, hundreds of samples, a trace of the card and four images that it
answers otherwise, over a history of 60 nights with noise, steps and changes of the environment.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.accuracy.examples import MOST_SHOWN, thumbnail
from fixtures.gpu.telemetry import TRACE_POINTS
from reports.history import store
from reports.html.page import write_report
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, card_speed, case, night

MOST_BYTES = 3_000_000
MOST_SECONDS = 5.0
SEED = 0
MODELS = ("yolov8n", "clip-image", "clip-text")
BATCHES = (1, 2, 4, 8, 16, 32)
PRECISIONS = ("fp32", "fp16", "int8")
SAMPLES = 400
NOISE = 0.01
# Every so many cases one has become slower, by this much, in the last nights.
STEPPED, STEP, STEP_NIGHTS = 25, 1.08, 5


def cases(count: int) -> list[dict[str, Any]]:
    """`count` different cases of as many backends as that takes."""
    found: list[dict[str, Any]] = []
    backend = 0
    while len(found) < count:
        backend += 1
        for model in MODELS:
            for precision in PRECISIONS:
                found += [case(f"backend-{backend:02d}", precision, model=model, batch=batch) for batch in BATCHES]
    return found[:count]


def trace(luck: random.Random) -> dict[str, list[float]]:
    """What a card did, as fine as a row keeps it."""
    return {
        "seconds": [round(0.05 * place, 3) for place in range(TRACE_POINTS)],
        "sm_clock_mhz": [1980 - 15 * luck.randrange(4) for _ in range(TRACE_POINTS)],
        "temperature_c": [40 + place // 8 for place in range(TRACE_POINTS)],
        "power_w": [round(luck.gauss(400, 20), 1) for _ in range(TRACE_POINTS)],
    }


def changed(luck: random.Random) -> list[dict[str, Any]]:
    """Images full of noise: none makes a larger thumbnail."""
    noise = np.random.default_rng(luck.randrange(2**32))
    return [
        {
            "image": luck.randrange(600_000),
            "baseline": "person, dining table, cup (wrong)",
            "engine": "person (wrong) ×2",
            "picture": thumbnail(noise.integers(0, 256, (72, 54, 3), dtype=np.uint8)),
        }
        for _ in range(MOST_SHOWN)
    ]


def one_night(
    number: int, nights: int, chosen: Sequence[dict[str, Any]], luck: random.Random, samples: int
) -> list[Row]:
    """The rows of a night; only one that is looked at needs its samples."""
    rows: list[Row] = []
    for index, each in enumerate(chosen):
        stepped = index % STEPPED == 0 and number >= nights - STEP_NIGHTS
        p50 = (1 + index % 40) * 0.1 * (STEP if stepped else 1) * luck.gauss(1, NOISE)
        ratio = 0.93 if index % 50 == 49 else luck.gauss(0.995, 0.002)
        drawn = [round(p50 * luck.gauss(1, NOISE), 4) for _ in range(samples)]
        lost = ", ".join(f"class {name} -0.0{name}" for name in range(1, 6))
        rows += [
            build(each, build_seconds=luck.gauss(40, 0.4)),
            card_speed(
                each,
                p50,
                samples_ms=drawn,
                steady=index % 30 != 29,
                energy={"joules_per_image": 0.01 * p50},
                state={"trace": trace(luck)},
            ),
            accuracy(
                each,
                ratio,
                details={"classes that lost most mAP50-95": lost, "worst_cosine": 0.991},
                changed_images=changed(luck) if samples == SAMPLES else [],
            ),
        ]
    return night(number, *rows, driver="580.1" if number < nights // 2 else "590.4")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bar: 0 where it is passed, 1 where it is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--output", type=Path, help="keep the page here, to look at it")
    asked = parser.parse_args(arguments)
    luck, chosen = random.Random(SEED), cases(asked.cases)
    with tempfile.TemporaryDirectory() as scratch:
        rows: list[Row] = []
        for number in range(asked.nights):
            last = number == asked.nights - 1
            rows = one_night(number, asked.nights, chosen, luck, SAMPLES if last else 5)
            store.append(Path(scratch) / "history", rows)
        start, busy = time.perf_counter(), time.process_time()
        told = store.load(Path(scratch) / "history")
        page = write_report(rows, asked.output or Path(scratch) / "report", told)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        size = page.stat().st_size
    print(
        f"{len(chosen)} cases, {asked.nights} nights: {size / 1e6:.2f} MB, {seconds:.1f} s ({busy:.1f} s of one core)"
    )
    passed = size < MOST_BYTES and seconds < MOST_SECONDS
    print("passed" if passed else f"NOT PASSED: at most {MOST_BYTES / 1e6:g} MB and {MOST_SECONDS:g} s")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
