"""`python -m tests.experiments.injected_slowdown`: an engine against itself with 5, 3 and 2 % more work.

The engine is that of `a_against_a`. The extra work is arithmetic inside the timed call, calibrated once in turns with
the engine; how much longer it really made each call is measured in the call, and the reported size is held against
that: neighbours that slow the engine down do not slow the extra work down alike.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.timing.host_clock import HostClock
from fixtures.timing.paired import Comparison, compare
from tests.experiments.a_against_a import Subject, make_subject, parser, surroundings

# Share of extra work, and the share of trials that must find it.
BARS = {0.05: 0.95, 0.03: 0.70, 0.02: 0.90}
MOST_OFF = 0.015
BURST = 1000


def work(units: int) -> None:
    """Real arithmetic: `units` additions. They touch no memory, so the engine finds its caches as it left them."""
    sum(range(units))


@dataclass
class Slowed:
    """An engine with extra work in each call; `shares` is how much longer that made each call."""

    engine: Callable[[Any], object]
    units: int
    shares: list[float] = field(default_factory=list)

    def __call__(self, batch: Any) -> object:
        start = time.perf_counter()
        output = self.engine(batch)
        middle = time.perf_counter()
        work(self.units)
        end = time.perf_counter()
        self.shares.append((end - middle) / (middle - start))
        return output


def units_per_call(subject: Subject, calls: int = 400) -> float:
    """How many units of work take as long as a call of the engine, measured in turns."""
    clock, ratios = HostClock(subject.load(), subject.batches), []
    for call in range(calls):
        call_s = clock.timed_call(call)
        start = time.perf_counter()
        work(BURST)
        ratios.append(call_s / (time.perf_counter() - start) * BURST)
    return float(np.median(ratios[calls // 4 :]))


def trial(subject: Subject, units: int, seconds: float, attempts: int) -> tuple[Comparison, float]:
    """The comparison, and the share of work that was really injected."""
    engine = subject.load()
    slowed = Slowed(engine, units)
    clocks = HostClock(engine, subject.batches), HostClock(slowed, subject.batches)
    found = compare(*clocks, subject.settings(seconds, attempts))
    return found, float(np.median(slowed.shares))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bar: 0 where it is passed, 1 where it is not."""
    asked = parser(__doc__, trials=40).parse_args(arguments)
    start = time.perf_counter()
    passed = True
    print(f"before: {surroundings()}")
    with tempfile.TemporaryDirectory() as folder:
        subject = make_subject(Path(folder), asked.batch, asked.threads)
        per_call = units_per_call(subject)
        for share, least in BARS.items():
            units = max(1, round(share * per_call))
            trials = [trial(subject, units, asked.seconds, asked.attempts) for _ in range(asked.trials)]
            passed &= _report(share, least, trials)
    print(f"after: {surroundings()}; {time.perf_counter() - start:.0f} s in all")
    return 0 if passed else 1


def _report(share: float, least: float, trials: list[tuple[Comparison, float]]) -> bool:
    """Print the figures of one share of work; whether they pass."""
    injected = np.array([true for _, true in trials])
    read = np.array([found.ratio - 1 for found, _ in trials])
    found_share = float(np.mean([found.verdict == "slower" for found, _ in trials]))
    off = np.abs(read - injected)
    for (found, true), each in zip(trials, read, strict=True):
        print(
            f"  {found.verdict:8} read {100 * each:+6.2f} %, injected {100 * true:5.2f} %, {found.attempts} attempts, "
            f"{found.measured_s:4.1f} s"
        )
    close = float(np.mean(off <= MOST_OFF))
    passed = found_share >= least and bool(np.all(off <= MOST_OFF))
    print(
        f"{'passed' if passed else 'FAILED'}: {100 * share:g} % asked for, median {100 * np.median(injected):.2f} % "
        f"injected, {100 * np.median(read):.2f} % read; found in {100 * found_share:.1f} % of {len(trials)} trials "
        f"(at least {100 * least:g} %); within ±{100 * MOST_OFF:g} points in {100 * close:.1f} %, "
        f"worst {100 * off.max():.2f}, against what was asked for {100 * np.abs(read - share).max():.2f}",
        flush=True,
    )
    return passed


if __name__ == "__main__":
    sys.exit(main())
