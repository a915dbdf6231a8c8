"""`python -m tests.experiments.a_against_a`: one engine against itself, fifty times. Nothing may be called slower.

The engine is the embedded CLIP image tower in ONNX Runtime, FP32, loaded anew for each run; both sides ask that one
session. `--loads 2` loads it for each side: two loads of one file differ truly, by where their weights came to lie.
One thread (`--threads 0`: all cores, which on two cores shared with other processes times the scheduler). Other
processes are welcome: they are what this stands against.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from fixtures import ROOT
from fixtures.backends.onnxrt.cpu import PROVIDER, OrtEngine
from fixtures.cache.engine_cache import say_nothing
from fixtures.environment.collect import keep_quiet
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.timing.host_clock import HostClock
from fixtures.timing.paired import AbbaSettings, compare
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.runs import raw_options

MOST_FALSE = 1
# A trial is to be short: the engine was warmed up before the first one.
WARM_UP = SamplerSettings(warmup_min_s=0.1, warmup_max_s=0.4)


@dataclass(frozen=True)
class Subject:
    """The engine under trial: its file, its inputs in turn, and the threads it may use (0: all cores)."""

    path: Path
    batches: Sequence[Any]
    threads: int

    def load(self) -> OrtEngine:
        """A new session on the file."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self.threads
        return OrtEngine(onnxruntime.InferenceSession(str(self.path), options, providers=[PROVIDER]))

    def settings(self, seconds: float, attempts: int) -> AbbaSettings:
        """The rule of a trial. A session of one thread has no threads that spin while the other side runs."""
        settle_s = 0.0 if self.threads == 1 else AbbaSettings.settle_s
        return AbbaSettings(settle_s=settle_s, max_measured_s=seconds, attempts=attempts, warmup=WARM_UP)


def make_subject(folder: Path, batch: int, threads: int) -> Subject:
    """Export the image tower into `folder` and gather inputs larger than the last-level cache."""
    keep_quiet(download=False)
    values = raw_options(suite="embedded", device="cpu", batches=str(batch), engine_cache=str(folder))
    options = Options.from_values(values, ROOT)
    workbench = open_workbench(options, choose_suite(options, Path.cwd()), say_nothing)
    loaded = workbench.engines.load(Case("clip-image", "zero-shot", "onnxruntime", "fp32", batch))
    (clock,) = workbench.timing.instruments(loaded)
    assert isinstance(clock, HostClock)
    return Subject(loaded.artifact.path, clock.batches, threads)


def parser(description: str | None, trials: int) -> argparse.ArgumentParser:
    """The options that both bars have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--trials", type=int, default=trials, help=f"({trials})")
    made.add_argument("--batch", type=int, default=1, help="(1)")
    made.add_argument("--threads", type=int, default=1, help="of the engine, 0 for all cores (1)")
    made.add_argument("--seconds", type=float, default=3.5, help="most, of one attempt (3.5)")
    made.add_argument("--attempts", type=int, default=2, help="of an unclear comparison (2)")
    return made


def surroundings() -> str:
    """What else the machine does."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load averages {load}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bar: 0 where it is passed, 1 where it is not."""
    options = parser(__doc__, trials=50)
    options.add_argument("--loads", type=int, choices=(1, 2), default=1, help="sessions (1)")
    asked = options.parse_args(arguments)
    verdicts: Counter[str] = Counter()
    widest = attempts = 0.0
    start = time.perf_counter()
    print(f"before: {surroundings()}")
    with tempfile.TemporaryDirectory() as folder:
        subject = make_subject(Path(folder), asked.batch, asked.threads)
        for trial in range(asked.trials):
            clocks = [HostClock(subject.load(), subject.batches) for _ in range(asked.loads)]
            found = compare(clocks[0], clocks[-1], subject.settings(asked.seconds, asked.attempts))
            verdicts[found.verdict] += 1
            widest = max(widest, abs(found.ratio - 1))
            attempts += found.attempts
            low, high = (100 * (end - 1) for end in (found.interval.low, found.interval.high))
            print(
                f"{trial + 1:3d} {found.verdict:8} {100 * (found.ratio - 1):+6.2f} % [{low:+6.2f}, {high:+6.2f}] "
                f"{found.attempts} attempts, {found.measured_s:4.1f} s",
                flush=True,
            )
    seconds = time.perf_counter() - start
    print(f"after: {surroundings()}")
    counts = ", ".join(f"{verdicts[word]} {word}" for word in ("same", "unclear", "faster", "slower"))
    print(f"A/A, {asked.trials} runs: {counts}; largest difference read {100 * widest:.2f} %")
    print(f"{attempts / asked.trials:.1f} attempts and {seconds / asked.trials:.1f} s a run, {seconds:.0f} s in all")
    passed = verdicts["slower"] <= MOST_FALSE
    print(f"{'passed' if passed else 'FAILED'}: {verdicts['slower']} false 'slower', at most {MOST_FALSE}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
