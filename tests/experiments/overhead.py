"""`python -m tests.experiments.overhead`: what the suite costs beside building, measuring and scoring.

First the embedded suite on the CPU, twice into one engine cache; the second run is the warm one. Then trivial
engines, 50, 100 and 200 cases: the time must grow in proportion.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixtures import ROOT
from reports.record.schema import Row
from reports.record.store import last_session, read_rows
from tests.helpers.faulty_backend import environment

MOST_OVERHEAD = 0.10
# The second hundred of cases against the first: 1 would be linear to the letter.
MOST_GROWTH = 1.15
CASES = (50, 100, 200)
BATCHES = 10


def run(options: Sequence[str], output: Path, variables: Mapping[str, str]) -> list[Row]:
    """The rows of a run that must pass."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--device", "cpu", "--suite", "embedded", *options, "--output", str(output)],
        cwd=ROOT,
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return last_session(read_rows(output / "rows.jsonl"))


def costs(rows: Sequence[Row]) -> tuple[float, float, int]:
    """Seconds of the whole session, seconds of building, measuring and scoring, and how many cases there were."""
    (total,) = (row["seconds"] for row in rows if row["kind"] == "end")
    cases = [row for row in rows if row["kind"] == "case" and row["question"] != "matrix"]
    work = sum(row["values"].get("work_seconds", 0.0) for row in cases)
    return float(total), float(work), len({row["case"]["id"] for row in cases})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bar: 0 where it is passed, 1 where it is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine-cache", default="", help="where warm engines lie already (none)")
    asked = parser.parse_args(arguments)
    passed = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plain = environment(folder / "site", names=())
        options = ("--engine-cache", asked.engine_cache or str(folder / "engines"))
        for name in ("first", "warm"):
            total, work, cases = costs(run(options, folder / name, plain))
            share = (total - work) / total
            print(
                f"{name}: {cases} cases, {total:.0f} s, {work:.0f} s of work, the suite's own {share:.1%}", flush=True
            )
        passed &= share <= MOST_OVERHEAD
        seconds = []
        for count in CASES:
            names = tuple(f"trivial-{number:02d}" for number in range(count // BATCHES))
            batches = ",".join(str(batch) for batch in range(1, BATCHES + 1))
            chosen = ("--models", "clip-text", "--precisions", "fp32", "--backends", ",".join(names))
            # The answers of trivial engines are constant, which no gate lets pass: their accuracy is not asked.
            limits = ("--batches", batches, "--measure-seconds", "0.1", "-m", "build or speed")
            rows = run(
                (*chosen, *limits, "--engine-cache", str(folder / "trivial")),
                folder / str(count),
                environment(folder / f"site-{count}", names=names),
            )
            total, work, cases = costs(rows)
            seconds.append(total)
            print(
                f"{cases} trivial cases: {total:.1f} s, {work:.1f} s of work, {total / cases:.3f} s a case", flush=True
            )
    first, second = seconds[1] - seconds[0], (seconds[2] - seconds[1]) / 2
    growth = second / first
    print(f"50 more cases cost {first:.1f} s, and {second:.1f} s after the hundredth: growth {growth:.2f}")
    passed &= growth <= MOST_GROWTH
    print("passed" if passed else "FAILED")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
