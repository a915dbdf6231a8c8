"""`python -m tests.experiments.repeat_spread A/rows.jsonl B/rows.jsonl C/rows.jsonl`: do runs of one machine agree?

Each record is a warm run of the same matrix on the same machine. Per case the medians of the timed clock (device
time on a card) of all runs are printed with their spread, largest / smallest - 1. The bar holds where the spread is
at most 2 % for at least 90 % of the cases; a case that some run did not time counts as one that spread.

Times that spread within a run follow the host (`reports.analysis.timing_quality`), as device times do where launches
cannot be made ahead: the last line tells how many of the others are within 2 %.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.analysis.cases import summarize
from reports.analysis.timing_quality import WIDE_IQR, relative_iqr
from reports.errors import ReportError
from reports.record.store import last_session, read_rows

MOST_SPREAD = 0.02
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Repeats:
    """One case's medians, a run each, in milliseconds; NaN where a run has none."""

    case: str
    medians: tuple[float, ...]
    calm: bool = True
    """Whether the calls of no run spread."""

    @property
    def spread(self) -> float:
        """Largest / smallest - 1; infinite where a median is missing."""
        if any(math.isnan(median) for median in self.medians):
            return math.inf
        return max(self.medians) / min(self.medians) - 1


def medians(path: Path) -> dict[str, tuple[float, bool]]:
    """Every case that the last session of the record timed: its median in milliseconds, and whether it is calm."""
    cases = summarize(last_session(read_rows(path)))
    return {
        case.id: (case.latency.p50_ms, (relative_iqr(case) or 0.0) <= WIDE_IQR)
        for case in cases
        if case.latency is not None
    }


def line_up(runs: Sequence[Mapping[str, tuple[float, bool]]]) -> list[Repeats]:
    """The cases that any run has, in the order of the runs."""
    repeats = []
    for name in dict.fromkeys(name for run in runs for name in run):
        found = [run.get(name, (math.nan, True)) for run in runs]
        repeats.append(Repeats(name, tuple(median for median, _ in found), all(calm for _, calm in found)))
    return repeats


def share_within(repeats: Sequence[Repeats]) -> float:
    return sum(each.spread <= MOST_SPREAD for each in repeats) / len(repeats)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 where the bar holds, 1 where it does not, 2 for records that cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, nargs="+", metavar="rows.jsonl")
    paths = parser.parse_args(arguments).records
    if len(paths) < 2:
        parser.error("one run has no spread: name two records or more")
    try:
        repeats = line_up([medians(path) for path in paths])
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not repeats:
        print("error: none of these records holds a timed case", file=sys.stderr)
        return 2
    width = max(len(each.case) for each in repeats)
    for each in sorted(repeats, key=lambda one: -one.spread):
        shown = "  ".join("        –" if math.isnan(median) else f"{median:9.4f}" for median in each.medians)
        print(f"{each.case:{width}}  {shown} ms  {each.spread:7.2%}")
    share = share_within(repeats)
    held = share >= LEAST_SHARE
    verdict = "held" if held else "NOT held"
    print(
        f"{share:.1%} of {len(repeats)} cases within {MOST_SPREAD:.0%} over {len(paths)} runs "
        f"(bar: {LEAST_SHARE:.0%}): {verdict}"
    )
    if calm := [each for each in repeats if each.calm]:
        print(f"{share_within(calm):.1%} of the {len(calm)} whose calls spread by at most {WIDE_IQR:.0%} in every run")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
