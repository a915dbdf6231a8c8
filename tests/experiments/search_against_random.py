"""Does the search find more than chance? Both fronts, from one space, under one time.

    python -m tests.experiments.search_against_random --count 50 --model clip-image --suite embedded --output DIR

takes the options of `python -m fixtures.search`. The search runs to its end (or to --seconds); then configurations are
drawn at random from the same space, each once, until --count of them were measured or the seconds of the search are
used up. Both have a journal in DIR: killed, the same call goes on. The exit status is 1 where the fastest random point
within the budget is more than 2 % faster than that of the search: what chance found was not looked for well enough.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from fixtures.environment.collect import keep_quiet
from fixtures.errors import BenchError
from fixtures.plan.option_table import SEARCH, TABLE
from fixtures.plan.suite import choose_suite
from fixtures.search.answer import table
from fixtures.search.command import Measuring, Workers, options_of, space_of
from fixtures.search.journal import Journal, Recorder, TimeIsUpError
from fixtures.search.points import Limits, Point, allows
from fixtures.search.space import Configuration, Space
from fixtures.search.strategy import Ask, explore
from reports.command_line import OptionError, parse_arguments

COUNT = 50
# How much faster chance may be without having found more: what two timings of one engine differ by.
MARGIN = 1.02
# Draws of a configuration that was drawn before, until the space counts as used up.
MOST_REPEATS = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both, print both fronts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.experiments.search_against_random",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=COUNT, help="random configurations")
    try:
        asked = parse_arguments(parser, TABLE, SEARCH, arguments)
        return run(asked)
    except (BenchError, OptionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(asked: argparse.Namespace) -> int:
    """0 where the search's point is at least as good."""
    options = options_of(asked)
    suite = choose_suite(options, Path.cwd())
    keep_quiet(suite.download)
    limits = Limits(budget=asked.budget, memory_bytes=asked.memory_limit)
    best: list[float] = []
    with Workers(options, suite, lambda text: print(f"  … {text}", file=sys.stderr)) as workers:
        described = workers.describe(asked)
        space = space_of(asked, options, described)
        seconds = asked.seconds
        points: list[Point] = []
        for name in ("search", "random"):
            with Journal(asked.output / f"{name}.jsonl", described.identity) as journal:
                # Both are timed against the same FP32, measured once: two readings of it would favour one of them.
                for point in points:
                    if point.configuration.is_fp32 and point.configuration not in journal.points:
                        journal.append(point)
                ask = Recorder(journal, Measuring(workers, space, journal), seconds)
                try:
                    if name == "search":
                        explore(space, limits, ask)
                    else:
                        draw(space, random.Random(asked.seed), asked.count, ask)
                except TimeIsUpError:
                    print(f"{name}: the time was up")
                points = list(journal.points.values())
                seconds = journal.seconds
            print(f"\n{name}: {len(points)} points in {seconds:.0f} s\n{table(points, space.groups, limits)}")
            best.append(fastest(points, limits))
    print(f"\nwithin the budget: {best[0]:.1f} images/s by the search, {best[1]:.1f} by chance")
    return 0 if best[1] <= best[0] * MARGIN else 1


def draw(space: Space, chance: random.Random, count: int, ask: Ask) -> None:
    """Ask for `count` different configurations, or for all where there are no more."""
    drawn: set[Configuration] = set()
    repeats = 0
    while len(drawn) < count and repeats < MOST_REPEATS:
        configuration = space.draw(chance)
        repeats = repeats + 1 if configuration in drawn else 0
        drawn.add(configuration)
        ask(configuration)


def fastest(points: Sequence[Point], limits: Limits) -> float:
    """Images a second of the fastest point that is within the limits; 0 where none is."""
    return max((point.images_per_second or 0.0 for point in points if allows(limits, point)), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
