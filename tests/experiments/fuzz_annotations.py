"""Two thousand annotation files with departures by chance: each is right, counted or refused, and none a traceback.

python -m tests.experiments.fuzz_annotations --files 2000
"""

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.datasets.validation.coco import validate_coco
from tests.helpers.departures import ALL, base, check, depart, write


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how many files came to what; the first that is none of the three ends it with its kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    asked = parser.parse_args(arguments)
    outcomes: Counter[str] = Counter()
    met: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder, base())

        @settings(max_examples=asked.files, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(kinds=st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=4), seed=st.integers(0, 2**32))
        def one(kinds: list[str], seed: int) -> None:
            coco = base()
            depart(coco, kinds, random.Random(seed))
            outcomes[check(lambda: validate_coco(*write(folder, coco, {})), kinds)] += 1
            met.update(kinds)

        one()
    told = ", ".join(f"{outcomes[name]} {name}" for name in ("right", "counted", "refused"))
    print(f"{outcomes.total()} files with {len(met)} of {len(ALL)} kinds of departures: {told}; nothing else")


if __name__ == "__main__":
    main()
